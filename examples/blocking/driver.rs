//! How to drive the producer machine: over `std::net`, without any async runtime.
//!
//! The machine ([`Machine`]) knows Kafka and no sockets, a driver knows sockets and no Kafka. It does what the machine
//! says, tells it what happened, and knows what time it is. That is all, and [`BlockingProducer::next_event`] is the whole
//! of it: poll until the machine says `Wait`, then wait for news.
//!
//! ```text
//!                                  one thread for each
//!                  ┌── connect ──▶ attempt to connect ──┐
//!  next_event ─────┼── transmit ─▶ writing connection ──┼──▶ news ──▶ next_event
//!                  └─────────────▶ reading connection ──┘
//! ```
//! A thread that blocks can wait for one thing only. So each connection has a thread that reads and one that writes, and
//! looking up a name and connecting, which can take long as well, has one too. All of them tell their news through one
//! channel, and there the driver waits: until news come, or the moment that the machine has named.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::thread;
use std::time::{Duration, Instant as Moment, SystemTime};

use bytes::Bytes;
use kafka_batch::machine::{
    BatchId, Clock, CloseMode, ConnectionId, Disconnect, Event, Input, Instant, Machine, Output, ProducerConfig,
    SendError,
};
use kafka_batch::{SealedBatch, TopicPartition};

/// A producer for programs that block. It is driven by the thread that asks it for [events](Self::next_event); as long as
/// nobody does, nothing new is sent.
pub(crate) struct BlockingProducer {
    machine: Machine,
    begun: Moment,
    connect_limit: Duration,
    /// `None` while it is still being made. One that is not here any more is closed.
    connections: HashMap<ConnectionId, Option<Connection>>,
    tell: SyncSender<News>,
    news: Receiver<News>,
}

/// What the threads have to tell.
enum News {
    Connected(ConnectionId, TcpStream),
    Received(ConnectionId, Vec<u8>),
    Written(ConnectionId),
    Closed(ConnectionId, Disconnect, Option<io::Error>),
}

/// When so much is untold, those who read wait, and with them the brokers: memory stays bounded.
const MOST_NEWS: usize = 64;

impl BlockingProducer {
    /// Clock and chance are the driver's: the machine has neither.
    pub(crate) fn new(config: ProducerConfig) -> Self {
        let clock = Clock { now: Instant::START, wall: SystemTime::now().into() };
        let seed = RandomState::new().hash_one(0);
        let (tell, news) = mpsc::sync_channel(MOST_NEWS);
        Self {
            begun: Moment::now(),
            connect_limit: config.socket_connection_setup_timeout,
            machine: Machine::new(config, clock, seed),
            connections: HashMap::new(),
            tell,
            news,
        }
    }

    // Commands. They only queue, so they can be given at any time between two events. Where driver and application are
    // not the same thread, commands are news too, and none is taken while `machine.has_room()` says no.

    pub(crate) fn lookup_topic(&mut self, topic: &str) {
        self.machine.lookup_topic(topic, self.now());
    }

    pub(crate) fn send(&mut self, batch: SealedBatch, to: TopicPartition) -> Result<BatchId, SendError> {
        self.machine.send(batch, to, self.now())
    }

    pub(crate) fn close(&mut self, mode: CloseMode) {
        self.machine.close(mode, self.now());
    }

    // The loop.

    /// Does what there is to do until the machine has something to tell; `None` if it has not for so long.
    pub(crate) fn next_event(&mut self, patience: Duration) -> Option<Event> {
        let enough = self.now() + patience;
        // First what has come while nobody listened: else the machine would take answers that wait here for overdue.
        for _ in 0..MOST_NEWS {
            let Ok(news) = self.news.try_recv() else { break };
            self.take_in(news);
        }
        loop {
            match self.machine.poll_output(self.now()) {
                Output::Connect { connection, host, port } => self.connect(connection, host, port),
                Output::Transmit { connection, bytes } => self.transmit(connection, bytes),
                Output::Close(connection) => drop(self.connections.remove(&connection)),
                Output::Event(event) => return Some(event),
                // Only now is there nothing left to do, so only now may it sleep.
                Output::Wait(deadline) => {
                    let until = deadline.map_or(enough, |deadline| deadline.min(enough));
                    match self.news.recv_timeout(until.since(self.now())) {
                        Ok(news) => self.take_in(news),
                        Err(_) if self.now() >= enough => return None,
                        Err(_) => {} // the machine's moment has come: it will say what for
                    }
                }
            }
        }
    }

    fn take_in(&mut self, news: News) {
        let now = self.now();
        match news {
            News::Connected(id, stream) => {
                // The machine may have given the attempt up. Then nobody takes the stream, and so it closes.
                let Some(connection) = self.connections.get_mut(&id) else { return };
                match Connection::new(id, stream, &self.tell) {
                    Ok(made) => {
                        *connection = Some(made);
                        self.machine.handle_input(Input::Connected(id), now);
                    }
                    Err(error) => self.take_in(News::Closed(id, Disconnect::NotConnected, Some(error))),
                }
            }
            News::Received(id, bytes) => self.machine.handle_input(Input::Received(id, &bytes), now),
            News::Written(id) => self.machine.handle_input(Input::Written(id), now),
            News::Closed(id, how, error) => {
                if self.connections.remove(&id).is_some() {
                    let details = error.map(|error| error.to_string()); // for people to read
                    self.machine.handle_input(Input::Closed(id, how, details.as_deref()), now);
                }
            }
        }
    }

