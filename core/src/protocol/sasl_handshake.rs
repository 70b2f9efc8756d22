//! SaslHandshake, key 17: negotiates the SASL mechanism (KIP-43).
//!
//! | version | broker | what is new |
//! |---|---|---|
//! | 0 | 0.10 | the tokens follow in raw frames, see [`sasl_token_frame`](super::sasl_token_frame) |
//! | 1 | 1.0 | the tokens follow in SaslAuthenticate requests (KIP-152); the layout is the same |
//!
//! There is no flexible version, and there will be none (KAFKA-9577). A 0.9 broker does not have this API: there
//! the connection begins with the tokens of its only mechanism, GSSAPI.

use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use super::primitives::{Reader, Writer};
use super::{ApiKey, ErrorCode, ProtocolError, RequestEncodeError, RequestHeader};

/// A SaslHandshake request, which proposes a mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
// Exhaustive on purpose: see the module's documentation.
pub struct SaslHandshakeRequest<'a> {
    /// Kafka's `sasl.mechanism`, such as `PLAIN` or `SCRAM-SHA-256`.
    pub mechanism: &'a str,
}

impl SaslHandshakeRequest<'_> {
    /// Encodes the request as one frame.
    ///
    /// # Errors
    /// Returns [`RequestEncodeError`] if the version is unsupported or cannot represent the request.
    pub fn encode(&self, version: i16, header: RequestHeader<'_>) -> Result<Vec<Bytes>, RequestEncodeError> {
        let mut w = Writer::request(ApiKey::SaslHandshake, version, header)?;
        w.string(self.mechanism)?;
        w.finish()
    }
}

/// Whether the broker accepts the mechanism, and the mechanisms it supports.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SaslHandshakeResponse {
    /// [`ErrorCode::NONE`], or [`ErrorCode::UNSUPPORTED_SASL_MECHANISM`].
    pub error_code: ErrorCode,
    /// The mechanisms enabled on the broker.
    pub mechanisms: Vec<String>,
}

impl SaslHandshakeResponse {
    /// Decodes the frame of a response to a [`SaslHandshakeRequest`] of this version.
    ///
    /// # Errors
    /// Returns [`ProtocolError`] if the frame is malformed.
    pub fn decode(frame: &[u8], version: i16) -> Result<Self, ProtocolError> {
        let mut r = Reader::response(ApiKey::SaslHandshake, version, frame)?;
        let response = Self {
            error_code: r.error_code()?,
            mechanisms: r.array(2, Reader::string)?, // at least a length of two bytes
        };
        r.end_of_response()?;
        Ok(response)
    }
}
