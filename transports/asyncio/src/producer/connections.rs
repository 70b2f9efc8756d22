//! The connections of a producer: the numbers by which the event loop knows them, and what is to be written to their sockets.

use std::collections::HashMap;
use std::io;

use bytes::Bytes;
use kafka_batch_core::machine::{ConnectionId, Disconnect};
use kafka_batch_transport::external::ExternalDriver;
use pyo3::prelude::*;

use super::actions::{self, Action};
use super::sockets::{Flushed, SocketWriter};

#[derive(Default)]
pub(super) struct Connections {
    last: u64,
    each: HashMap<u64, Connection>,
    numbers: HashMap<ConnectionId, u64>,
    /// Those whose sockets can be written to, perhaps.
    unflushed: Vec<u64>,
}

struct Connection {
    id: ConnectionId,
    /// `None` if the event loop's transport writes: over TLS, and on systems where sockets are no descriptors.
    writer: Option<SocketWriter>,
}

impl Connections {
    pub(super) fn insert(&mut self, id: ConnectionId) -> u64 {
        self.last += 1;
        self.each.insert(self.last, Connection { id, writer: None });
        self.numbers.insert(id, self.last);
        self.last
    }

    pub(super) fn id(&self, number: u64) -> Option<ConnectionId> {
        self.each.get(&number).map(|connection| connection.id)
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<ConnectionId> {
        let Connection { id, .. } = self.each.remove(&number)?;
        self.numbers.remove(&id);
        Some(id)
    }

    pub(super) fn close(&mut self, id: ConnectionId) -> Option<u64> {
        let number = self.numbers.remove(&id)?;
        self.each.remove(&number);
        Some(number)
    }

    /// Creates a socket for a connection, to which its frames are written. Returns the descriptor for the event loop, or `None` if
    /// its transport is to write them.
    ///
    /// # Errors
    /// The connection is closed, or the operating system has no more sockets.
    pub(super) fn open_socket(&mut self, number: u64, is_ipv6: bool) -> io::Result<Option<i32>> {
        let connection = self.each.get_mut(&number).ok_or(io::ErrorKind::ConnectionAborted)?;
        let Some((writer, descriptor)) = SocketWriter::open(is_ipv6)? else { return Ok(None) };
        connection.writer = Some(writer);
        Ok(Some(descriptor))
    }

    /// Queues a frame, or appends it to the actions.
    pub(super) fn transmit(&mut self, id: ConnectionId, frame: Vec<Bytes>, actions: &mut Vec<Action>) {
        let Some(&number) = self.numbers.get(&id) else { return };
        match self.each.get_mut(&number).and_then(|connection| connection.writer.as_mut()) {
            Some(writer) => {
                writer.push(frame);
                if self.unflushed.last() != Some(&number) {
                    self.unflushed.push(number);
                }
            }
            None => actions::push_frame(actions, number, frame),
        }
    }

    /// Writes what sockets take. Returns whether the machine has to be polled for that.
    pub(super) fn flush(&mut self, py: Python<'_>, driver: &mut ExternalDriver, actions: &mut Vec<Action>) -> bool {
        let mut has_events = false;
        while let Some(number) = self.unflushed.pop() {
            let Some(Connection { id, writer: Some(writer) }) = self.each.get_mut(&number) else { continue };
            let id = *id;
            match writer.flush(py) {
                Ok(Flushed { frames, overflow }) => {
                    has_events |= frames > 0 && driver.transmitted(id, frames);
                    actions.extend(overflow.map(|bytes| Action::Overflow { connection: number, bytes }));
                }
                Err(error) => {
                    self.remove(number);
                    driver.disconnected(id, Disconnect::Broken, Some(error));
                    actions.push(Action::Close(number));
                    has_events = true;
                }
            }
        }
        has_events
    }

    /// Records that the transport has written its bytes. Returns the number of frames that were completed by that.
    pub(super) fn overflow_written(&mut self, number: u64) -> usize {
        let Some(writer) = self.each.get_mut(&number).and_then(|connection| connection.writer.as_mut()) else {
            return 0;
        };
        self.unflushed.push(number);
        writer.overflow_written()
    }
}
