//! Offsets in transactions: AddOffsetsToTxn, TxnOffsetCommit, and reading them back.

use kafka_batch_testing::wire::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic, OffsetCommitResponse,
};
use kafka_batch_testing::wire::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics, OffsetFetchResponse,
};
use kafka_batch_testing::wire::txn_offset_commit::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic, TxnOffsetCommitResponse,
};
use kafka_batch_testing::{ApiKey, Fault, FaultKind, Release, TestCluster, Topic, TransactionState};

use crate::common::Client;
use crate::producer::{Producer, find};

/// Connects, and finds the coordinator of the group, too.
fn ready(cluster: &TestCluster) -> Producer {
    let mut producer = Producer::ready(cluster, "a");
    assert_eq!(find(&mut producer.client, 3, 0, "g").error_code, 0);
    producer
}

fn topic_id(client: &mut Client) -> [u8; 16] {
    client.metadata(12, "t").topics[0].topic_id
}

fn request(producer: &mut Producer, offset: i64) -> TxnOffsetCommitRequest {
    let partition = TxnOffsetCommitRequestPartition {
        committed_offset: offset,
        committed_leader_epoch: 4,
        committed_metadata: Some("kept".into()),
        ..Default::default()
    };
    TxnOffsetCommitRequest {
        transactional_id: producer.id.clone(),
        group_id: "g".into(),
        producer_id: producer.identity.0,
        producer_epoch: producer.identity.1,
        topics: vec![TxnOffsetCommitRequestTopic {
            name: "t".into(),
            topic_id: topic_id(&mut producer.client),
            partitions: vec![partition],
        }],
        ..Default::default()
    }
}

fn ask(producer: &mut Producer, version: i16, request: &TxnOffsetCommitRequest) -> i16 {
    let response: TxnOffsetCommitResponse = producer.client.ask(ApiKey::TxnOffsetCommit, version, request);
    response.topics[0].partitions[0].error_code
}

fn commit(producer: &mut Producer, version: i16, offset: i64) -> i16 {
    let request = request(producer, offset);
    ask(producer, version, &request)
}

/// Returns the committed offset and the error code.
fn fetch(client: &mut Client, version: i16, require_stable: bool) -> (i64, i16) {
    let id = topic_id(client);
    let topic = OffsetFetchRequestTopic { name: "t".into(), partition_indexes: vec![0] };
    let of_group = OffsetFetchRequestTopics { name: "t".into(), topic_id: id, partition_indexes: vec![0] };
    let group = OffsetFetchRequestGroup { group_id: "g".into(), topics: Some(vec![of_group]), ..Default::default() };
    let request =
        OffsetFetchRequest { group_id: "g".into(), topics: Some(vec![topic]), groups: vec![group], require_stable };
    let response: OffsetFetchResponse = client.ask(ApiKey::OffsetFetch, version, &request);
    let partition =
        if version >= 8 { &response.groups[0].topics[0].partitions[0] } else { &response.topics[0].partitions[0] };
    (partition.committed_offset, partition.error_code)
}

#[test]
fn offsets_are_committed_with_the_transaction() {
    for version in 0..=6 {
        let cluster = TestCluster::builder().topic("t").start().unwrap();
        let mut producer = ready(&cluster);
        for (committed, offset, expected) in [(false, 5, -1), (true, 7, 7), (false, 9, 7)] {
            if version < 5 {
                assert_eq!(producer.add_group(3, "g"), 0);
            }
            assert_eq!(commit(&mut producer, version, offset), 0, "v{version}");
            assert_eq!(cluster.transaction("a").unwrap().groups, ["g"]);
            let end = if version < 5 { 4 } else { 5 };
            assert_eq!(producer.end(end, committed), 0, "v{version}");
            assert_eq!(fetch(&mut producer.client, 9, true), (expected, 0), "v{version}");
        }
        let offsets = cluster.committed_offsets("g");
        let ((topic, partition), committed) = &offsets[0];
        assert_eq!((topic.as_str(), *partition, committed.offset), ("t", 0, 7));
        assert_eq!(committed.leader_epoch, if version < 2 { -1 } else { 4 });
        assert_eq!(committed.metadata.as_deref(), Some("kept"));
    }
}

