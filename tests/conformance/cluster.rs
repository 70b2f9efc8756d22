//! The cluster of a case, and its logs: that of `kafka-batch-testing`.

use std::time::{Duration, SystemTime};

use kafka_batch::proptest::{OwnedHeader, OwnedRecord};
use kafka_batch::{Delivery, Timestamp, TopicPartition};
use kafka_batch_testing::{ApiKey, Fault, FaultKind, Release, StoredRecord, TestCluster, TestClusterBuilder, Topic};

use crate::log;
use crate::setup::{Answer, name, wanted};
use crate::subject::{Subject, Wanted};

/// A cluster, and a topic of three partitions that no other case uses.
pub(crate) struct Cluster {
    cluster: TestCluster,
    topic: String,
}

impl Cluster {
    /// Starts one broker.
    pub(crate) fn new() -> Self {
        Self::of(1)
    }

    pub(crate) fn of(brokers: usize) -> Self {
        Self::with(TestCluster::builder().brokers(brokers), |topic| topic)
    }

    fn with(builder: TestClusterBuilder, settings: impl FnOnce(Topic) -> Topic) -> Self {
        let topic = name();
        let cluster = builder.topic(settings(Topic::new(&topic).partitions(3))).start().unwrap();
        cluster.move_leader(&topic, 0, 1);
        Self { cluster, topic }
    }

    /// Starts one broker of a release whose newest format is magic 1.
    pub(crate) fn of_magic_1() -> Self {
        Self::with(TestCluster::builder().release(Release::V0_10), |topic| topic)
    }

    /// Starts one broker that does not create this topic when it is used.
    pub(crate) fn without(_topic: &str) -> Self {
        Self::with(TestCluster::builder().auto_create(false), |topic| topic)
    }

    /// Starts one broker whose topic has the time of the append as timestamp.
    pub(crate) fn with_append_time() -> Self {
        Self::with(TestCluster::builder(), Topic::log_append_time)
    }

    /// Starts one broker: it behaves like Apache Kafka's.
    pub(crate) fn real() -> Self {
        Self::new()
    }

    /// Starts one with these settings of the topic.
    pub(crate) fn real_with(settings: &[(&str, &str)]) -> Self {
        Self::with(TestCluster::builder(), |topic| {
            settings.iter().fold(topic, |topic, setting| match *setting {
                ("message.timestamp.type", "LogAppendTime") => topic.log_append_time(),
                ("cleanup.policy", "compact") => topic.compacted(),
                ("max.message.bytes", bytes) => topic.max_message_bytes(bytes.parse().unwrap()),
                other => panic!("{other:?} is not a setting of this cluster"),
            })
        })
    }

    /// Starts one whose partition 0 has no leader: batches to it wait until [`release`](Self::release).
    pub(crate) fn held() -> Self {
        let cluster = Self::new();
        assert!(cluster.cluster.remove_leader(&cluster.topic, 0));
        cluster
    }

    pub(crate) fn release(&self) {
        self.set_leader(0, 1);
    }

    pub(crate) fn set_leader(&self, partition: i32, broker: i32) {
        assert!(self.cluster.move_leader(&self.topic, partition, broker));
    }

    pub(crate) fn stop_broker(&self, broker: i32) {
        assert!(self.cluster.kill(broker));
    }

    pub(crate) fn start_broker(&self, broker: i32) {
        assert!(self.cluster.restart(broker).unwrap());
    }

    /// Lets all brokers execute requests, and respond after this test.
    pub(crate) fn hold_responses(&self) {
        self.cluster.inject(Fault::new(FaultKind::DelayResponse(Duration::MAX)).always());
    }

    pub(crate) fn hold_responses_of(&self, broker: i32) {
        assert!(self.cluster.inject_at(broker, Fault::new(FaultKind::DelayResponse(Duration::MAX)).always()));
    }

    pub(crate) fn end_of_holding(&self) {
        self.cluster.end_faults();
        self.cluster.release_held();
    }

    /// Returns the timestamp that a delivery of a record with this timestamp has.
    pub(crate) fn timestamp_in_delivery(&self, of_record: i64) -> Timestamp {
        Timestamp::from_millis(of_record)
    }

    /// Asserts that a delivery has the broker's time.
    pub(crate) fn assert_has_append_time(&self, delivery: &Delivery) {
        let age = Timestamp::from(SystemTime::now()).millis() - delivery.log_append_time().unwrap().millis();
        assert!((0..60_000).contains(&age), "{age} ms");
    }

    pub(crate) fn topic(&self) -> &str {
        &self.topic
    }

    pub(crate) fn partition(&self, partition: i32) -> TopicPartition {
        TopicPartition::new(&self.topic, partition)
    }

    /// Sets how the next Produce requests are answered.
    pub(crate) fn answer_produce(&self, answers: &[Answer]) {
        for answer in answers {
            let kind = match answer {
                Answer::Error(code) => FaultKind::Refuse { code: code.0, all: true },
                Answer::Close => FaultKind::CloseConnection { executed: false },
            };
            self.cluster.inject(Fault::new(kind).api(ApiKey::Produce));
        }
    }

    pub(crate) fn wanted(&self) -> Wanted {
        wanted(self.cluster.bootstrap_servers())
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
        let log = self.cluster.log(topic, partition).expect("the partition");
        log.records().expect("valid batches").into_iter().map(owned).collect()
    }

    /// Returns the values in the log of partition 0.
    pub(crate) fn values(&self) -> Vec<String> {
        log::values(self.log())
    }

    /// Returns how many batches the log of partition 0 has.
    pub(crate) fn batches(&self) -> usize {
        self.cluster.log(&self.topic, 0).expect("the partition").batches().len()
    }
}

/// Whatever a case does, what the producer sends is well-formed.
impl Drop for Cluster {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let mut violations = self.cluster.violations();
            violations.retain(|violation| !violation.ends_with("some records are rejected")); // a case wants that
            assert_eq!(violations, [""; 0]);
        }
    }
}

fn owned(StoredRecord { offset, timestamp_ms, key, value, headers, .. }: StoredRecord) -> (i64, OwnedRecord) {
    let headers = headers.into_iter().map(|(name, value)| OwnedHeader { name, value: value.map(Vec::from) }).collect();
    let timestamp = Some(Timestamp::from_millis(timestamp_ms));
    (offset, OwnedRecord { key: key.map(Vec::from), value: value.map(Vec::from), headers, timestamp })
}
