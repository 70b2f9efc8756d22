//! Produce within transactions, and AddPartitionsToTxn.

use kafka_batch_core::batch::Stamp;
use kafka_batch_testing::wire::add_partitions_to_txn::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use kafka_batch_testing::wire::produce::ProduceRequest;
use kafka_batch_testing::{ApiKey, BatchOutcome, Fault, FaultKind, Release, TestCluster, Topic, TransactionState};

use crate::common::stamped;
use crate::producer::{Producer, values};

const T0: (&str, i32) = ("t", 0);

fn one_broker() -> TestCluster {
    TestCluster::builder().topic(Topic::new("t").partitions(3)).start().unwrap()
}

#[test]
fn a_partition_that_was_not_added_is_refused_or_added() {
    for (version, code) in [(3, 48), (9, 48), (10, 48), (11, 120), (12, 0), (13, 0)] {
        let cluster = one_broker();
        let mut producer = Producer::ready(&cluster, "a");
        assert_eq!(producer.produce(version, T0, 0, &["x"]), code, "v{version}");
        let state = cluster.transaction("a").unwrap().state;
        let expected = if code == 0 { TransactionState::Ongoing } else { TransactionState::Empty };
        assert_eq!(state, expected, "v{version}");
        if code != 0 {
            assert_eq!(producer.add(3, "t", &[0]), [0]);
            assert_eq!(producer.produce(version, T0, 0, &["x"]), 0, "v{version}");
            assert_eq!(producer.produce(version, ("t", 1), 0, &["x"]), code, "v{version}");
        }
    }
    // Releases before KIP-890 check nothing, and the transaction hangs.
    let cluster = TestCluster::builder().release(Release::V2_8).topic("t").start().unwrap();
    let mut producer = Producer::ready(&cluster, "a");
    assert_eq!(producer.produce(9, T0, 0, &["x"]), 0);
    assert_eq!(cluster.transaction("a").unwrap().state, TransactionState::Empty);
    assert_eq!(cluster.log("t", 0).unwrap().last_stable_offset(), 0);
}

#[test]
fn a_refused_batch_is_added_nevertheless() {
    let cluster = TestCluster::builder().topic(Topic::new("t").max_message_bytes(200)).start().unwrap();
    let mut producer = Producer::ready(&cluster, "a");
    let long = "x".repeat(300);
    assert_eq!(producer.produce(12, T0, 0, &[&long]), 10);
    assert_eq!(cluster.transaction("a").unwrap().state, TransactionState::Ongoing);
    assert_eq!(producer.end(5, true), 0);
    assert_eq!(values(&cluster), (vec![], vec![]));
}

#[test]
fn at_level_2_each_transaction_begins_with_sequence_0() {
    let cluster = one_broker();
    let mut producer = Producer::ready(&cluster, "a");
    assert_eq!(producer.produce(12, T0, 5, &["x"]), 45);
    assert_eq!(cluster.transaction("a").unwrap().state, TransactionState::Ongoing, "added nevertheless");
    assert_eq!(producer.end(5, false), 0);
    for _ in 0..2 {
        assert_eq!(producer.produce(12, T0, 1, &["x"]), 45);
        assert_eq!([0, 1, 2].map(|sequence| producer.produce(12, T0, sequence, &["x"])), [0; 3]);
        assert_eq!(producer.produce(12, T0, 2, &["x"]), 0, "a duplicate");
        assert_eq!(producer.end(5, true), 0);
    }
    assert_eq!(values(&cluster).0.len(), 6);
    // Before, an unknown producer may begin anywhere.
    let cluster = TestCluster::builder().release(Release::V3_9).topic("t").start().unwrap();
    let mut producer = Producer::ready(&cluster, "a");
    assert_eq!(producer.add(3, "t", &[0]), [0]);
    assert_eq!(producer.produce(10, T0, 5, &["x"]), 0);
}

#[test]
fn a_late_batch_joins_the_next_transaction_below_level_2_only() {
    let cluster = TestCluster::builder().release(Release::V3_9).topic("t").start().unwrap();
    let mut producer = Producer::ready(&cluster, "a");
    let late = producer.produce_request(10, T0, producer.stamp(0), &["late"]);
    assert_eq!(producer.add(3, "t", &[0]), [0]);
    assert_eq!(producer.end(4, false), 0, "it was not waited for");
    assert_eq!(producer.add(3, "t", &[0]), [0]);
    assert_eq!(producer.ask_produce(10, &late), 0);
    assert_eq!(producer.produce(10, T0, 0, &["next"]), 0, "taken for a duplicate");
    assert_eq!(producer.end(4, true), 0);
    assert_eq!(values(&cluster).1, ["late"]);

    let cluster = one_broker();
    let mut producer = Producer::ready(&cluster, "a");
    let late = producer.produce_request(12, T0, producer.stamp(0), &["late"]);
    assert_eq!(producer.end(5, false), 0);
    assert_eq!(producer.ask_produce(12, &late), 47, "also before the next transaction");
    assert_eq!(producer.produce(12, T0, 0, &["next"]), 0);
    assert_eq!(producer.ask_produce(12, &late), 47);
    assert_eq!(producer.end(5, true), 0);
    assert_eq!(values(&cluster).1, ["next"]);
}

