//! The broker's ApiVersions responses.

use bytes::Bytes;

use super::{Broker, Call, ExecuteResult, FaultKind};
use crate::api_key::ApiKey;
use crate::cluster::Cluster;
use crate::wire::api_versions::{
    ApiVersion, ApiVersionsRequest, ApiVersionsResponse, FinalizedFeature, SupportedFeature,
};
use crate::wire::{self, Request};

const UNSUPPORTED_VERSION: i16 = 35;
const INVALID_REQUEST: i16 = 42;
const REBOOTSTRAP_REQUIRED: i16 = 129;

/// The feature that says how transactions end (KIP-890).
const TRANSACTION_VERSION: &str = "transaction.version";

impl Broker {
    /// Responds to an ApiVersions request.
    pub(super) fn api_versions(&mut self, call: &Call<'_>, cluster: &Cluster) -> ExecuteResult {
        let request = call.request;
        let Some((_, newest)) = self.release.lists(ApiKey::ApiVersions) else { return ExecuteResult::CloseConnection };
        if !(0..=newest).contains(&request.version) {
            // The response is in v0; before KIP-511 it lists nothing.
            let listed = if newest >= 3 { vec![entry(ApiKey::ApiVersions, (0, newest))] } else { Vec::new() };
            return ExecuteResult::Answer(self.versions(request, 0, UNSUPPORTED_VERSION, listed, cluster));
        }
        let body: ApiVersionsRequest = match self.body(request) {
            Ok(body) => body,
            Err(error) => return self.unreadable(request, error),
        };
        let listed = ApiKey::ALL
            .iter()
            .filter_map(|&api| self.release.lists(api).map(|versions| entry(api, versions)))
            .collect();
        match call.fault {
            Some(FaultKind::Refuse { code, .. } | FaultKind::ExecuteAndRefuse { code }) => {
                let version = if *code == UNSUPPORTED_VERSION { 0 } else { request.version };
                ExecuteResult::Answer(self.versions(request, version, *code, listed, cluster))
            }
            _ => {
                let code = self.check_client(request.version, &body, cluster);
                let listed = if code == 0 { listed } else { Vec::new() };
                ExecuteResult::Answer(self.versions(request, request.version, code, listed, cluster))
            }
        }
    }

    /// Returns the error code for what the client says of itself (KIP-511) and expects of the broker (KIP-1242), or 0.
    fn check_client(&mut self, version: i16, body: &ApiVersionsRequest, cluster: &Cluster) -> i16 {
        let is_valid = |text: &str| {
            let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
            let is_outer = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
            is_outer(text.as_bytes().first()) && is_outer(text.as_bytes().last()) && text.bytes().all(is_inner)
        };
        if version >= 3 && !(is_valid(&body.client_software_name) && is_valid(&body.client_software_version)) {
            self.report_violation("an invalid name or version of the client's software".into());
            return INVALID_REQUEST;
        }
        if body.cluster_id.is_none() != (body.node_id == -1) {
            self.report_violation("the id of a cluster or of a broker, without the other".into());
            return INVALID_REQUEST;
        }
        match (&body.cluster_id, &cluster.settings.cluster_id) {
            (Some(expected), Some(own)) if expected != own || body.node_id != self.id => REBOOTSTRAP_REQUIRED,
            _ => 0,
        }
    }

    fn versions(
        &mut self,
        request: &Request,
        version: i16,
        error_code: i16,
        api_keys: Vec<ApiVersion>,
        cluster: &Cluster,
    ) -> Bytes {
        let throttle_time_ms = if version >= 1 { self.throttle.take().unwrap_or(0) } else { 0 };
        let mut body = ApiVersionsResponse { error_code, api_keys, throttle_time_ms, ..Default::default() };
        if error_code == 0 {
            self.features(version, cluster, &mut body);
        }
        wire::answer(request, version, &body)
    }

    /// Lists the levels of `transaction.version` (KIP-584), in brokers that have it.
    fn features(&self, version: i16, cluster: &Cluster, body: &mut ApiVersionsResponse) {
        let max_version = self.release.transaction_level();
        if max_version == 0 || body.error_code != 0 {
            return;
        }
        // Clients before v4 of this API cannot read a lowest level of 0: the feature is left out.
        if version >= 4 {
            let name = TRANSACTION_VERSION.into();
            body.supported_features = vec![SupportedFeature { name, min_version: 0, max_version }];
        }
        body.finalized_features_epoch = cluster.features_epoch;
        let level = cluster.transaction_level();
        // A feature of level 0 is not finalized.
        if level > 0 {
            body.finalized_features = vec![FinalizedFeature {
                name: TRANSACTION_VERSION.into(),
                max_version_level: level,
                min_version_level: level,
            }];
        }
    }
}

fn entry(api: ApiKey, (min_version, max_version): (i16, i16)) -> ApiVersion {
    ApiVersion { api_key: api.code(), min_version, max_version }
}
