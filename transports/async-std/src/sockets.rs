//! Sockets of `async-io`.

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};

use async_io::Async;

pub(crate) async fn resolve(host: String, port: u16) -> io::Result<Vec<SocketAddr>> {
    Ok(blocking::unblock(move || (host, port).to_socket_addrs()).await?.collect())
}

pub(crate) async fn connect(address: SocketAddr) -> io::Result<Async<TcpStream>> {
    let stream = Async::<TcpStream>::connect(address).await?;
    stream.get_ref().set_nodelay(true)?;
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
}
