//! A Kafka cluster for tests, in pure Rust: brokers that store what producers send and return it to consumers, check what
//! Apache Kafka checks, and inject faults on request.
//!
//! ```
//! use kafka_batch_core::Record;
//! use kafka_batch_testing::{ApiKey, Fault, FaultKind, TestCluster};
//! use kafka_batch_tokio::TokioProducer; // or any other client
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let cluster = TestCluster::start();
//! cluster.inject(Fault::new(FaultKind::CloseConnection { executed: true }).api(ApiKey::Produce)); // stored, not confirmed
//!
//! let producer = TokioProducer::builder().set("bootstrap.servers", cluster.bootstrap_servers()).build()?;
//! let sent = producer.send(("greetings", 0), Record::new("hello")).await?;
//!
//! let log = cluster.log("greetings", 0).expect("the topic was created");
//! assert_eq!((sent.offset, log.values()?), (Some(0), vec!["hello".to_owned()])); // sent twice, stored once
//! # Ok(())
//! # }
//! ```
//!
//! # Three ways to connect
//! - **Sockets**: [`TestCluster`] opens a port on 127.0.0.1 for each broker. Its threads are those of `std`; there is no async
//!   runtime. It ends when it is dropped.
//! - **Memory**: [`MemoryStream::connect`] returns a byte stream with the traits of `futures-io`, for the transports of
//!   `kafka-batch` and others that bring their own runtime.
//! - **Simulated time**: [`simulated`] has the brokers, their network and its faults as state machines without clock and
//!   threads, deterministic from a seed.
//!
//! With the feature `tls` the ports can speak TLS ([`TestClusterBuilder`]`::tls`).
//!
//! [`MockTransport`] needs no brokers at all: a transport for unit tests, which keeps what was sent and responds as a test asks.
//!
//! # Faults
//! A cluster fails as a test asks: requests are refused, held, cut off or executed without a response ([`Fault`]), brokers are
//! killed and restarted, leaders move, disks are slow. [`ClusterFault`] is any of them as a value. With the feature `proptest`
//! the module `proptest` has strategies for them, which shrink.
//!
//! # What the brokers do
//! | API | versions | |
//! |---|---|---|
//! | Produce | 0–13 | magic 0, 1 and 2; the checks of Apache Kafka 4.4: checksums, structure, records, sequence numbers of idempotent producers (the last five batches of each are remembered), compacted and log-append-time topics, size limits |
//! | Fetch | 0–18 | waits for `min_bytes`; leader epochs are checked; older formats for older versions; fetch sessions are declined; `read_committed` ends at the last stable offset and lists aborted transactions |
//! | ListOffsets | 0–11 | first, last, by time, largest time |
//! | OffsetForLeaderEpoch | 0–4 | where a leader epoch ends, for consumers that look for truncation |
//! | Metadata | 0–13 | creates topics, if allowed |
//! | CreateTopics | 0–7 | at any broker, as in KRaft |
//! | ApiVersions | 0–5 | with the levels of `transaction.version` |
//! | InitProducerId | 0–5 | with a transactional id: epochs, fencing, KIP-360, `transaction.timeout.ms` |
//! | FindCoordinator | 0–6 | of groups and transactional ids: 50 partitions each, as in Kafka, which move when a broker is killed |
//! | AddPartitionsToTxn, AddOffsetsToTxn, EndTxn | 0–5, 0–4, 0–5 | the states of Kafka 4.4 at the levels 0, 1 and 2 of `transaction.version`; see [`TestCluster`'s methods](TestCluster#transactions) |
//! | DescribeTransactions | 0 | without the groups of a transaction, which are partitions of `__consumer_offsets` in Kafka |
//! | TxnOffsetCommit | 0–6 | adds the group to the transaction from v5 on; members and generations are checked if a test has set them |
//! | OffsetCommit, OffsetFetch | 0–10 | `require_stable` |
//! | SaslHandshake, SaslAuthenticate | 0–1, 0–2 | PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER, with sessions that end; users and tokens are set by the builder |
//!
//! [`Release`] chooses among releases from 0.8 to 4.4, which list the versions that those have. Groups have
//! offsets, but are not formed: consumers assign their partitions themselves. Tests compare their responses with those of Apache
//! Kafka 4.4, request by request (`COMPARED.md` lists them), and, with transactions, in random dialogues. What differs from Apache
//! Kafka on purpose:
//!
//! - A partition has one log, not one for each replica. What was not replicated is lost with its leader.
//! - Batches are stored in the format in which they were sent; Kafka from 0.11 on stores magic 2. Compressed messages of
//!   magic 0 are stored uncompressed.
//! - Batches whose codec is not built in are stored unread (zstd: feature `zstd`).
//! - Records that take more than 64 MiB uncompressed are rejected.
//! - Topics that are created on request have leaders at once.
//! - A transaction coordinator's log is replicated at once, and markers are written at once unless a test
//!   [holds](TestCluster::hold_markers) them or the cluster is [simulated]. A transaction is aborted when its time is over, not up to
//!   ten seconds later. Leaders answer CONCURRENT_TRANSACTIONS at once, and not after trying for 100 ms. The topics of the
//!   coordinators are not listed; `WriteTxnMarkers` is not a request.
//! - Timestamps are not limited, unless a topic says so.
//!
//! Everything from the network is hostile: lengths and counts are compared with the bytes that are there, a request is
//! limited in size, and one that is malformed closes its connection. A client that does not read has no more requests executed
//! once 16 MiB of responses wait for it.
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod api_key;
mod batch;
mod broker;
mod cluster;
mod cluster_fault;
mod control;
mod engine;
mod legacy;
mod link;
mod mock;
mod network;
#[cfg(feature = "proptest")]
#[cfg_attr(docsrs, doc(cfg(feature = "proptest")))]
pub mod proptest;
mod random;
mod server;
pub mod simulated;
mod validate;
pub mod wire;

pub use api_key::ApiKey;
pub use batch::{BatchInfo, ProducerStamp};
pub use broker::fault::{AssignedProducerId, FalseMetadata, Fault, FaultKind, Garbage};
pub use broker::identities::RejectedProducerIds;
pub use broker::release::Release;
pub use broker::sasl::ScramHash;
pub use broker::{ReceivedRequest, RequestedTopic};
pub use cluster::CreateTopicError;
pub use cluster::groups::CommittedOffset;
pub use cluster::log::StoredBatch;
pub use cluster::transactions::{CoordinatorKind, Transaction, TransactionState};
pub use cluster_fault::{ClusterFault, FaultPlan};
pub use control::ControlKind;
pub use mock::{Failure, MockPending, MockTransport, MockTransportBuilder, Response, SentBatch};
pub use server::{
    BatchOutcome, Direction, MemoryStream, PartitionLog, StoredRecord, TestCluster, TestClusterBuilder, Topic,
};

/// A point in time, as the duration since the start of a cluster.
pub type Moment = std::time::Duration;
