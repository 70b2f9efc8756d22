//! Requests encoded by this crate, decoded by the oracle.

use bytes::{Bytes, BytesMut};
use kafka_batch_core::protocol::{
    Acks, ApiKey, ApiVersionsRequest, InitProducerIdRequest, MetadataRequest, PartitionProduceData, ProduceRequest,
    RequestEncodeError, RequestHeader, RequestedTopics, SaslAuthenticateRequest, SaslHandshakeRequest,
    TopicProduceData, Uuid,
};
use kafka_batch_witnesses::kafka_protocol::messages as oracle;
use kafka_batch_witnesses::kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, StrBytes};
use proptest::collection::vec;
use proptest::prelude::*;

use super::{HEADER, str_bytes, text, uuid};

/// Decodes a request with the oracle: length, header, body, and nothing after it. The oracle must encode
/// the same body to the same bytes.
pub(super) fn decoded_by_oracle<O>(api: ApiKey, version: i16, segments: &[Bytes]) -> O
where
    O: Decodable + Encodable + HeaderVersion,
{
    let (header, mut body) = opened(segments, O::header_version(version));
    assert_eq!(header.request_api_key, api.code());
    assert_eq!(header.request_api_version, version);
    assert_eq!(header.correlation_id, HEADER.correlation_id);
    assert_eq!(header.client_id.as_deref(), HEADER.client_id);

    let bytes = body.clone();
    let request = O::decode(&mut body, version).expect("a request that the oracle decodes");
    assert!(body.is_empty(), "{api} v{version}: {} bytes too many", body.len());
    let mut again = BytesMut::new();
    request.encode(&mut again, version).unwrap();
    assert_eq!(bytes, again.freeze());
    request
}

fn opened(segments: &[Bytes], header_version: i16) -> (oracle::RequestHeader, Bytes) {
    assert!(segments.iter().all(|segment| !segment.is_empty()));
    let mut frame = Bytes::from(segments.concat());
    let length = frame.split_to(4);
    assert_eq!(length[..], u32::try_from(frame.len()).unwrap().to_be_bytes());
    let header = oracle::RequestHeader::decode(&mut frame, header_version).unwrap();
    (header, frame)
}

fn name(text: &str) -> oracle::TopicName {
    oracle::TopicName(str_bytes(text))
}

