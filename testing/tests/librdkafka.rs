//! librdkafka's transactional producer and its consumer, with brokers of three levels: what it commits, aborts and is refused is
//! what it would be with Apache Kafka.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use kafka_batch_testing::{
    ApiKey, BatchOutcome, CoordinatorKind, Fault, FaultKind, Release, TestCluster, Topic, TransactionState,
};
use kafka_batch_witnesses::rdkafka::config::ClientConfig;
use kafka_batch_witnesses::rdkafka::consumer::{BaseConsumer, Consumer as _};
use kafka_batch_witnesses::rdkafka::error::{KafkaError, RDKafkaErrorCode};
use kafka_batch_witnesses::rdkafka::message::Message as _;
use kafka_batch_witnesses::rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use kafka_batch_witnesses::rdkafka::topic_partition_list::{Offset, TopicPartitionList};

/// The time after which a test fails that would hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// librdkafka speaks the protocol of level 0 with each of them.
const RELEASES: [Release; 4] = [Release::V0_11, Release::V2_8, Release::V3_9, Release::NEWEST];

fn cluster(release: Release) -> TestCluster {
    let topic = Topic::new("t").partitions(2);
    TestCluster::builder().brokers(3).release(release).topic(topic).start().unwrap()
}

fn producer(cluster: &TestCluster) -> BaseProducer {
    ClientConfig::new()
        .set("bootstrap.servers", cluster.bootstrap_servers())
        .set("transactional.id", "a")
        .set("transaction.timeout.ms", "60000")
        .set("retry.backoff.ms", "10")
        .create()
        .unwrap()
}

fn ready(cluster: &TestCluster) -> BaseProducer {
    let producer = producer(cluster);
    producer.init_transactions(PATIENCE).unwrap();
    producer
}

fn send(producer: &BaseProducer, partition: i32, value: &str) {
    producer
        .send(BaseRecord::<(), str>::to("t").partition(partition).payload(value))
        .map_err(|(error, _)| error)
        .unwrap();
}

fn consumer(cluster: &TestCluster, isolation: &str) -> BaseConsumer {
    ClientConfig::new()
        .set("bootstrap.servers", cluster.bootstrap_servers())
        .set("group.id", "g")
        .set("isolation.level", isolation)
        .set("enable.partition.eof", "true")
        .set("enable.auto.commit", "false")
        .create()
        .unwrap()
}

/// Returns the values of a partition that a consumer reads up to the end that it sees.
fn read(cluster: &TestCluster, partition: i32, isolation: &str) -> Vec<String> {
    let consumer = consumer(cluster, isolation);
    let mut assigned = TopicPartitionList::new();
    assigned.add_partition_offset("t", partition, Offset::Beginning).unwrap();
    consumer.assign(&assigned).unwrap();
    let mut values = Vec::new();
    loop {
        match consumer.poll(PATIENCE).expect("a message or the end") {
            Ok(message) => values.push(String::from_utf8(message.payload().unwrap().to_vec()).unwrap()),
            Err(KafkaError::PartitionEOF(_)) => return values,
            Err(error) => panic!("{error}"),
        }
    }
}

fn code(error: &KafkaError) -> RDKafkaErrorCode {
    error.rdkafka_error_code().unwrap_or_else(|| panic!("{error}"))
}

#[test]
fn commits_and_aborts_are_read_as_such() {
    for release in RELEASES {
        let cluster = cluster(release);
        let producer = ready(&cluster);
        for (name, commits) in [("first", true), ("second", false), ("third", true), ("fourth", false)] {
            producer.begin_transaction().unwrap();
            (0..2).for_each(|partition| send(&producer, partition, name));
            if commits {
                producer.commit_transaction(PATIENCE).unwrap();
            } else {
                // Else nothing is sent.
                producer.flush(PATIENCE).unwrap();
                producer.abort_transaction(PATIENCE).unwrap();
            }
        }
        for partition in 0..2 {
            assert_eq!(read(&cluster, partition, "read_committed"), ["first", "third"], "{release:?}");
            let all = read(&cluster, partition, "read_uncommitted");
            assert_eq!(all, ["first", "second", "third", "fourth"], "{release:?}");
        }
        assert_eq!(cluster.violations(), Vec::<String>::new(), "{release:?}");
    }
}

#[test]
fn an_open_transaction_is_not_read() {
    let cluster = cluster(Release::NEWEST);
    let producer = ready(&cluster);
    producer.begin_transaction().unwrap();
    send(&producer, 0, "x");
    producer.flush(PATIENCE).unwrap();
    assert_eq!(read(&cluster, 0, "read_committed"), Vec::<String>::new());
    assert_eq!(read(&cluster, 0, "read_uncommitted"), ["x"]);
    let log = cluster.log("t", 0).unwrap();
    assert_eq!(log.outcomes()[0].1, Some(BatchOutcome::Open));
    producer.commit_transaction(PATIENCE).unwrap();
    assert_eq!(read(&cluster, 0, "read_committed"), ["x"]);
}

