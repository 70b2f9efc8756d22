//! `blocking`: the machine over the sockets of the standard library.

use std::time::Duration;

use kafka_batch_testing::{ApiKey, Fault, FaultKind, TestCluster, Topic, TransactionState};

use crate::{Run, example, number, run};

/// From brokers that are not inside the program, records are read with librdkafka's consumer.
const READ_BACK: &str = if cfg!(feature = "rdkafka") {
    "all read back as they were published"
} else {
    "not read back, which needs --features rdkafka; to see them:"
};

/// The time after which a test fails that would hang.
const PATIENCE: Duration = Duration::from_secs(20);

fn blocking(arguments: &[&str]) -> Run {
    run(example("blocking").args(arguments), b"")
}

#[test]
fn blocking_without_arguments_publishes_over_plain_sockets() {
    let run = blocking(&[]);
    assert_eq!((run.status, run.err.as_str()), (0, ""), "{}", run.out);
    assert!(run.out.contains(": Produce v13, which takes magic 2; Metadata v13; InitProducerId v5"), "{}", run.out);
    assert!(run.out.contains("records  10000, all read back as they were published"), "{}", run.out);
    let batches: Vec<_> = run.out.lines().filter(|line| line.starts_with("batch ")).collect();
    assert_eq!(batches.len(), number(&run, "batches "));
    for partition in 0..3 {
        let suffix = format!(" of readings-{partition}");
        let first = batches.iter().find(|line| line.ends_with(&suffix)).expect("a batch");
        assert!(first.contains(" records at offsets 0 to "), "{first}");
    }
}

#[test]
fn blocking_publishes_as_its_options_say() {
    let cluster =
        TestCluster::builder().brokers(2).topic(Topic::new("orders").partitions(2)).start().expect("a cluster");
    let brokers = cluster.bootstrap_servers();
    let mut stored = 0;
    for (acks, seen) in
        [("all", READ_BACK), ("1", READ_BACK), ("0", "not read back: with --acks 0 their offsets are unknown")]
    {
        let to = ["--brokers", &brokers, "--topic", "orders", "--partition", "1", "--acks", acks];
        let run = blocking(&[&to[..], &["--count", "50", "--batch-size", "300", "--compression", "gzip:9"]].concat());
        stored += 50;
        assert_eq!((run.status, run.err.as_str()), (0, ""), "{}", run.out);
        assert!(run.out.contains(&format!("records  50, {seen}\n")), "{}", run.out);
        // With acks=0, the program does not wait until they are.
        let limit = Duration::from_secs(20);
        let log = cluster.wait_for_records("orders", 1, stored, limit).expect("the records are stored");
        assert_eq!(log.records().expect("valid batches").len(), stored);
        assert!(number(&run, "batches ") > 5);
        assert!(!run.out.contains("orders-0"), "{}", run.out);
    }
    assert_eq!(blocking(&["--count", "0"]).status, 0);
}

/// More than a socket accepts in one write, and by a name that may have several addresses.
#[test]
fn blocking_writes_large_batches_completely() {
    let cluster = TestCluster::start();
    cluster.create_topic("orders").unwrap();
    let brokers = cluster.bootstrap_servers().replace("127.0.0.1", "localhost");
    let to = ["--brokers", &brokers, "--topic", "orders", "--count", "90000"];
    let run = blocking(&[&to[..], &["--batch-size", "1000000", "--compression", "none"]].concat());
    assert_eq!((run.status, run.err.as_str()), (0, ""), "{}", run.out);
    assert!(run.out.contains(&format!("records  90000, {READ_BACK}\n")), "{}", run.out);
    let stored = cluster.log("orders", 0).expect("the partition").values().expect("valid batches");
    assert!(stored.iter().enumerate().all(|(n, value)| value.starts_with(&format!("reading {n}: "))));
    assert_eq!(stored.len(), 90_000);
    assert!((3..6).contains(&number(&run, "batches ")), "{}", run.out);
}

#[test]
fn blocking_publishes_in_transactions_with_an_offset_of_a_group() {
    let cluster =
        TestCluster::builder().brokers(3).topic(Topic::new("orders").partitions(2)).start().expect("a cluster");
    let brokers = cluster.bootstrap_servers();
    let to = ["--brokers", &brokers, "--topic", "orders", "--batch-size", "300", "--compression", "none"];
    let transactions = ["--transactional-id", "orders-1", "--transaction-records", "20", "--group", "published"];
    let committed = || -> usize {
        let ended = cluster.wait_for_transaction("orders-1", PATIENCE, |transaction| {
            matches!(transaction.state, TransactionState::CompleteCommit | TransactionState::CompleteAbort)
        });
        assert!(ended.is_some(), "its markers are written");
        let logs = (0..2).filter_map(|partition| cluster.log("orders", partition));
        logs.map(|log| log.committed_records().expect("valid batches").len()).sum()
    };
    let mut before = 0;
    for level in [0, 1, 2] {
        cluster.set_transaction_version(level);
        let run = blocking(&[&to[..], &transactions, &["--count", "100"]].concat());
        assert_eq!((run.status, run.err.as_str()), (0, ""), "{}", run.out);
        assert!((4..=5).contains(&number(&run, "transactions ")), "{}", run.out);
        assert!(run.out.contains(&format!("records  100, {READ_BACK}\n")), "{}", run.out);
        before += 100;
        assert_eq!(committed(), before, "level {level}");
        let (_, offset) = cluster.committed_offsets("published").remove(0);
        assert_eq!(offset.offset, 100);
    }

    // A batch that is refused: the transaction is aborted before the program ends, and what was committed stays.
    cluster.inject(Fault::new(FaultKind::Refuse { code: 87, all: true }).api(ApiKey::Produce));
    let run = blocking(&[&to[..], &transactions, &["--count", "100"]].concat());
    run.fails(1, &["INVALID_RECORD", "publish the rest"]);
    assert_eq!(committed(), before);
}

#[test]
fn blocking_reports_errors_with_remedies() {
    blocking(&["--brokers", "localhost"]).fails(2, &["--brokers", "HOST:PORT"]);
    blocking(&["--acks", "2"]).fails(2, &["--acks", "all, 1 or 0"]);
    blocking(&["--partition", "3"]).fails(1, &["--partition 3", "name one from 0 to 2"]);
    let expected = "cannot be published to: no response arrived within request.timeout.ms (";
    blocking(&["--topic", "no such name", "--brokers", "127.0.0.1:1", "--timeout", "2"])
        .fails(1, &["127.0.0.1:1: could not connect: Connection refused", expected, "remedy: "]);

    let cluster = TestCluster::start();
    cluster.create_topic("orders").unwrap();
    let topic_authorization_failed = FaultKind::Refuse { code: 29, all: true };
    cluster.inject(Fault::new(topic_authorization_failed).api(ApiKey::Produce).after(1));
    let run = blocking(&["--brokers", &cluster.bootstrap_servers(), "--topic", "orders", "--batch-size", "200"]);
    run.fails(
        1,
        &["batch 1: ", "TOPIC_AUTHORIZATION_FAILED", "not written", "delivered before it: 1 batches", "remedy: "],
    );
}
