//! What handles and the driver share: the queue of commands, buffer memory, open batches of messages, and known topics.
//!
//! A batch is accepted here, on the caller's task. That does not wait for the driver, which takes the batch from the queue at
//! its next poll. The lock is held to push or to swap, and while one message is encoded into the open batch of its partition;
//! batches are sealed without it. Wakers are called after it is released, because they are foreign code.

mod blocked;
mod channel;
mod memory;
mod messages;
mod statistics;
mod transactions;

use std::future::poll_fn;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant, SystemTime};

use kafka_batch_core::error::BlockedOn;
use kafka_batch_core::machine::{CloseMode, SendReason, Stats};
use kafka_batch_core::{BatchOptions, KafkaBatch, SealedBatch, SendErrorReason, TopicPartition};

pub(crate) use self::blocked::BlockTimer;
use self::blocked::BlockedCalls;
pub(crate) use self::channel::Acceptance;
use self::memory::{MemoryAcquisition, Waits};
pub(crate) use self::messages::{EnqueueOutcome, EnqueueState};
pub use self::statistics::StatsError;
pub(crate) use self::statistics::StatsRequest;
use crate::accepted::{BatchOutcome, FlushOrClose, Flushed, QueuedBatch};
use crate::buffers::Buffers;
use crate::channel_batch::SealedChannelBatch;
use crate::clock::RuntimeClock;
use crate::gathering::{Gathering, MessageBatch, PartitionIndex};
use crate::injector::HeaderInjector;
use crate::observers::{Observation, Observers};
use crate::oneshot::{Receiver, Sender};
use crate::semaphore::{HasSemaphore, Permits, Semaphore};
use crate::sync::{Mutex, MutexGuard, lock, wake};
use crate::topic_error::TopicError;
use crate::topics::TopicCache;
use crate::transaction_waiters::TransactionCommand;

/// A command of a handle. The driver applies them in the order of the queue.
#[derive(Debug)]
pub(crate) enum Command {
    /// Sends a batch, which the sender of its outcome owns.
    Send(Sender<QueuedBatch>),
    /// Sends a batch of a channel.
    SendFromChannel(SealedChannelBatch),
    /// Sends a batch of messages.
    SendMessages(MessageBatch),
    Flush(Sender<FlushOrClose>),
    /// Closes the producer. Without a sender if the last handle was dropped.
    Close(CloseMode, Option<Sender<FlushOrClose>>),
    LookupTopic(String),
    Transaction(TransactionCommand),
    Stats(Sender<StatsRequest>),
}

#[derive(Debug)]
pub(crate) struct CommandQueue {
    state: Mutex<State>,
    pub(crate) topics: TopicCache<TopicError>,
    buffers: Arc<Buffers>,
    pub(crate) clock: RuntimeClock,
    pub(crate) observers: Observers,
    pub(crate) injector: HeaderInjector,
    /// How long a call may wait in all (`max.block.ms`).
    max_block: Option<Duration>,
}

#[derive(Debug)]
pub(crate) struct State {
    queue_state: QueueState,
    semaphore: Semaphore,
    /// The calls that wait for memory or metadata.
    blocked: BlockedCalls,
    commands: Vec<Command>,
    /// Whether any batch or message was accepted yet.
    has_accepted: bool,
    /// Messages that are not in a command yet. Empty once the queue is not open.
    gathering: Gathering,
    /// Whether the driver has let other tasks run since a batch of messages became due.
    has_yielded: bool,
    /// The driver's waker, while it waits for commands.
    driver_waker: Option<Waker>,
    /// The newest version of Produce that all connected brokers support; without connections, the last known one.
    produce_version: Option<i16>,
    /// How long calls have waited for memory.
    waits: Waits,
    /// The statistics of the machine after its end.
    last_stats: Option<Box<Stats>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum QueueState {
    Open,
    /// No further batch is accepted.
    Closing,
    /// The producer was closed, and the driver has ended.
    Closed,
    /// The driver has ended before the producer was closed.
    Stopped,
}

/// A batch that was not accepted.
#[derive(Debug)]
pub(crate) struct NotAccepted {
    pub(crate) reason: SendErrorReason,
    pub(crate) batch: SealedBatch,
    pub(crate) to: TopicPartition,
}

impl QueueState {
    fn refusal(self) -> Option<SendErrorReason> {
        match self {
            Self::Open => None,
            Self::Closing | Self::Closed => Some(SendErrorReason::Closed),
            Self::Stopped => Some(SendErrorReason::Stopped),
        }
    }
}

impl CommandQueue {
    /// Makes a queue that accepts at most `bytes` bytes of batches in flight.
    pub(crate) fn new(bytes: usize, topics: TopicCache<TopicError>, gathering: Gathering) -> Self {
        let state = State {
            queue_state: QueueState::Open,
            // Records are limited over librdkafka only (`queue.buffering.max.messages`).
            semaphore: Semaphore::new(Permits { records: usize::MAX, bytes }),
            blocked: BlockedCalls::default(),
            commands: Vec::new(),
            has_accepted: false,
            gathering,
            has_yielded: false,
            driver_waker: None,
            produce_version: None,
            waits: Waits::default(),
            last_stats: None,
        };
        let buffers = Arc::new(Buffers::new(bytes));
        Self {
            state: Mutex::new(state),
            topics,
            buffers,
            clock: RuntimeClock::SYSTEM,
            observers: Observers::default(),
            injector: HeaderInjector::default(),
            max_block: None,
        }
    }

