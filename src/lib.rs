#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub use kafka_batch_core::*;

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

/// The transports, whole: the settings and errors of each, and what it promises.
///
/// They have a module of their own so that `use kafka_batch::*` brings no name of another crate along.
pub mod transports {
    /// The transport over tokio. The batch that was filled is the batch that lands.
    #[cfg(feature = "tokio")]
    pub use kafka_batch_tokio as tokio;

    /// The transport over async-std and smol. The batch that was filled is the batch that lands.
    #[cfg(any(feature = "async-std", feature = "smol"))]
    pub use kafka_batch_async_std as async_std;

    /// The transport over librdkafka. What it cannot promise stands in its first paragraph.
    #[cfg(feature = "rdkafka")]
    pub use kafka_batch_rdkafka as rdkafka;
}

#[doc = include_str!("../docs/guide.md")]
#[cfg(any(doc, doctest))]
pub mod guide {}

/// How to write a transport, told by one: the example `blocking`, over `std::net` and without any runtime. Its text is here as
/// it is compiled and run; [`producer`] has the rules that it keeps.
///
#[doc = concat!("```rust,ignore\n", include_str!("../examples/blocking/driver.rs"), "\n```")]
#[cfg(any(doc, doctest))]
pub mod how_to_write_a_transport {}
