//! All connections of a machine over non-blocking streams.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;
use std::io::{self, Read, Write};

use super::NonBlocking;
use crate::cause::Disconnect;
use crate::machine::event::Event;
use crate::machine::io::{ConnectionId, Input, Output};
use crate::machine::transitions::Machine;
use crate::time::Instant;
use crate::transport_error::TransportError;

/// The size of the read buffer in bytes.
const BUFFER: usize = 64 * 1024;

/// All connections of a machine, over non-blocking streams: they carry out its outputs, and pass what they receive to it. The rest of a
/// loop is to connect, and to wait.
///
/// ```
/// use std::net::TcpStream;
///
/// use kafka_batch_core::machine::{
///     Clock, ConnectionId, Instant, Machine, MachineConfig, NonBlocking, NonBlockingConnections, PolledOutput,
/// };
/// use kafka_batch_core::Timestamp;
///
/// fn connect(id: ConnectionId, host: &str, port: u16) -> std::io::Result<NonBlocking<TcpStream>> {
///     let stream = TcpStream::connect((host, port))?;
///     stream.set_nonblocking(true)?;
///     Ok(NonBlocking::new(id, stream))
/// }
///
/// let now = Instant::START;
/// let clock = Clock { now, wall: Timestamp::from_millis(0) };
/// let mut machine = Machine::new(MachineConfig::new([("127.0.0.1", 9092)]), clock, 1);
/// let mut connections = NonBlockingConnections::new();
/// loop {
///     match connections.poll_output(&mut machine, connect, now) {
///         PolledOutput::Done => {}
///         PolledOutput::Event(event) => println!("{event:?}"),
///         PolledOutput::Wait(deadline) => break assert_eq!(deadline, None), // nothing is sent
///     }
/// }
/// connections.step(&mut machine, now);
/// assert!(!connections.is_ready());
/// ```
#[derive(Debug)]
pub struct NonBlockingConnections<S> {
    each: BTreeMap<ConnectionId, NonBlocking<S>>,
    buffer: Vec<u8>,
}

/// What [`NonBlockingConnections::poll_output`] leaves to the caller.
// Exhaustive on purpose: what else the machine asks for is carried out.
#[allow(clippy::large_enum_variant)] // it is taken apart at once, as `Output` is
#[derive(Debug)]
pub enum PolledOutput {
    /// Nothing: an output was carried out.
    Done,
    /// An event, for the application.
    Event(Event),
    /// There is nothing to do until this time, unless something is received or commanded before; `None`: at no time.
    Wait(Option<Instant>),
}

impl<S: Read + Write> NonBlockingConnections<S> {
    /// Returns an empty set, with a read buffer of 64 KiB.
    #[must_use]
    pub fn new() -> Self {
        Self { each: BTreeMap::new(), buffer: vec![0; BUFFER] }
    }

    /// Polls the machine for one output, and carries it out. Call this until it returns [`PolledOutput::Wait`], or less often to bound
    /// the work of a turn.
    ///
    /// `connect` returns a stream that is connected, or [connecting](NonBlocking::connecting). It blocks the caller if it blocks. Its
    /// error is reported to the machine, which tries again.
    pub fn poll_output(
        &mut self,
        machine: &mut Machine,
        mut connect: impl FnMut(ConnectionId, &str, u16) -> io::Result<NonBlocking<S>>,
        now: Instant,
    ) -> PolledOutput {
        match machine.poll_output(now) {
            Output::Connect { connection, host, port } => match connect(connection, &host, port) {
                Ok(stream) => {
                    if stream.is_connected.is_none() {
                        machine.handle_input(Input::Connected(connection), now);
                    }
                    self.each.insert(connection, stream);
                }
                Err(error) => {
                    let error = TransportError::new(error);
                    machine.handle_input(Input::Closed(connection, Disconnect::NotConnected, Some(&error)), now);
                }
            },
            Output::Transmit { connection, bytes } => {
                if let Some(stream) = self.each.get_mut(&connection) {
                    stream.transmit(bytes);
                }
            }
            Output::Close(connection) => drop(self.each.remove(&connection)),
            Output::Event(event) => return PolledOutput::Event(event),
            Output::Wait(deadline) => return PolledOutput::Wait(deadline),
        }
        PolledOutput::Done
    }

    /// [Steps](NonBlocking::step) each connection that is ready: at most one read and one write, which do not block. Removes those that
    /// have ended. Then the machine is to be polled.
    pub fn step(&mut self, machine: &mut Machine, now: Instant) {
        let Self { each, buffer } = self;
        each.retain(|_, stream| stream.step(machine, buffer, now));
    }

    /// Returns `true` if [`step`](Self::step) may have something to do, so that a loop must not wait before.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.each.values().any(NonBlocking::is_ready)
    }

    /// Records that a stream has become readable or writable. An error and the end of the stream count as both.
    pub fn set_ready(&mut self, connection: ConnectionId, readable: bool, writable: bool) {
        if let Some(stream) = self.each.get_mut(&connection) {
            stream.set_ready(readable, writable);
        }
    }

    /// Records that any stream may be readable or writable, for loops that look at all of them every now and then.
    pub fn set_all_ready(&mut self) {
        self.each.values_mut().for_each(|stream| stream.set_ready(true, true));
    }

    /// Returns the connections, to register them in an event queue, for example.
    pub fn iter(&self) -> impl Iterator<Item = (ConnectionId, &NonBlocking<S>)> {
        self.each.iter().map(|(&id, stream)| (id, stream))
    }
}

impl<S: Read + Write> Default for NonBlockingConnections<S> {
    fn default() -> Self {
        Self::new()
    }
}
