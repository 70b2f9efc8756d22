//! InitProducerId, key 22: a producer id and epoch for idempotence and transactions (KIP-98).
//!
//! | version | broker | what is new |
//! |---|---|---|
//! | 0 | 0.11 | |
//! | 1 | 2.0 | throttling is the client's (KIP-219) |
//! | 2 | 2.4 | flexible (KIP-482) |
//! | 3 | 2.5 | the request names the current id and epoch, to have the epoch bumped (KIP-360) |
//! | 4 | 2.7 | may fail with PRODUCER_FENCED (KIP-588) |
//! | 5 | 3.8 | may fail with TRANSACTION_ABORTABLE (KIP-890) |
//!
//! v6 (two-phase commit, KIP-939) is marked unstable up to Kafka 4.4: its layout may still change, and a
//! broker offers it only when told to. So it is not spoken here.

use alloc::vec::Vec;

use bytes::Bytes;

use super::primitives::{Reader, Writer};
use super::{ApiKey, EncodeError, ErrorCode, ProtocolError, RequestHeader};

/// Asks for a producer id. Any broker answers, unless there is a transactional id: then its coordinator does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InitProducerIdRequest<'a> {
    /// Kafka's `transactional.id`, or `None` for a producer that is idempotent only.
    pub transactional_id: Option<&'a str>,
    /// After how many milliseconds the broker aborts an idle transaction. Means nothing without a
    /// transactional id; the Java client then sends `i32::MAX`.
    pub transaction_timeout_ms: i32,
    /// The id that the producer has had until now, or −1. From v3 on; before, only −1 can be said.
    pub producer_id: i64,
    /// The epoch that the producer has had until now, or −1. From v3 on; before, only −1 can be said.
    pub producer_epoch: i16,
}

impl InitProducerIdRequest<'_> {
    /// The request of a producer that is idempotent only, and has no id yet.
    #[must_use]
    pub const fn idempotent() -> Self {
        Self { transactional_id: None, transaction_timeout_ms: i32::MAX, producer_id: -1, producer_epoch: -1 }
    }

    /// The request as one frame.
    pub fn encode(&self, version: i16, header: RequestHeader<'_>) -> Result<Vec<Bytes>, EncodeError> {
        let mut w = Writer::request(ApiKey::InitProducerId, version, header)?;
        w.nullable_string(self.transactional_id)?;
        w.i32(self.transaction_timeout_ms);
        if version >= 3 {
            w.i64(self.producer_id);
            w.i16(self.producer_epoch);
        } else if (self.producer_id, self.producer_epoch) != (-1, -1) {
            return Err(w.unrepresentable("the producer's current id and epoch (KIP-360)"));
        }
        w.no_tagged_fields();
        w.finish()
    }
}

/// A producer id and its epoch, or why there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct InitProducerIdResponse {
    /// For how many milliseconds the request exceeded a quota; see [`ApiKey::client_throttles`].
    pub throttle_time_ms: i32,
    /// [`ErrorCode::NONE`], or why there is no producer id.
    pub error_code: ErrorCode,
    /// The producer id, or −1 after an error.
    pub producer_id: i64,
    /// The epoch that goes with it.
    pub producer_epoch: i16,
}

impl InitProducerIdResponse {
    /// Decodes a frame that answers an [`InitProducerIdRequest`] of this version.
    pub fn decode(frame: &[u8], version: i16) -> Result<Self, ProtocolError> {
        let mut r = Reader::response(ApiKey::InitProducerId, version, frame)?;
        let response = Self {
            throttle_time_ms: r.i32()?,
            error_code: r.error_code()?,
            producer_id: r.i64()?,
            producer_epoch: r.i16()?,
        };
        r.skip_tagged_fields()?;
        r.end_of_response()?;
        Ok(response)
    }
}
