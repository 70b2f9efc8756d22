//! Delivery reports in every order, without librdkafka.

use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake};

use std::task::Poll;

use super::*;
use crate::error::LibrdkafkaError;
use kafka_batch_core::Record;

const ROOMY: Permits = Permits { records: 1_000, bytes: 1_000_000 };
const TERMS: Terms =
    Terms { acknowledged: true, delivery_timeout: Duration::from_millis(300_000), transactional: false };

fn batch(records: usize) -> KafkaBatch {
    let mut batch = KafkaBatch::new(1_000);
    for _ in 0..records {
        let _ = batch.append(Record::new("value")).unwrap();
    }
    batch
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Panics when it is woken, and counts that.
#[derive(Default)]
struct Panicking(AtomicUsize);

impl Wake for Panicking {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
        std::panic::resume_unwind(Box::new("this is the panic that is wanted")); // without a message in the test output
    }
}

#[track_caller]
fn accept(in_flight: &InFlight, records: usize) -> Accepted {
    let to = TopicPartition::new("topic", 0);
    match poll(pin!(in_flight.acquire(&to, Permits { records, bytes: records }))) {
        Poll::Ready(Ok(accepted)) => accepted,
        other => panic!("{other:?}"),
    }
}

fn answer(accepted: &Accepted) -> Option<Answer> {
    match accepted.slot.poll_take(&Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => Some(answer),
        Poll::Pending => None,
    }
}

fn deliver(in_flight: &InFlight, ids: impl IntoIterator<Item = usize>) {
    ids.into_iter().for_each(|id| in_flight.delivered(id, 100 + id as i64, || -1));
}

