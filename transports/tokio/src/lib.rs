//! The transport of `kafka-batch` over tokio. **The batch that was filled is the batch that lands**: one on the wire, one
//! in the log, all of it or nothing.
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
//!         panic!("two small records are no full batch");
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
//! # What it is made of
//! One task for a producer, which drives the state machine and all of its sockets: a loop of some thirty lines
//! (`drive.rs`). Handles talk to it over a queue that is bounded in bytes; batches are compressed on the task that sends
//! them, and written with vectored writes, never copied (but encrypted, with TLS). What [`Producer`] promises, and what
//! dropping a future means, stands with it.
//!
//! The runtime needs its drivers for I/O and time (`enable_all`).
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

/// A producer over tokio. Settings: [`ProducerBuilder`]. What it promises: [`Producer`].
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
