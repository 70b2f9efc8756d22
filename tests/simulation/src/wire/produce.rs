//! Produce v3 and newer, and what all versions share.

use bytes::Bytes;
use kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse, TopicProduceResponse,
};
use kafka_protocol::messages::{ApiKey, ProduceRequest, ProduceResponse, TopicName};
use kafka_protocol::protocol::{Decodable, StrBytes};

use super::{Request, answer, body, produce_old, text};

/// The identification of a topic in a request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TopicRef {
    /// By name, up to v12.
    Name(String),
    /// By id, from v13 on.
    Id([u8; 16]),
}

/// The contents of a Produce request.
#[derive(Clone, Debug)]
pub struct DecodedRequest {
    /// 0, 1 or −1.
    pub acks: i16,
    /// The time that the broker may wait for replicas, in milliseconds.
    pub timeout_ms: i32,
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
    /// When the broker appended it, or −1.
    pub append_time: i64,
    /// The first offset that is still in the log.
    pub log_start: i64,
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
pub fn decode_request(request: &Request) -> Result<DecodedRequest, String> {
    if request.version < 3 {
        return produce_old::decode_request(request);
    }
    let decoded: ProduceRequest = body(request)?;
    let mut sets = Vec::new();
    for topic in decoded.topic_data {
        let name = match request.version {
            ..=12 => TopicRef::Name(topic.name.to_string()),
            _ => TopicRef::Id(topic.topic_id.into_bytes()),
        };
        for partition in topic.partition_data {
            let records = partition.records.ok_or("a record set that is null")?;
            sets.push(Set { topic: name.clone(), partition: partition.index, records });
        }
    }
    Ok(DecodedRequest { acks: decoded.acks, timeout_ms: decoded.timeout_ms, sets })
}

/// Encodes a response.
///
/// # Panics
/// A topic's id is not 16 bytes long: never.
#[must_use]
pub fn encode_response(request: &Request, answers: &DecodedResponse) -> Bytes {
    let version = request.version;
    if version < 3 {
        return produce_old::encode_response(request, answers);
    }
    let mut topics: Vec<(TopicRef, TopicProduceResponse)> = Vec::new();
    for set in &answers.sets {
        let place = topics.iter().position(|(topic, _)| *topic == set.topic).unwrap_or_else(|| {
            let topic = match &set.topic {
                TopicRef::Name(name) => TopicProduceResponse::default().with_name(TopicName(text(name))),
                TopicRef::Id(id) => TopicProduceResponse::default().with_topic_id((*id).into_uuid()),
            };
            topics.push((set.topic.clone(), topic));
            topics.len() - 1
        });
        topics[place].1.partition_responses.push(partition(set, version));
    }
    let mut response = ProduceResponse::default()
        .with_responses(topics.into_iter().map(|(_, topic)| topic).collect())
        .with_throttle_time_ms(answers.throttle_ms);
    if version >= 10 {
        response.node_endpoints = answers
            .endpoints
            .iter()
            .map(|(id, host, port)| {
                NodeEndpoint::default().with_node_id((*id).into()).with_host(text(host)).with_port(*port)
            })
            .collect();
    }
    answer(request, version, &response)
}

fn partition(set: &SetResponse, version: i16) -> PartitionProduceResponse {
    let mut partition = PartitionProduceResponse::default()
        .with_index(set.partition)
        .with_error_code(set.code)
        .with_base_offset(set.base_offset)
        .with_log_append_time_ms(set.append_time)
        .with_log_start_offset(if version >= 5 { set.log_start } else { -1 });
    if version >= 8 {
        let record_error = |&position: &i32| {
            let message = StrBytes::from_static_str("rejected");
            BatchIndexAndErrorMessage::default()
                .with_batch_index(position)
                .with_batch_index_error_message(Some(message))
        };
        partition.record_errors = set.rejected_records.iter().map(record_error).collect();
    }
    if let Some((leader, epoch)) = set.leader.filter(|_| version >= 10) {
        partition.current_leader = LeaderIdAndEpoch::default().with_leader_id(leader.into()).with_leader_epoch(epoch);
    }
    partition
}

/// Decodes a response, as the client does, for the observer. `bytes` start after the header.
pub fn decode_response(version: i16, mut bytes: Bytes) -> Result<DecodedResponse, String> {
    if version < 3 {
        return produce_old::decode_response(version, &bytes);
    }
    let response = ProduceResponse::decode(&mut bytes, version).map_err(|error| error.to_string())?;
    if !bytes.is_empty() {
        return Err("bytes after the answer".into());
    }
    let endpoint = |node: NodeEndpoint| (i32::from(node.node_id), node.host.to_string(), node.port);
    let endpoints = response.node_endpoints.into_iter().map(endpoint).collect();
    let mut answers =
        DecodedResponse { throttle_ms: response.throttle_time_ms, endpoints, ..DecodedResponse::default() };
    for topic in response.responses {
        let name = match version {
            ..=12 => TopicRef::Name(topic.name.to_string()),
            _ => TopicRef::Id(topic.topic_id.into_bytes()),
        };
        for partition in topic.partition_responses {
            let leader = i32::from(partition.current_leader.leader_id);
            answers.sets.push(SetResponse {
                topic: name.clone(),
                partition: partition.index,
                code: partition.error_code,
                base_offset: partition.base_offset,
                append_time: partition.log_append_time_ms,
                log_start: partition.log_start_offset,
                rejected_records: partition.record_errors.iter().map(|error| error.batch_index).collect(),
                leader: (leader >= 0).then_some((leader, partition.current_leader.leader_epoch)),
            });
        }
    }
    Ok(answers)
}

/// The API of this file.
pub const API: ApiKey = ApiKey::Produce;

/// The id type of `kafka-protocol`, whose crate is not named here.
pub(crate) trait IntoUuid {
    /// Converts an id to that type.
    fn into_uuid<T: TryFrom<Vec<u8>, Error: std::fmt::Debug>>(self) -> T;
}

impl IntoUuid for [u8; 16] {
    fn into_uuid<T: TryFrom<Vec<u8>, Error: std::fmt::Debug>>(self) -> T {
        self.to_vec().try_into().expect("an id has 16 bytes")
    }
}
