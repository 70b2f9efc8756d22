use kafka_batch::error::BatchLost;
use kafka_batch::{DeliveryError, KafkaBatch};

/// What is left to send of a failed batch, where a duplicate does no harm.
fn left_to_send(error: &DeliveryError) -> Result<Option<KafkaBatch>, BatchLost> {
    let rest = error.remainder()?; // neither written nor rejected by the broker
    Ok((!rest.is_empty()).then_some(rest))
}
