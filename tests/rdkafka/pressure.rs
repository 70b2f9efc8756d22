//! Back-pressure, flushing, closing, and futures that are dropped.

use std::pin::pin;
use std::task::Poll;

use kafka_batch::{SendErrorReason, Transport};

use crate::cluster::{Cluster, batch, counted, t0};
use crate::futures::{block_on, poll_once};

#[test]
fn a_full_queue_makes_the_next_batch_wait_and_is_no_error() {
    let cluster = Cluster::held();
    let producer = cluster.builder().set("queue.buffering.max.messages", "10").create().unwrap();
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
fn bytes_count_as_records_do() {
    let cluster = Cluster::held();
    let producer = cluster.builder().set("queue.buffering.max.kbytes", "1").create().unwrap();
    let first = block_on(producer.send_batch(batch([[0; 900]]), t0())).unwrap();
    let mut waits = pin!(producer.send_batch(batch([[0; 900]]), t0()));
    assert!(poll_once(waits.as_mut()).is_pending());
    cluster.release();
    block_on(first).unwrap();
    block_on(block_on(waits).unwrap()).unwrap();
}

#[test]
fn a_batch_larger_than_the_queue_goes_alone() {
    let cluster = Cluster::new();
    let producer = cluster.builder().set("queue.buffering.max.messages", "10").create().unwrap();
    let values = counted(2_000);
    for round in 0..3 {
        let delivery = block_on(block_on(producer.send_batch(batch(&values), t0())).unwrap()).unwrap();
        assert_eq!(delivery.offset(1_999), Some(2_000 * round + 1_999));
    }
    assert_eq!(cluster.log().len(), 6_000);
}

#[test]
fn an_answer_that_nobody_waits_for_changes_nothing() {
    let cluster = Cluster::new();
    let producer = cluster.producer();
    for value in counted(20) {
        drop(block_on(producer.send_batch(batch([value]), t0())).unwrap());
    }
    block_on(producer.flush()).unwrap();
    assert_eq!(cluster.values(), counted(20));
}

#[test]
fn a_send_that_is_dropped_while_it_waits_has_sent_nothing() {
    let cluster = Cluster::held();
    let producer = cluster.builder().set("queue.buffering.max.messages", "1").create().unwrap();
    let first = block_on(producer.send_batch(batch(["first"]), t0())).unwrap();
    let mut behind = pin!(producer.send_batch(batch(["behind"]), t0()));
    {
        let mut dropped = pin!(producer.send_batch(batch(["dropped"]), t0()));
        assert!(poll_once(dropped.as_mut()).is_pending());
        assert!(poll_once(behind.as_mut()).is_pending());
    }
    cluster.release();
    block_on(first).unwrap();
    block_on(block_on(behind).unwrap()).unwrap();
    assert_eq!(cluster.values(), ["first", "behind"]);
}

#[test]
fn a_flush_waits_for_all_that_was_accepted_before_it() {
    let cluster = Cluster::held();
    let producer = cluster.producer();
    block_on(producer.flush()).unwrap(); // nothing to wait for
    let mut pending: Vec<_> =
        (0..5).map(|_| block_on(producer.send_batch(batch(counted(100)), t0())).unwrap()).collect();
    {
        let mut flush = pin!(producer.flush());
        assert!(poll_once(flush.as_mut()).is_pending());
        cluster.release();
        block_on(flush).unwrap();
    }
    for pending in &mut pending {
        assert!(matches!(poll_once(pin!(pending)), Poll::Ready(Ok(_))));
    }
}

#[test]
fn closing_flushes_and_refuses_what_comes_later_over_any_handle() {
    let cluster = Cluster::held();
    let producer = cluster.builder().set("queue.buffering.max.messages", "10").create().unwrap();
    let other = producer.clone();
    let mut pending = block_on(producer.send_batch(batch(counted(10)), t0())).unwrap();
    let mut waits = pin!(other.send_batch(batch(["waits"]), t0()));
    assert!(poll_once(waits.as_mut()).is_pending());
    {
        let mut close = pin!(producer.close());
        assert!(poll_once(close.as_mut()).is_pending());
        cluster.release();
        block_on(close).unwrap();
    }
    assert!(matches!(poll_once(pin!(&mut pending)), Poll::Ready(Ok(_))));
    for sent in [block_on(waits), block_on(other.send_batch(batch(["waits"]), t0()))] {
        let refused = sent.unwrap_err();
        assert!(matches!(refused.reason, SendErrorReason::Closed), "{refused}");
        assert_eq!(*refused.batch, batch(["waits"]));
    }
    block_on(other.close()).unwrap(); // twice is as good as once
    assert_eq!(cluster.log().len(), 10);
}

#[test]
fn what_was_accepted_goes_its_way_when_the_last_handle_is_gone() {
    let cluster = Cluster::held();
    let producer = cluster.producer();
    let pending = block_on(producer.send_batch(batch(["a", "b"]), t0())).unwrap();
    drop(producer);
    cluster.release();
    assert_eq!(block_on(pending).unwrap().base_offset(), Some(0));
    assert_eq!(cluster.values(), ["a", "b"]);
}
