//! What producers need of a runtime whose futures are not `Send`, and whose operations own their buffers (io_uring, thread per
//! core).

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Instant;

use bytes::Bytes;

/// The task of a producer on a [`LocalRuntime`]. It completes when the producer is closed.
pub type LocalProducerTask = Pin<Box<dyn Future<Output = ()>>>;

/// The maximum number of segments in one [`LocalRuntime::write`]: `IOV_MAX`.
pub(crate) const MAX_SEGMENTS: usize = 1_024;

/// The sockets and timers of a runtime whose futures stay on one thread, and whose operations own their buffers while they run:
/// the kernel reads and writes the memory itself (io_uring, IOCP). Nothing needs to be `Send`.
///
/// Each thread has producers of its own: [`ProducerBuilder::build_local`](crate::ProducerBuilder::build_local) returns a producer
/// and its task, which is to be spawned on that thread. The handle is the same [`Producer`](crate::Producer) as with any runtime.
/// It is `Send`, and if another thread uses it, the runtime's wakers must accept that.
///
/// A future that is dropped before it completes cancels its operation, and the runtime keeps the buffer until the kernel has
/// returned it, as runtimes of this kind do.
///
/// ```
/// use std::future::{Future, poll_fn, ready};
/// use std::io::{self, Read, Write};
/// use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
/// use std::sync::Arc;
/// use std::time::Instant;
///
/// use async_io::{Async, Timer};
/// use bytes::Bytes;
/// use kafka_batch_transport::{LocalRuntime, ProducerBuilder};
///
/// /// Not the real thing: this crate's tests have no io_uring, so the operations only have the same form.
/// #[derive(Debug)]
/// enum Local {}
///
/// impl LocalRuntime for Local {
///     type Reader = Arc<Async<TcpStream>>;
///     type Writer = Arc<Async<TcpStream>>;
///
///     async fn resolve(host: String, port: u16) -> io::Result<Vec<SocketAddr>> {
///         Ok((host, port).to_socket_addrs()?.collect())
///     }
///
///     async fn connect(address: SocketAddr) -> io::Result<(Self::Reader, Self::Writer)> {
///         let stream = Arc::new(Async::<TcpStream>::connect(address).await?);
///         stream.get_ref().set_nodelay(true)?;
///         Ok((stream.clone(), stream))
///     }
///
///     async fn read(stream: &mut Self::Reader, mut buffer: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
///         buffer.resize(buffer.capacity(), 0);
///         let read = stream.read_with(|mut stream| stream.read(&mut buffer)).await;
///         (read, buffer)
///     }
///
///     async fn write(stream: &mut Self::Writer, segments: Vec<Bytes>) -> io::Result<()> {
///         for mut segment in segments {
///             while !segment.is_empty() {
///                 let written = stream.write_with(|mut stream| stream.write(&segment)).await?;
///                 segment = segment.slice(written..);
///             }
///         }
///         Ok(())
///     }
///
///     async fn sleep_until(deadline: Instant) {
///         Timer::at(deadline).await;
///     }
/// }
///
/// let cluster = kafka_batch_testing::TestCluster::start();
/// let builder = ProducerBuilder::<Local>::default().set("bootstrap.servers", cluster.bootstrap_servers());
/// let (producer, task) = builder.build_local()?;
/// // A real runtime spawns the task on this thread. Here both are polled by hand.
/// # let mut task = task;
/// let sending = producer.send(("readings", 0), kafka_batch_core::Record::new("21.5"));
/// # let mut sending = std::pin::pin!(sending);
/// # let delivered = async_io::block_on(poll_fn(|context| {
/// #     let _ = task.as_mut().poll(context);
/// #     sending.as_mut().poll(context)
/// # }))?;
/// # assert_eq!(delivered.offset, Some(0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait LocalRuntime: 'static {
    /// The half of a connected TCP stream that reads.
    type Reader: 'static;
    /// The half that writes.
    type Writer: 'static;

    /// Resolves a host name, or the text of an IP address, without blocking the thread.
    fn resolve(host: String, port: u16) -> impl Future<Output = io::Result<Vec<SocketAddr>>>;

    /// Connects to this address, and sets `TCP_NODELAY`. There is no need for a timeout: a future that takes too long is
    /// dropped.
    fn connect(address: SocketAddr) -> impl Future<Output = io::Result<(Self::Reader, Self::Writer)>>;

    /// Reads into this buffer, from its beginning, and up to its capacity. Returns the number of bytes read, 0 at the end
    /// of the stream, and the buffer, whose first bytes they are. Its length is up to the runtime.
    fn read(reader: &mut Self::Reader, buffer: Vec<u8>) -> impl Future<Output = (io::Result<usize>, Vec<u8>)>;

    /// Writes all of these segments, in order. Their memory is shared, and not copied by the caller. There are at most 1,024, which
    /// is what one vectored operation takes on Linux, macOS and the BSDs.
    ///
    /// Over io_uring, submit the operation at once if the runtime has a function for that. Otherwise the broker gets the bytes only
    /// when the thread has nothing else to do, after it has filled the next batches.
    fn write(writer: &mut Self::Writer, segments: Vec<Bytes>) -> impl Future<Output = io::Result<()>>;

    /// Completes at this time.
    fn sleep_until(deadline: Instant) -> impl Future<Output = ()>;
}
