//! The transport over librdkafka, against librdkafka's own mock cluster: what is its own. What it does as every transport
//! does is in the suite `conformance`. Read back with `rdkafka`'s consumer, which is not ours.
//!
//! Nothing here waits for a time to pass in order to see what happens then: where something must still be on its way, its
//! partition has no leader until the test gives it one.

#[path = "rdkafka/closing.rs"]
mod closing;
#[path = "rdkafka/cluster.rs"]
mod cluster;
#[path = "rdkafka/failures.rs"]
mod failures;
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
