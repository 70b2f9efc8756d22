//! Brokers on TCP ports: a thread that accepts connections for each broker, and for each connection a thread that reads and
//! one that writes.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::state::{ClientEnd, REPORTED_BYTES, Shared, lock};
#[cfg(feature = "tls")]
use super::tls::{Session, Tls};

/// The listener of connections over TCP.
pub(super) const LISTENER: usize = 0;

/// How long the end of a call of `accept` is waited for.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// Bytes that are written to a socket.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) bytes: Bytes,
    /// The number of bytes of responses that are in it, encrypted or not.
    pub(super) of_responses: usize,
}

/// Whether the bytes on the ports of a cluster are encrypted.
#[derive(Clone, Debug)]
pub(super) enum Encryption {
    None,
    #[cfg(feature = "tls")]
    Tls(Tls),
}

impl Encryption {
    /// Returns the two ends of the way to a client: what the cluster sends, and what is written to the socket.
    fn channel(&self) -> io::Result<(Channel, Receiver<Chunk>)> {
        let (sender, receiver) = mpsc::channel();
        let channel = match self {
            Self::None => Channel::Plain(sender),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => Channel::Tls(Arc::new(tls.accept(sender)?)),
        };
        Ok((channel, receiver))
    }
}

/// A way to the client's socket.
#[derive(Clone, Debug)]
enum Channel {
    Plain(Sender<Chunk>),
    #[cfg(feature = "tls")]
    Tls(Arc<Session>),
}

impl Channel {
    /// Sends bytes. They are dropped if the connection is closed.
    fn send(&self, bytes: Bytes) {
        match self {
            Self::Plain(sender) => drop(sender.send(Chunk { of_responses: bytes.len(), bytes })),
            #[cfg(feature = "tls")]
            Self::Tls(session) => session.send(&bytes),
        }
    }

    /// Returns what decrypts the bytes that are received.
    fn decryption(&self) -> Decryption {
        match self {
            Self::Plain(_) => Decryption::None,
            #[cfg(feature = "tls")]
            Self::Tls(session) => Decryption::Tls(Arc::clone(session)),
        }
    }

    /// Ends the way after everything was sent.
    fn close(self) {
        match self {
            Self::Plain(sender) => drop(sender),
            #[cfg(feature = "tls")]
            Self::Tls(session) => session.close(),
        }
    }

    /// Ends the way. What was sent may not arrive.
    fn abort(self) {
        match self {
            Self::Plain(sender) => drop(sender),
            #[cfg(feature = "tls")]
            Self::Tls(session) => session.abort(),
        }
    }
}

/// What decrypts the bytes of a connection.
enum Decryption {
    None,
    #[cfg(feature = "tls")]
    Tls(Arc<Session>),
}

impl Decryption {
    /// Passes bytes to a function, decrypted if necessary.
    fn apply<T>(&self, bytes: &[u8], function: impl FnOnce(&[u8]) -> T) -> io::Result<T> {
        match self {
            Self::None => Ok(function(bytes)),
            #[cfg(feature = "tls")]
            Self::Tls(session) => session.receive(bytes).map(|bytes| function(&bytes)),
        }
    }
}

/// File descriptors, which are used to end a call of `accept` in a process that has no other ones left: one for the connection
/// that ends it, and one that the call may take, if it begins then.
#[derive(Debug)]
pub(super) struct Reserve(Mutex<Vec<UdpSocket>>);

impl Reserve {
    pub(super) fn new() -> Self {
        let reserve = Self(Mutex::new(Vec::new()));
        reserve.restore();
        reserve
    }

    fn release(&self) {
        lock(&self.0).clear();
    }

    /// Opens them again, if possible.
    fn restore(&self) {
        let mut sockets = lock(&self.0);
        let missing = 2 - sockets.len();
        sockets.extend((0..missing).map_while(|_| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).ok()));
    }
}

