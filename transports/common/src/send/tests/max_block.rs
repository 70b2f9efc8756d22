//! `max.block.ms`, by a clock that tests set.

use std::cell::Cell;
use std::time::{Instant, SystemTime};

use kafka_batch_core::error::BlockedOn;

use super::*;
use crate::clock::RuntimeClock;

thread_local! {
    static START: Instant = Instant::now();
    static ELAPSED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

fn now() -> Instant {
    START.with(|start| *start) + ELAPSED.get()
}

fn pass(millis: u64) {
    ELAPSED.set(ELAPSED.get() + Duration::from_millis(millis));
}

const LIMIT: Duration = Duration::from_millis(500);

/// A world with room for one batch of 300 bytes.
fn world(limit: Option<Duration>) -> World {
    let clock = RuntimeClock::new(now, SystemTime::now);
    World::with_queue(Duration::ZERO, 500, BatchOptions::default(), |queue| queue.clock(clock).max_block(limit))
}

/// A call, and whether it was woken.
struct Call<T> {
    future: Boxed<T>,
    woken: Arc<Woken>,
}

impl<T> Call<T> {
    fn new(future: impl Future<Output = T> + 'static) -> Self {
        Self { future: Box::pin(future), woken: Arc::default() }
    }

    fn poll(&mut self) -> Option<T> {
        let waker = Waker::from(Arc::clone(&self.woken));
        match self.future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }
    }

    fn is_woken(&self) -> bool {
        self.woken.0.load(Ordering::SeqCst)
    }
}

fn batch_of_300_bytes(world: &World) -> Call<Result<Pending, SendErrorReason>> {
    let producer = world.producer.clone();
    Call::new(async move {
        let mut batch = producer.batch();
        batch.extend([Record::new(&[b'x'; 300][..])]).unwrap();
        producer.send_batch(batch, TopicPartition::new(TOPIC, 0)).await.map_err(|error| error.reason)
    })
}

fn is_blocked(reason: &SendErrorReason, expected: BlockedOn) -> bool {
    matches!(reason, SendErrorReason::Blocked { limit: LIMIT, on } if *on == expected)
}

/// Has one batch in flight, which leaves no room.
fn full(limit: Option<Duration>) -> (World, Pending) {
    let mut world = world(limit);
    let mut first = batch_of_300_bytes(&world);
    assert!(first.poll().is_none(), "the topic is not known");
    world.turn();
    let accepted = first.poll().unwrap().unwrap();
    world.turn();
    (world, accepted)
}

#[test]
fn a_batch_waits_for_room_for_so_long_and_the_driver_wakes_it() {
    let (mut world, mut first) = full(Some(LIMIT));
    let mut second = batch_of_300_bytes(&world);
    assert!(second.poll().is_none());
    pass(200);
    let mut third = batch_of_300_bytes(&world);
    assert!(third.poll().is_none());
    world.turn();
    let Some(Step::Wait(Some(deadline))) = world.driver.as_mut().map(Driver::next_step) else { panic!("no deadline") };
    assert_eq!(deadline, now() + Duration::from_millis(300), "that of the second batch");
    pass(299);
    world.turn();
    assert!(!second.is_woken() && second.poll().is_none());
    pass(1);
    world.turn();
    assert!(second.is_woken() && !third.is_woken());
    let reason = second.poll().unwrap().unwrap_err();
    assert!(is_blocked(&reason, BlockedOn::BufferMemory) && reason.is_retriable(), "{reason}");
    assert_eq!(reason.to_string(), "the call has waited for room in buffer.memory for max.block.ms (500)");
    world.settle();
    assert!(poll(&mut first).is_ready());
    assert!(third.is_woken(), "there is room");
    drop(third.poll().unwrap().unwrap());
    world.settle();
    assert_eq!(world.log(0).len(), 2, "of what was accepted, and only that");
    assert!(world.queue.is_idle());
}

#[test]
fn a_message_waits_for_room_for_so_long() {
    let (mut world, _first) = full(Some(LIMIT));
    let mut message = Call::new(world.enqueue(Some(0), None, "x".repeat(300)));
    assert!(message.poll().is_none());
    pass(500);
    world.turn();
    assert!(message.is_woken());
    let error = message.poll().unwrap().unwrap_err();
    let EnqueueErrorReason::Send(reason) = &error.reason else { panic!("{error}") };
    assert!(is_blocked(reason, BlockedOn::BufferMemory), "{error}");
    world.settle();
    assert!(world.queue.is_idle());
}

#[test]
fn a_topic_is_waited_for_for_so_long() {
    let mut world = world(Some(LIMIT));
    let mut message = Call::new(world.enqueue(Some(0), None, "x".to_owned()));
    assert!(message.poll().is_none());
    pass(500);
    // The driver takes the lookup, but no broker answers it.
    let driver = world.driver.as_mut().unwrap();
    let mut polled = driver.poll_commands(&Context::from_waker(Waker::noop()));
    while polled.is_ready() {
        polled = driver.poll_commands(&Context::from_waker(Waker::noop()));
    }
    assert!(message.is_woken());
    let error = message.poll().unwrap().unwrap_err();
    let EnqueueErrorReason::Send(reason) = &error.reason else { panic!("{error}") };
    assert!(is_blocked(reason, BlockedOn::Metadata), "{error}");
    world.turn();
    let mut again = Call::new(world.enqueue(Some(0), None, "x".to_owned()));
    assert!(again.poll().unwrap().is_ok(), "the lookup went on");
    world.settle();
    assert_eq!(world.log(0), ["x"]);
}

#[test]
fn each_batch_of_a_channel_has_its_time() {
    let (mut world, _first) = full(Some(LIMIT));
    let producer = world.producer.clone();
    let mut sender = channel::Sender::new(&producer);
    for id in 0..3 {
        sender.push_value(&world, id, 0, &"x".repeat(300));
    }
    for id in 0..2 {
        assert!(sender.poll(3).is_pending());
        world.turn();
        pass(499);
        assert!(sender.poll(3).is_pending());
        pass(1);
        assert_eq!(sender.outcomes.len(), id);
        let _ = sender.poll(3);
        assert!(is_blocked(sender.refusal(id as u64), BlockedOn::BufferMemory));
    }
    assert_eq!(sender.unsent(), [2]);
    world.settle();
    assert!(sender.poll(3).is_ready());
    world.settle();
    let _ = sender.poll(3);
    assert!(sender.offset(2).is_some());
    drop(sender);
    assert!(world.queue.is_idle());
}

#[test]
fn zero_does_not_wait_and_without_a_limit_calls_wait() {
    let mut none = world(Some(Duration::ZERO));
    let mut message = Call::new(none.enqueue(Some(0), None, "x".to_owned()));
    assert!(message.poll().unwrap().is_err(), "the topic is not known");
    none.turn();
    let mut message = Call::new(none.enqueue(Some(0), None, "x".to_owned()));
    assert!(message.poll().unwrap().is_ok());
    let (mut world, _first) = full(None);
    let mut second = batch_of_300_bytes(&world);
    assert!(second.poll().is_none());
    pass(20_000);
    world.turn();
    assert!(second.poll().is_none());
}
