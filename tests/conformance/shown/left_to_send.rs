use kafka_batch::{DeliveryError, KafkaBatch};

/// What is left to send of a failed batch, where a duplicate does no harm.
fn left_to_send(error: &DeliveryError) -> Option<KafkaBatch> {
    let rest = error.good_remainder(); // neither written nor rejected by the broker
    (!rest.is_empty()).then_some(rest)
}
