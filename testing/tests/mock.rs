//! The transport without brokers: each response, what it keeps, and its assertions.

use std::future::Future;
use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use kafka_batch_core::error::BatchLost;
use kafka_batch_core::protocol::ErrorCode;
use kafka_batch_core::{
    BatchOptions, DeliveryError, FailureReason, Fate, KafkaBatch, Publish, PublishError, Record, SendErrorReason,
    TopicPartition, Transport,
};
use kafka_batch_testing::{Failure, MockTransport, Response};
use kafka_batch_tokio::TokioProducer;

fn poll<T>(future: impl Future<Output = T>) -> Poll<T> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

fn to(partition: i32) -> TopicPartition {
    TopicPartition::new("orders", partition)
}

fn batch(transport: &impl Transport, values: &[&str]) -> KafkaBatch {
    let mut batch = transport.batch();
    batch.extend(values.iter().map(Record::new)).unwrap();
    batch
}

fn three_partitions() -> MockTransport {
    MockTransport::builder().topic("orders", NonZeroU32::new(3).unwrap()).build()
}

#[tokio::test]
async fn batches_are_delivered_with_consecutive_offsets_and_are_kept() {
    let mock = MockTransport::builder().now(7).topic("orders", NonZeroU32::new(3).unwrap()).build();
    for (partition, values, offset) in [(1, ["a", "b"], 0), (2, ["c", "d"], 0), (1, ["e", "f"], 2)] {
        let sent = mock.send_batch(batch(&mock, &values), to(partition)).await.unwrap();
        assert_eq!(sent.await.unwrap().base_offset(), Some(offset));
    }
    mock.assert_sent("orders", 1, &["a", "b", "e", "f"]);
    mock.assert_log("orders", 1, &["a", "b", "e", "f"]);
    mock.assert_sent("orders", 0, &[""; 0]);
    let records = mock.log("orders", 1);
    assert_eq!(records.iter().map(|record| record.offset).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert!(records.iter().all(|record| record.timestamp_ms == 7));
    let history: Vec<_> = mock.history().iter().map(|sent| (sent.to.partition, sent.batch.record_count())).collect();
    assert_eq!(history, [(1, 2), (2, 2), (1, 2)]);
    mock.assert_finished();
    mock.clear();
    assert!(mock.history().is_empty() && mock.log("orders", 2).len() == 2);
}

#[tokio::test]
async fn keys_and_headers_are_readable() {
    let mock = MockTransport::new();
    let mut batch = mock.batch();
    let headers = [kafka_batch_core::Header::new("source", "shop"), kafka_batch_core::Header::null("none")];
    batch.extend([Record::new("v").key("k").headers(&headers)]).unwrap();
    drop(mock.send_batch(batch, to(0)).await.unwrap());
    let [record] = &mock.sent("orders", 0)[..] else { panic!("one record was sent") };
    assert_eq!((record.key.as_deref(), record.value.as_deref()), (Some(&b"k"[..]), Some(&b"v"[..])));
    assert_eq!(record.headers, [("source".to_owned(), Some("shop".into())), ("none".to_owned(), None)]);
}

async fn failed(mock: &MockTransport, failure: Failure) -> DeliveryError {
    mock.respond(failure);
    mock.send_batch(batch(mock, &["a", "b"]), to(0)).await.unwrap().await.unwrap_err()
}

#[tokio::test]
async fn each_failure_has_its_reason_and_fate_and_the_log_agrees() {
    let mock = MockTransport::new();
    let cases = [
        (Failure::not_written(ErrorCode::TOPIC_AUTHORIZATION_FAILED), Fate::NotWritten, false),
        (Failure::too_large(), Fate::NotWritten, false),
        (Failure::lost_response(), Fate::Unknown, true),
        (Failure::lost_request(), Fate::Unknown, false),
        (Failure::new(FailureReason::Closed, Fate::Written), Fate::Written, true),
    ];
    let codes = [Some(ErrorCode::TOPIC_AUTHORIZATION_FAILED), Some(ErrorCode::MESSAGE_TOO_LARGE), None, None, None];
    for ((failure, fate, is_written), code) in cases.into_iter().zip(codes) {
        let before = mock.log("orders", 0).len();
        let error = failed(&mock, failure).await;
        assert_eq!((error.fate(), error.reason.code()), (Some(fate), code));
        assert_eq!(error.batch.unwrap().record_count(), 2, "it is returned");
        assert_eq!(mock.log("orders", 0).len() - before, if is_written { 2 } else { 0 }, "{fate}");
    }
    let error = failed(&mock, Failure::record_errors([(1, "no key")])).await;
    let rejected: Vec<_> = error.record_errors.iter().map(|error| (error.position, error.message.as_deref())).collect();
    assert_eq!(rejected, [(1, Some("no key"))]);
    assert_eq!(error.reason.code(), Some(ErrorCode::INVALID_RECORD));
    assert_eq!(error.remainder().unwrap().record_count(), 1);
    mock.assert_finished();
}

#[tokio::test]
async fn a_refused_batch_is_not_sent() {
    let mock = three_partitions();
    mock.respond(SendErrorReason::ExceedsBufferMemory { size: 2, limit: 1 });
    let error = mock.send_batch(batch(&mock, &["a"]), to(0)).await.unwrap_err();
    assert!(matches!(error.reason, SendErrorReason::ExceedsBufferMemory { .. }));
    assert_eq!(error.batch.record_count(), 1);

    // What every transport refuses.
    let error = mock.send_batch(batch(&mock, &["a"]), to(3)).await.unwrap_err();
    assert!(matches!(error.reason, SendErrorReason::UnknownPartition { partitions: 3, .. }));
    let error = mock.send_batch(mock.batch(), to(0)).await.unwrap_err();
    assert!(matches!(error.reason, SendErrorReason::Seal(_)), "it is empty");
    assert!(matches!(mock.partition_count("none").await, Err(SendErrorReason::UnknownTopic { .. })));
    let keyed = BatchOptions::default().route_by_key(NonZeroU32::new(3).unwrap());
    let mut keyed = keyed.build(0).unwrap();
    keyed.extend([Record::new("v").key("k")]).unwrap();
    let other = (keyed.routed_partition().unwrap() + 1) % 3;
    let error = mock.send_batch(keyed, to(other)).await.unwrap_err();
    assert!(matches!(error.reason, SendErrorReason::RoutedElsewhere { .. }));
    assert!(mock.history().is_empty());
}

/// The same as [`Producer`](kafka_batch_transport::Producer) does, without a broker where that needs none.
#[tokio::test]
async fn destinations_that_no_producer_accepts_are_refused() {
    let refused = async |mock: &MockTransport, topic: &str, partition| {
        let to = TopicPartition::new(topic, partition);
        mock.send_batch(batch(mock, &["a"]), to).await.unwrap_err().reason
    };
    for mock in [MockTransport::new(), three_partitions()] {
        for topic in ["", &"x".repeat(250)] {
            assert!(
                matches!(refused(&mock, topic, 0).await, SendErrorReason::InvalidTopic { topic: found } if found == topic)
            );
            assert!(matches!(mock.partition_count(topic).await, Err(SendErrorReason::InvalidTopic { .. })));
            assert!(matches!(mock.pick_partition(topic).await, Err(SendErrorReason::InvalidTopic { .. })));
        }
        for topic in [".", "..", "a b", "é", "a\nb"] {
            let reason = refused(&mock, topic, 0).await;
            assert_eq!(reason.code(), Some(ErrorCode::INVALID_TOPIC_EXCEPTION), "{topic:?}: {reason}");
            assert!(!reason.is_retriable());
        }
        for partition in [-1, i32::MIN] {
            let reason = refused(&mock, "orders", partition).await;
            assert!(matches!(reason, SendErrorReason::InvalidPartition { partition: found, .. } if found == partition));
            let reason = refused(&mock, "", partition).await;
            assert!(matches!(reason, SendErrorReason::InvalidPartition { .. }), "the partition is checked first");
        }
        let error = mock.send_batch(mock.batch(), to(-1)).await.unwrap_err();
        assert!(matches!(error.reason, SendErrorReason::Seal(_)), "it is empty: {error}");
        assert!(mock.history().is_empty());
    }
}

/// A producer without brokers refuses the same before it needs one.
#[tokio::test]
async fn a_producer_refuses_the_same_destinations() {
    let producer = TokioProducer::builder().set("bootstrap.servers", "127.0.0.1:1").build().unwrap();
    let mock = MockTransport::new();
    for (topic, partition) in [("", 0), ("", -1), ("orders", -1), (&*"x".repeat(250), 0)] {
        let to = TopicPartition::new(topic, partition);
        let [of_mock, of_producer] = [
            mock.send_batch(batch(&mock, &["a"]), to.clone()).await.unwrap_err().to_string(),
            producer.send_batch(batch(&producer, &["a"]), to).await.unwrap_err().to_string(),
        ];
        assert_eq!(of_mock, of_producer);
    }
}

#[test]
fn held_batches_complete_in_order_when_the_test_says_so() {
    let mock = MockTransport::builder().auto_complete(false).build();
    mock.respond(Response::Deliver);
    let send = |value| match poll(mock.send_batch(batch(&mock, &[value]), to(0))) {
        Poll::Ready(Ok(pending)) => pending,
        other => panic!("{other:?}"),
    };
    let [delivered, mut first, mut second, third] = ["a", "b", "c", "d"].map(send);
    assert!(matches!(poll(delivered), Poll::Ready(Ok(_))), "its response was asked for");
    let mut flush = Box::pin(mock.flush());
    assert!(poll(flush.as_mut()).is_pending() && poll(&mut first).is_pending() && mock.in_flight() == 3);
    assert!(mock.complete_next());
    assert!(matches!(poll(&mut first), Poll::Ready(Ok(delivery)) if delivery.base_offset() == Some(1)));
    assert!(mock.error_next(Failure::lost_request()));
    assert!(matches!(poll(&mut second), Poll::Ready(Err(error)) if error.fate() == Some(Fate::Unknown)));
    let after = send("after the flush");
    assert!(poll(flush.as_mut()).is_pending());
    assert!(mock.complete_next());
    assert!(matches!(poll(flush), Poll::Ready(Ok(()))), "it does not wait for what came later");
    assert!(matches!(poll(third), Poll::Ready(Ok(delivery)) if delivery.base_offset() == Some(2)));
    mock.assert_log("orders", 0, &["a", "b", "d"]);

    drop(mock);
    let Poll::Ready(Err(error)) = poll(after) else { panic!("it waits for ever") };
    assert!(matches!(error.reason, FailureReason::Stopped) && error.fate() == Some(Fate::Unknown));
}

#[test]
fn completing_nothing_is_noticed() {
    let mock = MockTransport::new();
    assert!(!mock.complete_next() && !mock.error_next(Failure::too_large()));
}

#[tokio::test]
async fn a_waiting_task_is_woken() {
    let mock = MockTransport::builder().auto_complete(false).build();
    let pending = mock.send_batch(batch(&mock, &["a"]), to(0)).await.unwrap();
    let waiting = tokio::spawn(pending);
    let flushing = tokio::spawn({
        let mock = mock.clone();
        async move { mock.flush().await }
    });
    tokio::task::yield_now().await;
    assert!(mock.complete_next());
    assert!(waiting.await.unwrap().is_ok() && flushing.await.unwrap().is_ok());
}

#[tokio::test]
async fn closing_refuses_what_comes_later() {
    let mock = MockTransport::new();
    mock.close().await.unwrap();
    assert!(mock.is_closed());
    let error = mock.send_batch(batch(&mock, &["a"]), to(0)).await.unwrap_err();
    assert!(matches!(error.reason, SendErrorReason::Closed));

    let mock = MockTransport::builder().auto_complete(false).build();
    let pending = mock.send_batch(batch(&mock, &["a"]), to(0)).await.unwrap();
    mock.close_at_once().await.unwrap();
    let error = pending.await.unwrap_err();
    assert!(matches!(error.reason, FailureReason::Closed) && error.fate() == Some(Fate::Unknown));
}

#[tokio::test]
async fn without_a_type_and_with_publish() {
    let mock = three_partitions();
    let boxed = mock.clone().boxed();
    for _ in 0..4 {
        boxed.publish_batch(Publish::to("orders").messages(&["x"])).await.unwrap();
    }
    let partitions: Vec<_> = mock.history().iter().map(|sent| sent.to.partition).collect();
    assert_eq!(partitions, [0, 1, 2, 0], "each batch without a partition has the next one");
    mock.respond(Failure::too_large());
    let failed = boxed.publish_batch(Publish::to("orders").messages(&["x"])).await;
    assert!(matches!(failed, Err(PublishError::Delivery(_))));
}

#[test]
fn assertions_say_what_was_sent() {
    let mock = three_partitions();
    assert!(poll(mock.send_batch(batch(&mock, &["one", "two"]), to(0))).is_ready());
    assert!(poll(mock.send_batch(batch(&mock, &["three"]), to(1))).is_ready());
    mock.respond(Response::Hold);
    let message = |assertion: &dyn Fn()| {
        let panic = catch_unwind(AssertUnwindSafe(assertion)).unwrap_err();
        panic.downcast_ref::<String>().expect("a message").clone()
    };
    let text = message(&|| mock.assert_sent("orders", 0, &["one", "2", "three"]));
    assert_eq!(
        text,
        "sent to orders-0: [\"one\", \"two\"]\n expected: [\"one\", \"2\", \"three\"]\n   from value 1 on they differ\n\
         2 batches were sent, 0 are in flight\n  orders-0: [\"one\", \"two\"]\n  orders-1: [\"three\"]"
    );
    assert!(message(&|| mock.assert_log("orders", 2, &["x"])).starts_with("in the log of orders-2: []\n"));
    let text = message(&|| mock.assert_finished());
    assert!(text.starts_with("0 batches are in flight, and 1 responses were not used: [Hold]\n"), "{text}");
}

/// The guide's way to resend what failed: the rest of a batch, or `None` if nothing is left.
fn left_to_send(error: &DeliveryError) -> Result<Option<KafkaBatch>, BatchLost> {
    let rest = error.remainder()?;
    Ok((!rest.is_empty()).then_some(rest))
}

/// Sends a batch, and once more what failed. Returns the dead letters.
async fn send_or_keep(transport: &impl Transport, batch: KafkaBatch, to: TopicPartition) -> Option<KafkaBatch> {
    let error = match transport.send_batch(batch, to).await {
        Ok(accepted) => accepted.await.err()?,
        Err(refused) => return Some(*refused.batch),
    };
    let rest = left_to_send(&error).ok()??;
    if !error.is_retriable() && error.record_errors.is_empty() {
        return Some(rest);
    }
    match transport.send_batch(rest, error.to).await {
        Ok(accepted) => left_to_send(&accepted.await.err()?).ok()?,
        Err(refused) => Some(*refused.batch),
    }
}

/// Each record is in the log or in the dead letters, for every pair of responses.
#[tokio::test]
async fn a_dead_letter_pattern_loses_nothing() {
    let responses: [fn() -> Response; 7] = [
        || Response::Deliver,
        || Failure::not_written(ErrorCode::NOT_ENOUGH_REPLICAS).into(),
        || Failure::too_large().into(),
        || Failure::lost_response().into(),
        || Failure::lost_request().into(),
        || Failure::record_errors([(0, "malformed")]).into(),
        || SendErrorReason::Closed.into(),
    ];
    for first in responses {
        for second in responses {
            let mock = MockTransport::new();
            let responses = [first(), second()];
            let text = format!("{responses:?}");
            let rejects = responses.each_ref().map(
                |response| matches!(response, Response::Fail(failure) if format!("{failure:?}").contains("malformed")),
            );
            responses.into_iter().for_each(|response| mock.respond(response));
            let dead = send_or_keep(&mock, batch(&mock, &["a", "b", "c"]), to(0)).await;
            // Each attempt that was made may have rejected its first record.
            let rejected = rejects.iter().take(mock.history().len()).filter(|&&rejects| rejects).count();
            let mut found: Vec<_> = mock.log("orders", 0).into_iter().filter_map(|record| record.value).collect();
            let dead = dead.iter().flat_map(KafkaBatch::records);
            found.extend(dead.filter_map(|record| record.value.map(|value| value.to_vec().into())));
            let missing =
                ["a", "b", "c"].iter().skip(rejected).filter(|value| !found.iter().any(|found| found == value));
            assert_eq!(missing.count(), 0, "{text}: {found:?}");
        }
    }
}
