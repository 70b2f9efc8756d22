//! Brokers that reject, stop and do not respond: the fate reported for each batch is correct.

use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use kafka_batch::protocol::ErrorCode;
use kafka_batch::{
    BatchOptions, DeliveryError, FailureReason, Fate, KafkaBatch, Publish, PublishError, SealErrorReason, SendError,
    SendErrorReason, TopicPartition, Transport,
};

use crate::cluster::Cluster;
use crate::log::{batch, counted};
use crate::setup::{Answer, wanted};
use crate::subject::{Subject, Wanted};

over_each_transport_and_to_kafka! {
    an_empty_batch
    a_partition_that_the_topic_does_not_have
    a_batch_that_is_too_large_after_sealing
}

over_each_transport! {
    a_topic_that_does_not_exist
    an_empty_batch_and_a_negative_partition_need_no_broker
    brokers_that_do_not_respond
    a_batch_that_the_broker_finds_too_large_is_returned_and_split
    retriable_errors_are_retried_without_loss_and_in_order
    other_errors_are_reported_by_name_and_the_producer_continues
    a_broker_that_stops_and_returns
    a_leader_that_changes
    a_batch_that_times_out_without_a_leader_is_not_written
    a_batch_without_a_response_may_have_been_written
    a_slow_broker_does_not_delay_others
}

async fn rejected<S: Subject>(producer: &S::Producer, batch: &KafkaBatch, to: TopicPartition) -> SendError {
    let error = producer.send_batch(batch.clone(), to.clone()).await.expect_err("rejected");
    assert_eq!((&*error.batch, &error.to), (batch, &to));
    error
}

async fn failed<S: Subject>(producer: &S::Producer, batch: &KafkaBatch, to: TopicPartition) -> DeliveryError {
    let pending = producer.send_batch(batch.clone(), to.clone()).await.unwrap();
    let error = pending.await.unwrap_err();
    assert_eq!((error.batch.as_deref().unwrap(), &error.to), (batch, &to));
    error
}

async fn an_empty_batch<S: Subject>(cluster: Cluster) {
    let error = rejected::<S>(&cluster.producer::<S>(), &KafkaBatch::new(0), cluster.partition(0)).await;
    assert!(matches!(error.reason, SendErrorReason::Seal(SealErrorReason::Empty)), "{error}");
    assert!(!error.is_retriable());
}

async fn a_topic_that_does_not_exist<S: Subject>() {
    let cluster = Cluster::without("missing");
    let producer = S::create(Wanted { patience: Duration::from_millis(300), ..cluster.wanted() });
    let error = rejected::<S>(&producer, &batch(["v"]), TopicPartition::new("missing", 0)).await;
    assert!(matches!(&error.reason, SendErrorReason::UnknownTopic { topic } if topic == "missing"), "{error}");
    assert!(error.is_retriable());
    let counted = producer.partition_count("missing").await;
    assert!(matches!(counted, Err(SendErrorReason::UnknownTopic { .. })), "{counted:?}");
    for name in ["", &"long".repeat(200)] {
        let error = rejected::<S>(&producer, &batch(["v"]), TopicPartition::new(name, 0)).await;
        assert!(matches!(&error.reason, SendErrorReason::InvalidTopic { topic } if topic == name), "{error}");
    }
    producer.send_batch(batch(["goes on"]), cluster.partition(0)).await.unwrap().await.unwrap();
}

async fn a_partition_that_the_topic_does_not_have<S: Subject>(cluster: Cluster) {
    let producer = cluster.producer::<S>();
    for asked in [3, 1_000] {
        let error = rejected::<S>(&producer, &batch(["v"]), cluster.partition(asked)).await;
        let SendErrorReason::UnknownPartition { partitions: 3, partition, .. } = error.reason else {
            panic!("{error}")
        };
        assert_eq!(partition, asked);
    }
}

/// What needs no broker is checked without one: there is none at this address.
async fn an_empty_batch_and_a_negative_partition_need_no_broker<S: Subject>() {
    let producer = S::create(wanted("127.0.0.1:1".to_owned()));
    for partition in [-1, i32::MIN] {
        let error = rejected::<S>(&producer, &batch(["v"]), TopicPartition::new("t", partition)).await;
        let SendErrorReason::InvalidPartition { partition: found, .. } = error.reason else { panic!("{error}") };
        assert_eq!(found, partition);
        let published = producer.publish_batch(Publish::to("t").partition(partition).messages(&["v"])).await;
        let Err(PublishError::Send(error)) = published else { panic!("{published:?}") };
        assert!(matches!(error.reason, SendErrorReason::InvalidPartition { .. }), "{error}");
    }
    let error = rejected::<S>(&producer, &KafkaBatch::new(0), TopicPartition::new("t", 0)).await;
    assert!(matches!(error.reason, SendErrorReason::Seal(SealErrorReason::Empty)), "{error}");
    let published: Result<_, PublishError> = producer.publish_batch(Publish::to("t")).await;
    let Err(PublishError::Send(error)) = published else { panic!("{published:?}") };
    assert!(matches!(error.reason, SendErrorReason::Seal(SealErrorReason::Empty)), "{error}");
}

