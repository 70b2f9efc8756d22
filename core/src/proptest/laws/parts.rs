//! Laws of splitting a batch and of removing records from it.

use alloc::vec::Vec;

use ::proptest::test_runner::TestCaseResult;
use ::proptest::{prop_assert, prop_assert_eq};

use super::same;
use super::seal::fail;
use crate::batch::{KafkaBatch, SealErrorReason};
use crate::failure::{DeliveryError, Fate};
use crate::proptest::OwnedRecord;

/// Checks [`KafkaBatch::split`]: parts and records that are too large together have every record once, in order of their
/// positions. Every part is within the limit and smaller than the batch; two or more records become at least two parts; and
/// a record that is listed as too large exceeds the limit even alone.
///
/// # Errors
/// The law is broken.
pub fn split_keeps_records_within_limit(batch: &KafkaBatch, limit: usize) -> TestCaseResult {
    let (count, raw) = (batch.record_count(), uncompressed(batch));
    let split = batch.clone().split(limit).map_err(fail)?;
    let mut pieces = Vec::new();
    for (position, part) in split.parts {
        prop_assert!(part.size() <= limit, "a part of {} bytes, limit {limit}", part.size());
        prop_assert!(part.record_count() > 0, "an empty part");
        prop_assert!(count == 1 || part.uncompressed_size() < raw, "a part as large as the batch");
        pieces.push((position, part.into_batch()));
    }
    for too_large in split.too_large {
        prop_assert_eq!(too_large.batch.record_count(), 1);
        prop_assert!(too_large.size > limit);
        let limited = too_large.batch.clone().split(limit).map_err(fail)?;
        prop_assert!(limited.parts.is_empty(), "listed as too large, but it fits");
        if let Err(error) = too_large.batch.clone().seal() {
            let SealErrorReason::TooLarge { sealed, .. } = error.reason else { return Err(fail(error)) };
            prop_assert_eq!(sealed, too_large.size);
        }
        pieces.push((too_large.position, too_large.batch));
    }
    prop_assert!(pieces.len() >= count.min(2), "{count} records were not split");
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

/// Checks [`DeliveryError::remainder`]: it has every record once and in order, except those that are written and those
/// that the broker has rejected.
///
/// # Errors
/// The law is broken.
pub fn remainder_excludes_written_and_rejected(error: &DeliveryError) -> TestCaseResult {
    let remains = |position: &usize| {
        error.fate_of(*position) != Some(Fate::Written)
            && !error.record_errors.iter().any(|rejected| rejected.position == *position)
    };
    let Some(batch) = &error.batch else {
        prop_assert!(error.remainder().is_err(), "a batch that is lost is not one of which nothing is left");
        return Ok(());
    };
    let records: Vec<OwnedRecord> = batch.records().map(OwnedRecord::from).collect();
    let expected = records.into_iter().enumerate().filter(|(position, _)| remains(position)).map(|(_, record)| record);
    let remainder = error.remainder().map_err(fail)?;
    prop_assert_eq!(remainder.records().map(OwnedRecord::from).collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    Ok(())
}

/// Returns the size in bytes before compression; 0 for a batch without records.
fn uncompressed(batch: &KafkaBatch) -> usize {
    match batch.clone().seal() {
        Ok(sealed) => sealed.uncompressed_size(),
        Err(error) => match error.reason {
            SealErrorReason::TooLarge { uncompressed, .. } => uncompressed,
            _ => 0,
        },
    }
}

/// Checks [`KafkaBatch::without`]: the result has the other records in order, with offsets from 0 on. Positions beyond the
/// end are ignored, and a batch without any record left equals a new one.
///
/// # Errors
/// The law is broken.
pub fn without_removes_positions(batch: &KafkaBatch, positions: &[usize]) -> TestCaseResult {
    let rest = batch.without(positions);
    let others = batch.records().enumerate().filter(|(position, _)| !positions.contains(position));
    let others: Vec<_> = others.map(|(_, view)| OwnedRecord::from(view)).collect();
    prop_assert_eq!(rest.records().map(OwnedRecord::from).collect::<Vec<_>>(), others);
    prop_assert!(rest.records().map(|view| view.offset).eq(0..rest.record_count() as i64), "offsets from 0 on");
    prop_assert_eq!((rest.options(), rest.magic(), rest.now()), (batch.options(), batch.magic(), batch.now()));
    prop_assert_eq!(rest.is_closed(), batch.is_closed());
    if rest.is_empty() && rest.magic() == rest.next_batch().magic() && !rest.is_closed() {
        same(&rest, &rest.next_batch(), "a batch without records equals a new one")?;
    }
    Ok(())
}
