//! Back-pressure, flushing, closing, dropped futures, and a hundred tasks at once.

use std::pin::pin;
use std::task::Poll;

use kafka_batch::{FailureReason, Fate, Publish, SendErrorReason, Transport};

use crate::cluster::Cluster;
use crate::futures::poll_once;
use crate::log::{batch, counted};
use crate::subject::{Subject, Wanted};

over_each_transport_and_to_kafka! {
    a_dropped_handle_changes_nothing
    a_hundred_tasks_share_a_producer
    a_flush_and_a_close_in_the_middle
    what_was_dropped_before_it_was_accepted_is_in_no_log
}

over_each_transport! {
    a_full_buffer_makes_the_next_batch_wait_without_an_error
    a_send_that_is_dropped_while_it_waits_sends_nothing
    a_flush_waits_for_all_batches_accepted_before_it
    closing_flushes_and_rejects_later_batches_of_every_handle
    closing_continues_if_its_future_is_dropped
    an_immediate_close_returns_what_was_not_sent
    accepted_batches_are_delivered_after_the_last_handle_is_dropped
}

/// Room for one batch of [`large`] size, but not for two.
fn narrow(cluster: &Cluster) -> Wanted {
    Wanted { buffer: 2_048, ..cluster.wanted() }
}

fn large(letter: &str) -> String {
    letter.repeat(1_500)
}

async fn a_full_buffer_makes_the_next_batch_wait_without_an_error<S: Subject>() {
    let cluster = Cluster::held();
    let producer = S::create(narrow(&cluster));
    let first = producer.send_batch(batch([large("a")]), cluster.partition(0)).await.unwrap();
    let mut waits = pin!(producer.send_batch(batch([large("b")]), cluster.partition(0)));
    let mut after = pin!(producer.send_batch(batch(["c"]), cluster.partition(0)));
    assert!(poll_once(waits.as_mut()).is_pending());
    assert!(poll_once(after.as_mut()).is_pending(), "it would fit, but an earlier one waits");
    cluster.release();
    assert_eq!(first.await.unwrap().base_offset(), Some(0));
    let waited = waits.await.unwrap();
    let after = after.await.unwrap();
    assert_eq!((waited.await.unwrap().base_offset(), after.await.unwrap().base_offset()), (Some(1), Some(2)));
}

async fn a_send_that_is_dropped_while_it_waits_sends_nothing<S: Subject>() {
    let cluster = Cluster::held();
    let producer = S::create(narrow(&cluster));
    let first = producer.send_batch(batch([large("a")]), cluster.partition(0)).await.unwrap();
    let mut after = Box::pin(producer.send_batch(batch([large("c")]), cluster.partition(0)));
    {
        let mut dropped = pin!(producer.send_batch(batch([large("b")]), cluster.partition(0)));
        assert!(poll_once(dropped.as_mut()).is_pending());
        assert!(poll_once(after.as_mut()).is_pending());
    }
    cluster.release();
    first.await.unwrap();
    after.await.unwrap().await.unwrap();
    assert_eq!(cluster.values(), [large("a"), large("c")]);
}

async fn a_dropped_handle_changes_nothing<S: Subject>(cluster: Cluster) {
    let producer = cluster.producer::<S>();
    for value in counted(20) {
        drop(producer.send_batch(batch([value]), cluster.partition(0)).await.unwrap());
    }
    producer.flush().await.unwrap();
    assert_eq!(cluster.values(), counted(20));
}

async fn a_flush_waits_for_all_batches_accepted_before_it<S: Subject>() {
    let cluster = Cluster::held();
    let producer = cluster.producer::<S>();
    producer.flush().await.unwrap(); // nothing to wait for
    let mut pending = Vec::new();
    for _ in 0..5 {
        pending.push(producer.send_batch(batch(counted(100)), cluster.partition(0)).await.unwrap());
    }
    let mut flush = Box::pin(producer.flush());
    assert!(poll_once(flush.as_mut()).is_pending());
    cluster.release();
    flush.await.unwrap();
    for pending in &mut pending {
        assert!(matches!(poll_once(pin!(pending)), Poll::Ready(Ok(_))));
    }
}

async fn closing_flushes_and_rejects_later_batches_of_every_handle<S: Subject>() {
    let cluster = Cluster::held();
    let producer = S::create(narrow(&cluster));
    let other = producer.clone();
    let mut pending = producer.send_batch(batch([large("a")]), cluster.partition(0)).await.unwrap();
    let mut waits = Box::pin(other.send_batch(batch([large("b")]), cluster.partition(0)));
    assert!(poll_once(waits.as_mut()).is_pending());
    let mut close = Box::pin(producer.close());
    assert!(poll_once(close.as_mut()).is_pending());
    cluster.release();
    close.await.unwrap();
    assert!(matches!(poll_once(pin!(&mut pending)), Poll::Ready(Ok(_))));
    for sent in [waits.await, other.send_batch(batch([large("b")]), cluster.partition(0)).await] {
        let refused = sent.unwrap_err();
        assert!(matches!(refused.reason, SendErrorReason::Closed), "{refused}");
        assert_eq!(*refused.batch, batch([large("b")]));
    }
    other.close().await.unwrap(); // a second close has no effect
    other.flush().await.unwrap();
    assert_eq!(cluster.values(), [large("a")]);
}

