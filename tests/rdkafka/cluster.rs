//! The cluster of a test, and its logs.

use kafka_batch::proptest::OwnedRecord;
use kafka_batch::transports::rdkafka::ProducerBuilder;
use kafka_batch::transports::rdkafka::rdkafka::mocking::MockCluster;
use kafka_batch::transports::rdkafka::rdkafka::producer::DefaultProducerContext;
use kafka_batch::{RdkafkaProducer, TopicPartition};

use crate::{consumer, log};

pub(crate) struct Cluster {
    pub(crate) mock: MockCluster<'static, DefaultProducerContext>,
}

impl Cluster {
    /// Starts one broker, with the topic "t" of three partitions.
    pub(crate) fn new() -> Self {
        Self::of(1)
    }

    pub(crate) fn of(brokers: i32) -> Self {
        let mock = MockCluster::new(brokers).unwrap();
        mock.create_topic("t", 3, 1).unwrap();
        Self { mock }
    }

    /// Starts one whose partition 0 has no leader: batches to it wait in librdkafka until [`release`](Self::release).
    pub(crate) fn held() -> Self {
        let cluster = Self::new();
        cluster.mock.partition_leader("t", 0, None).unwrap();
        cluster
    }

    pub(crate) fn release(&self) {
        self.mock.partition_leader("t", 0, Some(1)).unwrap();
    }

    pub(crate) fn producer(&self) -> RdkafkaProducer {
        self.builder().build().unwrap()
    }

    pub(crate) fn builder(&self) -> ProducerBuilder {
        RdkafkaProducer::builder()
            .set("bootstrap.servers", self.mock.bootstrap_servers())
            .set("linger.ms", "1")
            .set("topic.metadata.refresh.fast.interval.ms", "10") // how soon a leader is found
    }

    /// Returns the log of partition 0: each record and its offset.
    pub(crate) fn log(&self) -> Vec<(i64, OwnedRecord)> {
        self.log_of(0)
    }

    pub(crate) fn log_of(&self, partition: i32) -> Vec<(i64, OwnedRecord)> {
        consumer::log_of(&self.mock.bootstrap_servers(), "t", partition)
    }

    /// Returns the values in the log of partition 0.
    pub(crate) fn values(&self) -> Vec<String> {
        log::values(self.log())
    }
}

/// Partition 0 of the topic.
pub(crate) fn t0() -> TopicPartition {
    TopicPartition::new("t", 0)
}
