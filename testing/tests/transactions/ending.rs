//! Commit and abort: states, markers, repeated requests.

use kafka_batch_core::decode::RecordBatches;
use kafka_batch_testing::wire::end_txn::EndTxnResponse;
use kafka_batch_testing::{
    ApiKey, BatchOutcome, ControlKind, Fault, FaultKind, Release, TestCluster, Topic, TransactionState,
};

use crate::common::PATIENCE;
use crate::producer::{Producer, values};

const T0: (&str, i32) = ("t", 0);

fn one_broker() -> TestCluster {
    TestCluster::builder().topic(Topic::new("t").partitions(3)).start().unwrap()
}

#[test]
fn transactions_are_committed_and_aborted_in_every_partition() {
    let cluster = one_broker();
    let mut producer = Producer::ready(&cluster, "a");
    for (committed, name) in [(true, "first"), (false, "second"), (true, "third")] {
        for partition in 0..2 {
            assert_eq!(producer.produce(12, ("t", partition), 0, &[name, name]), 0);
        }
        let transaction = cluster.transaction("a").unwrap();
        assert_eq!(transaction.state, TransactionState::Ongoing);
        assert_eq!(transaction.partitions, [("t".to_owned(), 0), ("t".to_owned(), 1)]);
        let epoch = producer.identity.1;
        assert_eq!(producer.end(5, committed), 0);
        assert_eq!(producer.identity.1, epoch + 1);
        let expected = if committed { TransactionState::CompleteCommit } else { TransactionState::CompleteAbort };
        assert_eq!(cluster.transaction("a").unwrap().state, expected);
    }
    for partition in 0..2 {
        let log = cluster.log("t", partition).unwrap();
        assert_eq!(log.values().unwrap(), ["first", "first", "second", "second", "third", "third"]);
        assert_eq!(log.committed_values().unwrap(), ["first", "first", "third", "third"]);
        let outcomes: Vec<_> = log.outcomes().into_iter().map(|(_, outcome)| outcome.unwrap()).collect();
        assert_eq!(outcomes, [BatchOutcome::Committed, BatchOutcome::Aborted, BatchOutcome::Committed]);
        let controls: Vec<_> = log.batches().iter().filter_map(|stored| stored.info.control).collect();
        assert_eq!(controls, [ControlKind::Commit, ControlKind::Abort, ControlKind::Commit]);
        assert_eq!((log.end(), log.last_stable_offset()), (9, 9), "markers have offsets");
    }
    assert_eq!(cluster.log("t", 2).unwrap().end(), 0, "no marker where nothing was sent");
    assert_eq!(cluster.violations(), Vec::<String>::new());
}

/// The bytes of a marker: as `MemoryRecords.withEndTransactionMarker` of Apache Kafka 4.4.0 writes them.
#[test]
fn markers_have_the_bytes_of_kafka() {
    let cluster = one_broker();
    let mut producer = Producer::ready(&cluster, "a");
    assert_eq!(producer.produce(12, T0, 0, &["x"]), 0);
    let (id, epoch) = producer.identity;
    assert_eq!(producer.end(5, true), 0);
    let log = cluster.log("t", 0).unwrap();
    let marker = &log.batches()[1];
    let bytes = &marker.bytes;
    let time = marker.max_timestamp.to_be_bytes();
    let expected: Vec<&[u8]> = vec![
        &[0, 0, 0, 0, 0, 0, 0, 1], // the offset
        &[0, 0, 0, 66],            // the length after it
        &[0, 0, 0, 0],             // the leader epoch
        &[2],
        &bytes[17..21],         // the checksum, checked below
        &[0, 0x30, 0, 0, 0, 0], // transactional and control; the last offset delta
        &time,
        &time,
    ];
    let identity = [&id.to_be_bytes()[..], &(epoch + 1).to_be_bytes()].concat();
    let rest: Vec<&[u8]> = vec![
        &[0xff; 4],              // no sequence
        &[0, 0, 0, 1],           // one record,
        &[32, 0, 0, 0],          // of 16 bytes: attributes and deltas
        &[8, 0, 0, 0, 1],        // key: version 0, commit
        &[12, 0, 0, 0, 0, 0, 0], // value: version 0, coordinator epoch 0
        &[0],                    // no headers
    ];
    assert_eq!(bytes[..], [expected.concat(), identity, rest.concat()].concat()[..]);
    assert_eq!(bytes.len(), 78);
    let decoded = RecordBatches::new(bytes).next().unwrap().unwrap();
    assert!(decoded.is_control() && decoded.is_transactional(), "the checksum is right");
}

