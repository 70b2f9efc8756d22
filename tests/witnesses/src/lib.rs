//! The crates that the heavy suites of tests compare `kafka-batch` with, or need for it: other Kafka clients, a TLS server,
//! other async runtimes. They are optional dependencies here, behind the feature `all`, because dev-dependencies cannot be
//! optional.
#![cfg(feature = "all")]

pub use {
    async_std, futures_rustls, kafka_protocol, opentelemetry, opentelemetry_sdk, rdkafka, rskafka, rustls, smol,
    tracing,
};
