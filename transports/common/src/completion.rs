//! The outcome of a batch of messages, shared by the futures of its records: one allocation for the batch, and a place for
//! one waker for each record.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use kafka_batch_core::error::Rejection;
use kafka_batch_core::{
    Delivery, DeliveryError, FailureReason, Fate, RecordDelivery, RecordDeliveryError, RecordError, Timestamp,
    TopicPartition,
};

use crate::accepted::BatchOutcome;
use crate::sync::{Mutex, OnceLock, lock, wake_all};

/// An accepted message. Resolves to the outcome of its record, under any runtime, also after its producer was dropped.
///
/// Dropping it discards the outcome; the message is still sent.
#[derive(Debug)]
#[must_use = "it resolves to the outcome of the message; drop it where that does not matter"]
pub struct PendingRecord {
    batch: Arc<Shared>,
    position: u32,
    /// The record's own timestamp.
    timestamp: Timestamp,
}

#[derive(Debug)]
struct Shared {
    to: TopicPartition,
    /// Set once, before the wakers are taken.
    outcome: OnceLock<Outcome>,
    wakers: Mutex<Wakers>,
}

/// The wakers of the futures. The first waker of a future may still be with the [`Completer`].
#[derive(Debug, Default)]
struct Wakers {
    /// By position, up to the last record whose future was polled.
    each: Vec<Option<Waker>>,
    /// The positions of futures that were dropped while the completer had the first wakers.
    dropped: Vec<u32>,
    /// Whether the completer has passed the first wakers on.
    are_shared: bool,
}

/// The outcome of a batch, without the batch.
#[derive(Debug)]
enum Outcome {
    /// Consecutive offsets, and one append time.
    Delivered {
        base_offset: Option<i64>,
        append_time: Option<Timestamp>,
    },
    /// The batch was split. By position.
    DeliveredEach(Box<[(Option<i64>, Option<Timestamp>)]>),
    Failed {
        reason: Arc<FailureReason>,
        fates: Fates,
        rejected: Box<[RecordError]>,
    },
}

#[derive(Debug)]
enum Fates {
    All(Fate),
    /// The batch was split. By position.
    Each(Box<[Fate]>),
}

impl Outcome {
    fn delivered(delivery: &Delivery) -> Self {
        let (base_offset, append_time) = (delivery.base_offset(), delivery.log_append_time());
        // It has a compression ratio only if the batch was appended as one; then it has one append time, or none.
        if delivery.compression_ratio().is_some() && append_time == delivery.append_time(0) {
            return Self::Delivered { base_offset, append_time };
        }
        let positions = 0..delivery.record_count();
        let each = |position| (delivery.offset(position), delivery.append_time(position));
        let consecutive = |position: usize| {
            let offset = base_offset.and_then(|base| base.checked_add(i64::try_from(position).ok()?));
            (offset, append_time)
        };
        if positions.clone().all(|position| each(position) == consecutive(position)) {
            Self::Delivered { base_offset, append_time }
        } else {
            Self::DeliveredEach(positions.map(each).collect())
        }
    }

    fn failed(error: DeliveryError) -> Self {
        let fates = match error.fate() {
            Some(fate) => Fates::All(fate),
            None => Fates::Each((0..error.record_count()).map_while(|position| error.fate_of(position)).collect()),
        };
        Self::Failed { reason: Arc::new(error.reason), fates, rejected: error.record_errors.into() }
    }

    fn of(&self, position: u32, timestamp: Timestamp, to: &TopicPartition) -> <PendingRecord as Future>::Output {
        let index = position as usize;
        match self {
            Self::Delivered { base_offset, append_time } => {
                let offset = base_offset.and_then(|base| base.checked_add(i64::from(position)));
                Ok(RecordDelivery::new(to.partition, offset, append_time.unwrap_or(timestamp)))
            }
            Self::DeliveredEach(records) => {
                let (offset, append_time) = records.get(index).copied().unwrap_or_default();
                Ok(RecordDelivery::new(to.partition, offset, append_time.unwrap_or(timestamp)))
            }
            Self::Failed { reason, fates, rejected } => {
                let fate = match fates {
                    Fates::All(fate) => *fate,
                    Fates::Each(fates) => fates.get(index).copied().unwrap_or(Fate::Unknown),
                };
                if fate == Fate::Written {
                    // A part of its batch was delivered, and another part failed, whose error has no offsets.
                    return Ok(RecordDelivery::new(to.partition, None, timestamp));
                }
                let own = rejected.iter().find(|error| error.position == index);
                let rejection = match own {
                    Some(error) => Rejection::This(error.message.clone()),
                    None if rejected.is_empty() || fate != Fate::NotWritten => Rejection::Unnamed,
                    None => Rejection::Others,
                };
                Err(RecordDeliveryError::new(to.clone(), Arc::clone(reason), fate, rejection))
            }
        }
    }
}

