//! [`Connector`] for turmoil: all that the transport over tokio needs to be simulated, since turmoil's time is tokio's.

use std::io;

use kafka_batch_tokio::{Connector, TokioStream};
use turmoil::net::TcpStream;

#[derive(Debug)]
pub struct Turmoil;

impl Connector for Turmoil {
    type Stream = TokioStream<TcpStream>;

    async fn connect(&self, host: &str, port: u16) -> io::Result<Self::Stream> {
        Ok(TokioStream::new(TcpStream::connect((host, port)).await?))
    }
}
