//! Observers of batches, and headers that are added to messages.

use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;

use kafka_batch_core::observer::{BatchToSeal, Observer};
use kafka_batch_core::{Delivery, DeliveryError, Header};

use super::*;

/// Keeps the calls, as text.
#[derive(Default)]
struct Calls(Mutex<Vec<String>>);

impl Calls {
    fn push(&self, call: String) {
        self.0.lock().unwrap().push(call);
    }

    fn take(&self) -> Vec<String> {
        mem::take(&mut self.0.lock().unwrap())
    }
}

struct Recorder {
    name: &'static str,
    calls: Arc<Calls>,
}

/// Records that it was dropped without an outcome.
struct Kept {
    calls: Arc<Calls>,
    has_outcome: bool,
}

impl Drop for Kept {
    fn drop(&mut self) {
        if !self.has_outcome {
            self.calls.push("dropped".into());
            panic!("a destructor, as this test wants");
        }
    }
}

impl Observer for Recorder {
    type Batch = Kept;

    fn before_seal(&self, batch: &BatchToSeal<'_>) -> Kept {
        let BatchToSeal { topic, partition, batch, client_id, .. } = batch;
        let records = batch.record_count();
        self.calls.push(format!("{}: {records} to {topic}-{partition} of {client_id}", self.name));
        Kept { calls: Arc::clone(&self.calls), has_outcome: false }
    }

    fn on_acknowledgement(&self, mut batch: Kept, delivery: &Delivery) {
        batch.has_outcome = true;
        self.calls.push(format!("{}: offset {:?}", self.name, delivery.base_offset()));
    }

    fn on_failure(&self, mut batch: Kept, error: &DeliveryError) {
        batch.has_outcome = true;
        self.calls.push(format!("{}: {:?}", self.name, error.fate()));
    }
}

fn observed(buffer: usize, names: &[&'static str]) -> (World, Arc<Calls>) {
    let calls = Arc::new(Calls::default());
    let mut observers = Observers::default().client_id("me");
    for name in names {
        observers.push(Recorder { name, calls: Arc::clone(&calls) });
    }
    let options = BatchOptions::default();
    (World::with_hooks(Duration::ZERO, buffer, options, observers, HeaderInjector::default()), calls)
}

#[test]
fn batches_and_gathered_messages_are_observed_by_each_in_order() {
    let (mut world, calls) = observed(1 << 20, &["a", "b"]);
    let _pending = ["x", "y"].map(|value| world.accepted(Some(1), None, value));
    world.settle();
    let expected = ["a: 2 to t-1 of me", "b: 2 to t-1 of me", "a: offset Some(0)", "b: offset Some(0)"];
    assert_eq!(calls.take(), expected);
    let mut sending = world.send_batch(1, "z".into());
    let Poll::Ready(Some(_pending)) = poll(&mut sending) else { panic!("the topic is known") };
    assert_eq!(calls.take(), ["a: 1 to t-1 of me", "b: 1 to t-1 of me"], "on the task that sends");
    world.settle();
    assert_eq!(calls.take(), ["a: offset Some(2)", "b: offset Some(2)"]);
}

/// Whatever the batch has reached when the driver stops: the queue, or the machine.
#[test]
fn batches_fail_in_the_eyes_of_the_observer_when_the_driver_stops() {
    for turns in [false, true] {
        let (mut world, calls) = observed(1 << 20, &["a"]);
        let _first = world.accepted(Some(0), None, "x");
        world.settle();
        calls.take();
        let mut sending = world.send_batch(0, "y".into());
        let Poll::Ready(Some(_pending)) = poll(&mut sending) else { panic!("the topic is known") };
        if turns {
            world.turn();
        }
        world.driver = None;
        let fate = if turns { "Unknown" } else { "NotWritten" };
        assert_eq!(calls.take(), ["a: 1 to t-0 of me".to_owned(), format!("a: Some({fate})")]);
    }
}

#[test]
fn a_batch_that_waits_for_memory_and_is_dropped_has_no_outcome_and_its_destructor_may_panic() {
    let (mut world, calls) = observed(400, &["a"]);
    let _first = world.accepted(Some(0), None, &"x".repeat(200));
    world.turn();
    calls.take();
    let mut waiting = world.send_batch(0, "y".repeat(200));
    assert!(poll(&mut waiting).is_pending(), "there is no room");
    assert_eq!(calls.take(), ["a: 1 to t-0 of me"]);
    drop(waiting);
    assert_eq!(calls.take(), ["dropped"]);
    world.settle();
    assert_eq!(calls.take(), ["a: offset Some(0)"]);
}

#[test]
fn a_batch_that_waits_for_memory_in_a_channel_and_is_dropped_with_it_has_no_outcome() {
    let (mut world, calls) = observed(400, &["a"]);
    let _first = world.accepted(Some(0), None, &"x".repeat(200));
    world.turn();
    calls.take();
    let producer = world.producer.clone();
    let mut sender = channel::Sender::new(&producer);
    sender.push_value(&world, 0, 0, &"y".repeat(200));
    assert!(sender.poll(1).is_pending(), "there is no room");
    assert_eq!(calls.take(), ["a: 1 to t-0 of me"]);
    drop(sender);
    assert_eq!(calls.take(), ["dropped"]);
    world.settle();
    assert_eq!(calls.take(), ["a: offset Some(0)"]);
}

#[test]
fn headers_are_added_once_also_if_a_message_has_to_wait() {
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    let injector = HeaderInjector::new(move |topic, headers| {
        assert_eq!(topic, TOPIC);
        let number = counter.fetch_add(1, Ordering::SeqCst);
        headers.push(Header::new("number", &number.to_string())).unwrap();
        assert!(number < 3, "the last one panics, as this test wants");
    });
    let (linger, options) = (Duration::ZERO, BatchOptions::default());
    let mut world = World::with_hooks(linger, 400, options, Observers::default(), injector);
    let _first = world.accepted(Some(0), None, &"x".repeat(200)); // waits for its topic
    assert_eq!(count.load(Ordering::SeqCst), 1);
    let mut second = world.enqueue(Some(0), None, "y".repeat(200)); // waits for memory
    assert!(poll(&mut second).is_pending());
    world.settle();
    assert!(poll(&mut second).is_ready());
    assert_eq!(count.load(Ordering::SeqCst), 2);
    world.settle();
    for number in 2..4 {
        let _accepted = world.accepted(Some(0), None, "z");
        world.settle();
        assert_eq!(count.load(Ordering::SeqCst), number + 1);
    }
    assert_eq!(world.log(0).len(), 4);
    assert_eq!(
        world.broker.headers,
        ["number=0", "number=1", "number=2"],
        "without those of a function that has panicked"
    );
}
