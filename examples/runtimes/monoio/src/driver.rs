//! [`LocalRuntime`] for monoio: io_uring on Linux.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Instant;

use bytes::Bytes;
use kafka_batch_transport::LocalRuntime;
use monoio::io::{AsyncReadRent, AsyncWriteRentExt, OwnedReadHalf, OwnedWriteHalf, Splitable};
use monoio::net::TcpStream;

#[derive(Debug)]
pub enum Monoio {}

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

    async fn write(writer: &mut Self::Writer, segments: Vec<Bytes>) -> io::Result<()> {
        for segment in segments {
            writer.write_all(segment).await.0?;
        }
        Ok(())
    }

    async fn sleep_until(deadline: Instant) {
        monoio::time::sleep_until(deadline.into()).await;
    }
}