#[test]
fn flags_and_ids_that_do_not_match() {
    let cluster = one_broker();
    let mut producer = Producer::ready(&cluster, "a");
    let request = producer.produce_request(12, T0, producer.stamp(0), &["x"]);
    let without_id = ProduceRequest { transactional_id: None, ..request.clone() };
    assert_eq!(producer.ask_produce(12, &without_id), 53, "a transactional batch without an id");
    let plain = producer.produce_request(12, ("t", 1), Stamp::NONE, &["plain"]);
    assert_eq!(producer.ask_produce(12, &plain), 0, "an id with a batch that is not transactional");
    assert_eq!(cluster.log("t", 1).unwrap().committed_values().unwrap(), ["plain"], "visible at once");
    let other_id = ProduceRequest { transactional_id: Some("b".into()), ..request.clone() };
    assert_eq!(producer.ask_produce(12, &other_id), 49, "no transaction of that id");
    assert_eq!(producer.ask_produce(12, &request), 0);
    let next = producer.produce_request(12, T0, producer.stamp(1), &["y"]);
    let other_id = ProduceRequest { transactional_id: Some("b".into()), ..next };
    assert_eq!(producer.ask_produce(12, &other_id), 0, "the partition has an open transaction of that producer");
    let one = ProduceRequest { acks: 1, ..producer.produce_request(12, ("t", 2), producer.stamp(0), &["z"]) };
    assert_eq!(producer.ask_produce(12, &one), 0, "acks=1");
}

#[test]
fn a_batch_without_the_flag_is_outside_or_refused() {
    let cluster = one_broker();
    let mut producer = Producer::ready(&cluster, "a");
    let unflagged = |producer: &mut Producer, partition, sequence| {
        let stamp = producer.stamp(sequence).transactional(false);
        let request = producer.produce_request(12, ("t", partition), stamp, &["outside"]);
        producer.ask_produce(12, &request)
    };
    assert_eq!(producer.produce(12, T0, 0, &["inside"]), 0);
    assert_eq!(unflagged(&mut producer, 0, 1), 48, "the transaction is open in that partition");
    assert_eq!(unflagged(&mut producer, 1, 0), 0, "and not in this one");
    assert_eq!(producer.end(5, false), 0);
    let outcomes = |partition| -> Vec<_> {
        cluster.log("t", partition).unwrap().outcomes().into_iter().map(|(_, outcome)| outcome).collect()
    };
    assert_eq!((outcomes(0), outcomes(1)), (vec![Some(BatchOutcome::Aborted)], vec![None]));
}

#[test]
fn clients_write_no_control_batches() {
    let cluster = one_broker();
    let mut producer = Producer::ready(&cluster, "a");
    let mut bytes = stamped(&["x"], producer.stamp(0)).to_vec();
    bytes[22] |= 0x20;
    let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, &bytes[21..]) as u32;
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    let request = producer.client.produce_request(12, "t", 0, bytes.into(), -1);
    let request = ProduceRequest { transactional_id: Some("a".into()), ..request };
    assert_eq!(producer.ask_produce(12, &request), 87);
}

#[test]
fn every_version_of_add_partitions_to_txn() {
    for version in 0..=3 {
        let cluster = one_broker();
        let mut producer = Producer::ready(&cluster, "a");
        assert_eq!(producer.add(version, "t", &[0, 1]), [0, 0], "v{version}");
        assert_eq!(producer.add(version, "t", &[1]), [0], "v{version}: again");
        assert_eq!(producer.add(version, "t", &[2, 7]), [55, 3], "v{version}: one is missing");
        assert_eq!(producer.add(version, "unknown", &[0]), [3], "v{version}");
        assert_eq!(cluster.transaction("a").unwrap().partitions.len(), 2);
        producer.identity.1 += 1;
        let fenced = if version < 2 { 47 } else { 90 };
        assert_eq!(producer.add(version, "t", &[0, 1]), [fenced; 2], "v{version}");
        producer.identity.0 += 1;
        assert_eq!(producer.add(version, "t", &[0]), [49], "v{version}");
        let refuse = FaultKind::Refuse { code: 29, all: false };
        cluster.inject(Fault::new(refuse).api(ApiKey::AddPartitionsToTxn).topic("t").partition(2));
        assert_eq!(producer.add(version, "t", &[2, 1]), [29, 55], "v{version}");
    }
}

/// What brokers send to each other.
#[test]
fn brokers_add_and_verify_partitions_of_several_transactions() {
    for version in [4, 5] {
        let cluster = one_broker();
        let mut producer = Producer::ready(&cluster, "a");
        let (producer_id, producer_epoch) = producer.identity;
        let mut ask = |verify_only, partitions: &[i32]| -> Vec<i16> {
            let transaction = AddPartitionsToTxnTransaction {
                transactional_id: "a".into(),
                producer_id,
                producer_epoch,
                verify_only,
                topics: vec![AddPartitionsToTxnTopic { name: "t".into(), partitions: partitions.into() }],
            };
            let request = AddPartitionsToTxnRequest { transactions: vec![transaction], ..Default::default() };
            let response: AddPartitionsToTxnResponse =
                producer.client.ask(ApiKey::AddPartitionsToTxn, version, &request);
            let result = &response.results_by_transaction[0];
            assert_eq!(result.transactional_id, "a");
            let partitions = &result.topic_results[0].results_by_partition;
            partitions.iter().map(|partition| partition.partition_error_code).collect()
        };
        let missing = if version == 4 { 48 } else { 120 };
        assert_eq!(ask(true, &[0, 1]), [missing; 2], "v{version}");
        assert_eq!(ask(false, &[0]), [0], "v{version}");
        assert_eq!(ask(true, &[0, 1]), [0, missing], "v{version}");
    }
}
