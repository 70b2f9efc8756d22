//! Connecting to a host by name.

use std::future::{Future, poll_fn};
use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::{Duration, Instant};

use async_io::{Async, Timer};
use kafka_batch_transport::connect_to_any;

pub(crate) async fn connect(host: String, port: u16, until: Instant, failures: usize) -> io::Result<Async<TcpStream>> {
    let addresses = blocking::unblock(move || (host, port).to_socket_addrs()).await?.collect();
    connect_to_any(addresses, until, failures, |address, limit| async move {
        let stream = timeout(limit, Async::<TcpStream>::connect(address)).await?;
        stream.get_ref().set_nodelay(true)?;
        Ok(stream)
    })
    .await
}

/// Fails with `TimedOut` if the attempt takes longer than `limit`.
async fn timeout<T>(limit: Duration, attempt: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let mut attempt = pin!(attempt);
    let mut timer = Timer::after(limit);
    poll_fn(|context| match attempt.as_mut().poll(context) {
        Poll::Pending => Pin::new(&mut timer).poll(context).map(|_| Err(io::ErrorKind::TimedOut.into())),
        ended => ended,
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn small_writes_are_sent_without_delay() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let until = Instant::now() + Duration::from_secs(60);
        let stream = async_io::block_on(connect("127.0.0.1".to_owned(), port, until, 0)).unwrap();
        assert!(stream.get_ref().nodelay().unwrap(), "TCP_NODELAY");
    }
}
