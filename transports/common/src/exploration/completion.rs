//! The outcome of a batch reaches the future of each of its records.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use kafka_batch_core::batch::StampedBatch;
use kafka_batch_core::{Delivery, Fate, KafkaBatch, Record, TopicPartition};
use shuttle::thread;

use super::task::{block_on, poll_at_most, poll_with_panicking_waker};
use super::{any_of, explore, explore_all};
use crate::completion::{Completer, PendingRecord};

fn to() -> TopicPartition {
    TopicPartition::new("t", 0)
}

/// A batch, and the futures of its records.
fn batch<const RECORDS: usize>() -> (Completer, [PendingRecord; RECORDS], StampedBatch) {
    let mut batch = KafkaBatch::new(0);
    let completer = Completer::new(to());
    let pending = [(); RECORDS].map(|()| {
        let appended = batch.append(Record::new("x")).unwrap().appended().unwrap();
        completer.pending(appended.offset as usize, appended.timestamp).unwrap()
    });
    (completer, pending, batch.seal().unwrap().without_producer_id())
}

fn complete(completer: Completer, stamped: StampedBatch) -> thread::JoinHandle<()> {
    thread::spawn(move || completer.complete(Ok(Delivery::new(to(), 40, stamped))))
}

/// Waits for the offset of a record, or for its fate.
fn outcome(pending: PendingRecord) -> Result<Option<i64>, Fate> {
    block_on(pending).map(|delivery| delivery.offset).map_err(|error| error.fate)
}

#[test]
fn each_record_gets_its_outcome() {
    explore_all(|| {
        let (completer, [first], stamped) = batch();
        let completing = complete(completer, stamped);
        assert_eq!(outcome(first), Ok(Some(40)));
        completing.join().unwrap();
    });
    explore(3_000, || {
        let (completer, pending, stamped) = batch::<3>();
        let completing = complete(completer, stamped);
        let threads = pending.map(|pending| thread::spawn(|| outcome(pending)));
        completing.join().unwrap();
        assert_eq!(threads.map(|thread| thread.join().unwrap()), [40, 41, 42].map(|offset| Ok(Some(offset))));
    });
}

#[test]
fn a_dropped_completer_fails_each_record() {
    explore(2_000, || {
        let (mut completer, pending, _) = batch::<2>();
        let threads = pending.map(|pending| thread::spawn(|| outcome(pending)));
        let dropping = thread::spawn(|| {
            completer.set_taken();
            drop(completer);
        });
        assert_eq!(threads.map(|thread| thread.join().unwrap()), [Err(Fate::Unknown); 2]);
        dropping.join().unwrap();
    });
}

#[test]
fn futures_are_dropped_or_moved_after_any_poll() {
    explore(4_000, || {
        let (completer, [mut moved, dropped, last], stamped) = batch();
        let completing = complete(completer, stamped);
        let dropping = thread::spawn(move || drop(poll_at_most(any_of(3), dropped)));
        let moving = thread::spawn(move || match poll_at_most(1, &mut moved) {
            Some(delivery) => delivery.unwrap().offset,
            None => thread::spawn(|| outcome(moved)).join().unwrap().unwrap(),
        });
        assert_eq!(outcome(last), Ok(Some(42)));
        assert_eq!(moving.join().unwrap(), Some(40));
        dropping.join().unwrap();
        completing.join().unwrap();
    });
}

#[test]
fn the_waker_of_a_dropped_future_is_dropped() {
    explore_all(|| {
        let (completer, [mut pending], stamped) = batch();
        let completing = complete(completer, stamped);
        let task = Arc::new(NoTask);
        let waker = Waker::from(Arc::clone(&task));
        drop(pin!(&mut pending).poll(&mut Context::from_waker(&waker)));
        drop((pending, waker));
        completing.join().unwrap();
        assert_eq!(Arc::strong_count(&task), 1);
    });
}

/// A task that need not be woken.
struct NoTask;

impl Wake for NoTask {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn a_panic_of_a_waker_stops_no_other() {
    explore(2_000, || {
        let (completer, [mut panics, other, _], stamped) = batch();
        assert!(poll_with_panicking_waker(&mut panics).is_pending());
        let waiting = thread::spawn(|| outcome(other));
        complete(completer, stamped).join().unwrap();
        assert_eq!(waiting.join().unwrap(), Ok(Some(41)));
        assert_eq!(outcome(panics), Ok(Some(40)));
    });
}
