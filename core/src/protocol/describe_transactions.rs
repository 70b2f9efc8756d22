//! DescribeTransactions, key 65: the state of transactions. For their coordinators.
//!
//! | version | broker | what is new |
//! |---|---|---|
//! | 0 | 3.0 | KIP-664 |

use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use super::primitives::{Reader, Writer};
use super::{ApiKey, ErrorCode, ProtocolError, RequestEncodeError, RequestHeader};

/// Requests the state of transactions, from their coordinator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
// Exhaustive on purpose: see the module's documentation.
pub struct DescribeTransactionsRequest<'a> {
    /// The transactional ids.
    pub transactional_ids: &'a [&'a str],
}

impl DescribeTransactionsRequest<'_> {
    /// Encodes the request as one frame.
    ///
    /// # Errors
    /// Returns [`RequestEncodeError`] if the version is unsupported or cannot represent the request.
    pub fn encode(&self, version: i16, header: RequestHeader<'_>) -> Result<Vec<Bytes>, RequestEncodeError> {
        let mut w = Writer::request(ApiKey::DescribeTransactions, version, header)?;
        w.array(self.transactional_ids, |w, id| w.string(id))?;
        w.no_tagged_fields();
        w.finish()
    }
}

/// The state of transactions.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DescribeTransactionsResponse {
    /// The throttle time in milliseconds, 0 if no quota was exceeded; see [`ApiKey::client_throttles`].
    pub throttle_time_ms: i32,
    /// The transaction of each transactional id.
    pub transactions: Vec<TransactionDescription>,
}

/// The transaction of a transactional id, or an error.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransactionDescription {
    /// [`ErrorCode::NONE`], or the error.
    pub error_code: ErrorCode,
    /// The transactional id.
    pub transactional_id: String,
    /// The state as the coordinator names it: `Empty`, `Ongoing`, `PrepareCommit`, `PrepareAbort`, `CompleteCommit`,
    /// `CompleteAbort`, `PrepareEpochFence` or `Dead`. Empty after an error.
    pub state: String,
    /// `transaction.timeout.ms` of the producer.
    pub timeout_ms: i32,
    /// When the transaction began, in milliseconds since the Unix epoch, or −1 while there is none.
    pub start_time_ms: i64,
    /// The producer's id.
    pub producer_id: i64,
    /// The producer's epoch.
    pub producer_epoch: i16,
    /// The topics with partitions that were added, and of which the coordinator does not know yet that their markers are written.
    pub topics: Vec<(String, Vec<i32>)>,
}

impl DescribeTransactionsResponse {
    /// Decodes the frame of a response to a [`DescribeTransactionsRequest`] of this version.
    ///
    /// # Errors
    /// Returns [`ProtocolError`] if the frame is malformed.
    pub fn decode(frame: &[u8], version: i16) -> Result<Self, ProtocolError> {
        let mut r = Reader::response(ApiKey::DescribeTransactions, version, frame)?;
        let throttle_time_ms = r.i32()?;
        let transactions = r.array(28, |r| {
            let error_code = r.error_code()?;
            let (transactional_id, state) = (r.string()?, r.string()?);
            let (timeout_ms, start_time_ms) = (r.i32()?, r.i64()?);
            let (producer_id, producer_epoch) = (r.i64()?, r.i16()?);
            let topics = r.array(3, |r| {
                let topic = (r.string()?, r.array(4, Reader::i32)?);
                r.skip_tagged_fields()?;
                Ok(topic)
            })?;
            r.skip_tagged_fields()?;
            Ok(TransactionDescription {
                error_code,
                transactional_id,
                state,
                timeout_ms,
                start_time_ms,
                producer_id,
                producer_epoch,
                topics,
            })
        })?;
        r.skip_tagged_fields()?;
        r.end_of_response()?;
        Ok(Self { throttle_time_ms, transactions })
    }
}
