//! Metadata, key 3: the brokers of the cluster, and the leaders of partitions.
//!
//! | version | broker | what is new |
//! |---|---|---|
//! | 0 | 0.8 | |
//! | 1 | 0.10 | "all topics" is a null array, and no longer an empty one; racks, controller, internal topics |
//! | 2 | 0.10.1 | cluster id (KIP-78) |
//! | 3 | 0.11 | throttle time (KIP-124) |
//! | 4 | 0.11 | the client can forbid the broker to create the requested topics |
//! | 5 | 1.0 | offline replicas (KIP-112) |
//! | 6 | 2.0 | the client throttles itself, not the broker (KIP-219) |
//! | 7 | 2.1 | leader epochs (KIP-320) |
//! | 8 | 2.3 | authorized operations (KIP-430) |
//! | 9 | 2.4 | flexible (KIP-482) |
//! | 10 | 2.8 | topic ids in the response (KIP-516) |
//! | 11 | 2.8 | without the authorized operations of the cluster (KIP-700) |
//! | 12 | 3.1 | topics can be requested by id (KIP-516) |
//! | 13 | 4.0 | a top-level error: REBOOTSTRAP_REQUIRED (KIP-1102) |

use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use super::primitives::{Reader, Writer};
use super::{ApiKey, ErrorCode, ProtocolError, RequestEncodeError, RequestHeader, Uuid};

/// Requests the brokers and some topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
// Exhaustive on purpose: see the module's documentation.
pub struct MetadataRequest<'a> {
    /// The requested topics.
    pub topics: RequestedTopics<'a>,
    /// Whether the broker may create topics that do not exist, if `auto.create.topics.enable` is set. Versions
    /// before v4 cannot forbid it and allow only `true`.
    pub allow_auto_topic_creation: bool,
    /// Whether to return the operations that the client may perform on the cluster (KIP-430). v8 to v10.
    pub include_cluster_authorized_operations: bool,
    /// Whether to return the operations that the client may perform on each topic (KIP-430). From v8 on.
    pub include_topic_authorized_operations: bool,
}

/// The topics of a [`MetadataRequest`].
///
/// By name or by id, never both: if one topic has an id, the broker ignores those with a name only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
// Exhaustive on purpose: see the module's documentation.
pub enum RequestedTopics<'a> {
    /// Every topic that the client may describe.
    All,
    /// The topics with these names. An empty list requests the brokers only, which v0 cannot express: there an
    /// empty list means every topic.
    ByName(&'a [&'a str]),
    /// The topics with these ids. From v12 on; v10 and v11 have the field, but brokers reject it (KIP-516).
    ById(&'a [Uuid]),
}

impl<'a> MetadataRequest<'a> {
    /// Creates a request for the brokers and these topics that creates no topic. Needs v4, or
    /// `allow_auto_topic_creation` set to true.
    #[must_use]
    pub const fn new(topics: RequestedTopics<'a>) -> Self {
        Self {
            topics,
            allow_auto_topic_creation: false,
            include_cluster_authorized_operations: false,
            include_topic_authorized_operations: false,
        }
    }

    /// Encodes the request as one frame.
    ///
    /// # Errors
    /// Returns [`RequestEncodeError`] if the version is unsupported or cannot represent the request.
    pub fn encode(&self, version: i16, header: RequestHeader<'_>) -> Result<Vec<Bytes>, RequestEncodeError> {
        let mut w = Writer::request(ApiKey::Metadata, version, header)?;
        match self.topics {
            RequestedTopics::All if version == 0 => w.array::<()>(&[], |_, ()| Ok(()))?,
            RequestedTopics::All => w.null_array(),
            RequestedTopics::ByName([]) if version == 0 => {
                return Err(w.unrepresentable("a list of no topics"));
            }
            RequestedTopics::ByName(names) => w.array(names, |w, name| {
                if version >= 10 {
                    w.uuid(Uuid::ZERO);
                }
                w.string(name)?;
                w.no_tagged_fields();
                Ok(())
            })?,
            RequestedTopics::ById(_) if version < 12 => {
                return Err(w.unrepresentable("topic ids (KIP-516)"));
            }
            RequestedTopics::ById(ids) => w.array(ids, |w, id| {
                w.uuid(*id);
                w.nullable_string(None)?;
                w.no_tagged_fields();
                Ok(())
            })?,
        }
        if version >= 4 {
            w.bool(self.allow_auto_topic_creation);
        } else if !self.allow_auto_topic_creation {
            return Err(w.unrepresentable("a request that must not create topics"));
        }
        if matches!(version, 8..=10) {
            w.bool(self.include_cluster_authorized_operations);
        } else if self.include_cluster_authorized_operations {
            return Err(w.unrepresentable("a request for authorized operations (KIP-430)"));
        }
        if version >= 8 {
            w.bool(self.include_topic_authorized_operations);
        } else if self.include_topic_authorized_operations {
            return Err(w.unrepresentable("a request for authorized operations (KIP-430)"));
        }
        w.no_tagged_fields();
        w.finish()
    }
}

