//! The transport of `kafka-batch` over librdkafka. **librdkafka batches by itself, so the batch that was filled need not
//! be the batch that lands:** its records may arrive in several batches or share one with others, they may be written
//! only in part, and a failure then says of each record what is known of it. What does hold: the records go to the one
//! partition that was named, in their order, with every key, value, header and timestamp as it was.
//! [`Capabilities::one_batch_on_the_wire`] is `false` here, for programs that depend on it.
//!
//! ```
//! use kafka_batch_core::{Append, Header, Record, TopicPartition, Transport};
//! use kafka_batch_rdkafka::RdkafkaProducer;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let cluster = kafka_batch_rdkafka::rdkafka::mocking::MockCluster::new(1)?;
//! # let brokers = cluster.bootstrap_servers();
//! let producer = RdkafkaProducer::builder()
//!     .set("bootstrap.servers", brokers) // "localhost:9092"
//!     .set("linger.ms", "1")
//!     .create()?;
//!
//! let mut batch = producer.batch();
//! let headers = [Header::new("unit", "°C")];
//! for reading in ["21.5", "21.7"] {
//!     let record = Record::new(reading).key("sensor-7").headers(&headers);
//!     if let Append::Full(full) = batch.append(record)? {
//!         panic!("two small records are no full batch: {full}");
//!     }
//! }
//!
//! let accepted = producer.send_batch(batch, TopicPartition::new("readings", 0)).await?;
//! let delivery = accepted.await?;
//! assert_eq!((delivery.offset(0), delivery.offset(1)), (Some(0), Some(1)));
//! producer.close().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What does not hold over librdkafka
//! - **One batch on the wire, one in the log.** librdkafka collects records until `linger.ms` is over or a set is full;
//!   [`ProducerBuilder`] has the settings that keep batches together as far as it can be had.
//! - **All or nothing.** Records of one batch can go out in sets of which one fails:
//!   [`DeliveryError::positions`](kafka_batch_core::DeliveryError::positions) tells which landed, which did not, and of
//!   which nobody knows.
//! - **The format and the codec of a batch.** librdkafka writes its own: the newest format that the broker speaks, with
//!   the producer's `compression.type`. A batch that was filled as magic 0 or 1 goes out as magic 2, and the records of
//!   magic 0, which have no timestamp, say −1 there. Headers are dropped by librdkafka when a broker is older than 0.11.
//! - **The timestamp 0.** librdkafka takes it for "now". Such a record is refused ([`Unsendable::TimestampZero`])
//!   rather than changed. Negative timestamps arrive as they are; in the header of a set in which all are negative the
//!   largest timestamp says 0.
//! - **The log start offset**, what the broker said of a record that it rejected, and which one it was where there was
//!   only one: librdkafka keeps them to itself.
//! - **An offset for every record that was written.** When the acknowledgement is lost and the retry turns out to be
//!   one, librdkafka reports success without offsets; with `acks=0` there are none anyway.
//!
//! # What it is made of
//! No runtime: futures are woken from one thread that waits for delivery reports, so they work under tokio, async-std and
//! everything else. A record costs no future and no channel, and no memory but librdkafka's own: a copy of the record, and
//! one of each of its headers. Back-pressure is in `send_batch`: it waits until there is room for the batch, first come,
//! first served.
//!
//! # What is built
//! librdkafka from the source that comes with `rdkafka`, with lz4 and snappy in it; no library of the system is linked.
//! Features, each of which builds more C code from source: `gzip` (default), `zstd`, and `ssl` for encrypted connections
//! and the SASL mechanisms SCRAM and OAUTHBEARER; `kafka-batch` has that one as `rdkafka-ssl`. PLAIN works without. librdkafka's log goes to the crate `log`.
//!
//! [`Capabilities::one_batch_on_the_wire`]: kafka_batch_core::Capabilities::one_batch_on_the_wire
#![deny(unsafe_code, missing_docs)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod builder;
mod context;
mod effective;
mod error;
mod feed;
mod foreign;
mod ledger;
mod native;
mod producer;
mod secrets;
mod settings;
mod tickets;
mod topics;
mod verdict;

pub use builder::ProducerBuilder;
pub use error::{ConfigError, LibrdkafkaError, Unsendable};
pub use producer::{Pending, RdkafkaProducer};
/// The crate this transport is built on, in the version that it is built on: `rdkafka` 0.39.
///
/// Its `mocking::MockCluster` is a cluster in the own process, which speaks with every transport and so with tests of yours;
/// and whoever needs a consumer or an admin client beside the producer has them here, without building librdkafka twice.
/// A later minor version of `rdkafka` here is a breaking change of this crate.
///
/// ```
/// use kafka_batch_rdkafka::RdkafkaProducer;
/// use kafka_batch_rdkafka::rdkafka::mocking::MockCluster;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cluster = MockCluster::new(1)?; // one broker, which lives as long as this
/// cluster.create_topic("readings", 3, 1)?; // three partitions, on one broker each
/// let producer = RdkafkaProducer::builder().set("bootstrap.servers", cluster.bootstrap_servers()).create()?;
/// # Ok(())
/// # }
/// ```
pub use rdkafka;
