//! Sockets of `async-io`.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};

use async_io::Async;
use kafka_batch_transport::SocketOptions;
use socket2::{Domain, Protocol, Socket, Type};

pub(crate) async fn resolve(host: String, port: u16) -> io::Result<Vec<SocketAddr>> {
    Ok(blocking::unblock(move || (host, port).to_socket_addrs()).await?.collect())
}

pub(crate) async fn canonical_name(address: IpAddr) -> io::Result<String> {
    Ok(blocking::unblock(move || dns_lookup::lookup_addr(&address)).await?)
}

/// Connects as `Async::<TcpStream>::connect` does, but sets the options of the socket before.
pub(crate) async fn connect(address: SocketAddr, options: &SocketOptions) -> io::Result<Async<TcpStream>> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    // As in Java's client: an idle connection whose peer is gone without a word ends.
    socket.set_keepalive(true)?;
    set_options(&socket, options)?;
    match socket.connect(&address.into()) {
        Err(error) if !is_in_progress(&error) => return Err(error),
        _ => {}
    }
    let stream = Async::new_nonblocking(TcpStream::from(socket))?;
    stream.writable().await?;
    match stream.get_ref().take_error()? {
        Some(error) => Err(error),
        None => Ok(stream),
    }
}

fn set_options(socket: &Socket, options: &SocketOptions) -> io::Result<()> {
    let size = |bytes: u32| usize::try_from(bytes).unwrap_or(usize::MAX);
    if let Some(bytes) = options.send_buffer {
        socket.set_send_buffer_size(size(bytes))?;
    }
    if let Some(bytes) = options.receive_buffer {
        socket.set_recv_buffer_size(size(bytes))?;
    }
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Some(timeout) = options.tcp_user_timeout {
        socket.set_tcp_user_timeout(Some(timeout))?;
    }
    Ok(())
}

/// Returns `true` if an attempt to connect without blocking has begun.
fn is_in_progress(error: &io::Error) -> bool {
    #[cfg(unix)]
    if error.raw_os_error() == Some(libc::EINPROGRESS) {
        return true;
    }
    error.kind() == io::ErrorKind::WouldBlock
}

#[cfg(test)]
mod tests {
    use async_io::block_on;
    use socket2::SockRef;

    use super::*;

    #[test]
    fn small_writes_are_sent_without_delay() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = block_on(connect(listener.local_addr().unwrap(), &SocketOptions::default())).unwrap();
        assert!(stream.get_ref().nodelay().unwrap(), "TCP_NODELAY");
    }

    #[test]
    fn idle_connections_are_probed() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = block_on(connect(listener.local_addr().unwrap(), &SocketOptions::default())).unwrap();
        assert!(SockRef::from(stream.get_ref()).keepalive().unwrap(), "SO_KEEPALIVE");
    }

    /// Linux reports twice the size that was set, for its own use (socket(7)).
    #[cfg(target_os = "linux")]
    #[test]
    fn sockets_have_the_options_that_were_set() {
        let mut options = SocketOptions::default();
        (options.send_buffer, options.receive_buffer) = (Some(20_000), Some(10_000));
        options.tcp_user_timeout = Some(std::time::Duration::from_millis(7_500));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = block_on(connect(listener.local_addr().unwrap(), &options)).unwrap();
        let socket = SockRef::from(stream.get_ref());
        assert_eq!((socket.send_buffer_size().unwrap(), socket.recv_buffer_size().unwrap()), (40_000, 20_000));
        assert_eq!(socket.tcp_user_timeout().unwrap(), options.tcp_user_timeout);
    }

    #[test]
    fn a_refused_connection_is_an_error() {
        // Bound, so that nobody else can listen there.
        let silent = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        silent.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        let address = silent.local_addr().unwrap().as_socket().unwrap();
        let error = block_on(connect(address, &SocketOptions::default())).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn an_address_has_a_canonical_name() {
        let name = block_on(canonical_name(IpAddr::from([127, 0, 0, 1]))).unwrap();
        assert!(!name.is_empty() && name.parse::<IpAddr>().is_err(), "{name}");
    }
}
