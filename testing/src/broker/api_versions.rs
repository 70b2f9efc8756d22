//! The broker's ApiVersions responses.

use bytes::Bytes;

use super::{Broker, Call, ExecuteResult, FaultKind};
use crate::api_key::ApiKey;
use crate::wire::api_versions::{ApiVersion, ApiVersionsRequest, ApiVersionsResponse};
use crate::wire::{self, Request};

const UNSUPPORTED_VERSION: i16 = 35;

impl Broker {
    /// Responds to an ApiVersions request.
    pub(super) fn api_versions(&mut self, call: &Call<'_>) -> ExecuteResult {
        let request = call.request;
        let Some((_, newest)) = self.release.lists(ApiKey::ApiVersions) else { return ExecuteResult::CloseConnection };
        if request.version > newest {
            // The response is in v0; before KIP-511 it lists nothing.
            let listed = if newest >= 3 { vec![entry(ApiKey::ApiVersions, (0, newest))] } else { Vec::new() };
            return ExecuteResult::Answer(self.versions(request, 0, UNSUPPORTED_VERSION, listed));
        }
        if let Err(error) = wire::body::<ApiVersionsRequest>(request) {
            return self.unreadable(request, error);
        }
        let listed = ApiKey::ALL
            .iter()
            .filter_map(|&api| self.release.lists(api).map(|versions| entry(api, versions)))
            .collect();
        match call.fault {
            Some(FaultKind::Refuse { code, .. } | FaultKind::DoAndRefuse { code }) => {
                let version = if *code == UNSUPPORTED_VERSION { 0 } else { request.version };
                ExecuteResult::Answer(self.versions(request, version, *code, listed))
            }
            _ => ExecuteResult::Answer(self.versions(request, request.version, 0, listed)),
        }
    }

    fn versions(&mut self, request: &Request, version: i16, error_code: i16, api_keys: Vec<ApiVersion>) -> Bytes {
        let throttle_time_ms = if version >= 1 { self.throttle.take().unwrap_or(0) } else { 0 };
        let body = ApiVersionsResponse { error_code, api_keys, throttle_time_ms, ..Default::default() };
        wire::answer(request, version, &body)
    }
}

fn entry(api: ApiKey, (min_version, max_version): (i16, i16)) -> ApiVersion {
    ApiVersion { api_key: api.code(), min_version, max_version }
}
