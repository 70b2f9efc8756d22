//! Strategies for the outcome of sending a batch.

use alloc::string::String;
use alloc::vec::Vec;

use ::proptest::collection::vec;
use ::proptest::option;
use ::proptest::prelude::*;
use ::proptest::sample::select;

use crate::batch::KafkaBatch;
use crate::delivery::Delivery;
use crate::failure::{DeliveryError, FailureReason, Fate, RecordError};
use crate::protocol::{ApiKey, BrokerError, ErrorCode};
use crate::record::TopicPartition;

/// Generates error codes of brokers: those of Kafka, and some that this version of the crate does not know.
pub fn error_codes() -> impl Strategy<Value = ErrorCode> {
    prop_oneof![4 => 1..140_i16, 1 => select(&[-1, 1_000, i16::MAX][..])].prop_map(ErrorCode)
}

/// Generates reasons why a batch failed: errors of brokers, timeouts, closed producers.
pub fn failure_reasons() -> impl Strategy<Value = FailureReason> {
    let broker = (error_codes(), option::of(0..4_i32), option::of("\\PC{0,12}")).prop_map(|(code, broker, message)| {
        BrokerError::new(ApiKey::Produce, code).with_broker(broker).with_message(message).into()
    });
    prop_oneof![
        4 => broker,
        1 => Just(()).prop_map(|()| FailureReason::TimedOut { limit: None, cause: None }),
        1 => Just(()).prop_map(|()| FailureReason::Closed),
    ]
}

/// Generates deliveries of this batch: with an offset or (as with `acks=0`) without, with log-append-time or without, as one
/// batch, or with an offset for each record and gaps between them (as if it was split, or librdkafka formed the batches).
pub fn deliveries(to: TopicPartition, batch: KafkaBatch) -> impl Strategy<Value = Delivery> {
    let count = batch.record_count();
    let one_by_one = (any::<bool>(), vec(1..4_i64, count), vec(-1..2_000_i64, count));
    let time = || prop_oneof![Just(-1_i64), 0..i64::MAX];
    (prop_oneof![Just(-1_i64), 0..i64::MAX / 2], time(), time(), one_by_one).prop_map(
        move |(base_offset, append_time, log_start_offset, (one_by_one, steps, times))| {
            let (to, batch) = (to.clone(), batch.clone());
            let delivery = match batch.clone().seal() {
                Ok(sealed) if !one_by_one => {
                    Delivery::new(to, base_offset, sealed.without_producer_id()).with_log_append_time(append_time)
                }
                _ => {
                    let next = |last: &mut i64, step: i64| {
                        *last += step;
                        Some(*last)
                    };
                    let offsets = steps.into_iter().scan(base_offset, |last, step| next(last, step)).collect();
                    Delivery::from_offsets(to, offsets, batch).with_log_append_times(&times)
                }
            };
            delivery.with_log_start_offset(log_start_offset)
        },
    )
}

/// Generates failures of this batch: with one fate for the batch or one for each record. Some of the records that are not
/// written were rejected by the broker.
pub fn delivery_errors(to: TopicPartition, batch: KafkaBatch) -> impl Strategy<Value = DeliveryError> {
    let count = batch.record_count();
    let fate = || select(&[Fate::NotWritten, Fate::Written, Fate::Unknown][..]);
    let one_fate = select(&[Fate::NotWritten, Fate::Unknown][..]);
    let rejected = vec(option::weighted(0.2, option::of("\\PC{0,12}")), count);
    (failure_reasons(), one_fate, option::of(vec(fate(), count)), rejected).prop_map(
        move |(reason, all, each, rejected): (_, _, _, Vec<Option<Option<String>>>)| {
            let (to, batch) = (to.clone(), batch.clone());
            let error = match each {
                Some(fates) => DeliveryError::from_fates(to, reason, fates, batch),
                None => DeliveryError::new(to, reason, all, batch),
            };
            let rejected = rejected.into_iter().enumerate();
            let rejected = rejected.filter(|(position, _)| error.fate_of(*position) == Some(Fate::NotWritten));
            let errors = rejected.filter_map(|(position, message)| Some(RecordError::new(position, message?)));
            let errors = errors.collect();
            error.with_record_errors(errors)
        },
    )
}

/// Generates outcomes of this batch: [deliveries] and [failures](delivery_errors).
pub fn outcomes(to: TopicPartition, batch: KafkaBatch) -> impl Strategy<Value = Result<Delivery, DeliveryError>> {
    prop_oneof![deliveries(to.clone(), batch.clone()).prop_map(Ok), delivery_errors(to, batch).prop_map(Err),]
}