async fn closing_continues_if_its_future_is_dropped<S: Subject>() {
    let cluster = Cluster::held();
    let producer = cluster.producer::<S>();
    let pending = producer.send_batch(batch(["a"]), cluster.partition(0)).await.unwrap();
    {
        let mut close = pin!(producer.close());
        assert!(poll_once(close.as_mut()).is_pending());
    }
    let refused = producer.send_batch(batch(["b"]), cluster.partition(0)).await.unwrap_err();
    assert!(matches!(refused.reason, SendErrorReason::Closed), "{refused}");
    cluster.release();
    pending.await.unwrap();
    assert_eq!(cluster.values(), ["a"]);
}

async fn an_immediate_close_returns_what_was_not_sent<S: Subject>() {
    let cluster = Cluster::held();
    let producer = cluster.producer::<S>();
    let pending = producer.send_batch(batch(["a"]), cluster.partition(0)).await.unwrap();
    producer.close_at_once().await.unwrap();
    let error = pending.await.unwrap_err();
    assert!(matches!(error.reason, FailureReason::Closed), "{error}");
    assert_eq!((error.fate(), *error.batch.unwrap()), (Some(Fate::NotWritten), batch(["a"])));
    cluster.release();
    assert_eq!(cluster.log(), []);
}

async fn accepted_batches_are_delivered_after_the_last_handle_is_dropped<S: Subject>() {
    let cluster = Cluster::held();
    let producer = cluster.producer::<S>();
    let pending = producer.send_batch(batch(["a", "b"]), cluster.partition(0)).await.unwrap();
    drop(producer);
    cluster.release();
    assert_eq!(pending.await.unwrap().base_offset(), Some(0));
    assert_eq!(cluster.values(), ["a", "b"]);
}

/// Nothing is awaited before, so batches are in every state between the handle and the log.
async fn a_flush_and_a_close_in_the_middle<S: Subject>(cluster: Cluster) {
    let producer = cluster.producer::<S>();
    let values = counted(600);
    let mut on_their_way = Vec::new();
    for (half, values) in values.chunks(300).enumerate() {
        for values in values.chunks(3) {
            on_their_way.push(producer.send_batch(batch(values), cluster.partition(0)).await.unwrap());
        }
        if half == 0 { producer.flush().await } else { producer.close().await }.unwrap();
        for pending in on_their_way.drain(..) {
            let mut pending = pin!(pending);
            assert!(matches!(poll_once(pending.as_mut()), Poll::Ready(Ok(_))));
        }
    }
    let refused = producer.send_batch(batch(["late"]), cluster.partition(0)).await.unwrap_err();
    assert!(matches!(refused.reason, SendErrorReason::Closed), "{refused}");
    assert_eq!(cluster.values(), values);
}

async fn what_was_dropped_before_it_was_accepted_is_in_no_log<S: Subject>(cluster: Cluster) {
    let producer = S::create(narrow(&cluster));
    let (mut accepted, mut dropped) = (Vec::new(), 0);
    for number in 0..200 {
        let value = format!("{number:0>1500}");
        let mut send = Box::pin(producer.send_batch(batch([&value]), cluster.partition(0)));
        let pending = match poll_once(send.as_mut()) {
            Poll::Ready(pending) => pending.unwrap(),
            Poll::Pending if number % 10 == 0 => send.await.unwrap(), // otherwise no time might pass at all
            Poll::Pending => {
                dropped += 1;
                continue;
            }
        };
        accepted.push(value);
        drop(pending);
    }
    producer.flush().await.unwrap();
    assert!(accepted.len() >= 20 && dropped > 0);
    assert!(cluster.values() == accepted, "{dropped} were dropped, and {} accepted", accepted.len());
}

async fn a_hundred_tasks_share_a_producer<S: Subject>(cluster: Cluster) {
    let producer = S::create(narrow(&cluster)); // so that they wait for each other
    let tasks: Vec<_> = (0..100)
        .map(|task| {
            let (producer, topic) = (producer.clone(), cluster.topic().to_owned());
            S::spawn(async move {
                for number in 0..5 {
                    let values = [0, 1, 2].map(|position| format!("{task}/{number}/{position}"));
                    let publish: Publish<'_> = Publish::to(&topic).partition(0).batch(batch(&values));
                    let delivery = producer.publish_batch(publish).await.unwrap();
                    assert_eq!(delivery.record_count(), 3);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await;
    }
    let values = cluster.values();
    assert_eq!(values.len(), 1_500);
    let mut last = vec![-1; 100];
    for batch in values.chunks(3) {
        let (sender, _) = batch[0].rsplit_once('/').unwrap();
        assert_eq!(batch, [0, 1, 2].map(|position| format!("{sender}/{position}")), "batches are interleaved");
        let (task, number) = sender.split_once('/').unwrap();
        let (task, number): (usize, i32) = (task.parse().unwrap(), number.parse().unwrap());
        assert_eq!(number, last[task] + 1, "a task's batches are out of order");
        last[task] = number;
    }
}
