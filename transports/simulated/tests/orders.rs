//! A dead-letter pattern in the simulation: each order is in the log or in the dead letters, never in neither, never in both.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use kafka_batch_core::{Fate, KafkaBatch, Record, TopicPartition, Transport};
use kafka_batch_simulated::{Failure, FaultIntensity, Simulation, World};
use kafka_batch_testing::Topic;

/// A fault in the code under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    None,
    /// A record that may be written counts as written.
    UnknownIsWritten,
    /// A record that may be written counts as not written.
    UnknownIsNotWritten,
    /// If records of a batch are rejected, the others, which are not written either, are dropped.
    DropsRemainder,
}

/// Publishes orders over any transport.
struct Outbox<T> {
    transport: T,
    dead_letters: Vec<String>,
    /// Orders that may be in the log.
    doubtful: Vec<String>,
    bug: Bug,
}

impl<T: Transport> Outbox<T> {
    fn batch(&self, orders: &[String]) -> KafkaBatch {
        let mut batch = self.transport.batch();
        for order in orders {
            assert!(!batch.append(Record::new(order)).expect("an order fits").is_full());
        }
        batch
    }

    /// Sends orders, and those that are certainly not written again, up to three times.
    async fn send(&mut self, mut orders: Vec<String>, to: &TopicPartition) {
        for _ in 0..3 {
            let accepted = match self.transport.send_batch(self.batch(&orders), to.clone()).await {
                Ok(accepted) => accepted.await,
                Err(_) => continue, // nothing was sent
            };
            let Err(error) = accepted else { return };
            let rejected: Vec<usize> = error.record_errors.iter().map(|rejected| rejected.position).collect();
            let mut left = Vec::new();
            for (position, order) in orders.iter().enumerate() {
                match error.fate_of(position).expect("one for each record") {
                    Fate::Written => {}
                    Fate::Unknown => match self.bug {
                        Bug::UnknownIsWritten => {}
                        Bug::UnknownIsNotWritten => self.dead_letters.push(order.clone()),
                        _ => self.doubtful.push(order.clone()),
                    },
                    Fate::NotWritten if rejected.contains(&position) => self.dead_letters.push(order.clone()),
                    Fate::NotWritten => left.push(order.clone()),
                }
            }
            if !rejected.is_empty() && self.bug == Bug::DropsRemainder {
                return;
            }
            orders = left;
            if orders.is_empty() || !error.is_retriable() && rejected.is_empty() {
                break;
            }
        }
        self.dead_letters.append(&mut orders);
    }

    /// Decides about the doubtful orders, by what a consumer can read.
    fn reconcile(&mut self, stored: &[String]) {
        let missing = self.doubtful.drain(..).filter(|order| !stored.contains(order));
        self.dead_letters.extend(missing);
    }
}

fn stored(world: &World) -> Vec<String> {
    world.cluster().logs("orders").iter().flat_map(|log| log.values().expect("batches can be read")).collect()
}

/// The program under test, and its invariant.
fn program(bug: Bug) -> impl Fn(World) -> std::pin::Pin<Box<dyn Future<Output = Result<(), String>>>> {
    move |world| {
        Box::pin(async move {
            // Batches of more than 200 bytes are refused, and the producer splits them.
            let builder = world.producer_builder().split_too_large(true).set("delivery.timeout.ms", "30000");
            let producer = builder.set("request.timeout.ms", "5000").build().map_err(|error| error.to_string())?;
            let mut tasks = Vec::new();
            let mut all = Vec::new();
            for partition in 0..2 {
                let orders: Vec<String> =
                    (0..12).map(|number| format!("order {partition}-{number}, three books")).collect();
                all.extend(orders.iter().cloned());
                let mut outbox =
                    Outbox { transport: producer.clone(), dead_letters: Vec::new(), doubtful: Vec::new(), bug };
                let inner = world.clone();
                tasks.push(world.spawn(async move {
                    for orders in orders.chunks(6) {
                        inner.sleep(Duration::from_millis(20)).await;
                        outbox.send(orders.to_vec(), &TopicPartition::new("orders", partition)).await;
                    }
                    outbox
                }));
            }
            let mut dead_letters = Vec::new();
            for task in tasks {
                let mut outbox = task.await;
                let _ = producer.flush().await;
                world.sleep(Duration::from_secs(120)).await; // what is still on its way arrives, or never will
                outbox.reconcile(&stored(&world));
                dead_letters.append(&mut outbox.dead_letters);
            }
            world.note(format!("dead letters: {dead_letters:?}"));
            let mut places = BTreeMap::<String, (usize, usize)>::new();
            stored(&world).into_iter().for_each(|order| places.entry(order).or_default().0 += 1);
            dead_letters.into_iter().for_each(|order| places.entry(order).or_default().1 += 1);
            for order in all {
                match places.get(&order).copied().unwrap_or_default() {
                    (1, 0) | (0, 1) => {}
                    (logged, dead) => {
                        return Err(format!("{order:?}: {logged} times in the log, {dead} times in the dead letters"));
                    }
                }
            }
            Ok(())
        })
    }
}

fn simulation() -> Simulation {
    Simulation::new().brokers(3).topic(Topic::new("orders").partitions(2).max_message_bytes(200)).auto_create(false)
}

#[test]
fn each_order_is_in_the_log_or_in_the_dead_letters() {
    simulation().check(0..1_000, program(Bug::None));
    simulation().faults(FaultIntensity::Heavy).check(0..200, program(Bug::None));
}

/// Returns the failure that is found within a thousand runs.
fn found(bug: Bug) -> Failure {
    let failure = simulation().find_failure(0..1_000, program(bug)).expect("the fault is found within 1,000 runs");
    println!("{bug:?}, found by seed {}:\n{failure}\n", failure.seed);
    failure
}

#[test]
fn a_fault_in_the_code_is_found_and_the_schedule_is_shortened() {
    for bug in [Bug::UnknownIsWritten, Bug::UnknownIsNotWritten, Bug::DropsRemainder] {
        let failure = found(bug);
        assert!(failure.schedule.faults.len() <= 4, "{bug:?} needs few faults: {failure}");
        assert!(!failure.schedule.faults.is_empty(), "without faults the code is right: {failure}");
        let report = failure.to_string();
        for part in ["times in the log", "Produce", "note: dead letters", "KAFKA_BATCH_SEED="] {
            assert!(report.contains(part), "{part:?} is missing in: {report}");
        }
        // The shortened schedule fails by itself, and not without each of its faults.
        let cause = |faults: &kafka_batch_simulated::FaultSchedule| {
            simulation().run_with(failure.seed, faults, program(bug)).err().map(|failure| failure.cause)
        };
        assert_eq!(cause(&failure.schedule), Some(failure.cause.clone()));
        for left_out in 0..failure.schedule.faults.len() {
            let mut shorter = failure.schedule.clone();
            shorter.faults.remove(left_out);
            assert_eq!(cause(&shorter), None, "fault {left_out} is needless: {report}");
        }
    }
}
