//! Handles, the driver with the machine, and a broker in memory: every message that was accepted is in the log once, in order,
//! and every future completes.

// Also a part of the unit tests of `send`.
#[path = "../send/tests/broker.rs"]
mod broker;

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use kafka_batch_core::machine::{Input, MachineConfig};
use kafka_batch_core::{BatchOptions, Capabilities, Record, TopicPartition};
use shuttle::thread::{self, JoinHandle};

use self::broker::{Broker, TOPIC};
use super::task::{block_on, poll_at_most};
use super::{any_of, explore};
use crate::command_queue::CommandQueue;
use crate::driver::{Driver, Step};
use crate::gathering::Gathering;
use crate::producer::Producer;
use crate::tls_stream::Security;
use crate::topics::TopicCache;

/// The partition of all records.
const PARTITION: i32 = 0;

struct World {
    producer: Producer,
    queue: Arc<CommandQueue>,
    driver: JoinHandle<Broker>,
}

impl World {
    /// Starts a driver that runs until the producer is closed, or that is dropped after `turns` turns.
    fn start(linger: Duration, buffer: usize, turns: usize) -> Self {
        let topics = TopicCache::new(1, Duration::from_secs(300));
        let queue = Arc::new(CommandQueue::new(buffer, topics, Gathering::new(linger, 2)));
        let mut config = MachineConfig::new([("broker", 9092)]);
        config.buffer_memory = buffer;
        let driver = Driver::new(config, Security::Plaintext, 1, Arc::clone(&queue));
        let (options, capabilities) = (BatchOptions::default(), Capabilities::new(true));
        let producer = Producer::new(Arc::clone(&queue), options, capabilities, buffer, "broker".into());
        let world = Self { producer, queue, driver: thread::spawn(move || run(driver, turns)) };
        // The topic is looked up before the scenario: there is no timer, and a second lookup would wait for
        // `retry.backoff.ms`.
        drop(block_on(world.producer.partition_count(TOPIC)));
        world
    }

    /// Drops the handle, and returns the log after the driver has ended.
    fn log(self) -> Vec<String> {
        let Self { producer, queue, driver } = self;
        drop(producer);
        let mut broker = driver.join().unwrap();
        assert!(queue.is_idle(), "memory was not released");
        let log = broker.logs.remove(&PARTITION).unwrap_or_default();
        assert!(broker.batches <= log.len(), "a batch has no record");
        log
    }

