//! Publishing through a producer handle, for runtimes that have a transport.

use std::collections::VecDeque;
use std::thread;
use std::time::Instant;

use kafka_batch_transport::{LocalProducerTask, LocalRuntime, Producer, ProducerBuilder};

use crate::{Deliveries, Plan, PlannedBatch};

/// How many batches are awaited at a time.
const IN_FLIGHT: usize = 64;

/// Sends batches, closes the producer, and returns the deliveries.
///
/// # Errors
/// A batch is not accepted, or not delivered.
pub async fn publish(producer: &Producer, batches: impl Iterator<Item = PlannedBatch>) -> Result<Deliveries, String> {
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

/// Sends batches with a producer whose task `spawn` spawns on this thread.
///
/// # Errors
/// The producer cannot be built, or a batch is not accepted, or not delivered.
pub async fn publish_local<R: LocalRuntime>(
    brokers: &str,
    batches: impl Iterator<Item = PlannedBatch>,
    spawn: impl FnOnce(LocalProducerTask),
) -> Result<Deliveries, String> {
    let builder = ProducerBuilder::<R>::new().set("bootstrap.servers", brokers);
    let (producer, task) = builder.build_local().map_err(|error| error.to_string())?;
    spawn(task);
    publish(&producer, batches).await
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
    run: impl Fn(&str, &mut dyn Iterator<Item = PlannedBatch>) -> Result<Deliveries, String> + Sync,
) -> Result<String, String> {
    let started = Instant::now();
    let run_one = |thread: usize| {
        let is_own = move |batch: &PlannedBatch| match batch {
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

/// Defines the tests of an example whose `publish_batches` runs a producer on one thread, as for [`thread_per_core`].
#[macro_export]
macro_rules! thread_per_core_tests {
    ($publish_batches:expr) => {
        #[cfg(test)]
        mod tests {
            use $crate::Plan;
            use $crate::kafka_batch_testing::{ApiKey, Direction, Fault, FaultKind};

            use super::*;

            fn run(plan: &Plan) -> String {
                $crate::producer::thread_per_core(plan, "test", 2, $publish_batches).unwrap()
            }

            #[test]
            fn everything_is_published_and_verified() {
                let summary = run(&Plan::parse(["--records", "50000"]).unwrap());
                assert!(summary.starts_with("test: 50000 records in "), "{summary}");
            }

            #[test]
            fn lost_connections_and_a_moved_leader_lose_and_repeat_nothing() {
                let plan = Plan::parse(["--records", "20000"]).unwrap();
                let cluster = plan.cluster().unwrap();
                for broker in 1..=3 {
                    cluster.cut_after(broker, Direction::ToBroker, 40_000);
                }
                cluster.inject(Fault::new(FaultKind::Refuse { code: 6, all: true }).api(ApiKey::Produce));
                run(&plan);
            }

            /// Batches that a socket does not accept in one operation.
            #[test]
            fn large_batches_are_written_completely() {
                run(&Plan::parse(["--records", "200000", "--batch-size", "1000000"]).unwrap());
            }

            #[test]
            fn names_of_hosts_are_resolved() {
                let mut plan = Plan::parse(["--records", "100"]).unwrap();
                plan.brokers = plan.brokers.replace("127.0.0.1", "localhost");
                run(&plan);
            }
        }
    };
}
