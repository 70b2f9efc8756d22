//! Laws of taking a batch apart.

use alloc::vec::Vec;

use proptest::test_runner::TestCaseResult;
use proptest::{prop_assert, prop_assert_eq};

use super::same;
use super::seal::fail;
use crate::batch::{KafkaBatch, SealErrorReason};
use crate::failure::{DeliveryError, Fate};
use crate::kit::OwnedRecord;

/// [`KafkaBatch::split`] keeps every record once and in order, parts and records that are too large taken together by
/// position. Every part is within the limit and smaller than the whole; two records or more come apart into two or more;
/// and a record that is named as too large is so even alone.
///
/// # Errors
/// The law is broken.
pub fn split_keeps_all_and_fits(batch: &KafkaBatch, limit: usize) -> TestCaseResult {
    let (count, raw) = (batch.record_count(), uncompressed(batch));
    let split = batch.clone().split(limit).map_err(fail)?;
    let mut pieces = Vec::new();
    for (position, part) in split.parts {
        prop_assert!(part.size() <= limit, "a part of {} bytes, limit {limit}", part.size());
        prop_assert!(part.record_count() > 0, "an empty part");
        prop_assert!(count == 1 || part.uncompressed_size() < raw, "a part as large as the whole");
        pieces.push((position, part.into_batch()));
    }
    for too_large in split.too_large {
        prop_assert_eq!(too_large.batch.record_count(), 1);
        prop_assert!(too_large.size > limit);
        let limited = too_large.batch.clone().split(limit).map_err(fail)?;
        prop_assert!(limited.parts.is_empty(), "named as too large, and yet it fits");
        if let Err(error) = too_large.batch.clone().seal() {
            let SealErrorReason::TooLarge { sealed, .. } = error.reason else { return Err(fail(error)) };
            prop_assert_eq!(sealed, too_large.size);
        }
        pieces.push((too_large.position, too_large.batch));
    }
    prop_assert!(pieces.len() >= count.min(2), "{count} records did not come apart");
    pieces.sort_by_key(|(position, _)| *position);
    let mut records = Vec::new();
    for (position, piece) in &pieces {
        prop_assert_eq!(*position, records.len(), "the position of a piece");
        prop_assert_eq!(piece.magic(), batch.magic());
        records.extend(piece.records().map(OwnedRecord::from));
    }
    prop_assert_eq!(records, batch.records().map(OwnedRecord::from).collect::<Vec<_>>());
    Ok(())
}

/// Bytes before compression; 0 for a batch that cannot be sealed for want of records.
/// [`DeliveryError::good_remainder`] is what is left to send: every record once and in order, but for those that are
/// written, and those that the broker has rejected.
///
/// # Errors
/// The law is broken.
pub fn remainder_is_what_is_left_to_send(error: &DeliveryError) -> TestCaseResult {
    let is_left = |position: &usize| {
        error.fate_of(*position) != Some(Fate::Written)
            && !error.record_errors.iter().any(|rejected| rejected.position == *position)
    };
    let Some(batch) = &error.batch else {
        prop_assert!(error.good_remainder().is_err(), "a batch that is lost is not one of which nothing is left");
        return Ok(());
    };
    let records: Vec<OwnedRecord> = batch.records().map(OwnedRecord::from).collect();
    let expected = records.into_iter().enumerate().filter(|(position, _)| is_left(position)).map(|(_, record)| record);
    let remainder = error.good_remainder().map_err(fail)?;
    prop_assert_eq!(remainder.records().map(OwnedRecord::from).collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    Ok(())
}

fn uncompressed(batch: &KafkaBatch) -> usize {
    match batch.clone().seal() {
        Ok(sealed) => sealed.uncompressed_size(),
        Err(error) => match error.reason {
            SealErrorReason::TooLarge { uncompressed, .. } => uncompressed,
            _ => 0,
        },
    }
}

/// [`KafkaBatch::without`] gives a batch of the other records, in order, with offsets counted anew; positions that are
/// not there are of no effect, and with none left over the batch is as good as a new one.
///
/// # Errors
/// The law is broken.
pub fn without_takes_out_these(batch: &KafkaBatch, positions: &[usize]) -> TestCaseResult {
    let rest = batch.without(positions);
    let others = batch.records().enumerate().filter(|(position, _)| !positions.contains(position));
    let others: Vec<_> = others.map(|(_, view)| OwnedRecord::from(view)).collect();
    prop_assert_eq!(rest.records().map(OwnedRecord::from).collect::<Vec<_>>(), others);
    prop_assert!(rest.records().map(|view| view.offset).eq(0..rest.record_count() as i64), "offsets from 0 on");
    prop_assert_eq!((rest.options(), rest.magic(), rest.now()), (batch.options(), batch.magic(), batch.now()));
    prop_assert_eq!(rest.is_closed(), batch.is_closed());
    if rest.is_empty() && rest.magic() == rest.next_batch().magic() && !rest.is_closed() {
        same(&rest, &rest.next_batch(), "without any record it is as good as a new one")?;
    }
    Ok(())
}
