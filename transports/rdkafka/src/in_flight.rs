//! The batches in flight: each accepted batch, with the delivery reports of its records so far.
//!
//! Two threads take the lock: the one that produces a batch, before and after, and the one that polls delivery reports, once
//! per record; so it is rarely contended. Wakers are called after the lock is released, because they are foreign code; a
//! waker that panics does not keep the others from being called.

use std::future::poll_fn;
use std::mem;
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::Duration;

use kafka_batch_core::machine::CloseMode;
use kafka_batch_core::transaction::TransactionCause;
use kafka_batch_core::{Delivery, DeliveryError, FailureReason, Fate, KafkaBatch, TopicPartition};
use kafka_batch_transport::hooks::Observation;
use kafka_batch_transport::waiting::{Acquisition, HasSemaphore, Permits, Semaphore, Slot, lock, wake};
use rdkafka::error::RDKafkaErrorCode;

use crate::catch_panic;
use crate::opaque_ids::OpaqueIds;
use crate::verdict::{self, Failure, OffsetFilter, Purge, Refusal};

/// The outcome of a batch.
pub(crate) type Answer = Result<Delivery, DeliveryError>;

#[derive(Debug)]
pub(crate) struct InFlight {
    state: Mutex<State>,
    terms: Terms,
}

/// The settings that the outcome of a batch depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// False with `acks=0`, where a successful report does not mean that a broker has the record.
    pub(crate) acknowledged: bool,
    /// `delivery.timeout.ms`, for errors.
    pub(crate) delivery_timeout: Duration,
    /// True with a `transactional.id`: then librdkafka purges its queue also when a transaction is aborted, or has to be.
    pub(crate) transactional: bool,
}

#[derive(Debug)]
struct State {
    closed: Option<CloseMode>,
    semaphore: Semaphore,
    batches: OpaqueIds<AcceptedBatch>,
    next_number: u64,
    flushes: Vec<Flush>,
    offsets: OffsetFilter,
    /// The first failure in the transaction, which can only be aborted then.
    transaction_failure: Option<TransactionCause>,
}

#[derive(Debug)]
struct AcceptedBatch {
    /// Sequential number of acceptance.
    number: u64,
    to: TopicPartition,
    permits: Permits,
    /// By position; negative while unknown.
    offsets: Vec<i64>,
    unanswered: usize,
    failures: Vec<Failure>,
    refusal: Option<Refusal>,
    /// Log append time in ms; negative unless the topic uses log append time.
    append_time: i64,
    /// `None` until every record has been produced, because the records are read from it meanwhile.
    batch: Option<KafkaBatch>,
    slot: Arc<Slot<Answer>>,
    observation: Observation,
}

#[derive(Debug)]
struct Flush {
    /// The flush waits for the batches with a smaller number.
    before: u64,
    left: usize,
    slot: Arc<Slot<()>>,
}

/// A batch for which room has been acquired.
#[derive(Debug)]
pub(crate) struct Accepted {
    /// The opaque id of its first record; those of the other records follow.
    pub(crate) first: usize,
    /// Receives the outcome.
    pub(crate) slot: Arc<Slot<Answer>>,
}

/// Error: the producer is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Closed;

impl InFlight {
    pub(crate) fn new(limit: Permits, terms: Terms) -> Self {
        let state = State {
            closed: None,
            semaphore: Semaphore::new(limit),
            batches: OpaqueIds::new(),
            next_number: 0,
            flushes: Vec::new(),
            offsets: OffsetFilter::default(),
            transaction_failure: None,
        };
        Self { state: Mutex::new(state), terms }
    }

    pub(crate) fn is_closed(&self) -> bool {
        lock(&self.state).closed.is_some()
    }

    /// Returns true if the producer was closed without waiting for accepted batches.
    pub(crate) fn is_closed_at_once(&self) -> bool {
        lock(&self.state).closed == Some(CloseMode::Immediate)
    }

