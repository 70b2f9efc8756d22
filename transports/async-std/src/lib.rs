//! The transport of `kafka-batch` over async-std, smol, and every other executor: its sockets and timers are those of
//! `async-io`, which waits for them on its own thread. **One batch in the program is one batch on the wire and one in the
//! log**, stored as a whole or not at all.
//!
//! ```
//! # #[cfg(feature = "async-std")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use kafka_batch_async_std::AsyncStdProducer;
//! use kafka_batch_core::{Record, TopicPartition};
//!
//! # let cluster = kafka_batch_testing::TestCluster::start();
//! # let brokers = cluster.bootstrap_servers();
//! # async_std::task::block_on(async {
//! let producer = AsyncStdProducer::builder().set("bootstrap.servers", brokers).build()?; // "localhost:9092"
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
//! # })
//! # }
//! # #[cfg(not(feature = "async-std"))]
//! # fn main() {}
//! ```
//!
//! # Which executor
//! - async-std: the feature `async-std` (default) and [`AsyncStdProducer`]. async-std is discontinued, and its authors
//!   recommend smol ([RUSTSEC-2025-0052](https://rustsec.org/advisories/RUSTSEC-2025-0052)); without this feature nothing
//!   of it is built.
//! - smol: the feature `smol` and [`SmolProducer`].
//! - Any other: [`ProducerBuilder::build_with_task`] returns a future, to be spawned on that executor. No feature is needed.
//!
//! # Implementation
//! Each producer has one task, which drives the state machine and all of its sockets: the driver loop of the crate
//! `kafka-batch-transport`. This crate adds connecting, a timer and spawning. Handles send commands to it
//! through a queue that is bounded in bytes. Batches are compressed on the caller's task (those of single messages on the
//! producer's), and sent with vectored writes without copying them (TLS encrypts them into its own buffer). [`Producer`] documents
//! its guarantees, and the effect of dropping a future. Host names are resolved on a thread of the crate `blocking`.
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod sockets;

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::pin::Pin;
use std::time::Instant;

use async_io::{Async, Timer};
pub use kafka_batch_transport::{
    AddressFamily, BuildTransactionalError, ConfigError, DnsLookup, InitTransactions, Pending, PendingRecord, Producer,
    ProducerBuilder, ProducerConfig, SecurityProtocol, SettingErrorReason, SettingValue, Socks5Error, Socks5ErrorKind,
    Socks5Reply, StatsError, Transaction, TransactionalProducer,
};
use kafka_batch_transport::{Runtime, SocketOptions, runtime_producer};

runtime_producer! {
    /// A producer over async-std. See [`ProducerBuilder`] for its settings.
    AsyncStdProducer, AsyncStd
}

runtime_producer! {
    /// A producer over smol. See [`ProducerBuilder`] for its settings.
    SmolProducer, Smol
}

/// The runtime of an [`AsyncStdProducer`].
#[derive(Clone, Copy, Debug)]
pub enum AsyncStd {}

/// The runtime of a [`SmolProducer`].
#[derive(Clone, Copy, Debug)]
pub enum Smol {}

macro_rules! over_async_io {
    ($runtime:ty, $producer:ty) => {
        impl Runtime for $runtime {
            type Producer = $producer;
            type Stream = Async<TcpStream>;
            type Timer = Timer;

            async fn resolve(host: String, port: u16) -> io::Result<Vec<SocketAddr>> {
                sockets::resolve(host, port).await
            }

            async fn canonical_name(address: IpAddr) -> io::Result<String> {
                sockets::canonical_name(address).await
            }

            async fn connect(address: SocketAddr, options: &SocketOptions) -> io::Result<Async<TcpStream>> {
                sockets::connect(address, options).await
            }

            fn timer(at: Instant) -> Timer {
                Timer::at(at)
            }

            fn reset(mut timer: Pin<&mut Timer>, at: Instant) {
                timer.set_at(at);
            }
        }
    };
}

over_async_io!(AsyncStd, AsyncStdProducer);
over_async_io!(Smol, SmolProducer);

#[cfg(feature = "async-std")]
impl kafka_batch_transport::Spawn for AsyncStd {
    fn spawn(task: kafka_batch_transport::ProducerTask) -> Result<(), ConfigError> {
        drop(async_std::task::spawn(task)); // dropping the handle detaches the task
        Ok(())
    }
}

#[cfg(feature = "smol")]
impl kafka_batch_transport::Spawn for Smol {
    fn spawn(task: kafka_batch_transport::ProducerTask) -> Result<(), ConfigError> {
        smol::spawn(task).detach();
        Ok(())
    }
}