proptest! {
    #[test]
    fn api_versions_requests(version in 0i16..=4, name in text(), software in text()) {
        let request = ApiVersionsRequest {
            client_software_name: &name,
            client_software_version: &software,
            cluster_id: Some("left out before v5"),
            node_id: 1,
        };
        let segments = request.encode(version, HEADER).unwrap();
        let theirs: oracle::ApiVersionsRequest = decoded_by_oracle(ApiKey::ApiVersions, version, &segments);
        let if_supported = |text: &str| if version >= 3 { text.to_owned() } else { String::new() };
        prop_assert_eq!(theirs.client_software_name.as_str(), if_supported(&name));
        prop_assert_eq!(theirs.client_software_version.as_str(), if_supported(&software));
    }

    #[test]
    fn metadata_requests(
        version in 0i16..=13,
        names in proptest::option::of(vec(text(), 0..4)),
        ids in vec(any::<[u8; 16]>(), 0..4),
        by_id in any::<bool>(),
        flags in any::<[bool; 3]>(),
    ) {
        let named: Vec<&str> = names.iter().flatten().map(String::as_str).collect();
        let ids: Vec<Uuid> = ids.into_iter().map(Uuid).collect();
        let topics = match &names {
            _ if by_id && version >= 12 => RequestedTopics::ById(&ids),
            Some(names) if version >= 1 || !names.is_empty() => RequestedTopics::ByName(&named),
            _ => RequestedTopics::All,
        };
        let request = MetadataRequest {
            topics,
            allow_auto_topic_creation: flags[0] || version < 4,
            include_cluster_authorized_operations: flags[1] && (8..=10).contains(&version),
            include_topic_authorized_operations: flags[2] && version >= 8,
        };
        let segments = request.encode(version, HEADER).unwrap();
        let theirs: oracle::MetadataRequest = decoded_by_oracle(ApiKey::Metadata, version, &segments);

        let entry = oracle::metadata_request::MetadataRequestTopic::default;
        let requested = match topics {
            RequestedTopics::All if version == 0 => Some(Vec::new()),
            RequestedTopics::All => None,
            RequestedTopics::ByName(names) => {
                Some(names.iter().map(|each| entry().with_name(Some(name(each)))).collect())
            }
            RequestedTopics::ById(ids) => {
                let each = |id: &Uuid| entry().with_name(None).with_topic_id(uuid(id));
                Some(ids.iter().map(each).collect())
            }
        };
        let expected = oracle::MetadataRequest::default()
            .with_topics(requested)
            .with_allow_auto_topic_creation(request.allow_auto_topic_creation)
            .with_include_cluster_authorized_operations(request.include_cluster_authorized_operations)
            .with_include_topic_authorized_operations(request.include_topic_authorized_operations);
        prop_assert_eq!(theirs, expected);
    }

    #[test]
    fn produce_requests(
        version in 3i16..=13,
        transactional_id in proptest::option::of(text()),
        acks in prop_oneof![Just((Acks::None, 0)), Just((Acks::Leader, 1)), Just((Acks::All, -1))],
        timeout_ms in any::<i32>(),
        topics in vec((text(), 1u8.., vec((any::<i32>(), vec(any::<u8>(), 0..200)), 0..4)), 0..4),
    ) {
        let topic_data = topics.iter().map(|(name, id, partitions)| TopicProduceData {
            name,
            topic_id: Uuid([*id; 16]),
            partition_data: partitions.iter().map(|(index, records)| PartitionProduceData {
                index: *index,
                records: Bytes::copy_from_slice(records),
            }).collect(),
        });
        let request = ProduceRequest {
            transactional_id: transactional_id.as_deref(),
            acks: acks.0,
            timeout_ms,
            topic_data: topic_data.collect(),
        };
        let segments = request.encode(version, HEADER).unwrap();

        // The record sets are the given bytes, in order.
        let given = request.topic_data.iter().flat_map(|topic| &topic.partition_data);
        let given: Vec<_> = given.map(|each| &each.records).filter(|set| !set.is_empty()).collect();
        let sent = segments.iter().skip(1).step_by(2);
        prop_assert!(sent.map(|set| set.as_ptr()).eq(given.iter().map(|set| set.as_ptr())));

        let theirs: oracle::ProduceRequest = decoded_by_oracle(ApiKey::Produce, version, &segments);
        let expected = oracle::ProduceRequest::default()
            .with_transactional_id(transactional_id.clone().map(|id| StrBytes::from_string(id).into()))
            .with_acks(acks.1)
            .with_timeout_ms(timeout_ms)
            .with_topic_data(request.topic_data.iter().map(|topic| {
                let partitions = topic.partition_data.iter().map(|partition| {
                    oracle::produce_request::PartitionProduceData::default()
                        .with_index(partition.index)
                        .with_records(Some(partition.records.clone()))
                });
                let data = oracle::produce_request::TopicProduceData::default()
                    .with_partition_data(partitions.collect());
                if version >= 13 {
                    data.with_topic_id(uuid(&topic.topic_id))
                } else {
                    data.with_name(name(topic.name))
                }
            }).collect());
        prop_assert_eq!(theirs, expected);
    }

    #[test]
    fn init_producer_id_requests(
        version in 0i16..=5,
        transactional_id in proptest::option::of(text()),
        timeout in any::<i32>(),
        current in any::<(i64, i16)>(),
    ) {
        let (producer_id, producer_epoch) = if version >= 3 { current } else { (-1, -1) };
        let request = InitProducerIdRequest {
            transactional_id: transactional_id.as_deref(),
            transaction_timeout_ms: timeout,
            producer_id,
            producer_epoch,
        };
        let segments = request.encode(version, HEADER).unwrap();
        let theirs: oracle::InitProducerIdRequest = decoded_by_oracle(ApiKey::InitProducerId, version, &segments);
        let expected = oracle::InitProducerIdRequest::default()
            .with_transactional_id(transactional_id.clone().map(|id| StrBytes::from_string(id).into()))
            .with_transaction_timeout_ms(timeout)
            .with_producer_id(producer_id.into())
            .with_producer_epoch(producer_epoch);
        prop_assert_eq!(theirs, expected);
    }

    #[test]
    fn sasl_requests(mechanism in text(), token in vec(any::<u8>(), 0..300)) {
        for version in 0..=1 {
            let segments = SaslHandshakeRequest { mechanism: &mechanism }.encode(version, HEADER).unwrap();
            let theirs: oracle::SaslHandshakeRequest = decoded_by_oracle(ApiKey::SaslHandshake, version, &segments);
            prop_assert_eq!(theirs.mechanism.as_str(), &mechanism);
        }
        for version in 0..=2 {
            let segments = SaslAuthenticateRequest { auth_bytes: &token }.encode(version, HEADER).unwrap();
            let theirs: oracle::SaslAuthenticateRequest = decoded_by_oracle(ApiKey::SaslAuthenticate, version, &segments);
            prop_assert_eq!(&theirs.auth_bytes[..], &token[..]);
        }
    }
}

