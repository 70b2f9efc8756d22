//! Connections without sockets: byte streams in memory, with the traits of `futures-io`.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Waker};

use bytes::{Buf as _, Bytes};
use futures_io::{AsyncRead, AsyncWrite};

use super::state::{ClientEnd, REPORTED_BYTES, Shared, lock};
use crate::broker::PORT;

/// The listener of connections in memory.
const LISTENER: usize = 1;

/// The clusters of this process by their number, which is in their addresses.
static CLUSTERS: Mutex<Registry> = Mutex::new(Registry { next: 0, clusters: BTreeMap::new() });

#[derive(Debug)]
struct Registry {
    next: u32,
    clusters: BTreeMap<u32, Weak<Shared>>,
}

/// The addresses of a cluster in memory, which are valid until it is dropped.
#[derive(Debug)]
pub(super) struct Registration {
    cluster: u32,
}

impl Registration {
    pub(super) fn new(_brokers: usize) -> Self {
        let mut registry = lock(&CLUSTERS);
        registry.next += 1;
        Self { cluster: registry.next }
    }

    pub(super) fn register(&self, shared: &Arc<Shared>) {
        lock(&CLUSTERS).clusters.insert(self.cluster, Arc::downgrade(shared));
    }

    /// Returns the address of the broker at this position. It is in the range that is reserved for documentation (RFC
    /// 3849), so that it can never be that of a host.
    pub(super) fn address(&self, position: usize) -> SocketAddr {
        let [high, low] = [(self.cluster >> 16) as u16, self.cluster as u16];
        let ip = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, high, low, 0, position as u16 + 1);
        SocketAddr::new(IpAddr::V6(ip), PORT)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        lock(&CLUSTERS).clusters.remove(&self.cluster);
    }
}

/// Returns the cluster and the broker with this address.
fn find(address: SocketAddr) -> Option<(Arc<Shared>, i32)> {
    let IpAddr::V6(ip) = address.ip() else { return None };
    let [0x2001, 0xdb8, 0, 0, high, low, 0, broker] = ip.segments() else { return None };
    let cluster = u32::from(high) << 16 | u32::from(low);
    let shared = lock(&CLUSTERS).clusters.get(&cluster)?.upgrade()?;
    Some((shared, broker.into()))
}

/// A connection to a broker of a [`TestCluster`](crate::TestCluster) of this process, without a socket.
///
/// What a client writes is executed by the broker on the client's thread, within the call.
///
/// # Examples
/// A producer without sockets, with tokio's timers, for property-based tests of many cases:
///
/// ```
/// use std::io;
/// use std::net::{IpAddr, SocketAddr};
/// use std::pin::Pin;
/// use std::time::Instant;
///
/// use kafka_batch_testing::{MemoryStream, TestCluster};
/// use kafka_batch_transport::{ConfigError, ProducerTask, Runtime, SocketOptions, Spawn, runtime_producer};
/// use tokio::time::{Sleep, sleep_until};
///
/// runtime_producer! {
///     /// A producer without sockets.
///     MemoryProducer, Memory
/// }
///
/// #[derive(Debug)]
/// enum Memory {}
///
/// impl Runtime for Memory {
///     type Producer = MemoryProducer;
///     type Stream = MemoryStream;
///     type Timer = Sleep;
///
///     async fn resolve(host: String, port: u16) -> io::Result<Vec<SocketAddr>> {
///         let ip: IpAddr = host.parse().map_err(|_| io::ErrorKind::NotFound)?;
///         Ok(vec![SocketAddr::new(ip, port)])
///     }
///
///     async fn connect(address: SocketAddr, _: &SocketOptions) -> io::Result<MemoryStream> {
///         MemoryStream::connect(address)
///     }
///
///     fn timer(at: Instant) -> Sleep {
///         sleep_until(at.into())
///     }
///
///     fn reset(timer: Pin<&mut Sleep>, at: Instant) {
///         timer.reset(at.into());
///     }
/// }
///
/// impl Spawn for Memory {
///     fn spawn(task: ProducerTask) -> Result<(), ConfigError> {
///         drop(tokio::runtime::Handle::current().spawn(task));
///         Ok(())
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cluster = TestCluster::builder().topic("orders").without_sockets().start()?;
/// let producer = MemoryProducer::builder().set("bootstrap.servers", cluster.in_memory_servers()).build()?;
/// producer.send("orders", "three books").await?;
/// assert_eq!(cluster.log("orders", 0).expect("a partition").values()?, ["three books"]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct MemoryStream {
    shared: Arc<Shared>,
    number: u64,
    inbox: Arc<Inbox>,
    is_closed: bool,
}