async fn brokers_that_do_not_respond<S: Subject>() {
    // The port of an outgoing connection has no listener, and cannot get one.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let caller = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let servers = caller.local_addr().unwrap().to_string();
    let producer = S::create(Wanted { patience: Duration::from_millis(700), ..wanted(servers.clone()) });
    let error = rejected::<S>(&producer, &batch(["v"]), TopicPartition::new("t", 0)).await;
    match &error.reason {
        SendErrorReason::NoBroker { brokers, .. } => assert_eq!(brokers, &servers),
        other => panic!("{other:?}"),
    }
    // librdkafka does not always know the reason by then.
    assert!(error.to_string().contains("refused") || !producer.capabilities().one_batch_on_the_wire, "{error}");
    assert!(error.is_retriable());
    producer.close().await.unwrap();
}

async fn a_batch_that_the_broker_finds_too_large_is_returned_and_split<S: Subject>() {
    let cluster = Cluster::new();
    let producer = cluster.producer::<S>();
    cluster.answer_produce(&[Answer::Error(ErrorCode::MESSAGE_TOO_LARGE)]);
    let values = counted(9);
    let error = failed::<S>(&producer, &batch(&values), cluster.partition(0)).await;
    assert_eq!(error.reason.code(), Some(ErrorCode::MESSAGE_TOO_LARGE), "{error}");
    assert_eq!(error.fate(), Some(Fate::NotWritten));
    assert_eq!(cluster.log(), []);
    let size = error.batch.as_ref().unwrap().size();
    let split = error.batch.unwrap().split(size).unwrap();
    assert!(split.parts.len() >= 2 && split.too_large.is_empty());
    for (position, part) in split.parts {
        let delivery = producer.send_batch(part.into_batch(), cluster.partition(0)).await.unwrap().await.unwrap();
        assert_eq!(delivery.base_offset(), Some(position as i64));
    }
    assert_eq!(cluster.values(), values);
}

/// Only the transports that send the batch as one enforce the hard limit (`message.max.bytes`): librdkafka would
/// split it.
async fn a_batch_that_is_too_large_after_sealing<S: Subject>(cluster: Cluster) {
    let options = BatchOptions::default().max_message_bytes(200).compression("lz4".parse().unwrap());
    let producer = S::create(Wanted { options, ..cluster.wanted() });
    let mut large = producer.batch();
    let mut chance = 1_u32;
    while large.size() < 1_000 {
        chance = chance.wrapping_mul(0x9e37_79b9) ^ chance >> 15; // which cannot be compressed
        let _ = large.append(kafka_batch::Record::new(&chance.to_ne_bytes())).unwrap();
    }
    match producer.send_batch(large.clone(), cluster.partition(0)).await {
        Ok(pending) => {
            assert!(!producer.capabilities().one_batch_on_the_wire);
            pending.await.unwrap();
        }
        Err(error) => {
            let SendErrorReason::Seal(SealErrorReason::TooLarge { limit: 200, .. }) = error.reason else {
                panic!("{error}");
            };
            assert_eq!(*error.batch, large);
            assert_eq!(cluster.log(), []);
        }
    }
}

async fn retriable_errors_are_retried_without_loss_and_in_order<S: Subject>() {
    let cluster = Cluster::new();
    let producer = cluster.producer::<S>();
    cluster.answer_produce(&[
        Answer::Error(ErrorCode::NOT_ENOUGH_REPLICAS),
        Answer::Error(ErrorCode::NOT_LEADER_OR_FOLLOWER),
        Answer::Close,
    ]);
    let values = counted(100);
    let mut pending = Vec::new();
    for values in values.chunks(10) {
        pending.push(producer.send_batch(batch(values), cluster.partition(0)).await.unwrap());
    }
    for (number, pending) in pending.into_iter().enumerate() {
        assert_eq!(pending.await.unwrap().base_offset(), Some(10 * number as i64));
    }
    assert_eq!(cluster.values(), values);
}

