//! Messages and batches through the handle, the queue, the driver and the machine, to a broker in memory. No sockets.

mod any_order;
mod broker;
mod channel;
#[cfg(feature = "metrics")]
mod facade;
mod hooks;
mod max_block;
mod rack;
mod stats;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use kafka_batch_core::machine::{ConnectionId, Input, MachineConfig};
use kafka_batch_core::partitioner::partition_for_key;
use kafka_batch_core::{AppendError, BatchOptions, Capabilities, FailureReason, Fate};
use proptest::prelude::*;

use self::broker::{Broker, TOPIC};
use super::*;
use crate::command_queue::CommandQueue;
use crate::driver::{Driver, Step};
use crate::gathering::Gathering;
use crate::injector::HeaderInjector;
use crate::observers::Observers;
use crate::producer::Pending;
use crate::tls_stream::Security;
use crate::topics::TopicCache;

type Boxed<T> = Pin<Box<dyn Future<Output = T>>>;

fn poll<T>(future: &mut (impl Future<Output = T> + Unpin)) -> Poll<T> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Whether a task is to be polled again.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

struct World {
    producer: Producer,
    queue: Arc<CommandQueue>,
    driver: Option<Driver>,
    broker: Broker,
    connection: Option<ConnectionId>,
}

impl World {
    fn new(linger: Duration, buffer: usize, options: BatchOptions) -> Self {
        Self::with_queue(linger, buffer, options, |queue| queue)
    }

    fn with_hooks(
        linger: Duration,
        buffer: usize,
        options: BatchOptions,
        observers: Observers,
        injector: HeaderInjector,
    ) -> Self {
        Self::with_queue(linger, buffer, options, |queue| queue.hooks(observers, injector))
    }

    fn with_queue(
        linger: Duration,
        buffer: usize,
        options: BatchOptions,
        change: impl FnOnce(CommandQueue) -> CommandQueue,
    ) -> Self {
        let topics = TopicCache::new(1, Duration::from_secs(300));
        let queue = Arc::new(change(CommandQueue::new(buffer, topics, Gathering::new(linger, 2))));
        let mut config = MachineConfig::new([("broker", 9092)]);
        config.buffer_memory = buffer;
        let driver = Driver::new(config, Security::Plaintext, 1, Arc::clone(&queue));
        let producer = Producer::new(Arc::clone(&queue), options, Capabilities::new(true), buffer, "broker".into());
        Self { producer, queue, driver: Some(driver), broker: Broker::new(3), connection: None }
    }

    /// A turn of the driver's task.
    fn turn(&mut self) {
        let Some(driver) = &mut self.driver else { return };
        loop {
            match driver.next_step() {
                Step::Connect { connection, .. } => {
                    self.connection = Some(connection);
                    driver.handle_input(Input::Connected(connection));
                }
                Step::Transmit { connection, bytes } => {
                    if let Some(response) = self.broker.receive(&bytes) {
                        driver.handle_input(Input::Received(connection, &response));
                    }
                }
                Step::Close(_) => {}
                Step::Wait(_) => {
                    let woken = Arc::new(Woken::default());
                    let waker = Waker::from(Arc::clone(&woken));
                    let is_pending = driver.poll_commands(&Context::from_waker(&waker)).is_pending();
                    if is_pending && !woken.0.load(Ordering::SeqCst) {
                        return;
                    }
                }
                Step::End => {
                    self.driver = None;
                    return;
                }
            }
        }
    }

    /// The broker answers the oldest Produce request.
    fn answer(&mut self) {
        if let (Some(driver), Some(connection)) = (&mut self.driver, self.connection) {
            if let Some(response) = self.broker.held.pop_front() {
                driver.handle_input(Input::Received(connection, &response));
            }
        }
    }

    /// Answers all requests.
    fn settle(&mut self) {
        self.turn();
        while self.driver.is_some() && !self.broker.held.is_empty() {
            self.answer();
            self.turn();
        }
    }

    fn enqueue(
        &self,
        to: Option<i32>,
        key: Option<&'static str>,
        value: String,
    ) -> Boxed<Result<PendingRecord, EnqueueError>> {
        let producer = self.producer.clone();
        Box::pin(async move { producer.enqueue((TOPIC, to), Record::new(value).key(key)).await })
    }

    /// Enqueues a message that is accepted once its topic is known.
    fn accepted(&mut self, to: Option<i32>, key: Option<&'static str>, value: &str) -> PendingRecord {
        let mut future = self.enqueue(to, key, value.to_owned());
        for _ in 0..3 {
            if let Poll::Ready(accepted) = poll(&mut future) {
                return accepted.unwrap();
            }
            self.turn();
        }
        panic!("not accepted");
    }

    fn send_batch(&self, partition: i32, value: String) -> Boxed<Option<Pending>> {
        let producer = self.producer.clone();
        Box::pin(async move {
            let mut batch = producer.batch();
            batch.extend([Record::new(&value)]).unwrap();
            producer.send_batch(batch, TopicPartition::new(TOPIC, partition)).await.ok()
        })
    }

