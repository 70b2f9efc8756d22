//! A connection over a non-blocking stream: for loops that ask the operating system which sockets are ready.

use alloc::vec::Vec;
use core::fmt;
use std::io::{self, ErrorKind, Read, Write};

use bytes::Bytes;

use super::io::{ConnectionId, Input};
use super::transitions::Machine;
use super::write_queue::WriteQueue;
use crate::cause::Disconnect;
use crate::time::Instant;
use crate::transport_error::TransportError;

pub use self::connections::{NonBlockingConnections, PolledOutput};

/// A connection over a non-blocking stream, in a loop without futures. It is read and written in [steps](Self::step) of
/// bounded work, and needs no more than that the stream's operations return [`WouldBlock`](ErrorKind::WouldBlock).
///
/// It remembers whether the stream is ready, until an operation would block. So it works with event queues that report each
/// change once (*edge-triggered*, as mio does) as well as with those that report a state again and again.
///
/// ```
/// use std::io::{Read, Write};
/// use std::net::{TcpListener, TcpStream};
///
/// use kafka_batch_core::machine::{Clock, Input, Instant, Machine, MachineConfig, NonBlocking, Output};
/// use kafka_batch_core::Timestamp;
///
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let now = Instant::START;
/// let clock = Clock { now, wall: Timestamp::from_millis(0) };
/// let mut machine = Machine::new(MachineConfig::new([("127.0.0.1", listener.local_addr()?.port())]), clock, 1);
/// machine.lookup_topic("readings", now);
///
/// let Output::Connect { connection, host, port } = machine.poll_output(now) else { panic!() };
/// let stream = TcpStream::connect((host, port))?;
/// stream.set_nonblocking(true)?;
/// let mut stream = NonBlocking::new(connection, stream);
/// machine.handle_input(Input::Connected(connection), now);
/// let Output::Transmit { bytes, .. } = machine.poll_output(now) else { panic!() };
/// stream.transmit(bytes);
/// assert!(stream.step(&mut machine, &mut [0; 1024], now), "the connection is open");
/// assert!(!stream.is_ready(), "everything is written, and nothing is received");
///
/// let mut length = [0; 4];
/// listener.accept()?.0.read_exact(&mut length)?; // the broker has the request
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct NonBlocking<S> {
    id: ConnectionId,
    stream: S,
    write_queue: WriteQueue,
    /// The number of frames that were written, but perhaps not flushed.
    unflushed: usize,
    is_readable: bool,
    is_writable: bool,
    /// Set if writing has failed. What was received before is read first.
    write_error: Option<io::Error>,
    /// Set until the connection is established.
    is_connected: Option<IsConnected<S>>,
}

/// Returns whether the connection of a stream is established.
type IsConnected<S> = fn(&S) -> io::Result<bool>;

impl<S: Read + Write> NonBlocking<S> {
    /// Takes a connected stream, which is assumed to be ready. Reporting [`Input::Connected`] is up to the caller.
    pub const fn new(id: ConnectionId, stream: S) -> Self {
        Self {
            id,
            stream,
            write_queue: WriteQueue::new(),
            unflushed: 0,
            is_readable: true,
            is_writable: true,
            write_error: None,
            is_connected: None,
        }
    }

    /// Takes a stream that is being connected, and is writable once that has succeeded or failed. Each [`step`](Self::step) at
    /// which it is writable calls `is_connected`, until the connection is established, which is reported to the machine.
    pub fn connecting(id: ConnectionId, stream: S, is_connected: fn(&S) -> io::Result<bool>) -> Self {
        let stream = Self::new(id, stream);
        Self { is_readable: false, is_writable: false, is_connected: Some(is_connected), ..stream }
    }

    /// Returns the stream.
    pub const fn get_ref(&self) -> &S {
        &self.stream
    }

    /// Returns the stream, to register it in an event queue, for example. Reading from it or writing to it loses data.
    pub const fn get_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// Records that the stream has become readable or writable. An error and the end of the stream count as both.
    pub const fn set_ready(&mut self, readable: bool, writable: bool) {
        self.is_readable |= readable;
        self.is_writable |= writable;
    }

    /// Returns `true` if [`step`](Self::step) may have something to do, so that a loop must not wait before.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        match self.is_connected {
            Some(_) => self.is_writable,
            None => self.is_readable || self.write_error.is_some() || self.is_writable && self.has_output(),
        }
    }

    /// Returns `true` if anything is left to be written: then a loop has to know when the stream becomes writable.
    #[must_use]
    pub fn has_output(&self) -> bool {
        !self.write_queue.is_empty() || self.unflushed > 0
    }

    /// Queues a frame, for [`Output::Transmit`](super::Output::Transmit).
    pub fn transmit(&mut self, frame: Vec<Bytes>) {
        self.write_queue.push(frame);
    }

    /// Reads at most once and writes at most once, once it is connected, and passes what happened to the machine. Returns `false`
    /// if the connection has ended, or could not be established: the machine knows, and this is to be dropped.
    pub fn step(&mut self, machine: &mut Machine, buffer: &mut [u8], now: Instant) -> bool {
        if let Some(is_connected) = self.is_connected.filter(|_| self.is_writable) {
            match is_connected(&self.stream) {
                Ok(true) => {
                    self.is_connected = None;
                    machine.handle_input(Input::Connected(self.id), now);
                }
                Ok(false) => self.is_writable = false,
                Err(error) => return self.end(Disconnect::NotConnected, Some(error), machine, now),
            }
        }
        if self.is_connected.is_some() {
            return true;
        }
        if self.is_readable {
            match self.stream.read(buffer) {
                Ok(0) => return self.end(Disconnect::ByPeer, None, machine, now),
                Ok(length) => machine.handle_input(Input::Received(self.id, &buffer[..length]), now),
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.is_readable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return self.end(Disconnect::Broken, Some(error), machine, now),
            }
        }
        if self.write_error.is_some() {
            // Read on: what is received may acknowledge a batch, which then must not be sent again.
            return self.is_readable || self.end(Disconnect::Broken, None, machine, now);
        }
        if self.is_writable && self.has_output() {
            match self.write() {
                Ok(frames) => (0..frames).for_each(|_| machine.handle_input(Input::Transmitted(self.id), now)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.is_writable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.write_error = Some(error);
                    self.is_readable = true;
                }
            }
        }
        true
    }

    /// Writes once. Returns the number of frames that are written and flushed.
    fn write(&mut self) -> io::Result<usize> {
        if !self.write_queue.is_empty() {
            match self.write_queue.with_slices(|slices| self.stream.write_vectored(slices))? {
                0 => return Err(ErrorKind::WriteZero.into()),
                count => self.unflushed += self.write_queue.advance(count),
            }
        }
        self.stream.flush()?;
        Ok(core::mem::take(&mut self.unflushed))
    }

    fn end(&mut self, how: Disconnect, error: Option<io::Error>, machine: &mut Machine, now: Instant) -> bool {
        let how = if self.write_error.is_some() { Disconnect::Broken } else { how };
        let error = error.or_else(|| self.write_error.take()).map(TransportError::new);
        machine.handle_input(Input::Closed(self.id, how, error.as_ref()), now);
        false
    }
}

/// Shows no bytes, since they can contain a password.
impl<S: fmt::Debug> fmt::Debug for NonBlocking<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NonBlocking")
            .field("id", &self.id)
            .field("stream", &self.stream)
            .field("write_queue", &self.write_queue)
            .field("is_readable", &self.is_readable)
            .field("is_writable", &self.is_writable)
            .finish_non_exhaustive()
    }
}

mod connections;
#[cfg(test)]
mod tests;
