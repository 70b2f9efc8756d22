//! ApiVersions, key 18: the APIs and versions that a broker supports (KIP-35).
//!
//! | version | broker | what is new |
//! |---|---|---|
//! | 0 | 0.10 | |
//! | 1 | 0.11 | throttle time (KIP-124) |
//! | 2 | 2.0 | the client throttles itself, not the broker (KIP-219) |
//! | 3 | 2.4 | flexible (KIP-482); the client's software name (KIP-511); features (KIP-584) |
//! | 4 | 3.9 | features whose lowest version is 0 are listed as well (KAFKA-17011) |
//! | 5 | 4.4 | the client names the intended broker, and gets an error if it is another one (KIP-1242) |
//!
//! A 0.9 broker does not know this API and closes the connection.

use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use super::primitives::{Reader, Writer};
use super::{ApiKey, ErrorCode, ProtocolError, RequestEncodeError, RequestHeader, VersionRange, choose_version};

/// Requests the broker's supported versions. It is the first request on a connection, even before SASL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
// Exhaustive on purpose: see the module's documentation.
pub struct ApiVersionsRequest<'a> {
    /// Name of the client library. From v3 on; omitted before.
    ///
    /// Letters, digits, `-` and `.`; the first and last character must be a letter or a digit. Otherwise the
    /// broker returns INVALID_REQUEST (KIP-511).
    pub client_software_name: &'a str,
    /// Version of the client library, with the same restrictions. From v3 on; omitted before.
    pub client_software_version: &'a str,
    /// The id of the intended cluster, if known. From v5 on; omitted before.
    pub cluster_id: Option<&'a str>,
    /// The id of the intended broker, or −1. Used only together with the cluster id: if either differs, the
    /// broker returns REBOOTSTRAP_REQUIRED. From v5 on; omitted before.
    pub node_id: i32,
}

impl ApiVersionsRequest<'_> {
    /// Encodes the request as one frame.
    ///
    /// # Errors
    /// Returns [`RequestEncodeError`] if the version is unsupported or cannot represent the request.
    pub fn encode(&self, version: i16, header: RequestHeader<'_>) -> Result<Vec<Bytes>, RequestEncodeError> {
        let mut w = Writer::request(ApiKey::ApiVersions, version, header)?;
        if version >= 3 {
            w.string(self.client_software_name)?;
            w.string(self.client_software_version)?;
        }
        if version >= 5 {
            w.nullable_string(self.cluster_id)?;
            w.i32(self.node_id);
        }
        w.no_tagged_fields();
        w.finish()
    }
}

/// The APIs, versions and features that a broker supports.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApiVersionsResponse {
    /// [`ErrorCode::NONE`], or [`ErrorCode::UNSUPPORTED_VERSION`]. After the latter, repeat the request in the
    /// version that [`choose`](Self::choose) returns for ApiVersions itself, or in v0 if it returns none
    /// (before Kafka 2.4 the list is empty in this case).
    pub error_code: ErrorCode,
    /// The APIs with their versions, including those that this client does not know.
    pub api_keys: Vec<ApiVersion>,
    /// The throttle time in milliseconds, 0 if no quota was exceeded; see [`ApiKey::client_throttles`]. From v1 on.
    pub throttle_time_ms: i32,
    /// The features that the broker supports (KIP-584). From v3 on.
    pub supported_features: Vec<SupportedFeature>,
    /// The epoch of the finalized features, which increases with every change; −1 if unknown. From v3 on.
    pub finalized_features_epoch: i64,
    /// The features enabled in the cluster; meaningless if the epoch is −1. From v3 on.
    pub finalized_features: Vec<FinalizedFeature>,
    /// Whether a KRaft controller is ready for the migration from ZooKeeper (KIP-866). From v3 on.
    pub zk_migration_ready: bool,
}

/// The versions of one API that a broker advertises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApiVersion {
    /// The API's key, which [`ApiKey`] may not have.
    pub api_key: i16,
    /// The versions. The lower end is unreliable, see [`choose_version`].
    pub versions: VersionRange,
}

