//! The requests and responses of transactions.

use kafka_batch_core::protocol::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse,
    AddPartitionsToTxnTopic, ApiKey, CoordinatorType, DescribeTransactionsRequest, DescribeTransactionsResponse,
    EndTxnRequest, EndTxnResponse, FindCoordinatorRequest, FindCoordinatorResponse, RequestEncodeError,
    TxnOffsetCommitPartition, TxnOffsetCommitRequest, TxnOffsetCommitResponse, TxnOffsetCommitTopic,
};
use kafka_batch_witnesses::kafka_protocol::messages as oracle;
use kafka_batch_witnesses::kafka_protocol::messages::find_coordinator_response::Coordinator;
use proptest::collection::vec;
use proptest::prelude::*;

use super::requests::decoded_by_oracle;
use super::responses::{check, unknown};
use super::{HEADER, nullable, str_bytes, string, text};

fn name(text: &str) -> oracle::TopicName {
    oracle::TopicName(str_bytes(text))
}

proptest! {
    #[test]
    fn find_coordinator_requests(version in 0i16..=6, is_group in any::<bool>(), key in text()) {
        let is_group = is_group || version == 0;
        let key_type = if is_group { CoordinatorType::Group } else { CoordinatorType::Transaction };
        let segments = FindCoordinatorRequest { key_type, key: &key }.encode(version, HEADER).unwrap();
        let theirs: oracle::FindCoordinatorRequest = decoded_by_oracle(ApiKey::FindCoordinator, version, &segments);
        let expected = oracle::FindCoordinatorRequest::default().with_key_type(i8::from(!is_group));
        let expected = match version {
            4.. => expected.with_coordinator_keys(vec![str_bytes(&key)]),
            _ => expected.with_key(str_bytes(&key)),
        };
        prop_assert_eq!(theirs, expected);
    }

    #[test]
    fn add_partitions_to_txn_requests(
        version in 0i16..=3,
        id in text(),
        producer in any::<(i64, i16)>(),
        topics in vec((text(), vec(any::<i32>(), 0..4)), 0..4),
    ) {
        let topic = |(name, partitions): &(String, Vec<i32>)| (name.clone(), partitions.clone());
        let owned: Vec<_> = topics.iter().map(topic).collect();
        let topics = owned.iter().map(|(name, partitions)| AddPartitionsToTxnTopic { name, partitions: partitions.clone() });
        let request = AddPartitionsToTxnRequest {
            transactional_id: &id,
            producer_id: producer.0,
            producer_epoch: producer.1,
            topics: topics.collect(),
        };
        let segments = request.encode(version, HEADER).unwrap();
        let theirs: oracle::AddPartitionsToTxnRequest = decoded_by_oracle(ApiKey::AddPartitionsToTxn, version, &segments);
        let topics = owned.iter().map(|(topic, partitions)| {
            oracle::add_partitions_to_txn_request::AddPartitionsToTxnTopic::default()
                .with_name(name(topic))
                .with_partitions(partitions.clone())
        });
        let expected = oracle::AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(str_bytes(&id).into())
            .with_v3_and_below_producer_id(producer.0.into())
            .with_v3_and_below_producer_epoch(producer.1)
            .with_v3_and_below_topics(topics.collect());
        prop_assert_eq!(theirs, expected);
    }

    #[test]
    fn describe_transactions_requests(ids in vec(text(), 0..4)) {
        let transactional_ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let request = DescribeTransactionsRequest { transactional_ids: &transactional_ids };
        let segments = request.encode(0, HEADER).unwrap();
        let theirs: oracle::DescribeTransactionsRequest = decoded_by_oracle(ApiKey::DescribeTransactions, 0, &segments);
        let ids = ids.iter().map(|id| str_bytes(id).into()).collect();
        prop_assert_eq!(theirs, oracle::DescribeTransactionsRequest::default().with_transactional_ids(ids));
    }

    #[test]
    fn add_offsets_and_end_txn_requests(
        id in text(),
        group in text(),
        producer in any::<(i64, i16)>(),
        committed in any::<bool>(),
    ) {
        let (producer_id, producer_epoch) = producer;
        for version in 0..=4 {
            let request = AddOffsetsToTxnRequest { transactional_id: &id, producer_id, producer_epoch, group_id: &group };
            let segments = request.encode(version, HEADER).unwrap();
            let theirs: oracle::AddOffsetsToTxnRequest = decoded_by_oracle(ApiKey::AddOffsetsToTxn, version, &segments);
            let expected = oracle::AddOffsetsToTxnRequest::default()
                .with_transactional_id(str_bytes(&id).into())
                .with_producer_id(producer_id.into())
                .with_producer_epoch(producer_epoch)
                .with_group_id(str_bytes(&group).into());
            prop_assert_eq!(theirs, expected);
        }
        for version in 0..=5 {
            let request = EndTxnRequest { transactional_id: &id, producer_id, producer_epoch, committed };
            let segments = request.encode(version, HEADER).unwrap();
            let theirs: oracle::EndTxnRequest = decoded_by_oracle(ApiKey::EndTxn, version, &segments);
            let expected = oracle::EndTxnRequest::default()
                .with_transactional_id(str_bytes(&id).into())
                .with_producer_id(producer_id.into())
                .with_producer_epoch(producer_epoch)
                .with_committed(committed);
            prop_assert_eq!(theirs, expected);
        }
    }

    #[test]
    fn txn_offset_commit_requests(
        version in 0i16..=5,
        ids in (text(), text(), text()),
        producer in any::<(i64, i16)>(),
        generation in any::<i32>(),
        instance in proptest::option::of(text()),
        topic in text(),
        offsets in vec((any::<i32>(), any::<i64>(), any::<i32>(), proptest::option::of(text())), 0..4),
    ) {
        let is_member = version >= 3;
        let partition = |(index, offset, epoch, metadata): &'_ (i32, i64, i32, Option<String>)| {
            (*index, *offset, *epoch, metadata.clone())
        };
        let offsets: Vec<_> = offsets.iter().map(partition).collect();
        let partitions = offsets.iter().map(|(index, offset, epoch, metadata)| TxnOffsetCommitPartition {
            partition_index: *index,
            committed_offset: *offset,
            committed_leader_epoch: *epoch,
            committed_metadata: metadata.as_deref(),
        });
        let request = TxnOffsetCommitRequest {
            transactional_id: &ids.0,
            group_id: &ids.1,
            producer_id: producer.0,
            producer_epoch: producer.1,
            generation_id: if is_member { generation } else { -1 },
            member_id: if is_member { &ids.2 } else { "" },
            group_instance_id: instance.as_deref().filter(|_| is_member),
            topics: vec![TxnOffsetCommitTopic { name: &topic, partitions: partitions.collect() }],
        };
        let segments = request.encode(version, HEADER).unwrap();
        let theirs: oracle::TxnOffsetCommitRequest = decoded_by_oracle(ApiKey::TxnOffsetCommit, version, &segments);
        let partitions = offsets.iter().map(|(index, offset, epoch, metadata)| {
            oracle::txn_offset_commit_request::TxnOffsetCommitRequestPartition::default()
                .with_partition_index(*index)
                .with_committed_offset(*offset)
                .with_committed_leader_epoch(if version >= 2 { *epoch } else { -1 })
                .with_committed_metadata(metadata.clone().map(str_bytes))
        });
        let topic = oracle::txn_offset_commit_request::TxnOffsetCommitRequestTopic::default()
            .with_name(name(&topic))
            .with_partitions(partitions.collect());
        let mut expected = oracle::TxnOffsetCommitRequest::default()
            .with_transactional_id(str_bytes(&ids.0).into())
            .with_group_id(str_bytes(&ids.1).into())
            .with_producer_id(producer.0.into())
            .with_producer_epoch(producer.1)
            .with_topics(vec![topic]);
        if is_member {
            expected = expected
                .with_generation_id(generation)
                .with_member_id(str_bytes(&ids.2))
                .with_group_instance_id(instance.map(str_bytes));
        }
        prop_assert_eq!(theirs, expected);
    }

    #[test]
    fn responses(
        throttle in any::<i32>(),
        errors in any::<(i16, i16)>(),
        producer in any::<(i64, i16)>(),
        node in any::<(i32, i32)>(),
        texts in (string(), string(), nullable()),
    ) {
        let [code, other] = [errors.0, errors.1];
        for version in 0..=6 {
            let response = oracle::FindCoordinatorResponse::default();
            let response = if version >= 1 { response.with_throttle_time_ms(throttle) } else { response };
            let message = texts.2.clone().filter(|_| version >= 1);
            let response = if version >= 4 {
                let coordinator = Coordinator::default()
                    .with_key(texts.0.clone())
                    .with_node_id(node.0.into())
                    .with_host(texts.1.clone())
                    .with_port(node.1)
                    .with_error_code(code)
                    .with_error_message(message);
                response.with_coordinators(vec![coordinator])
            } else {
                response
                    .with_error_code(code)
                    .with_error_message(message)
                    .with_node_id(node.0.into())
                    .with_host(texts.1.clone())
                    .with_port(node.1)
            };
            let tagged = response.clone().with_unknown_tagged_fields(unknown());
            let back = match version {
                0 => oldest_back,
                1..=3 => coordinator_back,
                _ => coordinators_back,
            };
            check(version, &response, &tagged, FindCoordinatorResponse::decode, back);
        }
        for version in 0..=3 {
            let partition = |index, code| {
                oracle::add_partitions_to_txn_response::AddPartitionsToTxnPartitionResult::default()
                    .with_partition_index(index)
                    .with_partition_error_code(code)
            };
            let topic = oracle::add_partitions_to_txn_response::AddPartitionsToTxnTopicResult::default()
                .with_name(texts.0.clone().into())
                .with_results_by_partition(vec![partition(node.0, code), partition(node.1, other)]);
            let response = oracle::AddPartitionsToTxnResponse::default()
                .with_throttle_time_ms(throttle)
                .with_results_by_topic_v3_and_below(vec![topic]);
            let tagged = response.clone().with_unknown_tagged_fields(unknown());
            check(version, &response, &tagged, AddPartitionsToTxnResponse::decode, partitions_back);
        }
        for version in 0..=4 {
            let response = oracle::AddOffsetsToTxnResponse::default().with_throttle_time_ms(throttle).with_error_code(code);
            let tagged = response.clone().with_unknown_tagged_fields(unknown());
            check(version, &response, &tagged, AddOffsetsToTxnResponse::decode, |decoded| {
                oracle::AddOffsetsToTxnResponse::default()
                    .with_throttle_time_ms(decoded.throttle_time_ms)
                    .with_error_code(decoded.error_code.0)
            });
        }
        let topic = oracle::describe_transactions_response::TopicData::default()
            .with_topic(texts.0.clone().into())
            .with_partitions(vec![node.0, node.1]);
        let state = oracle::describe_transactions_response::TransactionState::default()
            .with_error_code(code)
            .with_transactional_id(texts.0.clone().into())
            .with_transaction_state(texts.1.clone())
            .with_transaction_timeout_ms(node.0)
            .with_transaction_start_time_ms(producer.0)
            .with_producer_id(producer.0.into())
            .with_producer_epoch(producer.1)
            .with_topics(vec![topic]);
        let response = oracle::DescribeTransactionsResponse::default()
            .with_throttle_time_ms(throttle)
            .with_transaction_states(vec![state.clone(), state]);
        let tagged = response.clone().with_unknown_tagged_fields(unknown());
        check(0, &response, &tagged, DescribeTransactionsResponse::decode, descriptions_back);
        for version in 0..=5 {
            let response = oracle::EndTxnResponse::default().with_throttle_time_ms(throttle).with_error_code(code);
            let response = match version {
                5 => response.with_producer_id(producer.0.into()).with_producer_epoch(producer.1),
                _ => response,
            };
            let tagged = response.clone().with_unknown_tagged_fields(unknown());
            check(version, &response, &tagged, EndTxnResponse::decode, |decoded| {
                oracle::EndTxnResponse::default()
                    .with_throttle_time_ms(decoded.throttle_time_ms)
                    .with_error_code(decoded.error_code.0)
                    .with_producer_id(decoded.producer_id.into())
                    .with_producer_epoch(decoded.producer_epoch)
            });
        }
        for version in 0..=5 {
            let partition = |index, code| {
                oracle::txn_offset_commit_response::TxnOffsetCommitResponsePartition::default()
                    .with_partition_index(index)
                    .with_error_code(code)
            };
            let topic = oracle::txn_offset_commit_response::TxnOffsetCommitResponseTopic::default()
                .with_name(texts.0.clone().into())
                .with_partitions(vec![partition(node.0, code), partition(node.1, other)]);
            let response =
                oracle::TxnOffsetCommitResponse::default().with_throttle_time_ms(throttle).with_topics(vec![topic]);
            let tagged = response.clone().with_unknown_tagged_fields(unknown());
            check(version, &response, &tagged, TxnOffsetCommitResponse::decode, offsets_back);
        }
    }
}

