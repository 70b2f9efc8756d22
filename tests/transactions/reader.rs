//! What librdkafka's consumer reads.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use kafka_batch_witnesses::rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerGroupMetadata};
use kafka_batch_witnesses::rdkafka::error::KafkaError;
use kafka_batch_witnesses::rdkafka::{ClientConfig, Message as _, Offset, TopicPartitionList};

use super::broker::Kafka;

/// How long a marker may take, or an offset.
const PATIENCE: Duration = Duration::from_secs(60);

fn consumer(kafka: &Kafka, group: &str, isolation_level: &str) -> BaseConsumer {
    ClientConfig::new()
        .set("bootstrap.servers", &kafka.address)
        .set("group.id", group)
        .set("isolation.level", isolation_level)
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .set("enable.partition.eof", "true")
        .set("check.crcs", "true")
        .set("fetch.wait.max.ms", "50")
        .create()
        .unwrap()
}

/// Reads each partition from its beginning to its end: with `read_committed` to the last stable offset.
pub(crate) fn read(kafka: &Kafka, topic: &str, partitions: i32, isolation_level: &str) -> BTreeMap<i32, Vec<String>> {
    let consumer = consumer(kafka, "reader-of-transactions", isolation_level);
    let mut list = TopicPartitionList::new();
    for partition in 0..partitions {
        list.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
    }
    consumer.assign(&list).unwrap();
    let mut values: BTreeMap<i32, Vec<String>> = (0..partitions).map(|partition| (partition, Vec::new())).collect();
    let mut ended = BTreeSet::new();
    while ended.len() < partitions as usize {
        match consumer.poll(PATIENCE).expect("a record, or the end of a partition") {
            Ok(message) => {
                let value = String::from_utf8(message.payload().expect("a value").to_vec()).unwrap();
                values.get_mut(&message.partition()).expect("a partition of the topic").push(value);
            }
            Err(KafkaError::PartitionEOF(partition)) => {
                ended.insert(partition);
            }
            Err(error) => panic!("{error}"),
        }
    }
    values
}

/// Waits until these values, and no others, are read from each partition as committed.
pub(crate) fn wait_for(kafka: &Kafka, topic: &str, partitions: i32, expected: &BTreeMap<i32, Vec<String>>) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = read(kafka, topic, partitions, "read_committed");
        if found == *expected {
            return;
        }
        // A commit may be visible a moment later; what is not to be committed never is.
        let is_part = found.iter().all(|(partition, values)| expected[partition].starts_with(values));
        assert!(is_part && Instant::now() < deadline, "{found:?} instead of {expected:?}");
    }
}

/// Returns the offset that a group has committed for a partition.
pub(crate) fn committed_offset(kafka: &Kafka, group: &str, topic: &str, partition: i32) -> Option<i64> {
    let consumer = consumer(kafka, group, "read_committed");
    let mut list = TopicPartitionList::new();
    list.add_partition(topic, partition);
    // librdkafka repeats the request while an offset is of an open transaction.
    let committed = consumer.committed_offsets(list, PATIENCE).unwrap();
    match committed.elements()[0].offset() {
        Offset::Offset(offset) => Some(offset),
        _ => None,
    }
}

/// A member of a group, which has all partitions of a topic.
pub(crate) struct Member(BaseConsumer);

impl Member {
    /// Joins the group, and reads a record, so that its partitions are assigned.
    pub(crate) fn join(kafka: &Kafka, group: &str, topic: &str) -> Self {
        let consumer = consumer(kafka, group, "read_committed");
        consumer.subscribe(&[topic]).unwrap();
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            match consumer.poll(Duration::from_secs(1)) {
                Some(Ok(_)) => return Self(consumer),
                None | Some(Err(KafkaError::PartitionEOF(_))) => {} // it joins the group
                Some(Err(error)) => panic!("{error}"),
            }
        }
        panic!("no record within {PATIENCE:?}");
    }

    pub(crate) fn metadata(&self) -> ConsumerGroupMetadata {
        self.0.group_metadata().expect("a consumer with a group")
    }

    /// Leaves the group.
    pub(crate) fn leave(self) {}
}
