//! The batches of a producer's channel, and the queue of their outcomes, which wakes its reader once for many of them.

use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use kafka_batch_core::{DeliveryError, FailureReason, Fate, SealedBatch, TopicPartition};

use crate::accepted::BatchOutcome;
use crate::observers::Observation;
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
    sender: OutcomeSender,
    /// With what observes it. `None` once it was taken.
    batch: Option<(SealedBatch, Observation)>,
    /// How long it has waited for metadata.
    waited: Duration,
}

/// A batch that the machine has taken. If it is dropped, it fails with an unknown fate.
#[derive(Debug)]
pub(crate) struct TakenChannelBatch {
    /// `None` once the outcome was sent.
    sender: Option<OutcomeSender>,
    record_count: usize,
}

/// Sends the outcome of one batch to the queue of its channel.
#[derive(Clone)]
struct OutcomeSender {
    outcomes: Arc<OutcomeQueue>,
    id: u64,
    partition: i32,
}

impl OutcomeSender {
    fn to(&self) -> TopicPartition {
        TopicPartition::new(&*self.outcomes.topic, self.partition)
    }
}

impl fmt::Debug for OutcomeSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.id, self.to())
    }
}

impl SealedChannelBatch {
    pub(crate) fn new(
        outcomes: &Arc<OutcomeQueue>,
        id: u64,
        partition: i32,
        batch: SealedBatch,
        observation: Observation,
    ) -> Self {
        let sender = OutcomeSender { outcomes: Arc::clone(outcomes), id, partition };
        Self { sender, batch: Some((batch, observation)), waited: Duration::ZERO }
    }

    /// Sets how long it has waited before.
    pub(crate) const fn after(mut self, waited: Duration) -> Self {
        self.waited = waited;
        self
    }

    pub(crate) const fn waited(&self) -> Duration {
        self.waited
    }

    pub(crate) const fn id(&self) -> u64 {
        self.sender.id
    }

    pub(crate) const fn partition(&self) -> i32 {
        self.sender.partition
    }

    /// Returns the batch, unless it was taken.
    pub(crate) fn batch(&self) -> Option<&SealedBatch> {
        self.batch.as_ref().map(|(batch, _)| batch)
    }

    /// Takes the batch out, because it is not accepted. No outcome is sent.
    pub(crate) fn withdraw(mut self) -> Option<SealedBatch> {
        self.batch.take().map(|(batch, _)| batch)
    }

    /// Takes the batch out, to be passed to the machine.
    pub(crate) fn take(mut self) -> Option<(SealedBatch, TopicPartition, TakenChannelBatch, Observation)> {
        let (batch, observation) = self.batch.take()?;
        let (to, record_count) = (self.sender.to(), batch.record_count());
        let taken = TakenChannelBatch { sender: Some(self.sender.clone()), record_count };
        Some((batch, to, taken, observation))
    }
}

impl Drop for SealedChannelBatch {
    fn drop(&mut self) {
        if let Some((batch, observation)) = self.batch.take() {
            let to = self.sender.to();
            let outcome = Err(DeliveryError::new(to, FailureReason::Stopped, Fate::NotWritten, batch.into_batch()));
            observation.complete(&outcome);
            self.sender.outcomes.push(self.sender.id, outcome);
        }
    }
}

impl TakenChannelBatch {
    /// Sends the outcome.
    pub(crate) fn complete(mut self, outcome: BatchOutcome) {
        if let Some(OutcomeSender { outcomes, id, .. }) = self.sender.take() {
            outcomes.push(id, outcome);
        }
    }
}

impl Drop for TakenChannelBatch {
    fn drop(&mut self) {
        if let Some(sender) = self.sender.take() {
            let reason = FailureReason::Stopped;
            let error = DeliveryError::without_batch(sender.to(), reason, Fate::Unknown, self.record_count);
            sender.outcomes.push(sender.id, Err(error));
        }
    }
}
