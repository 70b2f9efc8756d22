//! Transactions, and committed offsets.

use kafka_batch_testing::wire::add_offsets_to_txn::*;
use kafka_batch_testing::wire::add_partitions_to_txn::*;
use kafka_batch_testing::wire::describe_transactions::*;
use kafka_batch_testing::wire::end_txn::*;
use kafka_batch_testing::wire::find_coordinator::*;
use kafka_batch_testing::wire::offset_commit::*;
use kafka_batch_testing::wire::offset_fetch::*;
use kafka_batch_testing::wire::txn_offset_commit::*;

use super::*;

#[test]
fn transactions() {
    let coordinator_keys = vec!["k".to_owned(), "l".to_owned()];
    let body = FindCoordinatorRequest { key: "k".into(), key_type: 0, coordinator_keys };
    request::<theirs::FindCoordinatorRequest>(ApiKey::FindCoordinator, &body);
    let coordinator = Coordinator {
        key: "k".into(),
        node_id: 1,
        host: "h".into(),
        port: 2,
        error_code: 15,
        error_message: some("no"),
    };
    let body = FindCoordinatorResponse {
        throttle_time_ms: 1,
        error_code: 15,
        error_message: some("no"),
        node_id: 3,
        host: "h".into(),
        port: 4,
        coordinators: vec![coordinator, Coordinator::default()],
    };
    response::<theirs::FindCoordinatorResponse>(ApiKey::FindCoordinator, &body);

    let topics = vec![AddPartitionsToTxnTopic { name: "orders".into(), partitions: vec![0, 4] }];
    let transaction = AddPartitionsToTxnTransaction {
        transactional_id: "t".into(),
        producer_id: 5,
        producer_epoch: 6,
        verify_only: true,
        topics: topics.clone(),
    };
    let body = AddPartitionsToTxnRequest {
        transactions: vec![transaction],
        v3_and_below_transactional_id: "t".into(),
        v3_and_below_producer_id: 5,
        v3_and_below_producer_epoch: 6,
        v3_and_below_topics: topics,
    };
    request::<theirs::AddPartitionsToTxnRequest>(ApiKey::AddPartitionsToTxn, &body);
    let partition = AddPartitionsToTxnPartitionResult { partition_index: 4, partition_error_code: 51 };
    let results = vec![AddPartitionsToTxnTopicResult { name: "orders".into(), results_by_partition: vec![partition] }];
    let result = AddPartitionsToTxnResult { transactional_id: "t".into(), topic_results: results.clone() };
    let body = AddPartitionsToTxnResponse {
        throttle_time_ms: 1,
        error_code: 31,
        results_by_transaction: vec![result],
        results_by_topic_v3_and_below: results,
    };
    response::<theirs::AddPartitionsToTxnResponse>(ApiKey::AddPartitionsToTxn, &body);

    let body = AddOffsetsToTxnRequest {
        transactional_id: "t".into(),
        producer_id: 5,
        producer_epoch: 6,
        group_id: "g".into(),
    };
    request::<theirs::AddOffsetsToTxnRequest>(ApiKey::AddOffsetsToTxn, &body);
    let body = AddOffsetsToTxnResponse { throttle_time_ms: 1, error_code: 90 };
    response::<theirs::AddOffsetsToTxnResponse>(ApiKey::AddOffsetsToTxn, &body);

    let body = DescribeTransactionsRequest { transactional_ids: vec!["t".into(), "u".into()] };
    request::<theirs::DescribeTransactionsRequest>(ApiKey::DescribeTransactions, &body);
    let body = DescribeTransactionsResponse {
        throttle_time_ms: 1,
        transaction_states: vec![TransactionDescription {
            error_code: 105,
            transactional_id: "t".into(),
            transaction_state: "Ongoing".into(),
            transaction_timeout_ms: 2,
            transaction_start_time_ms: 3,
            producer_id: 4,
            producer_epoch: 5,
            topics: vec![DescribedTopic { topic: "orders".into(), partitions: vec![6, 7] }],
        }],
    };
    response::<theirs::DescribeTransactionsResponse>(ApiKey::DescribeTransactions, &body);

    let body = EndTxnRequest { transactional_id: "t".into(), producer_id: 5, producer_epoch: 6, committed: true };
    request::<theirs::EndTxnRequest>(ApiKey::EndTxn, &body);
    let body = EndTxnResponse { throttle_time_ms: 1, error_code: 48, producer_id: 5, producer_epoch: 7 };
    response::<theirs::EndTxnResponse>(ApiKey::EndTxn, &body);
}

