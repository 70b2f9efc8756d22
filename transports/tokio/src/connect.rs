//! From a name to a connection.

use std::io;
use std::time::Instant;

use kafka_batch_transport::connect_to_any;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use crate::stream::Stream;

pub(crate) async fn connect(host: String, port: u16, until: Instant) -> io::Result<Stream<TcpStream>> {
    let addresses = lookup_host((host, port)).await?.collect();
    connect_to_any(addresses, until, |address, limit| async move {
        let stream = timeout(limit, TcpStream::connect(address)).await??;
        stream.set_nodelay(true)?;
        Ok(Stream(stream))
    })
    .await
}
