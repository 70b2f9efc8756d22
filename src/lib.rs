#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub use kafka_batch_core::*;

/// The transport over librdkafka. What it cannot promise stands in its first paragraph.
#[cfg(feature = "rdkafka")]
pub use kafka_batch_rdkafka as rdkafka;
