//! Publishes from two threads, each with a runtime of monoio and a producer of its own; then compares the log.
//!
//! ```text
//! cargo run --manifest-path examples/runtimes/Cargo.toml -p kafka-batch-example-monoio
//! cargo run --manifest-path examples/runtimes/Cargo.toml -p kafka-batch-example-monoio -- --brokers localhost:9092 --topic readings
//! ```

mod driver;
#[cfg(test)]
mod tests;

use std::process::ExitCode;

use kafka_batch::{KafkaBatch, TopicPartition};
use kafka_batch_example_shared::producer::{publish, thread_per_core};
use kafka_batch_example_shared::{Deliveries, Plan};
use kafka_batch_transport::{LocalProducerTask, Producer, ProducerBuilder};

use driver::Monoio;

const THREADS: usize = 2;

fn main() -> ExitCode {
    match Plan::from_args().and_then(|plan| thread_per_core(&plan, "monoio", THREADS, publish_batches)) {
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
    let pool = Box::new(monoio::blocking::DefaultThreadPool::new(1));
    let builder = monoio::RuntimeBuilder::<monoio::IoUringDriver>::new().enable_timer().attach_thread_pool(pool);
    let mut runtime = builder.build().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let (producer, task) = build(brokers)?;
        monoio::spawn(task);
        publish(&producer, batches).await
    })
}

fn build(brokers: &str) -> Result<(Producer, LocalProducerTask), String> {
    let builder = ProducerBuilder::<Monoio>::new().set("bootstrap.servers", brokers);
    builder.build_local().map_err(|error| error.to_string())
}
