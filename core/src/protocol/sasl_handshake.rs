//! SaslHandshake, key 17: which SASL mechanism will be used (KIP-43).
//!
//! | version | broker | what is new |
//! |---|---|---|
//! | 0 | 0.10 | the tokens follow in bare frames, see [`sasl_token_frame`](super::sasl_token_frame) |
//! | 1 | 1.0 | the tokens follow in SaslAuthenticate requests (KIP-152); the layout is the same |
//!
//! There is no flexible version, and there will be none (KAFKA-9577). A 0.9 broker has no such API: there the
//! tokens of its one mechanism, GSSAPI, come first on the connection.

use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use super::primitives::{Reader, Writer};
use super::{ApiKey, EncodeError, ErrorCode, ProtocolError, RequestHeader};

/// Proposes a mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SaslHandshakeRequest<'a> {
    /// Kafka's `sasl.mechanism`, such as `PLAIN` or `SCRAM-SHA-256`.
    pub mechanism: &'a str,
}

impl SaslHandshakeRequest<'_> {
    /// The request as one frame.
    pub fn encode(&self, version: i16, header: RequestHeader<'_>) -> Result<Vec<Bytes>, EncodeError> {
        let mut w = Writer::request(ApiKey::SaslHandshake, version, header)?;
        w.string(self.mechanism)?;
        w.finish()
    }
}

/// Whether the mechanism is accepted, and which ones there are.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SaslHandshakeResponse {
    /// [`ErrorCode::NONE`], or [`ErrorCode::UNSUPPORTED_SASL_MECHANISM`].
    pub error_code: ErrorCode,
    /// The mechanisms that the broker has switched on.
    pub mechanisms: Vec<String>,
}

impl SaslHandshakeResponse {
    /// Decodes a frame that answers a [`SaslHandshakeRequest`] of this version.
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