/// The state of the cluster as known to the broker that responds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MetadataResponse {
    /// The throttle time in milliseconds, 0 if no quota was exceeded; see [`ApiKey::client_throttles`]. From v3 on.
    pub throttle_time_ms: i32,
    /// The available brokers.
    pub brokers: Vec<MetadataBroker>,
    /// The id of the cluster, if it has one. From v2 on (KIP-78).
    pub cluster_id: Option<String>,
    /// The id of the controller (with KRaft: of a broker that forwards to it), or −1. From v1 on.
    pub controller_id: i32,
    /// The requested topics, including those with an error.
    pub topics: Vec<MetadataTopic>,
    /// The operations that the client may perform on the cluster, one bit each; `i32::MIN` if not requested. v8
    /// to v10 (KIP-430).
    pub cluster_authorized_operations: i32,
    /// The top-level error. From v13 on (KIP-1102).
    pub error_code: ErrorCode,
}

/// A broker in a [`MetadataResponse`], and its address.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MetadataBroker {
    /// The broker's id.
    pub node_id: i32,
    /// The host name or address advertised for the listener of this connection (`advertised.listeners`).
    pub host: String,
    /// The port.
    pub port: i32,
    /// The rack, if the broker has one. From v1 on.
    pub rack: Option<String>,
}

/// A topic in a [`MetadataResponse`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MetadataTopic {
    /// [`ErrorCode::NONE`], or the error of the topic.
    pub error_code: ErrorCode,
    /// The topic's name. `None`, possible from v12 on, if it was requested by id and does not exist.
    pub name: Option<String>,
    /// The topic's id, or [`Uuid::ZERO`]. From v10 on (KIP-516). A topic that is deleted and created again has a new id.
    pub topic_id: Uuid,
    /// Whether the topic is internal to Kafka. From v1 on.
    pub is_internal: bool,
    /// The partitions, in any order, possibly incomplete.
    pub partitions: Vec<MetadataPartition>,
    /// The operations that the client may perform on the topic, one bit each; `i32::MIN` if not requested. From
    /// v8 on (KIP-430).
    pub topic_authorized_operations: i32,
}

/// A partition of a topic in a [`MetadataResponse`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MetadataPartition {
    /// [`ErrorCode::NONE`], or the error of the partition. In v0, REPLICA_NOT_AVAILABLE only means that the
    /// broker of some replica is not available; `leader_id` is valid.
    pub error_code: ErrorCode,
    /// The partition's number.
    pub partition_index: i32,
    /// The id of the partition leader, or −1.
    pub leader_id: i32,
    /// The leader epoch, which increases with every change of leader, or −1. From v7 on (KIP-320). A response with
    /// a lower epoch is stale.
    pub leader_epoch: i32,
    /// The ids of the brokers with a replica.
    pub replica_nodes: Vec<i32>,
    /// The ids of the brokers whose replica is in sync.
    pub isr_nodes: Vec<i32>,
    /// The ids of the brokers whose replica is offline. From v5 on (KIP-112).
    pub offline_replicas: Vec<i32>,
}

impl MetadataResponse {
    /// Decodes the frame of a response to a [`MetadataRequest`] of this version.
    ///
    /// # Errors
    /// Returns [`ProtocolError`] if the frame is malformed.
    pub fn decode(frame: &[u8], version: i16) -> Result<Self, ProtocolError> {
        let mut r = Reader::response(ApiKey::Metadata, version, frame)?;
        let response = Self {
            throttle_time_ms: if version >= 3 { r.i32()? } else { 0 },
            brokers: r.array(10, broker)?,
            cluster_id: if version >= 2 { r.nullable_string()? } else { None },
            controller_id: if version >= 1 { r.i32()? } else { -1 },
            topics: r.array(8, topic)?,
            cluster_authorized_operations: if matches!(version, 8..=10) { r.i32()? } else { i32::MIN },
            error_code: if version >= 13 { r.error_code()? } else { ErrorCode::NONE },
        };
        r.skip_tagged_fields()?;
        r.end_of_response()?;
        Ok(response)
    }
}

/// At least 10 bytes: in v0 an id, an empty host and a port.
fn broker(r: &mut Reader<'_>) -> Result<MetadataBroker, ProtocolError> {
    let broker = MetadataBroker {
        node_id: r.i32()?,
        host: r.string()?,
        port: r.i32()?,
        rack: if r.version() >= 1 { r.nullable_string()? } else { None },
    };
    r.skip_tagged_fields()?;
    Ok(broker)
}

/// At least 8 bytes: in v0 an error code, an empty name and no partitions.
fn topic(r: &mut Reader<'_>) -> Result<MetadataTopic, ProtocolError> {
    let version = r.version();
    let topic = MetadataTopic {
        error_code: r.error_code()?,
        name: if version >= 12 { r.nullable_string()? } else { Some(r.string()?) },
        topic_id: if version >= 10 { r.uuid()? } else { Uuid::ZERO },
        is_internal: version >= 1 && r.bool()?,
        partitions: r.array(18, partition)?,
        topic_authorized_operations: if version >= 8 { r.i32()? } else { i32::MIN },
    };
    r.skip_tagged_fields()?;
    Ok(topic)
}

/// At least 18 bytes: in v0 an error code, an index, a leader and two empty arrays; 18 in v9 as well.
fn partition(r: &mut Reader<'_>) -> Result<MetadataPartition, ProtocolError> {
    let version = r.version();
    let partition = MetadataPartition {
        error_code: r.error_code()?,
        partition_index: r.i32()?,
        leader_id: r.i32()?,
        leader_epoch: if version >= 7 { r.i32()? } else { -1 },
        replica_nodes: r.array(4, Reader::i32)?,
        isr_nodes: r.array(4, Reader::i32)?,
        offline_replicas: if version >= 5 { r.array(4, Reader::i32)? } else { Vec::new() },
    };
    r.skip_tagged_fields()?;
    Ok(partition)
}
