//! The transport over librdkafka, with librdkafka's mock cluster: what is specific to it. What all transports have in
//! common is in the suite `conformance`. Logs are read with `rdkafka`'s consumer.
//!
//! No test waits for a fixed time to observe what follows: if something must stay in flight, its partition has no
//! leader until the test elects one.

#[path = "rdkafka/allocation.rs"]
mod allocation;
#[path = "rdkafka/closing.rs"]
mod closing;
#[path = "rdkafka/cluster.rs"]
mod cluster;
#[path = "conformance_kafka/consumer.rs"]
mod consumer;
#[path = "allocation/counting.rs"]
mod counting;
#[path = "rdkafka/failures.rs"]
mod failures;
#[path = "rdkafka/fencing.rs"]
mod fencing;
#[path = "rdkafka/futures.rs"]
mod futures;
#[path = "conformance/log.rs"]
mod log;
#[path = "rdkafka/pressure.rs"]
mod pressure;
#[path = "rdkafka/refusals.rs"]
mod refusals;
#[path = "rdkafka/round_trip.rs"]
mod round_trip;
#[path = "rdkafka/runtimes.rs"]
mod runtimes;
#[path = "rdkafka/statistics.rs"]
mod statistics;
#[path = "rdkafka/transactions.rs"]
mod transactions;
