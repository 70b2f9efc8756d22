//! The command queue, with a driver that completes each batch itself: commands arrive once and in order, memory is granted
//! within the limit, and every future completes.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kafka_batch_core::machine::CloseMode;
use kafka_batch_core::{
    BatchOptions, Delivery, EnqueueErrorReason, KafkaBatch, Record, SealedBatch, SendErrorReason, TopicPartition,
};
use shuttle::thread::{self, JoinHandle};

use super::task::{block_on, poll_at_most};
use super::{any_of, explore};
use crate::accepted::{Flushed, TakenBatch};
use crate::command_queue::{BlockTimer, Command, CommandQueue, EnqueueOutcome, EnqueueState, permits};
use crate::completion::{Completer, PendingRecord};
use crate::gathering::{Gathering, PartitionIndex};
use crate::observers::Observation;
use crate::oneshot::{Receiver, Sender};
use crate::semaphore::Permits;
use crate::topics::TopicCache;

const LIMIT: usize = 200;
/// What [`Handle::enqueue`] acquires for a message: two fit.
const MESSAGE: usize = 90;
const LONG: Duration = Duration::from_secs(3_600);

fn to() -> TopicPartition {
    TopicPartition::new("t", 0)
}

/// A batch in flight.
enum InFlight {
    Batch(Sender<TakenBatch>, SealedBatch),
    Messages(PartitionIndex, Completer, SealedBatch, usize),
}

/// The driver. It completes batches in order, the oldest first.
struct Driver {
    queue: Arc<CommandQueue>,
    limit: usize,
    in_flight: VecDeque<InFlight>,
    /// The values in the order of their commands.
    log: Vec<String>,
    is_closing: bool,
    commands: Vec<Command>,
    deadline: Option<Instant>,
}

impl Driver {
    fn new(queue: &Arc<CommandQueue>, limit: usize) -> Self {
        let queue = Arc::clone(queue);
        Self {
            queue,
            limit,
            in_flight: VecDeque::new(),
            log: Vec::new(),
            is_closing: false,
            commands: Vec::new(),
            deadline: None,
        }
    }

    fn poll_commands(&mut self, polls: usize) -> Option<()> {
        let Self { queue, commands, deadline, .. } = self;
        poll_at_most(polls, poll_fn(|context| queue.poll_commands(commands, deadline, context)))
    }

    /// Runs until the queue is closed. Returns the log.
    fn run(mut self) -> Vec<String> {
        while !(self.is_closing && self.in_flight.is_empty()) {
            let is_idle = self.in_flight.is_empty();
            self.poll_commands(if is_idle { usize::MAX } else { 1 });
            self.apply();
            if any_of(2) == 0 {
                self.complete();
            }
        }
        assert!(self.queue.end(true).is_empty(), "a command was queued after the close");
        self.log
    }

    /// Runs some turns, and then ends, as if the runtime were shut down.
    fn stop_after(mut self, turns: usize) {
        for _ in 0..turns {
            self.poll_commands(1);
            self.apply();
            self.complete();
        }
        self.commands = self.queue.end(false);
        self.apply();
        while !self.in_flight.is_empty() {
            self.complete();
        }
    }

    fn apply(&mut self) {
        for command in std::mem::take(&mut self.commands) {
            match command {
                Command::Send(sender) => {
                    assert!(!self.is_closing, "a batch was accepted after the close");
                    let (sender, taken) = sender.take_batch();
                    let (batch, ..) = taken.expect("it was accepted with a batch");
                    self.in_flight.push_back(InFlight::Batch(sender, batch));
                }
                Command::SendMessages(gathered) => {
                    assert!(!self.is_closing, "a message was accepted after the close");
                    let (size, batch) = (gathered.batch.size(), gathered.batch.seal().unwrap());
                    self.in_flight.push_back(InFlight::Messages(gathered.partition, gathered.completer, batch, size));
                }
                Command::Flush(sender) => {
                    self.log.push("flush".into());
                    sender.send(Ok(()));
                    continue;
                }
                Command::Close(_, sender) => {
                    self.is_closing = true;
                    sender.into_iter().for_each(|sender| sender.send(Ok(())));
                    continue;
                }
                Command::LookupTopic(_) => continue,
                Command::SendFromChannel(_) => unreachable!("no scenario has a channel"),
                Command::Transaction(_) => unreachable!("no scenario has a transaction"),
                Command::Stats(_) => unreachable!("no scenario asks for statistics"),
            }
            let (InFlight::Batch(_, batch) | InFlight::Messages(_, _, batch, _)) = self.in_flight.back().unwrap();
            let records = batch.clone().into_batch();
            let values = records.records().map(|record| String::from_utf8(record.value.unwrap().to_vec()).unwrap());
            self.log.extend(values);
        }
        let sizes = self.in_flight.iter().map(|in_flight| match in_flight {
            InFlight::Batch(_, batch) => batch.size(),
            InFlight::Messages(_, _, _, size) => *size,
        });
        assert!(sizes.sum::<usize>() <= self.limit, "more than the limit was granted");
    }

