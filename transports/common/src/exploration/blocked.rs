//! `max.block.ms`: the time of a call ends while room or metadata arrives. Either the call is accepted, and its records are in the log
//! once, or it fails, and has its batch back; and each call ends, also if nothing arrives but the end of its time.

use std::cell::Cell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::mem;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use kafka_batch_core::{
    BatchOptions, Capabilities, Delivery, EnqueueErrorReason, KafkaBatch, Publish, PublishError, Record, SealedBatch,
    SendErrorReason, TopicPartition,
};
use shuttle::thread::{self, JoinHandle};

use super::task::{block_on, poll_at_most};
use super::{any_of, explore};
use crate::accepted::TakenBatch;
use crate::clock::RuntimeClock;
use crate::command_queue::{Command, CommandQueue, permits};
use crate::completion::Completer;
use crate::gathering::{Gathering, PartitionIndex};
use crate::oneshot::Sender;
use crate::producer::Producer;
use crate::semaphore::Permits;
use crate::topics::TopicCache;

const LIMIT: Duration = Duration::from_millis(500);
/// Room for one batch, or for one message.
const BUFFER: usize = 110;
const LONG: Duration = Duration::from_secs(3_600);

thread_local! {
    static START: Instant = Instant::now();
    /// The time that has passed. Threads of `shuttle` are on one thread of the system.
    static ELAPSED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

fn now() -> Instant {
    START.with(|start| *start) + ELAPSED.get()
}

/// A batch in flight.
enum InFlight {
    Batch(Sender<TakenBatch>, SealedBatch),
    Messages(PartitionIndex, Completer, SealedBatch, usize),
}

/// The driver with the broker, and the clock, which it sets.
struct Driver {
    queue: Arc<CommandQueue>,
    in_flight: VecDeque<InFlight>,
    lookups: VecDeque<String>,
    log: Vec<String>,
    /// Whether anything else than the end of its time can end a wait.
    responds: bool,
    is_closing: bool,
    commands: Vec<Command>,
    deadline: Option<Instant>,
}

impl Driver {
    /// Runs until the queue is closed. Returns the log.
    fn run(mut self) -> Vec<String> {
        while !(self.is_closing && self.in_flight.is_empty()) {
            let has_something = self.responds && !(self.in_flight.is_empty() && self.lookups.is_empty());
            let polls = if has_something || self.deadline.is_some() { 1 } else { usize::MAX };
            let Self { queue, commands, deadline, .. } = &mut self;
            poll_at_most(polls, poll_fn(|context| queue.poll_commands(commands, deadline, context)));
            self.apply();
            match any_of(3) {
                0 if self.responds => self.complete(),
                1 if self.responds => self.answer(),
                _ => self.pass_time(),
            }
        }
        assert!(self.queue.end(true).is_empty(), "a command was queued after the close");
        self.log
    }

    /// Sets the clock to the end of the time of a call, or to half of what is left.
    fn pass_time(&mut self) {
        if let Some(deadline) = self.deadline {
            let left = deadline.saturating_duration_since(now());
            ELAPSED.set(ELAPSED.get() + if any_of(2) == 0 { left } else { left / 2 });
        }
    }

    fn apply(&mut self) {
        for command in mem::take(&mut self.commands) {
            match command {
                Command::Send(sender) => {
                    let (sender, taken) = sender.take_batch();
                    let (batch, ..) = taken.expect("it was accepted with a batch");
                    self.record(&batch);
                    self.in_flight.push_back(InFlight::Batch(sender, batch));
                }
                Command::SendMessages(gathered) => {
                    let (size, batch) = (gathered.batch.size(), gathered.batch.seal().unwrap());
                    self.record(&batch);
                    self.in_flight.push_back(InFlight::Messages(gathered.partition, gathered.completer, batch, size));
                }
                Command::LookupTopic(topic) => self.lookups.push_back(topic),
                Command::Close(_, sender) => {
                    assert!(sender.is_none(), "the last handle was dropped");
                    (self.is_closing, self.responds) = (true, true);
                }
                other => unreachable!("no scenario has {other:?}"),
            }
        }
    }

    fn record(&mut self, batch: &SealedBatch) {
        let batch = batch.clone().into_batch();
        self.log.extend(batch.records().map(|record| String::from_utf8(record.value.unwrap().to_vec()).unwrap()));
    }

    /// Completes the oldest batch.
    fn complete(&mut self) {
        let delivery = |batch: SealedBatch| Ok(Delivery::new(to(), 0, batch.without_producer_id()));
        match self.in_flight.pop_front() {
            Some(InFlight::Batch(sender, batch)) => {
                self.queue.release(permits(&batch));
                sender.send(delivery(batch));
            }
            Some(InFlight::Messages(partition, completer, batch, bytes)) => {
                self.queue.on_completed(partition, Permits { records: batch.record_count(), bytes });
                completer.complete(delivery(batch));
            }
            None => {}
        }
    }

    /// Answers the oldest lookup.
    fn answer(&mut self) {
        if let Some(topic) = self.lookups.pop_front() {
            self.queue.topics.complete_lookup(&topic, &Ok(NonZeroU32::MIN), true);
        }
    }
}

fn to() -> TopicPartition {
    TopicPartition::new("known", 0)
}

/// The outcome of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Delivered,
    /// It has waited for `max.block.ms`, and the caller has what it has sent.
    Blocked,
    /// It was dropped before it was accepted.
    Dropped,
}