#[test]
fn offsets_are_committed_with_the_transaction() {
    for release in RELEASES {
        let cluster = cluster(release);
        let producer = ready(&cluster);
        let consumer = consumer(&cluster, "read_committed");
        for (offset, commits, expected) in [(5, true, 5), (7, false, 5), (9, true, 9)] {
            producer.begin_transaction().unwrap();
            let mut offsets = TopicPartitionList::new();
            offsets.add_partition_offset("t", 1, Offset::Offset(offset)).unwrap();
            let metadata = consumer.group_metadata().unwrap();
            producer.send_offsets_to_transaction(&offsets, &metadata, PATIENCE).unwrap();
            if commits {
                producer.commit_transaction(PATIENCE).unwrap();
            } else {
                producer.abort_transaction(PATIENCE).unwrap();
            }
            let mut wanted = TopicPartitionList::new();
            wanted.add_partition("t", 1);
            let committed = consumer.committed_offsets(wanted, PATIENCE).unwrap();
            let found = committed.find_partition("t", 1).unwrap().offset();
            assert_eq!(found, Offset::Offset(expected), "{release:?}");
        }
        assert_eq!(cluster.committed_offsets("g")[0].1.offset, 9);
    }
}

#[test]
fn a_second_instance_fences_the_first() {
    for release in RELEASES {
        let cluster = cluster(release);
        let first = ready(&cluster);
        first.begin_transaction().unwrap();
        send(&first, 0, "first");
        first.flush(PATIENCE).unwrap();
        let second = ready(&cluster);
        let error = first.commit_transaction(PATIENCE).unwrap_err();
        let fenced =
            [RDKafkaErrorCode::Fenced, RDKafkaErrorCode::ProducerFenced, RDKafkaErrorCode::InvalidProducerEpoch];
        assert!(fenced.contains(&code(&error)), "{release:?}: {error}");
        second.begin_transaction().unwrap();
        send(&second, 0, "second");
        second.commit_transaction(PATIENCE).unwrap();
        assert_eq!(read(&cluster, 0, "read_committed"), ["second"], "{release:?}");
    }
}

#[test]
fn transactions_survive_coordinators_and_answers_that_are_lost() {
    let cluster = cluster(Release::NEWEST);
    let producer = ready(&cluster);
    let coordinator = || cluster.coordinator(CoordinatorKind::Transaction, "a").unwrap();
    let mut expected = Vec::new();
    for round in 0..6 {
        let value = format!("value {round}");
        producer.begin_transaction().unwrap();
        send(&producer, 0, &value);
        producer.flush(PATIENCE).unwrap();
        match round {
            0 => assert!(cluster.move_coordinator(CoordinatorKind::Transaction, "a", coordinator() % 3 + 1)),
            1 => {
                let killed = coordinator();
                assert!(cluster.kill(killed) && cluster.restart(killed).unwrap());
            }
            2 => cluster.inject(Fault::new(FaultKind::CloseConnection { executed: true }).api(ApiKey::EndTxn)),
            3 => cluster.inject(Fault::new(FaultKind::Refuse { code: 14, all: true }).api(ApiKey::EndTxn).times(3)),
            4 => cluster.inject(Fault::new(FaultKind::Refuse { code: 51, all: true }).api(ApiKey::EndTxn).times(3)),
            _ => cluster.inject(Fault::new(FaultKind::ExecuteAndRefuse { code: 15 }).api(ApiKey::EndTxn)),
        }
        producer.commit_transaction(PATIENCE).unwrap();
        expected.push(value);
    }
    assert_eq!(read(&cluster, 0, "read_committed"), expected);
}

#[test]
fn the_next_transaction_waits_for_the_markers() {
    let cluster = cluster(Release::NEWEST);
    let producer = ready(&cluster);
    producer.begin_transaction().unwrap();
    send(&producer, 0, "x");
    producer.flush(PATIENCE).unwrap();
    cluster.hold_markers("t", 0);
    producer.commit_transaction(PATIENCE).unwrap();
    assert_eq!(cluster.transaction("a").unwrap().state, TransactionState::PrepareCommit);
    assert_eq!(read(&cluster, 0, "read_committed"), Vec::<String>::new());
    producer.begin_transaction().unwrap();
    send(&producer, 0, "y");
    let (done, is_done) = mpsc::channel();
    let waiting = thread::spawn(move || {
        let committed = producer.commit_transaction(PATIENCE);
        done.send(()).unwrap();
        committed
    });
    let mut refused = 0;
    let is_third = |request: &kafka_batch_testing::ReceivedRequest| {
        refused += u32::from(request.api == ApiKey::AddPartitionsToTxn);
        refused > 3
    };
    assert!(cluster.wait_for_request(PATIENCE, is_third).is_some(), "it asks again");
    assert!(is_done.try_recv().is_err(), "it is not committed before the first one is complete");
    cluster.release_markers();
    waiting.join().unwrap().unwrap();
    assert_eq!(read(&cluster, 0, "read_committed"), ["x", "y"]);
}

#[test]
fn a_transaction_that_timed_out_is_not_committed() {
    let cluster = cluster(Release::NEWEST);
    let producer = ready(&cluster);
    producer.begin_transaction().unwrap();
    send(&producer, 0, "x");
    producer.flush(PATIENCE).unwrap();
    assert!(cluster.time_out_transaction("a"));
    assert!(producer.commit_transaction(PATIENCE).is_err());
    assert_eq!(read(&cluster, 0, "read_committed"), Vec::<String>::new());
}
