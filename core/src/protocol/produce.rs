//! Produce, key 0: sends record sets to the leaders of their partitions.
//!
//! | version | broker | what is new |
//! |---|---|---|
//! | 0 | 0.8 | record sets in magic 0 |
//! | 1 | 0.9 | throttle time |
//! | 2 | 0.10 | magic 1, and with it the log-append time (KIP-32) |
//! | 3 | 0.11 | magic 2, and only that; transactional id (KIP-98) |
//! | 4 | 1.0 | may fail with KAFKA_STORAGE_ERROR (KIP-112) |
//! | 5 | 1.0 | log start offset |
//! | 6 | 2.0 | the client throttles itself, not the broker (KIP-219) |
//! | 7 | 2.1 | zstd (KIP-110) |
//! | 8 | 2.4 | errors of single records (KIP-467) |
//! | 9 | 2.8 | flexible (KIP-482) |
//! | 10 | 3.7 | the current leader of the partition (KIP-951) |
//! | 11 | 3.8 | may fail with TRANSACTION_ABORTABLE (KIP-890) |
//! | 12 | 4.0 | inside a transaction, adds the partition to it (KIP-890) |
//! | 13 | 4.1 | topics by id in place of names (KIP-516) |
//!
//! Kafka 4 lists v0 to v2 but rejects them: see [`choose_version`](super::choose_version).

use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use super::primitives::{Reader, Writer};
use super::{ApiKey, ErrorCode, ProtocolError, RequestEncodeError, RequestHeader, Uuid};

/// The replicas that must have a record set before the broker acknowledges it: Kafka's `acks`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
// Exhaustive on purpose: brokers refuse every other value (INVALID_REQUIRED_ACKS).
pub enum Acks {
    /// 0: none, and **there is no response**. The request is complete once it is written.
    None,
    /// 1: the leader.
    Leader,
    /// −1, `all`: every replica that is in sync.
    All,
}

/// Record sets for partitions that one broker leads.
#[derive(Debug, Clone, PartialEq, Eq)]
// Exhaustive on purpose: see the module's documentation.
pub struct ProduceRequest<'a> {
    /// Kafka's `transactional.id`. From v3 on.
    ///
    /// From v12 on a transactional request joins its partitions to the transaction, which is right only if
    /// the cluster has `transaction.version` 2; otherwise v11 is the newest to use (KIP-890).
    pub transactional_id: Option<&'a str>,
    /// The replicas that must have the records before the broker responds.
    pub acks: Acks,
    /// The time in milliseconds for which the broker waits for these replicas.
    pub timeout_ms: i32,
    /// The record sets, by topic. Each topic, and each partition within it, should occur once.
    pub topic_data: Vec<TopicProduceData<'a>>,
}

/// The record sets for one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
// Exhaustive on purpose: see the module's documentation.
pub struct TopicProduceData<'a> {
    /// The topic's name. Up to v12; omitted after.
    pub name: &'a str,
    /// The topic's id. From v13 on, where it must not be [`Uuid::ZERO`]; omitted before.
    pub topic_id: Uuid,
    /// The record sets, by partition.
    pub partition_data: Vec<PartitionProduceData>,
}

/// The record set for one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
// Exhaustive on purpose: see the module's documentation.
pub struct PartitionProduceData {
    /// The partition's number.
    pub index: i32,
    /// The records in wire format: from v3 on exactly one batch of magic 2, before that messages.
    pub records: Bytes,
}

