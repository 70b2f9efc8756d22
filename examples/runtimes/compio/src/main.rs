//! Publishes from two threads, each with a runtime of compio and a producer of its own; then compares the log.
//!
//! ```text
//! cargo run --manifest-path examples/runtimes/Cargo.toml -p kafka-batch-example-compio
//! cargo run --manifest-path examples/runtimes/Cargo.toml -p kafka-batch-example-compio -- --brokers localhost:9092 --topic readings
//! ```

mod driver;
#[cfg(test)]
mod tests;

use std::process::ExitCode;

use kafka_batch::{KafkaBatch, TopicPartition};
use kafka_batch_example_shared::producer::{publish, thread_per_core};
use kafka_batch_example_shared::{Deliveries, Plan};
use kafka_batch_transport::{LocalProducerTask, Producer, ProducerBuilder};

use driver::Compio;

const THREADS: usize = 2;

fn main() -> ExitCode {
    match Plan::from_args().and_then(|plan| thread_per_core(&plan, "compio", THREADS, publish_batches)) {
        Ok(summary) => {
            println!("{summary}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Publishes batches on this thread.
fn publish_batches(
    brokers: &str,
    batches: &mut dyn Iterator<Item = Result<(KafkaBatch, TopicPartition), String>>,
) -> Result<Deliveries, String> {
    let runtime = compio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let (producer, task) = build(brokers)?;
        compio::runtime::spawn(task).detach();
        publish(&producer, batches).await
    })
}

fn build(brokers: &str) -> Result<(Producer, LocalProducerTask), String> {
    let builder = ProducerBuilder::<Compio>::new().set("bootstrap.servers", brokers);
    builder.build_local().map_err(|error| error.to_string())
}