    fn log(&self, partition: i32) -> &[String] {
        self.broker.logs.get(&partition).map_or(&[], |log| log)
    }
}

fn world() -> World {
    World::new(Duration::ZERO, 1 << 20, BatchOptions::default())
}

#[test]
fn messages_of_one_turn_share_a_batch_and_each_has_its_offset() {
    let mut world = world();
    let mut pending = ["a", "b", "c"].map(|value| world.accepted(Some(1), None, value));
    world.settle();
    assert_eq!((world.log(1), world.broker.batches), (&["a", "b", "c"].map(String::from)[..], 1));
    for (offset, pending) in (0..).zip(&mut pending) {
        let Poll::Ready(Ok(delivery)) = poll(pending) else { panic!("no outcome") };
        assert_eq!((delivery.partition, delivery.offset), (1, Some(offset)));
        assert!(delivery.timestamp.millis() > 1_700_000_000_000, "its own time");
    }
}

/// With thousands of tasks, futures are in no cache of the processor when they are polled.
#[test]
fn the_future_of_a_message_is_small() {
    let producer = world().producer.clone();
    let size = size_of_val(&producer.send((TOPIC, 0), Record::new("value")));
    assert!(size <= 200, "{size} bytes, of which the message takes {}", size_of::<Record<'_>>());
}

#[test]
fn messages_gather_while_two_batches_are_in_flight() {
    let mut world = world();
    drop(world.accepted(Some(0), None, "first"));
    world.settle(); // several batches are in flight only once the broker has accepted one
    for value in ["a", "b", "c", "d", "e"] {
        drop(world.accepted(Some(0), None, value));
        world.turn();
    }
    assert_eq!((world.log(0).len(), world.broker.batches), (3, 3), "the dropped ones are sent, too");
    world.answer();
    world.turn();
    assert_eq!((world.log(0).len(), world.broker.batches), (6, 4), "the other three share a batch");
}

#[test]
fn a_batch_does_not_overtake_the_messages_before_it() {
    let mut world = World::new(Duration::from_secs(3_600), 1 << 20, BatchOptions::default());
    let mut message = world.accepted(Some(0), None, "first");
    let mut of_another = world.accepted(Some(1), None, "waits on");
    let mut batch = world.send_batch(0, "second".to_owned());
    let Poll::Ready(Some(mut batch)) = poll(&mut batch) else { panic!("not accepted") };
    let mut last = world.accepted(Some(0), None, "third");
    world.settle();
    assert_eq!(world.log(0), ["first", "second"]);
    assert!(poll(&mut message).is_ready() && poll(&mut batch).is_ready());
    assert!(poll(&mut of_another).is_pending() && poll(&mut last).is_pending(), "they linger");
    let producer = world.producer.clone();
    let mut flush: Boxed<_> = Box::pin(async move { producer.flush().await });
    assert!(poll(&mut flush).is_pending());
    world.settle();
    assert!(matches!(poll(&mut flush), Poll::Ready(Ok(()))));
    assert!(poll(&mut of_another).is_ready() && poll(&mut last).is_ready());
    assert_eq!(world.log(0), ["first", "second", "third"]);
}

#[test]
fn keys_choose_the_partition_and_without_one_it_changes_with_the_batch() {
    let mut world = world();
    let keyed = world.accepted(None, Some("sensor-7"), "keyed").topic_partition().partition;
    assert_eq!(keyed, partition_for_key(b"sensor-7", NonZeroU32::new(3).unwrap()));
    world.settle();
    let mut seen = Vec::new();
    for number in 0..6 {
        let [first, second] =
            [0, 1].map(|half| world.accepted(None, None, &format!("{number}/{half}")).topic_partition().partition);
        assert_eq!(first, second, "they share a batch");
        world.settle();
        seen.push(first);
    }
    assert!(seen.windows(2).all(|pair| pair[0] != pair[1]), "{seen:?}");
}

fn refused(world: &mut World, to: Option<i32>, value: String) -> EnqueueErrorReason {
    let mut future = world.enqueue(to, None, value);
    for _ in 0..3 {
        if let Poll::Ready(refused) = poll(&mut future) {
            return refused.unwrap_err().reason;
        }
        world.turn();
    }
    panic!("neither accepted nor refused");
}

#[test]
fn what_no_batch_can_hold_is_refused_and_disturbs_no_other() {
    let mut world = World::new(Duration::ZERO, 2_000, BatchOptions::default().max_message_bytes(1_000));
    let mut before = world.accepted(Some(0), None, "before");
    let reason = refused(&mut world, Some(0), "x".repeat(1_000));
    assert!(matches!(reason, EnqueueErrorReason::Append(AppendError::TooLarge { limit: 1_000, .. })), "{reason}");
    world.settle();
    assert!(matches!(poll(&mut before), Poll::Ready(Ok(_))));

    let mut world = self::world();
    let reason = refused(&mut world, Some(3), "x".to_owned());
    assert!(
        matches!(reason, EnqueueErrorReason::Send(SendErrorReason::UnknownPartition { partitions: 3, .. })),
        "{reason}"
    );

    let mut world = World::new(Duration::ZERO, 500, BatchOptions::default());
    let reason = refused(&mut world, Some(0), "x".repeat(1_000));
    let EnqueueErrorReason::Send(SendErrorReason::ExceedsBufferMemory { size, limit: 500 }) = reason else {
        panic!("{reason}")
    };
    assert!((1_061..1_080).contains(&size), "{size}");
    assert!(world.queue.is_idle());
}

#[test]
fn a_message_that_waits_for_memory_has_open_batches_sent_and_can_be_cancelled() {
    let mut world = World::new(Duration::from_secs(3_600), 300, BatchOptions::default());
    let mut first = world.accepted(Some(0), None, &"a".repeat(150));
    let mut dropped = world.enqueue(Some(0), None, "b".repeat(150));
    let mut last = world.enqueue(Some(0), None, "c".repeat(100));
    assert!(poll(&mut dropped).is_pending() && poll(&mut last).is_pending());
    drop(dropped);
    world.settle();
    assert!(poll(&mut first).is_ready(), "it does not linger");
    assert!(matches!(poll(&mut last), Poll::Ready(Ok(_))));
    drop(last);
    drop(world.producer.clone());
    world.queue.close_on_drop();
    world.settle();
    assert_eq!(world.log(0), ["a".repeat(150), "c".repeat(100)]);
    assert!(world.driver.is_none() && world.queue.is_idle());
}

#[test]
fn messages_that_linger_are_sent_while_a_batch_waits_for_memory() {
    let mut world = World::new(Duration::from_secs(3_600), 300, BatchOptions::default());
    let mut message = world.accepted(Some(0), None, &"a".repeat(150));
    let mut batch = world.send_batch(0, "b".repeat(150));
    assert!(poll(&mut batch).is_pending());
    world.settle();
    assert!(poll(&mut message).is_ready());
    let Poll::Ready(Some(mut batch)) = poll(&mut batch) else { panic!("it waits for linger.ms") };
    world.settle();
    assert!(matches!(poll(&mut batch), Poll::Ready(Ok(_))));
}

#[test]
fn a_message_does_not_linger_while_another_one_waits_for_memory() {
    let mut world = World::new(Duration::from_secs(3_600), 300, BatchOptions::default());
    let mut first = world.accepted(Some(0), None, &"a".repeat(150));
    let mut second = world.enqueue(Some(0), None, "b".repeat(150));
    let mut third = world.enqueue(Some(1), None, "c".repeat(150));
    assert!(poll(&mut second).is_pending() && poll(&mut third).is_pending());
    world.settle();
    assert!(poll(&mut first).is_ready());
    let Poll::Ready(Ok(mut second)) = poll(&mut second) else { panic!("not accepted") };
    assert!(poll(&mut third).is_pending());
    world.settle();
    assert!(poll(&mut second).is_ready(), "it lingers");
    assert!(matches!(poll(&mut third), Poll::Ready(Ok(_))));
}

#[test]
fn closing_sends_what_was_gathered_and_refuses_what_comes_later() {
    let mut world = World::new(Duration::from_secs(3_600), 1 << 20, BatchOptions::default());
    let mut gathered = world.accepted(Some(0), None, "a");
    let producer = world.producer.clone();
    let mut close: Boxed<_> = Box::pin(async move { producer.close().await });
    assert!(poll(&mut close).is_pending());
    assert!(matches!(refused(&mut world, Some(0), "b".into()), EnqueueErrorReason::Send(SendErrorReason::Closed)));
    world.settle();
    assert!(matches!(poll(&mut gathered), Poll::Ready(Ok(_))) && matches!(poll(&mut close), Poll::Ready(Ok(()))));

    let mut world = World::new(Duration::from_secs(3_600), 1 << 20, BatchOptions::default());
    let mut gathered = world.accepted(Some(0), None, "a");
    let producer = world.producer.clone();
    let mut close: Boxed<_> = Box::pin(async move { producer.close_at_once().await });
    assert!(poll(&mut close).is_pending());
    world.turn();
    let Poll::Ready(Err(error)) = poll(&mut gathered) else { panic!("no outcome") };
    assert_eq!(error.fate, Fate::NotWritten);
    assert!(matches!(*error.reason, FailureReason::Closed) && world.log(0).is_empty());
}

#[test]
fn a_driver_that_is_dropped_completes_all_messages() {
    let mut world = World::new(Duration::ZERO, 1 << 20, BatchOptions::default());
    let mut sent = world.accepted(Some(0), None, "sent");
    world.turn();
    let mut open = world.accepted(Some(0), None, "open");
    world.driver = None;
    for (pending, expected) in [(&mut sent, Fate::Unknown), (&mut open, Fate::NotWritten)] {
        let Poll::Ready(Err(error)) = poll(pending) else { panic!("no outcome") };
        assert_eq!(error.fate, expected);
        assert!(matches!(*error.reason, FailureReason::Stopped));
    }
    assert!(matches!(refused(&mut world, Some(0), "late".into()), EnqueueErrorReason::Send(SendErrorReason::Stopped)));
}
