//! ApiVersions responses, encoded by the oracle.

use kafka_batch_core::protocol::{ApiKey, ApiVersionsResponse, ErrorCode};
use kafka_batch_witnesses::kafka_protocol::messages::ApiVersionsResponse as Oracle;
use kafka_batch_witnesses::kafka_protocol::messages::api_versions_response::{
    ApiVersion, FinalizedFeatureKey, SupportedFeatureKey,
};
use proptest::collection::vec;
use proptest::prelude::*;

use super::responses::{check, framed, unknown};
use super::{str_bytes, string};

fn response(version: i16) -> impl Strategy<Value = Oracle> {
    let api = any::<[i16; 3]>().prop_map(|[key, min, max]| {
        ApiVersion::default().with_api_key(key).with_min_version(min).with_max_version(max)
    });
    let supported = (string(), any::<[i16; 2]>()).prop_map(|(name, [min, max])| {
        SupportedFeatureKey::default().with_name(name).with_min_version(min).with_max_version(max)
    });
    let finalized = (string(), any::<[i16; 2]>()).prop_map(|(name, [min, max])| {
        FinalizedFeatureKey::default().with_name(name).with_min_version_level(min).with_max_version_level(max)
    });
    let features = (vec(supported, 0..3), any::<i64>(), vec(finalized, 0..3), any::<bool>());
    // UNSUPPORTED_VERSION has a different layout, and a separate test.
    let error = any::<i16>().prop_filter("another layout", |code| *code != 35);
    (error, vec(api, 0..5), any::<i32>(), features).prop_map(move |(error, apis, throttle, features)| {
        let response = Oracle::default().with_error_code(error).with_api_keys(apis).with_throttle_time_ms(throttle);
        if version < 3 {
            return response;
        }
        let (supported, epoch, finalized, ready) = features;
        response
            .with_supported_features(supported)
            .with_finalized_features_epoch(epoch)
            .with_finalized_features(finalized)
            .with_zk_migration_ready(ready)
    })
}

fn tagged(mut response: Oracle) -> Oracle {
    response.unknown_tagged_fields = unknown();
    response.api_keys.iter_mut().for_each(|each| each.unknown_tagged_fields = unknown());
    response.supported_features.iter_mut().for_each(|each| each.unknown_tagged_fields = unknown());
    response.finalized_features.iter_mut().for_each(|each| each.unknown_tagged_fields = unknown());
    response
}

fn back(decoded: ApiVersionsResponse) -> Oracle {
    let apis = decoded.api_keys.into_iter().map(|api| {
        ApiVersion::default()
            .with_api_key(api.api_key)
            .with_min_version(api.versions.min)
            .with_max_version(api.versions.max)
    });
    let supported = decoded.supported_features.into_iter().map(|feature| {
        SupportedFeatureKey::default()
            .with_name(str_bytes(feature.name))
            .with_min_version(feature.min_version)
            .with_max_version(feature.max_version)
    });
    let finalized = decoded.finalized_features.into_iter().map(|feature| {
        FinalizedFeatureKey::default()
            .with_name(str_bytes(feature.name))
            .with_min_version_level(feature.min_version_level)
            .with_max_version_level(feature.max_version_level)
    });
    Oracle::default()
        .with_error_code(decoded.error_code.0)
        .with_api_keys(apis.collect())
        .with_throttle_time_ms(decoded.throttle_time_ms)
        .with_supported_features(supported.collect())
        .with_finalized_features_epoch(decoded.finalized_features_epoch)
        .with_finalized_features(finalized.collect())
        .with_zk_migration_ready(decoded.zk_migration_ready)
}

proptest! {
    #[test]
    fn decoded((version, plain) in (0i16..=4).prop_flat_map(|v| (Just(v), response(v)))) {
        check(version, &plain, &tagged(plain.clone()), ApiVersionsResponse::decode, back);
    }

    /// KIP-1242 changes only the request: a response in v5 is the same as in v4.
    #[test]
    fn decoded_in_v5(response in response(4)) {
        let frame = framed(&response, 4, false);
        prop_assert_eq!(ApiVersionsResponse::decode(&frame, 5), ApiVersionsResponse::decode(&frame, 4));
    }
}

#[test]
fn the_response_to_an_unsupported_version_is_in_v0() {
    let itself = ApiVersion::default().with_api_key(18).with_max_version(2);
    let response = Oracle::default().with_error_code(35).with_api_keys(vec![itself]);
    let frame = framed(&response, 0, false);
    for requested in 0..=5 {
        let decoded = ApiVersionsResponse::decode(&frame, requested).unwrap();
        assert_eq!(decoded.error_code, ErrorCode::UNSUPPORTED_VERSION);
        assert_eq!(decoded.choose(ApiKey::ApiVersions), Some(2));
        assert_eq!(decoded.choose(ApiKey::Produce), None);
    }
}