impl ProduceRequest<'_> {
    /// Encodes the request as one frame of several segments, to be written in order: envelope, record set,
    /// envelope, record set, … The segments of the record sets share the given bytes, without a copy.
    ///
    /// # Errors
    /// Returns [`RequestEncodeError`] if the version is unsupported or cannot represent the request.
    pub fn encode(&self, version: i16, header: RequestHeader<'_>) -> Result<Vec<Bytes>, RequestEncodeError> {
        let Self { transactional_id, acks, timeout_ms, ref topic_data } = *self;
        let settings = ProduceSettings { transactional_id, acks, timeout_ms };
        let record_sets = topic_data.iter().map(|topic| topic.partition_data.len()).sum();
        let mut encoder = ProduceEncoder::begin(version, header, &settings, topic_data.len(), record_sets)?;
        for topic in topic_data {
            encoder.begin_topic(topic.name, topic.topic_id, topic.partition_data.len())?;
            for partition in &topic.partition_data {
                encoder.partition(partition.index, &partition.records)?;
            }
            encoder.end_topic();
        }
        encoder.finish()
    }
}

/// What a [`ProduceRequest`] has besides the record sets.
pub(crate) struct ProduceSettings<'a> {
    pub(crate) transactional_id: Option<&'a str>,
    pub(crate) acks: Acks,
    pub(crate) timeout_ms: i32,
}

/// Encodes a [`ProduceRequest`] part by part, without a list of them.
pub(crate) struct ProduceEncoder(Writer);

impl ProduceEncoder {
    /// Begins a request with this many topics, and this many record sets in all of them.
    pub(crate) fn begin(
        version: i16,
        header: RequestHeader<'_>,
        settings: &ProduceSettings<'_>,
        topics: usize,
        record_sets: usize,
    ) -> Result<Self, RequestEncodeError> {
        let texts = header.client_id.map_or(0, str::len) + settings.transactional_id.map_or(0, str::len);
        let envelope = 64 + texts + 48 * topics + 12 * record_sets;
        let mut w = Writer::request_with(ApiKey::Produce, version, header, envelope, record_sets)?;
        if version >= 3 {
            w.nullable_string(settings.transactional_id)?;
        } else if settings.transactional_id.is_some() {
            return Err(w.unrepresentable("a transactional id (KIP-98)"));
        }
        w.i16(match settings.acks {
            Acks::None => 0,
            Acks::Leader => 1,
            Acks::All => -1,
        });
        w.i32(settings.timeout_ms);
        w.array_length(topics)?;
        Ok(Self(w))
    }

    /// Begins the next topic, with this many record sets.
    pub(crate) fn begin_topic(
        &mut self,
        name: &str,
        topic_id: Uuid,
        record_sets: usize,
    ) -> Result<(), RequestEncodeError> {
        let Self(w) = self;
        if w.version() < 13 {
            w.string(name)?;
        } else if topic_id.is_zero() {
            return Err(w.unrepresentable("a topic without an id (KIP-516)"));
        } else {
            w.uuid(topic_id);
        }
        w.array_length(record_sets)
    }

    /// Adds the record set of the topic's next partition.
    pub(crate) fn partition(&mut self, index: i32, records: &Bytes) -> Result<(), RequestEncodeError> {
        let Self(w) = self;
        w.i32(index);
        w.records(records)?;
        w.no_tagged_fields();
        Ok(())
    }

    /// Ends the topic, which has all its record sets.
    pub(crate) fn end_topic(&mut self) {
        self.0.no_tagged_fields();
    }

    /// Ends the request, which has all its topics. Returns the segments of its frame.
    pub(crate) fn finish(mut self) -> Result<Vec<Bytes>, RequestEncodeError> {
        self.0.no_tagged_fields();
        self.0.finish()
    }
}

/// The results of a [`ProduceRequest`]. There is no response to a request with [`Acks::None`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProduceResponse {
    /// The results, by topic.
    pub responses: Vec<TopicProduceResponse>,
    /// The throttle time in milliseconds, 0 if no quota was exceeded; see [`ApiKey::client_throttles`]. From v1 on.
    pub throttle_time_ms: i32,
    /// The addresses of the brokers in [`PartitionProduceResponse::current_leader`]. From v10 on (KIP-951).
    pub node_endpoints: Vec<NodeEndpoint>,
}

/// The results for one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicProduceResponse {
    /// The topic.
    pub topic: TopicNameOrId,
    /// The results, by partition.
    pub partition_responses: Vec<PartitionProduceResponse>,
}

