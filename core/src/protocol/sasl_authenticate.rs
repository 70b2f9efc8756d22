//! SaslAuthenticate, key 36: SASL tokens inside Kafka requests (KIP-152).
//!
//! | version | broker | what is new |
//! |---|---|---|
//! | 0 | 1.0 | |
//! | 1 | 2.2 | session lifetime (KIP-368) |
//! | 2 | 2.5 | flexible (KIP-482) |

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

use super::primitives::{Reader, Writer};
use super::{ApiKey, ErrorCode, ProtocolError, RequestEncodeError, RequestHeader};

/// Sends the client's next token. `Debug` shows only the size, since a token can contain a password.
#[derive(Clone, Copy, PartialEq, Eq)]
// Exhaustive on purpose: see the module's documentation.
pub struct SaslAuthenticateRequest<'a> {
    /// The token, as the mechanism defines it.
    pub auth_bytes: &'a [u8],
}

impl SaslAuthenticateRequest<'_> {
    /// Encodes the request as one frame.
    ///
    /// # Errors
    /// Returns [`RequestEncodeError`] if the version is unsupported or cannot represent the request.
    pub fn encode(&self, version: i16, header: RequestHeader<'_>) -> Result<Vec<Bytes>, RequestEncodeError> {
        let mut w = Writer::request(ApiKey::SaslAuthenticate, version, header)?;
        w.bytes(self.auth_bytes)?;
        w.no_tagged_fields();
        w.finish()
    }
}

impl fmt::Debug for SaslAuthenticateRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.auth_bytes.len();
        write!(f, "SaslAuthenticateRequest {{ auth_bytes: {size} bytes }}")
    }
}

/// The broker's next token, or an error. `Debug` shows only the size of the token, which in SCRAM is derived from the
/// password.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SaslAuthenticateResponse {
    /// [`ErrorCode::NONE`], or [`ErrorCode::SASL_AUTHENTICATION_FAILED`]; after an error the broker closes the connection.
    pub error_code: ErrorCode,
    /// The broker's error message.
    pub error_message: Option<String>,
    /// The token, as the mechanism defines it. May be empty.
    pub auth_bytes: Bytes,
    /// The time in milliseconds within which the client must authenticate again, or the broker closes the
    /// connection; 0 for unlimited. From v1 on (KIP-368); before, 0.
    pub session_lifetime_ms: i64,
}

impl fmt::Debug for SaslAuthenticateResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SaslAuthenticateResponse")
            .field("error_code", &self.error_code)
            .field("error_message", &self.error_message)
            .field("auth_bytes", &format_args!("{} bytes", self.auth_bytes.len()))
            .field("session_lifetime_ms", &self.session_lifetime_ms)
            .finish()
    }
}

impl SaslAuthenticateResponse {
    /// Decodes the frame of a response to a [`SaslAuthenticateRequest`] of this version.
    ///
    /// # Errors
    /// Returns [`ProtocolError`] if the frame is malformed.
    pub fn decode(frame: &[u8], version: i16) -> Result<Self, ProtocolError> {
        let mut r = Reader::response(ApiKey::SaslAuthenticate, version, frame)?;
        let response = Self {
            error_code: r.error_code()?,
            error_message: r.nullable_string()?,
            auth_bytes: r.bytes()?,
            session_lifetime_ms: if version >= 1 { r.i64()? } else { 0 },
        };
        r.skip_tagged_fields()?;
        r.end_of_response()?;
        Ok(response)
    }
}
