//! Faults by name, on a running cluster.

mod common;

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use common::{Client, PATIENCE, batch};
use kafka_batch_testing::wire::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use kafka_batch_testing::wire::produce::ProduceResponse;
use kafka_batch_testing::{ApiKey, CreateTopicError, Fault, FaultKind, ReceivedRequest, TestCluster, Topic};

#[test]
fn an_error_code_is_returned_to_whom_and_as_often_as_wanted() {
    let cluster = TestCluster::builder().topic("t").topic("u").start().unwrap();
    let mut client = Client::new(&cluster, 1);
    let refuse = |code| Fault::new(FaultKind::Refuse { code, all: true }).api(ApiKey::Produce);
    cluster.inject(refuse(19).topic("t").after(1).times(2));
    cluster.inject(refuse(42).client_id("somebody else").always());
    cluster.inject(refuse(43).topic("t").partition(1).always());
    let codes: Vec<_> = (0..4).map(|_| client.produce(12, "t", batch(&["a"])).error_code).collect();
    assert_eq!(codes, [0, 19, 19, 0]);
    assert_eq!(client.produce(12, "u", batch(&["a"])).error_code, 0);
    assert_eq!(cluster.log("t", 0).unwrap().end(), 2);
    assert!(!cluster.inject_at(2, refuse(1)));
    cluster.inject_at(1, refuse(44).always());
    assert_eq!(client.produce(12, "u", batch(&["a"])).error_code, 44);
    cluster.end_faults();
    assert_eq!(client.produce(12, "u", batch(&["a"])).error_code, 0);
}

#[test]
fn a_batch_can_be_stored_although_an_error_is_returned_or_nothing() {
    let cluster = TestCluster::builder().topic("t").start().unwrap();
    let fault = |kind| Fault::new(kind).api(ApiKey::Produce);
    cluster.inject(fault(FaultKind::ExecuteAndRefuse { code: 7 }));
    assert_eq!(Client::new(&cluster, 1).produce(12, "t", batch(&["a"])).error_code, 7);
    for (kind, stored) in [
        (FaultKind::CloseConnection { executed: true }, 2),
        (FaultKind::CloseConnection { executed: false }, 2),
        (FaultKind::CutResponse { bytes: 9 }, 3),
    ] {
        cluster.inject(fault(kind.clone()));
        let mut client = Client::new(&cluster, 1);
        let request = client.produce_request(12, "t", 0, batch(&["a"]), -1);
        client.send(ApiKey::Produce, 12, &request);
        assert!(client.frame().is_none(), "{kind:?}");
        assert_eq!(cluster.log("t", 0).unwrap().end(), stored, "{kind:?}");
    }
    cluster.inject(fault(FaultKind::DropResponse));
    let mut client = Client::new(&cluster, 1);
    let request = client.produce_request(12, "t", 0, batch(&["a"]), -1);
    client.send(ApiKey::Produce, 12, &request);
    assert!(cluster.wait_for_records("t", 0, 4, PATIENCE).is_some());
    cluster.end_faults();
    assert!(client.is_closed(), "an unresponsive connection is closed when the faults end");
}

#[test]
fn requests_and_responses_are_held_until_they_are_released() {
    let cluster = TestCluster::builder().topic("t").start().unwrap();
    let kinds = [(FaultKind::DelayRequest(Duration::MAX), false), (FaultKind::DelayResponse(Duration::MAX), true)];
    for (end, (kind, is_stored)) in (0..).zip(kinds) {
        cluster.inject(Fault::new(kind).api(ApiKey::Produce));
        let mut client = Client::new(&cluster, 1);
        let request = client.produce_request(12, "t", 0, batch(&["a"]), -1);
        client.send(ApiKey::Produce, 12, &request);
        let mut received = 0;
        let is_next = |request: &ReceivedRequest| {
            received += i64::from(request.api == ApiKey::Produce);
            received > end
        };
        assert!(cluster.wait_for_request(PATIENCE, is_next).is_some());
        assert_eq!(Client::new(&cluster, 1).metadata(12, "t").topics[0].error_code, 0, "others are served meanwhile");
        assert_eq!(cluster.log("t", 0).unwrap().end(), end + i64::from(is_stored));
        cluster.release_held();
        let response: ProduceResponse = client.receive(ApiKey::Produce, 12);
        assert_eq!(response.responses[0].partition_responses[0].base_offset, end);
    }
}

