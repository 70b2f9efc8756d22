//! The cases of the suite `conformance` over the brokers of others: librdkafka's mock cluster with its faults and, if a broker is
//! given (`ignored`), a real Apache Kafka.
//!
//! Run the second half with `cargo with-kafka --kafka 4 -- cargo witnesses --test conformance_kafka -- --ignored`.

#[macro_use]
#[path = "conformance/mount.rs"]
mod mount;

/// A case for each transport: `module::transport::case`.
macro_rules! over_each_transport {
    ($($case:ident)*) => {
        mount! { over_tokio Tokio () [] $($case)* }
        mount! { over_async_std AsyncStd () [] $($case)* }
        mount! { over_rdkafka Rdkafka () [] $($case)* }
    };
}

/// The same for cases that need a real Kafka.
macro_rules! over_each_transport_to_real_brokers {
    ($($case:ident)*) => {
        mount! { over_tokio_to_kafka Tokio () [#[ignore = "needs a real broker: cargo with-kafka"]] $($case)* }
        mount! { over_async_std_to_kafka AsyncStd () [#[ignore = "needs a real broker: cargo with-kafka"]] $($case)* }
        mount! { over_rdkafka_to_kafka Rdkafka () [#[ignore = "needs a real broker: cargo with-kafka"]] $($case)* }
    };
}

/// The same for cases that hold over any broker, which get the cluster as an argument.
macro_rules! over_each_transport_and_to_kafka {
    ($($case:ident)*) => {
        mount! { over_tokio_to_mock Tokio (crate::cluster::Cluster::new()) [] $($case)* }
        mount! { over_async_std_to_mock AsyncStd (crate::cluster::Cluster::new()) [] $($case)* }
        mount! { over_rdkafka_to_mock Rdkafka (crate::cluster::Cluster::new()) [] $($case)* }
        mount! {
            over_tokio_to_kafka Tokio (crate::cluster::Cluster::real())
            [#[ignore = "needs a real broker: cargo with-kafka"]] $($case)*
        }
        mount! {
            over_async_std_to_kafka AsyncStd (crate::cluster::Cluster::real())
            [#[ignore = "needs a real broker: cargo with-kafka"]] $($case)*
        }
        mount! {
            over_rdkafka_to_kafka Rdkafka (crate::cluster::Cluster::real())
            [#[ignore = "needs a real broker: cargo with-kafka"]] $($case)*
        }
    };
}

/// The same for cases that need no librdkafka.
macro_rules! over_the_machine {
    ($($case:ident)*) => {
        mount! { over_tokio Tokio () [] $($case)* }
        mount! { over_async_std AsyncStd () [] $($case)* }
    };
}

#[path = "conformance/broker_rules.rs"]
mod broker_rules;
#[path = "conformance/changes.rs"]
mod changes;
#[path = "conformance_kafka/cluster.rs"]
mod cluster;
#[path = "conformance_kafka/consumer.rs"]
mod consumer;
#[path = "conformance_kafka/deletion.rs"]
mod deletion;
#[path = "kafka/environment.rs"]
mod environment;
#[cfg(feature = "__witnesses")]
#[path = "conformance/executors.rs"]
mod executors;
#[path = "conformance/failures.rs"]
mod failures;
#[path = "rdkafka/futures.rs"]
mod futures;
#[path = "conformance_kafka/kafka.rs"]
mod kafka;
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
