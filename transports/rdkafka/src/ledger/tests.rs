//! The books, with reports in every order, and without librdkafka.

use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake};

use super::*;
use kafka_batch_core::{FailureReason, Record};

const ROOMY: Load = Load { records: 1_000, bytes: 1_000_000 };

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
        std::panic::resume_unwind(Box::new("this is the panic that is wanted")); // and that the test's output leaves out
    }
}

#[track_caller]
fn accept(ledger: &Ledger, records: usize) -> Accepted {
    let to = TopicPartition::new("topic", 0);
    match poll(pin!(ledger.admit(&to, Load { records, bytes: records }))) {
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

fn deliver(ledger: &Ledger, tickets: impl IntoIterator<Item = usize>) {
    tickets.into_iter().for_each(|ticket| ledger.delivered(ticket, 100 + ticket as i64, || -1));
}

#[test]
fn offsets_come_by_position_whatever_the_order_of_the_reports() {
    let ledger = Ledger::new(ROOMY, true);
    let [one, two] = [accept(&ledger, 3), accept(&ledger, 2)];
    ledger.handed_over(one.first, batch(3), None);
    ledger.handed_over(two.first, batch(2), None);
    deliver(&ledger, [4, 1, 0]);
    assert!(answer(&one).is_none() && answer(&two).is_none());
    deliver(&ledger, [3, 2]);
    let offsets = |accepted| {
        let delivery = answer(accepted).unwrap().unwrap();
        delivery.records().map(|record| record.offset.unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(offsets(&one), [100, 101, 102]);
    assert_eq!(offsets(&two), [103, 104]);
    assert!(ledger.is_empty());
}

#[test]
fn a_batch_that_is_answered_while_it_is_still_handed_over_waits_for_its_end() {
    let ledger = Ledger::new(ROOMY, true);
    let accepted = accept(&ledger, 2);
    deliver(&ledger, [0, 1]);
    assert!(answer(&accepted).is_none());
    ledger.handed_over(accepted.first, batch(2), None);
    assert!(answer(&accepted).unwrap().is_ok());
}

#[test]
fn records_behind_a_refused_one_are_not_waited_for() {
    let ledger = Ledger::new(ROOMY, true);
    let accepted = accept(&ledger, 4);
    let error = crate::LibrdkafkaError::new(RDKafkaErrorCode::MessageSizeTooLarge, None);
    ledger.handed_over(accepted.first, batch(4), Some(Refusal { position: 2, error }));
    deliver(&ledger, [0]);
    ledger.failed(1, RDKafkaErrorCode::MessageTimedOut, None, Fate::Unknown);
    let failed = answer(&accepted).unwrap().unwrap_err();
    let fates: Vec<_> = (0..4).map(|position| failed.fate_of(position).unwrap()).collect();
    assert_eq!(fates, [Fate::Written, Fate::Unknown, Fate::NotWritten, Fate::NotWritten]);
    assert!(matches!(failed.reason, FailureReason::TimedOut { .. }));
    assert_eq!(failed.record_count(), 4);
}

#[test]
fn a_flush_waits_for_what_was_accepted_before_it_and_for_nothing_else() {
    let ledger = Ledger::new(ROOMY, true);
    let before = [accept(&ledger, 1), accept(&ledger, 2), accept(&ledger, 1)];
    let mut flush = pin!(ledger.flush());
    assert!(poll(flush.as_mut()).is_pending());
    let after = accept(&ledger, 1);
    for accepted in before.iter().chain([&after]) {
        ledger.handed_over(accepted.first, batch(1), None);
    }
    deliver(&ledger, [after.first, 2, 1]);
    assert!(poll(flush.as_mut()).is_pending());
    deliver(&ledger, [0]);
    ledger.withdraw(before[2].first);
    assert!(poll(flush.as_mut()).is_ready());
    assert!(poll(pin!(ledger.flush())).is_ready(), "nothing is on its way");
}

#[test]
fn closing_turns_away_whoever_waits_and_whoever_comes() {
    let ledger = Ledger::new(Load { records: 1, bytes: 100 }, true);
    let (to, load) = (TopicPartition::new("topic", 0), Load { records: 1, bytes: 1 });
    let _first = accept(&ledger, 1);
    let mut waiting = pin!(ledger.admit(&to, load));
    assert!(poll(waiting.as_mut()).is_pending());
    ledger.close(CloseMode::Flushing);
    assert!(matches!(poll(waiting.as_mut()), Poll::Ready(Err(Closed))));
    assert!(matches!(poll(pin!(ledger.admit(&to, load))), Poll::Ready(Err(Closed))));
}

#[test]
fn what_was_closed_at_once_stays_so() {
    let ledger = Ledger::new(ROOMY, true);
    assert!(!ledger.is_closed());
    for (mode, at_once) in [(CloseMode::Flushing, false), (CloseMode::AtOnce, true), (CloseMode::Flushing, true)] {
        ledger.close(mode);
        assert_eq!((ledger.is_closed(), ledger.is_closed_at_once()), (true, at_once));
    }
}

#[test]
fn what_librdkafka_purged_by_itself_failed_for_its_fatal_error() {
    for at_once in [false, true] {
        let ledger = Ledger::new(ROOMY, true);
        let accepted = accept(&ledger, 1);
        ledger.handed_over(accepted.first, batch(1), None);
        ledger.close(if at_once { CloseMode::AtOnce } else { CloseMode::Flushing });
        ledger.failed(accepted.first, RDKafkaErrorCode::PurgeQueue, None, Fate::NotWritten);
        let error = answer(&accepted).unwrap().unwrap_err();
        match error.reason {
            FailureReason::Closed => assert!(at_once),
            FailureReason::Transport(reason) => {
                assert!(!at_once && reason.to_string().contains("make a new one"), "{reason}");
            }
            other => panic!("{other:?}"),
        }
    }
}

/// The thread for reports is everyone's.
#[test]
fn a_waker_that_panics_keeps_nobody_else_from_being_woken() {
    let ledger = Ledger::new(Load { records: 1, bytes: 100 }, true);
    let (to, load) = (TopicPartition::new("topic", 0), Load { records: 1, bytes: 1 });
    let panicking = Arc::new(Panicking::default());
    let waker = Waker::from(Arc::clone(&panicking));
    let mut context = Context::from_waker(&waker);
    let first = accept(&ledger, 1);
    ledger.handed_over(first.first, batch(1), None);
    assert!(first.slot.poll_take(&context).is_pending());
    let mut flushes = [Box::pin(ledger.flush()), Box::pin(ledger.flush())];
    assert!(flushes.iter_mut().all(|flush| flush.as_mut().poll(&mut context).is_pending()));
    let mut waiting = [Box::pin(ledger.admit(&to, load)), Box::pin(ledger.admit(&to, load))];
    assert!(waiting.iter_mut().all(|admission| admission.as_mut().poll(&mut context).is_pending()));
    deliver(&ledger, [first.first]);
    assert_eq!(panicking.0.load(Ordering::Relaxed), 4, "the batch, two flushes, and the first of the queue");
    assert!(answer(&first).unwrap().is_ok());
    assert!(flushes.iter_mut().all(|flush| poll(flush.as_mut()).is_ready()));
    ledger.close(CloseMode::Flushing);
    assert_eq!(
        panicking.0.load(Ordering::Relaxed),
        5,
        "the other of the queue: the first was woken when it got its room"
    );
}

#[test]
fn a_withdrawn_batch_and_a_dropped_wait_leave_their_room_to_others() {
    let ledger = Ledger::new(Load { records: 2, bytes: 100 }, true);
    let to = TopicPartition::new("topic", 0);
    let first = accept(&ledger, 2);
    {
        let mut gives_up = pin!(ledger.admit(&to, Load { records: 2, bytes: 2 }));
        assert!(poll(gives_up.as_mut()).is_pending());
    }
    ledger.withdraw(first.first);
    let _next = accept(&ledger, 2);
}
