//! The transports over smol, and over an executor that is a thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kafka_batch::{FailureReason, Fate, SmolProducer, Transport};
use kafka_batch_witnesses::smol;

use crate::cluster::Cluster;
use crate::futures::block_on;
use crate::log::batch;

/// That would be a bug of this crate, or of the executor, but no future waits for ever.
#[test]
fn a_task_that_panics_leaves_no_future_pending() {
    let cluster = Cluster::held();
    let builder = SmolProducer::builder().set("bootstrap.servers", cluster.wanted().servers);
    let (producer, work) = builder.build_with_task().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let thread = std::thread::spawn(move || {
        let mut work = work;
        block_on(std::future::poll_fn(|context| {
            assert!(!stopped.load(Ordering::SeqCst), "this panic is intended");
            work.as_mut().poll(context)
        }));
    });
    let pending = block_on(producer.send_batch(batch(["a"]), cluster.partition(0))).unwrap();
    stop.store(true, Ordering::SeqCst);
    drop(block_on(producer.partition_count("wakes the task"))); // which gets the error that it has stopped
    assert!(thread.join().is_err());
    let error = block_on(pending).unwrap_err();
    assert!(matches!(error.reason, FailureReason::Stopped), "{error}");
    assert_eq!((error.fate(), *error.batch.unwrap()), (Some(Fate::NotWritten), batch(["a"])));
}

#[test]
fn under_smol() {
    let cluster = Cluster::new();
    let delivery = smol::block_on(async {
        let producer = SmolProducer::builder().set("bootstrap.servers", cluster.wanted().servers).build().unwrap();
        let delivery = producer.send_batch(batch(["a", "b"]), cluster.partition(0)).await.unwrap().await.unwrap();
        producer.close().await.unwrap();
        delivery
    });
    assert_eq!(delivery.base_offset(), Some(0));
    assert_eq!(cluster.values(), ["a", "b"]);
}

/// The handles need no runtime, and the task any executor: here, a thread.
#[test]
fn under_no_runtime() {
    let cluster = Cluster::new();
    let builder = SmolProducer::builder().set("bootstrap.servers", cluster.wanted().servers);
    let (producer, work) = builder.build_with_task().unwrap();
    let thread = std::thread::spawn(|| block_on(work));
    let pending = block_on(producer.send_batch(batch(["a"]), cluster.partition(0))).unwrap();
    assert_eq!(block_on(pending).unwrap().base_offset(), Some(0));
    drop(producer);
    thread.join().unwrap(); // it ends with the last handle
}
