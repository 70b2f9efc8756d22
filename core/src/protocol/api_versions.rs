//! ApiVersions, key 18: which APIs a broker speaks, in which versions (KIP-35).
//!
//! | version | broker | what is new |
//! |---|---|---|
//! | 0 | 0.10 | |
//! | 1 | 0.11 | throttle time (KIP-124) |
//! | 2 | 2.0 | throttling is the client's (KIP-219) |
//! | 3 | 2.4 | flexible (KIP-482), and the client names its software (KIP-511); features (KIP-584) |
//! | 4 | 3.9 | features whose lowest version is 0 are listed, too (KAFKA-17011) |
//! | 5 | 4.4 | the client names the broker it means, and learns if it is another (KIP-1242) |
//!
//! A 0.9 broker does not know this API and hangs up.

use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use super::primitives::{Reader, Writer};
use super::{ApiKey, EncodeError, ErrorCode, ProtocolError, RequestHeader, VersionRange, choose_version};

/// Asks what the broker speaks. It is the first request on a connection, before SASL even.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiVersionsRequest<'a> {
    /// Name of the client library. From v3 on; left out before.
    ///
    /// Letters, digits, `-` and `.`, of which the first and the last must be a letter or a digit: otherwise
    /// the broker answers INVALID_REQUEST (KIP-511).
    pub client_software_name: &'a str,
    /// Version of the client library, under the same rule. From v3 on; left out before.
    pub client_software_version: &'a str,
    /// The cluster that the client means to talk to, if it knows. From v5 on; left out before.
    pub cluster_id: Option<&'a str>,
    /// The broker that the client means to talk to, or −1. It counts only together with the cluster id: if
    /// either is another, the answer is REBOOTSTRAP_REQUIRED. From v5 on; left out before.
    pub node_id: i32,
}

impl ApiVersionsRequest<'_> {
    /// The request as one frame.
    pub fn encode(&self, version: i16, header: RequestHeader<'_>) -> Result<Vec<Bytes>, EncodeError> {
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

/// What the broker speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApiVersionsResponse {
    /// [`ErrorCode::NONE`], or [`ErrorCode::UNSUPPORTED_VERSION`]: then ask again, in the version that
    /// [`choose`](Self::choose) gives for ApiVersions itself, or in v0 if it gives none (before Kafka 2.4
    /// the list is empty then).
    pub error_code: ErrorCode,
    /// The APIs with their versions; also those that this client does not know.
    pub api_keys: Vec<ApiVersion>,
    /// For how many milliseconds the request exceeded a quota; see [`ApiKey::client_throttles`]. From v1 on.
    pub throttle_time_ms: i32,
    /// The features that the broker supports (KIP-584). From v3 on.
    pub supported_features: Vec<SupportedFeature>,
    /// Counts the changes of the finalized features; −1 if that is not known. From v3 on.
    pub finalized_features_epoch: i64,
    /// The features that the cluster has switched on; means nothing while the epoch is −1. From v3 on.
    pub finalized_features: Vec<FinalizedFeature>,
    /// Whether a KRaft controller is ready for the migration from ZooKeeper (KIP-866). From v3 on.
    pub zk_migration_ready: bool,
}

/// The versions of one API that a broker claims to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApiVersion {
    /// The API's key. It can be one that [`ApiKey`] does not have.
    pub api_key: i16,
    /// The versions. The lower end is not to be relied on, see [`choose_version`].
    pub versions: VersionRange,
}

/// A feature that a broker supports (KIP-584).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SupportedFeature {
    /// Its name, such as `transaction.version`.
    pub name: String,
    /// The lowest level that the broker supports.
    pub min_version: i16,
    /// The highest level that the broker supports.
    pub max_version: i16,
}

/// A feature that a cluster has switched on (KIP-584).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FinalizedFeature {
    /// Its name, such as `transaction.version`.
    pub name: String,
    /// The highest level that may be used.
    pub max_version_level: i16,
    /// The lowest level that may be used.
    pub min_version_level: i16,
}

impl ApiVersionsResponse {
    /// What the broker claims of an API, or `None` if it does not list it.
    #[must_use]
    pub fn versions(&self, api: ApiKey) -> Option<VersionRange> {
        let listed = self.api_keys.iter().find(|each| each.api_key == api.code());
        listed.map(|api| api.versions)
    }

    /// The highest version of an API that the broker and this client both know.
    #[must_use]
    pub fn choose(&self, api: ApiKey) -> Option<i16> {
        choose_version(api.versions(), self.versions(api)?)
    }

    /// Decodes a frame that answers an [`ApiVersionsRequest`] of this version.
    ///
    /// If the answer is UNSUPPORTED_VERSION, it is in the layout of v0, whatever was asked: the broker could
    /// not know a better one (KIP-511). That code is then all that counts, so a list that cannot be read (some
    /// brokers that are not Apache's have it in another layout) is taken for an empty one.
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