    /// Completes the oldest batch, as the driver does.
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
}

/// What the handles of a producer share, and its `buffer.memory`.
#[derive(Clone)]
struct Handle(Arc<CommandQueue>, usize);

impl Handle {
    fn new(linger: Duration) -> Self {
        Self::with_memory(linger, LIMIT)
    }

    fn with_memory(linger: Duration, limit: usize) -> Self {
        let topics = TopicCache::new(1, LONG);
        Self(Arc::new(CommandQueue::new(limit, topics, Gathering::new(linger, 2))), limit)
    }

    fn run(&self) -> JoinHandle<Vec<String>> {
        let driver = Driver::new(&self.0, self.1);
        thread::spawn(|| driver.run())
    }

    fn spawn<T: Send + 'static>(&self, task: impl FnOnce(&Self) -> T + Send + 'static) -> JoinHandle<T> {
        let handle = self.clone();
        thread::spawn(move || task(&handle))
    }

    /// Accepts a message, as `send.rs` does.
    async fn enqueue(&self, value: &str) -> Result<PendingRecord, EnqueueErrorReason> {
        let (mut state, options) = (
            EnqueueState { partition_count: Some(NonZeroU32::MIN), ..EnqueueState::default() },
            BatchOptions::default(),
        );
        loop {
            match self.0.enqueue_message(("t", 0).into(), &Record::new(value), MESSAGE, &mut state, None, &options)? {
                EnqueueOutcome::Accepted(pending) => return Ok(pending),
                EnqueueOutcome::UnknownTopic => unreachable!("it is known"),
                EnqueueOutcome::NoMemory => {
                    drop(state.held.take());
                    state.held = Some(self.0.acquire(MESSAGE, &mut BlockTimer::new(&self.0)).await?);
                }
            }
        }
    }

    /// Sends a batch, and waits for its outcome. Returns whether it was accepted.
    async fn send_batch(&self, value: &str) -> bool {
        let mut batch = KafkaBatch::new(0);
        batch.extend([Record::new(value)]).unwrap();
        let timer = &mut BlockTimer::new(&self.0);
        match self.0.enqueue_batch(batch.seal().unwrap(), to(), Observation::default(), timer).await {
            Ok(receiver) => {
                let outcome = poll_fn(|context| receiver.poll_take(context)).await;
                outcome.is_ok()
            }
            Err(error) => {
                assert!(matches!(error.reason, SendErrorReason::Closed | SendErrorReason::Stopped));
                false
            }
        }
    }

    fn finish(&self, receiver: Option<Receiver<Flushed>>) {
        if let Some(receiver) = receiver {
            drop(block_on(poll_fn(|context| receiver.poll_take(context))));
        }
    }

    /// Call it after all threads have ended.
    fn assert_idle(&self) {
        assert!(self.0.is_idle(), "memory was not released");
    }

    /// Closes the queue, and returns the log.
    fn close(&self, driver: JoinHandle<Vec<String>>) -> Vec<String> {
        self.finish(self.0.close(CloseMode::Graceful));
        driver.join().unwrap()
    }
}

fn index(log: &[String], value: &str) -> usize {
    log.iter().position(|found| found == value).unwrap_or_else(|| panic!("{value} is not in {log:?}"))
}

#[test]
fn messages_and_batches_of_a_task_are_sent_in_its_order() {
    fn scenario(linger: Duration) {
        let handle = Handle::new(linger);
        let driver = handle.run();
        let other = handle.spawn(|handle| assert!(block_on(handle.send_batch("other"))));
        let pending = block_on(handle.enqueue("first")).unwrap();
        assert!(block_on(handle.send_batch("second")));
        assert!(block_on(pending).is_ok());
        drop(block_on(handle.enqueue("third")).unwrap());
        handle.finish(handle.0.flush());
        other.join().unwrap();
        let log = handle.close(driver);
        let order = ["first", "second", "third", "flush"].map(|value| index(&log, value));
        assert!(order.is_sorted() && log.len() == 5, "{log:?}");
        handle.assert_idle();
    }
    explore(1_500, || scenario(LONG));
    explore(1_500, || scenario(Duration::ZERO));
}