#[test]
fn an_empty_transaction_cannot_be_committed() {
    let cluster = one_broker();
    let mut producer = Producer::ready(&cluster, "a");
    assert_eq!(producer.end(5, true), 48);
    let before = producer.identity;
    assert_eq!(producer.end(5, false), 0, "but aborted, with the next epoch");
    assert_eq!(producer.identity, (before.0, before.1 + 1));
    let old = TestCluster::builder().release(Release::V3_9).topic("t").start().unwrap();
    let mut producer = Producer::ready(&old, "a");
    assert_eq!([producer.end(4, true), producer.end(4, false)], [48, 48]);
}

#[test]
fn a_repeated_end_is_answered_as_the_first_and_any_other_refused() {
    let cluster = one_broker();
    let mut producer = Producer::ready(&cluster, "a");
    for round in 0..3 {
        assert_eq!(producer.produce(12, T0, 0, &["x"]), 0);
        cluster.hold_markers("t", 0);
        let before = producer.identity;
        assert_eq!(producer.end(5, true), 0);
        let after = std::mem::replace(&mut producer.identity, before);
        assert_eq!([producer.end(5, true), producer.end(5, false)], [51, 48]);
        cluster.release_markers();
        assert_eq!(producer.end(5, false), 48);
        assert_eq!(producer.end(5, true), 0);
        assert_eq!(producer.identity, after, "the same answer");
        producer.identity = (before.0, before.1 - 1);
        if round > 0 {
            assert_eq!(producer.end(5, true), 90, "two epochs old");
        }
        producer.identity = after;
    }
}

#[test]
fn below_level_2_a_repeated_end_keeps_the_epoch() {
    let cluster = TestCluster::builder().release(Release::V3_9).topic("t").start().unwrap();
    let mut producer = Producer::ready(&cluster, "a");
    for round in 0..2 {
        assert_eq!(producer.add(3, "t", &[0]), [0]);
        assert_eq!(producer.produce(10, T0, round, &["x"]), 0, "sequences go on");
        cluster.hold_markers("t", 0);
        assert_eq!([producer.end(4, true), producer.end(4, true), producer.end(4, false)], [0, 51, 48]);
        assert_eq!(producer.add(3, "t", &[0]), [51], "the next transaction has to wait");
        cluster.release_markers();
        assert_eq!([producer.end(4, true), producer.end(4, false)], [0, 48]);
    }
    assert_eq!(values(&cluster).1, ["x", "x"]);
}

#[test]
fn markers_come_late_to_each_partition_alone() {
    let cluster = one_broker();
    let mut producer = Producer::ready(&cluster, "a");
    assert_eq!([0, 1].map(|partition| producer.produce(12, ("t", partition), 0, &["x"])), [0, 0]);
    cluster.hold_markers("t", 1);
    assert_eq!(producer.end(5, true), 0, "answered before the markers are written");
    let transaction = cluster.transaction("a").unwrap();
    assert_eq!(transaction.state, TransactionState::PrepareCommit);
    assert_eq!(transaction.pending_partitions, [("t".to_owned(), 1)]);
    let committed = |partition| cluster.log("t", partition).unwrap().committed_values().unwrap().len();
    assert_eq!([committed(0), committed(1)], [1, 0]);
    assert_eq!(producer.produce(12, T0, 0, &["y"]), 51, "the next transaction has to wait");
    cluster.release_markers();
    assert_eq!([committed(0), committed(1)], [1, 1]);
    assert_eq!(producer.produce(12, T0, 0, &["y"]), 0);
}