fn descriptions_back(decoded: DescribeTransactionsResponse) -> oracle::DescribeTransactionsResponse {
    let states = decoded.transactions.into_iter().map(|found| {
        let topics = found.topics.into_iter().map(|(topic, partitions)| {
            oracle::describe_transactions_response::TopicData::default()
                .with_topic(str_bytes(topic).into())
                .with_partitions(partitions)
        });
        oracle::describe_transactions_response::TransactionState::default()
            .with_error_code(found.error_code.0)
            .with_transactional_id(str_bytes(found.transactional_id).into())
            .with_transaction_state(str_bytes(found.state))
            .with_transaction_timeout_ms(found.timeout_ms)
            .with_transaction_start_time_ms(found.start_time_ms)
            .with_producer_id(found.producer_id.into())
            .with_producer_epoch(found.producer_epoch)
            .with_topics(topics.collect())
    });
    oracle::DescribeTransactionsResponse::default()
        .with_throttle_time_ms(decoded.throttle_time_ms)
        .with_transaction_states(states.collect())
}

fn coordinators_back(decoded: FindCoordinatorResponse) -> oracle::FindCoordinatorResponse {
    let coordinators = decoded.coordinators.into_iter().map(|found| {
        Coordinator::default()
            .with_key(str_bytes(found.key))
            .with_node_id(found.node_id.into())
            .with_host(str_bytes(found.host))
            .with_port(found.port)
            .with_error_code(found.error_code.0)
            .with_error_message(found.error_message.map(str_bytes))
    });
    oracle::FindCoordinatorResponse::default()
        .with_throttle_time_ms(decoded.throttle_time_ms)
        .with_coordinators(coordinators.collect())
}