/// A feature that a broker supports (KIP-584).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SupportedFeature {
    /// The name, such as `transaction.version`.
    pub name: String,
    /// The lowest level that the broker supports.
    pub min_version: i16,
    /// The highest level that the broker supports.
    pub max_version: i16,
}

/// A feature enabled in a cluster (KIP-584).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FinalizedFeature {
    /// The name, such as `transaction.version`.
    pub name: String,
    /// The highest level enabled.
    pub max_version_level: i16,
    /// The lowest level enabled.
    pub min_version_level: i16,
}

impl ApiVersionsResponse {
    /// Returns the versions of an API that the broker advertises, or `None` if it does not list the API.
    #[must_use]
    pub fn versions(&self, api: ApiKey) -> Option<VersionRange> {
        let listed = self.api_keys.iter().find(|each| each.api_key == api.code());
        listed.map(|api| api.versions)
    }

    /// Returns the highest version of an API that both the broker and this client support.
    #[must_use]
    pub fn choose(&self, api: ApiKey) -> Option<i16> {
        choose_version(api.versions(), self.versions(api)?)
    }

    /// Decodes the frame of a response to an [`ApiVersionsRequest`] of this version.
    ///
    /// A response with UNSUPPORTED_VERSION is in the layout of v0, whatever version was requested, since the
    /// broker does not know the requested one (KIP-511). The list of APIs is optional in this case: if it cannot
    /// be decoded (some brokers other than Apache Kafka use another layout), it is treated as empty.
    ///
    /// # Errors
    /// Returns [`ProtocolError`] if the frame is malformed.
    pub fn decode(frame: &[u8], version: i16) -> Result<Self, ProtocolError> {
        let mut r = Reader::response(ApiKey::ApiVersions, version, frame)?;
        let error_code = r.error_code()?;
        let mut response = Self {
            error_code,
            api_keys: Vec::new(),
            throttle_time_ms: 0,
            supported_features: Vec::new(),
            finalized_features_epoch: -1,
            finalized_features: Vec::new(),
            zk_migration_ready: false,
        };
        if error_code == ErrorCode::UNSUPPORTED_VERSION {
            let mut r = r.in_version(0);
            let listed = r.array(6, api_version).and_then(|listed| r.end().map(|()| listed));
            response.api_keys = listed.unwrap_or_default();
            return Ok(response);
        }
        response.api_keys = r.array(6, api_version)?;
        if version >= 1 {
            response.throttle_time_ms = r.i32()?;
        }
        r.tagged_fields(|tag, field| {
            match tag {
                0 => response.supported_features = field.array(6, supported_feature)?,
                1 => response.finalized_features_epoch = field.i64()?,
                2 => response.finalized_features = field.array(6, finalized_feature)?,
                3 => response.zk_migration_ready = field.bool()?,
                _ => return Ok(()),
            }
            field.end()
        })?;
        r.end_of_response()?;
        Ok(response)
    }
}

/// At least 6 bytes: a key and two versions.
fn api_version(r: &mut Reader<'_>) -> Result<ApiVersion, ProtocolError> {
    let api_key = r.i16()?;
    let (min, max) = (r.i16()?, r.i16()?);
    r.skip_tagged_fields()?;
    Ok(ApiVersion { api_key, versions: VersionRange { min, max } })
}

/// At least 6 bytes: an empty name, two levels, no tagged fields.
fn supported_feature(r: &mut Reader<'_>) -> Result<SupportedFeature, ProtocolError> {
    let feature = SupportedFeature { name: r.string()?, min_version: r.i16()?, max_version: r.i16()? };
    r.skip_tagged_fields()?;
    Ok(feature)
}

/// At least 6 bytes: an empty name, two levels, no tagged fields.
fn finalized_feature(r: &mut Reader<'_>) -> Result<FinalizedFeature, ProtocolError> {
    let feature = FinalizedFeature { name: r.string()?, max_version_level: r.i16()?, min_version_level: r.i16()? };
    r.skip_tagged_fields()?;
    Ok(feature)
}
