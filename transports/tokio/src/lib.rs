//! The transport of `kafka-batch` over tokio. **One batch in the program is one batch on the wire and one in the log**,
//! stored as a whole or not at all.
//!
//! ```
//! use kafka_batch_core::{Record, TopicPartition};
//! use kafka_batch_tokio::TokioProducer;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let cluster = kafka_batch_testing::TestCluster::start();
//! # let brokers = cluster.bootstrap_servers();
//! let producer = TokioProducer::builder().set("bootstrap.servers", brokers).build()?; // "localhost:9092"
//!
//! let mut batch = producer.batch();
//! for reading in ["21.5", "21.7"] {
//!     if batch.append(Record::new(reading).key("sensor-7"))?.is_full() {
//!         panic!("two small records do not fill a batch");
//!     }
//! }
//! let accepted = producer.send_batch(batch, TopicPartition::new("readings", 0)).await?;
//! let delivery = accepted.await?;
//! assert_eq!((delivery.offset(0), delivery.offset(1)), (Some(0), Some(1)));
//!
//! let third = producer.send(("readings", 0), Record::new("21.9").key("sensor-7")).await?; // one message, in a shared batch
//! assert_eq!(third.offset, Some(2));
//! producer.close().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Implementation
//! Each producer has one task, which drives the state machine and all of its sockets: the driver loop of the crate
//! `kafka-batch-transport`. This crate adds connecting, a timer and spawning. Handles send commands to it
//! through a queue that is bounded in bytes. Batches are compressed on the caller's task (those of single messages on the
//! producer's), and sent with vectored writes without copying them (TLS encrypts them into its own buffer). [`Producer`] documents
//! its guarantees, and the effect of dropping a future.
//!
//! The runtime needs its I/O and time drivers (`enable_all`).
//!
//! # Other connections
//! A [`Connector`] makes a producer's connections in another way: through a proxy, over Unix sockets, or over a simulated network,
//! as `examples/runtimes/turmoil` does. [`TokioStream`] gives its streams the traits that it needs.
//!
//! ```
//! use std::io;
//! use std::path::PathBuf;
//!
//! use kafka_batch_tokio::{Connector, TokioProducer, TokioStream};
//! # #[cfg(unix)]
//! use tokio::net::UnixStream;
//!
//! /// Connects to a proxy beside this process, which knows the brokers by their ports.
//! # #[cfg(unix)]
//! struct Sidecar {
//!     folder: PathBuf,
//! }
//!
//! # #[cfg(unix)]
//! impl Connector for Sidecar {
//!     type Stream = TokioStream<UnixStream>;
//!
//!     async fn connect(&self, _host: &str, port: u16) -> io::Result<Self::Stream> {
//!         Ok(TokioStream::new(UnixStream::connect(self.folder.join(port.to_string())).await?))
//!     }
//! }
//!
//! # #[cfg(unix)]
//! let builder = TokioProducer::builder().connector(Sidecar { folder: "/run/kafka".into() });
//! ```
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod stream;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::time::Instant;

pub use kafka_batch_transport::{
    AddressFamily, BuildTransactionalError, ConfigError, Connector, DnsLookup, InitTransactions, Pending,
    PendingRecord, Producer, ProducerBuilder, ProducerConfig, SecurityProtocol, SettingErrorReason, SettingValue,
    Socks5Error, Socks5ErrorKind, Socks5Reply, StatsError, Transaction, TransactionalProducer,
};
use kafka_batch_transport::{ProducerTask, Runtime, SocketOptions, Spawn, runtime_producer};
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::task::spawn_blocking;
use tokio::time::{Sleep, sleep_until};

pub use crate::stream::TokioStream;

runtime_producer! {
    /// A producer over tokio. See [`ProducerBuilder`] for its settings.
    TokioProducer, Tokio
}

/// The runtime of a [`TokioProducer`].
#[derive(Clone, Copy, Debug)]
pub enum Tokio {}

impl Runtime for Tokio {
    type Producer = TokioProducer;
    type Stream = TokioStream<TcpStream>;
    type Timer = Sleep;

    async fn resolve(host: String, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(lookup_host((host, port)).await?.collect())
    }

    async fn canonical_name(address: IpAddr) -> io::Result<String> {
        Ok(spawn_blocking(move || dns_lookup::lookup_addr(&address)).await.map_err(io::Error::other)??)
    }

    async fn connect(address: SocketAddr, options: &SocketOptions) -> io::Result<Self::Stream> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // As in Java's client: an idle connection whose peer is gone without a word ends.
        socket.set_keepalive(true)?;
        set_options(&socket, options)?;
        let stream = socket.connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(TokioStream(stream))
    }

    fn timer(at: Instant) -> Sleep {
        sleep_until(at.into())
    }

    fn reset(timer: Pin<&mut Sleep>, at: Instant) {
        timer.reset(at.into());
    }

    /// The clock of tokio's timers, which a test can [pause](tokio::time::Instant::now).
    fn now() -> Instant {
        tokio::time::Instant::now().into_std()
    }
}

/// Sets what is to be set before connecting.
fn set_options(socket: &TcpSocket, options: &SocketOptions) -> io::Result<()> {
    if let Some(bytes) = options.send_buffer {
        socket.set_send_buffer_size(bytes)?;
    }
    if let Some(bytes) = options.receive_buffer {
        socket.set_recv_buffer_size(bytes)?;
    }
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Some(timeout) = options.tcp_user_timeout {
        socket2::SockRef::from(socket).set_tcp_user_timeout(Some(timeout))?;
    }
    Ok(())
}

impl Spawn for Tokio {
    fn spawn(task: ProducerTask) -> Result<(), ConfigError> {
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(task)),
            Err(_) => return Err(ConfigError::NoRuntime { runtime: "tokio" }),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn small_writes_are_sent_without_delay() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = Tokio::connect(listener.local_addr().unwrap(), &SocketOptions::default()).await.unwrap();
        assert!(stream.0.nodelay().unwrap(), "TCP_NODELAY");
    }

    #[tokio::test]
    async fn idle_connections_are_probed() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = Tokio::connect(listener.local_addr().unwrap(), &SocketOptions::default()).await.unwrap();
        assert!(socket2::SockRef::from(&stream.0).keepalive().unwrap(), "SO_KEEPALIVE");
    }

    /// Linux reports twice the size that was set, for its own use (socket(7)).
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn sockets_have_the_options_that_were_set() {
        let mut options = SocketOptions::default();
        (options.send_buffer, options.receive_buffer) = (Some(20_000), Some(10_000));
        options.tcp_user_timeout = Some(std::time::Duration::from_millis(7_500));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = Tokio::connect(listener.local_addr().unwrap(), &options).await.unwrap();
        let socket = socket2::SockRef::from(&stream.0);
        assert_eq!((socket.send_buffer_size().unwrap(), socket.recv_buffer_size().unwrap()), (40_000, 20_000));
        assert_eq!(socket.tcp_user_timeout().unwrap(), options.tcp_user_timeout);
    }

    #[tokio::test]
    async fn an_address_has_a_canonical_name() {
        let name = Tokio::canonical_name(IpAddr::from([127, 0, 0, 1])).await.unwrap();
        assert!(!name.is_empty() && name.parse::<IpAddr>().is_err(), "{name}");
    }
}