    /// Sets the clock, which is the system's by default.
    pub(crate) fn clock(mut self, clock: RuntimeClock) -> Self {
        self.clock = clock;
        self
    }

    /// Sets the functions of the application that are called. None by default.
    pub(crate) fn hooks(mut self, observers: Observers, injector: HeaderInjector) -> Self {
        (self.observers, self.injector) = (observers, injector);
        self
    }

    /// Returns where the memory of delivered batches goes.
    pub(crate) fn buffers(&self) -> Arc<Buffers> {
        Arc::clone(&self.buffers)
    }

    /// Creates an empty batch at the current time, in the memory of a delivered one if there is some.
    pub(crate) fn new_batch(&self, options: &BatchOptions) -> KafkaBatch {
        new_batch(options, self.produce_version(), self.clock.system_time(), self.buffers.take())
    }

    /// Returns the newest version of Produce that all connected brokers support; without connections, the last known one.
    pub(crate) fn produce_version(&self) -> Option<i16> {
        lock(&self.state).produce_version
    }

    pub(crate) fn set_produce_version(&self, version: Option<i16>) {
        lock(&self.state).produce_version = version;
    }

    /// Returns why no batch is accepted, or `None` while the queue is open.
    pub(crate) fn refusal(&self) -> Option<SendErrorReason> {
        lock(&self.state).queue_state.refusal()
    }

    /// Waits for memory, in the order of the calls, and accepts the batch.
    ///
    /// # Errors
    /// The producer is closed or has stopped, or the call has waited for `max.block.ms`. The error has the batch.
    pub(crate) async fn enqueue_batch(
        &self,
        batch: SealedBatch,
        to: TopicPartition,
        observation: Observation,
        timer: &mut BlockTimer<'_>,
    ) -> Result<Receiver<BatchOutcome>, NotAccepted> {
        let needed = permits(&batch);
        let mut held = Some(QueuedBatch::new(batch, to, observation));
        let accepted = self.enqueue_batch_from(needed, timer, || held.take()).await;
        match (accepted, held) {
            (Err(reason), Some(QueuedBatch { batch, to, .. })) => Err(NotAccepted { reason, batch, to }),
            (Ok(Some(receiver)), _) => Ok(receiver),
            (Ok(None) | Err(_), _) => unreachable!("the batch is taken once, if it is accepted"),
        }
    }

    /// Waits for memory, in the order of the calls, and accepts the batch that `take` returns then, if it returns one. It is
    /// called under the lock.
    ///
    /// # Errors
    /// The producer is closed or has stopped, or the call has waited for `max.block.ms`. `take` was not called.
    pub(crate) async fn enqueue_batch_from(
        &self,
        needed: Permits,
        timer: &mut BlockTimer<'_>,
        take: impl FnOnce() -> Option<QueuedBatch>,
    ) -> Result<Option<Receiver<BatchOutcome>>, SendErrorReason> {
        let mut acquisition = MemoryAcquisition::new(self);
        let acquired = poll_fn(|context| {
            let acquired = self.poll_acquire(&mut acquisition, needed, context);
            match acquired {
                Poll::Pending => timer.poll(BlockedOn::BufferMemory, context).map(Err),
                ready => ready,
            }
        });
        let mut state = acquired.await?;
        timer.stop(&mut state);
        let Some(queued) = take() else {
            let granted = state.semaphore.release(needed);
            drop(state);
            granted.into_iter().for_each(wake);
            return Ok(None);
        };
        self.push_messages_before(&mut state, &queued.to.topic, queued.to.partition);
        let (sender, receiver) = Sender::new(queued);
        state.push_accepted(Command::Send(sender));
        unlock_and_wake(state);
        Ok(Some(receiver))
    }

