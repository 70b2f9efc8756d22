//! The queue of commands from handles to the driver, and the admission of batches to it.
//!
//! A batch is accepted here, on the caller's task, without a round trip to the driver, which finds it among its commands. The
//! lock is held only to push or to swap. Wakers are called after it is released, because they are foreign code.

use std::future::poll_fn;
use std::mem;
use std::sync::{Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use kafka_batch_core::machine::CloseMode;
use kafka_batch_core::{SealedBatch, SendErrorReason, TopicPartition};

use crate::accepted::{Accepted, Answer, FlushOrClose, Flushed};
use crate::oneshot::{Receiver, Sender, lock, wake};
use crate::semaphore::{Acquiring, HasSemaphore, Permits, Semaphore};
use crate::topic_error::TopicError;
use crate::topics::Topics;

/// A command of a handle. The driver applies them in the order of the queue.
#[derive(Debug)]
pub(crate) enum Command {
    /// Sends the batch that the sender holds.
    Send(Sender<Accepted>),
    Flush(Sender<FlushOrClose>),
    /// Closes the producer. Without a sender if the last handle was dropped.
    Close(CloseMode, Option<Sender<FlushOrClose>>),
    LookupTopic(String),
}

#[derive(Debug)]
pub(crate) struct CommandQueue {
    state: Mutex<State>,
    pub(crate) topics: Topics<TopicError>,
}

#[derive(Debug)]
struct State {
    queue_state: QueueState,
    semaphore: Semaphore,
    commands: Vec<Command>,
    /// The driver's waker, while it waits for commands.
    driver_waker: Option<Waker>,
    /// The newest version of Produce that all connected brokers support; without connections, the last known one.
    produce: Option<i16>,
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
    pub(crate) fn new(bytes: usize, topics: Topics<TopicError>) -> Self {
        let semaphore = Semaphore::new(Permits { records: usize::MAX, bytes });
        let state =
            State { queue_state: QueueState::Open, semaphore, commands: Vec::new(), driver_waker: None, produce: None };
        Self { state: Mutex::new(state), topics }
    }

    /// Returns the newest version of Produce that all connected brokers support; without connections, the last known one.
    pub(crate) fn produce(&self) -> Option<i16> {
        lock(&self.state).produce
    }

    pub(crate) fn set_produce(&self, version: Option<i16>) {
        lock(&self.state).produce = version;
    }

    /// Returns why no batch is accepted, or `None` while the queue is open.
    pub(crate) fn refusal(&self) -> Option<SendErrorReason> {
        lock(&self.state).queue_state.refusal()
    }

    /// Waits for memory, in the order of the calls, and accepts the batch.
    ///
    /// # Errors
    /// The producer is closed or has stopped. The error has the batch.
    pub(crate) async fn accept(&self, batch: SealedBatch, to: TopicPartition) -> Result<Receiver<Answer>, NotAccepted> {
        let needed = permits(&batch);
        let mut acquiring = Acquiring::new(&self.state);
        let acquired = poll_fn(|context| acquiring.poll(needed, context.waker(), |state| state.queue_state.refusal()));
        match acquired.await {
            Ok(mut state) => {
                let (sender, receiver) = Sender::new(Accepted::new(batch, to));
                state.commands.push(Command::Send(sender));
                unlock_and_wake(state);
                Ok(receiver)
            }
            Err(reason) => Err(NotAccepted { reason, batch, to }),
        }
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

    /// Requests a flush. Returns the receiver of its outcome, or `None` if the driver has ended, when no batch is in flight.
    pub(crate) fn flush(&self) -> Option<Receiver<Flushed>> {
        let mut state = lock(&self.state);
        if state.is_over() {
            return None;
        }
        let (sender, receiver) = Sender::new(FlushOrClose);
        state.commands.push(Command::Flush(sender));
        unlock_and_wake(state);
        Some(receiver)
    }

    /// Accepts no further batch, and requests that the machine is closed. Returns as [`flush`](Self::flush).
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
        if state.is_over() {
            return false;
        }
        state.queue_state = QueueState::Closing;
        state.commands.push(Command::Close(mode, sender));
        let rejected = state.semaphore.cancel_all();
        unlock_and_wake(state);
        rejected.into_iter().for_each(wake);
        true
    }

    /// Swaps the queued commands into `commands`. Pending while there are none.
    pub(crate) fn poll_commands(&self, commands: &mut Vec<Command>, context: &Context<'_>) -> Poll<()> {
        let mut state = lock(&self.state);
        if !state.commands.is_empty() {
            mem::swap(commands, &mut state.commands);
            return Poll::Ready(());
        }
        match &mut state.driver_waker {
            Some(driver_waker) => driver_waker.clone_from(context.waker()),
            driver_waker @ None => *driver_waker = Some(context.waker().clone()),
        }
        Poll::Pending
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
        let left = mem::take(&mut state.commands);
        let rejected = state.semaphore.cancel_all();
        drop(state);
        rejected.into_iter().for_each(wake);
        left
    }
}

impl HasSemaphore for State {
    fn semaphore(&mut self) -> &mut Semaphore {
        &mut self.semaphore
    }
}

impl State {
    fn is_over(&self) -> bool {
        matches!(self.queue_state, QueueState::Closed | QueueState::Stopped)
    }
}

/// Releases the lock, and then wakes the driver if it waits.
fn unlock_and_wake(mut state: MutexGuard<'_, State>) {
    let driver_waker = state.driver_waker.take();
    drop(state);
    driver_waker.into_iter().for_each(wake);
}

/// Returns the permits that a batch needs.
pub(crate) fn permits(batch: &SealedBatch) -> Permits {
    Permits { records: batch.record_count(), bytes: batch.size() }
}
