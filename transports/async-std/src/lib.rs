//! The transport of `kafka-batch` over async-std, smol, and every other executor: its sockets and timers are those of
//! `async-io`, which waits for them on its own thread. **One batch in the program is one batch on the wire and one in the
//! log**, stored as a whole or not at all.
//!
//! ```
//! # #[cfg(feature = "async-std")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use kafka_batch_async_std::AsyncStdProducer;
//! use kafka_batch_core::{Record, TopicPartition, Transport};
//!
//! # let cluster = rdkafka::mocking::MockCluster::new(1)?;
//! # let brokers = cluster.bootstrap_servers();
//! # async_std::task::block_on(async {
//! let producer = AsyncStdProducer::builder().set("bootstrap.servers", brokers).create()?; // "localhost:9092"
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
//! - Any other: [`ProducerBuilder::create_with_task`] returns a future, to be spawned on that executor. No feature is needed.
//!
//! # Implementation
//! Each producer has one task, which drives the state machine and all of its sockets in a loop of about thirty lines
//! (`drive.rs`). Handles send commands to it through a queue that is bounded in bytes. Batches are compressed on the caller's
//! task, and sent with vectored writes without copying them (TLS encrypts them into its own buffer). [`Producer`] documents
//! its guarantees, and the effect of dropping a future. Host names are resolved on a thread of the crate `blocking`.
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod connect;
mod drive;

pub use kafka_batch_transport::{
    ConfigError, Pending, Producer, ProducerBuilder, ProducerConfig, SecurityProtocol, Stopped, Unreachable,
};
use kafka_batch_transport::{Driver, ProducerTask, Runtime};

/// A producer over async-std. See [`ProducerBuilder`] for its settings and [`Producer`] for its guarantees.
pub type AsyncStdProducer = Producer<AsyncStd>;

/// A producer over smol. See [`ProducerBuilder`] for its settings and [`Producer`] for its guarantees.
pub type SmolProducer = Producer<Smol>;

/// The runtime of an [`AsyncStdProducer`].
#[derive(Clone, Copy, Debug)]
pub enum AsyncStd {}

/// The runtime of a [`SmolProducer`].
#[derive(Clone, Copy, Debug)]
pub enum Smol {}

impl Runtime for AsyncStd {
    fn drive(driver: Driver) -> ProducerTask {
        Box::pin(drive::drive(driver))
    }
}

impl Runtime for Smol {
    fn drive(driver: Driver) -> ProducerTask {
        Box::pin(drive::drive(driver))
    }
}

#[cfg(feature = "async-std")]
impl kafka_batch_transport::Spawn for AsyncStd {
    fn spawn(task: ProducerTask) -> Result<(), ConfigError> {
        drop(async_std::task::spawn(task)); // dropping the handle detaches the task
        Ok(())
    }
}

#[cfg(feature = "smol")]
impl kafka_batch_transport::Spawn for Smol {
    fn spawn(task: ProducerTask) -> Result<(), ConfigError> {
        smol::spawn(task).detach();
        Ok(())
    }
}
