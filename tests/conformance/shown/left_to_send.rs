use kafka_batch::{DeliveryError, Fate, KafkaBatch};

/// What is left to send of a failed batch, where a duplicate does no harm.
fn left_to_send(error: &DeliveryError) -> Option<KafkaBatch> {
    let rejected = error.record_errors.iter().map(|record| record.position);
    let settled: Vec<usize> = error.positions(Fate::Written).chain(rejected).collect();
    let rest = error.batch.without(&settled);
    (!rest.is_empty()).then_some(rest)
}