impl PendingRecord {
    /// Returns the topic and the partition of the record.
    #[must_use]
    pub fn topic_partition(&self) -> &TopicPartition {
        &self.batch.to
    }
}

impl Future for PendingRecord {
    type Output = Result<RecordDelivery, RecordDeliveryError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { batch, position, timestamp } = &*self;
        if let Some(outcome) = batch.outcome.get() {
            return Poll::Ready(outcome.of(*position, *timestamp, &batch.to));
        }
        let mut wakers = lock(&batch.wakers);
        // Checked again under the lock: the task that sets the outcome takes the wakers after that.
        if let Some(outcome) = batch.outcome.get() {
            return Poll::Ready(outcome.of(*position, *timestamp, &batch.to));
        }
        let index = *position as usize;
        let each = &mut wakers.each;
        if each.len() <= index {
            each.resize_with(index + 1, || None);
        }
        match &mut each[index] {
            Some(waker) => waker.clone_from(context.waker()),
            waker @ None => *waker = Some(context.waker().clone()),
        }
        Poll::Pending
    }
}

/// Removes its waker, so that the batch does not keep the task alive.
impl Drop for PendingRecord {
    fn drop(&mut self) {
        if self.batch.outcome.get().is_none() {
            let mut wakers = lock(&self.batch.wakers);
            let own = wakers.each.get_mut(self.position as usize).and_then(Option::take);
            if !wakers.are_shared {
                wakers.dropped.push(self.position);
            }
            drop(wakers);
            drop(own); // foreign code, so not under the lock
        }
    }
}

/// Sends the outcome of a batch to the futures of its records. If it is dropped before, they fail, because the producer's
/// task has ended.
#[derive(Debug)]
pub(crate) struct Completer {
    /// `None` once the outcome is set.
    batch: Option<Arc<Shared>>,
    /// The first wakers, by position: of the futures that were polled when their records were appended. Here they need no lock.
    wakers: Vec<Option<Waker>>,
    /// Whether the machine has taken the batch, so that its fate is unknown.
    is_taken: bool,
}

impl Completer {
    pub(crate) fn new(to: TopicPartition) -> Self {
        let batch = Shared { to, outcome: OnceLock::new(), wakers: Mutex::default() };
        Self { batch: Some(Arc::new(batch)), wakers: Vec::new(), is_taken: false }
    }

    /// Returns the future of the record at this position, or `None` if the outcome is set already.
    pub(crate) fn pending(&self, position: usize, timestamp: Timestamp) -> Option<PendingRecord> {
        let position = u32::try_from(position).ok()?;
        Some(PendingRecord { batch: Arc::clone(self.batch.as_ref()?), position, timestamp })
    }

    /// Sets the waker of the record at this position, the last one, for as long as its future has none of its own.
    pub(crate) fn register(&mut self, position: usize, waker: Waker) {
        self.wakers.resize_with(position, || None);
        self.wakers.push(Some(waker));
    }

    /// Passes the wakers to the futures, once the batch has all its records: a future that is dropped then releases its own.
    pub(crate) fn share_wakers(&mut self) {
        let Some(batch) = &self.batch else { return };
        let mut first = mem::take(&mut self.wakers);
        let mut wakers = lock(&batch.wakers);
        let Wakers { each, dropped, are_shared } = &mut *wakers;
        *are_shared = true;
        let mut released = Vec::new(); // foreign code, so not under the lock
        for position in mem::take(dropped) {
            released.extend(first.get_mut(position as usize).and_then(Option::take));
        }
        if each.is_empty() {
            *each = first;
        } else {
            if each.len() < first.len() {
                each.resize_with(first.len(), || None);
            }
            for (later, first) in each.iter_mut().zip(first) {
                match later {
                    Some(_) => released.extend(first), // its future was polled with another waker since
                    None => *later = first,
                }
            }
        }
        drop(wakers);
    }

    /// Records that the machine has taken the batch.
    pub(crate) fn set_taken(&mut self) {
        self.is_taken = true;
    }

    /// Sets the outcome, and wakes all tasks that wait for it.
    pub(crate) fn complete(mut self, result: BatchOutcome) {
        let outcome = match result {
            Ok(delivery) => Outcome::delivered(&delivery),
            Err(error) => Outcome::failed(error),
        };
        self.set(outcome);
    }

