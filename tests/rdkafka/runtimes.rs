//! The same under every runtime, and under none.

use std::sync::mpsc;
use std::thread;

use kafka_batch::rdkafka::{Pending, RdkafkaProducer};
use kafka_batch::{Capabilities, Publish, Transport};

use crate::cluster::{Cluster, batch, counted, t0};
use crate::futures::block_on;

/// Sends, publishes, flushes and closes, with a window so small that sending has to wait.
async fn walk_through(producer: RdkafkaProducer) -> usize {
    let values = counted(7);
    let mut pending = Vec::new();
    for _ in 0..20 {
        pending.push(producer.send_batch(batch(&values), t0()).await.unwrap());
    }
    producer.flush().await.unwrap();
    let mut delivered = 0;
    for pending in pending {
        delivered += pending.await.unwrap().record_count();
    }
    delivered += producer.publish_batch(Publish::to("t").messages(&values)).await.unwrap().record_count();
    producer.close().await.unwrap();
    delivered
}

fn producer(cluster: &Cluster) -> RdkafkaProducer {
    cluster.builder().set("queue.buffering.max.messages", "10").create().unwrap()
}

#[tokio::test]
async fn under_tokio_on_one_thread() {
    let cluster = Cluster::new();
    assert_eq!(walk_through(producer(&cluster)).await, 147);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_tokio_on_several() {
    let cluster = Cluster::new();
    assert_eq!(tokio::spawn(walk_through(producer(&cluster))).await.unwrap(), 147);
}

#[test]
fn under_async_std() {
    let cluster = Cluster::new();
    let walk = async_std::task::spawn(walk_through(producer(&cluster)));
    assert_eq!(async_std::task::block_on(walk), 147);
}

#[test]
fn under_no_runtime() {
    let cluster = Cluster::new();
    assert_eq!(block_on(walk_through(producer(&cluster))), 147);
}

#[test]
fn what_is_on_its_way_can_be_awaited_elsewhere() {
    let cluster = Cluster::new();
    let producer = cluster.producer();
    let (sender, receiver) = mpsc::channel::<Pending>();
    let elsewhere = thread::spawn(move || {
        receiver.into_iter().map(|pending| block_on(pending).unwrap().base_offset().unwrap()).collect::<Vec<_>>()
    });
    for _ in 0..10 {
        sender.send(block_on(producer.send_batch(batch(["a", "b"]), t0())).unwrap()).unwrap();
    }
    drop(sender);
    assert_eq!(elsewhere.join().unwrap(), [0, 2, 4, 6, 8, 10, 12, 14, 16, 18]);
}

#[test]
fn many_threads_can_send_over_one_producer() {
    let cluster = Cluster::new();
    let producer = producer(&cluster);
    thread::scope(|scope| {
        for thread in 0..4 {
            let producer = &producer;
            scope.spawn(move || {
                for number in 0..10 {
                    let values = [0, 1, 2].map(|position| format!("{thread}/{number}/{position}"));
                    block_on(block_on(producer.send_batch(batch(values), t0())).unwrap()).unwrap();
                }
            });
        }
    });
    let values = cluster.values();
    for batch in values.chunks(3) {
        let (sender, _) = batch[0].rsplit_once('/').unwrap();
        assert_eq!(batch, [0, 1, 2].map(|position| format!("{sender}/{position}")), "no two batches mingle");
    }
    assert_eq!(values.len(), 120);
}

#[test]
fn a_program_can_ask_what_this_transport_promises() {
    let cluster = Cluster::new();
    assert_eq!(cluster.producer().capabilities(), Capabilities::new(false));
}
