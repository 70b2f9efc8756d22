//! ApiVersions, v0 to v5.

use super::schema::message;

message! {
    /// An ApiVersions request.
    pub struct ApiVersionsRequest {
        /// The client's name (KIP-511).
        client_software_name: String = String::new(), 3..;
        /// The client's version.
        client_software_version: String = String::new(), 3..;
        /// The cluster that the client expects.
        cluster_id: Option<String> = None, 5..;
        /// The broker that the client expects, or −1.
        node_id: i32 = -1, 5..;
    }

    /// An ApiVersions response.
    pub struct ApiVersionsResponse {
        /// The error code, or 0.
        error_code: i16 = 0, 0..;
        /// The APIs.
        api_keys: Vec<ApiVersion> = Vec::new(), 0..;
        /// The throttle time, in milliseconds.
        throttle_time_ms: i32 = 0, 1..;
        /// The features that the broker supports.
        supported_features: Vec<SupportedFeature> = Vec::new(), 3.., tag 0;
        /// The epoch of the finalized features, or −1.
        finalized_features_epoch: i64 = -1, 3.., tag 1;
        /// The features in use.
        finalized_features: Vec<FinalizedFeature> = Vec::new(), 3.., tag 2;
    }

    /// The versions of an API.
    pub struct ApiVersion {
        /// The key.
        api_key: i16 = 0, 0..;
        /// The lowest version.
        min_version: i16 = 0, 0..;
        /// The highest version.
        max_version: i16 = 0, 0..;
    }

    /// The supported levels of a feature.
    pub struct SupportedFeature {
        /// The name, such as `transaction.version`.
        name: String = String::new(), 0..;
        /// The lowest level.
        min_version: i16 = 0, 0..;
        /// The highest level.
        max_version: i16 = 0, 0..;
    }

    /// The level of a feature.
    pub struct FinalizedFeature {
        /// The name.
        name: String = String::new(), 0..;
        /// The highest level.
        max_version_level: i16 = 0, 0..;
        /// The lowest level.
        min_version_level: i16 = 0, 0..;
    }
}
