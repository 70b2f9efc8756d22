//! InitProducerId: epochs, second instances, time-outs, recovery (KIP-360), epochs that are used up.

use std::time::Duration;

use kafka_batch_testing::wire::init_producer_id::InitProducerIdRequest;
use kafka_batch_testing::{ApiKey, AssignedProducerId, Fault, FaultKind, Release, TestCluster, TransactionState};

use crate::common::PATIENCE;
use crate::producer::{Producer, values};

const T0: (&str, i32) = ("t", 0);

fn one_broker() -> TestCluster {
    TestCluster::builder().topic("t").start().unwrap()
}

#[test]
fn every_version_of_init_producer_id_assigns_epochs() {
    for version in 0..=5 {
        let cluster = one_broker();
        let mut producer = Producer::new(&cluster, "a");
        let request = producer.init_request();
        let answers: Vec<_> = (0..3).map(|_| producer.ask_init(version, &request)).collect();
        assert!(answers.iter().all(|answer| answer.error_code == 0 && answer.producer_id == answers[0].producer_id));
        let epochs: Vec<_> = answers.iter().map(|answer| answer.producer_epoch).collect();
        assert_eq!(epochs, [0, 1, 2], "v{version}");
        if version >= 3 {
            let (producer_id, producer_epoch) = (answers[0].producer_id, 0);
            let request = InitProducerIdRequest { producer_id, producer_epoch, ..request };
            let code = producer.ask_init(version, &request).error_code;
            assert_eq!(code, if version < 4 { 47 } else { 90 }, "v{version}: fenced");
            let half = InitProducerIdRequest { producer_id: -1, ..request };
            assert_eq!(producer.ask_init(version, &half).error_code, 42, "an epoch without an id");
        }
    }
}

#[test]
fn the_timeout_is_bounded() {
    let cluster = TestCluster::builder().topic("t").transaction_max_timeout_ms(900_000).start().unwrap();
    let mut producer = Producer::new(&cluster, "a");
    for (timeout, code) in [(900_001, 50), (0, 50), (-1, 50), (900_000, 0), (1, 0)] {
        let request = InitProducerIdRequest { transaction_timeout_ms: timeout, ..producer.init_request() };
        assert_eq!(producer.ask_init(5, &request).error_code, code, "{timeout} ms");
    }
    let request = InitProducerIdRequest { transactional_id: Some(String::new()), ..producer.init_request() };
    assert_eq!(producer.ask_init(5, &request).error_code, 42);
}

#[test]
fn a_second_instance_fences_the_first_and_aborts_its_transaction() {
    for release in [Release::V3_9, Release::NEWEST] {
        let cluster = TestCluster::builder().release(release).topic("t").start().unwrap();
        let (produce, end) = if release == Release::NEWEST { (12, 5) } else { (10, 4) };
        let mut first = Producer::ready(&cluster, "a");
        assert_eq!(first.add(3, "t", &[0]), [0]);
        assert_eq!(first.produce(produce, T0, 0, &["x"]), 0);
        let mut second = Producer::new(&cluster, "a");
        assert_eq!([second.init(), second.init()], [51, 0]);
        assert_eq!(second.identity, (first.identity.0, first.identity.1 + 2), "{release:?}");
        assert_eq!(first.produce(produce, T0, 1, &["y"]), 47, "Produce does not know PRODUCER_FENCED");
        assert_eq!(first.add(3, "t", &[0]), [90]);
        assert_eq!(first.end(end, true), 90);
        assert_eq!(first.end(end, false), 90);
        assert_eq!(first.bump(), 90);
        assert_eq!(values(&cluster), (vec!["x".to_owned()], vec![]));
        assert_eq!(second.add(3, "t", &[0]), [0]);
        assert_eq!(second.produce(produce, T0, 0, &["z"]), 0);
        assert_eq!(second.end(end, true), 0);
        assert_eq!(values(&cluster).1, ["z"]);
    }
}

