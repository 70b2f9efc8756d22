//! A Kafka cluster for tests, in pure Rust: brokers that store what producers send and return it to consumers, check what
//! Apache Kafka checks, and fail as they are told.
//!
//! ```
//! use kafka_batch_testing::{ApiKey, Fault, FaultKind, TestCluster};
//!
//! let cluster = TestCluster::start();
//! cluster.inject(Fault::new(FaultKind::DropResponse).api(ApiKey::Produce)); // stored, but not confirmed
//! let producer_settings = [("bootstrap.servers", cluster.bootstrap_servers())];
//! // … any client connects, and sends `hello` to the topic `greetings` …
//! # let _ = producer_settings;
//! # cluster.create_topic("greetings");
//! let log = cluster.log("greetings", 0).expect("the topic exists");
//! # assert_eq!(log.values()?, [] as [&str; 0]);
//! println!("stored: {:?}, asked: {:?}", log.values()?, cluster.requests());
//! # Ok::<(), Box<dyn std::error::Error>>(())
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
//! # What the brokers do
//! Produce in every version and format, with the checks of Apache Kafka 4.4: checksums, structure, sequence numbers of
//! idempotent producers (the last five batches of each are remembered), compacted and log-append-time topics, size limits.
//! ApiVersions, Metadata with creation of topics, InitProducerId, SASL PLAIN and SCRAM. [`Release`] chooses among releases
//! from 0.8 to 4.4. There are no consumer groups and no transactions.
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod api_key;
mod batch;
mod broker;
mod cluster;
mod engine;
mod legacy;
mod link;
mod random;
mod server;
pub mod simulated;
mod validate;
pub mod wire;

pub use api_key::ApiKey;
pub use batch::{BatchInfo, Stamped};
pub use broker::fault::{AssignedIdentity, FalseMetadata, Fault, FaultKind, Garbage};
pub use broker::identities::RejectedIdentities;
pub use broker::release::Release;
pub use broker::sasl::ScramHash;
pub use broker::{ReceivedRequest, RequestedTopic};
pub use cluster::log::StoredBatch;
pub use server::{Direction, MemoryStream, PartitionLog, StoredRecord, TestCluster, TestClusterBuilder, Topic};

/// A point in time, as the duration since the start of a cluster.
pub type Moment = std::time::Duration;
