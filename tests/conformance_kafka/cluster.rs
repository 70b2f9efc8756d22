//! The cluster of a case, and its logs: librdkafka's mock cluster, or an Apache Kafka.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use kafka_batch::decode::RecordBatches;
use kafka_batch::proptest::OwnedRecord;
use kafka_batch::{Delivery, Timestamp, TopicPartition};
use kafka_batch_witnesses::rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use kafka_batch_witnesses::rdkafka::client::DefaultClientContext;
use kafka_batch_witnesses::rdkafka::consumer::{BaseConsumer, Consumer};
use kafka_batch_witnesses::rdkafka::mocking::MockCluster;
use kafka_batch_witnesses::rdkafka::producer::DefaultProducerContext;
use kafka_batch_witnesses::rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use kafka_batch_witnesses::rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::consumer::{self, PATIENCE};
use crate::environment::variable;
use crate::futures::block_on;
use crate::log;
use crate::setup::{Answer, name, wanted};
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

    pub(crate) fn of(brokers: usize) -> Self {
        let brokers = brokers as i32;
        let mock = MockCluster::new(brokers).unwrap();
        let topic = name();
        mock.create_topic(&topic, 3, brokers.min(3)).unwrap();
        mock.partition_leader(&topic, 0, Some(1)).unwrap();
        Self { servers: mock.bootstrap_servers(), mock: Some(mock), topic }
    }

    /// Starts one broker of a release whose newest format is magic 1.
    pub(crate) fn of_magic_1() -> Self {
        let cluster = Self::new();
        cluster.mock().apiversion(RDKafkaApiKey::Produce, Some(0), Some(2)).unwrap();
        cluster
    }

    /// Starts one broker that does not create this topic when it is used.
    pub(crate) fn without(topic: &str) -> Self {
        let cluster = Self::new();
        cluster.mock().topic_error(topic, RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART).unwrap();
        cluster
    }

    /// Starts one broker whose topic has the time of the append as timestamp: any mock cluster.
    pub(crate) fn with_append_time() -> Self {
        Self::new()
    }

    /// Starts one whose partition 0 has no leader: batches to it wait until [`release`](Self::release).
    pub(crate) fn held() -> Self {
        let cluster = Self::new();
        cluster.mock().partition_leader(&cluster.topic, 0, None).unwrap();
        cluster
    }

    pub(crate) fn release(&self) {
        self.set_leader(0, 1);
    }

    pub(crate) fn set_leader(&self, partition: i32, broker: i32) {
        self.mock().partition_leader(&self.topic, partition, Some(broker)).unwrap();
    }

    pub(crate) fn stop_broker(&self, broker: i32) {
        self.mock().broker_down(broker).unwrap();
    }

    pub(crate) fn start_broker(&self, broker: i32) {
        self.mock().broker_up(broker).unwrap();
    }

    /// Lets all brokers execute requests, and respond after this test.
    pub(crate) fn hold_responses(&self) {
        self.hold_responses_of(-1);
    }

    pub(crate) fn hold_responses_of(&self, broker: i32) {
        self.mock().broker_round_trip_time(broker, Duration::from_secs(20)).unwrap();
    }

    pub(crate) fn end_of_holding(&self) {
        self.mock().broker_round_trip_time(-1, Duration::ZERO).unwrap();
    }

    /// Returns the timestamp that a delivery of a record with this timestamp has. Every Produce response of the mock broker has
    /// the same one.
    pub(crate) fn timestamp_in_delivery(&self, _of_record: i64) -> Timestamp {
        Timestamp::from_millis(1_234)
    }

    /// Asserts that a delivery has the broker's time.
    pub(crate) fn assert_has_append_time(&self, delivery: &Delivery) {
        assert_eq!(delivery.log_append_time(), Some(Timestamp::from_millis(1_234)));
    }

    /// Connects to the Apache Kafka that the environment names. A case without it fails; it is not skipped.
    pub(crate) fn real() -> Self {
        Self::real_with(&[])
    }

    /// Connects with these settings of the topic.
    pub(crate) fn real_with(settings: &[(&str, &str)]) -> Self {
        Self::at(variable("KAFKA_BATCH_BROKERS"), settings)
    }

    /// Connects to the Kafka at this address.
    pub(crate) fn at(servers: String, settings: &[(&str, &str)]) -> Self {
        let RealTopic { servers, name } = RealTopic::create(servers, settings);
        Self { mock: None, servers, topic: name }
    }

    fn mock(&self) -> &MockCluster<'static, DefaultProducerContext> {
        self.mock.as_ref().expect("a mock cluster")
    }

    pub(crate) fn topic(&self) -> &str {
        &self.topic
    }

    pub(crate) fn partition(&self, partition: i32) -> TopicPartition {
        TopicPartition::new(&self.topic, partition)
    }

    /// Sets how the next Produce requests are answered.
    pub(crate) fn answer_produce(&self, answers: &[Answer]) {
        let errors: Vec<_> = answers
            .iter()
            .map(|answer| match answer {
                Answer::Error(code) => RDKafkaRespErr::try_from(i32::from(code.0)).unwrap(),
                Answer::Close => RDKafkaRespErr::RD_KAFKA_RESP_ERR__TRANSPORT,
            })
            .collect();
        self.mock().request_errors(RDKafkaApiKey::Produce, &errors);
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
        self.log_of_topic(&self.topic, partition)
    }

    pub(crate) fn log_of_topic(&self, topic: &str, partition: i32) -> Vec<(i64, OwnedRecord)> {
        consumer::log_of(&self.servers, topic, partition)
    }

    /// Returns the values in the log of partition 0.
    pub(crate) fn values(&self) -> Vec<String> {
        log::values(self.log())
    }

    /// Deletes the records of partition 0 before this offset.
    pub(crate) fn delete_records_before(&self, offset: i64) {
        let mut until = TopicPartitionList::new();
        until.add_partition_offset(&self.topic, 0, Offset::Offset(offset)).unwrap();
        let deleted = block_on(admin(&self.servers).delete_records(&until, &options()));
        assert_eq!(deleted.unwrap().elements()[0].error(), Ok(()));
    }

    /// Adds a fourth partition.
    pub(crate) fn add_partition(&self) {
        let four = NewPartitions::new(&self.topic, 4);
        let made = block_on(admin(&self.servers).create_partitions([&four], &options()));
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

/// A topic of three partitions in an Apache Kafka.
#[derive(Clone, Debug)]
pub(crate) struct RealTopic {
    pub(crate) servers: String,
    pub(crate) name: String,
}

impl RealTopic {
    /// Creates one that no other case uses.
    pub(crate) fn create(servers: String, settings: &[(&str, &str)]) -> Self {
        let topic = Self { servers, name: name() };
        topic.create_with(settings);
        topic
    }

    fn create_with(&self, settings: &[(&str, &str)]) {
        let new = NewTopic::new(&self.name, 3, TopicReplication::Fixed(1));
        // Records of the years 1 and 9999 are not deleted.
        let any_time = [("message.timestamp.after.max.ms", "9223372036854775807"), ("retention.ms", "-1")];
        let new = any_time.iter().chain(settings).fold(new, |new, (name, value)| new.set(name, value));
        let made = block_on(admin(&self.servers).create_topics([&new], &options()));
        assert_eq!(made.unwrap(), [Ok(self.name.clone())]);
        (0..3).for_each(|partition| wait_for_leader(&self.servers, &self.name, partition));
    }

    /// Creates it again, after it was deleted.
    pub(crate) fn create_again(&self) {
        self.create_with(&[]);
    }

    pub(crate) fn delete(&self) {
        let deleted = block_on(admin(&self.servers).delete_topics(&[&self.name], &options()));
        assert_eq!(deleted.unwrap(), [Ok(self.name.clone())]);
    }

    pub(crate) fn partition(&self, partition: i32) -> TopicPartition {
        TopicPartition::new(&self.name, partition)
    }

    /// Returns the values in the log of a partition.
    pub(crate) fn values(&self, partition: i32) -> Vec<String> {
        log::values(consumer::log_of(&self.servers, &self.name, partition))
    }
}

fn admin(servers: &str) -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", servers).create().unwrap()
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(PATIENCE))
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
