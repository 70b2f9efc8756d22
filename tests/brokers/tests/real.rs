//! Starts real brokers. Run with `cargo test -p kafka-batch-brokers -- --ignored`; Maven downloads the jars the first
//! time.

use kafka_batch_brokers::{Broker, Cluster, ClusterOptions, Options, Quorum, RELEASES, Release};
use std::{
    io::Write,
    process::{Output, Stdio},
    time::Duration,
};

/// Runs one of Kafka's tools with the broker's address and returns its output.
fn tool(broker: &Broker, main_class: &str, arguments: &[&str], input: &str) -> String {
    let mut child = broker
        .tool(main_class)
        .args(["--bootstrap-server", &broker.address().to_string()])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Dropping the pipe ends the input.
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{main_class}: {errors}");
    String::from_utf8(stdout).unwrap()
}

fn consume(broker: &Broker, count: &str) -> String {
    let arguments = ["--topic", "words", "--from-beginning", "--timeout-ms", "30000", "--max-messages", count];
    tool(broker, broker.release().tools.console_consumer, &arguments, "")
}

fn with(quorum: Quorum) -> impl Iterator<Item = &'static Release> {
    RELEASES.iter().filter(move |release| release.quorum == quorum)
}

#[test]
#[ignore = "starts real brokers, whose jars Maven has to get"]
fn brokers_with_zookeeper_start_stop_and_restart() {
    for release in with(Quorum::ZooKeeper) {
        let mut broker = Broker::start(release, &Options::default()).unwrap();
        let (address, data) = (broker.address(), broker.data().to_owned());
        assert!(data.join("meta.properties").is_file(), "{}", release.version);
        assert!(broker.stop(Duration::from_secs(60)), "{}", release.version);
        broker.restart().unwrap();
        assert!(broker.is_running() && broker.address() == address, "{}", release.version);
        drop(broker);
        assert!(!data.exists());
    }
}

#[test]
#[ignore = "starts real brokers, whose jars Maven has to get"]
fn records_survive_a_kill_and_a_clean_restart() {
    let mut options = Options::default();
    let session = ("broker.session.timeout.ms", "3000");
    options.config.push((session.0.into(), session.1.into()));
    for release in with(Quorum::KRaft) {
        let mut broker = Broker::start(release, &options).unwrap();
        let tools = &release.tools;
        let topic = ["--topic", "words"];
        let create = ["--create", "--topic", "words", "--partitions", "1"];
        tool(&broker, tools.topics, &create, "");
        tool(&broker, tools.console_producer, &topic, "one\ntwo\n");
        assert_eq!(consume(&broker, "2"), "one\ntwo\n");

        let address = broker.address();
        broker.kill();
        assert!(!broker.is_running());
        broker.restart().unwrap();
        assert!(broker.is_running());
        assert_eq!(broker.address(), address);
        tool(&broker, tools.console_producer, &topic, "three\n");
        assert_eq!(consume(&broker, "3"), "one\ntwo\nthree\n");

        assert!(broker.stop(Duration::from_secs(60)));
        broker.restart().unwrap();
        assert_eq!(consume(&broker, "3"), "one\ntwo\nthree\n");
        assert!(broker.data().join("words-0").is_dir());

        let data = broker.data().to_owned();
        drop(broker);
        assert!(!data.exists());
    }
}

#[test]
#[ignore = "starts real brokers, whose jars Maven has to get"]
fn a_cluster_continues_without_one_of_its_nodes() {
    let mut options = ClusterOptions::default();
    options.each.config.push(("broker.session.timeout.ms".into(), "3000".into()));
    options.each.heap_mib = 256;
    for release in with(Quorum::KRaft) {
        let mut cluster = Cluster::start(release, &options).unwrap();
        assert_eq!(cluster.node_count(), 3);
        let addresses = cluster.internal_addresses();
        cluster.kill(1);
        assert!(!cluster.is_running(1) && cluster.is_running(0) && cluster.is_running(2));
        cluster.restart(1).unwrap(); // which ends when the two others accept it
        assert!(cluster.stop(2, Duration::from_secs(60)), "{}", cluster.end_of_log(2));
        (0..3).for_each(|node| cluster.kill(node));
        cluster.restart_all().unwrap();
        assert!((0..3).all(|node| cluster.is_running(node)));
        assert_eq!(cluster.internal_addresses(), addresses);
    }
}
