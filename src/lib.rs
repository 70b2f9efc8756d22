#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub use kafka_batch_core::{
    Append, AppendError, Appended, AppendedRecord, BatchOptions, BatchOverflow, BoxPending, BoxTransport,
    BrokerVersion, Capabilities, Compression, DEFAULT_BATCH_SIZE, DEFAULT_MAX_MESSAGE_BYTES, DeliveredRecord, Delivery,
    DeliveryError, Destination, EnqueueError, EnqueueErrorReason, ExtendError, FailureReason, Fate, FillOutcome,
    FlushError, FlushErrorReason, Full, FullReason, Header, HeaderList, KafkaBatch, Magic, MagicChoice, PreparedBatch,
    Publish, PublishError, Record, RecordDelivery, RecordDeliveryError, RecordError, SealError, SealErrorReason,
    SealedBatch, SendError, SendErrorReason, SendMessageError, SizePolicy, Timestamp, TopicPartition,
    TransactionGuarantee, Transport,
};
pub use kafka_batch_core::{
    batch, compression, convert, decode, error, machine, message, partitioner, protocol, publisher, record, stream,
};

/// Transactions: the producer of transactions, the offsets that can be committed in one, and the errors of each operation, which
/// say what to do next. The guide is [`exactly_once`].
pub mod transaction {
    #[doc(inline)]
    pub use kafka_batch_core::transaction::*;
    #[cfg(any(feature = "tokio", feature = "async-std", feature = "smol"))]
    #[doc(inline)]
    pub use kafka_batch_transport::{BuildTransactionalError, InitTransactions, Transaction, TransactionalProducer};
}

/// Observing what a producer does with its batches: outcomes, retries, changes of leaders. With the feature `tracing`, spans of the
/// crate `tracing`.
pub mod observer {
    #[doc(inline)]
    pub use kafka_batch_core::observer::*;
    #[cfg(all(
        feature = "tracing",
        feature = "rdkafka",
        not(any(feature = "tokio", feature = "async-std", feature = "smol"))
    ))]
    #[doc(inline)]
    pub use kafka_batch_rdkafka::{BatchSpan, TracingObserver};
    #[cfg(all(feature = "tracing", any(feature = "tokio", feature = "async-std", feature = "smol")))]
    #[doc(inline)]
    pub use kafka_batch_transport::{BatchSpan, TracingObserver};
}

#[cfg(feature = "proptest")]
pub use kafka_batch_core::proptest;

#[cfg(any(feature = "tokio", feature = "async-std", feature = "smol"))]
pub use kafka_batch_transport::{ConfigError, Pending, PendingRecord, Producer, ProducerBuilder, ProducerConfig};

/// A producer over tokio.
#[cfg(feature = "tokio")]
pub use kafka_batch_tokio::TokioProducer;

/// A producer over async-std.
#[cfg(feature = "async-std")]
pub use kafka_batch_async_std::AsyncStdProducer;

/// A producer over smol.
#[cfg(feature = "smol")]
pub use kafka_batch_async_std::SmolProducer;

/// A producer over librdkafka.
#[cfg(feature = "rdkafka")]
pub use kafka_batch_rdkafka::RdkafkaProducer;

/// The transport crates as modules: settings, errors, and the guarantees of each transport.
///
/// A separate module, so that `use kafka_batch::*` does not import the names `tokio` or `rdkafka`.
pub mod transports {
    /// The transport over tokio. The batch that is sent is the batch in the log.
    #[cfg(feature = "tokio")]
    pub use kafka_batch_tokio as tokio;

    /// The transport over async-std and smol. The batch that is sent is the batch in the log.
    #[cfg(any(feature = "async-std", feature = "smol"))]
    pub use kafka_batch_async_std as async_std;

    /// What these transports share, and what another async runtime implements.
    #[cfg(any(feature = "tokio", feature = "async-std", feature = "smol"))]
    pub use kafka_batch_transport as common;

    /// The transport over librdkafka. The first paragraph of its documentation lists what it cannot guarantee.
    #[cfg(feature = "rdkafka")]
    pub use kafka_batch_rdkafka as rdkafka;
}

#[doc = include_str!("../docs/guide.md")]
#[cfg(any(doc, doctest))]
pub mod guide {}

#[doc = include_str!("../docs/metrics.md")]
#[cfg(any(doc, doctest))]
pub mod metrics {}

#[doc = include_str!("../docs/settings.md")]
#[cfg(any(doc, doctest))]
pub mod settings {}

#[doc = include_str!("../docs/exactly_once.md")]
#[cfg(any(doc, doctest))]
pub mod exactly_once {}

#[doc = include_str!("../docs/embedding.md")]
#[cfg(any(doc, doctest))]
pub mod embedding {}

#[doc = include_str!("../docs/servers.md")]
#[cfg(any(doc, doctest))]
pub mod servers {}

/// How to drive [`machine::Machine`] without an async runtime: the source of the example `blocking`, which uses `std::net` and
/// threads. [`embedding`] has the rules for a driver.
///
/// The example implements no [`Transport`]. To write one for another async runtime, use the crate
/// [kafka-batch-transport](https://docs.rs/kafka-batch-transport), which has the driver loop: a runtime adds connecting, a timer
/// and spawning.
///
#[doc = concat!("```rust,ignore\n", include_str!("../docs/blocking_driver.rs"), "\n```")]
#[cfg(any(doc, doctest))]
pub mod driving_the_machine {}