impl MemoryStream {
    /// Connects to a broker at one of the addresses of
    /// [`TestCluster::in_memory_servers`](crate::TestCluster::in_memory_servers).
    ///
    /// # Errors
    /// Returns [`ConnectionRefused`](io::ErrorKind::ConnectionRefused) if there is no running broker with this address.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let (shared, broker) = find(address).ok_or_else(refused)?;
        let inbox = Arc::new(Inbox::default());
        let number = shared.connect(broker, LISTENER, ClientEnd::Memory(Arc::clone(&inbox))).ok_or_else(refused)?;
        Ok(Self { shared, number, inbox, is_closed: false })
    }

    fn close(&mut self) {
        if !self.is_closed {
            self.is_closed = true;
            self.shared.client_closed(self.number);
        }
    }
}

impl Drop for MemoryStream {
    fn drop(&mut self) {
        self.close();
    }
}

impl AsyncRead for MemoryStream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut state = lock(&self.inbox.0);
        let mut read = 0;
        while let Some(first) = state.bytes.front_mut().filter(|_| read < buffer.len()) {
            let count = first.len().min(buffer.len() - read);
            buffer[read..read + count].copy_from_slice(&first[..count]);
            first.advance(count);
            read += count;
            if first.is_empty() {
                state.bytes.pop_front();
            }
        }
        state.unreported += read;
        if state.unreported >= REPORTED_BYTES {
            let bytes = std::mem::take(&mut state.unreported);
            drop(state); // the broker may send more
            self.shared.sent(self.number, bytes);
            return Poll::Ready(Ok(read));
        }
        if read > 0 || buffer.is_empty() || state.is_closed {
            return Poll::Ready(Ok(read));
        }
        state.reader = Some(context.waker().clone());
        Poll::Pending
    }
}

impl AsyncWrite for MemoryStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_closed {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        }
        // Before the broker is asked, so that no wake-up is lost.
        lock(&self.inbox.0).writer = Some(context.waker().clone());
        match self.shared.try_receive(self.number, bytes) {
            None => Poll::Pending,
            Some(true) => Poll::Ready(Ok(bytes.len())),
            Some(false) => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.close();
        Poll::Ready(Ok(()))
    }
}

/// What a client in memory can read.
#[derive(Debug, Default)]
pub(super) struct Inbox(Mutex<InboxState>);

#[derive(Debug, Default)]
struct InboxState {
    bytes: VecDeque<Bytes>,
    /// The number of bytes that the client has read, and of which the broker does not know.
    unreported: usize,
    is_closed: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Inbox {
    /// Adds bytes. Returns what is to be woken.
    pub(super) fn push(&self, bytes: Bytes) -> Option<Waker> {
        let mut state = lock(&self.0);
        if !bytes.is_empty() {
            state.bytes.push_back(bytes);
        }
        state.reader.take()
    }

    /// Ends the stream after the bytes. Returns what is to be woken.
    pub(super) fn close(&self) -> Vec<Waker> {
        let mut state = lock(&self.0);
        state.is_closed = true;
        state.reader.take().into_iter().chain(state.writer.take()).collect()
    }

    /// Returns what is to be woken because the broker reads.
    pub(super) fn unmute(&self) -> Option<Waker> {
        lock(&self.0).writer.take()
    }
}
