//! How to drive the producer state machine: over `std::net`, without an async runtime.
//!
//! The [`Machine`] implements the Kafka protocol without I/O; a driver does the I/O and needs no knowledge of Kafka. The
//! driver carries out the machine's outputs, passes socket events to it as inputs, and supplies the time. The loop is
//! [`BlockingProducer::next_event`]: poll until the machine returns `Wait`, then wait for a socket event.
//!
//! ```text
//!                                  one thread for each
//!                  ┌── connect ──▶ connection attempt ──┐
//!  next_event ─────┼── transmit ─▶ connection writer ───┼──▶ channel ──▶ next_event
//!                  └─────────────▶ connection reader ───┘
//! ```
//! A blocking thread can wait for one operation only. Therefore each connection has a reader thread and a writer thread,
//! and each connection attempt, including name resolution, has a thread too. All of them send their events through one
//! channel. The driver waits on it until an event arrives or the machine's deadline passes.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::thread;
use std::time::{Duration, Instant as StdInstant, SystemTime};

use bytes::Bytes;
use kafka_batch::error::TransportError;
use kafka_batch::machine::{
    BatchId, Clock, CloseMode, ConnectionId, Disconnect, Event, Input, Instant, InvalidTransactionState, Machine,
    MachineConfig, MachineSendError, OffsetsId, Output,
};
use kafka_batch::transaction::{GroupMetadata, OffsetAndMetadata};
use kafka_batch::{SealedBatch, TopicPartition};

/// A producer for blocking programs. The thread that calls [`next_event`](Self::next_event) drives it: between calls,
/// nothing new is sent.
pub(crate) struct BlockingProducer {
    machine: Machine,
    start: StdInstant,
    connect_limit: Duration,
    /// `None` for a connection that is not established yet. Connections not in this map are closed.
    connections: HashMap<ConnectionId, Option<Connection>>,
    sender: SyncSender<SocketEvent>,
    receiver: Receiver<SocketEvent>,
}

/// An event that a thread sends to the driver.
enum SocketEvent {
    Connected(ConnectionId, TcpStream),
    Received(ConnectionId, Vec<u8>),
    Transmitted(ConnectionId),
    Closed(ConnectionId, Disconnect, Option<io::Error>),
}

/// The capacity of the channel. If it is full, the readers block, which slows the brokers down: memory stays bounded.
const MAX_QUEUED_EVENTS: usize = 64;

impl BlockingProducer {
    /// Creates a producer. The machine has no clock or random numbers of its own; the driver supplies both.
    pub(crate) fn new(config: MachineConfig) -> Self {
        let clock = Clock { now: Instant::START, wall: SystemTime::now().into() };
        let seed = RandomState::new().hash_one(0);
        let (sender, receiver) = mpsc::sync_channel(MAX_QUEUED_EVENTS);
        Self {
            start: StdInstant::now(),
            connect_limit: config.socket_connection_setup_timeout,
            machine: Machine::new(config, clock, seed),
            connections: HashMap::new(),
            sender,
            receiver,
        }
    }

    // Commands. They are only queued, so they can be called at any time between two events. If the application runs in
    // another thread than the driver, send commands through the channel too, and only while `machine.has_room()`.

    pub(crate) fn lookup_topic(&mut self, topic: &str) {
        self.machine.lookup_topic(topic, self.now());
    }

    pub(crate) fn send(&mut self, batch: SealedBatch, to: TopicPartition) -> Result<BatchId, MachineSendError> {
        self.machine.send(batch, to, self.now())
    }

    pub(crate) fn close(&mut self, mode: CloseMode) {
        self.machine.close(mode, self.now());
    }

    // Commands of transactions, with `MachineConfig::transactional_id`. Each of them ends in one `Event::Transaction`, which
    // `next_event` returns. Batches are accepted between the events `Begun` and `Committed` or `Aborted`.

    /// The first command: fences a former producer with this id.
    pub(crate) fn init_transactions(&mut self) -> Result<(), InvalidTransactionState> {
        self.machine.init_transactions(self.now())
    }