struct World {
    producer: Producer,
    queue: Arc<CommandQueue>,
    driver: JoinHandle<Vec<String>>,
}

impl World {
    fn start(responds: bool) -> Self {
        ELAPSED.set(Duration::ZERO);
        let clock = RuntimeClock::new(now, || SystemTime::UNIX_EPOCH);
        let topics = TopicCache::new(1, LONG).clock(clock);
        assert!(topics.begin_lookup("known"));
        topics.complete_lookup("known", &Ok(NonZeroU32::MIN), true);
        let gathering = Gathering::new(Duration::ZERO, 2);
        let queue = Arc::new(CommandQueue::new(BUFFER, topics, gathering).clock(clock).max_block(Some(LIMIT)));
        let (options, capabilities) = (BatchOptions::default(), Capabilities::new(true));
        let producer = Producer::new(Arc::clone(&queue), options, capabilities, BUFFER, "broker".into());
        let driver = Driver {
            queue: Arc::clone(&queue),
            in_flight: VecDeque::new(),
            lookups: VecDeque::new(),
            log: Vec::new(),
            responds,
            is_closing: false,
            commands: Vec::new(),
            deadline: None,
        };
        Self { producer, queue, driver: thread::spawn(|| driver.run()) }
    }

    /// Starts a task that publishes a batch of this value, and drops the call after `polls` polls.
    fn batch(&self, topic: &'static str, value: &'static str, polls: usize) -> JoinHandle<Outcome> {
        let producer = self.producer.clone();
        thread::spawn(move || {
            let began = now();
            let mut batch = KafkaBatch::new(0);
            batch.extend([Record::new(value)]).unwrap();
            let call = producer.publish_batch_no_confirm(Publish::to(topic).batch(batch));
            match poll_at_most(polls, call) {
                Some(Ok(pending)) => {
                    assert!(block_on(pending).is_ok(), "what was accepted is delivered");
                    Outcome::Delivered
                }
                Some(Err(PublishError::Send(error))) => {
                    assert_blocked(&error.reason, began);
                    let values: Vec<_> = error.batch.records().map(|record| record.value.map(<[u8]>::to_vec)).collect();
                    assert_eq!(values, [Some(value.as_bytes().to_vec())], "the caller has the batch");
                    Outcome::Blocked
                }
                Some(Err(other)) => panic!("{other}"),
                None => Outcome::Dropped,
            }
        })
    }

    /// Starts a task that sends a message, and drops the call after `polls` polls.
    fn message(&self, topic: &'static str, value: &'static str, polls: usize) -> JoinHandle<Outcome> {
        let producer = self.producer.clone();
        thread::spawn(move || {
            let began = now();
            match poll_at_most(polls, producer.enqueue(topic, value)) {
                Some(Ok(pending)) => {
                    assert!(block_on(pending).is_ok(), "what was accepted is delivered");
                    Outcome::Delivered
                }
                Some(Err(error)) => {
                    let EnqueueErrorReason::Send(reason) = &error.reason else { panic!("{error}") };
                    assert_blocked(reason, began);
                    Outcome::Blocked
                }
                None => Outcome::Dropped,
            }
        })
    }

    /// Checks the log after all calls have ended.
    fn check<const N: usize>(self, calls: [(&'static str, JoinHandle<Outcome>); N]) -> [Outcome; N] {
        let outcomes = calls.map(|(value, call)| (value, call.join().unwrap()));
        let Self { producer, queue, driver } = self;
        assert!(queue.is_idle(), "a call that has ended, or its batch, holds memory");
        drop(producer);
        let log = driver.join().unwrap();
        for (value, outcome) in outcomes {
            let count = log.iter().filter(|found| *found == value).count();
            assert_eq!(count, usize::from(outcome == Outcome::Delivered), "{value} is {outcome:?}: {log:?}");
        }
        outcomes.map(|(_, outcome)| outcome)
    }
}

fn assert_blocked(reason: &SendErrorReason, began: Instant) {
    assert!(matches!(reason, SendErrorReason::Blocked { limit: LIMIT, .. }), "{reason}");
    assert!(now() - began >= LIMIT, "it failed before its time was over");
}

#[test]
fn room_arrives_while_the_time_ends() {
    explore(600, || {
        let world = World::start(true);
        let calls = [
            ("a", world.batch("known", "a", usize::MAX)),
            ("b", world.batch("known", "b", usize::MAX)),
            ("c", world.message("known", "c", usize::MAX)),
            ("d", world.batch("known", "d", any_of(4))),
        ];
        world.check(calls);
    });
}

#[test]
fn metadata_and_room_arrive_while_the_time_ends() {
    explore(600, || {
        let world = World::start(true);
        let calls = [
            ("a", world.batch("new", "a", usize::MAX)),
            ("b", world.batch("other", "b", usize::MAX)),
            ("c", world.message("new", "c", usize::MAX)),
            ("d", world.message("other", "d", any_of(5))),
        ];
        world.check(calls);
    });
}

#[test]
fn a_call_ends_although_nothing_arrives() {
    explore(600, || {
        let world = World::start(false);
        let calls = [
            ("a", world.batch("new", "a", usize::MAX)),
            ("b", world.message("other", "b", usize::MAX)),
            ("c", world.batch("new", "c", any_of(3))),
        ];
        let [first, second, third] = world.check(calls);
        assert_eq!([first, second], [Outcome::Blocked; 2]);
        assert_ne!(third, Outcome::Delivered);
    });
}