#[test]
fn markers_wait_for_leaders_and_for_replication() {
    let cluster = TestCluster::builder().brokers(2).topic("t").start().unwrap();
    assert!(cluster.move_leader("t", 0, 1));
    let mut finder = crate::common::Client::new(&cluster, 1);
    let coordinator = crate::producer::find(&mut finder, 3, 1, "a").node_id;
    let mut producer =
        Producer { client: crate::common::Client::new(&cluster, coordinator), id: "a".into(), identity: (-1, -1) };
    assert_eq!(producer.init(), 0);
    assert!(cluster.move_leader("t", 0, coordinator));
    assert_eq!(producer.produce(12, T0, 0, &["x"]), 0);
    assert!(cluster.remove_leader("t", 0));
    assert_eq!(producer.end(5, true), 0);
    assert_eq!(cluster.transaction("a").unwrap().state, TransactionState::PrepareCommit);
    assert!(cluster.stop_replication("t", 0, std::time::Duration::MAX));
    assert!(cluster.move_leader("t", 0, coordinator));
    let log = cluster.log("t", 0).unwrap();
    assert_eq!((log.end(), log.high_watermark(), log.last_stable_offset()), (2, 1, 0));
    assert_eq!(cluster.transaction("a").unwrap().state, TransactionState::PrepareCommit, "written, not replicated");
    assert!(cluster.stop_replication("t", 0, std::time::Duration::ZERO));
    let is_complete =
        |transaction: &kafka_batch_testing::Transaction| transaction.state == TransactionState::CompleteCommit;
    assert!(cluster.wait_for_transaction("a", PATIENCE, is_complete).is_some());
    assert_eq!(cluster.log("t", 0).unwrap().committed_values().unwrap(), ["x"]);
}

#[test]
fn a_topic_that_is_gone_needs_no_marker() {
    let cluster = one_broker();
    let mut producer = Producer::ready(&cluster, "a");
    assert_eq!(producer.produce(12, T0, 0, &["x"]), 0);
    assert!(cluster.forget_topic("t"));
    assert_eq!(producer.end(5, true), 0);
    assert_eq!(cluster.transaction("a").unwrap().state, TransactionState::CompleteCommit);
}

#[test]
fn every_version_of_end_txn_says_who_is_fenced() {
    for version in 0..=5 {
        let cluster = one_broker();
        let mut producer = Producer::ready(&cluster, "a");
        assert_eq!(producer.add(3, "t", &[0]), [0]);
        producer.identity.1 += 1;
        assert_eq!(producer.end(version, true), if version < 2 { 47 } else { 90 }, "v{version}");
        producer.identity.0 += 1;
        assert_eq!(producer.end(version, true), 49, "v{version}");
        producer.identity = (producer.identity.0 - 1, producer.identity.1 - 1);
        assert_eq!(producer.end(version, true), 0, "v{version}");
        assert_eq!(producer.identity.1, i16::from(version >= 5), "v{version}");
        producer.id = String::new();
        assert_eq!(producer.end(version, true), 42, "v{version}");
        producer.id = "unknown".into();
        let code = producer.end(version, true);
        assert!(matches!(code, 16 | 49), "v{version}: {code}");
    }
}

#[test]
fn faults_refuse_an_end_or_lose_its_answer() {
    let cluster = one_broker();
    let mut producer = Producer::ready(&cluster, "a");
    assert_eq!(producer.produce(12, T0, 0, &["x"]), 0);
    let fault = |kind| Fault::new(kind).api(ApiKey::EndTxn).transactional_id("a");
    cluster.inject(fault(FaultKind::Refuse { code: 14, all: true }));
    cluster.inject(Fault::new(FaultKind::Refuse { code: 7, all: true }).transactional_id("b"));
    assert_eq!(producer.end(5, true), 14);
    assert_eq!(cluster.transaction("a").unwrap().state, TransactionState::Ongoing);
    cluster.inject(fault(FaultKind::ExecuteAndRefuse { code: 51 }));
    assert_eq!(producer.end(5, true), 51);
    assert_eq!(cluster.transaction("a").unwrap().state, TransactionState::CompleteCommit, "executed nevertheless");
    let response: EndTxnResponse = producer.client.ask(ApiKey::EndTxn, 5, &producer.end_request(true));
    assert_eq!((response.error_code, response.producer_epoch), (0, 1));
    let seen = cluster.requests().into_iter().rfind(|request| request.api == ApiKey::EndTxn).unwrap();
    assert_eq!(seen.transactional_id.as_deref(), Some("a"));
}
