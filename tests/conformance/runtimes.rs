//! What concerns only the transports with their own task: a runtime that ends earlier, or that is missing.

use kafka_batch::compression::Codec;
use kafka_batch::protocol::ErrorCode;
use kafka_batch::transports::tokio::ConfigError;
use kafka_batch::{
    BatchOptions, Capabilities, Compression, FailureReason, Fate, Magic, MagicChoice, SendErrorReason, TokioProducer,
    TransactionGuarantee, Transport,
};

use crate::cluster::Cluster;
use crate::futures::block_on;
use crate::log::{batch, counted};
use crate::setup::Answer;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn is_stopped(reason: &FailureReason) -> bool {
    matches!(reason, FailureReason::Stopped)
}

/// What was not sent is not written, what was sent may be, and later calls fail; no future waits for ever.
#[test]
fn a_runtime_that_is_shut_down_leaves_no_future_pending() {
    let cluster = Cluster::held();
    let runtime = runtime();
    let (producer, pending) = runtime.block_on(async {
        let producer = TokioProducer::builder().set("bootstrap.servers", cluster.wanted().servers).build().unwrap();
        let pending = producer.send_batch(batch(["a"]), cluster.partition(0)).await.unwrap();
        (producer, pending)
    });
    let untaken = block_on(producer.send_batch(batch(["b"]), cluster.partition(0))).unwrap();
    let mut flush = Box::pin(producer.flush());
    assert!(crate::futures::poll_once(flush.as_mut()).is_pending());
    drop(runtime);
    for (pending, value) in [(pending, "a"), (untaken, "b")] {
        let error = block_on(pending).unwrap_err();
        assert!(is_stopped(&error.reason), "{error}");
        assert_eq!((error.fate(), *error.batch.unwrap()), (Some(Fate::NotWritten), batch([value])));
    }
    assert_eq!(block_on(flush).unwrap_err().outstanding, 2);
    let error = block_on(producer.send_batch(batch(["c"]), cluster.partition(0))).unwrap_err();
    assert!(matches!(error.reason, SendErrorReason::Stopped), "{error}");
    assert_eq!(*error.batch, batch(["c"]));
    let error = block_on(producer.partition_count("another")).unwrap_err();
    assert!(matches!(error, SendErrorReason::Stopped), "{error}");
    block_on(producer.flush()).unwrap(); // nothing is in flight any more
    block_on(producer.close()).unwrap();
    cluster.release();
    assert_eq!(cluster.log(), []);
}

#[test]
fn what_was_sent_when_the_runtime_was_shut_down_is_unknown() {
    let cluster = Cluster::new();
    let runtime = runtime();
    let (_producer, pending) = runtime.block_on(async {
        let producer = TokioProducer::builder().set("bootstrap.servers", cluster.wanted().servers).build().unwrap();
        producer.send_batch(batch(["a"]), cluster.partition(0)).await.unwrap().await.unwrap();
        cluster.hold_responses();
        let pending = producer.send_batch(batch(["b"]), cluster.partition(0)).await.unwrap();
        tokio::task::yield_now().await; // the producer's task runs
        (producer, pending)
    });
    drop(runtime);
    let error = block_on(pending).unwrap_err();
    assert!(is_stopped(&error.reason), "{error}");
    assert_eq!(error.fate(), Some(Fate::Unknown));
}

#[test]
fn a_dropped_task_is_like_a_runtime_that_is_shut_down() {
    let cluster = Cluster::held();
    let builder = TokioProducer::builder().set("bootstrap.servers", cluster.wanted().servers);
    let (producer, work) = builder.build_with_task().unwrap();
    let mut counted = Box::pin(producer.partition_count(cluster.topic()));
    assert!(crate::futures::poll_once(counted.as_mut()).is_pending());
    drop(work);
    let error = block_on(counted).unwrap_err();
    assert!(matches!(error, SendErrorReason::Stopped), "{error}");
}

#[test]
fn without_a_runtime_tokio_s_producer_reports_it() {
    let builder = TokioProducer::builder().set("bootstrap.servers", "localhost:9092");
    assert!(matches!(builder.build(), Err(ConfigError::NoRuntime { .. })));
}

/// Before a broker is known, a batch is filled as magic 2; after that in the brokers' format, unless a format was
/// pinned, and without a codec that they do not support.
#[test]
fn a_producer_creates_batches_in_the_format_of_its_brokers() {
    let cluster = Cluster::of_magic_1();
    runtime().block_on(async {
        let builder = TokioProducer::builder().set("bootstrap.servers", cluster.wanted().servers);
        // A codec that these brokers do not support, if it is compiled in.
        let newest = Compression::with_default_level(Codec::Zstd).unwrap_or(Compression::None);
        let newest = BatchOptions::default().compression(newest);
        let [v1, v0] = [Magic::V1, Magic::V0].map(|magic| BatchOptions::default().magic(MagicChoice::Pinned(magic)));
        for (options, after) in [(BatchOptions::default(), &v1), (newest, &v1), (v0.clone(), &v0)] {
            let producer = builder.clone().batch_options(options.clone()).build().unwrap();
            assert_eq!(producer.batch().options(), &options);
            producer.partition_count(cluster.topic()).await.unwrap();
            assert_eq!(producer.batch().options(), after);
        }
    });
}

#[test]
fn a_batch_that_the_broker_finds_too_large_is_split_if_configured() {
    let cluster = Cluster::new();
    cluster.answer_produce(&[Answer::Error(ErrorCode::MESSAGE_TOO_LARGE)]);
    let delivery = runtime().block_on(async {
        let builder = TokioProducer::builder().set("bootstrap.servers", cluster.wanted().servers);
        let producer = builder.split_too_large(true).build().unwrap();
        producer.send_batch(batch(counted(9)), cluster.partition(0)).await.unwrap().await.unwrap()
    });
    assert!(delivery.records().map(|record| record.offset.unwrap()).eq(0..9));
    assert_eq!(delivery.into_batch(), batch(counted(9)));
    assert_eq!(cluster.values(), counted(9));
}

#[test]
fn the_capabilities_of_these_transports() {
    let builder = TokioProducer::builder().set("bootstrap.servers", "localhost:9092");
    let (producer, _work) = builder.clone().build_with_task().unwrap();
    let capabilities =
        |one_batch| Capabilities::new(one_batch).with_transactions(TransactionGuarantee::LateRequestsRefused);
    assert_eq!(producer.capabilities(), capabilities(true));
    let (producer, _work) = builder.split_too_large(true).build_with_task().unwrap();
    assert_eq!(producer.capabilities(), capabilities(false));
}
