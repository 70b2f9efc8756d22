//! TxnOffsetCommit, key 28: commits the offsets of a group in a transaction (KIP-98).
//!
//! | version | broker | what is new |
//! |---|---|---|
//! | 0 | 0.11 | |
//! | 1 | 2.0 | the client throttles itself, not the broker (KIP-219) |
//! | 2 | 2.1 | leader epochs (KIP-320) |
//! | 3 | 2.5 | flexible (KIP-482); the member and its generation, which fences former members (KIP-447) |
//! | 4 | 3.8 | may fail with TRANSACTION_ABORTABLE (KIP-890) |
//! | 5 | 4.0 | adds the group to the transaction (KIP-890) |
//!
//! v6 (Kafka 4.4) has topic ids instead of names, and changes nothing else that a producer needs. It is not supported here.

use alloc::vec::Vec;

use bytes::Bytes;

use super::add_partitions_to_txn::topic_results;
use super::primitives::{Reader, Writer};
use super::{ApiKey, ProtocolError, RequestEncodeError, RequestHeader, TxnTopicResult};

/// Commits offsets of a group in a transaction. For the group's coordinator.
#[derive(Debug, Clone, PartialEq, Eq)]
// Exhaustive on purpose: see the module's documentation.
pub struct TxnOffsetCommitRequest<'a> {
    /// The transactional id.
    pub transactional_id: &'a str,
    /// The group.
    pub group_id: &'a str,
    /// The producer's id.
    pub producer_id: i64,
    /// The producer's epoch.
    pub producer_epoch: i16,
    /// The generation of the group, or the epoch of its member (KIP-848), or −1. From v3 on; earlier versions allow only −1.
    pub generation_id: i32,
    /// The id of the member, or empty. From v3 on; earlier versions allow only an empty one.
    pub member_id: &'a str,
    /// The `group.instance.id` of a static member. From v3 on; earlier versions allow only `None`.
    pub group_instance_id: Option<&'a str>,
    /// The offsets, by topic.
    pub topics: Vec<TxnOffsetCommitTopic<'a>>,
}

/// The offsets of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
// Exhaustive on purpose: see the module's documentation.
pub struct TxnOffsetCommitTopic<'a> {
    /// The topic.
    pub name: &'a str,
    /// The offsets.
    pub partitions: Vec<TxnOffsetCommitPartition<'a>>,
}

/// The offset of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
// Exhaustive on purpose: see the module's documentation.
pub struct TxnOffsetCommitPartition<'a> {
    /// The number of the partition.
    pub partition_index: i32,
    /// The offset of the next record to be read.
    pub committed_offset: i64,
    /// The leader epoch of the last record that was read, or −1. From v2 on; omitted before.
    pub committed_leader_epoch: i32,
    /// What the group keeps with the offset.
    pub committed_metadata: Option<&'a str>,
}

impl TxnOffsetCommitRequest<'_> {
    /// Encodes the request as one frame.
    ///
    /// # Errors
    /// Returns [`RequestEncodeError`] if the version is unsupported or cannot represent the request.
    pub fn encode(&self, version: i16, header: RequestHeader<'_>) -> Result<Vec<Bytes>, RequestEncodeError> {
        let mut w = Writer::request(ApiKey::TxnOffsetCommit, version, header)?;
        w.string(self.transactional_id)?;
        w.string(self.group_id)?;
        w.i64(self.producer_id);
        w.i16(self.producer_epoch);
        if version >= 3 {
            w.i32(self.generation_id);
            w.string(self.member_id)?;
            w.nullable_string(self.group_instance_id)?;
        } else if (self.generation_id, self.member_id, self.group_instance_id) != (-1, "", None) {
            return Err(w.unrepresentable("a member of the group and its generation (KIP-447)"));
        }
        w.array(&self.topics, |w, topic| {
            w.string(topic.name)?;
            w.array(&topic.partitions, |w, partition| {
                w.i32(partition.partition_index);
                w.i64(partition.committed_offset);
                if version >= 2 {
                    w.i32(partition.committed_leader_epoch);
                }
                w.nullable_string(partition.committed_metadata)?;
                w.no_tagged_fields();
                Ok(())
            })?;
            w.no_tagged_fields();
            Ok(())
        })?;
        w.no_tagged_fields();
        w.finish()
    }
}

/// The outcome for each partition.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TxnOffsetCommitResponse {
    /// The throttle time in milliseconds, 0 if no quota was exceeded; see [`ApiKey::client_throttles`].
    pub throttle_time_ms: i32,
    /// The outcomes, by topic.
    pub topics: Vec<TxnTopicResult>,
}

impl TxnOffsetCommitResponse {
    /// Decodes the frame of a response to a [`TxnOffsetCommitRequest`] of this version.
    ///
    /// # Errors
    /// Returns [`ProtocolError`] if the frame is malformed.
    pub fn decode(frame: &[u8], version: i16) -> Result<Self, ProtocolError> {
        let mut r = Reader::response(ApiKey::TxnOffsetCommit, version, frame)?;
        let response = Self { throttle_time_ms: r.i32()?, topics: topic_results(&mut r)? };
        r.skip_tagged_fields()?;
        r.end_of_response()?;
        Ok(response)
    }
}
