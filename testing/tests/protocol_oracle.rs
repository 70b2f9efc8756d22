//! The wire beside an independent implementation: what is written here is read and written again by `kafka-protocol`, byte
//! for byte, in each version that it has.

#[path = "protocol_oracle/transactions.rs"]
mod transactions;

use bytes::{Bytes, BytesMut};
use kafka_batch_testing::ApiKey;
use kafka_batch_testing::wire::api_versions::*;
use kafka_batch_testing::wire::create_topics::*;
use kafka_batch_testing::wire::fetch::*;
use kafka_batch_testing::wire::init_producer_id::*;
use kafka_batch_testing::wire::list_offsets::*;
use kafka_batch_testing::wire::metadata::*;
use kafka_batch_testing::wire::offset_for_leader_epoch::*;
use kafka_batch_testing::wire::produce::*;
use kafka_batch_testing::wire::sasl::*;
use kafka_batch_testing::wire::{self, Field, Frames};
use kafka_batch_witnesses::kafka_protocol::messages as theirs;
use kafka_batch_witnesses::kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Message};

/// Checks a request in all versions.
fn request<T: Encodable + Decodable + Message + HeaderVersion>(
    api: ApiKey,
    body: &(impl Field + PartialEq + std::fmt::Debug),
) {
    for version in T::VERSIONS.min..=T::VERSIONS.max.min(api.newest()) {
        let mut frames = Frames::default();
        frames.push(&wire::request(api, version, 7, Some("client"), body));
        let mut frame = frames.next_frame().unwrap();
        let ours = wire::open(frame.clone()).unwrap();
        let header = theirs::RequestHeader::decode(&mut frame, T::header_version(version)).unwrap();
        assert_eq!((header.request_api_key, header.correlation_id), (api.code(), 7));
        assert_eq!((ours.api, ours.correlation, ours.client_id.as_deref()), (api, 7, Some("client")));
        assert_eq!(ours.body, frame, "{api:?} v{version}: the headers are equally long");
        same::<T>(api, version, &ours.body, body);
    }
}

/// Checks a response in all versions.
fn response<T: Encodable + Decodable + Message + HeaderVersion>(
    api: ApiKey,
    body: &(impl Field + PartialEq + std::fmt::Debug),
) {
    for version in T::VERSIONS.min..=T::VERSIONS.max.min(api.newest()) {
        let request = wire::Request { api, version, correlation: 7, client_id: None, body: Bytes::new() };
        let answer = wire::answer(&request, version, body);
        let mut frame = answer.slice(4..);
        theirs::ResponseHeader::decode(&mut frame, T::header_version(version)).unwrap();
        assert_eq!(frame, answer.slice(4 + wire::response_header_len(api, version)..));
        same::<T>(api, version, &frame, body);
    }
}

fn same<T: Encodable + Decodable>(
    api: ApiKey,
    version: i16,
    bytes: &Bytes,
    _: &(impl Field + PartialEq + std::fmt::Debug),
) {
    let mut rest = bytes.clone();
    let decoded = T::decode(&mut rest, version).unwrap_or_else(|error| panic!("{api:?} v{version}: {error}"));
    assert!(rest.is_empty(), "{api:?} v{version}: {} bytes are left", rest.len());
    let mut again = BytesMut::new();
    decoded.encode(&mut again, version).unwrap_or_else(|error| panic!("{api:?} v{version}: {error}"));
    assert_eq!(again, bytes, "{api:?} v{version}");
}

const ID: [u8; 16] = *b"0123456789abcdef";

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// Messages with the fields that a version has: `kafka-protocol` refuses to write others.
#[test]
fn produce() {
    let partition = |index| PartitionProduceData { index, records: Some(Bytes::from_static(b"records")) };
    let body = ProduceRequest {
        transactional_id: some("t"),
        acks: -1,
        timeout_ms: 30_000,
        topic_data: vec![
            TopicProduceData {
                name: "orders".into(),
                topic_id: ID,
                partition_data: vec![partition(0), PartitionProduceData { index: 4, records: None }],
            },
            TopicProduceData { name: "o".into(), topic_id: ID, partition_data: vec![] },
        ],
    };
    request::<theirs::ProduceRequest>(ApiKey::Produce, &body);
    let partition = PartitionProduceResponse {
        index: 3,
        error_code: 6,
        base_offset: 1 << 40,
        log_append_time_ms: 5,
        log_start_offset: 6,
        record_errors: vec![BatchIndexAndErrorMessage { batch_index: 7, batch_index_error_message: some("no") }],
        error_message: some("not at all"),
        current_leader: LeaderIdAndEpoch { leader_id: 2, leader_epoch: 9 },
    };
    let body = ProduceResponse {
        responses: vec![TopicProduceResponse {
            name: "orders".into(),
            topic_id: ID,
            partition_responses: vec![partition, PartitionProduceResponse::default()],
        }],
        throttle_time_ms: 77,
        node_endpoints: vec![NodeEndpoint { node_id: 2, host: "h".into(), port: 9, rack: some("r") }],
    };
    response::<theirs::ProduceResponse>(ApiKey::Produce, &body);
}

