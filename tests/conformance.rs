//! One suite for each transport: the results of the same calls, over librdkafka's mock cluster with its faults and, if
//! a broker is given (`ignored`), over a real Apache Kafka. Where the rdkafka transport differs, because librdkafka
//! builds its own batches, the suite describes its behaviour.
//!
//! Run the second half with `cargo with-kafka --kafka 4 -- cargo test --test conformance -- --ignored`.
//!
//! No test waits for a fixed time to observe what follows: if something must stay in flight, its partition has no
//! leader until the test elects one.

/// A case for each transport: `module::transport::case`.
macro_rules! over_each_transport {
    ($($case:ident)*) => {
        mount! { over_tokio Tokio () [] $($case)* }
        mount! { over_async_std AsyncStd () [] $($case)* }
        mount! { over_rdkafka Rdkafka () [] $($case)* }
    };
}

/// The same for cases that need a real Kafka.
macro_rules! over_each_transport_to_kafka {
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
            over_tokio_to_kafka Tokio (crate::cluster::Cluster::kafka())
            [#[ignore = "needs a real broker: cargo with-kafka"]] $($case)*
        }
        mount! {
            over_async_std_to_kafka AsyncStd (crate::cluster::Cluster::kafka())
            [#[ignore = "needs a real broker: cargo with-kafka"]] $($case)*
        }
        mount! {
            over_rdkafka_to_kafka Rdkafka (crate::cluster::Cluster::kafka())
            [#[ignore = "needs a real broker: cargo with-kafka"]] $($case)*
        }
    };
}

macro_rules! mount {
    ($place:ident $subject:ident $argument:tt $attributes:tt $($case:ident)*) => {
        mod $place {
            $( mount! { @case $subject $argument $attributes $case } )*
        }
    };
    (@case $subject:ident $argument:tt [$($attributes:tt)*] $case:ident) => {
        #[test]
        $($attributes)*
        fn $case() {
            use crate::subject::{Subject as _, $subject};
            $subject::block_on(super::$case::<$subject> $argument);
        }
    };
}

#[path = "conformance/cluster.rs"]
mod cluster;
#[path = "kafka/environment.rs"]
mod environment;
#[path = "conformance/failures.rs"]
mod failures;
#[path = "rdkafka/futures.rs"]
mod futures;
#[path = "conformance/kafka.rs"]
mod kafka;
#[path = "conformance/log.rs"]
mod log;
#[path = "conformance/messages.rs"]
mod messages;
#[path = "conformance/pressure.rs"]
mod pressure;
#[path = "conformance/publisher.rs"]
mod publisher;
#[path = "conformance/publishing.rs"]
mod publishing;
#[path = "conformance/readme.rs"]
mod readme;
#[path = "conformance/records.rs"]
mod records;
#[path = "conformance/rolling.rs"]
mod rolling;
#[path = "conformance/runtimes.rs"]
mod runtimes;
#[path = "conformance/subject.rs"]
mod subject;
