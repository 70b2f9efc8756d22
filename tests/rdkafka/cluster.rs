//! A cluster of the test's own, and what is in its logs.

use std::time::{Duration, Instant};

use kafka_batch::kit::{OwnedHeader, OwnedRecord};
use kafka_batch::rdkafka::{ProducerBuilder, RdkafkaProducer};
use kafka_batch::{BatchOptions, KafkaBatch, Record, Timestamp, TopicPartition};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Headers};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

/// Only so that a test that would hang fails instead.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Cluster {
    pub(crate) mock: MockCluster<'static, DefaultProducerContext>,
}

impl Cluster {
    /// One broker, with the topic "t" of three partitions.
    pub(crate) fn new() -> Self {
        let mock = MockCluster::new(1).unwrap();
        mock.create_topic("t", 3, 1).unwrap();
        Self { mock }
    }

    /// One whose partition 0 has no leader: what goes there waits in librdkafka until [`release`](Self::release).
    pub(crate) fn held() -> Self {
        let cluster = Self::new();
        cluster.mock.partition_leader("t", 0, None).unwrap();
        cluster
    }

    pub(crate) fn release(&self) {
        self.mock.partition_leader("t", 0, Some(1)).unwrap();
    }

    pub(crate) fn producer(&self) -> RdkafkaProducer {
        self.builder().create().unwrap()
    }

    pub(crate) fn builder(&self) -> ProducerBuilder {
        RdkafkaProducer::builder()
            .set("bootstrap.servers", self.mock.bootstrap_servers())
            .set("linger.ms", "1")
            .set("topic.metadata.refresh.fast.interval.ms", "10") // how soon a leader is found
    }

    /// What is in the log of partition 0: each record and its offset.
    pub(crate) fn log(&self) -> Vec<(i64, OwnedRecord)> {
        self.log_of(0)
    }

    pub(crate) fn log_of(&self, partition: i32) -> Vec<(i64, OwnedRecord)> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", self.mock.bootstrap_servers())
            .set("group.id", "tests")
            .create()
            .unwrap();
        let (low, high) = consumer.fetch_watermarks("t", partition, PATIENCE).unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_offset("t", partition, Offset::Beginning).unwrap();
        consumer.assign(&list).unwrap();
        let start = Instant::now();
        let mut log = Vec::new();
        while (log.len() as i64) < high - low {
            assert!(start.elapsed() < PATIENCE, "{} of {low}..{high} could be read", log.len());
            if let Some(message) = consumer.poll(Duration::from_millis(100)) {
                let message = message.unwrap();
                log.push((message.offset(), owned(&message)));
            }
        }
        log
    }

    /// The values in the log of partition 0.
    pub(crate) fn values(&self) -> Vec<String> {
        self.log().into_iter().map(|(_, record)| String::from_utf8(record.value.unwrap()).unwrap()).collect()
    }
}

fn owned(message: &BorrowedMessage<'_>) -> OwnedRecord {
    let headers = message.headers().map(|headers| {
        let owned = |header: rdkafka::message::Header<'_, &[u8]>| OwnedHeader {
            name: header.key.to_owned(),
            value: header.value.map(Vec::from),
        };
        headers.iter().map(owned).collect()
    });
    OwnedRecord {
        key: message.key().map(Vec::from),
        value: message.payload().map(Vec::from),
        headers: headers.unwrap_or_default(),
        timestamp: Some(match message.timestamp() {
            rdkafka::Timestamp::CreateTime(time) => Timestamp::from_millis(time),
            rdkafka::Timestamp::NotAvailable => Timestamp::NO_TIMESTAMP,
            rdkafka::Timestamp::LogAppendTime(time) => panic!("a mock broker stamped a record with {time}"),
        }),
    }
}

/// Partition 0 of the topic.
pub(crate) fn t0() -> TopicPartition {
    TopicPartition::new("t", 0)
}

/// A batch of these values.
pub(crate) fn batch<V: AsRef<[u8]>>(values: impl IntoIterator<Item = V>) -> KafkaBatch {
    let mut batch = BatchOptions::default().batch_size(1 << 20).build(1_700_000_000_000).unwrap();
    for value in values {
        assert!(!batch.append(Record::new(value.as_ref())).unwrap().is_full());
    }
    batch
}

/// The values "0", "1" … of so many records.
pub(crate) fn counted(count: usize) -> Vec<String> {
    (0..count).map(|number| number.to_string()).collect()
}
