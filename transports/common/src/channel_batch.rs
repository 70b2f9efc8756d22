//! The batches of a producer's channel, and the queue of their outcomes, which wakes its reader once for many of them.

use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use kafka_batch_core::{DeliveryError, FailureReason, Fate, SealedBatch, TopicPartition};

use crate::accepted::BatchOutcome;
use crate::sync::{Mutex, lock, wake};

/// The outcomes of a channel's batches that the channel has not taken.
#[derive(Debug)]
pub(crate) struct OutcomeQueue {
    topic: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    outcomes: VecDeque<(u64, BatchOutcome)>,
    /// The waker of the task that waits for the next one.
    waker: Option<Waker>,
    /// Set once the channel is dropped, so that later outcomes do not keep their batches.
    is_closed: bool,
}

impl OutcomeQueue {
    /// Returns the queue of a channel to this topic.
    pub(crate) fn new(topic: &str) -> Arc<Self> {
        Arc::new(Self { topic: topic.to_owned(), state: Mutex::default() })
    }

    fn push(&self, id: u64, outcome: BatchOutcome) {
        let mut state = lock(&self.state);
        if state.is_closed {
            drop(state);
            return;
        }
        state.outcomes.push_back((id, outcome));
        let waker = state.waker.take();
        drop(state);
        waker.into_iter().for_each(wake);
    }

    /// Swaps the outcomes into `taken`, which must be empty. Pending while there are none.
    pub(crate) fn poll_take(&self, taken: &mut VecDeque<(u64, BatchOutcome)>, context: &Context<'_>) -> Poll<()> {
        let mut state = lock(&self.state);
        if !state.outcomes.is_empty() {
            mem::swap(&mut state.outcomes, taken);
            return Poll::Ready(());
        }
        match &mut state.waker {
            Some(waker) => waker.clone_from(context.waker()),
            waker @ None => *waker = Some(context.waker().clone()),
        }
        Poll::Pending
    }

    /// Drops the outcomes, and those that come later.
    pub(crate) fn close(&self) {
        let mut state = lock(&self.state);
        let dropped = mem::replace(&mut *state, State { is_closed: true, ..State::default() });
        drop(state);
        drop(dropped);
    }
}

/// A sealed batch that the machine has not taken, before and after it is accepted. If it is dropped, it fails as not written.
#[derive(Debug)]
pub(crate) struct SealedChannelBatch {
    ticket: Ticket,
    /// `None` once it was taken.
    batch: Option<SealedBatch>,
}

/// A batch that the machine has taken. If it is dropped, it fails with an unknown fate.
#[derive(Debug)]
pub(crate) struct TakenBatch {
    /// `None` once the outcome was sent.
    ticket: Option<Ticket>,
    record_count: usize,
}

/// Where the outcome of a batch goes.
#[derive(Clone)]
struct Ticket {
    queue: Arc<OutcomeQueue>,
    id: u64,
    partition: i32,
}

impl Ticket {
    fn to(&self) -> TopicPartition {
        TopicPartition::new(&*self.queue.topic, self.partition)
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.id, self.to())
    }
}

impl SealedChannelBatch {
    pub(crate) fn new(queue: &Arc<OutcomeQueue>, id: u64, partition: i32, batch: SealedBatch) -> Self {
        Self { ticket: Ticket { queue: Arc::clone(queue), id, partition }, batch: Some(batch) }
    }

    pub(crate) const fn id(&self) -> u64 {
        self.ticket.id
    }

    pub(crate) const fn partition(&self) -> i32 {
        self.ticket.partition
    }

    /// Returns the batch, unless it was taken.
    pub(crate) const fn batch(&self) -> Option<&SealedBatch> {
        self.batch.as_ref()
    }

    /// Takes the batch out, because it is not accepted. No outcome is sent.
    pub(crate) fn withdraw(mut self) -> Option<SealedBatch> {
        self.batch.take()
    }

    /// Takes the batch out, to be passed to the machine.
    pub(crate) fn take(mut self) -> Option<(SealedBatch, TopicPartition, TakenBatch)> {
        let batch = self.batch.take()?;
        let (to, record_count) = (self.ticket.to(), batch.record_count());
        Some((batch, to, TakenBatch { ticket: Some(self.ticket.clone()), record_count }))
    }
}

impl Drop for SealedChannelBatch {
    fn drop(&mut self) {
        if let Some(batch) = self.batch.take() {
            let to = self.ticket.to();
            let error = DeliveryError::new(to, FailureReason::Stopped, Fate::NotWritten, batch.into_batch());
            self.ticket.queue.push(self.ticket.id, Err(error));
        }
    }
}

impl TakenBatch {
    /// Sends the outcome.
    pub(crate) fn complete(mut self, outcome: BatchOutcome) {
        if let Some(Ticket { queue, id, .. }) = self.ticket.take() {
            queue.push(id, outcome);
        }
    }
}

impl Drop for TakenBatch {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            let reason = FailureReason::Stopped;
            let error = DeliveryError::without_batch(ticket.to(), reason, Fate::Unknown, self.record_count);
            ticket.queue.push(ticket.id, Err(error));
        }
    }
}