/// Accepts the connections of a broker.
#[derive(Debug)]
pub(super) struct Acceptor {
    broker: i32,
    address: SocketAddr,
    is_stopping: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Acceptor {
    /// Starts accepting connections.
    pub(super) fn spawn(
        listener: TcpListener,
        broker: i32,
        encryption: &Encryption,
        shared: &Arc<Shared>,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let is_stopping = Arc::new(AtomicBool::new(false));
        let (stopping, encryption, shared) = (Arc::clone(&is_stopping), encryption.clone(), Arc::clone(shared));
        let thread = thread::Builder::new().name(format!("kafka broker {broker}")).spawn(move || {
            while let Some(stream) = accept(&listener, &stopping) {
                // Without a thread for it, the connection is closed.
                let _ = serve(stream, broker, &encryption, &shared);
            }
        })?;
        Ok(Self { broker, address, is_stopping, thread })
    }

    /// Returns the broker.
    pub(super) const fn broker(&self) -> i32 {
        self.broker
    }

    /// Closes the port. Connections remain.
    pub(super) fn stop(self, reserve: &Reserve) {
        self.is_stopping.store(true, Ordering::SeqCst);
        let until = Instant::now() + STOP_PATIENCE;
        // A connection ends the call of `accept`.
        while TcpStream::connect_timeout(&self.address, STOP_PATIENCE).is_err() && !self.thread.is_finished() {
            reserve.release();
            if Instant::now() > until {
                return; // others took the descriptors: the thread remains
            }
            thread::sleep(Duration::from_millis(1));
        }
        let _ = self.thread.join();
        reserve.restore();
    }
}

/// Returns the next connection; `None` if the port is to be closed.
fn accept(listener: &TcpListener, is_stopping: &AtomicBool) -> Option<TcpStream> {
    while !is_stopping.load(Ordering::SeqCst) {
        let accepted = listener.accept();
        if is_stopping.load(Ordering::SeqCst) {
            return None;
        }
        match accepted {
            Ok((stream, _)) => return Some(stream),
            // Out of file descriptors, for example, which others may release.
            Err(_) => thread::sleep(Duration::from_millis(1)),
        }
    }
    None
}

/// Starts the threads of a connection.
fn serve(stream: TcpStream, broker: i32, encryption: &Encryption, shared: &Arc<Shared>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (channel, receiver) = encryption.channel()?;
    let decryption = channel.decryption();
    let reading = stream.try_clone()?;
    let stream = Arc::new(stream);
    let outgoing = Outgoing { channel, stream: Arc::clone(&stream) };
    let Some(number) = shared.connect(broker, LISTENER, ClientEnd::Tcp(outgoing)) else {
        return Ok(());
    };
    let writer = thread::Builder::new().name(format!("kafka writer {number}")).spawn({
        let shared = Arc::clone(shared);
        move || write(&stream, number, &receiver, &shared)
    });
    let writer = writer.inspect_err(|_| shared.client_closed(number))?;
    shared.add_thread(writer);
    let of_reader = Arc::clone(shared);
    let read = move || read(reading, number, &decryption, &of_reader);
    let reader = thread::Builder::new().name(format!("kafka reader {number}")).spawn(read);
    let reader = reader.inspect_err(|_| shared.client_closed(number))?;
    shared.add_thread(reader);
    Ok(())
}

fn read(mut stream: TcpStream, number: u64, decryption: &Decryption, shared: &Shared) {
    let mut buffer = vec![0; 1 << 16];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => {
                let receive = |bytes: &[u8]| bytes.is_empty() || shared.receive_and_wait(number, bytes);
                if !decryption.apply(&buffer[..read], receive).unwrap_or(false) {
                    break;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    shared.client_closed(number);
}

fn write(mut stream: &TcpStream, number: u64, receiver: &Receiver<Chunk>, shared: &Shared) {
    let mut unreported = 0;
    for Chunk { bytes, of_responses } in receiver {
        if stream.write_all(&bytes).is_err() {
            // The thread that reads may wait until the client has read.
            shared.client_closed(number);
            break;
        }
        unreported += of_responses;
        if unreported >= REPORTED_BYTES {
            shared.sent(number, std::mem::take(&mut unreported));
        }
    }
    // Ends the thread that reads, too. The connection may be closed already.
    let _ = stream.shutdown(Shutdown::Both);
}

/// The way to the client.
#[derive(Debug)]
pub(super) struct Outgoing {
    channel: Channel,
    stream: Arc<TcpStream>,
}

impl Outgoing {
    /// Sends bytes. They are dropped if the connection is closed.
    pub(super) fn send(&self, bytes: Bytes) {
        self.channel.send(bytes);
    }

    /// Closes the connection after everything was sent. Returns what can still close it at once, until then.
    pub(super) fn finish(self) -> Finishing {
        self.channel.close();
        Finishing(Arc::downgrade(&self.stream))
    }

    /// Closes the connection at once.
    pub(super) fn abort(self) {
        self.channel.abort();
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// A connection that is closed once everything was sent, which a client that does not read may prevent.
#[derive(Debug)]
pub(super) struct Finishing(Weak<TcpStream>);

impl Finishing {
    /// Returns `true` if it is closed.
    pub(super) fn is_closed(&self) -> bool {
        self.0.strong_count() == 0
    }

    /// Closes the connection at once.
    pub(super) fn abort(self) {
        if let Some(stream) = self.0.upgrade() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}
