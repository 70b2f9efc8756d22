//! The broker's ApiVersions responses.

use bytes::Bytes;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::{ApiKey, ApiVersionsRequest, ApiVersionsResponse};

use super::{Broker, ExecuteResult, Intercept};
use crate::wire::{self, Request};

const UNSUPPORTED_VERSION: i16 = 35;

impl Broker {
    /// Responds to an ApiVersions request.
    pub(super) fn api_versions(&mut self, request: &Request, intercept: Option<&Intercept>) -> ExecuteResult {
        let Some((_, newest)) = self.release.lists(ApiKey::ApiVersions) else { return ExecuteResult::CloseConnection };
        if request.version > newest {
            // The response is in v0; before KIP-511 it lists nothing.
            let listed = if newest >= 3 { vec![entry(ApiKey::ApiVersions, (0, newest))] } else { Vec::new() };
            return ExecuteResult::Answer(self.versions(request, 0, UNSUPPORTED_VERSION, listed));
        }
        if let Err(error) = wire::body::<ApiVersionsRequest>(request) {
            self.report_violation(format!("an ApiVersions request that cannot be read: {error}"));
            return ExecuteResult::CloseConnection;
        }
        let listed = ApiKey::iter().filter_map(|api| Some(entry(api, self.release.lists(api)?))).collect();
        match intercept {
            Some(Intercept::Refuse { code, .. } | Intercept::DoAndRefuse { code }) => {
                let version = if *code == UNSUPPORTED_VERSION { 0 } else { request.version };
                ExecuteResult::Answer(self.versions(request, version, *code, listed))
            }
            _ => ExecuteResult::Answer(self.versions(request, request.version, 0, listed)),
        }
    }

    fn versions(&mut self, request: &Request, version: i16, code: i16, listed: Vec<ApiVersion>) -> Bytes {
        let throttle = if version >= 1 { self.throttle.take().unwrap_or(0) } else { 0 };
        let body =
            ApiVersionsResponse::default().with_error_code(code).with_api_keys(listed).with_throttle_time_ms(throttle);
        wire::answer(request, version, &body)
    }
}

fn entry(api: ApiKey, (first, last): (i16, i16)) -> ApiVersion {
    ApiVersion::default().with_api_key(api as i16).with_min_version(first).with_max_version(last)
}
