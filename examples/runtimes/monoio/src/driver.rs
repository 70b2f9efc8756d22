//! [`LocalRuntime`] for monoio: io_uring on Linux.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Instant;

use bytes::{Buf, Bytes};
use kafka_batch_transport::LocalRuntime;
use monoio::blocking::DefaultThreadPool;
use monoio::buf::IoVecBuf;
use monoio::io::{AsyncReadRent, AsyncWriteRent, OwnedReadHalf, OwnedWriteHalf, Splitable};
use monoio::net::TcpStream;
use monoio::time::TimeDriver;
use monoio::{FusionDriver, FusionRuntime, IoUringDriver, LegacyDriver, RuntimeBuilder};

#[derive(Debug)]
pub enum Monoio {}

/// Returns a runtime for this thread: over io_uring, or epoll where the kernel does not have it, or does not allow it.
pub fn runtime() -> io::Result<FusionRuntime<TimeDriver<IoUringDriver>, TimeDriver<LegacyDriver>>> {
    let builder = RuntimeBuilder::<FusionDriver>::new().enable_timer();
    builder.attach_thread_pool(Box::new(DefaultThreadPool::new(1))).build()
}

impl LocalRuntime for Monoio {
    type Reader = OwnedReadHalf<TcpStream>;
    type Writer = OwnedWriteHalf<TcpStream>;

    /// monoio has no resolver of its own: the system's blocks, so it runs in the runtime's thread pool.
    async fn resolve(host: String, port: u16) -> io::Result<Vec<SocketAddr>> {
        let resolved = monoio::spawn_blocking(move || Ok((host, port).to_socket_addrs()?.collect())).await;
        resolved.unwrap_or_else(|_| Err(io::Error::other("the runtime has no thread pool for name resolution")))
    }

    async fn connect(address: SocketAddr) -> io::Result<(Self::Reader, Self::Writer)> {
        let stream = TcpStream::connect_addr(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream.into_split())
    }

    async fn read(reader: &mut Self::Reader, buffer: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        reader.read(buffer).await
    }

    /// The kernel gets all segments in one operation, and reads a batch from the memory that it was filled in.
    async fn write(writer: &mut Self::Writer, mut segments: Vec<Bytes>) -> io::Result<()> {
        let mut written = 0;
        loop {
            segments.retain_mut(|segment| {
                let of_this = written.min(segment.len());
                segment.advance(of_this);
                written -= of_this;
                !segment.is_empty()
            });
            if segments.is_empty() {
                return Ok(());
            }
            let (result, returned) = writer.writev(Segments::new(segments)).await;
            (written, segments) = (result?, returned.segments);
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
    }

    async fn sleep_until(deadline: Instant) {
        monoio::time::sleep_until(deadline.into()).await;
    }
}

/// Segments in the form in which the kernel takes them.
struct Segments {
    slices: Vec<libc::iovec>,
    segments: Vec<Bytes>,
}

impl Segments {
    fn new(segments: Vec<Bytes>) -> Self {
        let slice =
            |segment: &Bytes| libc::iovec { iov_base: segment.as_ptr().cast_mut().cast(), iov_len: segment.len() };
        Self { slices: segments.iter().map(slice).collect(), segments }
    }
}

// SAFETY: The slices are on the heap, and so is the memory that they point to, or it is static: neither moves with this value. It
// is not changed, and lives as long as `segments`.
unsafe impl IoVecBuf for Segments {
    fn read_iovec_ptr(&self) -> *const libc::iovec {
        self.slices.as_ptr()
    }

    fn read_iovec_len(&self) -> usize {
        self.slices.len()
    }
}
