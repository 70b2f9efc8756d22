//! What only a real Kafka does: it stores batches unchanged, checks records, sets timestamps, and has its own limits.

use std::sync::mpsc;
use std::time::Duration;
use std::{mem, thread};

use kafka_batch::message::Tombstone;
use kafka_batch::protocol::ErrorCode;
use kafka_batch::{
    BatchOptions, Delivery, Fate, KafkaBatch, Publish, Record, RecordError, SendErrorReason, TopicPartition, Transport,
};
use kafka_batch_brokers::{Broker, Options, Release};
use smol::lock::Mutex;

use crate::cluster::{Cluster, wanted};
use crate::environment::variable;
use crate::log::{batch, counted};
use crate::subject::{Subject, Wanted};

over_each_transport_to_kafka! {
    a_batch_is_stored_as_one_batch
    many_batches_in_flight_arrive_once_and_in_order
    a_delivery_has_the_log_start_offset
    a_missing_topic_is_created_or_reported_depending_on_the_broker_s_settings
    an_invalid_topic_name
    an_added_partition_is_found_when_a_batch_is_sent_to_it
    a_topic_with_log_append_time_returns_the_time
    a_compacted_topic_rejects_records_without_a_key_by_position
    tombstones_go_to_a_compacted_topic
    the_limit_of_a_topic_rejects_a_batch_which_is_then_split
    a_broker_that_is_killed_and_restarted_has_each_batch_once
}

/// Brokers started by a case are large.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Returns the release of the broker given by the environment.
fn release() -> &'static Release {
    Release::find(&variable("KAFKA_BATCH_KAFKA_VERSION")).unwrap()
}

async fn sent<S: Subject>(cluster: &Cluster, producer: &S::Producer, batch: KafkaBatch) -> Delivery {
    producer.send_batch(batch, cluster.partition(0)).await.unwrap().await.unwrap()
}

