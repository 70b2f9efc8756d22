//! EndTxn, key 26: commits or aborts a transaction (KIP-98).
//!
//! | version | broker | what is new |
//! |---|---|---|
//! | 0 | 0.11 | |
//! | 1 | 2.0 | the client throttles itself, not the broker (KIP-219) |
//! | 2 | 2.7 | may fail with PRODUCER_FENCED (KIP-588) |
//! | 3 | 2.8 | flexible (KIP-482) |
//! | 4 | 3.8 | may fail with TRANSACTION_ABORTABLE (KIP-890) |
//! | 5 | 4.0 | the response has the producer id and epoch of the next transaction (KIP-890) |

use alloc::vec::Vec;

use bytes::Bytes;

use super::primitives::{Reader, Writer};
use super::{ApiKey, ErrorCode, ProtocolError, RequestEncodeError, RequestHeader};

/// Commits or aborts a transaction. For the transaction coordinator, which responds once the decision is in its log; the
/// markers in the partitions follow later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
// Exhaustive on purpose: see the module's documentation.
pub struct EndTxnRequest<'a> {
    /// The transactional id.
    pub transactional_id: &'a str,
    /// The producer's id.
    pub producer_id: i64,
    /// The producer's epoch.
    pub producer_epoch: i16,
    /// `true` to commit, `false` to abort.
    pub committed: bool,
}

impl EndTxnRequest<'_> {
    /// Encodes the request as one frame.
    ///
    /// # Errors
    /// Returns [`RequestEncodeError`] if the version is unsupported or cannot represent the request.
    pub fn encode(&self, version: i16, header: RequestHeader<'_>) -> Result<Vec<Bytes>, RequestEncodeError> {
        let mut w = Writer::request(ApiKey::EndTxn, version, header)?;
        w.string(self.transactional_id)?;
        w.i64(self.producer_id);
        w.i16(self.producer_epoch);
        w.bool(self.committed);
        w.no_tagged_fields();
        w.finish()
    }
}

/// The outcome of an [`EndTxnRequest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndTxnResponse {
    /// The throttle time in milliseconds, 0 if no quota was exceeded; see [`ApiKey::client_throttles`].
    pub throttle_time_ms: i32,
    /// [`ErrorCode::NONE`], or the error.
    pub error_code: ErrorCode,
    /// The producer id of the next transaction, or −1. From v5 on.
    pub producer_id: i64,
    /// The producer epoch of the next transaction, or −1. From v5 on.
    pub producer_epoch: i16,
}

impl EndTxnResponse {
    /// Decodes the frame of a response to an [`EndTxnRequest`] of this version.
    ///
    /// # Errors
    /// Returns [`ProtocolError`] if the frame is malformed.
    pub fn decode(frame: &[u8], version: i16) -> Result<Self, ProtocolError> {
        let mut r = Reader::response(ApiKey::EndTxn, version, frame)?;
        let (throttle_time_ms, error_code) = (r.i32()?, r.error_code()?);
        let (producer_id, producer_epoch) = if version >= 5 { (r.i64()?, r.i16()?) } else { (-1, -1) };
        r.skip_tagged_fields()?;
        r.end_of_response()?;
        Ok(Self { throttle_time_ms, error_code, producer_id, producer_epoch })
    }
}
