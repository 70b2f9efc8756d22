//! AddPartitionsToTxn, key 24: adds partitions to a transaction before they are written to (KIP-98).
//!
//! | version | broker | what is new |
//! |---|---|---|
//! | 0 | 0.11 | |
//! | 1 | 2.0 | the client throttles itself, not the broker (KIP-219) |
//! | 2 | 2.7 | may fail with PRODUCER_FENCED (KIP-588) |
//! | 3 | 3.0 | flexible (KIP-482) |
//!
//! Later versions have several transactions, and are used between brokers (KIP-890). With `transaction.version` 2 this API
//! is not needed: Produce v12 adds the partition itself.

use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use super::primitives::{Reader, Writer};
use super::{ApiKey, ErrorCode, ProtocolError, RequestEncodeError, RequestHeader};

/// Adds partitions to a transaction, which it opens. For the transaction coordinator.
#[derive(Debug, Clone, PartialEq, Eq)]
// Exhaustive on purpose: see the module's documentation.
pub struct AddPartitionsToTxnRequest<'a> {
    /// The transactional id.
    pub transactional_id: &'a str,
    /// The producer's id.
    pub producer_id: i64,
    /// The producer's epoch.
    pub producer_epoch: i16,
    /// The partitions, by topic.
    pub topics: Vec<AddPartitionsToTxnTopic<'a>>,
}

/// The partitions of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
// Exhaustive on purpose: see the module's documentation.
pub struct AddPartitionsToTxnTopic<'a> {
    /// The topic.
    pub name: &'a str,
    /// The numbers of its partitions.
    pub partitions: Vec<i32>,
}

impl AddPartitionsToTxnRequest<'_> {
    /// Encodes the request as one frame.
    ///
    /// # Errors
    /// Returns [`RequestEncodeError`] if the version is unsupported or cannot represent the request.
    pub fn encode(&self, version: i16, header: RequestHeader<'_>) -> Result<Vec<Bytes>, RequestEncodeError> {
        let mut w = Writer::request(ApiKey::AddPartitionsToTxn, version, header)?;
        w.string(self.transactional_id)?;
        w.i64(self.producer_id);
        w.i16(self.producer_epoch);
        w.array(&self.topics, |w, topic| {
            w.string(topic.name)?;
            w.array(&topic.partitions, |w, partition| {
                w.i32(*partition);
                Ok(())
            })?;
            w.no_tagged_fields();
            Ok(())
        })?;
        w.no_tagged_fields();
        w.finish()
    }
}

/// The outcome for each partition. The broker adds all of them, or none: then those without a fault of their own have
/// OPERATION_NOT_ATTEMPTED.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AddPartitionsToTxnResponse {
    /// The throttle time in milliseconds, 0 if no quota was exceeded; see [`ApiKey::client_throttles`].
    pub throttle_time_ms: i32,
    /// The outcomes, by topic.
    pub topics: Vec<TxnTopicResult>,
}

/// The outcomes of one topic, in a response to AddPartitionsToTxn or TxnOffsetCommit.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TxnTopicResult {
    /// The topic.
    pub name: String,
    /// The outcomes.
    pub partitions: Vec<TxnPartitionResult>,
}

/// The outcome of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TxnPartitionResult {
    /// The number of the partition.
    pub partition_index: i32,
    /// [`ErrorCode::NONE`], or the error.
    pub error_code: ErrorCode,
}

impl AddPartitionsToTxnResponse {
    /// Decodes the frame of a response to an [`AddPartitionsToTxnRequest`] of this version.
    ///
    /// # Errors
    /// Returns [`ProtocolError`] if the frame is malformed.
    pub fn decode(frame: &[u8], version: i16) -> Result<Self, ProtocolError> {
        let mut r = Reader::response(ApiKey::AddPartitionsToTxn, version, frame)?;
        let response = Self { throttle_time_ms: r.i32()?, topics: topic_results(&mut r)? };
        r.skip_tagged_fields()?;
        r.end_of_response()?;
        Ok(response)
    }
}

/// Reads topics of at least 3 bytes (an empty name, no partitions, no tagged fields) with partitions of at least 6 bytes.
pub(super) fn topic_results(r: &mut Reader<'_>) -> Result<Vec<TxnTopicResult>, ProtocolError> {
    r.array(3, |r| {
        let name = r.string()?;
        let partitions = r.array(6, |r| {
            let result = TxnPartitionResult { partition_index: r.i32()?, error_code: r.error_code()? };
            r.skip_tagged_fields()?;
            Ok(result)
        })?;
        r.skip_tagged_fields()?;
        Ok(TxnTopicResult { name, partitions })
    })
}