#[test]
fn offsets_are_by_position_in_any_order_of_reports() {
    let in_flight = InFlight::new(ROOMY, TERMS);
    let [one, two] = [accept(&in_flight, 3), accept(&in_flight, 2)];
    in_flight.finish_produce(one.first, batch(3), None, Observation::default());
    in_flight.finish_produce(two.first, batch(2), None, Observation::default());
    deliver(&in_flight, [4, 1, 0]);
    assert!(answer(&one).is_none() && answer(&two).is_none());
    deliver(&in_flight, [3, 2]);
    let offsets = |accepted| {
        let delivery = answer(accepted).unwrap().unwrap();
        delivery.records().map(|record| record.offset.unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(offsets(&one), [100, 101, 102]);
    assert_eq!(offsets(&two), [103, 104]);
    assert!(in_flight.is_empty());
}

#[test]
fn a_batch_that_is_reported_while_it_is_produced_completes_after_produce() {
    let in_flight = InFlight::new(ROOMY, TERMS);
    let accepted = accept(&in_flight, 2);
    deliver(&in_flight, [0, 1]);
    assert!(answer(&accepted).is_none());
    in_flight.finish_produce(accepted.first, batch(2), None, Observation::default());
    assert!(answer(&accepted).unwrap().is_ok());
}

#[test]
fn records_after_a_refused_one_are_not_awaited() {
    let in_flight = InFlight::new(ROOMY, TERMS);
    let accepted = accept(&in_flight, 4);
    let error = LibrdkafkaError::new(RDKafkaErrorCode::MessageSizeTooLarge, None);
    in_flight.finish_produce(accepted.first, batch(4), Some(Refusal { position: 2, error }), Observation::default());
    deliver(&in_flight, [0]);
    in_flight.failed(1, RDKafkaErrorCode::MessageTimedOut, None, Fate::Unknown);
    let failed = answer(&accepted).unwrap().unwrap_err();
    let fates: Vec<_> = (0..4).map(|position| failed.fate_of(position).unwrap()).collect();
    assert_eq!(fates, [Fate::Written, Fate::Unknown, Fate::NotWritten, Fate::NotWritten]);
    assert!(
        matches!(failed.reason, FailureReason::TimedOut { limit, .. } if limit == Some(TERMS.delivery_timeout)),
        "{failed}"
    );
    assert_eq!(failed.record_count(), 4);
}

#[test]
fn a_flush_waits_for_exactly_the_batches_accepted_before_it() {
    let in_flight = InFlight::new(ROOMY, TERMS);
    let before = [accept(&in_flight, 1), accept(&in_flight, 2), accept(&in_flight, 1)];
    let mut flush = pin!(in_flight.flush());
    assert!(poll(flush.as_mut()).is_pending());
    let after = accept(&in_flight, 1);
    for accepted in before.iter().chain([&after]) {
        in_flight.finish_produce(accepted.first, batch(1), None, Observation::default());
    }
    deliver(&in_flight, [after.first, 2, 1]);
    assert!(poll(flush.as_mut()).is_pending());
    deliver(&in_flight, [0]);
    in_flight.withdraw(before[2].first);
    assert!(poll(flush.as_mut()).is_ready());
    assert!(poll(pin!(in_flight.flush())).is_ready(), "nothing is in flight");
}

#[test]
fn closing_rejects_waiting_and_later_batches() {
    let in_flight = InFlight::new(Permits { records: 1, bytes: 100 }, TERMS);
    let (to, permits) = (TopicPartition::new("topic", 0), Permits { records: 1, bytes: 1 });
    let _first = accept(&in_flight, 1);
    let mut waiting = pin!(in_flight.acquire(&to, permits));
    assert!(poll(waiting.as_mut()).is_pending());
    in_flight.close(CloseMode::Graceful);
    assert!(matches!(poll(waiting.as_mut()), Poll::Ready(Err(Closed))));
    assert!(matches!(poll(pin!(in_flight.acquire(&to, permits))), Poll::Ready(Err(Closed))));
}

#[test]
fn an_immediate_close_is_not_downgraded() {
    let in_flight = InFlight::new(ROOMY, TERMS);
    assert!(!in_flight.is_closed());
    for (mode, at_once) in [(CloseMode::Graceful, false), (CloseMode::Immediate, true), (CloseMode::Graceful, true)] {
        in_flight.close(mode);
        assert_eq!((in_flight.is_closed(), in_flight.is_closed_at_once()), (true, at_once));
    }
}

#[test]
fn a_purge_without_an_immediate_close_reports_the_fatal_error() {
    for at_once in [false, true] {
        let in_flight = InFlight::new(ROOMY, TERMS);
        let accepted = accept(&in_flight, 1);
        in_flight.finish_produce(accepted.first, batch(1), None, Observation::default());
        in_flight.close(if at_once { CloseMode::Immediate } else { CloseMode::Graceful });
        in_flight.failed(accepted.first, RDKafkaErrorCode::PurgeQueue, None, Fate::NotWritten);
        let error = answer(&accepted).unwrap().unwrap_err();
        match error.reason {
            FailureReason::Closed => assert!(at_once),
            FailureReason::Transport(reason) => {
                assert!(!at_once && reason.to_string().contains("create a new one"), "{reason}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_panicking_waker_does_not_prevent_other_wakeups() {
    let in_flight = InFlight::new(Permits { records: 1, bytes: 100 }, TERMS);
    let (to, permits) = (TopicPartition::new("topic", 0), Permits { records: 1, bytes: 1 });
    let panicking = Arc::new(Panicking::default());
    let waker = Waker::from(Arc::clone(&panicking));
    let mut context = Context::from_waker(&waker);
    let first = accept(&in_flight, 1);
    in_flight.finish_produce(first.first, batch(1), None, Observation::default());
    assert!(first.slot.poll_take(&context).is_pending());
    let mut flushes = [Box::pin(in_flight.flush()), Box::pin(in_flight.flush())];
    assert!(flushes.iter_mut().all(|flush| flush.as_mut().poll(&mut context).is_pending()));
    let mut waiting = [Box::pin(in_flight.acquire(&to, permits)), Box::pin(in_flight.acquire(&to, permits))];
    assert!(waiting.iter_mut().all(|admission| admission.as_mut().poll(&mut context).is_pending()));
    deliver(&in_flight, [first.first]);
    assert_eq!(panicking.0.load(Ordering::Relaxed), 4, "the batch, two flushes, and the first waiter");
    assert!(answer(&first).unwrap().is_ok());
    assert!(flushes.iter_mut().all(|flush| poll(flush.as_mut()).is_ready()));
    in_flight.close(CloseMode::Graceful);
    assert_eq!(
        panicking.0.load(Ordering::Relaxed),
        5,
        "the second waiter: the first was woken when it was granted room"
    );
}

#[test]
fn a_withdrawn_batch_and_a_dropped_wait_release_their_room() {
    let in_flight = InFlight::new(Permits { records: 2, bytes: 100 }, TERMS);
    let to = TopicPartition::new("topic", 0);
    let first = accept(&in_flight, 2);
    {
        let mut gives_up = pin!(in_flight.acquire(&to, Permits { records: 2, bytes: 2 }));
        assert!(poll(gives_up.as_mut()).is_pending());
    }
    in_flight.withdraw(first.first);
    let _next = accept(&in_flight, 2);
}

const TRANSACTIONAL: Terms = Terms { transactional: true, ..TERMS };

#[test]
fn the_first_failure_of_a_transaction_is_its_cause_and_a_purge_is_not() {
    let in_flight = InFlight::new(ROOMY, TRANSACTIONAL);
    let [purged, failed, later] = [accept(&in_flight, 1), accept(&in_flight, 1), accept(&in_flight, 1)];
    for accepted in [&purged, &failed, &later] {
        in_flight.finish_produce(accepted.first, batch(1), None, Observation::default());
    }
    in_flight.failed(purged.first, RDKafkaErrorCode::PurgeQueue, None, Fate::NotWritten);
    let error = answer(&purged).unwrap().unwrap_err();
    assert!(matches!(error.reason, FailureReason::TransactionAborted), "{error}");
    assert!(in_flight.transaction_failure().is_none(), "it follows from another failure, or from an abort");
    in_flight.failed(failed.first, RDKafkaErrorCode::MessageSizeTooLarge, Some(1), Fate::NotWritten);
    in_flight.failed(later.first, RDKafkaErrorCode::MessageTimedOut, None, Fate::Unknown);
    let cause = in_flight.transaction_failure().unwrap();
    assert!(matches!(&cause, TransactionCause::Batch { error: Some(error), .. } if error.code.0 == 10), "{cause}");
    in_flight.begin_transaction();
    assert!(in_flight.transaction_failure().is_none());
}

/// The records before the one that is refused may be written, so the transaction must not be committed.
#[test]
fn a_batch_of_which_some_records_are_refused_fails_the_transaction() {
    let in_flight = InFlight::new(ROOMY, TRANSACTIONAL);
    let accepted = accept(&in_flight, 2);
    let error = LibrdkafkaError::new(RDKafkaErrorCode::MessageSizeTooLarge, None);
    in_flight.finish_produce(accepted.first, batch(2), Some(Refusal { position: 1, error }), Observation::default());
    deliver(&in_flight, [accepted.first]);
    assert!(answer(&accepted).unwrap().is_err());
    assert!(in_flight.transaction_failure().is_some());
}

#[test]
fn a_batch_that_the_transaction_refuses_is_returned_as_not_written() {
    let in_flight = InFlight::new(ROOMY, TRANSACTIONAL);
    let accepted = accept(&in_flight, 2);
    in_flight.refuse(accepted.first, batch(2), Observation::default());
    let error = answer(&accepted).unwrap().unwrap_err();
    assert!(matches!(error.reason, FailureReason::TransactionAborted), "{error}");
    assert_eq!((error.fate(), *error.batch.unwrap()), (Some(Fate::NotWritten), batch(2)));
    assert!(in_flight.is_empty());
}