#[test]
fn a_group_that_was_not_added_is_refused_or_added() {
    for (version, code) in [(0, 48), (3, 48), (4, 120), (5, 0), (6, 0)] {
        let cluster = TestCluster::builder().topic("t").start().unwrap();
        let mut producer = ready(&cluster);
        assert_eq!(commit(&mut producer, version, 5), code, "v{version}");
    }
}

#[test]
fn offsets_of_an_open_transaction_are_unstable() {
    let cluster = TestCluster::builder().topic("t").start().unwrap();
    let mut producer = ready(&cluster);
    assert_eq!(commit(&mut producer, 5, 5), 0);
    assert_eq!(fetch(&mut producer.client, 9, true), (-1, 88));
    assert_eq!(fetch(&mut producer.client, 9, false), (-1, 0));
    cluster.hold_group_markers("g");
    assert_eq!(producer.end(5, true), 0);
    assert_eq!(cluster.transaction("a").unwrap().pending_groups, ["g"]);
    assert_eq!(fetch(&mut producer.client, 9, true), (-1, 88), "a moment longer");
    assert_eq!(commit(&mut producer, 5, 6), 51, "the next transaction has to wait");
    cluster.release_markers();
    assert_eq!(fetch(&mut producer.client, 9, true), (5, 0));
}

#[test]
fn fenced_producers_commit_no_offsets() {
    for version in 0..=6 {
        let cluster = TestCluster::builder().topic("t").start().unwrap();
        let mut first = ready(&cluster);
        assert_eq!(first.add_group(4, "g"), 0);
        assert_eq!(commit(&mut first, version, 5), 0);
        let mut second = Producer::new(&cluster, "a");
        assert_eq!([second.init(), second.init()], [51, 0]);
        assert_eq!(commit(&mut first, version, 6), 47, "v{version}");
        assert_eq!(cluster.committed_offsets("g").len(), 0);
    }
    for version in 0..=4 {
        let cluster = TestCluster::builder().topic("t").start().unwrap();
        let mut producer = ready(&cluster);
        assert_eq!(producer.add_group(version, "g"), 0);
        producer.identity.1 += 1;
        assert_eq!(producer.add_group(version, "g"), if version < 2 { 47 } else { 90 }, "v{version}");
    }
}

#[test]
fn members_and_generations_are_checked_from_v3_on() {
    let cluster = TestCluster::builder().topic("t").start().unwrap();
    let mut producer = ready(&cluster);
    let mut ask_as = |version, generation: i32, member: &str| {
        let request = request(&mut producer, 5);
        let request =
            TxnOffsetCommitRequest { generation_id_or_member_epoch: generation, member_id: member.into(), ..request };
        ask(&mut producer, version, &request)
    };
    assert_eq!([ask_as(5, 3, "m"), ask_as(6, 3, "m")], [22, 69], "there is no such group");
    cluster.set_group_members("g", 3, [("m", None)]);
    assert_eq!(ask_as(5, 3, "m"), 0);
    assert_eq!([ask_as(5, 2, "m"), ask_as(5, 3, "x")], [22, 25]);
    assert_eq!(ask_as(5, -1, ""), 0, "with the group's name only nobody is fenced");
    assert_eq!(cluster.transaction("a").unwrap().state, TransactionState::Ongoing);
}

