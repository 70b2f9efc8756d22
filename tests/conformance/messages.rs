//! Single messages, each with its own outcome. Only the transports over the machine have them.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use kafka_batch::message::OutgoingMessage;
use kafka_batch::partitioner::partition_for_key;
use kafka_batch::proptest::OwnedHeader;
use kafka_batch::protocol::ErrorCode;
use kafka_batch::{
    AppendError, BatchOptions, EnqueueErrorReason, FailureReason, Fate, Producer, Record, SendErrorReason,
    SendMessageError, Timestamp,
};

use crate::cluster::Cluster;
use crate::futures::poll_once;
use crate::log::{batch, counted, values};
use crate::setup::Answer;
use crate::subject::{Subject, Wanted};

over_the_machine! {
    a_message_has_its_own_offset_and_timestamp
    keys_choose_the_partition_as_in_the_java_client
    without_keys_messages_share_a_batch_and_then_go_to_another_partition
    tasks_get_the_offsets_of_their_own_messages_in_order
    with_linger_a_message_is_sent_without_a_flush
    messages_and_batches_keep_their_order
    a_cancelled_message_harms_no_other
    closing_sends_what_is_gathered_and_refuses_what_comes_later
    closing_at_once_fails_what_is_gathered_as_not_written
    a_dropped_producer_still_sends_what_was_accepted
    a_topic_that_does_not_exist_is_refused
    a_message_that_is_too_large_is_refused
    a_failure_is_that_of_each_message_of_the_batch
}

fn producer<S: Subject<Producer: Into<Producer>>>(wanted: Wanted) -> Producer {
    S::create(wanted).into()
}

/// A linger time that does not pass while a test runs.
const HOUR: &str = "3600000";

async fn a_message_has_its_own_offset_and_timestamp<S: Subject<Producer: Into<Producer>>>() {
    let cluster = Cluster::new();
    let producer = producer::<S>(cluster.wanted());
    let to = (cluster.topic(), 0);
    let first = producer.send(to, Record::new("plain").timestamp(5)).await.unwrap();
    assert_eq!((first.partition, first.offset), (0, Some(0)));
    assert_eq!(first.timestamp, cluster.timestamp_in_delivery(5));
    let message = OutgoingMessage::new("a message").key("k").header("source", "test");
    let second = producer.send(&cluster.partition(0), &message).await.unwrap();
    assert_eq!(second.offset, Some(1));
    let log = cluster.log();
    assert_eq!(log[0].1.timestamp, Some(Timestamp::from_millis(5)));
    assert!(log[1].1.timestamp.unwrap().millis() > 1_700_000_000_000, "the time of the call");
    assert_eq!(log[0].1.headers, [], "a record is sent as it is");
    assert_eq!(log[1].1.key.as_deref(), Some(&b"k"[..]));
    let headers = [OwnedHeader::new("content-type", "text/plain"), OwnedHeader::new("source", "test")];
    assert_eq!(log[1].1.headers, headers);
    assert_eq!(values(log), ["plain", "a message"]);
}

async fn keys_choose_the_partition_as_in_the_java_client<S: Subject<Producer: Into<Producer>>>() {
    let cluster = Cluster::new();
    let producer = producer::<S>(cluster.wanted());
    let partitions = producer.partition_count(cluster.topic()).await.unwrap();
    let mut expected: BTreeMap<i32, Vec<String>> = BTreeMap::new();
    for number in 0..60 {
        let (key, value) = (format!("sensor-{}", number % 10), number.to_string());
        let partition = partition_for_key(key.as_bytes(), partitions);
        let of_partition = expected.entry(partition).or_default();
        let delivery = producer.send(cluster.topic(), Record::new(&value).key(&key)).await.unwrap();
        assert_eq!((delivery.partition, delivery.offset), (partition, Some(of_partition.len() as i64)));
        of_partition.push(value);
    }
    for (partition, expected) in expected {
        assert_eq!(values(cluster.log_of(partition)), expected);
    }
}

async fn without_keys_messages_share_a_batch_and_then_go_to_another_partition<S: Subject<Producer: Into<Producer>>>() {
    let cluster = Cluster::new();
    let producer = producer::<S>(Wanted { linger: HOUR, ..cluster.wanted() });
    let mut last = None;
    for _ in 0..4 {
        let mut pending = Vec::new();
        for value in counted(50) {
            pending.push(producer.enqueue(cluster.topic(), Record::new(value)).await.unwrap());
        }
        producer.flush().await.unwrap();
        let first = pending.remove(0).await.unwrap();
        for (offset, pending) in (first.offset.unwrap() + 1..).zip(pending) {
            let delivery = pending.await.unwrap();
            assert_eq!((delivery.partition, delivery.offset), (first.partition, Some(offset)));
        }
        assert_ne!(last, Some(first.partition));
        last = Some(first.partition);
    }
}

