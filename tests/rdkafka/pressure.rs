//! Back-pressure as counted by librdkafka: by records too.

use std::pin::pin;
use std::time::{Duration, Instant};

use crate::cluster::{Cluster, t0};
use crate::futures::{block_on, poll_once};
use crate::log::{batch, counted};

#[test]
fn a_full_queue_makes_the_next_batch_wait_without_an_error() {
    let cluster = Cluster::held();
    let producer = cluster.builder().set("queue.buffering.max.messages", "10").build().unwrap();
    let first = block_on(producer.send_batch(batch(counted(6)), t0())).unwrap();
    let fits = block_on(producer.send_batch(batch(counted(4)), t0())).unwrap();
    let mut waits = pin!(producer.send_batch(batch(["waited"]), t0()));
    assert!(poll_once(waits.as_mut()).is_pending());
    cluster.release();
    block_on(first).unwrap();
    let waited = block_on(waits).unwrap();
    assert_eq!(block_on(fits).unwrap().base_offset(), Some(6));
    assert_eq!(block_on(waited).unwrap().base_offset(), Some(10));
}

#[test]
fn a_batch_larger_than_the_queue_is_sent_alone() {
    let cluster = Cluster::new();
    let producer = cluster.builder().set("queue.buffering.max.messages", "10").build().unwrap();
    let values = counted(2_000);
    for round in 0..3 {
        let delivery = block_on(block_on(producer.send_batch(batch(&values), t0())).unwrap()).unwrap();
        assert_eq!(delivery.offset(1_999), Some(2_000 * round + 1_999));
    }
    assert_eq!(cluster.log().len(), 6_000);
}

#[test]
fn a_flush_ends_with_the_last_response_and_not_at_intervals() {
    /// `rdkafka`'s `flush` polls at such intervals, and each call takes at least one of them.
    const STEP: Duration = Duration::from_millis(100);
    const FLUSHES: u32 = 20;
    let cluster = Cluster::new();
    let producer = cluster.builder().set("linger.ms", "0").build().unwrap();
    block_on(block_on(producer.send_batch(batch(["connected"]), t0())).unwrap()).unwrap();
    let started = Instant::now();
    for value in counted(FLUSHES as usize) {
        drop(block_on(producer.send_batch(batch([value]), t0())).unwrap());
        block_on(producer.flush()).unwrap();
    }
    assert!(started.elapsed() < FLUSHES * STEP, "{FLUSHES} flushes took {:?}", started.elapsed());
    assert_eq!(cluster.log().len(), 1 + FLUSHES as usize);
}
