//! The tests control the arrival of messages and the time.

use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::{format, vec};
use core::cell::RefCell;
use core::pin::pin;
use core::sync::atomic::{AtomicU64, Ordering};
use core::task::Waker;

use super::*;
use crate::batch::BatchOptions;
use crate::record::Record;

/// A clock that only the test advances, in milliseconds.
#[derive(Clone, Default)]
struct Time(Arc<AtomicU64>);

impl Time {
    fn millis(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn pass(&self, millis: u64) {
        self.0.fetch_add(millis, Ordering::Relaxed);
    }

    fn sleep(&self, time: Duration) -> impl Future<Output = u64> + Send + use<> {
        let (clock, until) = (self.clone(), self.millis() + time.as_millis() as u64);
        poll_fn(move |_| if clock.millis() >= until { Poll::Ready(until) } else { Poll::Pending })
    }
}

/// A source whose messages the test sends.
#[derive(Clone, Default)]
struct Source(Rc<RefCell<(VecDeque<String>, bool)>>);

impl Source {
    fn send(&self, messages: &[&str]) {
        self.0.borrow_mut().0.extend(messages.iter().map(ToString::to_string));
    }

    fn end(&self) {
        self.0.borrow_mut().1 = true;
    }

    fn waiting(&self) -> usize {
        self.0.borrow().0.len()
    }

    fn poll(&self) -> Poll<Option<String>> {
        let mut state = self.0.borrow_mut();
        match state.0.pop_front() {
            None if !state.1 => Poll::Pending,
            message => Poll::Ready(message),
        }
    }
}

fn first() -> KafkaBatch {
    BatchOptions::default().batch_size(200).max_message_bytes(300).max_records(3).build(0).unwrap()
}

fn stream(source: &Source, time: &Time) -> BatchStream<'static, impl Stream<Item = String> + use<>> {
    let (source, clock, timer) = (source.clone(), time.clone(), time.clone());
    BatchStream::from_poll_fn(move |_| source.poll(), first(), move || clock.millis() as i64)
        .linger(Duration::from_millis(10), move |time| timer.sleep(time))
}

/// Polls [`BatchStream::next`] once, and drops its future.
fn poll<S: Stream<Item: Message>>(batches: &mut BatchStream<'_, S>) -> Poll<Option<BatchResult<S::Item>>> {
    pin!(batches.next()).poll(&mut Context::from_waker(Waker::noop()))
}

#[track_caller]
fn rolled<S: Stream<Item: Message + fmt::Debug>>(batches: &mut BatchStream<'_, S>) -> RolledBatch<S::Item> {
    match poll(batches) {
        Poll::Ready(Some(Ok(rolled))) => rolled,
        other => panic!("{other:?}"),
    }
}

fn values(batch: &KafkaBatch) -> Vec<&str> {
    batch.records().map(|record| core::str::from_utf8(record.value.unwrap()).unwrap()).collect()
}

#[test]
fn a_full_batch_is_returned_with_its_messages() {
    let (source, time) = (Source::default(), Time::default());
    let mut batches = stream(&source, &time);
    source.send(&["a", "b"]);
    assert!(poll(&mut batches).is_pending());
    assert_eq!(values(batches.current()), ["a", "b"]);
    source.send(&["c", "d", "e", "f", "g", "h"]);
    for (number, expected) in [["a", "b", "c"], ["d", "e", "f"]].into_iter().enumerate() {
        let rolled = rolled(&mut batches);
        assert_eq!(
            (rolled.number, values(&rolled.batch)),
            (number as u64, rolled.messages.iter().map(String::as_str).collect())
        );
        assert_eq!(rolled.messages, expected);
    }
    assert!(poll(&mut batches).is_pending());
}

#[test]
fn messages_are_taken_from_the_source_only_when_polled() {
    let (source, time) = (Source::default(), Time::default());
    source.send(&["a"; 10]);
    rolled(&mut stream(&source, &time));
    assert_eq!(source.waiting(), 6, "three are in the batch, and the fourth is in the next one");
}

#[test]
fn a_batch_is_returned_when_linger_has_passed_since_its_first_message() {
    let (source, time) = (Source::default(), Time::default());
    let mut batches = stream(&source, &time);
    time.pass(100);
    assert!(poll(&mut batches).is_pending(), "an empty batch has no timer");
    source.send(&["a"]);
    assert!(poll(&mut batches).is_pending());
    time.pass(9);
    source.send(&["b"]);
    assert!(poll(&mut batches).is_pending());
    time.pass(1);
    let first = rolled(&mut batches);
    assert_eq!((first.number, first.messages), (0, vec!["a".to_string(), "b".to_string()]));
    assert!(first.batch.records().map(|record| record.timestamp.millis()).eq([100, 109]));
    time.pass(100);
    assert!(poll(&mut batches).is_pending());
    source.send(&["c"]);
    assert!(poll(&mut batches).is_pending(), "the linger time begins again");
    time.pass(10);
    assert_eq!(rolled(&mut batches).number, 1);
}

