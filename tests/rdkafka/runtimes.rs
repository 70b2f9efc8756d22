//! The same under every runtime, and without one.

use std::pin::pin;
use std::sync::{Arc, mpsc};
use std::task::{Context, Wake, Waker};
use std::thread;

use kafka_batch::transports::rdkafka::Pending;
use kafka_batch::{Capabilities, Publish, RdkafkaProducer, TransactionGuarantee};
use kafka_batch_witnesses::async_std;

use crate::cluster::{Cluster, t0};
use crate::futures::block_on;
use crate::log::{batch, counted};

/// Sends, publishes, flushes and closes, with a buffer so small that sending has to wait.
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
    cluster.builder().set("queue.buffering.max.messages", "10").build().unwrap()
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
fn deliveries_can_be_awaited_elsewhere() {
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

/// A runtime that panics when it is to run a task, as some do after their shutdown.
struct Panicking;

impl Wake for Panicking {
    fn wake(self: Arc<Self>) {
        std::panic::resume_unwind(Box::new("this is the panic that is wanted")); // and that the test's output omits
    }
}

#[test]
fn a_task_that_cannot_be_woken_does_not_delay_others() {
    let cluster = Cluster::held();
    let producer = cluster.producer();
    let waker = Waker::from(Arc::new(Panicking));
    let mut first = block_on(producer.send_batch(batch(["a"]), t0())).unwrap();
    assert!(pin!(&mut first).poll(&mut Context::from_waker(&waker)).is_pending());
    let second = block_on(producer.send_batch(batch(["b"]), t0())).unwrap();
    cluster.release();
    assert_eq!(block_on(second).unwrap().base_offset(), Some(1));
    assert_eq!(block_on(first).unwrap().base_offset(), Some(0), "ready when polled by another task");
}

#[test]
fn the_capabilities_of_this_transport() {
    let cluster = Cluster::new();
    assert_eq!(
        cluster.producer().capabilities(),
        Capabilities::new(false).with_transactions(TransactionGuarantee::LateRequestsAccepted)
    );
}