async fn a_batch_is_stored_as_one_batch<S: Subject>() {
    let cluster = Cluster::kafka();
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
    let cluster = Cluster::kafka();
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

/// The log start offset is the broker's, and not a constant: records were deleted before.
async fn a_delivery_has_the_log_start_offset<S: Subject>() {
    let cluster = Cluster::kafka();
    let producer = cluster.producer::<S>();
    let one_batch = producer.capabilities().one_batch_on_the_wire;
    let delivery = sent::<S>(&cluster, &producer, batch(counted(5))).await;
    assert_eq!(delivery.log_start_offset(), one_batch.then_some(0), "librdkafka does not return it");
    cluster.delete_records_before(3);
    let delivery = sent::<S>(&cluster, &producer, batch(counted(5))).await;
    assert_eq!((delivery.base_offset(), delivery.log_start_offset()), (Some(5), one_batch.then_some(3)));
}

async fn a_missing_topic_is_created_or_reported_depending_on_the_broker_s_settings<S: Subject>() {
    let cluster = Cluster::kafka();
    let new = format!("{}-made", cluster.topic());
    let delivery = cluster.producer::<S>().publish_batch(Publish::to(&new).messages(&["first"])).await.unwrap();
    assert_eq!((delivery.topic_partition().topic.as_str(), delivery.base_offset()), (new.as_str(), Some(0)));

    let _turn = ONE_AT_A_TIME.lock().await;
    let config = vec![("auto.create.topics.enable".to_owned(), "false".to_owned())];
    let broker = Broker::start(release(), &Options { config, ..Options::default() }).unwrap();
    let patience = Duration::from_secs(2);
    let producer = S::create(Wanted { patience, ..wanted(broker.address().to_string()) });
    let error = producer.send_batch(batch(["v"]), TopicPartition::new("missing", 0)).await.unwrap_err();
    assert!(matches!(&error.reason, SendErrorReason::UnknownTopic { topic } if topic == "missing"), "{error}");
    assert_eq!((*error.batch, &*error.to.topic), (batch(["v"]), "missing"));
}

async fn an_invalid_topic_name<S: Subject>() {
    let cluster = Cluster::kafka();
    let producer = cluster.producer::<S>();
    let error = producer.send_batch(batch(["v"]), TopicPartition::new("no topic!", 0)).await.unwrap_err();
    assert!(matches!(&error.reason, SendErrorReason::Broker { topic, .. } if topic == "no topic!"), "{error}");
    assert!(!error.is_retriable(), "{error}");
    assert_eq!(*error.batch, batch(["v"]));
    sent::<S>(&cluster, &producer, batch(["goes on"])).await;
}

async fn an_added_partition_is_found_when_a_batch_is_sent_to_it<S: Subject>() {
    let cluster = Cluster::kafka();
    let producer = cluster.producer::<S>();
    sent::<S>(&cluster, &producer, batch(counted(1))).await; // the topic is known with three partitions
    cluster.add_partition();
    let delivery = producer.send_batch(batch(["v"]), cluster.partition(3)).await.unwrap().await.unwrap();
    assert_eq!(delivery.base_offset(), Some(0));
}

async fn a_topic_with_log_append_time_returns_the_time<S: Subject>() {
    let cluster = Cluster::kafka_with(&[("message.timestamp.type", "LogAppendTime")]);
    let delivery = sent::<S>(&cluster, &cluster.producer::<S>(), batch(counted(3))).await;
    let time = delivery.log_append_time().expect("the broker's time");
    assert!(delivery.records().all(|record| record.timestamp == time));
    assert!(cluster.log().iter().all(|(_, record)| record.timestamp == Some(time)));
    let created = Cluster::kafka();
    let delivery = sent::<S>(&created, &created.producer::<S>(), batch(counted(3))).await;
    assert_eq!(delivery.log_append_time(), None);
}

async fn a_compacted_topic_rejects_records_without_a_key_by_position<S: Subject>() {
    let cluster = Cluster::kafka_with(&[("cleanup.policy", "compact")]);
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
    let cluster = Cluster::kafka_with(&[("cleanup.policy", "compact")]);
    let publish = Publish::to(cluster.topic()).partition(0).key("k").messages(&[Tombstone]);
    cluster.producer::<S>().publish_batch(publish).await.unwrap();
    let (_, record) = cluster.log().remove(0);
    assert_eq!((record.key, record.value), (Some(b"k".to_vec()), None));
}

async fn the_limit_of_a_topic_rejects_a_batch_which_is_then_split<S: Subject>() {
    let cluster = Cluster::kafka_with(&[("max.message.bytes", "2000")]);
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

/// A separate broker, killed twice while three tasks continue to send, each to its own partition.
async fn a_broker_that_is_killed_and_restarted_has_each_batch_once<S: Subject>() {
    let (delivered, received) = mpsc::channel();
    let (address_sender, address) = mpsc::channel();
    let killer = thread::spawn(move || {
        let _turn = ONE_AT_A_TIME.lock_blocking();
        let config = vec![("broker.session.timeout.ms".to_owned(), "3000".to_owned())];
        let mut broker = Broker::start(release(), &Options { config, ..Options::default() }).unwrap();
        address_sender.send(broker.address().to_string()).unwrap();
        for batches in [200, 800] {
            assert_eq!(received.iter().take(batches).count(), batches);
            broker.kill();
            broker.restart().unwrap();
        }
        received.iter().count() // until the case ends
    });
    let cluster = Cluster::at(address.recv().unwrap(), &[]);
    let producer = S::create(Wanted { patience: Duration::from_secs(120), ..cluster.wanted() });
    let tasks: Vec<_> = (0..3)
        .map(|partition| {
            let (producer, to, delivered) = (producer.clone(), cluster.partition(partition), delivered.clone());
            S::spawn(async move {
                let mut on_their_way = Vec::new();
                for number in 0..600 {
                    // With the current time: a broker that was killed forgets producers by the timestamps of their
                    // records.
                    let mut batch = producer.batch();
                    batch.extend([0, 1].map(|part| format!("{number}/{part}")).iter().map(Record::new)).unwrap();
                    on_their_way.push(producer.send_batch(batch, to.clone()).await.unwrap());
                    if on_their_way.len() == 50 {
                        for pending in mem::take(&mut on_their_way) {
                            pending.await.unwrap();
                            delivered.send(()).unwrap();
                        }
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await;
    }
    let expected: Vec<_> = (0..600).flat_map(|number| [0, 1].map(|part| format!("{number}/{part}"))).collect();
    for partition in 0..3 {
        let values = cluster.log_of(partition).into_iter().map(|(_, record)| record.value.unwrap());
        let values: Vec<_> = values.map(|value| String::from_utf8(value).unwrap()).collect();
        assert!(values == expected, "partition {partition} has {} records", values.len());
    }
    drop(delivered);
    assert_eq!(killer.join().unwrap(), 800);
}