    /// Starts a task that sends these messages one after the other. Returns their offsets, up to the first that failed.
    fn sender(&self, values: [&'static str; 2]) -> JoinHandle<Vec<Option<i64>>> {
        let producer = self.producer.clone();
        thread::spawn(move || {
            let sent = values.iter().map_while(|value| {
                let delivery = block_on(producer.send((TOPIC, PARTITION), Record::new(value)));
                Some(delivery.ok()?.offset)
            });
            sent.collect()
        })
    }

    /// Starts a task that sends a batch of one record. Returns its offset.
    fn batch_sender(&self, value: &'static str) -> JoinHandle<Option<i64>> {
        let producer = self.producer.clone();
        thread::spawn(move || {
            block_on(async move {
                let mut batch = producer.batch();
                batch.extend([Record::new(value)]).unwrap();
                let pending = producer.send_batch(batch, TopicPartition::new(TOPIC, PARTITION)).await.ok()?;
                pending.await.ok()?.base_offset()
            })
        })
    }
}

/// Runs the driver as the driver loop does. The broker answers when the driver has nothing else to do, or before.
fn run(mut driver: Driver, turns: usize) -> Broker {
    let mut broker = Broker::new(1);
    let mut connected = None;
    for _ in 0..turns {
        loop {
            match driver.next_step() {
                Step::Connect { connection, .. } => {
                    connected = Some(connection);
                    driver.handle_input(Input::Connected(connection));
                }
                Step::Transmit { connection, bytes } => {
                    if let Some(response) = broker.receive(&bytes) {
                        driver.handle_input(Input::Received(connection, &response));
                    }
                }
                Step::Close(_) => {}
                Step::Wait(_) => break,
                Step::End => return broker,
            }
        }
        let waits = broker.held.is_empty();
        let has_commands =
            match poll_at_most(if waits { usize::MAX } else { 1 }, poll_fn(|context| driver.poll_commands(context))) {
                Some(()) => any_of(2) == 0,
                None => false,
            };
        if !has_commands {
            if let (Some(connection), Some(response)) = (connected, broker.held.pop_front()) {
                driver.handle_input(Input::Received(connection, &response));
            }
        }
    }
    broker
}

/// Checks that each delivered value is in the log at its offset.
fn assert_delivered(log: &[String], values: &[&str], offsets: &[Option<i64>]) {
    for (value, offset) in values.iter().zip(offsets) {
        assert_eq!(log[offset.expect("acknowledged") as usize], *value, "{log:?}");
    }
    assert!(offsets.is_sorted());
}

const A: [&str; 2] = ["a0", "a1"];
const B: [&str; 2] = ["b0", "b1"];

#[test]
fn messages_and_batches_of_many_tasks_are_delivered() {
    explore(400, || {
        let world = World::start(Duration::ZERO, 1 << 20, usize::MAX);
        let (a, b, batch) = (world.sender(A), world.sender(B), world.batch_sender("batch"));
        let (a, b, batch) = (a.join().unwrap(), b.join().unwrap(), batch.join().unwrap());
        let log = world.log();
        assert_eq!((log.len(), a.len(), b.len()), (5, 2, 2));
        assert_delivered(&log, &A, &a);
        assert_delivered(&log, &B, &b);
        assert_delivered(&log, &["batch"], &[batch]);
    });
}

#[test]
fn messages_wait_for_memory_and_may_be_dropped_meanwhile() {
    // Room for one message at a time, which lingers until another one needs the memory.
    explore(400, || {
        let world = World::start(Duration::from_secs(3_600), 100, usize::MAX);
        let threads = ["a", "b"].map(|value| {
            let producer = world.producer.clone();
            thread::spawn(move || {
                drop(block_on(producer.enqueue((TOPIC, PARTITION), Record::new(value))).unwrap());
                block_on(producer.flush()).unwrap();
            })
        });
        let dropped = {
            let producer = world.producer.clone();
            thread::spawn(move || {
                let enqueue = producer.enqueue((TOPIC, PARTITION), Record::new("dropped"));
                poll_at_most(any_of(5), enqueue).is_some_and(|accepted| accepted.is_ok())
            })
        };
        let pending = block_on(world.producer.enqueue((TOPIC, PARTITION), Record::new("c"))).unwrap();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let is_accepted = dropped.join().unwrap();
        block_on(world.producer.flush()).unwrap();
        let offset = block_on(pending).unwrap().offset;
        let log = world.log();
        assert_delivered(&log, &["c"], &[offset]);
        let count = |value: &str| log.iter().filter(|found| *found == value).count();
        let counts = ["a", "b", "c", "dropped"].map(count);
        assert_eq!(counts, [1, 1, 1, usize::from(is_accepted)], "{log:?}");
    });
}

#[test]
fn closing_while_messages_are_sent() {
    explore(400, || {
        let world = World::start(Duration::ZERO, 160, usize::MAX);
        let (sent, batch) = (world.sender(A), world.batch_sender("batch"));
        let producer = world.producer.clone();
        let closing = thread::spawn(move || block_on(producer.close()).unwrap());
        closing.join().unwrap();
        let (sent, batch) = (sent.join().unwrap(), batch.join().unwrap());
        let log = world.log();
        assert_eq!(log.len(), sent.len() + usize::from(batch.is_some()), "{log:?}");
        assert_delivered(&log, &A, &sent);
        assert_delivered(&log, &["batch"], batch.map(Some).as_slice());
    });
}

#[test]
fn a_driver_that_is_dropped_completes_every_future() {
    explore(400, || {
        let world = World::start(Duration::ZERO, 160, any_of(8));
        let (sent, batch) = (world.sender(A), world.batch_sender("batch"));
        let producer = world.producer.clone();
        let flushing = thread::spawn(move || drop(block_on(producer.flush())));
        let (sent, batch) = (sent.join().unwrap(), batch.join().unwrap());
        flushing.join().unwrap();
        let log = world.log();
        assert_delivered(&log, &A, &sent);
        assert_delivered(&log, &["batch"], batch.map(Some).as_slice());
    });
}
