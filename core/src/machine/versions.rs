//! The API versions to use with a broker.

use crate::cause::ConnectionErrorKind;
use crate::magic::{BrokerVersion, Magic};
use crate::protocol::{ApiKey, ApiVersionsResponse};

/// The API versions to use with one broker: of each API the newest that both sides support, or those of
/// [`broker_version_fallback`](super::MachineConfig::broker_version_fallback).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Versions {
    /// The version of Produce. Since 13, topics have ids instead of names; 12 is used while a topic id is unknown.
    pub produce: i16,
    /// The version of Metadata.
    pub metadata: i16,
    /// The version of InitProducerId; `None` if the broker does not support idempotence, as before 0.11.
    pub init_producer_id: Option<i16>,
}

impl Versions {
    /// Returns the format of batches for this broker.
    #[must_use]
    pub const fn magic(&self) -> Magic {
        Magic::for_produce_version(self.produce)
    }

    /// Returns the newest versions that both sides support, from the response to ApiVersions.
    pub(super) fn from_response(response: &ApiVersionsResponse) -> Result<Self, ConnectionErrorKind> {
        let required = |api| response.choose(api).ok_or(ConnectionErrorKind::Incompatible(api));
        Ok(Self {
            produce: required(ApiKey::Produce)?,
            metadata: required(ApiKey::Metadata)?,
            init_producer_id: response.choose(ApiKey::InitProducerId),
        })
    }

    /// Returns the versions to use with a broker of this Kafka version, without ApiVersions.
    pub(super) fn fallback(version: BrokerVersion) -> Self {
        let versions = |produce, metadata, init_producer_id| Self { produce, metadata, init_producer_id };
        let no_throttle_time = "0.9".parse().is_ok_and(|nine: BrokerVersion| version < nine);
        match version.magic() {
            Magic::V0 if no_throttle_time => versions(0, 0, None),
            Magic::V0 => versions(1, 0, None),
            Magic::V1 => versions(2, 1, None),
            Magic::V2 => versions(3, 4, Some(0)),
        }
    }
}