    fn set(&mut self, outcome: Outcome) {
        let Some(batch) = self.batch.take() else { return };
        drop(batch.outcome.set(outcome)); // it is set here only, and once
        let wakers = mem::take(&mut lock(&batch.wakers).each);
        wake_all(mem::take(&mut self.wakers).into_iter().chain(wakers).flatten());
    }
}

impl Drop for Completer {
    fn drop(&mut self) {
        if self.batch.is_some() {
            let fate = if self.is_taken { Fate::Unknown } else { Fate::NotWritten };
            let reason = Arc::new(FailureReason::Stopped);
            self.set(Outcome::Failed { reason, fates: Fates::All(fate), rejected: Box::default() });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use kafka_batch_core::protocol::{ApiKey, BrokerError, ErrorCode};
    use kafka_batch_core::{BatchOptions, KafkaBatch, Record};

    use super::*;

    fn poll(pending: &mut PendingRecord) -> Poll<Result<RecordDelivery, RecordDeliveryError>> {
        pin!(pending).poll(&mut Context::from_waker(Waker::noop()))
    }

    fn to() -> TopicPartition {
        TopicPartition::new("t", 3)
    }

    /// A batch of three records, and their futures.
    fn three() -> (KafkaBatch, Completer, [PendingRecord; 3]) {
        let mut batch = BatchOptions::default().build(0).unwrap();
        let completer = Completer::new(to());
        let pending = [5, 6, 7].map(|millis| {
            let appended = batch.append(Record::new("x").timestamp(millis)).unwrap().appended().unwrap();
            completer.pending(appended.offset as usize, appended.timestamp).unwrap()
        });
        (batch, completer, pending)
    }

    #[test]
    fn each_record_has_its_own_offset_and_timestamp() {
        let (batch, completer, mut pending) = three();
        assert!(pending.iter_mut().all(|pending| poll(pending).is_pending()));
        let stamped = batch.seal().unwrap().without_producer_id();
        completer.complete(Ok(Delivery::new(to(), 40, stamped)));
        for (index, pending) in (0..).zip(&mut pending) {
            let Poll::Ready(Ok(delivery)) = poll(pending) else { panic!("no outcome") };
            let timestamp = Timestamp::from_millis(5 + index);
            assert_eq!(delivery, RecordDelivery::new(3, Some(40 + index), timestamp));
        }
    }

    #[test]
    fn offsets_of_a_split_batch_and_append_times() {
        let (batch, completer, mut pending) = three();
        let delivery = Delivery::from_offsets(to(), vec![7, 8, 20], batch).with_log_append_times(&[100, 100, 101]);
        completer.complete(Ok(delivery));
        let found: Vec<_> = pending
            .iter_mut()
            .map(|pending| match poll(pending) {
                Poll::Ready(Ok(delivery)) => (delivery.offset, delivery.timestamp.millis()),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(found, [(Some(7), 100), (Some(8), 100), (Some(20), 101)]);

        let (batch, completer, mut pending) = three();
        let stamped = batch.seal().unwrap().without_producer_id();
        completer.complete(Ok(Delivery::new(to(), -1, stamped).with_log_append_time(9)));
        let Poll::Ready(Ok(delivery)) = poll(&mut pending[2]) else { panic!("no outcome") };
        assert_eq!((delivery.offset, delivery.timestamp.millis()), (None, 9), "acks=0 has no offsets");
    }

    #[test]
    fn a_failure_has_the_fate_of_the_record_and_names_the_rejected_one() {
        let (batch, completer, mut pending) = three();
        let reason = BrokerError::new(ApiKey::Produce, ErrorCode::INVALID_RECORD).into();
        let error = DeliveryError::new(to(), reason, Fate::NotWritten, batch);
        completer.complete(Err(error.with_record_errors(vec![RecordError::new(1, Some("no key".into()))])));
        let rejections: Vec<_> = pending
            .iter_mut()
            .map(|pending| match poll(pending) {
                Poll::Ready(Err(error)) => {
                    assert_eq!((error.fate, error.reason.code()), (Fate::NotWritten, Some(ErrorCode::INVALID_RECORD)));
                    error.rejection
                }
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(rejections, [Rejection::Others, Rejection::This(Some("no key".into())), Rejection::Others]);

        let (batch, completer, mut pending) = three();
        let fates = vec![Fate::Written, Fate::Unknown, Fate::NotWritten];
        completer.complete(Err(DeliveryError::from_fates(to(), FailureReason::Closed, fates.clone(), batch)));
        let found = pending.each_mut().map(|pending| match poll(pending) {
            Poll::Ready(Ok(delivery)) => (Fate::Written, delivery.offset),
            Poll::Ready(Err(error)) => (error.fate, None),
            Poll::Pending => panic!("no outcome"),
        });
        assert_eq!(found.map(|(fate, _)| fate)[..], fates);
        assert_eq!(found[0].1, None, "its offset is not known");
    }

    #[test]
    fn only_a_record_that_is_not_written_is_to_be_sent_again_because_others_were_rejected() {
        let (batch, completer, mut pending) = three();
        let reason = BrokerError::new(ApiKey::Produce, ErrorCode::MESSAGE_TOO_LARGE).into();
        let error =
            DeliveryError::from_fates(to(), reason, vec![Fate::Written, Fate::NotWritten, Fate::Unknown], batch);
        completer.complete(Err(error.with_record_errors(vec![RecordError::new(1, None)])));
        assert!(matches!(poll(&mut pending[0]), Poll::Ready(Ok(_))), "it is in the log");
        let rejections = [1, 2].map(|position: usize| match poll(&mut pending[position]) {
            Poll::Ready(Err(error)) => (error.is_retriable(), error.rejection),
            other => panic!("{other:?}"),
        });
        assert_eq!(rejections, [(false, Rejection::This(None)), (false, Rejection::Unnamed)]);
    }

    #[test]
    fn a_dropped_completer_fails_the_records() {
        for is_taken in [false, true] {
            let (_, mut completer, mut pending) = three();
            if is_taken {
                completer.set_taken();
            }
            assert!(poll(&mut pending[1]).is_pending());
            drop(completer);
            for pending in &mut pending {
                let Poll::Ready(Err(error)) = poll(pending) else { panic!("no outcome") };
                assert_eq!(error.fate, if is_taken { Fate::Unknown } else { Fate::NotWritten });
                assert!(matches!(*error.reason, FailureReason::Stopped));
            }
        }
    }

    #[derive(Default)]
    struct Counter(AtomicUsize);

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
            assert_ne!(self.0.load(Ordering::SeqCst), 2, "the second one panics");
        }
    }

    /// Counts its wake-ups.
    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn wakers_that_were_registered_when_records_were_appended_are_woken_or_released() {
        let counters = [(); 4].map(|()| Arc::new(Wakes::default()));
        let wakers = counters.each_ref().map(|counter| Waker::from(Arc::clone(counter)));
        for is_shared in [false, true] {
            counters.iter().for_each(|counter| counter.0.store(0, Ordering::SeqCst));
            let (_, mut completer, [first, second, mut third]) = three();
            for (position, waker) in (0..).zip(&wakers[..3]) {
                completer.register(position, waker.clone());
            }
            drop(second);
            let mut poll_by = |waker| pin!(&mut third).poll(&mut Context::from_waker(waker)).is_pending();
            assert!(poll_by(&wakers[3]), "it moves to another task");
            if is_shared {
                completer.share_wakers();
                assert_eq!(Arc::strong_count(&counters[1]), 2, "the batch does not keep the task of a dropped future");
                assert!(poll_by(&wakers[3]));
                drop(first);
                assert_eq!(Arc::strong_count(&counters[0]), 2);
            }
            completer.complete(Err(DeliveryError::without_batch(to(), FailureReason::Closed, Fate::Unknown, 3)));
            let woken = counters.each_ref().map(|counter| counter.0.load(Ordering::SeqCst));
            assert_eq!(woken[3], 1);
            if is_shared {
                assert_eq!(woken, [0, 0, 0, 1]);
            } else {
                assert_eq!(woken[0], 1);
            }
            assert!(poll(&mut third).is_ready());
            assert!(counters.iter().all(|counter| Arc::strong_count(counter) == 2), "nothing keeps a waker");
        }
    }

    #[test]
    fn wakers_of_dropped_futures_are_released_and_a_panic_of_one_stops_no_other() {
        let (_, completer, mut pending) = three();
        let counters = [(); 3].map(|()| Arc::new(Counter::default()));
        for (pending, counter) in pending.iter_mut().zip(&counters) {
            let waker = Waker::from(Arc::clone(counter));
            for _ in 0..2 {
                assert!(pin!(&mut *pending).poll(&mut Context::from_waker(&waker)).is_pending());
            }
        }
        counters[0].0.store(1, Ordering::SeqCst); // its next wake-up is the second
        let [first, second, third] = pending;
        drop(second);
        assert_eq!(Arc::strong_count(&counters[1]), 1, "the batch does not keep its task");
        drop(completer);
        assert_eq!(counters.each_ref().map(|counter| counter.0.load(Ordering::SeqCst)), [2, 0, 1]);
        drop((first, third));
    }
}