/// The identification of a topic in a [`ProduceResponse`].
#[derive(Debug, Clone, PartialEq, Eq)]
// Exhaustive on purpose: these are the two ways in which responses identify topics.
pub enum TopicNameOrId {
    /// The topic's name: up to v12.
    Name(String),
    /// The topic's id: from v13 on (KIP-516).
    Id(Uuid),
}

/// The result for the record set of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionProduceResponse {
    /// The partition's number.
    pub index: i32,
    /// [`ErrorCode::NONE`] if the record set is in the log.
    pub error_code: ErrorCode,
    /// The offset of the first record, or −1.
    pub base_offset: i64,
    /// The time at which the broker appended the records, in milliseconds since the Unix epoch, if it replaced
    /// their timestamps (`message.timestamp.type=LogAppendTime`); otherwise −1. From v2 on (KIP-32).
    pub log_append_time_ms: i64,
    /// The partition's log start offset, or −1. From v5 on.
    pub log_start_offset: i64,
    /// The records because of which the whole record set was rejected. From v8 on (KIP-467).
    pub record_errors: Vec<BatchIndexAndErrorMessage>,
    /// The error message for the whole record set. From v8 on (KIP-467).
    pub error_message: Option<String>,
    /// The partition's current leader, if it is another broker and known to this one. From v10 on (KIP-951).
    pub current_leader: Option<LeaderIdAndEpoch>,
}

/// A record because of which a record set was rejected (KIP-467).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchIndexAndErrorMessage {
    /// The record's index in its batch, from 0.
    pub batch_index: i32,
    /// The broker's error message.
    pub message: Option<String>,
}

/// The leader of a partition (KIP-951).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaderIdAndEpoch {
    /// The broker's id. [`ProduceResponse::node_endpoints`] has its address.
    pub leader_id: i32,
    /// The leader epoch, which increases with every change of leader. Information with an epoch not above the
    /// known one is stale.
    pub leader_epoch: i32,
}

/// The address of a broker (KIP-951).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeEndpoint {
    /// The broker's id.
    pub node_id: i32,
    /// The host name or address.
    pub host: String,
    /// The port.
    pub port: i32,
    /// The rack, if the broker has one.
    pub rack: Option<String>,
}

impl ProduceResponse {
    /// Decodes the frame of a response to a [`ProduceRequest`] of this version.
    ///
    /// # Errors
    /// Returns [`ProtocolError`] if the frame is malformed.
    pub fn decode(frame: &[u8], version: i16) -> Result<Self, ProtocolError> {
        let mut r = Reader::response(ApiKey::Produce, version, frame)?;
        let responses = r.array(SMALLEST_TOPIC, topic_response)?;
        let ProduceResponseEnd { throttle_time_ms, node_endpoints } = end_of_response(&mut r)?;
        Ok(Self { responses, throttle_time_ms, node_endpoints })
    }
}

/// What follows the results in a [`ProduceResponse`].
pub(crate) struct ProduceResponseEnd {
    pub(crate) throttle_time_ms: i32,
    pub(crate) node_endpoints: Vec<NodeEndpoint>,
}

/// As [`TopicNameOrId`], borrowed from the frame.
#[derive(Clone, Copy)]
pub(crate) enum TopicRef<'a> {
    Name(&'a str),
    Id(Uuid),
}

/// Decodes the frame of a response as [`ProduceResponse::decode`] does, but passes each result on as it is read, with its
/// topic, instead of making lists of them.
///
/// If it returns an error, `each` was called with the results before the malformed place.
pub(crate) fn read_produce_response<'a>(
    frame: &'a [u8],
    version: i16,
    mut each: impl FnMut(TopicRef<'a>, PartitionProduceResponse),
) -> Result<ProduceResponseEnd, ProtocolError> {
    let mut r = Reader::response(ApiKey::Produce, version, frame)?;
    for _ in 0..r.array_length(SMALLEST_TOPIC)? {
        let topic = topic(&mut r)?;
        for _ in 0..r.array_length(SMALLEST_PARTITION)? {
            each(topic, partition_response(&mut r)?);
        }
        r.skip_tagged_fields()?;
    }
    end_of_response(&mut r)
}