    /// Pushes the open batch of this partition: its messages were accepted before the batch that is pushed next.
    fn push_messages_before(&self, state: &mut State, topic: &str, partition: i32) {
        if !state.gathering.is_empty() {
            let before = state.gathering.take_of(topic, partition);
            before.into_iter().for_each(|gathered| self.push_messages(state, gathered));
        }
    }

    /// Polls for memory. If the caller has to wait, open batches are sent, because they hold memory, too.
    fn poll_acquire<'a>(
        &'a self,
        acquisition: &mut MemoryAcquisition<'a>,
        permits: Permits,
        context: &Context<'_>,
    ) -> Poll<Result<MutexGuard<'a, State>, SendErrorReason>> {
        let acquired = acquisition.poll(permits, context.waker());
        if acquired.is_pending() {
            let mut state = lock(&self.state);
            self.push_all_messages(&mut state, SendReason::Memory);
            unlock_and_wake(state);
        }
        acquired
    }

    /// Queues a batch of messages to be sent.
    fn push_messages(&self, state: &mut State, gathered: MessageBatch) {
        self.topics.on_batch_accepted(&gathered.to.topic, gathered.to.partition);
        state.commands.push(Command::SendMessages(gathered));
    }

    /// Queues all open batches to be sent.
    fn push_all_messages(&self, state: &mut State, reason: SendReason) {
        for gathered in state.gathering.take_all(reason) {
            self.push_messages(state, gathered);
        }
    }

    /// Records that a batch of messages is complete, and releases its memory.
    pub(crate) fn on_completed(&self, partition: PartitionIndex, permits: Permits) {
        let mut state = lock(&self.state);
        state.gathering.on_completed(partition);
        let granted = state.semaphore.release(permits);
        drop(state);
        granted.into_iter().for_each(wake);
    }

    /// Requests the topic's metadata.
    pub(crate) fn lookup_topic(&self, topic: &str) -> Result<(), SendErrorReason> {
        let mut state = lock(&self.state);
        match state.queue_state.refusal() {
            Some(reason) => Err(reason),
            None => {
                state.commands.push(Command::LookupTopic(topic.to_owned()));
                unlock_and_wake(state);
                Ok(())
            }
        }
    }

    /// Requests a flush. Returns the receiver of its outcome, or `None` if no batch can be in flight: nothing was accepted yet, so
    /// that there is no need for the driver to run, or the driver has ended.
    pub(crate) fn flush(&self) -> Option<Receiver<Flushed>> {
        let mut state = lock(&self.state);
        if state.has_ended() || !state.has_accepted {
            return None;
        }
        self.push_all_messages(&mut state, SendReason::Flush);
        let (sender, receiver) = Sender::new(FlushOrClose);
        state.commands.push(Command::Flush(sender));
        unlock_and_wake(state);
        Some(receiver)
    }

    /// Accepts no further batch, and requests that the machine is closed. Returns the receiver of the outcome, or `None` if the
    /// driver has ended.
    pub(crate) fn close(&self, mode: CloseMode) -> Option<Receiver<Flushed>> {
        let (sender, receiver) = Sender::new(FlushOrClose);
        self.begin_close(mode, Some(sender)).then_some(receiver)
    }

    /// Closes the producer when its last handle is dropped. Accepted batches are still sent.
    pub(crate) fn close_on_drop(&self) {
        self.begin_close(CloseMode::Graceful, None);
    }

    fn begin_close(&self, mode: CloseMode, sender: Option<Sender<FlushOrClose>>) -> bool {
        let mut state = lock(&self.state);
        if state.has_ended() {
            return false;
        }
        state.queue_state = QueueState::Closing;
        self.push_all_messages(&mut state, SendReason::Flush);
        state.commands.push(Command::Close(mode, sender));
        let rejected = state.semaphore.cancel_all();
        unlock_and_wake(state);
        rejected.into_iter().for_each(wake);
        true
    }

    /// Swaps the queued commands into `commands`, among them those to send batches of messages that are due. Pending while
    /// there are none. Sets `deadline` to when it has to be called again, and is ready also if that is earlier than before, so
    /// that the caller sets its alarm.
    ///
    /// If only messages are due, other tasks run once before they are taken, so that those that are about to send share the
    /// batch: some runtimes run a task that is woken next, ahead of all others.
    pub(crate) fn poll_commands(
        &self,
        commands: &mut Vec<Command>,
        deadline: &mut Option<Instant>,
        context: &Context<'_>,
    ) -> Poll<()> {
        let now = self.clock.now();
        let mut state = lock(&self.state);
        if state.commands.is_empty() && !state.has_yielded && state.gathering.has_ready(now) {
            state.has_yielded = true;
            drop(state);
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        state.has_yielded = false;
        while let Some(gathered) = state.gathering.take_ready(now) {
            self.push_messages(&mut state, gathered);
        }
        let blocked = state.blocked.take_due(now);
        let next = state.gathering.next_deadline().into_iter().chain(state.blocked.next_deadline()).min();
        let before = mem::replace(deadline, next);
        let is_earlier = deadline.is_some_and(|deadline| before.is_none_or(|before| deadline < before));
        let polled = if !state.commands.is_empty() || is_earlier {
            mem::swap(commands, &mut state.commands);
            Poll::Ready(())
        } else {
            match &mut state.driver_waker {
                Some(driver_waker) => driver_waker.clone_from(context.waker()),
                driver_waker @ None => *driver_waker = Some(context.waker().clone()),
            }
            Poll::Pending
        };
        drop(state);
        blocked.into_iter().for_each(wake);
        polled
    }

    /// Releases the memory of a completed batch, and wakes the callers that can be accepted now.
    pub(crate) fn release(&self, permits: Permits) {
        let granted = lock(&self.state).semaphore.release(permits);
        granted.into_iter().for_each(wake);
    }

    /// Records the end of the driver; `was_closed` if the producer was closed before. Returns the commands that are still
    /// queued.
    pub(crate) fn end(&self, was_closed: bool) -> Vec<Command> {
        let mut state = lock(&self.state);
        state.queue_state = if was_closed { QueueState::Closed } else { QueueState::Stopped };
        self.push_all_messages(&mut state, SendReason::Flush);
        let left = mem::take(&mut state.commands);
        let rejected = state.semaphore.cancel_all();
        drop(state);
        rejected.into_iter().for_each(wake);
        left
    }
}