#[test]
fn a_request_without_a_client_id() {
    let header = RequestHeader { correlation_id: i32::MIN, client_id: None };
    for (version, header_version) in [(1, 1), (2, 2)] {
        let segments = SaslAuthenticateRequest { auth_bytes: b"" }.encode(version, header).unwrap();
        let (header, _) = opened(&segments, header_version);
        assert_eq!((header.correlation_id, header.client_id), (i32::MIN, None));
    }
}

#[test]
fn what_a_version_cannot_carry_is_an_error() {
    let lost = |result: Result<Vec<Bytes>, RequestEncodeError>| match result {
        Err(RequestEncodeError::Unrepresentable { value, .. }) => value,
        other => panic!("{other:?}"),
    };
    let metadata = MetadataRequest::new(RequestedTopics::All);
    assert!(lost(metadata.encode(3, HEADER)).contains("must not create topics"));
    let metadata = MetadataRequest { allow_auto_topic_creation: true, ..metadata };
    let none = MetadataRequest { topics: RequestedTopics::ByName(&[]), ..metadata };
    assert!(lost(none.encode(0, HEADER)).contains("no topics"));
    let by_id = MetadataRequest { topics: RequestedTopics::ById(&[Uuid([1; 16])]), ..metadata };
    assert!(lost(by_id.encode(11, HEADER)).contains("KIP-516"));
    let operations = MetadataRequest { include_cluster_authorized_operations: true, ..metadata };
    assert!(lost(operations.encode(11, HEADER)).contains("KIP-430"));
    let operations = MetadataRequest { include_topic_authorized_operations: true, ..metadata };
    assert!(lost(operations.encode(7, HEADER)).contains("KIP-430"));

    let bump = InitProducerIdRequest { producer_id: 5, ..InitProducerIdRequest::idempotent() };
    assert!(lost(bump.encode(2, HEADER)).contains("KIP-360"));
    let topic = TopicProduceData { name: "t", topic_id: Uuid::ZERO, partition_data: Vec::new() };
    let produce =
        ProduceRequest { transactional_id: Some("x"), acks: Acks::All, timeout_ms: 1, topic_data: vec![topic] };
    assert!(lost(produce.encode(2, HEADER)).contains("KIP-98"));
    assert!(lost(produce.encode(13, HEADER)).contains("KIP-516"));

    let error = produce.encode(14, HEADER).unwrap_err();
    assert_eq!(error.to_string(), "Produce v14 is not among 0-13, which this client supports");
    let mechanism = "x".repeat(40_000);
    let error = SaslHandshakeRequest { mechanism: &mechanism }.encode(1, HEADER).unwrap_err();
    assert_eq!(
        error.to_string(),
        "SaslHandshake v1 request: a length of 40000 exceeds 32767, the maximum of its field"
    );
}
