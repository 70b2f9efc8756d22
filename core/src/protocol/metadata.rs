//! Metadata, key 3: the brokers of the cluster, and which of them leads which partition.
//!
//! | version | broker | what is new |
//! |---|---|---|
//! | 0 | 0.8 | |
//! | 1 | 0.10 | "all topics" is a null array, and no longer an empty one; racks, controller, internal topics |
//! | 2 | 0.10.1 | cluster id (KIP-78) |
//! | 3 | 0.11 | throttle time (KIP-124) |
//! | 4 | 0.11 | the client can forbid that the broker creates the topics it asks for |
//! | 5 | 1.0 | offline replicas (KIP-112) |
//! | 6 | 2.0 | throttling is the client's (KIP-219) |
//! | 7 | 2.1 | leader epochs (KIP-320) |
//! | 8 | 2.3 | authorized operations (KIP-430) |
//! | 9 | 2.4 | flexible (KIP-482) |
//! | 10 | 2.8 | topic ids in the response (KIP-516) |
//! | 11 | 2.8 | no authorized operations of the cluster any more (KIP-700) |
//! | 12 | 3.1 | topics can be asked for by id (KIP-516) |
//! | 13 | 4.0 | an error of the whole response: REBOOTSTRAP_REQUIRED (KIP-1102) |

use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use super::primitives::{Reader, Writer};
use super::{ApiKey, EncodeError, ErrorCode, ProtocolError, RequestHeader, Uuid};

/// Asks for the brokers and for some topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetadataRequest<'a> {
    /// Which topics.
    pub topics: RequestedTopics<'a>,
    /// Whether a broker that is configured to (`auto.create.topics.enable`) may create the topics that do
    /// not exist. Before v4 that cannot be forbidden: only `true` can be said.
    pub allow_auto_topic_creation: bool,
    /// Whether the answer should say what the client may do with the cluster (KIP-430). v8 to v10.
    pub include_cluster_authorized_operations: bool,
    /// Whether the answer should say what the client may do with each topic (KIP-430). From v8 on.
    pub include_topic_authorized_operations: bool,
}

/// The topics that a [`MetadataRequest`] asks for.
///
/// By name or by id, never both: as soon as one topic has an id, a broker ignores those that have names only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestedTopics<'a> {
    /// Every topic that the client may see.
    All,
    /// The topics of these names. No name at all asks for the brokers only, which v0 cannot: there an empty
    /// list means every topic.
    Named(&'a [&'a str]),
    /// The topics of these ids. From v12 on; v10 and v11 have the field, and brokers refuse it (KIP-516).
    ById(&'a [Uuid]),
}

impl<'a> MetadataRequest<'a> {
    /// Asks for the brokers and for these topics, and may create none: needs v4, or
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

    /// The request as one frame.
    pub fn encode(&self, version: i16, header: RequestHeader<'_>) -> Result<Vec<Bytes>, EncodeError> {
        let mut w = Writer::request(ApiKey::Metadata, version, header)?;
        match self.topics {
            RequestedTopics::All if version == 0 => w.array::<()>(&[], |_, ()| Ok(()))?,
            RequestedTopics::All => w.null_array(),
            RequestedTopics::Named([]) if version == 0 => {
                return Err(w.unrepresentable("a list of no topics"));
            }
            RequestedTopics::Named(names) => w.array(names, |w, name| {
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
            return Err(w.unrepresentable("the ban on creating topics"));
        }
        if matches!(version, 8..=10) {
            w.bool(self.include_cluster_authorized_operations);
        } else if self.include_cluster_authorized_operations {
            return Err(w.unrepresentable("the wish for authorized operations (KIP-430)"));
        }
        if version >= 8 {
            w.bool(self.include_topic_authorized_operations);
        } else if self.include_topic_authorized_operations {
            return Err(w.unrepresentable("the wish for authorized operations (KIP-430)"));
        }
        w.no_tagged_fields();
        w.finish()
    }
}

/// The cluster as one broker sees it at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MetadataResponse {
    /// For how many milliseconds the request exceeded a quota; see [`ApiKey::client_throttles`]. From v3 on.
    pub throttle_time_ms: i32,
    /// The brokers that are up.
    pub brokers: Vec<MetadataBroker>,
    /// The id of the cluster, if it has one. From v2 on (KIP-78).
    pub cluster_id: Option<String>,
    /// The broker that is the controller (with KRaft: some broker that can reach it), or −1. From v1 on.
    pub controller_id: i32,
    /// The topics that were asked for, also those with an error.
    pub topics: Vec<MetadataTopic>,
    /// What the client may do with the cluster, one bit per operation; `i32::MIN` if it did not ask. v8 to
    /// v10 (KIP-430).
    pub cluster_authorized_operations: i32,
    /// An error of the whole response. From v13 on (KIP-1102).
    pub error_code: ErrorCode,
}

/// A broker, and where it can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MetadataBroker {
    /// Its id.
    pub node_id: i32,
    /// Its host name or address, as advertised for the listener that was asked (`advertised.listeners`).
    pub host: String,
    /// Its port.
    pub port: i32,
    /// Its rack, if it has one. From v1 on.
    pub rack: Option<String>,
}

/// A topic.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MetadataTopic {
    /// [`ErrorCode::NONE`], or why nothing is known of the topic.
    pub error_code: ErrorCode,
    /// Its name. `None`, which is possible from v12 on, if it was asked for by id and there is none.
    pub name: Option<String>,
    /// Its id, or [`Uuid::ZERO`]. From v10 on (KIP-516). A topic that was deleted and made anew has another.
    pub topic_id: Uuid,
    /// Whether it is one of Kafka's own. From v1 on.
    pub is_internal: bool,
    /// Its partitions, in any order, and perhaps not all of them.
    pub partitions: Vec<MetadataPartition>,
    /// What the client may do with the topic, one bit per operation; `i32::MIN` if it did not ask. From v8 on
    /// (KIP-430).
    pub topic_authorized_operations: i32,
}

/// A partition.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MetadataPartition {
    /// [`ErrorCode::NONE`], or what is wrong. In v0 REPLICA_NOT_AVAILABLE only says that the broker of some
    /// replica is down; the leader beside it is good.
    pub error_code: ErrorCode,
    /// Its number.
    pub partition_index: i32,
    /// The broker that leads it, or −1.
    pub leader_id: i32,
    /// Counts the partition's leaders, or −1. From v7 on (KIP-320). An answer with a lower epoch is stale.
    pub leader_epoch: i32,
    /// The brokers that have a replica.
    pub replica_nodes: Vec<i32>,
    /// The brokers whose replica is in sync.
    pub isr_nodes: Vec<i32>,
    /// The brokers whose replica is offline. From v5 on (KIP-112).
    pub offline_replicas: Vec<i32>,
}

impl MetadataResponse {
    /// Decodes a frame that answers a [`MetadataRequest`] of this version.
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

/// At least 18 bytes: in v0 an error code, an index, a leader and two empty arrays; in v9 as many.
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
