//! InitProducerId, key 22: a producer id and epoch for idempotence and transactions (KIP-98).
//!
//! | version | broker | what is new |
//! |---|---|---|
//! | 0 | 0.11 | |
//! | 1 | 2.0 | the client throttles itself, not the broker (KIP-219) |
//! | 2 | 2.4 | flexible (KIP-482) |
//! | 3 | 2.5 | the request has the current id and epoch, to bump the epoch (KIP-360) |
//! | 4 | 2.7 | may fail with PRODUCER_FENCED (KIP-588) |
//! | 5 | 3.8 | may fail with TRANSACTION_ABORTABLE (KIP-890) |
//!
//! v6 (two-phase commit, KIP-939) is marked unstable up to Kafka 4.4: its layout may still change, and a
//! broker offers it only if configured to. It is not supported here.

use alloc::vec::Vec;

use bytes::Bytes;

use super::primitives::{Reader, Writer};
use super::{ApiKey, ErrorCode, ProtocolError, RequestEncodeError, RequestHeader};

/// Requests a producer id, from any broker; with a transactional id, from its transaction coordinator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
// Exhaustive on purpose: see the module's documentation.
pub struct InitProducerIdRequest<'a> {
    /// Kafka's `transactional.id`, or `None` for a producer that is idempotent only.
    pub transactional_id: Option<&'a str>,
    /// The time in milliseconds after which the broker aborts an idle transaction. Ignored without a
    /// transactional id; the Java client then sends `i32::MAX`.
    pub transaction_timeout_ms: i32,
    /// The producer's current id, or −1. From v3 on; earlier versions allow only −1.
    pub producer_id: i64,
    /// The producer's current epoch, or −1. From v3 on; earlier versions allow only −1.
    pub producer_epoch: i16,
}

impl InitProducerIdRequest<'_> {
    /// Creates the request of an idempotent, not transactional, producer without an id.
    #[must_use]
    pub const fn idempotent() -> Self {
        Self { transactional_id: None, transaction_timeout_ms: i32::MAX, producer_id: -1, producer_epoch: -1 }
    }

    /// Encodes the request as one frame.
    ///
    /// # Errors
    /// Returns [`RequestEncodeError`] if the version is unsupported or cannot represent the request.
    pub fn encode(&self, version: i16, header: RequestHeader<'_>) -> Result<Vec<Bytes>, RequestEncodeError> {
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

/// A producer id and its epoch, or an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct InitProducerIdResponse {
    /// The throttle time in milliseconds, 0 if no quota was exceeded; see [`ApiKey::client_throttles`].
    pub throttle_time_ms: i32,
    /// [`ErrorCode::NONE`], or the error.
    pub error_code: ErrorCode,
    /// The producer id, or −1 after an error.
    pub producer_id: i64,
    /// The producer epoch.
    pub producer_epoch: i16,
}

impl InitProducerIdResponse {
    /// Decodes the frame of a response to an [`InitProducerIdRequest`] of this version.
    ///
    /// # Errors
    /// Returns [`ProtocolError`] if the frame is malformed.
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
