//! [`LocalRuntime`] for embassy: the sockets of embassy-net, and the timers of embassy-time.

use std::cell::{OnceCell, RefCell};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;
use embassy_net::Stack;
use embassy_net::tcp::client::{TcpClient, TcpClientState, TcpConnection};
use embassy_time::Timer;
use embedded_io_async::{Error, Read, Write};
use embedded_nal_async::TcpConnect;
use kafka_batch_transport::LocalRuntime;

/// How many connections there can be, and the size of each of the two buffers of one, in bytes.
const CONNECTIONS: usize = 8;
const BUFFER: usize = 4096;

type State = TcpClientState<CONNECTIONS, BUFFER, BUFFER>;
type Connection = TcpConnection<'static, CONNECTIONS, BUFFER, BUFFER>;

thread_local! {
    /// The network of this thread's executor.
    static CLIENT: OnceCell<&'static TcpClient<'static, CONNECTIONS, BUFFER, BUFFER>> = const { OnceCell::new() };
}

/// Sets the network of this thread, once.
pub fn set_network(stack: Stack<'static>) {
    let state: &'static State = Box::leak(Box::new(State::new()));
    let client = Box::leak(Box::new(TcpClient::new(stack, state)));
    CLIENT.with(|cell| assert!(cell.set(client).is_ok(), "the network of this thread is set already"));
}

fn error(error: impl Error) -> io::Error {
    let kind = match error.kind() {
        embedded_io_async::ErrorKind::ConnectionReset => io::ErrorKind::ConnectionReset,
        embedded_io_async::ErrorKind::TimedOut => io::ErrorKind::TimedOut,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, format!("{error:?}"))
}

#[derive(Debug)]
pub enum Embassy {}

/// A socket of embassy-net has its own buffers and no state in its futures, so each poll can begin a new read or write.
impl LocalRuntime for Embassy {
    type Reader = Rc<RefCell<Connection>>;
    type Writer = Rc<RefCell<Connection>>;

    /// Only addresses: embassy-net can look up names, too, by its feature `dns`.
    async fn resolve(host: String, port: u16) -> io::Result<Vec<SocketAddr>> {
        let address = host.parse().map_err(|error| io::Error::new(io::ErrorKind::NotFound, error));
        Ok(vec![SocketAddr::new(address?, port)])
    }

    async fn connect(address: SocketAddr) -> io::Result<(Self::Reader, Self::Writer)> {
        let client = CLIENT.with(|cell| cell.get().copied()).ok_or(io::ErrorKind::NetworkDown)?;
        let connection = Rc::new(RefCell::new(client.connect(address).await.map_err(error)?));
        Ok((connection.clone(), connection))
    }

    async fn read(connection: &mut Self::Reader, mut buffer: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        buffer.resize(buffer.capacity(), 0);
        let read = poll_fn(|context| pin!(connection.borrow_mut().read(&mut buffer)).poll(context)).await;
        (read.map_err(error), buffer)
    }

    async fn write(connection: &mut Self::Writer, segments: Vec<Bytes>) -> io::Result<()> {
        for mut segment in segments {
            while !segment.is_empty() {
                let written = poll_fn(|context| pin!(connection.borrow_mut().write(&segment)).poll(context)).await;
                segment = segment.slice(written.map_err(error)?..);
            }
        }
        poll_fn(|context| pin!(connection.borrow_mut().flush()).poll(context)).await.map_err(error)
    }

    async fn sleep_until(deadline: Instant) {
        let left = deadline.saturating_duration_since(Instant::now());
        Timer::after_micros(left.as_micros() as u64).await;
    }
}
