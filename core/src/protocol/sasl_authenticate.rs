//! SaslAuthenticate, key 36: SASL tokens inside Kafka requests (KIP-152).
//!
//! | version | broker | what is new |
//! |---|---|---|
//! | 0 | 1.0 | |
//! | 1 | 2.2 | how long the session lasts (KIP-368) |
//! | 2 | 2.5 | flexible (KIP-482) |

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

use super::primitives::{Reader, Writer};
use super::{ApiKey, EncodeError, ErrorCode, ProtocolError, RequestHeader};

/// The next token of the client. Its `Debug` shows the size only, for a token can be a password.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SaslAuthenticateRequest<'a> {
    /// The token, as the mechanism defines it.
    pub auth_bytes: &'a [u8],
}

impl SaslAuthenticateRequest<'_> {
    /// The request as one frame.
    pub fn encode(&self, version: i16, header: RequestHeader<'_>) -> Result<Vec<Bytes>, EncodeError> {
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

/// The next token of the broker, or why it refuses. Its `Debug` shows the size of the token only, which in SCRAM is
/// derived from the password.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SaslAuthenticateResponse {
    /// [`ErrorCode::NONE`], or [`ErrorCode::SASL_AUTHENTICATION_FAILED`]; after an error the broker hangs up.
    pub error_code: ErrorCode,
    /// What the broker says of the error.
    pub error_message: Option<String>,
    /// The token, as the mechanism defines it. It can be empty.
    pub auth_bytes: Bytes,
    /// After how many milliseconds the client must have authenticated anew, or the broker hangs up; 0 for
    /// never. From v1 on (KIP-368); before, 0.
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
    /// Decodes a frame that answers a [`SaslAuthenticateRequest`] of this version.
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