#[test]
fn a_second_instance_waits_while_the_first_one_ends() {
    let cluster = one_broker();
    let mut first = Producer::ready(&cluster, "a");
    assert_eq!(first.produce(12, T0, 0, &["x"]), 0);
    cluster.hold_markers("t", 0);
    let mut second = Producer::new(&cluster, "a");
    let answers: Vec<_> = (0..5).map(|_| second.init()).collect();
    assert_eq!(answers, [51; 5]);
    cluster.release_markers();
    assert_eq!(second.init(), 0);
}

#[test]
fn a_transaction_times_out_and_at_level_2_its_producer_goes_on() {
    let cluster = one_broker();
    let mut producer = Producer::ready(&cluster, "a");
    assert_eq!(producer.produce(12, T0, 0, &["x"]), 0);
    assert!(cluster.time_out_transaction("a") && !cluster.time_out_transaction("a"));
    assert_eq!(producer.produce(12, T0, 1, &["y"]), 47);
    assert_eq!(producer.end(5, true), 48, "certainly not committed");
    assert_eq!(producer.end(5, false), 0);
    assert_eq!(producer.produce(12, T0, 0, &["z"]), 0);
    assert_eq!(producer.end(5, true), 0);
    assert_eq!(values(&cluster), (vec!["x".to_owned(), "z".to_owned()], vec!["z".to_owned()]));
    // Below level 2 it is dead.
    let cluster = TestCluster::builder().release(Release::V3_9).topic("t").start().unwrap();
    let mut producer = Producer::ready(&cluster, "a");
    assert_eq!(producer.add(3, "t", &[0]), [0]);
    assert_eq!(producer.produce(10, T0, 0, &["x"]), 0);
    assert!(cluster.time_out_transaction("a"));
    assert_eq!(producer.produce(10, T0, 1, &["y"]), 47);
    assert_eq!([producer.end(4, true), producer.end(4, false)], [90, 90]);
}

#[test]
fn the_clock_aborts_a_transaction_that_takes_too_long() {
    let cluster = one_broker();
    let mut producer = Producer::new(&cluster, "a");
    let request = InitProducerIdRequest { transaction_timeout_ms: 30, ..producer.init_request() };
    let response = producer.ask_init(5, &request);
    producer.identity = (response.producer_id, response.producer_epoch);
    assert_eq!(producer.produce(12, T0, 0, &["x"]), 0);
    let is_aborted = |transaction: &kafka_batch_testing::Transaction| {
        transaction.state == TransactionState::CompleteAbort && transaction.producer_epoch == 1
    };
    let transaction = cluster.wait_for_transaction("a", PATIENCE, is_aborted).expect("it was aborted");
    assert_eq!(transaction.timeout, Duration::from_millis(30));
}

#[test]
fn recovery_continues_with_the_next_epoch() {
    let cluster = one_broker();
    let mut producer = Producer::ready(&cluster, "a");
    let before = producer.identity;
    assert_eq!(producer.bump(), 0);
    assert_eq!(producer.identity, (before.0, before.1 + 1));
    let after = std::mem::replace(&mut producer.identity, before);
    assert_eq!(producer.bump(), 0);
    assert_eq!(producer.identity, after, "repeated: the same answer");
    // In the middle of a transaction it aborts that; below level 2 it fences itself.
    assert_eq!(producer.produce(12, T0, 0, &["x"]), 0);
    assert_eq!([producer.bump(), producer.bump()], [51, 0]);
    assert_eq!(producer.identity, (after.0, after.1 + 1));
    let cluster = TestCluster::builder().release(Release::V3_9).topic("t").start().unwrap();
    let mut producer = Producer::ready(&cluster, "a");
    assert_eq!(producer.add(3, "t", &[0]), [0]);
    assert_eq!([producer.bump(), producer.bump()], [51, 90]);
}

