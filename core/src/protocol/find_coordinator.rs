//! FindCoordinator, key 10: the broker that coordinates a group or a transactional id.
//!
//! | version | broker | what is new |
//! |---|---|---|
//! | 0 | 0.9 | groups only |
//! | 1 | 0.11 | transactional ids (KIP-98); throttle time (KIP-124) |
//! | 2 | 2.0 | the client throttles itself, not the broker (KIP-219) |
//! | 3 | 2.4 | flexible (KIP-482) |
//! | 4 | 3.0 | several keys in one request (KIP-699) |
//! | 5 | 3.8 | may fail with TRANSACTION_ABORTABLE (KIP-890) |
//! | 6 | 4.0 | share groups (KIP-932) |

use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use super::primitives::{Reader, Writer};
use super::{ApiKey, ErrorCode, ProtocolError, RequestEncodeError, RequestHeader};

/// What a coordinator coordinates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum CoordinatorType {
    /// A group: its members and committed offsets. 0 on the wire.
    Group,
    /// A transactional id: its producer id and its transaction. 1 on the wire.
    Transaction,
}

/// Requests the coordinator of a group or of a transactional id, from any broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
// Exhaustive on purpose: see the module's documentation.
pub struct FindCoordinatorRequest<'a> {
    /// What is coordinated. Before v1 only groups.
    pub key_type: CoordinatorType,
    /// The group or the transactional id.
    pub key: &'a str,
}

impl FindCoordinatorRequest<'_> {
    /// Encodes the request as one frame.
    ///
    /// # Errors
    /// Returns [`RequestEncodeError`] if the version is unsupported or cannot represent the request.
    pub fn encode(&self, version: i16, header: RequestHeader<'_>) -> Result<Vec<Bytes>, RequestEncodeError> {
        let mut w = Writer::request(ApiKey::FindCoordinator, version, header)?;
        if version < 4 {
            w.string(self.key)?;
        }
        match self.key_type {
            key_type if version >= 1 => w.i8(i8::from(key_type == CoordinatorType::Transaction)),
            CoordinatorType::Group => {}
            CoordinatorType::Transaction => return Err(w.unrepresentable("a transactional id (KIP-98)")),
        }
        if version >= 4 {
            w.array(&[self.key], |w, key| w.string(key))?;
        }
        w.no_tagged_fields();
        w.finish()
    }
}

/// The coordinators.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FindCoordinatorResponse {
    /// The throttle time in milliseconds, 0 if no quota was exceeded; see [`ApiKey::client_throttles`]. From v1 on.
    pub throttle_time_ms: i32,
    /// The coordinator of each key. Before v4 one, without a key.
    pub coordinators: Vec<CoordinatorEndpoint>,
}

/// The coordinator of a key, or an error.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CoordinatorEndpoint {
    /// The key. From v4 on; empty before.
    pub key: String,
    /// The id of the broker, or −1 after an error.
    pub node_id: i32,
    /// Its host name or address.
    pub host: String,
    /// Its port, or −1 after an error.
    pub port: i32,
    /// [`ErrorCode::NONE`], or the error.
    pub error_code: ErrorCode,
    /// The broker's message, if there is one. From v1 on.
    pub error_message: Option<String>,
}

impl FindCoordinatorResponse {
    /// Decodes the frame of a response to a [`FindCoordinatorRequest`] of this version.
    ///
    /// # Errors
    /// Returns [`ProtocolError`] if the frame is malformed.
    pub fn decode(frame: &[u8], version: i16) -> Result<Self, ProtocolError> {
        let mut r = Reader::response(ApiKey::FindCoordinator, version, frame)?;
        let throttle_time_ms = if version >= 1 { r.i32()? } else { 0 };
        let coordinators = if version >= 4 {
            r.array(14, |r| {
                let endpoint = CoordinatorEndpoint {
                    key: r.string()?,
                    node_id: r.i32()?,
                    host: r.string()?,
                    port: r.i32()?,
                    error_code: r.error_code()?,
                    error_message: r.nullable_string()?,
                };
                r.skip_tagged_fields()?;
                Ok(endpoint)
            })?
        } else {
            let error_code = r.error_code()?;
            let error_message = if version >= 1 { r.nullable_string()? } else { None };
            let (node_id, host, port) = (r.i32()?, r.string()?, r.i32()?);
            Vec::from([CoordinatorEndpoint { key: String::new(), node_id, host, port, error_code, error_message }])
        };
        r.skip_tagged_fields()?;
        r.end_of_response()?;
        Ok(Self { throttle_time_ms, coordinators })
    }
}
