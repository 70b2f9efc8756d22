//! GetTelemetrySubscriptions, key 71: which metrics a client is to push, and how often (KIP-714).
//!
//! | version | broker | what is new |
//! |---|---|---|
//! | 0 | 3.7 | flexible |
//!
//! Brokers list this API only if a plugin receives telemetry (`ClientTelemetry`).

use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use super::primitives::{Reader, Writer};
use super::{ApiKey, ErrorCode, ProtocolError, RequestEncodeError, RequestHeader, Uuid};

/// Requests the subscription of this client, from any broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
// Exhaustive on purpose: see the module's documentation.
pub struct GetTelemetrySubscriptionsRequest {
    /// The id of this client instance, or [`Uuid::ZERO`]: the broker generates one.
    pub client_instance_id: Uuid,
}

impl GetTelemetrySubscriptionsRequest {
    /// Encodes the request as one frame.
    ///
    /// # Errors
    /// Returns [`RequestEncodeError`] if the version is unsupported.
    pub fn encode(&self, version: i16, header: RequestHeader<'_>) -> Result<Vec<Bytes>, RequestEncodeError> {
        let mut w = Writer::request(ApiKey::GetTelemetrySubscriptions, version, header)?;
        w.uuid(self.client_instance_id);
        w.no_tagged_fields();
        w.finish()
    }
}

/// What the cluster subscribes to, or an error.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GetTelemetrySubscriptionsResponse {
    /// The throttle time in milliseconds, 0 if no quota was exceeded; see [`ApiKey::client_throttles`].
    pub throttle_time_ms: i32,
    /// [`ErrorCode::NONE`], or the error.
    pub error_code: ErrorCode,
    /// The id of the client instance, to be used from now on.
    pub client_instance_id: Uuid,
    /// The id of the subscription, which [`PushTelemetryRequest`](super::PushTelemetryRequest) has.
    pub subscription_id: i32,
    /// The codecs that the broker accepts, by the ids that they have in batches; the first is preferred. None is always accepted.
    pub accepted_compression_types: Vec<i8>,
    /// How often to push, in milliseconds.
    pub push_interval_ms: i32,
    /// The maximum size of the pushed metrics as they are sent, in bytes.
    pub telemetry_max_bytes: i32,
    /// Whether the value of a sum is its change since the last push, and not since the start.
    pub delta_temporality: bool,
    /// Prefixes of the names of metrics. An empty list: none; an empty prefix: all.
    pub requested_metrics: Vec<String>,
}

impl GetTelemetrySubscriptionsResponse {
    /// Decodes the frame of a response to a [`GetTelemetrySubscriptionsRequest`] of this version.
    ///
    /// # Errors
    /// Returns [`ProtocolError`] if the frame is malformed.
    pub fn decode(frame: &[u8], version: i16) -> Result<Self, ProtocolError> {
        let mut requested_metrics = Vec::new();
        let mut response = Self::read(frame, version, |name| requested_metrics.push(String::from(name)))?;
        response.requested_metrics = requested_metrics;
        Ok(response)
    }

    /// As [`decode`](Self::decode), but passes each requested metric to a function instead of collecting them: their number is the
    /// broker's choice.
    pub(crate) fn read(
        frame: &[u8],
        version: i16,
        mut requested_metric: impl FnMut(&str),
    ) -> Result<Self, ProtocolError> {
        let mut r = Reader::response(ApiKey::GetTelemetrySubscriptions, version, frame)?;
        let response = Self {
            throttle_time_ms: r.i32()?,
            error_code: r.error_code()?,
            client_instance_id: r.uuid()?,
            subscription_id: r.i32()?,
            accepted_compression_types: r.array(1, Reader::i8)?,
            push_interval_ms: r.i32()?,
            telemetry_max_bytes: r.i32()?,
            delta_temporality: r.bool()?,
            requested_metrics: Vec::new(),
        };
        for _ in 0..r.array_length(1)? {
            requested_metric(r.str()?);
        }
        r.skip_tagged_fields()?;
        r.end_of_response()?;
        Ok(response)
    }
}