    /// Returns true if no batch is in flight.
    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.state).batches.len() == 0
    }

    /// Waits until there is room for a batch and registers it, which accepts it.
    pub(crate) async fn acquire(&self, to: &TopicPartition, permits: Permits) -> Result<Accepted, Closed> {
        let mut acquisition = Acquisition::new(&self.state);
        let closed = |state: &State| state.closed.map(|_| Closed);
        let mut state = poll_fn(|context| acquisition.poll(permits, context.waker(), closed)).await?;
        Ok(state.open(to, permits))
    }

    /// Records that librdkafka has taken the batch's records, up to the refused one, if any.
    pub(crate) fn finish_produce(
        &self,
        first: usize,
        batch: KafkaBatch,
        refusal: Option<Refusal>,
        observation: Observation,
    ) {
        let mut state = lock(&self.state);
        let Some(entry) = state.batches.get_mut(first) else { return };
        if let Some(refusal) = &refusal {
            entry.unanswered -= entry.offsets.len() - refusal.position;
        }
        entry.refusal = refusal;
        entry.batch = Some(batch);
        entry.observation = observation;
        let completed = state.try_complete(first, self.terms);
        drop(state);
        completed.into_iter().for_each(Completed::notify);
    }

    /// Removes a batch of which librdkafka took no record: it was never accepted.
    pub(crate) fn withdraw(&self, first: usize) {
        let mut state = lock(&self.state);
        let removed = state.remove(first);
        drop(state);
        removed.into_iter().for_each(|(_, released)| released.notify());
    }

    /// Records a successful delivery report. `append_time` is called only for the last report of a batch.
    pub(crate) fn delivered(&self, id: usize, offset: i64, append_time: impl FnOnce() -> i64) {
        self.report(id, |batch, position, offsets| {
            if let Some(offset) = offsets.filter(offset) {
                batch.offsets[position] = offset;
            }
            if batch.unanswered == 1 {
                batch.append_time = append_time();
            }
        });
    }

    /// Records a failed delivery report.
    pub(crate) fn failed(&self, id: usize, code: RDKafkaErrorCode, broker: Option<i32>, fate: Fate) {
        let code = match code {
            // Without an immediate close and without transactions, librdkafka purges its queue only after a fatal error.
            RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight
                if !self.terms.transactional && !self.is_closed_at_once() =>
            {
                RDKafkaErrorCode::Fatal
            }
            code => code,
        };
        self.report(id, |batch, position, _| batch.failures.push(Failure { position, code, broker, fate }));
    }

    /// Removes a batch of which librdkafka took no record because the transaction can only be aborted: it fails for that reason.
    pub(crate) fn refuse(&self, first: usize, batch: KafkaBatch, observation: Observation) {
        let removed = lock(&self.state).remove(first);
        let Some((AcceptedBatch { to, slot, .. }, released)) = removed else { return };
        let fates = vec![Fate::NotWritten; batch.record_count()];
        let answer = Err(DeliveryError::from_fates(to, FailureReason::TransactionAborted, fates, batch));
        Completed { slot, answer, observation, released }.notify();
    }

    /// Returns the first failure since the transaction was begun.
    pub(crate) fn transaction_failure(&self) -> Option<TransactionCause> {
        lock(&self.state).transaction_failure.clone()
    }

    /// Records that the transaction can only be aborted.
    pub(crate) fn fail_transaction(&self, cause: TransactionCause) {
        lock(&self.state).transaction_failure.get_or_insert(cause);
    }

    /// Forgets the failure of the last transaction.
    pub(crate) fn begin_transaction(&self) {
        lock(&self.state).transaction_failure = None;
    }

    fn report(&self, id: usize, enter: impl FnOnce(&mut AcceptedBatch, usize, &mut OffsetFilter)) {
        let mut state = lock(&self.state);
        let State { batches, offsets, .. } = &mut *state;
        let Some((position, batch)) = batches.find(id) else { return };
        enter(batch, position, offsets);
        batch.unanswered -= 1;
        if batch.unanswered == 0 {
            let completed = state.try_complete(id - position, self.terms);
            drop(state);
            completed.into_iter().for_each(Completed::notify);
        }
    }

    /// Waits until every batch accepted before this call has completed.
    pub(crate) async fn flush(&self) {
        let slot = {
            let mut state = lock(&self.state);
            if state.batches.len() == 0 {
                return;
            }
            let slot = Arc::new(Slot::new());
            let flush = Flush { before: state.next_number, left: state.batches.len(), slot: Arc::clone(&slot) };
            state.flushes.push(flush);
            slot
        };
        poll_fn(|context| slot.poll_take(context)).await;
    }

    /// Refuses later batches and those waiting for room. An immediate close is not downgraded.
    pub(crate) fn close(&self, mode: CloseMode) {
        let mut state = lock(&self.state);
        if state.closed != Some(CloseMode::Immediate) {
            state.closed = Some(mode);
        }
        let rejected = state.semaphore.cancel_all();
        drop(state);
        rejected.into_iter().for_each(wake);
    }
}