/// v0 has no message, which the oracle reads as its default.
fn oldest_back(decoded: FindCoordinatorResponse) -> oracle::FindCoordinatorResponse {
    assert_eq!(decoded.coordinators[0].error_message, None);
    coordinator_back(decoded).with_error_message(oracle::FindCoordinatorResponse::default().error_message)
}

fn coordinator_back(mut decoded: FindCoordinatorResponse) -> oracle::FindCoordinatorResponse {
    let found = decoded.coordinators.remove(0);
    assert!(found.key.is_empty() && decoded.coordinators.is_empty());
    oracle::FindCoordinatorResponse::default()
        .with_throttle_time_ms(decoded.throttle_time_ms)
        .with_error_code(found.error_code.0)
        .with_error_message(found.error_message.map(str_bytes))
        .with_node_id(found.node_id.into())
        .with_host(str_bytes(found.host))
        .with_port(found.port)
}

fn partitions_back(decoded: AddPartitionsToTxnResponse) -> oracle::AddPartitionsToTxnResponse {
    let topics = decoded.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|found| {
            oracle::add_partitions_to_txn_response::AddPartitionsToTxnPartitionResult::default()
                .with_partition_index(found.partition_index)
                .with_partition_error_code(found.error_code.0)
        });
        oracle::add_partitions_to_txn_response::AddPartitionsToTxnTopicResult::default()
            .with_name(name(&topic.name))
            .with_results_by_partition(partitions.collect())
    });
    oracle::AddPartitionsToTxnResponse::default()
        .with_throttle_time_ms(decoded.throttle_time_ms)
        .with_results_by_topic_v3_and_below(topics.collect())
}