    pub(crate) fn begin_transaction(&mut self) -> Result<(), InvalidTransactionState> {
        self.machine.begin_transaction(self.now())
    }

    /// Commits offsets of a consumer group in the transaction.
    pub(crate) fn send_offsets(
        &mut self,
        group: GroupMetadata,
        offsets: Vec<(TopicPartition, OffsetAndMetadata)>,
    ) -> Result<OffsetsId, InvalidTransactionState> {
        self.machine.send_offsets(group, offsets, self.now())
    }

    /// Commits, once every batch was delivered and the offsets were sent; aborts if one of them has failed.
    pub(crate) fn commit_transaction(&mut self) -> Result<(), InvalidTransactionState> {
        self.machine.commit_transaction(self.now())
    }

    pub(crate) fn abort_transaction(&mut self) -> Result<(), InvalidTransactionState> {
        self.machine.abort_transaction(self.now())
    }

    // The event loop.

    /// Runs the machine until it emits an event, and returns that; `None` if it emits none within `timeout`.
    pub(crate) fn next_event(&mut self, timeout: Duration) -> Option<Event> {
        let deadline = self.now() + timeout;
        // Handles queued socket events first: otherwise the machine would time out responses that are already received.
        for _ in 0..MAX_QUEUED_EVENTS {
            let Ok(event) = self.receiver.try_recv() else { break };
            self.handle(event);
        }
        loop {
            match self.machine.poll_output(self.now()) {
                Output::Connect { connection, host, port } => self.connect(connection, host, port),
                Output::Transmit { connection, bytes } => self.transmit(connection, bytes),
                Output::Close(connection) => drop(self.connections.remove(&connection)),
                Output::Event(event) => return Some(event),
                // The machine has no other output, so the driver may block.
                Output::Wait(wake_at) => {
                    let until = wake_at.map_or(deadline, |wake_at| wake_at.min(deadline));
                    match self.receiver.recv_timeout(until.since(self.now())) {
                        Ok(event) => self.handle(event),
                        Err(_) if self.now() >= deadline => return None,
                        Err(_) => {} // the machine's deadline: poll it again
                    }
                }
            }
        }
    }

    fn handle(&mut self, event: SocketEvent) {
        let now = self.now();
        match event {
            SocketEvent::Connected(id, stream) => {
                // If the machine has abandoned the attempt, the stream is dropped and thereby closed.
                let Some(connection) = self.connections.get_mut(&id) else { return };
                match Connection::new(id, stream, &self.sender) {
                    Ok(made) => {
                        *connection = Some(made);
                        self.machine.handle_input(Input::Connected(id), now);
                    }
                    Err(error) => self.handle(SocketEvent::Closed(id, Disconnect::NotConnected, Some(error))),
                }
            }
            SocketEvent::Received(id, bytes) => self.machine.handle_input(Input::Received(id, &bytes), now),
            SocketEvent::Transmitted(id) => self.machine.handle_input(Input::Transmitted(id), now),
            SocketEvent::Closed(id, how, error) => {
                if self.connections.remove(&id).is_some() {
                    let error = error.map(TransportError::new);
                    self.machine.handle_input(Input::Closed(id, how, error.as_ref()), now);
                }
            }
        }
    }

    fn connect(&mut self, id: ConnectionId, host: String, port: u16) {
        self.connections.insert(id, None);
        let (sender, limit) = (self.sender.clone(), self.connect_limit);
        let spawned = thread::Builder::new().spawn(move || {
            let made = connect(&host, port, limit);
            // Fails only if the driver was dropped; the same applies below.
            let _ = sender.send(match made {
                Ok(stream) => SocketEvent::Connected(id, stream),
                Err(error) => SocketEvent::Closed(id, Disconnect::NotConnected, Some(error)),
            });
        });
        if let Err(error) = spawned {
            // The thread could not be created: the machine will try again.
            self.handle(SocketEvent::Closed(id, Disconnect::NotConnected, Some(error)));
        }
    }