#[test]
fn metadata() {
    let topic = MetadataRequestTopic { topic_id: ID, name: some("orders") };
    for topics in [None, Some(vec![]), Some(vec![topic])].into_iter().skip(1) {
        let body = MetadataRequest {
            topics,
            allow_auto_topic_creation: true,
            include_cluster_authorized_operations: false,
            include_topic_authorized_operations: false,
        };
        request::<theirs::MetadataRequest>(ApiKey::Metadata, &body);
    }
    let partition = MetadataResponsePartition {
        error_code: 5,
        partition_index: 1,
        leader_id: 2,
        leader_epoch: 3,
        replica_nodes: vec![1, 2, 3],
        isr_nodes: vec![2],
        offline_replicas: vec![1],
    };
    let body = MetadataResponse {
        throttle_time_ms: 4,
        brokers: vec![MetadataResponseBroker { node_id: 2, host: "h".into(), port: 9092, rack: some("r") }],
        cluster_id: some("c"),
        controller_id: 2,
        topics: vec![MetadataResponseTopic {
            error_code: 3,
            name: some("orders"),
            topic_id: ID,
            is_internal: true,
            partitions: vec![partition],
            topic_authorized_operations: 5,
        }],
        cluster_authorized_operations: i32::MIN,
        error_code: 0,
    };
    response::<theirs::MetadataResponse>(ApiKey::Metadata, &body);
}

#[test]
fn api_versions() {
    let body = ApiVersionsRequest {
        client_software_name: "n".into(),
        client_software_version: "1".into(),
        cluster_id: some("c"),
        node_id: 4,
    };
    request::<theirs::ApiVersionsRequest>(ApiKey::ApiVersions, &body);
    let body = ApiVersionsResponse {
        error_code: 35,
        api_keys: vec![ApiVersion { api_key: 3, min_version: 1, max_version: 12 }],
        throttle_time_ms: 5,
        supported_features: vec![SupportedFeature { name: "f".into(), min_version: 0, max_version: 2 }],
        finalized_features_epoch: 6,
        finalized_features: vec![FinalizedFeature { name: "f".into(), max_version_level: 2, min_version_level: 1 }],
    };
    response::<theirs::ApiVersionsResponse>(ApiKey::ApiVersions, &body);
}

#[test]
fn init_producer_id_and_sasl() {
    let body = InitProducerIdRequest {
        transactional_id: some("t"),
        transaction_timeout_ms: 9,
        producer_id: 1,
        producer_epoch: 2,
        ..Default::default()
    };
    request::<theirs::InitProducerIdRequest>(ApiKey::InitProducerId, &body);
    let body = InitProducerIdResponse {
        throttle_time_ms: 1,
        error_code: 2,
        producer_id: 3,
        producer_epoch: 4,
        ..Default::default()
    };
    response::<theirs::InitProducerIdResponse>(ApiKey::InitProducerId, &body);
    let body = SaslHandshakeRequest { mechanism: "PLAIN".into() };
    request::<theirs::SaslHandshakeRequest>(ApiKey::SaslHandshake, &body);
    let body = SaslHandshakeResponse { error_code: 33, mechanisms: vec!["PLAIN".into(), "GSSAPI".into()] };
    response::<theirs::SaslHandshakeResponse>(ApiKey::SaslHandshake, &body);
    let body = SaslAuthenticateRequest { auth_bytes: Bytes::from_static(b"token") };
    request::<theirs::SaslAuthenticateRequest>(ApiKey::SaslAuthenticate, &body);
    let body = SaslAuthenticateResponse {
        error_code: 58,
        error_message: some("no"),
        auth_bytes: Bytes::from_static(b"token"),
        session_lifetime_ms: 5,
    };
    response::<theirs::SaslAuthenticateResponse>(ApiKey::SaslAuthenticate, &body);
}

