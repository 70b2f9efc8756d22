//! Where handles and the driver meet: what is asked of the driver, and who may be let in.
//!
//! A batch is accepted here, on the task of whoever sends it: there is no going back and forth with the driver, which
//! finds it among its commands. The lock is held for as long as it takes to push or to swap; nobody is woken under it,
//! because a waker is foreign code.

use std::future::poll_fn;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use kafka_batch_core::machine::CloseMode;
use kafka_batch_core::{Delivery, DeliveryError, FlushError, SealedBatch, SendErrorReason, TopicPartition};

use crate::error::Stopped;
use crate::promise::{Accepted, Everything, Promise};
use crate::semaphore::{Acquire, Permits, Semaphore, WaiterId};
use crate::slot::{Slot, lock, wake};
use crate::topic_error::TopicError;
use crate::topics::Topics;

/// What became of a batch.
pub(crate) type Answer = Result<Delivery, DeliveryError>;
/// What became of a flush.
pub(crate) type Flushed = Result<(), FlushError>;

/// What handles ask of the driver, in this order.
#[derive(Debug)]
pub(crate) enum Command {
    /// The batch is in it.
    Send(Promise<Accepted>),
    Flush(Promise<Everything>),
    /// Asked for, or the last handle is gone: then nobody waits.
    Close(CloseMode, Option<Promise<Everything>>),
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
    /// The driver, while it sleeps.
    driver_waker: Option<Waker>,
    /// The newest version of Produce that every broker speaks to which there is a connection, or was of late.
    produce: Option<i16>,
}

/// How long it will be open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum QueueState {
    Open,
    /// It takes no further batch.
    Closing,
    /// All is through, and there is no driver any more.
    Closed,
    /// There is no driver any more, and nobody had closed it.
    Stopped,
}

impl QueueState {
    fn refusal(self) -> Option<SendErrorReason> {
        match self {
            Self::Open => None,
            Self::Closing | Self::Closed => Some(SendErrorReason::Closed),
            Self::Stopped => Some(SendErrorReason::Transport(Box::new(Stopped))),
        }
    }
}

impl CommandQueue {
    /// So many bytes may be on their way.
    pub(crate) fn new(bytes: usize, topics: Topics<TopicError>) -> Self {
        let semaphore = Semaphore::new(Permits { records: usize::MAX, bytes });
        let state =
            State { queue_state: QueueState::Open, semaphore, commands: Vec::new(), driver_waker: None, produce: None };
        Self { state: Mutex::new(state), topics }
    }

    /// The newest version of Produce that every broker speaks to which there is a connection, or was of late.
    pub(crate) fn produce(&self) -> Option<i16> {
        lock(&self.state).produce
    }

    pub(crate) fn set_produce(&self, version: Option<i16>) {
        lock(&self.state).produce = version;
    }

    /// Why no batch is accepted, if none is.
    pub(crate) fn refusal(&self) -> Option<SendErrorReason> {
        lock(&self.state).queue_state.refusal()
    }

    /// Waits until there is room for the batch, first come, first served, and accepts it. It stays where it is if it is
    /// not accepted.
    pub(crate) async fn send(
        &self,
        asked: &mut Option<(SealedBatch, TopicPartition)>,
    ) -> Result<Arc<Slot<Answer>>, SendErrorReason> {
        let mut line = Acquiring { queue: self, waiter: None };
        poll_fn(|context| line.poll(asked, context.waker())).await
    }

    /// Asks for the topic.
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

    /// Asks for a flush; gives where its end will be told, unless nothing can be on its way any more.
    pub(crate) fn flush(&self) -> Option<Arc<Slot<Flushed>>> {
        let mut state = lock(&self.state);
        if state.is_over() {
            return None;
        }
        let (promise, slot) = Promise::new(Everything);
        state.commands.push(Command::Flush(promise));
        unlock_and_wake(state);
        Some(slot)
    }

    /// Takes no further batch, and has the machine closed. As [`flush`](Self::flush).
    pub(crate) fn close(&self, mode: CloseMode) -> Option<Arc<Slot<Flushed>>> {
        let (promise, slot) = Promise::new(Everything);
        self.begin_close(mode, Some(promise)).then_some(slot)
    }

    /// The last handle is gone: what was accepted goes its way.
    pub(crate) fn close_on_drop(&self) {
        self.begin_close(CloseMode::Graceful, None);
    }

    fn begin_close(&self, mode: CloseMode, promise: Option<Promise<Everything>>) -> bool {
        let mut state = lock(&self.state);
        if state.is_over() {
            return false;
        }
        state.queue_state = QueueState::Closing;
        state.commands.push(Command::Close(mode, promise));
        let rejected = state.semaphore.cancel_all();
        unlock_and_wake(state);
        rejected.into_iter().for_each(wake);
        true
    }

    /// Fetches what was asked in the meantime; waits if that is nothing.
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

    /// A batch is through: there is room for others.
    pub(crate) fn release(&self, permits: Permits) {
        let granted = lock(&self.state).semaphore.release(permits);
        granted.into_iter().for_each(wake);
    }

    /// There is no driver any more; was that in order? Gives what it has not fetched.
    pub(crate) fn end(&self, in_order: bool) -> Vec<Command> {
        let mut state = lock(&self.state);
        state.queue_state = if in_order { QueueState::Closed } else { QueueState::Stopped };
        let left = mem::take(&mut state.commands);
        let rejected = state.semaphore.cancel_all();
        drop(state);
        rejected.into_iter().for_each(wake);
        left
    }
}

impl State {
    fn is_over(&self) -> bool {
        matches!(self.queue_state, QueueState::Closed | QueueState::Stopped)
    }
}

/// Lets go of the desk, and wakes the driver if it sleeps.
fn unlock_and_wake(mut state: MutexGuard<'_, State>) {
    let driver_waker = state.driver_waker.take();
    drop(state);
    driver_waker.into_iter().for_each(wake);
}

/// Waits to be let in, and steps out of the queue when it is dropped.
struct Acquiring<'a> {
    queue: &'a CommandQueue,
    waiter: Option<WaiterId>,
}

impl Acquiring<'_> {
    fn poll(
        &mut self,
        asked: &mut Option<(SealedBatch, TopicPartition)>,
        waker: &Waker,
    ) -> Poll<Result<Arc<Slot<Answer>>, SendErrorReason>> {
        let mut state = lock(&self.queue.state);
        if let Some(reason) = state.queue_state.refusal() {
            self.waiter = None; // the queue was dissolved
            return Poll::Ready(Err(reason));
        }
        let (batch, to) = asked.take().expect("a batch is accepted once");
        match state.semaphore.acquire(self.waiter, permits(&batch), waker) {
            Acquire::Acquired => {
                self.waiter = None;
                let (promise, slot) = Promise::new(Accepted::new(batch, to));
                state.commands.push(Command::Send(promise));
                unlock_and_wake(state);
                Poll::Ready(Ok(slot))
            }
            Acquire::Waiting(waiter) => {
                self.waiter = Some(waiter);
                *asked = Some((batch, to));
                Poll::Pending
            }
        }
    }
}

/// What a batch counts for.
pub(crate) fn permits(batch: &SealedBatch) -> Permits {
    Permits { records: batch.record_count(), bytes: batch.size() }
}

impl Drop for Acquiring<'_> {
    fn drop(&mut self) {
        let Some(waiter) = self.waiter else { return };
        let (_gone, granted) = lock(&self.queue.state).semaphore.cancel(waiter);
        granted.into_iter().for_each(wake);
    }
}