#[test]
fn epochs_that_are_used_up_give_a_new_id() {
    let cluster = one_broker();
    let late = || Fault::new(FaultKind::AssignedProducerId(AssignedProducerId::LateEpoch)).api(ApiKey::InitProducerId);
    cluster.inject(late());
    let mut producer = Producer::ready(&cluster, "a");
    let before = producer.identity;
    assert_eq!(before.1, i16::MAX - 1);
    assert_eq!(producer.produce(12, T0, 0, &["x"]), 0);
    assert_eq!(producer.end(5, true), 0);
    let after = std::mem::replace(&mut producer.identity, before);
    assert_eq!((after.0 > before.0, after.1), (true, 0));
    assert_eq!(producer.end(5, true), 0);
    assert_eq!(producer.identity, after, "repeated: the same answer");
    assert_eq!(producer.produce(12, T0, 0, &["y"]), 0);
    assert_eq!(producer.end(5, true), 0);
    assert_eq!(values(&cluster).1, ["x", "y"]);
    producer.identity = before;
    assert_eq!(producer.end(5, true), 49, "the old id");
    cluster.inject(late());
    let mut second = Producer::ready(&cluster, "a");
    let before = second.identity;
    assert_eq!(second.bump(), 0);
    assert_eq!((second.identity.0 > before.0, second.identity.1), (true, 0));
}

#[test]
fn a_forgotten_id_is_unknown_until_it_is_initialised() {
    let cluster = one_broker();
    let mut producer = Producer::ready(&cluster, "a");
    assert_eq!(producer.produce(12, T0, 0, &["x"]), 0);
    assert!(!cluster.forget_transactional_id("a"), "it is open");
    assert_eq!(producer.end(5, true), 0);
    assert!(cluster.forget_transactional_id("a") && !cluster.forget_transactional_id("a"));
    assert_eq!((producer.end(5, false), producer.add(3, "t", &[0])), (49, vec![49]));
    let before = producer.identity.0;
    assert_eq!(producer.bump(), 0, "with any identity");
    assert!(producer.identity.0 > before && producer.identity.1 == 0);
}

/// As Kafka 4.4: what `findings/kafka-fenced-gets-the-epoch.sh` shows.
#[test]
fn a_fenced_producer_gets_the_epoch_of_one_that_has_committed_at_a_lower_level() {
    for (version, level_2) in [(4, false), (5, true)] {
        let cluster = one_broker();
        let mut first = Producer::ready(&cluster, "a");
        let mut second = Producer::ready(&cluster, "a");
        assert_eq!(second.identity, (first.identity.0, first.identity.1 + 1));
        assert_eq!(second.add(3, "t", &[0]), [0]);
        assert_eq!(second.produce(12, T0, 0, &["second"]), 0);
        assert_eq!(second.end(version, true), 0);
        assert_eq!(first.produce(12, T0, 0, &["first"]), 47, "it is fenced");
        let (ended, shared) = (first.end(5, true), cluster.transaction("a").unwrap().epoch_shared_at.len());
        if level_2 {
            assert_eq!((ended, shared), (90, 0));
        } else {
            assert_eq!((ended, shared, first.identity), (0, 1, second.identity));
            assert_eq!(first.produce(12, T0, 1, &["first"]), 0);
            assert_eq!(first.end(5, true), 0);
            assert_eq!(values(&cluster).1, ["second", "first"]);
        }
    }
}

#[test]
fn a_repeated_end_shares_no_epoch() {
    let cluster = one_broker();
    let mut producer = Producer::ready(&cluster, "a");
    assert_eq!(producer.produce(12, T0, 0, &["x"]), 0);
    let before = producer.identity;
    assert_eq!(producer.end(5, true), 0);
    let after = std::mem::replace(&mut producer.identity, before);
    assert_eq!((producer.end(5, true), producer.identity), (0, after));
    // An epoch that the producer has bumped itself is its own.
    assert_eq!(producer.produce(12, T0, 0, &["y"]), 0);
    assert_eq!((producer.end(4, true), producer.bump()), (0, 0));
    let bumped = std::mem::replace(&mut producer.identity, after);
    producer.end(5, true);
    producer.identity = bumped;
    assert!(cluster.transaction("a").unwrap().epoch_shared_at.is_empty());
}
