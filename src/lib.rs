#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub use kafka_batch_core::*;

/// The transport over librdkafka. What it cannot promise stands in its first paragraph.
#[cfg(feature = "rdkafka")]
pub use kafka_batch_rdkafka as rdkafka;

/// The transport over tokio. The batch that was filled is the batch that lands.
#[cfg(feature = "tokio")]
pub use kafka_batch_tokio as tokio;

/// The transport over async-std and smol. The batch that was filled is the batch that lands.
#[cfg(any(feature = "async-std", feature = "smol"))]
pub use kafka_batch_async_std as async_std;

#[doc = include_str!("../docs/guide.md")]
#[cfg(any(doc, doctest))]
pub mod guide {}