    fn connect(&mut self, id: ConnectionId, host: String, port: u16) {
        self.connections.insert(id, None);
        let (tell, limit) = (self.tell.clone(), self.connect_limit);
        let begun = thread::Builder::new().spawn(move || {
            let made = connect(&host, port, limit);
            // If the driver is gone, there is nobody left to tell, here and below.
            let _ = tell.send(match made {
                Ok(stream) => News::Connected(id, stream),
                Err(error) => News::Closed(id, Disconnect::NotConnected, Some(error)),
            });
        });
        if let Err(error) = begun {
            // No thread is to be had: the machine will try again.
            self.take_in(News::Closed(id, Disconnect::NotConnected, Some(error)));
        }
    }

    fn transmit(&mut self, id: ConnectionId, frame: Vec<Bytes>) {
        if let Some(Some(connection)) = self.connections.get(&id) {
            let _ = connection.frames.send(frame); // where writing has ended, reading will too, and say why
        }
    }

    /// The moment, as the machine counts it.
    fn now(&self) -> Instant {
        Instant::from_start(self.begun.elapsed())
    }
}

/// Tries one address of a name after the other. Each has its share of the time, so that one which keeps silent leaves some
/// to the next. (The system decides how long the look-up takes; the machine does not wait for it longer than that.)
fn connect(host: &str, port: u16, limit: Duration) -> io::Result<TcpStream> {
    let begun = Moment::now();
    let addresses: Vec<SocketAddr> = (host, port).to_socket_addrs()?.collect();
    let mut result = Err(ErrorKind::NotFound.into());
    for (address, untried) in addresses.iter().zip((1..=addresses.len() as u32).rev()) {
        let share = limit.saturating_sub(begun.elapsed()) / untried;
        result = TcpStream::connect_timeout(address, share);
        if result.is_ok() {
            break;
        }
    }
    let stream = result?;
    stream.set_nodelay(true)?; // requests are whole: nothing is won by waiting for more
    Ok(stream)
}

/// A connection that stands. Dropping it ends it, whatever its threads are at.
struct Connection {
    stream: Arc<TcpStream>,
    /// What is to be written; the machine sees to it that it is not much.
    frames: Sender<Vec<Bytes>>,
}

impl Connection {
    fn new(id: ConnectionId, stream: TcpStream, tell: &SyncSender<News>) -> io::Result<Self> {
        let (frames, to_write) = mpsc::channel();
        let connection = Self { stream: Arc::new(stream), frames };
        let (stream, teller) = (connection.stream.clone(), tell.clone());
        thread::Builder::new().spawn(move || write(id, &stream, to_write, &teller))?;
        let (stream, teller) = (connection.stream.clone(), tell.clone());
        thread::Builder::new().spawn(move || read(id, &stream, &teller))?;
        Ok(connection)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both); // or it has ended already
    }
}

/// Reads to the end, and is the one to tell of it: what came before the end is told before it.
fn read(id: ConnectionId, mut stream: &TcpStream, tell: &SyncSender<News>) {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let news = match stream.read(&mut buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Ok(0) => News::Closed(id, Disconnect::ByPeer, None),
            Ok(length) => News::Received(id, buffer[..length].to_vec()),
            Err(error) => News::Closed(id, Disconnect::Broken, Some(error)),
        };
        let ended = matches!(news, News::Closed(..));
        if tell.send(news).is_err() || ended {
            return;
        }
    }
}

/// Writes frames until there will be no more, and tells of each that is written.
fn write(id: ConnectionId, stream: &TcpStream, frames: Receiver<Vec<Bytes>>, tell: &SyncSender<News>) {
    for frame in frames {
        if write_frame(stream, &frame).is_err() {
            let _ = stream.shutdown(Shutdown::Both); // so that reading ends as well
            return;
        }
        if tell.send(News::Written(id)).is_err() {
            return;
        }
    }
}

/// Writes segments one after the other, without joining them: bytes of a batch go from where they are into the socket.
/// The system takes as much at a time as it likes, and may stop in the middle of a segment.
fn write_frame(mut stream: &TcpStream, segments: &[Bytes]) -> io::Result<()> {
    let mut slices: Vec<IoSlice<'_>> = segments.iter().map(|segment| IoSlice::new(segment)).collect();
    let mut rest = &mut slices[..];
    IoSlice::advance_slices(&mut rest, 0); // past empty segments
    while !rest.is_empty() {
        match stream.write_vectored(rest) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            written => IoSlice::advance_slices(&mut rest, written?),
        }
    }
    Ok(())
}