/// In v9 an empty name, no partitions and no tagged fields.
const SMALLEST_TOPIC: usize = 3;

/// In v0 an index, an error code and an offset.
const SMALLEST_PARTITION: usize = 14;

fn topic<'a>(r: &mut Reader<'a>) -> Result<TopicRef<'a>, ProtocolError> {
    Ok(if r.version() >= 13 { TopicRef::Id(r.uuid()?) } else { TopicRef::Name(r.str()?) })
}

fn topic_response(r: &mut Reader<'_>) -> Result<TopicProduceResponse, ProtocolError> {
    let topic = match topic(r)? {
        TopicRef::Name(name) => TopicNameOrId::Name(name.into()),
        TopicRef::Id(id) => TopicNameOrId::Id(id),
    };
    let partition_responses = r.array(SMALLEST_PARTITION, partition_response)?;
    r.skip_tagged_fields()?;
    Ok(TopicProduceResponse { topic, partition_responses })
}

fn end_of_response(r: &mut Reader<'_>) -> Result<ProduceResponseEnd, ProtocolError> {
    let throttle_time_ms = if r.version() >= 1 { r.i32()? } else { 0 };
    let has_endpoints = r.version() >= 10;
    let mut node_endpoints = Vec::new();
    r.tagged_fields(|tag, field| {
        if has_endpoints && tag == 0 {
            node_endpoints = field.array(11, node_endpoint)?;
            field.end()?;
        }
        Ok(())
    })?;
    r.end_of_response()?;
    Ok(ProduceResponseEnd { throttle_time_ms, node_endpoints })
}

fn partition_response(r: &mut Reader<'_>) -> Result<PartitionProduceResponse, ProtocolError> {
    let version = r.version();
    let mut response = PartitionProduceResponse {
        index: r.i32()?,
        error_code: r.error_code()?,
        base_offset: r.i64()?,
        log_append_time_ms: if version >= 2 { r.i64()? } else { -1 },
        log_start_offset: if version >= 5 { r.i64()? } else { -1 },
        record_errors: Vec::new(),
        error_message: None,
        current_leader: None,
    };
    if version >= 8 {
        response.record_errors = r.array(6, record_error)?;
        response.error_message = r.nullable_string()?;
    }
    r.tagged_fields(|tag, field| {
        if version >= 10 && tag == 0 {
            response.current_leader = leader(field)?;
            field.end()?;
        }
        Ok(())
    })?;
    Ok(response)
}

/// At least 6 bytes: an index, a null and, from v9 on, no tagged fields.
fn record_error(r: &mut Reader<'_>) -> Result<BatchIndexAndErrorMessage, ProtocolError> {
    let error = BatchIndexAndErrorMessage { batch_index: r.i32()?, message: r.nullable_string()? };
    r.skip_tagged_fields()?;
    Ok(error)
}

/// A leader of −1 means "unknown", as does the absence of the field.
fn leader(r: &mut Reader<'_>) -> Result<Option<LeaderIdAndEpoch>, ProtocolError> {
    let leader = LeaderIdAndEpoch { leader_id: r.i32()?, leader_epoch: r.i32()? };
    r.skip_tagged_fields()?;
    Ok((leader.leader_id >= 0).then_some(leader))
}

/// At least 11 bytes: an id, an empty host, a port, a null rack and no tagged fields.
fn node_endpoint(r: &mut Reader<'_>) -> Result<NodeEndpoint, ProtocolError> {
    let endpoint = NodeEndpoint { node_id: r.i32()?, host: r.string()?, port: r.i32()?, rack: r.nullable_string()? };
    r.skip_tagged_fields()?;
    Ok(endpoint)
}
