//! AddOffsetsToTxn, key 25: adds the offsets of a group to a transaction before they are committed in it (KIP-98).
//!
//! | version | broker | what is new |
//! |---|---|---|
//! | 0 | 0.11 | |
//! | 1 | 2.0 | the client throttles itself, not the broker (KIP-219) |
//! | 2 | 2.7 | may fail with PRODUCER_FENCED (KIP-588) |
//! | 3 | 2.8 | flexible (KIP-482) |
//! | 4 | 3.8 | may fail with TRANSACTION_ABORTABLE (KIP-890) |
//!
//! With `transaction.version` 2 this API is not needed: TxnOffsetCommit v5 adds the group itself.

use alloc::vec::Vec;

use bytes::Bytes;

use super::primitives::{Reader, Writer};
use super::{ApiKey, ErrorCode, ProtocolError, RequestEncodeError, RequestHeader};

/// Adds the offsets of a group to a transaction. For the transaction coordinator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
// Exhaustive on purpose: see the module's documentation.
pub struct AddOffsetsToTxnRequest<'a> {
    /// The transactional id.
    pub transactional_id: &'a str,
    /// The producer's id.
    pub producer_id: i64,
    /// The producer's epoch.
    pub producer_epoch: i16,
    /// The group.
    pub group_id: &'a str,
}

impl AddOffsetsToTxnRequest<'_> {
    /// Encodes the request as one frame.
    ///
    /// # Errors
    /// Returns [`RequestEncodeError`] if the version is unsupported or cannot represent the request.
    pub fn encode(&self, version: i16, header: RequestHeader<'_>) -> Result<Vec<Bytes>, RequestEncodeError> {
        let mut w = Writer::request(ApiKey::AddOffsetsToTxn, version, header)?;
        w.string(self.transactional_id)?;
        w.i64(self.producer_id);
        w.i16(self.producer_epoch);
        w.string(self.group_id)?;
        w.no_tagged_fields();
        w.finish()
    }
}

/// The outcome of an [`AddOffsetsToTxnRequest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct AddOffsetsToTxnResponse {
    /// The throttle time in milliseconds, 0 if no quota was exceeded; see [`ApiKey::client_throttles`].
    pub throttle_time_ms: i32,
    /// [`ErrorCode::NONE`], or the error.
    pub error_code: ErrorCode,
}

impl AddOffsetsToTxnResponse {
    /// Decodes the frame of a response to an [`AddOffsetsToTxnRequest`] of this version.
    ///
    /// # Errors
    /// Returns [`ProtocolError`] if the frame is malformed.
    pub fn decode(frame: &[u8], version: i16) -> Result<Self, ProtocolError> {
        let mut r = Reader::response(ApiKey::AddOffsetsToTxn, version, frame)?;
        let response = Self { throttle_time_ms: r.i32()?, error_code: r.error_code()? };
        r.skip_tagged_fields()?;
        r.end_of_response()?;
        Ok(response)
    }
}
