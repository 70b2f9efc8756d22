//! Connecting to a host by name.

use std::io;
use std::time::Instant;

use kafka_batch_transport::connect_to_any;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use crate::stream::Stream;

pub(crate) async fn connect(host: String, port: u16, until: Instant, failures: usize) -> io::Result<Stream<TcpStream>> {
    let addresses = lookup_host((host, port)).await?.collect();
    connect_to_any(addresses, until, failures, |address, limit| async move {
        let stream = timeout(limit, TcpStream::connect(address)).await??;
        stream.set_nodelay(true)?;
        Ok(Stream(stream))
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::time::Duration;

    use super::*;

    #[test]
    fn small_writes_are_sent_without_delay() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let until = Instant::now() + Duration::from_secs(60);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let stream = runtime.block_on(connect("127.0.0.1".to_owned(), port, until, 0)).unwrap();
        assert!(stream.0.nodelay().unwrap(), "TCP_NODELAY");
    }
}
