//! `max.block.ms`, by a clock that tests set.

use std::cell::Cell;
use std::time::{Instant, SystemTime};

use kafka_batch_core::error::BlockedOn;
use kafka_batch_core::{KafkaBatch, Publish, PublishError, SendError};

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

/// A batch of 300 bytes.
fn batch(producer: &Producer) -> KafkaBatch {
    let mut batch = producer.batch();
    batch.extend([Record::new(&[b'x'; 300][..])]).unwrap();
    batch
}

type Accepts = Boxed<Result<(), SendErrorReason>>;

/// Each kind of call that waits for metadata and then for room.
fn calls(producer: &Producer) -> Vec<(&'static str, Accepts)> {
    let mut calls: Vec<(&'static str, Accepts)> = Vec::new();
    for to in [Some(0), None] {
        let handle = producer.clone();
        calls.push((
            "enqueue",
            Box::pin(async move {
                match handle.enqueue((TOPIC, to), Record::new(&[b'x'; 300][..])).await {
                    Ok(_) => Ok(()),
                    Err(EnqueueError { reason: EnqueueErrorReason::Send(reason), .. }) => Err(reason),
                    Err(other) => panic!("{other}"),
                }
            }),
        ));
        let (handle, batch) = (producer.clone(), batch(producer));
        let boxed = handle.clone().boxed();
        let publish = Publish::to(TOPIC).partition(to).batch(batch);
        let copy = publish.clone();
        let reason = |error| match error {
            PublishError::Send(SendError { reason, batch, .. }) => {
                assert_eq!(batch.record_count(), 1);
                reason
            }
            other => panic!("{other}"),
        };
        calls.push((
            "publish_batch",
            Box::pin(async move { handle.publish_batch(publish).await.map(drop).map_err(reason) }),
        ));
        calls.push((
            "publish_batch of a BoxTransport",
            Box::pin(async move { boxed.publish_batch(copy).await.map(drop).map_err(reason) }),
        ));
        let (handle, mut held) = (producer.clone(), Some(self::batch(producer).seal().unwrap()));
        let needed = crate::command_queue::permits(held.as_ref().unwrap());
        calls.push((
            "send_sealed",
            Box::pin(async move {
                crate::external::send_sealed(handle, TOPIC.into(), to, needed, || held.take()).await.map(drop)
            }),
        ));
    }
    let (handle, batch) = (producer.clone(), batch(producer));
    calls.push((
        "send_batch",
        Box::pin(async move {
            let sent = handle.send_batch(batch, TopicPartition::new(TOPIC, 0)).await;
            sent.map(drop).map_err(|error| {
                assert_eq!(error.batch.record_count(), 1);
                error.reason
            })
        }),
    ));
    calls
}

#[test]
fn the_time_is_that_of_both_waits_together() {
    for index in 0..calls(&world(None).producer).len() {
        let (mut world, _first) = full(Some(LIMIT));
        world.queue.topics.forget(TOPIC);
        let (name, call) = calls(&world.producer).swap_remove(index);
        let mut call = Call::new(call);
        assert!(call.poll().is_none(), "{name}: the topic is not known");
        pass(300);
        world.turn();
        assert!(call.is_woken(), "{name}: its metadata has arrived");
        call.woken.0.store(false, Ordering::SeqCst);
        assert!(call.poll().is_none(), "{name}: there is no room");
        pass(199);
        world.turn();
        assert!(!call.is_woken() && call.poll().is_none(), "{name}");
        pass(1);
        world.turn();
        assert!(call.is_woken(), "{name}");
        let reason = call.poll().expect(name).unwrap_err();
        assert!(is_blocked(&reason, BlockedOn::BufferMemory), "{name}: {reason}");
        world.settle();
        assert_eq!(world.log(0).len(), 1, "{name}: nothing of it was sent");
        assert!(world.queue.is_idle(), "{name}");
    }
}

/// The time passes while a call waits, so that the one that has none left is accepted if there is room.
#[test]
fn a_call_without_time_left_is_accepted_if_there_is_room() {
    let (mut world, _first) = full(Some(LIMIT));
    world.queue.topics.forget(TOPIC);
    let mut call = batch_of_300_bytes(&world);
    assert!(call.poll().is_none());
    pass(499);
    world.settle(); // the metadata arrives, and the batch in flight leaves
    pass(10_000);
    drop(call.poll().unwrap().unwrap());
    world.settle();
    assert_eq!(world.log(0).len(), 2);
    assert!(world.queue.is_idle());
}

#[test]
fn the_time_of_a_batch_of_a_channel_is_that_of_both_waits_together() {
    let (mut world, _first) = full(Some(LIMIT));
    world.queue.topics.forget(TOPIC);
    let producer = world.producer.clone();
    let mut sender = channel::Sender::new(&producer);
    for id in 0..2 {
        sender.push_value(&world, id, 0, &"x".repeat(300));
    }
    assert!(sender.poll(2).is_pending(), "the topic is not known");
    pass(300);
    world.turn();
    assert!(sender.poll(2).is_pending(), "there is no room");
    pass(199);
    let _ = sender.poll(2);
    assert!(sender.outcomes.is_empty());
    pass(1);
    let _ = sender.poll(2);
    assert!(is_blocked(sender.refusal(0), BlockedOn::BufferMemory));
    // The second one has waited for nothing before.
    let _ = sender.poll(2);
    pass(499);
    let _ = sender.poll(2);
    assert_eq!(sender.outcomes.len(), 1);
    pass(1);
    let _ = sender.poll(2);
    assert!(is_blocked(sender.refusal(1), BlockedOn::BufferMemory));
    world.settle();
    drop(sender);
    assert!(world.queue.is_idle());
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