impl HasSemaphore for State {
    fn semaphore(&mut self) -> &mut Semaphore {
        &mut self.semaphore
    }
}

impl State {
    fn open(&mut self, to: &TopicPartition, permits: Permits) -> Accepted {
        let slot = Arc::new(Slot::new());
        let batch = AcceptedBatch {
            number: self.next_number,
            to: to.clone(),
            permits,
            offsets: vec![-1; permits.records],
            unanswered: permits.records,
            failures: Vec::new(),
            refusal: None,
            append_time: -1,
            batch: None,
            slot: Arc::clone(&slot),
            observation: Observation::default(),
        };
        self.next_number += 1;
        Accepted { first: self.batches.allocate(permits.records, batch), slot }
    }

    /// Completes a batch if all of its records have been produced and reported.
    fn try_complete(&mut self, first: usize, terms: Terms) -> Option<Completed> {
        let entry = self.batches.get_mut(first)?;
        if entry.unanswered > 0 {
            return None;
        }
        let batch = entry.batch.take()?;
        let (mut entry, released) = self.remove(first)?;
        let (slot, observation) = (Arc::clone(&entry.slot), mem::take(&mut entry.observation));
        let answer = entry.answer(batch, terms, self.closed);
        match &answer {
            Err(error) if terms.transactional => self.record_failure(error),
            _ => {}
        }
        Some(Completed { slot, answer, observation, released })
    }

    /// Records the failure of a batch of the transaction, unless it only follows from another one.
    fn record_failure(&mut self, error: &DeliveryError) {
        if !matches!(error.reason, FailureReason::TransactionAborted) {
            self.transaction_failure.get_or_insert_with(|| TransactionCause::Batch {
                to: error.to.clone(),
                reason: error.reason.to_string().into(),
                error: error.reason.broker_error().cloned().map(Box::new),
            });
        }
    }

    fn remove(&mut self, first: usize) -> Option<(AcceptedBatch, Released)> {
        let entry = self.batches.remove(first)?;
        for flush in &mut self.flushes {
            flush.left -= usize::from(entry.number < flush.before);
        }
        let (done, waiting) = mem::take(&mut self.flushes).into_iter().partition::<Vec<_>, _>(|flush| flush.left == 0);
        self.flushes = waiting;
        let flushed = done.into_iter().map(|flush| flush.slot).collect();
        let admitted = self.semaphore.release(entry.permits);
        Some((entry, Released { flushed, admitted }))
    }
}

impl AcceptedBatch {
    fn answer(self, batch: KafkaBatch, terms: Terms, closed: Option<CloseMode>) -> Answer {
        let Self { to, offsets, failures, refusal, append_time, .. } = self;
        if failures.is_empty() && refusal.is_none() {
            return Ok(Delivery::from_offsets(to, offsets, batch).with_log_append_time(append_time));
        }
        let records = offsets.len();
        let handed_over = refusal.as_ref().map_or(records, |refusal| refusal.position);
        let fates = verdict::fates(records, handed_over, &failures, terms.acknowledged);
        let record_errors = verdict::record_errors(&failures);
        let purge = match closed {
            Some(CloseMode::Immediate) => Purge::Close,
            _ => Purge::Abort,
        };
        let reason = verdict::reason(&failures, refusal, terms.delivery_timeout, purge);
        Err(DeliveryError::from_fates(to, reason, fates, batch).with_record_errors(record_errors))
    }
}

/// A completed batch, and the waiters to notify.
#[derive(Debug)]
struct Completed {
    slot: Arc<Slot<Answer>>,
    answer: Answer,
    observation: Observation,
    released: Released,
}

impl Completed {
    fn notify(self) {
        self.observation.complete(&self.answer);
        catch_panic::catch_panic(|| self.slot.fill(self.answer));
        self.released.notify();
    }
}

/// The waiters that a removed batch unblocks.
#[derive(Debug)]
struct Released {
    flushed: Vec<Arc<Slot<()>>>,
    admitted: Vec<Waker>,
}

impl Released {
    fn notify(self) {
        self.flushed.iter().for_each(|slot| catch_panic::catch_panic(|| slot.fill(())));
        self.admitted.into_iter().for_each(wake);
    }
}

#[cfg(test)]
mod tests;
