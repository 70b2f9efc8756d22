//! A transport over connections in memory, with tokio's timers.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::time::Instant;

use kafka_batch_testing::MemoryStream;
use kafka_batch_transport::{ConfigError, ProducerTask, Runtime, SocketOptions, Spawn, runtime_producer};
use tokio::time::{Sleep, sleep_until};

runtime_producer! {
    /// A producer over connections in memory.
    MemoryProducer, Memory
}

/// Connections in memory, with tokio's timers.
#[derive(Debug)]
pub(crate) enum Memory {}

impl Runtime for Memory {
    type Producer = MemoryProducer;
    type Stream = MemoryStream;
    type Timer = Sleep;

    async fn resolve(host: String, port: u16) -> io::Result<Vec<SocketAddr>> {
        let ip: IpAddr = host.parse().map_err(|_| io::ErrorKind::NotFound)?;
        Ok(vec![SocketAddr::new(ip, port)])
    }

    async fn connect(address: SocketAddr, _: &SocketOptions) -> io::Result<Self::Stream> {
        MemoryStream::connect(address)
    }

    fn timer(at: Instant) -> Sleep {
        sleep_until(at.into())
    }

    fn reset(timer: Pin<&mut Sleep>, at: Instant) {
        timer.reset(at.into());
    }
}

impl Spawn for Memory {
    fn spawn(task: ProducerTask) -> Result<(), ConfigError> {
        drop(tokio::runtime::Handle::current().spawn(task));
        Ok(())
    }
}
