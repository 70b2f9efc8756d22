//! One suite for each transport: the results of the same calls, over the cluster of `kafka-batch-testing` and its faults. Where the
//! rdkafka transport differs, because librdkafka builds its own batches, the suite describes its behaviour.
//!
//! The transport over tokio is always tested, the others with all features: `cargo witnesses --test conformance`. The suite
//! `conformance_kafka` has the same cases over the brokers of others.
//!
//! No test waits for a fixed time to observe what follows: if something must stay in flight, its partition has no
//! leader until the test elects one.

#[macro_use]
#[path = "conformance/mount.rs"]
mod mount;

/// A case for each transport: `module::transport::case`.
macro_rules! over_each_transport {
    ($($case:ident)*) => {
        mount! { over_tokio Tokio () [] $($case)* }
        #[cfg(feature = "__witnesses")]
        mount! { over_async_std AsyncStd () [] $($case)* }
        #[cfg(feature = "__witnesses")]
        mount! { over_rdkafka Rdkafka () [] $($case)* }
    };
}

/// The same for cases that need brokers that behave like Apache Kafka's, as those of this suite do.
macro_rules! over_each_transport_to_real_brokers {
    ($($case:ident)*) => {
        over_each_transport! { $($case)* }
    };
}

/// The same for cases that hold over any broker, which get the cluster as an argument.
macro_rules! over_each_transport_and_to_kafka {
    ($($case:ident)*) => {
        mount! { over_tokio_to_any Tokio (crate::cluster::Cluster::new()) [] $($case)* }
        #[cfg(feature = "__witnesses")]
        mount! { over_async_std_to_any AsyncStd (crate::cluster::Cluster::new()) [] $($case)* }
        #[cfg(feature = "__witnesses")]
        mount! { over_rdkafka_to_any Rdkafka (crate::cluster::Cluster::new()) [] $($case)* }
    };
}

/// The same for cases that need no librdkafka.
macro_rules! over_the_machine {
    ($($case:ident)*) => {
        mount! { over_tokio Tokio () [] $($case)* }
        #[cfg(feature = "__witnesses")]
        mount! { over_async_std AsyncStd () [] $($case)* }
    };
}

#[path = "conformance/broker_rules.rs"]
mod broker_rules;
#[path = "conformance/changes.rs"]
mod changes;
#[path = "conformance/cluster.rs"]
mod cluster;
#[cfg(feature = "__witnesses")]
#[path = "conformance/executors.rs"]
mod executors;
#[path = "conformance/failures.rs"]
mod failures;
#[path = "rdkafka/futures.rs"]
mod futures;
#[path = "conformance/log.rs"]
mod log;
#[path = "conformance/messages.rs"]
mod messages;
#[path = "conformance/observers.rs"]
mod observers;
#[path = "conformance/pressure.rs"]
mod pressure;
#[path = "conformance/publisher.rs"]
mod publisher;
#[path = "conformance/publishing.rs"]
mod publishing;
#[path = "conformance/readme.rs"]
mod readme;
#[path = "conformance/recorder.rs"]
mod recorder;
#[path = "conformance/records.rs"]
mod records;
#[path = "conformance/rolling.rs"]
mod rolling;
#[path = "conformance/runtimes.rs"]
mod runtimes;
#[path = "conformance/setup.rs"]
mod setup;
#[path = "conformance/subject.rs"]
mod subject;
