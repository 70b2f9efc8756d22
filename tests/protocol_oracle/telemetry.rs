//! GetTelemetrySubscriptions and PushTelemetry.

use kafka_batch_core::protocol::{
    ApiKey, GetTelemetrySubscriptionsRequest, GetTelemetrySubscriptionsResponse, PushTelemetryRequest,
    PushTelemetryResponse, Uuid,
};
use kafka_batch_witnesses::kafka_protocol::messages as oracle;
use proptest::collection::vec;
use proptest::prelude::*;

use super::requests::decoded_by_oracle;
use super::responses::{check, unknown};
use super::{HEADER, str_bytes, string, uuid};

fn subscriptions_back(decoded: GetTelemetrySubscriptionsResponse) -> oracle::GetTelemetrySubscriptionsResponse {
    oracle::GetTelemetrySubscriptionsResponse::default()
        .with_throttle_time_ms(decoded.throttle_time_ms)
        .with_error_code(decoded.error_code.0)
        .with_client_instance_id(uuid(&decoded.client_instance_id))
        .with_subscription_id(decoded.subscription_id)
        .with_accepted_compression_types(decoded.accepted_compression_types)
        .with_push_interval_ms(decoded.push_interval_ms)
        .with_telemetry_max_bytes(decoded.telemetry_max_bytes)
        .with_delta_temporality(decoded.delta_temporality)
        .with_requested_metrics(decoded.requested_metrics.into_iter().map(str_bytes).collect())
}

proptest! {
    #[test]
    fn telemetry_requests(
        id in any::<[u8; 16]>(),
        subscription_id in any::<i32>(),
        terminating in any::<bool>(),
        compression_type in any::<i8>(),
        metrics in vec(any::<u8>(), 0..300),
    ) {
        let id = Uuid(id);
        let segments = GetTelemetrySubscriptionsRequest { client_instance_id: id }.encode(0, HEADER).unwrap();
        let theirs: oracle::GetTelemetrySubscriptionsRequest =
            decoded_by_oracle(ApiKey::GetTelemetrySubscriptions, 0, &segments);
        let expected = oracle::GetTelemetrySubscriptionsRequest::default().with_client_instance_id(uuid(&id));
        prop_assert_eq!(theirs, expected);
        let request = PushTelemetryRequest {
            client_instance_id: id,
            subscription_id,
            terminating,
            compression_type,
            metrics: &metrics,
        };
        let segments = request.encode(0, HEADER).unwrap();
        let theirs: oracle::PushTelemetryRequest = decoded_by_oracle(ApiKey::PushTelemetry, 0, &segments);
        let expected = oracle::PushTelemetryRequest::default()
            .with_client_instance_id(uuid(&id))
            .with_subscription_id(subscription_id)
            .with_terminating(terminating)
            .with_compression_type(compression_type)
            .with_metrics(metrics.into());
        prop_assert_eq!(theirs, expected);
    }

    #[test]
    fn telemetry_responses(
        throttle in any::<i32>(),
        error in any::<i16>(),
        id in any::<[u8; 16]>(),
        numbers in any::<[i32; 3]>(),
        codecs in vec(any::<i8>(), 0..6),
        is_delta in any::<bool>(),
        metrics in vec(string(), 0..5),
    ) {
        let response = oracle::GetTelemetrySubscriptionsResponse::default()
            .with_throttle_time_ms(throttle)
            .with_error_code(error)
            .with_client_instance_id(uuid(&Uuid(id)))
            .with_subscription_id(numbers[0])
            .with_accepted_compression_types(codecs)
            .with_push_interval_ms(numbers[1])
            .with_telemetry_max_bytes(numbers[2])
            .with_delta_temporality(is_delta)
            .with_requested_metrics(metrics);
        let tagged = response.clone().with_unknown_tagged_fields(unknown());
        check(0, &response, &tagged, GetTelemetrySubscriptionsResponse::decode, subscriptions_back);
        let response = oracle::PushTelemetryResponse::default().with_throttle_time_ms(throttle).with_error_code(error);
        let tagged = response.clone().with_unknown_tagged_fields(unknown());
        check(0, &response, &tagged, PushTelemetryResponse::decode, |decoded| {
            oracle::PushTelemetryResponse::default()
                .with_throttle_time_ms(decoded.throttle_time_ms)
                .with_error_code(decoded.error_code.0)
        });
    }
}