    fn transmit(&mut self, id: ConnectionId, frame: Vec<Bytes>) {
        if let Some(Some(connection)) = self.connections.get(&id) {
            let _ = connection.frames.send(frame); // fails if the writer has ended; the reader then reports the cause
        }
    }

    /// Returns the time in the machine's representation: since the start.
    fn now(&self) -> Instant {
        Instant::from_start(self.start.elapsed())
    }
}

/// Tries the addresses of a name in order. Each has an equal share of the time left, so that an address that does not
/// respond leaves time for the next. (`limit` does not bound the name resolution; the machine abandons the attempt
/// after that time anyway.)
fn connect(host: &str, port: u16, limit: Duration) -> io::Result<TcpStream> {
    let start = StdInstant::now();
    let addresses: Vec<SocketAddr> = (host, port).to_socket_addrs()?.collect();
    let mut result = Err(ErrorKind::NotFound.into());
    for (address, untried) in addresses.iter().zip((1..=addresses.len() as u32).rev()) {
        let share = limit.saturating_sub(start.elapsed()) / untried;
        result = TcpStream::connect_timeout(address, share);
        if result.is_ok() {
            break;
        }
    }
    let stream = result?;
    stream.set_nodelay(true)?; // frames are written as a whole: Nagle's algorithm would only delay them
    Ok(stream)
}

/// An established connection. Dropping it closes it and ends its threads.
struct Connection {
    stream: Arc<TcpStream>,
    /// Frames to be written. Unbounded, because the machine limits the requests in flight.
    frames: Sender<Vec<Bytes>>,
}

impl Connection {
    fn new(id: ConnectionId, stream: TcpStream, sender: &SyncSender<SocketEvent>) -> io::Result<Self> {
        let (frames, to_write) = mpsc::channel();
        let connection = Self { stream: Arc::new(stream), frames };
        let (stream, events) = (connection.stream.clone(), sender.clone());
        thread::Builder::new().spawn(move || write(id, &stream, to_write, &events))?;
        let (stream, events) = (connection.stream.clone(), sender.clone());
        thread::Builder::new().spawn(move || read(id, &stream, &events))?;
        Ok(connection)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both); // fails if it is closed already
    }
}

/// Reads until the connection ends, and reports its end. Only the reader does so, after all bytes received before it.
fn read(id: ConnectionId, mut stream: &TcpStream, sender: &SyncSender<SocketEvent>) {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let event = match stream.read(&mut buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Ok(0) => SocketEvent::Closed(id, Disconnect::ByPeer, None),
            Ok(length) => SocketEvent::Received(id, buffer[..length].to_vec()),
            Err(error) => SocketEvent::Closed(id, Disconnect::Broken, Some(error)),
        };
        let ended = matches!(event, SocketEvent::Closed(..));
        if sender.send(event).is_err() || ended {
            return;
        }
    }
}

/// Writes frames until the channel is closed, and reports each frame that was written.
fn write(id: ConnectionId, stream: &TcpStream, frames: Receiver<Vec<Bytes>>, sender: &SyncSender<SocketEvent>) {
    for frame in frames {
        if write_frame(stream, &frame).is_err() {
            let _ = stream.shutdown(Shutdown::Both); // ends the reader too
            return;
        }
        if sender.send(SocketEvent::Transmitted(id)).is_err() {
            return;
        }
    }
}

/// Writes segments in order with vectored writes, so that the bytes of a batch are not copied. A write may be partial and
/// end within a segment.
fn write_frame(mut stream: &TcpStream, segments: &[Bytes]) -> io::Result<()> {
    let mut slices: Vec<IoSlice<'_>> = segments.iter().map(|segment| IoSlice::new(segment)).collect();
    let mut rest = &mut slices[..];
    IoSlice::advance_slices(&mut rest, 0); // skips empty segments
    while !rest.is_empty() {
        match stream.write_vectored(rest) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            count => IoSlice::advance_slices(&mut rest, count?),
        }
    }
    Ok(())
}