#[test]
fn linger_of_a_batch_begins_with_the_message_that_overflowed_the_previous_one() {
    let (source, time) = (Source::default(), Time::default());
    let mut batches = stream(&source, &time);
    source.send(&["a"]);
    assert!(poll(&mut batches).is_pending());
    time.pass(9);
    source.send(&["b", "c", "d"]);
    assert_eq!(rolled(&mut batches).messages, ["a", "b", "c"]);
    time.pass(9);
    assert!(poll(&mut batches).is_pending());
    time.pass(1);
    assert_eq!(rolled(&mut batches).messages, ["d"]);
}

#[test]
fn without_linger_a_batch_waits_until_it_is_full_or_taken() {
    let (source, time) = (Source::default(), Time::default());
    let messages = source.clone();
    let mut batches = BatchStream::from_poll_fn(move |_| messages.poll(), first(), || 0);
    assert_eq!(batches.take(), None);
    source.send(&["a"]);
    time.pass(1_000_000);
    assert!(poll(&mut batches).is_pending());
    let taken = batches.take().unwrap();
    assert_eq!((taken.number, taken.messages), (0, vec!["a".to_string()]));
    assert_eq!(batches.take(), None);
    source.send(&["b"]);
    source.end();
    assert_eq!(rolled(&mut batches).number, 1);
}

#[test]
fn the_last_batch_is_returned_at_the_end_and_nothing_after_it() {
    let (source, time) = (Source::default(), Time::default());
    let mut batches = stream(&source, &time);
    source.send(&["a"]);
    source.end();
    assert_eq!(rolled(&mut batches).messages, ["a"]);
    source.send(&["too late"]);
    for _ in 0..2 {
        assert!(matches!(poll(&mut batches), Poll::Ready(None)));
    }
    assert_eq!(source.waiting(), 1, "a stream that has ended is not polled");
}

#[test]
fn a_message_that_no_batch_can_hold_is_returned_and_the_others_are_not_affected() {
    let (source, time) = (Source::default(), Time::default());
    let mut batches = stream(&source, &time);
    let large = "x".repeat(400);
    source.send(&["a", &large, "b", &large, "c"]);
    source.end();
    for _ in 0..2 {
        let Poll::Ready(Some(Err(rejected))) = poll(&mut batches) else { panic!("the batch is not full") };
        assert!(matches!(rejected.error, AppendError::TooLarge { limit: 300, .. }), "{rejected}");
        assert_eq!(rejected.message, large);
    }
    let rolled = rolled(&mut batches);
    assert_eq!((rolled.number, values(&rolled.batch)), (0, vec!["a", "b", "c"]));
    assert_eq!(rolled.messages, ["a", "b", "c"]);
}

#[test]
fn every_message_is_returned_once_and_at_its_position_for_any_sizes() {
    let sizes = (0..500_usize).map(|n| n * n * 31 % 350);
    let messages: Vec<String> = sizes.enumerate().map(|(n, size)| format!("{n} {}", "x".repeat(size))).collect();
    let mut left = messages.clone().into_iter();
    let mut batches = BatchStream::from_poll_fn(move |_| Poll::Ready(left.next()), first(), || 0);
    let (mut out, mut refused, mut numbers) = (Vec::new(), Vec::new(), 0);
    while let Poll::Ready(Some(result)) = poll(&mut batches) {
        match result {
            Ok(rolled) => {
                assert_eq!(rolled.number, numbers);
                numbers += 1;
                assert_eq!(values(&rolled.batch), rolled.messages);
                out.extend(rolled.messages);
            }
            Err(rejected) => refused.push(rejected.message),
        }
    }
    let fits = |message: &String| first().messages(&Defaults::default()).append(message).is_ok();
    let (fit, unfit): (Vec<_>, Vec<_>) = messages.into_iter().partition(fits);
    assert!(numbers > 100 && unfit.len() > 10);
    assert!((out, refused) == (fit, unfit));
}

#[test]
fn a_first_batch_that_has_records_is_returned_as_it_is() {
    let mut begun = first();
    begun.extend([Record::new("before")]).unwrap();
    let mut messages = ["a"].into_iter();
    let mut batches = BatchStream::from_poll_fn(move |_| Poll::Ready(messages.next()), begun.clone(), || 0);
    assert_eq!(rolled(&mut batches), RolledBatch { number: 0, batch: begun, messages: vec![] });
    assert_eq!(rolled(&mut batches).messages, ["a"]);
}

#[test]
fn defaults_apply_to_messages_that_do_not_set_their_own() {
    let mut messages = ["a"].into_iter();
    let mut batches = BatchStream::from_poll_fn(move |_| Poll::Ready(messages.next()), first(), || 7)
        .defaults(Defaults::default().key("k").correlation_id("42"));
    let batch = rolled(&mut batches).batch;
    let record = batch.records().next().unwrap();
    let names: Vec<_> = record.headers.iter().map(|header| header.name).collect();
    assert_eq!((record.key, record.timestamp.millis()), (Some(&b"k"[..]), 7));
    assert_eq!(names, ["content-type", "correlation_id"]);
}