async fn tasks_get_the_offsets_of_their_own_messages_in_order<S: Subject<Producer: Into<Producer>>>() {
    let cluster = Cluster::new();
    let producer = producer::<S>(Wanted { buffer: 20_000, ..cluster.wanted() }); // so that they wait for each other
    let tasks: Vec<_> = (0..200)
        .map(|task| {
            let (producer, topic) = (producer.clone(), cluster.topic().to_owned());
            S::spawn(async move {
                let mut found = Vec::new();
                for number in 0..5 {
                    let value = format!("{task}/{number:0>100}");
                    let delivery = producer.send((&*topic, 0), Record::new(&value)).await.unwrap();
                    found.push((delivery.offset.unwrap(), value));
                }
                found
            })
        })
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        let found = task.await;
        assert!(found.windows(2).all(|pair| pair[0].0 < pair[1].0));
        all.extend(found);
    }
    all.sort_unstable();
    let log: Vec<_> = cluster.log().into_iter().map(|(offset, record)| (offset, record.value.unwrap())).collect();
    assert!(all.into_iter().map(|(offset, value)| (offset, value.into_bytes())).eq(log));
}

async fn with_linger_a_message_is_sent_without_a_flush<S: Subject<Producer: Into<Producer>>>() {
    let cluster = Cluster::new();
    let producer = producer::<S>(Wanted { linger: "20", ..cluster.wanted() });
    let (first, second) = (producer.enqueue((cluster.topic(), 0), "a"), producer.enqueue((cluster.topic(), 0), "b"));
    let (first, second) = (first.await.unwrap(), second.await.unwrap());
    assert_eq!((first.await.unwrap().offset, second.await.unwrap().offset), (Some(0), Some(1)));
    assert_eq!(producer.send((cluster.topic(), 0), "c").await.unwrap().offset, Some(2));
}

async fn messages_and_batches_keep_their_order<S: Subject<Producer: Into<Producer>>>() {
    for linger in ["0", HOUR] {
        let cluster = Cluster::held();
        let producer = producer::<S>(Wanted { linger, ..cluster.wanted() });
        for pair in counted(40).chunks(2) {
            let [message, whole] = pair else { unreachable!() };
            drop(producer.enqueue((cluster.topic(), 0), Record::new(message)).await.unwrap());
            drop(producer.send_batch(batch([whole]), cluster.partition(0)).await.unwrap());
        }
        cluster.release();
        producer.flush().await.unwrap();
        assert_eq!(cluster.values(), counted(40));
    }
}

async fn a_cancelled_message_harms_no_other<S: Subject<Producer: Into<Producer>>>() {
    let cluster = Cluster::held();
    let producer = producer::<S>(Wanted { buffer: 2_048, ..cluster.wanted() });
    let to = (cluster.topic(), 0);
    let first = producer.enqueue(to, Record::new("x".repeat(1_500))).await.unwrap();
    let accepted = producer.enqueue(to, Record::new("b")).await.unwrap();
    let mut waits = Box::pin(producer.send(to, Record::new("c".repeat(1_500))));
    assert!(poll_once(waits.as_mut()).is_pending());
    let mut last = Box::pin(producer.send(to, Record::new("d")));
    assert!(poll_once(last.as_mut()).is_pending(), "it waits for memory after the larger one");
    drop(waits); // not accepted, so not sent
    let mut sent = Box::pin(producer.send(to, Record::new("e")));
    let is_accepted = poll_once(sent.as_mut()).is_pending();
    assert!(is_accepted);
    drop(accepted); // accepted, so sent
    cluster.release();
    assert_eq!(first.await.unwrap().offset, Some(0));
    assert_eq!(sent.await.unwrap().offset, Some(2));
    assert_eq!(last.await.unwrap().offset, Some(3), "it is accepted when it is polled");
    assert_eq!(cluster.values(), ["x".repeat(1_500).as_str(), "b", "e", "d"]);
}

