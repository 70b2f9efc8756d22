//! The statistics of a producer, through the handle.

use kafka_batch_core::machine::{SendReason, Stats};

use super::*;
use crate::StatsError;

pub(super) fn stats(world: &mut World) -> Result<Stats, StatsError> {
    let producer = world.producer.clone();
    let mut future: Boxed<_> = Box::pin(async move { producer.stats().await });
    if let Poll::Ready(stats) = poll(&mut future) {
        return stats;
    }
    world.turn();
    match poll(&mut future) {
        Poll::Ready(stats) => stats,
        Poll::Pending => panic!("the driver has not answered"),
    }
}

#[test]
fn messages_are_counted_by_why_their_batch_was_sent() {
    let mut world = World::new(Duration::from_secs(3_600), 1 << 20, BatchOptions::default().max_records(2));
    for value in ["a", "b", "c"] {
        drop(world.accepted(Some(0), None, value));
    }
    let mut batch = world.send_batch(1, "d".to_owned());
    assert!(poll(&mut batch).is_ready());
    let before = stats(&mut world).unwrap();
    assert!(before.buffer.buffer_available_bytes < 1 << 20, "the open batch has memory, too");
    let producer = world.producer.clone();
    let mut flush: Boxed<_> = Box::pin(async move { producer.flush().await });
    assert!(poll(&mut flush).is_pending());
    world.settle();
    let stats = stats(&mut world).unwrap();
    let accepted = stats.total.accepted.by_reason().map(|(reason, each)| (reason, each.record_total));
    let expected = [
        (SendReason::Full, 2),
        (SendReason::Linger, 0),
        (SendReason::Flush, 1),
        (SendReason::Memory, 0),
        (SendReason::Explicit, 1),
    ];
    assert_eq!(accepted, expected);
    assert_eq!((stats.total.record_ack_total, stats.topics[0].topic.as_str()), (4, TOPIC));
    assert_eq!((stats.buffer.buffer_total_bytes, stats.buffer.buffer_available_bytes), (1 << 20, 1 << 20));
    assert_eq!((stats.buffer.waiting, stats.buffer.bufferpool_wait_time.count), (0, 0));
}

#[test]
fn calls_that_wait_for_memory_are_counted_also_if_they_are_dropped() {
    let mut world = World::new(Duration::from_secs(3_600), 300, BatchOptions::default());
    drop(world.accepted(Some(0), None, &"a".repeat(150)));
    let mut dropped = world.enqueue(Some(0), None, "b".repeat(150));
    let mut last = world.enqueue(Some(0), None, "c".repeat(100));
    assert!(poll(&mut dropped).is_pending() && poll(&mut last).is_pending());
    let waiting = stats(&mut world).unwrap().buffer;
    assert_eq!((waiting.waiting, waiting.bufferpool_wait_time.count), (2, 0));
    drop(dropped);
    world.settle();
    assert!(poll(&mut last).is_ready());
    let stats = stats(&mut world).unwrap();
    assert_eq!((stats.buffer.waiting, stats.buffer.bufferpool_wait_time.count), (0, 2));
    assert!(stats.buffer.bufferpool_wait_time.total >= stats.buffer.bufferpool_wait_time.max);
    assert_eq!(stats.total.accepted.memory.record_total, 1);
}

#[test]
fn the_last_statistics_remain_after_the_end() {
    for is_closed in [true, false] {
        let mut world = World::new(Duration::ZERO, 1 << 20, BatchOptions::default());
        drop(world.accepted(Some(0), None, "a"));
        let expected = if is_closed {
            let producer = world.producer.clone();
            let mut close: Boxed<_> = Box::pin(async move { producer.close().await });
            assert!(poll(&mut close).is_pending());
            world.settle();
            (1, 0)
        } else {
            world.driver = None; // as if the runtime was shut down
            (0, 1)
        };
        let total = stats(&mut world).unwrap().total;
        assert_eq!((total.record_ack_total, total.record_error_total), expected);
    }
}

#[test]
fn a_request_that_a_panicking_driver_leaves_behind_fails() {
    let mut world = World::new(Duration::ZERO, 1 << 20, BatchOptions::default());
    let producer = world.producer.clone();
    let mut future: Boxed<_> = Box::pin(async move { producer.stats().await });
    assert!(poll(&mut future).is_pending());
    let driver = world.driver.take();
    let panicked = std::thread::spawn(move || {
        let _driver = driver;
        std::panic::resume_unwind(Box::new("a bug")) // without the hook, which would print it
    });
    assert!(panicked.join().is_err());
    assert!(poll(&mut future).is_ready());
}
