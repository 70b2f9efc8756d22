//! What only a real Kafka is asked to do here: records are deleted, partitions are added, brokers are killed and restarted.

use std::sync::mpsc;
use std::time::Duration;
use std::{mem, thread};

use kafka_batch::{Delivery, KafkaBatch, Publish, Record, SendErrorReason, TopicPartition, Transport};
use kafka_batch_brokers::{Broker, Options, Release};
use kafka_batch_witnesses::smol::lock::Mutex;

use crate::cluster::Cluster;
use crate::environment::variable;
use crate::log::{batch, counted};
use crate::setup::wanted;
use crate::subject::{Subject, Wanted};

over_each_transport_to_real_brokers! {
    a_delivery_has_the_log_start_offset
    a_missing_topic_is_created_or_reported_depending_on_the_broker_s_settings
    an_added_partition_is_found_when_a_batch_is_sent_to_it
    a_broker_that_is_killed_and_restarted_has_each_batch_once
}

/// Brokers started by a case are large.
pub(crate) static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Returns the release of the broker given by the environment.
pub(crate) fn release() -> &'static Release {
    Release::find(&variable("KAFKA_BATCH_KAFKA_VERSION")).unwrap()
}

async fn sent<S: Subject>(cluster: &Cluster, producer: &S::Producer, batch: KafkaBatch) -> Delivery {
    producer.send_batch(batch, cluster.partition(0)).await.unwrap().await.unwrap()
}

/// The log start offset is the broker's, and not a constant: records were deleted before.
async fn a_delivery_has_the_log_start_offset<S: Subject>() {
    let cluster = Cluster::real();
    let producer = cluster.producer::<S>();
    let one_batch = producer.capabilities().one_batch_on_the_wire;
    let delivery = sent::<S>(&cluster, &producer, batch(counted(5))).await;
    assert_eq!(delivery.log_start_offset(), one_batch.then_some(0), "librdkafka does not return it");
    cluster.delete_records_before(3);
    let delivery = sent::<S>(&cluster, &producer, batch(counted(5))).await;
    assert_eq!((delivery.base_offset(), delivery.log_start_offset()), (Some(5), one_batch.then_some(3)));
}

async fn a_missing_topic_is_created_or_reported_depending_on_the_broker_s_settings<S: Subject>() {
    let cluster = Cluster::real();
    let new = format!("{}-made", cluster.topic());
    let delivery = cluster.producer::<S>().publish_batch(Publish::to(&new).messages(&["first"])).await.unwrap();
    assert_eq!((delivery.topic_partition().topic.as_str(), delivery.base_offset()), (new.as_str(), Some(0)));

    let _turn = ONE_AT_A_TIME.lock().await;
    let config = vec![("auto.create.topics.enable".to_owned(), "false".to_owned())];
    let broker = Broker::start(release(), &Options { config, ..Options::default() }).unwrap();
    let patience = Duration::from_secs(4);
    let producer = S::create(Wanted { patience, ..wanted(broker.address().to_string()) });
    let error = producer.send_batch(batch(["v"]), TopicPartition::new("missing", 0)).await.unwrap_err();
    assert!(matches!(&error.reason, SendErrorReason::UnknownTopic { topic } if topic == "missing"), "{error}");
    assert_eq!((*error.batch, &*error.to.topic), (batch(["v"]), "missing"));
}

async fn an_added_partition_is_found_when_a_batch_is_sent_to_it<S: Subject>() {
    let cluster = Cluster::real();
    let producer = cluster.producer::<S>();
    sent::<S>(&cluster, &producer, batch(counted(1))).await; // the topic is known with three partitions
    cluster.add_partition();
    let delivery = producer.send_batch(batch(["v"]), cluster.partition(3)).await.unwrap().await.unwrap();
    assert_eq!(delivery.base_offset(), Some(0));
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