#[test]
fn the_driver_learns_when_a_message_is_due() {
    explore(1_500, || {
        let handle = Handle::new(LONG);
        let threads =
            ["a", "b"].map(|value| handle.spawn(move |handle| drop(block_on(handle.enqueue(value)).unwrap())));
        let mut driver = Driver::new(&handle.0, handle.1);
        while driver.deadline.is_none() {
            driver.poll_commands(usize::MAX);
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let driver = thread::spawn(|| driver.run());
        assert_eq!(handle.close(driver).len(), 2);
    });
}

#[test]
fn those_that_wait_for_memory_are_accepted_or_dropped_after_any_poll() {
    explore(1_500, || {
        let handle = Handle::new(LONG);
        let driver = handle.run();
        let threads = ["a", "b"].map(|value| handle.spawn(move |handle| assert!(block_on(handle.send_batch(value)))));
        let messages = handle.spawn(|handle| {
            for value in ["c", "d", "e"] {
                drop(block_on(handle.enqueue(value)).unwrap());
            }
        });
        let dropped_message = handle.spawn(|handle| poll_at_most(any_of(4), handle.enqueue("maybe 1")).is_some());
        let dropped_batch = poll_at_most(any_of(4), handle.send_batch("maybe 2"));
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        messages.join().unwrap();
        let is_accepted = dropped_message.join().unwrap();
        let log = handle.close(driver);
        for value in ["a", "b", "c", "d", "e"] {
            index(&log, value);
        }
        assert!(index(&log, "c") < index(&log, "d") && index(&log, "d") < index(&log, "e"));
        assert_eq!(log.contains(&"maybe 1".to_owned()), is_accepted);
        assert!(dropped_batch.is_none() || log.contains(&"maybe 2".to_owned()));
        handle.assert_idle();
    });
}

#[test]
fn messages_gather_while_two_batches_are_in_flight() {
    explore(1_500, || {
        let handle = Handle::with_memory(Duration::ZERO, 10 * LIMIT);
        let driver = handle.run();
        let threads = [["a0", "a1", "a2"], ["b0", "b1", "b2"]].map(|values| {
            handle.spawn(move |handle| {
                let pending = values.map(|value| block_on(handle.enqueue(value)).unwrap());
                pending.into_iter().for_each(|pending| assert!(block_on(pending).is_ok()));
            })
        });
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(handle.close(driver).len(), 6);
        handle.assert_idle();
    });
}

#[test]
fn closing_rejects_those_that_wait_for_memory_at_once() {
    // There is no driver, so no memory is released.
    explore(1_500, || {
        let handle = Handle::new(LONG);
        assert!(poll_at_most(1, handle.send_batch("a")).is_none(), "it is in flight");
        assert!(poll_at_most(1, handle.send_batch("b")).is_none());
        let batch = handle.spawn(|handle| block_on(handle.send_batch("c")));
        let message = handle.spawn(|handle| block_on(handle.enqueue("d")).is_ok());
        drop(handle.0.close(CloseMode::Graceful));
        assert!(!batch.join().unwrap() && !message.join().unwrap());
    });
}

#[test]
fn closing_while_some_wait_for_memory() {
    explore(1_500, || {
        let handle = Handle::new(LONG);
        let driver = handle.run();
        let batches = ["a", "b", "c"].map(|value| handle.spawn(move |handle| block_on(handle.send_batch(value))));
        let message = handle.spawn(|handle| match block_on(handle.enqueue("d")) {
            Ok(pending) => block_on(pending).is_ok(),
            Err(error) => !matches!(error, EnqueueErrorReason::Send(SendErrorReason::Closed)),
        });
        let log = handle.close(driver);
        let sent = batches.map(|thread| thread.join().unwrap());
        let accepted = sent.iter().filter(|&&is_accepted| is_accepted).count() + usize::from(message.join().unwrap());
        assert_eq!(log.len(), accepted, "{log:?}");
        handle.assert_idle();
    });
}

#[test]
fn no_future_waits_for_a_driver_that_has_ended() {
    explore(1_500, || {
        let handle = Handle::new(LONG);
        let driver = Driver::new(&handle.0, handle.1);
        let turns = any_of(4);
        let driver = thread::spawn(move || driver.stop_after(turns));
        let batches = ["a", "b", "c"].map(|value| handle.spawn(move |handle| block_on(handle.send_batch(value))));
        let message = handle.spawn(|handle| match block_on(handle.enqueue("d")) {
            Ok(pending) => drop(block_on(pending)),
            Err(error) => assert!(matches!(error, EnqueueErrorReason::Send(SendErrorReason::Stopped)), "{error}"),
        });
        handle.finish(handle.0.flush());
        driver.join().unwrap();
        batches.into_iter().for_each(|thread| assert!(thread.join().is_ok()));
        message.join().unwrap();
        handle.assert_idle();
    });
}