/// The condition runs on another thread, so that a deadlock is a failure.
#[test]
fn a_condition_may_use_the_cluster_that_it_is_waited_for() {
    let cluster = Arc::new(TestCluster::builder().topic("t").start().unwrap());
    let mut client = Client::new(&cluster, 1);
    let (sender, receiver) = mpsc::channel();
    let waiting = {
        let cluster = Arc::clone(&cluster);
        thread::spawn(move || {
            let found = cluster.wait_for_request(PATIENCE, |request| {
                let log = cluster.log("t", 0).expect("the topic exists");
                drop(cluster.take_requests()); // each is still seen once
                cluster.create_topic(format!("seen-{:?}", request.api)).unwrap();
                request.api == ApiKey::Produce && log.end() == 3
            });
            sender.send(found.map(|found| found.api)).expect("the test waits");
        })
    };
    for count in 1..=3 {
        assert_eq!(client.produce(12, "t", batch(&["a"])).error_code, 0);
        assert!(cluster.wait_for_records("t", 0, count, PATIENCE).is_some());
    }
    assert_eq!(receiver.recv_timeout(PATIENCE), Ok(Some(ApiKey::Produce)));
    waiting.join().unwrap();
    assert!(cluster.topics().contains(&"seen-Produce".to_owned()));
}

#[test]
fn a_wait_for_a_request_ends_after_its_limit() {
    let cluster = TestCluster::start();
    let mut client = Client::new(&cluster, 1);
    client.metadata(12, "t");
    let mut seen = Vec::new();
    assert_eq!(
        cluster.wait_for_request(Duration::from_millis(20), |request| {
            seen.push(request.api);
            false
        }),
        None
    );
    assert_eq!(seen, [ApiKey::Metadata], "each request is seen once");
}

#[test]
fn throttling_and_other_identities_are_returned() {
    let cluster = TestCluster::start();
    let mut client = Client::new(&cluster, 1);
    cluster.inject(Fault::new(FaultKind::Throttle(1_234)).api(ApiKey::InitProducerId));
    let mut ask =
        || -> InitProducerIdResponse { client.ask(ApiKey::InitProducerId, 5, &InitProducerIdRequest::default()) };
    let (first, second) = (ask(), ask());
    assert_eq!((first.throttle_time_ms, second.throttle_time_ms), (1_234, 0));
    assert_eq!((first.error_code, first.producer_epoch, second.producer_id), (0, 0, first.producer_id + 1));
}

#[test]
fn a_slow_disk_and_stopped_replication_delay_confirmations() {
    let cluster = TestCluster::builder().topic("t").start().unwrap();
    let mut client = Client::new(&cluster, 1);
    cluster.slow_disk(1, Duration::from_millis(60));
    let began = std::time::Instant::now();
    assert_eq!(client.produce(12, "t", batch(&["a"])).error_code, 0);
    assert!(began.elapsed() >= Duration::from_millis(60));
    cluster.slow_disk(1, Duration::ZERO);
    assert!(cluster.stop_replication("t", 0, Duration::MAX));
    let mut request = client.produce_request(12, "t", 0, batch(&["b"]), -1);
    request.timeout_ms = 20;
    let response: ProduceResponse = client.ask(ApiKey::Produce, 12, &request);
    assert_eq!(response.responses[0].partition_responses[0].error_code, 7);
    let log = cluster.log("t", 0).unwrap();
    assert_eq!((log.high_watermark(), log.end()), (1, 2));
    assert_eq!(client.fetch(12, "t", 1).records.unwrap().len(), 0, "not readable before it is replicated");
}

#[test]
fn topics_that_kafka_does_not_accept_are_not_created() {
    let cluster = TestCluster::start();
    let long = "x".repeat(250);
    for name in ["", ".", "..", "a b", "a/b", "ä", "a\0b", &long] {
        let error = cluster.create_topic(name).unwrap_err();
        assert_eq!(error, CreateTopicError::InvalidName { name: name.to_owned() });
        assert!(error.to_string().contains(&format!("{name:?}")), "{error}");
        let error = TestCluster::builder().topic(name).start().unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput, "{name:?}: {error}");
    }
    for partitions in [0, 10_001] {
        let error = cluster.create_topic(Topic::new("t").partitions(partitions)).unwrap_err();
        assert_eq!(error, CreateTopicError::InvalidPartitions { name: "t".into(), partitions });
        assert!(TestCluster::builder().topic(Topic::new("t").partitions(partitions)).start().is_err());
    }
    assert_eq!(cluster.topics(), [""; 0]);
    assert_eq!(cluster.create_topic("x".repeat(249)), Ok(true));
}

#[test]
fn a_forgotten_topic_is_unknown() {
    let cluster = TestCluster::builder().topic("t").auto_create(false).start().unwrap();
    let mut client = Client::new(&cluster, 1);
    assert_eq!(cluster.topics(), ["t"]);
    assert!(cluster.forget_topic("t") && !cluster.forget_topic("t"));
    assert_eq!(client.produce(12, "t", batch(&["a"])).error_code, 3);
    assert_eq!(client.metadata(12, "t").topics[0].error_code, 3);
    assert_eq!([cluster.create_topic("t"), cluster.create_topic("t")], [Ok(true), Ok(false)]);
    assert_eq!(client.produce(12, "t", batch(&["a"])).error_code, 0);
}
