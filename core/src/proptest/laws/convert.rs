//! Laws of converting a batch to an older format, and of the delivery of a batch.

use alloc::vec::Vec;

use ::proptest::test_runner::TestCaseResult;
use ::proptest::{prop_assert, prop_assert_eq};
use bytes::Bytes;

use super::same;
use super::seal::fail;
use crate::batch::KafkaBatch;
use crate::batch::convert::{ConvertError, DownConversion, Loss};
use crate::compression::Codec;
use crate::delivery::Delivery;
use crate::magic::Magic;
use crate::proptest::OwnedRecord;
use crate::record::TopicPartition;
use crate::time::Timestamp;

/// Checks that [`KafkaBatch::convert`] loses exactly what [`KafkaBatch::losses_at`] lists, and only if `allowed` permits it;
/// otherwise the error lists what is not permitted, and has the batch.
///
/// # Errors
/// The law is broken.
pub fn conversion_loses_only_what_is_listed(
    batch: &KafkaBatch,
    magic: Magic,
    allowed: DownConversion,
) -> TestCaseResult {
    let losses: Vec<_> = batch.losses_at(magic).collect();
    let forbidden = |loss: &&Loss| match allowed {
        DownConversion::Lossless => true,
        DownConversion::DropTimestamps => !matches!(loss, Loss::Timestamp { .. }),
        DownConversion::DropAll => false,
    };
    let not_allowed: Vec<_> = losses.iter().filter(forbidden).copied().collect();
    match batch.clone().convert(magic, allowed) {
        Ok(converted) => {
            prop_assert_eq!(not_allowed, []);
            prop_assert_eq!(converted.magic(), magic);
            compare(batch, &converted, &losses)
        }
        Err(ConvertError::Losses { refused, batch: returned }) => {
            prop_assert_eq!(refused.magic, magic);
            prop_assert!(!refused.losses.is_empty());
            prop_assert_eq!(refused.losses, not_allowed);
            same(&returned, batch, "returned by a failed conversion")?;
            Ok(())
        }
        Err(error @ ConvertError::TooLong { .. }) => Err(fail(error)),
    }
}

/// Checks that each field of each record is equal, or listed among the losses.
fn compare(batch: &KafkaBatch, converted: &KafkaBatch, losses: &[Loss]) -> TestCaseResult {
    prop_assert_eq!(converted.record_count(), batch.record_count());
    prop_assert_eq!((converted.now(), converted.is_closed()), (batch.now(), batch.is_closed()));
    prop_assert_eq!(converted.routed_partition(), batch.routed_partition());
    let codec = batch.options().compression.codec();
    let kept = if losses.contains(&Loss::Compression { codec }) { Codec::None } else { codec };
    prop_assert_eq!(converted.options().compression.codec(), kept);
    for (position, (before, after)) in batch.records().zip(converted.records()).enumerate() {
        prop_assert_eq!(after.offset, before.offset);
        let (mut expected, count) = (OwnedRecord::from(before), before.headers.len());
        if losses.contains(&Loss::Headers { position, count }) {
            prop_assert!(count > 0, "a loss of no headers");
            expected.headers.clear();
        }
        if losses.contains(&Loss::Timestamp { position, timestamp: before.timestamp }) {
            expected.timestamp = Some(Timestamp::NO_TIMESTAMP);
        }
        prop_assert_eq!(OwnedRecord::from(after), expected, "record {}", position);
    }
    let of_records = |loss: &&Loss| matches!(loss, Loss::Headers { .. } | Loss::Timestamp { .. });
    let listed = losses.iter().filter(of_records).count();
    let lost = batch.records().zip(converted.records()).map(|(before, after)| {
        usize::from(before.headers != after.headers) + usize::from(before.timestamp != after.timestamp)
    });
    prop_assert_eq!(lost.sum::<usize>(), listed, "the number of losses");
    Ok(())
}

/// Checks that a [`Delivery`] reports each record by its position: its offset is the base offset plus the position, and its
/// timestamp is the log-append-time, if that is 0 or more, or else its own.
///
/// # Errors
/// The law is broken.
pub fn delivery_reports_by_position(batch: &KafkaBatch, base_offset: i64, log_append_time: i64) -> TestCaseResult {
    let Ok(sealed) = batch.clone().seal() else { return Ok(()) };
    let to = TopicPartition::new("topic", 3);
    let stamped = sealed.without_producer_id();
    let shared: Bytes = stamped.bytes().clone(); // as with a retry in flight
    let delivery = Delivery::new(to.clone(), base_offset, stamped).with_log_append_time(log_append_time);
    prop_assert_eq!(delivery.topic_partition(), &to);
    prop_assert_eq!(delivery.record_count(), batch.record_count());
    let offset_of = |position: usize| base_offset.checked_add(position as i64).filter(|_| base_offset >= 0);
    for (position, (delivered, record)) in delivery.records().zip(batch.records()).enumerate() {
        prop_assert_eq!(delivered.position, position);
        prop_assert_eq!(delivered.offset, offset_of(position));
        prop_assert_eq!(delivery.offset(position), offset_of(position));
        let own_or_brokers =
            if log_append_time >= 0 { Timestamp::from_millis(log_append_time) } else { record.timestamp };
        prop_assert_eq!(delivered.timestamp, own_or_brokers);
        prop_assert_eq!(delivery.timestamp(position), Some(own_or_brokers));
    }
    prop_assert_eq!(delivery.offset(batch.record_count()), None);
    prop_assert_eq!(delivery.timestamp(batch.record_count()), None);
    drop(shared);
    Ok(())
}
