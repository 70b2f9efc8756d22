//! What real brokers do: they store batches unchanged, check records, set timestamps, and have their own limits.

use kafka_batch::message::Tombstone;
use kafka_batch::protocol::ErrorCode;
use kafka_batch::{
    BatchOptions, Delivery, Fate, KafkaBatch, Publish, Record, RecordError, SendErrorReason, TopicPartition, Transport,
};

use crate::cluster::Cluster;
use crate::log::{batch, counted};
use crate::subject::{Subject, Wanted};

over_each_transport_to_real_brokers! {
    a_batch_is_stored_as_one_batch
    many_batches_in_flight_arrive_once_and_in_order
    an_invalid_topic_name
    a_topic_with_log_append_time_returns_the_time
    a_compacted_topic_rejects_records_without_a_key_by_position
    tombstones_go_to_a_compacted_topic
    the_limit_of_a_topic_rejects_a_batch_which_is_then_split
}

async fn sent<S: Subject>(cluster: &Cluster, producer: &S::Producer, batch: KafkaBatch) -> Delivery {
    producer.send_batch(batch, cluster.partition(0)).await.unwrap().await.unwrap()
}

async fn a_batch_is_stored_as_one_batch<S: Subject>() {
    let cluster = Cluster::real();
    let producer = cluster.producer::<S>();
    let mut on_their_way = Vec::new();
    for count in [1, 100, 7] {
        on_their_way.push(producer.send_batch(batch(counted(count)), cluster.partition(0)).await.unwrap());
    }
    for pending in on_their_way {
        pending.await.unwrap();
    }
    if producer.capabilities().one_batch_on_the_wire {
        assert_eq!(cluster.batches(), 3);
    } else {
        assert!(cluster.batches() >= 1, "librdkafka builds its own batches");
    }
    assert_eq!(cluster.values(), [counted(1), counted(100), counted(7)].concat());
}

async fn many_batches_in_flight_arrive_once_and_in_order<S: Subject>() {
    let cluster = Cluster::real();
    let producer = S::create(Wanted { buffer: 1 << 20, ..cluster.wanted() });
    let values = counted(20_000);
    let mut pending = Vec::new();
    for values in values.chunks(40) {
        pending.push(producer.send_batch(batch(values), cluster.partition(0)).await.unwrap());
    }
    for (number, pending) in pending.into_iter().enumerate() {
        assert_eq!(pending.await.unwrap().base_offset(), Some(40 * number as i64));
    }
    producer.close().await.unwrap();
    assert_eq!(cluster.values(), values);
}

async fn an_invalid_topic_name<S: Subject>() {
    let cluster = Cluster::real();
    let producer = cluster.producer::<S>();
    let error = producer.send_batch(batch(["v"]), TopicPartition::new("no topic!", 0)).await.unwrap_err();
    assert!(matches!(&error.reason, SendErrorReason::Broker { topic, .. } if topic == "no topic!"), "{error}");
    assert!(!error.is_retriable(), "{error}");
    assert_eq!(*error.batch, batch(["v"]));
    sent::<S>(&cluster, &producer, batch(["goes on"])).await;
}

async fn a_topic_with_log_append_time_returns_the_time<S: Subject>() {
    let cluster = Cluster::real_with(&[("message.timestamp.type", "LogAppendTime")]);
    let delivery = sent::<S>(&cluster, &cluster.producer::<S>(), batch(counted(3))).await;
    let time = delivery.log_append_time().expect("the broker's time");
    assert!(delivery.records().all(|record| record.timestamp == time));
    assert!(cluster.log().iter().all(|(_, record)| record.timestamp == Some(time)));
    let created = Cluster::real();
    let delivery = sent::<S>(&created, &created.producer::<S>(), batch(counted(3))).await;
    assert_eq!(delivery.log_append_time(), None);
}

async fn a_compacted_topic_rejects_records_without_a_key_by_position<S: Subject>() {
    let cluster = Cluster::real_with(&[("cleanup.policy", "compact")]);
    let producer = cluster.producer::<S>();
    let mut mixed = producer.batch();
    for (position, key) in [Some("k"), None, Some("l"), None].into_iter().enumerate() {
        let value = position.to_string();
        let record = Record::new(&value);
        let record = if let Some(key) = key { record.key(key) } else { record };
        assert!(!mixed.append(record).unwrap().is_full());
    }
    let pending = producer.send_batch(mixed, cluster.partition(0)).await.unwrap();
    let error = pending.await.unwrap_err();
    assert_eq!(error.fate(), Some(Fate::NotWritten), "{error}");
    assert_eq!(error.reason.code(), Some(ErrorCode::INVALID_RECORD), "{error}");
    let disliked: Vec<_> = error.record_errors.iter().map(|error| error.position).collect();
    assert_eq!(disliked, [1, 3], "{error}");
    let has_message = |error: &RecordError| error.message.as_ref().is_some_and(|message| message.contains("key"));
    if producer.capabilities().one_batch_on_the_wire {
        assert!(error.record_errors.iter().all(has_message), "{error}");
    } else {
        assert!(!error.record_errors.iter().any(has_message), "librdkafka does not return the messages");
    }
    sent::<S>(&cluster, &producer, error.remainder().unwrap()).await;
    assert_eq!(cluster.values(), ["0", "2"]);
}

async fn tombstones_go_to_a_compacted_topic<S: Subject>() {
    let cluster = Cluster::real_with(&[("cleanup.policy", "compact")]);
    let publish = Publish::to(cluster.topic()).partition(0).key("k").messages(&[Tombstone]);
    cluster.producer::<S>().publish_batch(publish).await.unwrap();
    let (_, record) = cluster.log().remove(0);
    assert_eq!((record.key, record.value), (Some(b"k".to_vec()), None));
}

async fn the_limit_of_a_topic_rejects_a_batch_which_is_then_split<S: Subject>() {
    let cluster = Cluster::real_with(&[("max.message.bytes", "2000")]);
    let options = BatchOptions::default().batch_size(1 << 20);
    let producer = S::create(Wanted { options, ..cluster.wanted() });
    let values: Vec<String> = counted(100).into_iter().map(|value| format!("{value:0>50}")).collect();
    let pending = producer.send_batch(batch(&values), cluster.partition(0)).await.unwrap();
    let error = pending.await.unwrap_err();
    assert_eq!(error.reason.code(), Some(ErrorCode::MESSAGE_TOO_LARGE), "{error}");
    assert_eq!(error.fate(), Some(Fate::NotWritten));
    let split = error.batch.unwrap().split(2_000).unwrap();
    assert!(split.parts.len() > 1 && split.too_large.is_empty());
    for (position, part) in split.parts {
        let delivery = sent::<S>(&cluster, &producer, part.into_batch()).await;
        assert_eq!(delivery.base_offset(), Some(position as i64));
    }
    assert_eq!(cluster.values(), values);
}