fn offsets_back(decoded: TxnOffsetCommitResponse) -> oracle::TxnOffsetCommitResponse {
    let topics = decoded.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|found| {
            oracle::txn_offset_commit_response::TxnOffsetCommitResponsePartition::default()
                .with_partition_index(found.partition_index)
                .with_error_code(found.error_code.0)
        });
        oracle::txn_offset_commit_response::TxnOffsetCommitResponseTopic::default()
            .with_name(name(&topic.name))
            .with_partitions(partitions.collect())
    });
    oracle::TxnOffsetCommitResponse::default()
        .with_throttle_time_ms(decoded.throttle_time_ms)
        .with_topics(topics.collect())
}

#[test]
fn what_a_version_cannot_carry_is_an_error() {
    let lost = |result: Result<Vec<bytes::Bytes>, RequestEncodeError>| match result {
        Err(RequestEncodeError::Unrepresentable { value, .. }) => value,
        other => panic!("{other:?}"),
    };
    let find = FindCoordinatorRequest { key_type: CoordinatorType::Transaction, key: "id" };
    assert!(lost(find.encode(0, HEADER)).contains("KIP-98"));
    let commit = TxnOffsetCommitRequest {
        transactional_id: "id",
        group_id: "g",
        producer_id: 1,
        producer_epoch: 0,
        generation_id: 3,
        member_id: "",
        group_instance_id: None,
        topics: Vec::new(),
    };
    assert!(lost(commit.encode(2, HEADER)).contains("KIP-447"));
    assert!(commit.encode(3, HEADER).is_ok());
}
