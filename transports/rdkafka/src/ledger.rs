//! What is on its way: each batch that was accepted, and what is known of its records so far.
//!
//! Two threads write here: the one that hands a batch over, once before and once after, and the one that gets the
//! delivery reports, for every record. So the lock is all but never contended. Nobody is woken under it, because a waker
//! is foreign code; and where one panics, the others are woken all the same.

use std::future::poll_fn;
use std::mem;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use kafka_batch_core::producer::CloseMode;
use kafka_batch_core::{Delivery, DeliveryError, Fate, KafkaBatch, TopicPartition};
use kafka_batch_transport::waiting::{Admission, Load, Place, Slot, Window, lock};
use rdkafka::error::RDKafkaErrorCode;

use crate::foreign;
use crate::tickets::Tickets;
use crate::verdict::{self, Failure, Offsets, Refusal};

/// What became of a batch.
pub(crate) type Answer = Result<Delivery, DeliveryError>;

#[derive(Debug)]
pub(crate) struct Ledger {
    state: Mutex<State>,
    /// Whether a report of success means that a broker has the record: not so with `acks=0`.
    acknowledged: bool,
}

#[derive(Debug)]
struct State {
    closed: Option<CloseMode>,
    window: Window,
    batches: Tickets<OnItsWay>,
    next_number: u64,
    flushes: Vec<Flush>,
    offsets: Offsets,
}

#[derive(Debug)]
struct OnItsWay {
    /// Counts the batches accepted.
    number: u64,
    to: TopicPartition,
    load: Load,
    /// By position; below 0 until known, and if never.
    offsets: Vec<i64>,
    unanswered: usize,
    failures: Vec<Failure>,
    refusal: Option<Refusal>,
    /// Below 0 unless the broker stamped the records.
    append_time: i64,
    /// Here once all of it was handed over: until then its records are being read.
    batch: Option<KafkaBatch>,
    slot: Arc<Slot<Answer>>,
}

#[derive(Debug)]
struct Flush {
    /// The batches with a lower number are waited for.
    before: u64,
    left: usize,
    slot: Arc<Slot<()>>,
}

/// A batch that is in the books.
#[derive(Debug)]
pub(crate) struct Accepted {
    /// The ticket of its first record.
    pub(crate) first: usize,
    /// Where the answer will be.
    pub(crate) slot: Arc<Slot<Answer>>,
}

/// No further batch is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Closed;

impl Ledger {
    pub(crate) fn new(limit: Load, acknowledged: bool) -> Self {
        let state = State {
            closed: None,
            window: Window::new(limit),
            batches: Tickets::new(),
            next_number: 0,
            flushes: Vec::new(),
            offsets: Offsets::default(),
        };
        Self { state: Mutex::new(state), acknowledged }
    }

    pub(crate) fn is_closed(&self) -> bool {
        lock(&self.state).closed.is_some()
    }

    /// Whether what was accepted is not to go out any more, either.
    pub(crate) fn is_closed_at_once(&self) -> bool {
        lock(&self.state).closed == Some(CloseMode::AtOnce)
    }

    /// Whether nothing is on its way.
    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.state).batches.len() == 0
    }

    /// Waits until there is room for a batch, and enters it: from here on it is accepted.
    pub(crate) async fn admit(&self, to: &TopicPartition, load: Load) -> Result<Accepted, Closed> {
        let mut line = InLine { ledger: self, place: None };
        poll_fn(|context| line.poll(to, load, context.waker())).await
    }

    /// All that librdkafka takes of a batch was handed over to it: up to the one that it refused, if any.
    pub(crate) fn handed_over(&self, first: usize, batch: KafkaBatch, refusal: Option<Refusal>) {
        let mut state = lock(&self.state);
        let Some(entry) = state.batches.get_mut(first) else { return };
        if let Some(refusal) = &refusal {
            entry.unanswered -= entry.offsets.len() - refusal.position;
        }
        entry.refusal = refusal;
        entry.batch = Some(batch);
        let settled = state.settle(first, self.acknowledged);
        drop(state);
        settled.into_iter().for_each(Settled::announce);
    }

    /// A batch of which not even the first record was taken was never accepted.
    pub(crate) fn withdraw(&self, first: usize) {
        let mut state = lock(&self.state);
        let removed = state.remove(first);
        drop(state);
        removed.into_iter().for_each(|(_, released)| released.announce());
    }

    /// Enters that a record was delivered. Its time is asked for once in a batch, at the last report, which has the latest.
    pub(crate) fn delivered(&self, ticket: usize, offset: i64, append_time: impl FnOnce() -> i64) {
        self.report(ticket, |batch, position, offsets| {
            if let Some(offset) = offsets.believe(offset) {
                batch.offsets[position] = offset;
            }
            if batch.unanswered == 1 {
                batch.append_time = append_time();
            }
        });
    }

    /// Enters that a record was not delivered.
    pub(crate) fn failed(&self, ticket: usize, code: RDKafkaErrorCode, broker: Option<i32>, fate: Fate) {
        let code = match code {
            // librdkafka purges its queue by itself after a fatal error, and only then.
            RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight if !self.is_closed_at_once() => {
                RDKafkaErrorCode::Fatal
            }
            code => code,
        };
        self.report(ticket, |batch, position, _| batch.failures.push(Failure { position, code, broker, fate }));
    }

    fn report(&self, ticket: usize, enter: impl FnOnce(&mut OnItsWay, usize, &mut Offsets)) {
        let mut state = lock(&self.state);
        let State { batches, offsets, .. } = &mut *state;
        let Some((position, batch)) = batches.find(ticket) else { return };
        enter(batch, position, offsets);
        batch.unanswered -= 1;
        if batch.unanswered == 0 {
            let settled = state.settle(ticket - position, self.acknowledged);
            drop(state);
            settled.into_iter().for_each(Settled::announce);
        }
    }

    /// Waits until all that was accepted up to now is through.
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

    /// Accepts nothing from here on. What was closed at once stays so.
    pub(crate) fn close(&self, mode: CloseMode) {
        let mut state = lock(&self.state);
        if state.closed != Some(CloseMode::AtOnce) {
            state.closed = Some(mode);
        }
        let turned_away = state.window.dissolve();
        drop(state);
        turned_away.into_iter().for_each(foreign::wake);
    }
}