#[test]
fn offsets() {
    let partition = TxnOffsetCommitRequestPartition {
        partition_index: 1,
        committed_offset: 2,
        committed_leader_epoch: 3,
        committed_metadata: some("m"),
    };
    let topics = vec![TxnOffsetCommitRequestTopic { name: "orders".into(), topic_id: ID, partitions: vec![partition] }];
    // Before v3 there are no members.
    let body = TxnOffsetCommitRequest {
        transactional_id: "t".into(),
        group_id: "g".into(),
        producer_id: 5,
        producer_epoch: 6,
        topics,
        ..Default::default()
    };
    request::<theirs::TxnOffsetCommitRequest>(ApiKey::TxnOffsetCommit, &body);
    let partition = TxnOffsetCommitResponsePartition { partition_index: 1, error_code: 22 };
    let topics =
        vec![TxnOffsetCommitResponseTopic { name: "orders".into(), topic_id: ID, partitions: vec![partition] }];
    let body = TxnOffsetCommitResponse { throttle_time_ms: 1, topics };
    response::<theirs::TxnOffsetCommitResponse>(ApiKey::TxnOffsetCommit, &body);

    let partition = OffsetCommitRequestPartition {
        partition_index: 1,
        committed_offset: 2,
        committed_leader_epoch: 3,
        commit_timestamp: -1,
        committed_metadata: None,
    };
    let body = OffsetCommitRequest {
        group_id: "g".into(),
        generation_id_or_member_epoch: 4,
        member_id: "m".into(),
        retention_time_ms: -1,
        topics: vec![OffsetCommitRequestTopic { name: "orders".into(), topic_id: ID, partitions: vec![partition] }],
        ..Default::default()
    };
    request::<theirs::OffsetCommitRequest>(ApiKey::OffsetCommit, &body);
    let partition = OffsetCommitResponsePartition { partition_index: 1, error_code: 22 };
    let topics = vec![OffsetCommitResponseTopic { name: "orders".into(), topic_id: ID, partitions: vec![partition] }];
    let body = OffsetCommitResponse { throttle_time_ms: 1, topics };
    response::<theirs::OffsetCommitResponse>(ApiKey::OffsetCommit, &body);

    let topic = OffsetFetchRequestTopic { name: "orders".into(), partition_indexes: vec![1, 2] };
    let of_group = OffsetFetchRequestTopics { name: "orders".into(), topic_id: ID, partition_indexes: vec![1, 2] };
    let group = OffsetFetchRequestGroup {
        group_id: "g".into(),
        member_id: some("m"),
        member_epoch: 3,
        topics: Some(vec![of_group]),
    };
    let body = OffsetFetchRequest {
        group_id: "g".into(),
        topics: Some(vec![topic]),
        groups: vec![group],
        require_stable: false,
    };
    request::<theirs::OffsetFetchRequest>(ApiKey::OffsetFetch, &body);
    let partition = OffsetFetchResponsePartition {
        partition_index: 1,
        committed_offset: 2,
        committed_leader_epoch: 3,
        metadata: some("m"),
        error_code: 88,
    };
    let partitions = vec![partition, OffsetFetchResponsePartition::default()];
    let of_group = OffsetFetchResponseTopics { name: "orders".into(), topic_id: ID, partitions: partitions.clone() };
    let body = OffsetFetchResponse {
        throttle_time_ms: 1,
        topics: vec![OffsetFetchResponseTopic { name: "orders".into(), partitions }],
        error_code: 16,
        groups: vec![OffsetFetchResponseGroup { group_id: "g".into(), topics: vec![of_group], error_code: 16 }],
    };
    response::<theirs::OffsetFetchResponse>(ApiKey::OffsetFetch, &body);
}

/// TxnOffsetCommit v6, which `kafka-protocol` does not have: its fields as in Apache Kafka 4.4.0's
/// `TxnOffsetCommitRequest.json` and `TxnOffsetCommitResponse.json`, written by hand.
#[test]
fn txn_offset_commit_with_topic_ids() {
    let partition = TxnOffsetCommitRequestPartition { partition_index: 1, committed_offset: 2, ..Default::default() };
    let body = TxnOffsetCommitRequest {
        transactional_id: "t".into(),
        group_id: "g".into(),
        producer_id: 5,
        producer_epoch: 6,
        generation_id_or_member_epoch: 7,
        member_id: "m".into(),
        topics: vec![TxnOffsetCommitRequestTopic { topic_id: ID, partitions: vec![partition], ..Default::default() }],
        ..Default::default()
    };
    let frame = wire::request(ApiKey::TxnOffsetCommit, 6, 7, None, &body);
    let mut frames = Frames::default();
    frames.push(&frame);
    let opened = wire::open(frames.next_frame().unwrap()).unwrap();
    let expected: [&[u8]; 13] = [
        &[2, b't'],
        &[2, b'g'],
        &[0, 0, 0, 0, 0, 0, 0, 5],
        &[0, 6],
        &[0, 0, 0, 7],
        &[2, b'm'],
        &[0], // no static member
        &[2], // one topic
        &ID,
        &[2], // one partition
        &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2],
        &[0xff, 0xff, 0xff, 0xff, 1], // no leader epoch, empty metadata
        &[0, 0, 0],                   // no tagged fields: of the partition, the topic, the request
    ];
    assert_eq!(opened.body[..], expected.concat()[..]);
    assert_eq!(wire::body::<TxnOffsetCommitRequest>(&opened).unwrap(), body);
    let partition = TxnOffsetCommitResponsePartition { partition_index: 1, error_code: 22 };
    let topic = TxnOffsetCommitResponseTopic { topic_id: ID, partitions: vec![partition], ..Default::default() };
    let body = TxnOffsetCommitResponse { throttle_time_ms: 8, topics: vec![topic] };
    let answer = wire::answer(&opened, 6, &body);
    let expected: [&[u8]; 6] = [&[0, 0, 0, 8], &[2], &ID, &[2, 0, 0, 0, 1, 0, 22], &[0, 0], &[0]];
    assert_eq!(answer[4 + wire::response_header_len(ApiKey::TxnOffsetCommit, 6)..], expected.concat()[..]);
}
