//! Brokers on TCP ports: a thread that accepts connections for each broker, and for each connection a thread that reads and
//! one that writes.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;

use super::state::{ClientEnd, Shared};

/// The listener of connections over TCP.
pub(super) const LISTENER: usize = 0;

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
    pub(super) fn spawn(listener: TcpListener, broker: i32, shared: &Arc<Shared>) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let is_stopping = Arc::new(AtomicBool::new(false));
        let (stopping, shared) = (Arc::clone(&is_stopping), Arc::clone(shared));
        let thread = thread::Builder::new().name(format!("kafka broker {broker}")).spawn(move || {
            while let Some(stream) = accept(&listener, &stopping) {
                // Without a thread for it, the connection is closed.
                let _ = serve(stream, broker, &shared);
            }
        })?;
        Ok(Self { broker, address, is_stopping, thread })
    }

    /// Returns the broker.
    pub(super) const fn broker(&self) -> i32 {
        self.broker
    }

    /// Closes the port. Connections remain.
    pub(super) fn stop(self) {
        self.is_stopping.store(true, Ordering::SeqCst);
        // Ends the call of `accept`.
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(5));
        let _ = self.thread.join();
    }
}

/// Returns the next connection; `None` if the port is to be closed.
fn accept(listener: &TcpListener, is_stopping: &AtomicBool) -> Option<TcpStream> {
    loop {
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
}

/// Starts the threads of a connection.
fn serve(stream: TcpStream, broker: i32, shared: &Arc<Shared>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (sender, receiver) = mpsc::channel();
    let reading = stream.try_clone()?;
    let stream = Arc::new(stream);
    let Some(number) =
        shared.connect(broker, LISTENER, ClientEnd::Tcp(Outgoing { bytes: sender, stream: Arc::clone(&stream) }))
    else {
        return Ok(());
    };
    let writer = thread::Builder::new().name(format!("kafka writer {number}")).spawn(move || write(&stream, &receiver));
    let writer = writer.inspect_err(|_| shared.client_closed(number))?;
    shared.add_thread(writer);
    let of_reader = Arc::clone(shared);
    let reader =
        thread::Builder::new().name(format!("kafka reader {number}")).spawn(move || read(reading, number, &of_reader));
    let reader = reader.inspect_err(|_| shared.client_closed(number))?;
    shared.add_thread(reader);
    Ok(())
}

fn read(mut stream: TcpStream, number: u64, shared: &Shared) {
    let mut buffer = vec![0; 1 << 16];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) if shared.receive_and_wait(number, &buffer[..read]) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(_) | Err(_) => break,
        }
    }
    shared.client_closed(number);
}

fn write(mut stream: &TcpStream, receiver: &Receiver<Bytes>) {
    for bytes in receiver {
        if stream.write_all(&bytes).is_err() {
            break;
        }
    }
    // Ends the thread that reads, too. The connection may be closed already.
    let _ = stream.shutdown(Shutdown::Both);
}

/// The way to the client.
#[derive(Debug)]
pub(super) struct Outgoing {
    bytes: Sender<Bytes>,
    stream: Arc<TcpStream>,
}

impl Outgoing {
    /// Sends bytes. They are dropped if the connection is closed.
    pub(super) fn send(&self, bytes: Bytes) {
        let _ = self.bytes.send(bytes);
    }

    /// Closes the connection after everything was sent. Returns what can still close it at once, until then.
    pub(super) fn finish(self) -> Finishing {
        Finishing(Arc::downgrade(&self.stream))
    }

    /// Closes the connection at once.
    pub(super) fn abort(self) {
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