async fn closing_sends_what_is_gathered_and_refuses_what_comes_later<S: Subject<Producer: Into<Producer>>>() {
    let cluster = Cluster::new();
    let producer = producer::<S>(Wanted { linger: HOUR, ..cluster.wanted() });
    let gathered = producer.enqueue((cluster.topic(), 0), "a").await.unwrap();
    let mut send = Box::pin(producer.send((cluster.topic(), 0), "b"));
    assert!(poll_once(send.as_mut()).is_pending());
    producer.clone().close().await.unwrap();
    assert_eq!((gathered.await.unwrap().offset, send.await.unwrap().offset), (Some(0), Some(1)));
    let error = producer.send((cluster.topic(), 0), "late").await.unwrap_err();
    let SendMessageError::NotAccepted(refused) = &error else { panic!("{error}") };
    assert!(matches!(refused.reason, EnqueueErrorReason::Send(SendErrorReason::Closed)), "{error}");
    assert_eq!((error.fate(), error.is_retriable()), (Fate::NotWritten, false));
    assert_eq!(cluster.values(), ["a", "b"]);
}

async fn closing_at_once_fails_what_is_gathered_as_not_written<S: Subject<Producer: Into<Producer>>>() {
    let cluster = Cluster::new();
    let producer = producer::<S>(Wanted { linger: HOUR, ..cluster.wanted() });
    let gathered = producer.enqueue((cluster.topic(), 0), "a").await.unwrap();
    producer.close_at_once().await.unwrap();
    let error = gathered.await.unwrap_err();
    assert!(matches!(*error.reason, FailureReason::Closed) && error.fate == Fate::NotWritten, "{error}");
    assert_eq!(cluster.log(), []);
}

async fn a_dropped_producer_still_sends_what_was_accepted<S: Subject<Producer: Into<Producer>>>() {
    let cluster = Cluster::held();
    let producer = producer::<S>(Wanted { linger: HOUR, ..cluster.wanted() });
    let gathered = producer.enqueue((cluster.topic(), 0), "a").await.unwrap();
    drop(producer);
    cluster.release();
    assert_eq!(gathered.await.unwrap().offset, Some(0));
}

async fn a_topic_that_does_not_exist_is_refused<S: Subject<Producer: Into<Producer>>>() {
    let cluster = Cluster::without("missing");
    let producer = producer::<S>(Wanted { patience: Duration::from_millis(300), ..cluster.wanted() });
    let error = producer.enqueue("missing", "v").await.unwrap_err();
    assert!(
        matches!(&error.reason, EnqueueErrorReason::Send(SendErrorReason::UnknownTopic { topic }) if topic == "missing")
    );
    assert!(
        error.is_retriable() && error.to_string().starts_with("the message for missing was not accepted"),
        "{error}"
    );
    let error = producer.enqueue((cluster.topic(), 3), "v").await.unwrap_err();
    let reason = &error.reason;
    assert!(
        matches!(reason, EnqueueErrorReason::Send(SendErrorReason::UnknownPartition { partition: 3, .. })),
        "{error}"
    );
    producer.send((cluster.topic(), 2), "others are sent").await.unwrap();
}

async fn a_message_that_is_too_large_is_refused<S: Subject<Producer: Into<Producer>>>() {
    let cluster = Cluster::new();
    let options = BatchOptions::default().max_message_bytes(1_000);
    let producer = producer::<S>(Wanted { options, ..cluster.wanted() });
    let mut before = pin!(producer.send((cluster.topic(), 0), "before"));
    assert!(poll_once(before.as_mut()).is_pending());
    let error = producer.enqueue((cluster.topic(), 0), "x".repeat(1_000)).await.unwrap_err();
    assert!(matches!(error.reason, EnqueueErrorReason::Append(AppendError::TooLarge { limit: 1_000, .. })), "{error}");
    assert!(!error.is_retriable());
    before.await.unwrap();
    assert_eq!(cluster.values(), ["before"]);
}

async fn a_failure_is_that_of_each_message_of_the_batch<S: Subject<Producer: Into<Producer>>>() {
    let cluster = Cluster::new();
    cluster.answer_produce(&[Answer::Error(ErrorCode::MESSAGE_TOO_LARGE)]);
    let producer = producer::<S>(Wanted { linger: HOUR, ..cluster.wanted() });
    let mut pending = Vec::new();
    for value in counted(3) {
        pending.push(producer.enqueue((cluster.topic(), 0), Record::new(value)).await.unwrap());
    }
    producer.flush().await.unwrap();
    for pending in pending {
        let error = pending.await.unwrap_err();
        assert_eq!((error.fate, &error.to), (Fate::NotWritten, &cluster.partition(0)));
        assert!(error.reason.code().is_some(), "{error}");
    }
    assert_eq!(cluster.log(), []);
    drop(producer.enqueue((cluster.topic(), 0), "the next one").await.unwrap());
    producer.close().await.unwrap();
    assert_eq!(cluster.values(), ["the next one"]);
}
