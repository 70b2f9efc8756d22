//! [`LocalRuntime`] for compio: io_uring on Linux, IOCP on Windows, and polling elsewhere.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::Poll;
use std::time::Instant;

use bytes::Bytes;
use compio::BufResult;
use compio::driver::ProactorBuilder;
use compio::io::{AsyncRead, AsyncWriteExt};
use compio::net::{TcpStream, ToSocketAddrsAsync};
use compio::runtime::{Runtime, RuntimeBuilder};
use kafka_batch_transport::LocalRuntime;

#[derive(Debug)]
pub enum Compio {}

/// Returns a runtime for this thread. The kernel completes operations while the thread waits for them, and does not interrupt it
/// for that: Linux 6.1 or newer. Elsewhere it is the default runtime.
pub fn runtime() -> io::Result<Runtime> {
    let mut ring = ProactorBuilder::new();
    // The flag says that completions wait, also while the thread has tasks to run and does not wait.
    ring.single_issuer(true).defer_taskrun(true).taskrun_flag(true);
    RuntimeBuilder::new().with_proactor(ring).build().or_else(|_| Runtime::new())
}

impl LocalRuntime for Compio {
    type Reader = TcpStream;
    type Writer = TcpStream;

    async fn resolve(host: String, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok((&*host, port).to_socket_addrs_async().await?.collect())
    }

    async fn connect(address: SocketAddr) -> io::Result<(TcpStream, TcpStream)> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok((stream.clone(), stream))
    }

    async fn read(stream: &mut TcpStream, mut buffer: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        buffer.clear();
        let BufResult(read, buffer) = stream.read(buffer).await;
        (read, buffer)
    }

    /// The kernel gets all segments in one operation, and reads a batch from the memory that it was filled in. It gets them at once,
    /// and not only when this thread has nothing else to do: the broker works while other tasks fill the next batches.
    async fn write(stream: &mut TcpStream, segments: Vec<Bytes>) -> io::Result<()> {
        let mut write = pin!(stream.write_vectored_all(segments));
        let BufResult(written, _) = match poll_fn(|context| Poll::Ready(write.as_mut().poll(context))).await {
            Poll::Ready(written) => written,
            Poll::Pending => {
                Runtime::with_current(Runtime::flush);
                write.await
            }
        };
        written
    }

    async fn sleep_until(deadline: Instant) {
        compio::time::sleep_until(deadline).await;
    }
}