/// As Kafka 4.4: a member of the new protocol that is late by an epoch may commit offsets of the partitions that it still owns.
#[test]
fn late_members_of_the_new_protocol_commit_for_the_partitions_that_they_still_own() {
    let cluster = TestCluster::builder().topic(Topic::new("t").partitions(2)).start().unwrap();
    let mut producer = ready(&cluster);
    assert_eq!(producer.add_group(3, "g"), 0);
    cluster.set_consumer_group_member("g", "m", 3, [("t", 0), ("t", 1)]);
    cluster.set_consumer_group_member("g", "m", 4, [("t", 0)]);
    let mut ask_as = |version, epoch: i32, member: &str| {
        let mut request = request(&mut producer, 5);
        let other = TxnOffsetCommitRequestPartition { partition_index: 1, committed_offset: 5, ..Default::default() };
        request.topics[0].partitions.push(other);
        (request.generation_id_or_member_epoch, request.member_id) = (epoch, member.into());
        let response: TxnOffsetCommitResponse = producer.client.ask(ApiKey::TxnOffsetCommit, version, &request);
        [0, 1].map(|partition: usize| response.topics[0].partitions[partition].error_code)
    };
    for (version, stale) in [(3, 22), (5, 22), (6, 113)] {
        assert_eq!(ask_as(version, 3, "m"), [0, stale], "v{version}");
        assert_eq!(ask_as(version, 2, "m"), [stale; 2], "v{version}");
        assert_eq!(ask_as(version, 4, "x"), [25; 2], "v{version}");
        assert_eq!(ask_as(version, -1, ""), [0; 2], "v{version}");
    }
    assert_eq!(ask_as(5, 4, "m"), [0; 2], "the current epoch");
}

#[test]
fn offsets_for_what_does_not_exist() {
    let cluster = TestCluster::builder().topic("t").auto_create(false).start().unwrap();
    let mut producer = ready(&cluster);
    let mut unknown = request(&mut producer, 5);
    unknown.topics[0].partitions[0].partition_index = 7;
    assert_eq!(ask(&mut producer, 5, &unknown), 3);
    unknown.topics[0].name = "unknown".into();
    unknown.topics[0].topic_id = [9; 16];
    assert_eq!([ask(&mut producer, 5, &unknown), ask(&mut producer, 6, &unknown)], [3, 100]);
    let mut long = request(&mut producer, 5);
    long.topics[0].partitions[0].committed_metadata = Some("x".repeat(5_000));
    assert_eq!(ask(&mut producer, 5, &long), 12);
    let nameless = TxnOffsetCommitRequest { group_id: String::new(), ..long };
    assert_eq!(ask(&mut producer, 5, &nameless), 24);
    let refuse = FaultKind::Refuse { code: 28, all: true };
    cluster.inject(Fault::new(refuse).api(ApiKey::TxnOffsetCommit).topic("t").transactional_id("a"));
    assert_eq!([commit(&mut producer, 5, 5), commit(&mut producer, 5, 5)], [28, 0]);
}

#[test]
fn every_version_of_offset_commit_and_offset_fetch() {
    for release in [Release::V3_9, Release::NEWEST] {
        let cluster = TestCluster::builder().release(release).topic("t").start().unwrap();
        let mut client = Client::new(&cluster, 1);
        let id = topic_id(&mut client);
        let commit = |client: &mut Client, version, offset| -> i16 {
            let partition = OffsetCommitRequestPartition { committed_offset: offset, ..Default::default() };
            let topic = OffsetCommitRequestTopic { name: "t".into(), topic_id: id, partitions: vec![partition] };
            let request = OffsetCommitRequest { group_id: "g".into(), topics: vec![topic], ..Default::default() };
            let response: OffsetCommitResponse = client.ask(ApiKey::OffsetCommit, version, &request);
            response.topics[0].partitions[0].error_code
        };
        assert_eq!(commit(&mut client, 8, 1), 16, "nobody asked for the coordinator");
        assert_eq!(find(&mut client, 3, 0, "g").error_code, 0);
        let is_old = release == Release::V3_9;
        for version in if is_old { 0..=9 } else { 2..=10 } {
            assert_eq!(commit(&mut client, version, i64::from(version)), 0, "v{version}");
            for read in if is_old { 0..=9 } else { 1..=10 } {
                assert_eq!(fetch(&mut client, read, false), (version.into(), 0), "v{version}, read by v{read}");
            }
        }
        let everything = OffsetFetchRequest { group_id: "g".into(), topics: None, ..Default::default() };
        let response: OffsetFetchResponse = client.ask(ApiKey::OffsetFetch, 5, &everything);
        assert_eq!(response.topics[0].partitions.len(), 1, "all that the group has");
        cluster.set_group_members("g", 3, [("m", None)]);
        assert_eq!(commit(&mut client, 8, 5), 25, "only a member commits");
    }
}