impl State {
    fn open(&mut self, to: &TopicPartition, load: Load) -> Accepted {
        let slot = Arc::new(Slot::new());
        let batch = OnItsWay {
            number: self.next_number,
            to: to.clone(),
            load,
            offsets: vec![-1; load.records],
            unanswered: load.records,
            failures: Vec::new(),
            refusal: None,
            append_time: -1,
            batch: None,
            slot: Arc::clone(&slot),
        };
        self.next_number += 1;
        Accepted { first: self.batches.issue(load.records, batch), slot }
    }

    /// Closes the books on a batch, if all of it was handed over and answered.
    fn settle(&mut self, first: usize, acknowledged: bool) -> Option<Settled> {
        let entry = self.batches.get_mut(first)?;
        if entry.unanswered > 0 {
            return None;
        }
        let batch = entry.batch.take()?;
        let (entry, released) = self.remove(first)?;
        Some(Settled { slot: Arc::clone(&entry.slot), answer: entry.answer(batch, acknowledged), released })
    }

    fn remove(&mut self, first: usize) -> Option<(OnItsWay, Released)> {
        let entry = self.batches.remove(first)?;
        for flush in &mut self.flushes {
            flush.left -= usize::from(entry.number < flush.before);
        }
        let (done, waiting) = mem::take(&mut self.flushes).into_iter().partition::<Vec<_>, _>(|flush| flush.left == 0);
        self.flushes = waiting;
        let flushed = done.into_iter().map(|flush| flush.slot).collect();
        let admitted = self.window.release(entry.load);
        Some((entry, Released { flushed, admitted }))
    }
}

impl OnItsWay {
    fn answer(self, batch: KafkaBatch, acknowledged: bool) -> Answer {
        let Self { to, offsets, failures, refusal, append_time, .. } = self;
        if failures.is_empty() && refusal.is_none() {
            return Ok(Delivery::one_by_one(to, offsets, batch).with_log_append_time(append_time));
        }
        let records = offsets.len();
        let handed_over = refusal.as_ref().map_or(records, |refusal| refusal.position);
        let fates = verdict::fates(records, handed_over, &failures, acknowledged);
        let record_errors = verdict::record_errors(&failures);
        let reason = verdict::reason(&failures, refusal);
        Err(DeliveryError::one_by_one(to, reason, fates, batch).with_record_errors(record_errors))
    }
}

/// The answer for a batch that is through.
#[derive(Debug)]
struct Settled {
    slot: Arc<Slot<Answer>>,
    answer: Answer,
    released: Released,
}

impl Settled {
    fn announce(self) {
        foreign::call(|| self.slot.fill(self.answer));
        self.released.announce();
    }
}

/// Who else may go on because a batch is gone from the books.
#[derive(Debug)]
struct Released {
    flushed: Vec<Arc<Slot<()>>>,
    admitted: Vec<Waker>,
}

impl Released {
    fn announce(self) {
        self.flushed.iter().for_each(|slot| foreign::call(|| slot.fill(())));
        self.admitted.into_iter().for_each(foreign::wake);
    }
}

/// Waits to be let in, and steps out of the queue when it is dropped.
struct InLine<'a> {
    ledger: &'a Ledger,
    place: Option<Place>,
}

impl InLine<'_> {
    fn poll(&mut self, to: &TopicPartition, load: Load, waker: &Waker) -> Poll<Result<Accepted, Closed>> {
        let mut state = lock(&self.ledger.state);
        if state.closed.is_some() {
            self.place = None; // the queue was dissolved
            return Poll::Ready(Err(Closed));
        }
        match state.window.admit(self.place, load, waker) {
            Admission::In => {
                self.place = None;
                Poll::Ready(Ok(state.open(to, load)))
            }
            Admission::Wait(place) => {
                self.place = Some(place);
                Poll::Pending
            }
        }
    }
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        let Some(place) = self.place else { return };
        let (_gone, granted) = lock(&self.ledger.state).window.leave(place);
        granted.into_iter().for_each(foreign::wake);
    }
}

#[cfg(test)]
mod tests;
