//! Produce requests and responses as an observer of a connection needs them: one entry for each record set.

use bytes::Bytes;
use kafka_batch_testing::ApiKey;
use kafka_batch_testing::simulated::TopicRef;
use kafka_batch_testing::wire::produce::{ProduceRequest, ProduceResponse};
use kafka_batch_testing::wire::{self, Malformed, Request};

/// The contents of a Produce request.
#[derive(Clone, Debug)]
pub struct DecodedRequest {
    /// 0, 1 or −1.
    pub acks: i16,
    /// The record sets.
    pub sets: Vec<Set>,
}

/// A record set for a partition.
#[derive(Clone, Debug)]
pub struct Set {
    /// The topic.
    pub topic: TopicRef,
    /// The partition.
    pub partition: i32,
    /// The bytes.
    pub records: Bytes,
}

/// The response for a record set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetResponse {
    /// The topic.
    pub topic: TopicRef,
    /// The partition.
    pub partition: i32,
    /// The error code, or 0.
    pub code: i16,
    /// The offset, or −1.
    pub base_offset: i64,
    /// The rejected records.
    pub rejected_records: Vec<i32>,
    /// The leader and its epoch, if the broker includes them.
    pub leader: Option<(i32, i32)>,
}

/// A Produce response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DecodedResponse {
    /// For each record set.
    pub sets: Vec<SetResponse>,
    /// The throttle time.
    pub throttle_ms: i32,
    /// The addresses of leaders, if the broker includes them: id, host, port.
    pub endpoints: Vec<(i32, String, i32)>,
}

/// Decodes a request.
pub fn decode_request(request: &Request) -> Result<DecodedRequest, Malformed> {
    let body: ProduceRequest = wire::body(request)?;
    let mut sets = Vec::new();
    for topic in body.topic_data {
        let name = if request.version >= 13 { TopicRef::Id(topic.topic_id) } else { TopicRef::Name(topic.name) };
        for partition in topic.partition_data {
            let records = partition.records.ok_or(Malformed::Null)?;
            sets.push(Set { topic: name.clone(), partition: partition.index, records });
        }
    }
    Ok(DecodedRequest { acks: body.acks, sets })
}

/// Decodes a response, as the client does. `bytes` start after the header.
pub fn decode_response(version: i16, bytes: Bytes) -> Result<DecodedResponse, Malformed> {
    let body: ProduceResponse = wire::read(ApiKey::Produce, version, bytes)?;
    let endpoints = body.node_endpoints.into_iter().map(|node| (node.node_id, node.host, node.port)).collect();
    let mut sets = Vec::new();
    for topic in body.responses {
        let name = if version >= 13 { TopicRef::Id(topic.topic_id) } else { TopicRef::Name(topic.name) };
        for partition in topic.partition_responses {
            let leader = partition.current_leader;
            sets.push(SetResponse {
                topic: name.clone(),
                partition: partition.index,
                code: partition.error_code,
                base_offset: partition.base_offset,
                rejected_records: partition.record_errors.iter().map(|error| error.batch_index).collect(),
                leader: (leader.leader_id >= 0).then_some((leader.leader_id, leader.leader_epoch)),
            });
        }
    }
    Ok(DecodedResponse { sets, throttle_ms: body.throttle_time_ms, endpoints })
}
