//! The transport of `kafka-batch` over tokio. **One batch in the program is one batch on the wire and one in the log**,
//! stored as a whole or not at all.
//!
//! ```
//! use kafka_batch_core::{Record, TopicPartition, Transport};
//! use kafka_batch_tokio::TokioProducer;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let cluster = rdkafka::mocking::MockCluster::new(1)?;
//! # let brokers = cluster.bootstrap_servers();
//! let producer = TokioProducer::builder().set("bootstrap.servers", brokers).create()?; // "localhost:9092"
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
//! # }
//! ```
//!
//! # Implementation
//! Each producer has one task, which drives the state machine and all of its sockets in a loop of about thirty lines
//! (`drive.rs`). Handles send commands to it through a queue that is bounded in bytes. Batches are compressed on the caller's
//! task, and sent with vectored writes without copying them (TLS encrypts them into its own buffer). [`Producer`] documents
//! its guarantees, and the effect of dropping a future.
//!
//! The runtime needs its I/O and time drivers (`enable_all`).
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod connect;
mod drive;
mod stream;

pub use kafka_batch_transport::{
    ConfigError, Pending, Producer, ProducerBuilder, ProducerConfig, SecurityProtocol, Stopped, Unreachable,
};
use kafka_batch_transport::{Driver, ProducerTask, Runtime, Spawn};

/// A producer over tokio. See [`ProducerBuilder`] for its settings and [`Producer`] for its guarantees.
pub type TokioProducer = Producer<Tokio>;

/// The runtime of a [`TokioProducer`].
#[derive(Clone, Copy, Debug)]
pub enum Tokio {}

impl Runtime for Tokio {
    fn drive(driver: Driver) -> ProducerTask {
        Box::pin(drive::drive(driver))
    }
}

impl Spawn for Tokio {
    fn spawn(task: ProducerTask) -> Result<(), ConfigError> {
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(task)),
            Err(error) => return Err(ConfigError::NoRuntime(error.to_string())),
        }
        Ok(())
    }
}
