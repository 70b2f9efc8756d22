//! The cluster of a case, and its logs.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{fs, process};

use kafka_batch::decode::RecordBatches;
use kafka_batch::proptest::OwnedRecord;
use kafka_batch::{BatchOptions, TopicPartition};
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::environment::variable;
use crate::futures::block_on;
use crate::log::{self, PATIENCE};
use crate::subject::{Subject, Wanted};

/// A cluster, and a topic of three partitions that no other case uses.
pub(crate) struct Cluster {
    mock: Option<MockCluster<'static, DefaultProducerContext>>,
    servers: String,
    topic: String,
}

impl Cluster {
    /// Starts one broker of librdkafka's mock cluster.
    pub(crate) fn new() -> Self {
        Self::of(1)
    }

    pub(crate) fn of(brokers: i32) -> Self {
        let mock = MockCluster::new(brokers).unwrap();
        let topic = name();
        mock.create_topic(&topic, 3, brokers.min(3)).unwrap();
        mock.partition_leader(&topic, 0, Some(1)).unwrap();
        Self { servers: mock.bootstrap_servers(), mock: Some(mock), topic }
    }

    /// Starts one whose partition 0 has no leader: batches to it wait until [`release`](Self::release).
    pub(crate) fn held() -> Self {
        let cluster = Self::new();
        cluster.mock().partition_leader(&cluster.topic, 0, None).unwrap();
        cluster
    }

    pub(crate) fn release(&self) {
        self.mock().partition_leader(&self.topic, 0, Some(1)).unwrap();
    }

    /// Connects to the Apache Kafka that the environment names. A case without it fails; it is not skipped.
    pub(crate) fn kafka() -> Self {
        Self::kafka_with(&[])
    }

    /// Connects with these settings of the topic.
    pub(crate) fn kafka_with(settings: &[(&str, &str)]) -> Self {
        Self::at(variable("KAFKA_BATCH_BROKERS"), settings)
    }

    /// Connects to the Kafka at this address.
    pub(crate) fn at(servers: String, settings: &[(&str, &str)]) -> Self {
        let topic = name();
        let admin: AdminClient<_> = ClientConfig::new().set("bootstrap.servers", &servers).create().unwrap();
        let new = NewTopic::new(&topic, 3, TopicReplication::Fixed(1));
        // Records of the years 1 and 9999 are not deleted.
        let any_time = [("message.timestamp.after.max.ms", "9223372036854775807"), ("retention.ms", "-1")];
        let new = any_time.iter().chain(settings).fold(new, |new, (name, value)| new.set(name, value));
        let made = block_on(admin.create_topics([&new], &AdminOptions::new().operation_timeout(Some(PATIENCE))));
        assert_eq!(made.unwrap(), [Ok(topic.clone())]);
        (0..3).for_each(|partition| wait_for_leader(&servers, &topic, partition));
        Self { mock: None, servers, topic }
    }

    pub(crate) fn mock(&self) -> &MockCluster<'static, DefaultProducerContext> {
        self.mock.as_ref().expect("a mock cluster")
    }

    pub(crate) fn topic(&self) -> &str {
        &self.topic
    }

    pub(crate) fn partition(&self, partition: i32) -> TopicPartition {
        TopicPartition::new(&self.topic, partition)
    }

    /// Sets the errors of the next Produce responses.
    pub(crate) fn produce_errors(&self, errors: &[RDKafkaRespErr]) {
        self.mock().request_errors(RDKafkaApiKey::Produce, errors);
    }

    pub(crate) fn wanted(&self) -> Wanted {
        wanted(self.servers.clone())
    }

    pub(crate) fn producer<S: Subject>(&self) -> S::Producer {
        S::create(self.wanted())
    }

    /// Returns the log of partition 0: each record and its offset.
    pub(crate) fn log(&self) -> Vec<(i64, OwnedRecord)> {
        self.log_of(0)
    }

    pub(crate) fn log_of(&self, partition: i32) -> Vec<(i64, OwnedRecord)> {
        log::of(&self.servers, &self.topic, partition)
    }

    /// Returns the values in the log of partition 0.
    pub(crate) fn values(&self) -> Vec<String> {
        log::values(self.log())
    }

    /// Deletes the records of partition 0 before this offset.
    pub(crate) fn delete_records_before(&self, offset: i64) {
        let admin: AdminClient<_> = ClientConfig::new().set("bootstrap.servers", &self.servers).create().unwrap();
        let mut until = TopicPartitionList::new();
        until.add_partition_offset(&self.topic, 0, Offset::Offset(offset)).unwrap();
        let deleted = block_on(admin.delete_records(&until, &AdminOptions::new().operation_timeout(Some(PATIENCE))));
        assert_eq!(deleted.unwrap().elements()[0].error(), Ok(()));
    }

    /// Adds a fourth partition.
    pub(crate) fn add_partition(&self) {
        let admin: AdminClient<_> = ClientConfig::new().set("bootstrap.servers", &self.servers).create().unwrap();
        let four = NewPartitions::new(&self.topic, 4);
        let made = block_on(admin.create_partitions([&four], &AdminOptions::new().operation_timeout(Some(PATIENCE))));
        assert_eq!(made.unwrap(), [Ok(self.topic.clone())]);
        wait_for_leader(&self.servers, &self.topic, 3);
    }

    /// Returns how many batches the log of partition 0 has, if this is a Kafka whose files are accessible.
    pub(crate) fn batches(&self) -> usize {
        let folder = PathBuf::from(variable("KAFKA_BATCH_KAFKA_DATA")).join(format!("{}-0", self.topic));
        let segment = fs::read(folder.join("00000000000000000000.log")).unwrap();
        RecordBatches::new(&segment).map(Result::unwrap).count()
    }
}

/// Returns a topic name that no other case uses, also with the mock cluster: a case may leave a producer with an
/// undelivered batch, and the next cluster may get the port to which that producer connects.
fn name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("conformance-{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Waits for the leaders of a new topic, which do not know it at first and return an error. Kafka does not report when
/// that ends.
fn wait_for_leader(servers: &str, topic: &str, partition: i32) {
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", servers).set("group.id", "tests").create().unwrap();
    let start = Instant::now();
    while let Err(error) = consumer.fetch_watermarks(topic, partition, PATIENCE) {
        assert!(start.elapsed() < PATIENCE, "{topic}-{partition} has no leader: {error}");
    }
}

/// Creates a producer for these brokers, with the settings of most cases.
pub(crate) fn wanted(servers: String) -> Wanted {
    let options = BatchOptions::default();
    Wanted { servers, options, buffer: 32 << 20, patience: Duration::from_secs(30), acks: "all", linger: "0", seed: 7 }
}
