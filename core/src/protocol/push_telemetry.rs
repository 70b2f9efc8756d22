//! PushTelemetry, key 72: the metrics of a client (KIP-714).
//!
//! | version | broker | what is new |
//! |---|---|---|
//! | 0 | 3.7 | flexible |

use alloc::vec::Vec;

use bytes::Bytes;

use super::primitives::{Reader, Writer};
use super::{ApiKey, ErrorCode, ProtocolError, RequestEncodeError, RequestHeader, Uuid};

/// Pushes metrics, to any broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
// Exhaustive on purpose: see the module's documentation.
pub struct PushTelemetryRequest<'a> {
    /// The id of this client instance.
    pub client_instance_id: Uuid,
    /// The id of the subscription.
    pub subscription_id: i32,
    /// Whether this is the last push, because the client is being closed.
    pub terminating: bool,
    /// The codec of the metrics, by the id that it has in batches.
    pub compression_type: i8,
    /// The metrics: `MetricsData` of OpenTelemetry's protocol, as protobuf, compressed.
    pub metrics: &'a [u8],
}

impl PushTelemetryRequest<'_> {
    /// Encodes the request as one frame.
    ///
    /// # Errors
    /// Returns [`RequestEncodeError`] if the version is unsupported or the metrics are too long.
    pub fn encode(&self, version: i16, header: RequestHeader<'_>) -> Result<Vec<Bytes>, RequestEncodeError> {
        let mut w = Writer::request(ApiKey::PushTelemetry, version, header)?;
        w.uuid(self.client_instance_id);
        w.i32(self.subscription_id);
        w.bool(self.terminating);
        w.i8(self.compression_type);
        w.bytes(self.metrics)?;
        w.no_tagged_fields();
        w.finish()
    }
}

/// Whether the broker has taken the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PushTelemetryResponse {
    /// The throttle time in milliseconds, 0 if no quota was exceeded; see [`ApiKey::client_throttles`].
    pub throttle_time_ms: i32,
    /// [`ErrorCode::NONE`], or the error.
    pub error_code: ErrorCode,
}

impl PushTelemetryResponse {
    /// Decodes the frame of a response to a [`PushTelemetryRequest`] of this version.
    ///
    /// # Errors
    /// Returns [`ProtocolError`] if the frame is malformed.
    pub fn decode(frame: &[u8], version: i16) -> Result<Self, ProtocolError> {
        let mut r = Reader::response(ApiKey::PushTelemetry, version, frame)?;
        let response = Self { throttle_time_ms: r.i32()?, error_code: r.error_code()? };
        r.skip_tagged_fields()?;
        r.end_of_response()?;
        Ok(response)
    }
}
