//! Versions that the oracle does not have, byte for byte.

use bytes::Bytes;
use kafka_batch_core::protocol::{
    Acks, ApiKey, ApiVersionsRequest, ApiVersionsResponse, ErrorCode, PartitionProduceData, ProduceRequest,
    ProduceResponse, TopicNameOrId, TopicProduceData, Uuid,
};

use super::HEADER;
use super::responses::withstands;

/// Concatenates fields, each annotated with its name.
fn bytes(fields: &[&[u8]]) -> Vec<u8> {
    fields.concat()
}

#[test]
fn produce_requests_before_v3() {
    for version in 0..=2u8 {
        let expected = bytes(&[
            b"\x00\x00\x00\x33",             // length of the frame: 51
            b"\x00\x00",                     // api key
            &[0, version],                   // api version
            b"\x00\x00\x00\x09",             // correlation id
            b"\x00\x02me",                   // client id
            b"\xff\xff",                     // acks: all
            b"\x00\x00\x75\x30",             // timeout: 30,000 ms
            b"\x00\x00\x00\x01",             // one topic
            b"\x00\x02ab",                   // its name
            b"\x00\x00\x00\x02",             // two partitions
            b"\x00\x00\x00\x00",             // index
            b"\x00\x00\x00\x03\x01\x02\x03", // record set
            b"\x00\x00\x00\x07",             // index
            b"\x00\x00\x00\x02\x04\x05",     // record set
        ]);
        let partition =
            |index, records: &'static [u8]| PartitionProduceData { index, records: Bytes::from_static(records) };
        let request = ProduceRequest {
            transactional_id: None,
            acks: Acks::All,
            timeout_ms: 30_000,
            topic_data: vec![TopicProduceData {
                name: "ab",
                topic_id: Uuid::ZERO,
                partition_data: vec![partition(0, &[1, 2, 3]), partition(7, &[4, 5])],
            }],
        };
        let segments = request.encode(version.into(), HEADER).unwrap();
        assert_eq!(segments.concat(), expected);
        assert_eq!(segments.len(), 4);
    }
}

#[test]
fn produce_responses_before_v3() {
    for version in 0..=2i16 {
        let time: [&[u8]; 2] = match version {
            2 => [b"\0\0\0\0\0\0\x03\xe8", b"\xff\xff\xff\xff\xff\xff\xff\xff"],
            _ => [b"", b""],
        };
        let frame = bytes(&[
            b"\x00\x00\x00\x09",                            // correlation id
            b"\x00\x00\x00\x01",                            // one topic
            b"\x00\x02ab",                                  // its name
            b"\x00\x00\x00\x02",                            // two partitions
            b"\x00\x00\x00\x00",                            // index
            b"\x00\x00",                                    // error code: none
            b"\x00\x00\x00\x00\x00\x00\x01\x02",            // base offset: 258
            time[0],                                        // v2: log append time: 1,000 ms
            b"\x00\x00\x00\x07",                            // index
            b"\x00\x06",                                    // error code: not leader or follower
            b"\xff\xff\xff\xff\xff\xff\xff\xff",            // base offset: none
            time[1],                                        // v2: log append time: none
            if version >= 1 { b"\0\0\0\x64" } else { b"" }, // v1: throttle time: 100 ms
        ]);
        let response = ProduceResponse::decode(&frame, version).unwrap();
        assert_eq!(response.throttle_time_ms, if version >= 1 { 100 } else { 0 });
        assert!(response.node_endpoints.is_empty());
        let [topic] = &response.responses[..] else { panic!("{response:?}") };
        assert_eq!(topic.topic, TopicNameOrId::Name("ab".into()));
        let [good, bad] = &topic.partition_responses[..] else { panic!("{topic:?}") };
        assert_eq!((good.index, good.error_code, good.base_offset), (0, ErrorCode::NONE, 258));
        assert_eq!(good.log_append_time_ms, if version == 2 { 1_000 } else { -1 });
        assert_eq!((bad.index, bad.error_code, bad.base_offset), (7, ErrorCode::NOT_LEADER_OR_FOLLOWER, -1));
        for partition in [good, bad] {
            assert_eq!(partition.log_start_offset, -1);
            assert!(partition.record_errors.is_empty());
            assert_eq!((&partition.error_message, partition.current_leader), (&None, None));
        }
        assert_eq!(bad.log_append_time_ms, -1);
        withstands(version, &frame, ProduceResponse::decode);
    }
}

#[test]
fn api_versions_v5() {
    let request = ApiVersionsRequest {
        client_software_name: "kb",
        client_software_version: "0.1",
        cluster_id: Some("xyz"),
        node_id: 3,
    };
    let header = bytes(&[
        b"\x00\x12",         // api key: 18
        b"\x00\x05",         // api version
        b"\x00\x00\x00\x09", // correlation id
        b"\x00\x02me",       // client id, not compact
        b"\x00",             // tagged fields of the header
    ]);
    let known = bytes(&[
        b"\x00\x00\x00\x1d", // length of the frame: 29
        &header,
        b"\x03kb\x040.1",    // software, compact
        b"\x04xyz",          // cluster id
        b"\x00\x00\x00\x03", // node id
        b"\x00",             // tagged fields
    ]);
    assert_eq!(request.encode(5, HEADER).unwrap().concat(), known);
    let request = ApiVersionsRequest { cluster_id: None, node_id: -1, ..request };
    let unknown = bytes(&[
        b"\x00\x00\x00\x1a", // length of the frame: 26
        &header,
        b"\x03kb\x040.1",    // software
        b"\x00",             // cluster id: null
        b"\xff\xff\xff\xff", // node id: -1
        b"\x00",             // tagged fields
    ]);
    assert_eq!(request.encode(5, HEADER).unwrap().concat(), unknown);

    let frame = bytes(&[
        b"\x00\x00\x00\x09",                         // correlation id; the header has no tagged fields
        b"\x00\x81",                                 // error code: rebootstrap required
        b"\x02",                                     // one API
        b"\x00\x00\x00\x00\x00\x0d\x00",             // Produce 0-13, and its tagged fields
        b"\x00\x00\x00\x07",                         // throttle time
        b"\x01",                                     // one tagged field
        b"\x01\x08\x00\x00\x00\x00\x00\x00\x00\x05", // tag 1, 8 bytes: epoch of the features
    ]);
    let response = ApiVersionsResponse::decode(&frame, 5).unwrap();
    assert_eq!(response.error_code, ErrorCode::REBOOTSTRAP_REQUIRED);
    assert_eq!(response.choose(ApiKey::Produce), Some(13));
    assert_eq!((response.throttle_time_ms, response.finalized_features_epoch), (7, 5));
    withstands(5, &frame, ApiVersionsResponse::decode);
}
