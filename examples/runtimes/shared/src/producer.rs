//! Publishing through a producer handle, for runtimes that have a transport.

use std::collections::VecDeque;
use std::thread;
use std::time::Instant;

use kafka_batch::{KafkaBatch, TopicPartition};
use kafka_batch_transport::Producer;

use crate::{Deliveries, Plan};

/// How many batches are awaited at a time.
const IN_FLIGHT: usize = 64;

/// Sends batches, closes the producer, and returns the deliveries.
///
/// # Errors
/// A batch is not accepted, or not delivered.
pub async fn publish(
    producer: &Producer,
    batches: impl Iterator<Item = Result<(KafkaBatch, TopicPartition), String>>,
) -> Result<Deliveries, String> {
    let (mut deliveries, mut pending) = (Deliveries::default(), VecDeque::new());
    for batch in batches {
        let (batch, to) = batch?;
        pending.push_back(producer.send_batch(batch, to).await.map_err(|error| error.to_string())?);
        if pending.len() == IN_FLIGHT
            && let Some(oldest) = pending.pop_front()
        {
            deliveries.add(&oldest.await.map_err(|error| error.to_string())?);
        }
    }
    for pending in pending {
        deliveries.add(&pending.await.map_err(|error| error.to_string())?);
    }
    producer.close().await.map_err(|error| error.to_string())?;
    Ok(deliveries)
}

/// Runs one thread for each of `threads` runtimes. Each publishes to partitions of its own, by `run`, which gets the brokers and
/// the batches. Nothing is shared between them.
///
/// # Errors
/// Of `run`, or a difference in the log.
pub fn thread_per_core(
    plan: &Plan,
    name: &str,
    threads: usize,
    run: impl Fn(&str, &mut dyn Iterator<Item = Result<(KafkaBatch, TopicPartition), String>>) -> Result<Deliveries, String>
    + Sync,
) -> Result<String, String> {
    let started = Instant::now();
    let run_one = |thread: usize| {
        let is_own = move |batch: &Result<(KafkaBatch, TopicPartition), String>| match batch {
            Ok((_, to)) => to.partition as usize % threads == thread,
            Err(_) => true,
        };
        run(&plan.brokers, &mut plan.batches()?.filter(is_own))
    };
    let results: Vec<_> = thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|thread| scope.spawn(move || run_one(thread))).collect();
        running.into_iter().map(|thread| thread.join().map_err(|_| "a thread has panicked".to_owned())).collect()
    });
    let mut deliveries = Deliveries::default();
    for result in results {
        deliveries.merge(result??);
    }
    let verified = plan.verify(&deliveries)?;
    Ok(format!("{name}: {verified}, by {threads} threads in {:.3} s", started.elapsed().as_secs_f64()))
}