#[test]
fn fetch() {
    let partition = FetchPartition {
        partition: 1,
        current_leader_epoch: 2,
        fetch_offset: 3,
        last_fetched_epoch: -1,
        log_start_offset: -1,
        partition_max_bytes: 6,
        ..Default::default()
    };
    let body = FetchRequest {
        cluster_id: some("c"),
        replica_id: -1,
        max_wait_ms: 1,
        min_bytes: 2,
        max_bytes: 3,
        isolation_level: 1,
        session_id: 0,
        session_epoch: -1,
        topics: vec![FetchTopic { topic: "orders".into(), topic_id: ID, partitions: vec![partition] }],
        forgotten_topics_data: vec![],
        rack_id: String::new(),
        ..Default::default()
    };
    request::<theirs::FetchRequest>(ApiKey::Fetch, &body);
    let partition = PartitionData {
        partition_index: 1,
        error_code: 6,
        high_watermark: 2,
        last_stable_offset: 3,
        log_start_offset: 4,
        diverging_epoch: EpochEndOffset { epoch: 1, end_offset: 2 },
        current_leader: LeaderIdAndEpoch { leader_id: 3, leader_epoch: 4 },
        aborted_transactions: Some(vec![AbortedTransaction { producer_id: 1, first_offset: 2 }]),
        preferred_read_replica: -1,
        records: Some(Bytes::from_static(b"records")),
    };
    let body = FetchResponse {
        throttle_time_ms: 1,
        error_code: 0,
        session_id: 0,
        responses: vec![FetchableTopicResponse {
            topic: "orders".into(),
            topic_id: ID,
            partitions: vec![partition, PartitionData::default()],
        }],
        node_endpoints: vec![NodeEndpoint { node_id: 2, host: "h".into(), port: 9, rack: None }],
    };
    response::<theirs::FetchResponse>(ApiKey::Fetch, &body);
}

#[test]
fn list_offsets_and_create_topics() {
    let partition =
        ListOffsetsPartition { partition_index: 1, current_leader_epoch: -1, timestamp: -2, max_num_offsets: 1 };
    let topics = vec![ListOffsetsTopic { name: "orders".into(), partitions: vec![partition] }];
    let body = ListOffsetsRequest { replica_id: -1, isolation_level: 0, topics, timeout_ms: 0 };
    request::<theirs::ListOffsetsRequest>(ApiKey::ListOffsets, &body);
    let partition = ListOffsetsPartitionResponse {
        partition_index: 1,
        error_code: 3,
        timestamp: 4,
        offset: 5,
        leader_epoch: -1,
        ..Default::default()
    };
    let topics = vec![ListOffsetsTopicResponse { name: "orders".into(), partitions: vec![partition] }];
    response::<theirs::ListOffsetsResponse>(ApiKey::ListOffsets, &ListOffsetsResponse { throttle_time_ms: 0, topics });

    let topic = CreatableTopic {
        name: "orders".into(),
        num_partitions: 3,
        replication_factor: 1,
        assignments: vec![CreatableReplicaAssignment { partition_index: 0, broker_ids: vec![1, 2] }],
        configs: vec![CreatableTopicConfig { name: "k".into(), value: None }],
    };
    let body = CreateTopicsRequest { topics: vec![topic], timeout_ms: 5, validate_only: true };
    request::<theirs::CreateTopicsRequest>(ApiKey::CreateTopics, &body);
    let config = CreatableTopicConfigs { name: "k".into(), value: some("v"), ..Default::default() };
    let topic = CreatableTopicResult {
        name: "orders".into(),
        topic_id: ID,
        error_code: 36,
        error_message: some("exists"),
        topic_config_error_code: 29,
        num_partitions: 3,
        replication_factor: 1,
        configs: Some(vec![config]),
    };
    response::<theirs::CreateTopicsResponse>(
        ApiKey::CreateTopics,
        &CreateTopicsResponse { throttle_time_ms: 1, topics: vec![topic] },
    );
}

#[test]
fn offset_for_leader_epoch() {
    let partition = OffsetForLeaderPartition { partition: 1, current_leader_epoch: 3, leader_epoch: 2 };
    let topics = vec![OffsetForLeaderTopic { topic: "orders".into(), partitions: vec![partition] }];
    let body = OffsetForLeaderEpochRequest { replica_id: -1, topics };
    request::<theirs::OffsetForLeaderEpochRequest>(ApiKey::OffsetForLeaderEpoch, &body);
    let partition = EpochEnd { error_code: 0, partition: 1, leader_epoch: 2, end_offset: 17 };
    let topics = vec![OffsetForLeaderTopicResult { topic: "orders".into(), partitions: vec![partition] }];
    let body = OffsetForLeaderEpochResponse { throttle_time_ms: 0, topics };
    response::<theirs::OffsetForLeaderEpochResponse>(ApiKey::OffsetForLeaderEpoch, &body);
}
