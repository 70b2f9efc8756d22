//! Publishes from two threads, each with a runtime of monoio and a producer of its own; then compares the log.
//!
//! ```text
//! cargo run --manifest-path examples/runtimes/Cargo.toml -p kafka-batch-example-monoio
//! cargo run --manifest-path examples/runtimes/Cargo.toml -p kafka-batch-example-monoio -- --brokers localhost:9092 --topic readings
//! ```

mod driver;

use std::process::ExitCode;

use kafka_batch_example_shared::producer::{publish_local, thread_per_core};
use kafka_batch_example_shared::{Deliveries, Plan, PlannedBatch, report, thread_per_core_tests};

use driver::Monoio;

const THREADS: usize = 2;

fn main() -> ExitCode {
    report(Plan::from_args().and_then(|plan| thread_per_core(&plan, "monoio", THREADS, publish_batches)))
}

/// Publishes batches on this thread.
fn publish_batches(brokers: &str, batches: &mut dyn Iterator<Item = PlannedBatch>) -> Result<Deliveries, String> {
    let mut runtime = driver::runtime().map_err(|error| error.to_string())?;
    runtime.block_on(publish_local::<Monoio>(brokers, batches, |task| drop(monoio::spawn(task))))
}

thread_per_core_tests!(publish_batches);