#[cfg(test)]
impl CommandQueue {
    /// Returns `true` if no memory is acquired, and no message is gathered.
    pub(crate) fn is_idle(&self) -> bool {
        let state = lock(&self.state);
        state.semaphore.is_idle() && state.gathering.is_empty() && state.blocked.is_empty()
    }
}

impl HasSemaphore for State {
    fn semaphore(&mut self) -> &mut Semaphore {
        &mut self.semaphore
    }
}

impl State {
    /// Pushes an accepted batch.
    fn push_accepted(&mut self, batch: Command) {
        self.has_accepted = true;
        self.commands.push(batch);
    }

    fn has_ended(&self) -> bool {
        matches!(self.queue_state, QueueState::Closed | QueueState::Stopped)
    }
}

/// Releases the lock, and then wakes the driver if it waits.
fn unlock_and_wake(mut state: MutexGuard<'_, State>) {
    let driver_waker = state.driver_waker.take();
    drop(state);
    driver_waker.into_iter().for_each(wake);
}

/// Creates an empty batch in the memory of `buffer`, in the newest format that brokers with this version of Produce accept.
pub(crate) fn new_batch(
    options: &BatchOptions,
    produce_version: Option<i16>,
    now: SystemTime,
    mut buffer: Vec<u8>,
) -> KafkaBatch {
    if let Some(version) = produce_version {
        // Options that this format does not support are left to the machine, which converts the batch or refuses it.
        let options = options.clone().for_produce_version(version);
        if let Ok(batch) = options.build_with_buffer(now, mem::take(&mut buffer)) {
            return batch;
        }
    }
    options.clone().build_with_buffer(now, buffer).expect("the options were checked when the producer was built")
}

/// Returns the permits that a batch needs.
pub(crate) fn permits(batch: &SealedBatch) -> Permits {
    Permits { records: batch.record_count(), bytes: batch.size() }
}