async fn other_errors_are_reported_by_name_and_the_producer_continues<S: Subject>() {
    let cluster = Cluster::new();
    let producer = cluster.producer::<S>();
    let codes = [
        ErrorCode::INVALID_TIMESTAMP,
        ErrorCode::UNSUPPORTED_FOR_MESSAGE_FORMAT,
        ErrorCode::POLICY_VIOLATION,
        ErrorCode::TOPIC_AUTHORIZATION_FAILED,
    ];
    for (number, expected) in codes.into_iter().enumerate() {
        cluster.answer_produce(&[Answer::Error(expected)]);
        let error = failed::<S>(&producer, &batch(["refused"]), cluster.partition(0)).await;
        assert_eq!(error.reason.code(), Some(expected), "{error}");
        let text = error.to_string();
        let of_broker = text.contains("broker 1 answered Produce"); // the machine names the version
        assert!(of_broker && text.contains(&format!(" with {expected}")), "{error}");
        assert_eq!((error.fate(), error.is_retriable()), (Some(Fate::NotWritten), false), "{error}");
        let next = match producer.send_batch(batch(["goes on"]), cluster.partition(0)).await {
            Ok(next) => next.await.unwrap(),
            // librdkafka remembers that the topic must not be written to until its next lookup.
            Err(error) => {
                assert!(!producer.capabilities().one_batch_on_the_wire, "{error}");
                assert_eq!(expected, ErrorCode::TOPIC_AUTHORIZATION_FAILED, "{error}");
                continue;
            }
        };
        assert_eq!(next.base_offset(), Some(number as i64));
    }
}

async fn a_broker_that_stops_and_returns<S: Subject>() {
    let cluster = Cluster::new();
    let producer = cluster.producer::<S>();
    producer.send_batch(batch(["before"]), cluster.partition(0)).await.unwrap().await.unwrap();
    cluster.stop_broker(1);
    let during = producer.send_batch(batch(["during"]), cluster.partition(0)).await.unwrap();
    cluster.start_broker(1);
    assert_eq!(during.await.unwrap().base_offset(), Some(1));
    producer.send_batch(batch(["after"]), cluster.partition(0)).await.unwrap().await.unwrap();
    assert_eq!(cluster.values(), ["before", "during", "after"]);
}

async fn a_leader_that_changes<S: Subject>() {
    let cluster = Cluster::of(3);
    let producer = cluster.producer::<S>();
    let mut pending = Vec::new();
    let values = counted(60);
    for (number, value) in values.iter().enumerate() {
        cluster.set_leader(0, number as i32 / 7 % 3 + 1);
        pending.push(producer.send_batch(batch([value]), cluster.partition(0)).await.unwrap());
    }
    for (number, pending) in pending.into_iter().enumerate() {
        assert_eq!(pending.await.unwrap().base_offset(), Some(number as i64));
    }
    assert_eq!(cluster.values(), values);
}

async fn a_batch_that_times_out_without_a_leader_is_not_written<S: Subject>() {
    let cluster = Cluster::held();
    let producer = S::create(Wanted { patience: Duration::from_millis(500), ..cluster.wanted() });
    let error = failed::<S>(&producer, &batch(["v", "w"]), cluster.partition(0)).await;
    assert!(matches!(error.reason, FailureReason::TimedOut { .. }), "{error}");
    assert_eq!(error.fate(), Some(Fate::NotWritten));
    assert!(error.is_retriable() && !error.may_have_been_written());
}

async fn a_batch_without_a_response_may_have_been_written<S: Subject>() {
    let cluster = Cluster::new();
    let producer = S::create(Wanted { patience: Duration::from_secs(3), ..cluster.wanted() });
    producer.send_batch(batch(["a response"]), cluster.partition(0)).await.unwrap().await.unwrap();
    cluster.hold_responses();
    let error = failed::<S>(&producer, &batch(["no response"]), cluster.partition(0)).await;
    assert!(matches!(error.reason, FailureReason::TimedOut { .. }), "{error}");
    assert_eq!(error.fate(), Some(Fate::Unknown));
    assert!(error.may_have_been_written());
    cluster.end_of_holding();
    assert_eq!(cluster.values(), ["a response", "no response"], "both were written");
}

async fn a_slow_broker_does_not_delay_others<S: Subject>() {
    let cluster = Cluster::of(2);
    cluster.set_leader(1, 2);
    let producer = cluster.producer::<S>();
    let to = |partition| cluster.partition(partition);
    for partition in [0, 1] {
        producer.send_batch(batch(["first"]), to(partition)).await.unwrap().await.unwrap();
    }
    cluster.hold_responses_of(1);
    let large = || batch([vec![b'x'; 900_000]]);
    let mut slow = Vec::new();
    for _ in 0..10 {
        slow.push(producer.send_batch(large(), to(0)).await.unwrap());
    }
    for number in 1..=20 {
        let delivery = producer.send_batch(batch(["quick"]), to(1)).await.unwrap().await.unwrap();
        assert_eq!(delivery.base_offset(), Some(number));
    }
    drop(slow);
}
