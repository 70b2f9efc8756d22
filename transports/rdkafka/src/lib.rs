//! The transport of `kafka-batch` over librdkafka. **librdkafka builds its own batches, so the batch that is filled may not
//! be the batch in the log:** its records may be written as several batches, may share a batch with other records, or may be
//! written only in part, in which case the error reports the fate of each record. What does hold: the records are appended
//! to the one partition given, in order, with every key, value, header and timestamp unchanged.
//! [`Capabilities::one_batch_on_the_wire`] is `false` for this transport.
//!
//! ```
//! use kafka_batch_core::{Append, Header, Record, TopicPartition};
//! use kafka_batch_rdkafka::RdkafkaProducer;
//!
//! # struct Unpark(std::thread::Thread);
//! # impl std::task::Wake for Unpark {
//! #     fn wake(self: std::sync::Arc<Self>) {
//! #         self.0.unpark();
//! #     }
//! # }
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! #     let waker = std::sync::Arc::new(Unpark(std::thread::current())).into();
//! #     let mut context = std::task::Context::from_waker(&waker);
//! #     let mut publishing = std::pin::pin!(publish());
//! #     loop {
//! #         match publishing.as_mut().poll(&mut context) {
//! #             std::task::Poll::Ready(result) => return result,
//! #             std::task::Poll::Pending => std::thread::park(),
//! #         }
//! #     }
//! # }
//! # async fn publish() -> Result<(), Box<dyn std::error::Error>> {
//! # let cluster = kafka_batch_rdkafka::rdkafka::mocking::MockCluster::new(1)?;
//! # let brokers = cluster.bootstrap_servers();
//! let producer = RdkafkaProducer::builder()
//!     .set("bootstrap.servers", brokers) // "localhost:9092"
//!     .set("linger.ms", "1")
//!     .build()?;
//!
//! let mut batch = producer.batch();
//! let headers = [Header::new("unit", "°C")];
//! for reading in ["21.5", "21.7"] {
//!     let record = Record::new(reading).key("sensor-7").headers(&headers);
//!     if let Append::Full(full) = batch.append(record)? {
//!         panic!("two small records do not fill a batch: {full}");
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
//! - **One batch on the wire, one in the log.** librdkafka collects records until `linger.ms` has passed or a message set is
//!   full. [`ProducerBuilder`] lists the settings that keep a batch in one piece as often as librdkafka allows.
//! - **Single messages.** There is no `send`, which the other transports have: librdkafka gathers records in any case. Use
//!   [`FutureProducer`](rdkafka::producer::FutureProducer) for a record and its offset. A [`Transaction`] has a `send`, because what
//!   another client sends is not part of it.
//! - **All or nothing.** The records of one batch may be sent in several message sets, of which one may fail.
//!   [`DeliveryError::positions`](kafka_batch_core::DeliveryError::positions) lists the records that were written, those
//!   that were not, and those of unknown fate.
//! - **The format and the codec of a batch.** librdkafka writes the newest format that the broker supports, with the
//!   producer's `compression.type`. A batch filled as magic 0 or 1 is sent as magic 2; records of magic 0, which have no
//!   timestamp, are sent with timestamp −1. librdkafka drops headers when the broker is older than 0.11.
//! - **The timestamp 0.** librdkafka replaces it with the current time. Such a record is refused
//!   ([`Unsendable::TimestampZero`]) instead. Negative timestamps are sent unchanged; in the header of a message set whose
//!   timestamps are all negative, the largest timestamp is 0.
//! - **The log start offset**, the broker's message for a rejected record, and the position of a record that was rejected
//!   alone: librdkafka does not expose them.
//! - **An offset for every written record.** When an acknowledgement is lost and the broker recognises the retry as a
//!   duplicate, librdkafka reports success without offsets. With `acks=0` there are no offsets.
//!
//! - **Transactions that exclude late requests.** [`TransactionalProducer`] lists what can happen with librdkafka's protocol of level
//!   0; [`Capabilities::transactions`] is [`LateRequestsAccepted`].
//!
//! # Threads and memory
//! The transport needs no runtime: one thread polls delivery reports and wakes the futures, which can be awaited under any
//! executor. A [`TransactionalProducer`] has a second one, for librdkafka's calls that block. A record needs no future, no channel, and no memory beyond librdkafka's copies of the record and its headers.
//! `send_batch` applies back-pressure: it waits, in first-in, first-out order, until there is room for the whole batch.
//!
//! # What is built
//! librdkafka, from the source bundled with `rdkafka`, with LZ4 and Snappy; no system library is linked. Features that build
//! more C code from source: `gzip` (default), `zstd`, and `ssl` for TLS and the SASL mechanisms SCRAM and OAUTHBEARER
//! (`rdkafka-ssl` in `kafka-batch`). SASL PLAIN needs no feature. librdkafka logs to the crate `log`.
//!
//! [`Capabilities::one_batch_on_the_wire`]: kafka_batch_core::Capabilities::one_batch_on_the_wire
//! [`Capabilities::transactions`]: kafka_batch_core::Capabilities::transactions
//! [`LateRequestsAccepted`]: kafka_batch_core::TransactionGuarantee::LateRequestsAccepted
#![deny(unsafe_code, missing_docs)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod builder;
mod catch_panic;
mod context;
mod effective;
mod error;
mod ffi;
mod in_flight;
mod offsets;
mod opaque_ids;
mod produce;
mod producer;
mod secrets;
mod settings;
mod topics;
mod transaction;
mod transaction_calls;
mod transaction_thread;
mod transactional;
mod verdict;

pub use builder::ProducerBuilder;
pub use error::{BuildTransactionalError, ConfigError, LibrdkafkaError, Unsendable, UnsendableOffsets};
pub use kafka_batch_transport::ProducerConfig;
#[cfg(feature = "tracing")]
pub use kafka_batch_transport::{BatchSpan, TracingObserver};
pub use producer::{Pending, RdkafkaProducer};
/// The crate `rdkafka` 0.39, on which this transport is built.
///
/// Use it for a consumer or an admin client beside the producer, without building librdkafka twice, and for
/// `mocking::MockCluster`, an in-process cluster that serves every transport. A newer minor version of `rdkafka` is a
/// breaking change of this crate.
///
/// ```
/// use kafka_batch_rdkafka::RdkafkaProducer;
/// use kafka_batch_rdkafka::rdkafka::mocking::MockCluster;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cluster = MockCluster::new(1)?; // one broker, stopped when this is dropped
/// cluster.create_topic("readings", 3, 1)?; // 3 partitions, replication factor 1
/// let producer = RdkafkaProducer::builder().set("bootstrap.servers", cluster.bootstrap_servers()).build()?;
/// # Ok(())
/// # }
/// ```
pub use rdkafka;
pub use transaction::Transaction;
pub use transactional::TransactionalProducer;
