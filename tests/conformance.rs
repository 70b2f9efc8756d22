//! One suite, mounted once for each transport: what each of them does with the same calls, over librdkafka's mock cluster
//! with its faults, and, where a broker is asked for by name (`ignored`), over a real Apache Kafka. Where the rdkafka
//! transport cannot, since librdkafka batches by itself, the suite says what it does instead.
//!
//! Run the second half with `cargo run -p kafka-batch-brokers -- --kafka 4 -- cargo test --test conformance -- --ignored`.
//!
//! Nothing here waits for a time to pass in order to see what happens then: where something must still be on its way, its
//! partition has no leader until the test gives it one.

/// A case for each transport: `room::transport::case`.
macro_rules! over_each_transport {
    ($($(#[$attribute:meta])* $case:ident)*) => {
        over_each_transport! { @mount over_tokio Tokio $($(#[$attribute])* $case)* }
        over_each_transport! { @mount over_async_std AsyncStd $($(#[$attribute])* $case)* }
        over_each_transport! { @mount over_rdkafka Rdkafka $($(#[$attribute])* $case)* }
    };
    (@mount $transport:ident $subject:ident $($(#[$attribute:meta])* $case:ident)*) => {
        mod $transport {
            $(
                #[test]
                $(#[$attribute])*
                fn $case() {
                    crate::subject::run::<crate::subject::$subject, _>(super::$case::<crate::subject::$subject>());
                }
            )*
        }
    };
}

#[path = "conformance/cluster.rs"]
mod cluster;
#[path = "conformance/failures.rs"]
mod failures;
#[path = "rdkafka/futures.rs"]
mod futures;
#[path = "conformance/pressure.rs"]
mod pressure;
#[path = "conformance/publishing.rs"]
mod publishing;
#[path = "conformance/records.rs"]
mod records;
#[path = "conformance/runtimes.rs"]
mod runtimes;
#[path = "conformance/subject.rs"]
mod subject;
