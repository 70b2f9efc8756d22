//! Sockets of `async-io`.

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};

use async_io::Async;
use socket2::SockRef;

pub(crate) async fn resolve(host: String, port: u16) -> io::Result<Vec<SocketAddr>> {
    Ok(blocking::unblock(move || (host, port).to_socket_addrs()).await?.collect())
}

pub(crate) async fn connect(address: SocketAddr) -> io::Result<Async<TcpStream>> {
    let stream = Async::<TcpStream>::connect(address).await?;
    stream.get_ref().set_nodelay(true)?;
    // As in Java's client: an idle connection whose peer is gone without a word ends.
    SockRef::from(stream.get_ref()).set_keepalive(true)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_writes_are_sent_without_delay() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = async_io::block_on(connect(listener.local_addr().unwrap())).unwrap();
        assert!(stream.get_ref().nodelay().unwrap(), "TCP_NODELAY");
    }

    #[test]
    fn idle_connections_are_probed() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = async_io::block_on(connect(listener.local_addr().unwrap())).unwrap();
        assert!(SockRef::from(stream.get_ref()).keepalive().unwrap(), "SO_KEEPALIVE");
    }
}
