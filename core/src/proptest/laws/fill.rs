//! Laws of filling a batch.

use alloc::vec::Vec;

use ::proptest::test_runner::{TestCaseError, TestCaseResult};
use ::proptest::{prop_assert, prop_assert_eq};

use super::same;
use crate::batch::{Append, AppendError, FillOutcome, KafkaBatch};
use crate::compression::Compression;
use crate::proptest::{AppendOutcome, OwnedRecord};
use crate::record::Record;

/// Checks that a refused record leaves the batch unchanged, byte for byte, and that a later record is appended as if the
/// refused one had not been tried.
///
/// # Errors
/// The law is broken.
pub fn refused_append_changes_nothing(batch: &KafkaBatch, record: &OwnedRecord) -> TestCaseResult {
    let mut tried = batch.clone();
    if AppendOutcome::from(&tried.append(record.borrowed())).is_taken() {
        return Ok(());
    }
    same(&tried, batch, "after a refused record")?;
    let (mut untried, next) = (batch.clone(), Record::new("next"));
    prop_assert_eq!(AppendOutcome::from(&tried.append(next)), AppendOutcome::from(&untried.append(next)));
    same(&tried, &untried, "with another record after a refused one")?;
    Ok(())
}

/// Checks that [`KafkaBatch::cost`] is exactly the number of bytes that the record adds; for a record that does not fit, the
/// number that it would add without limits.
///
/// # Errors
/// The law is broken.
pub fn cost_is_exact(batch: &KafkaBatch, record: &OwnedRecord) -> TestCaseResult {
    let borrowed = record.borrowed();
    let mut tried = batch.clone();
    let (cost, outcome) = (batch.cost(&borrowed), tried.append(&borrowed));
    let cost = match cost {
        Ok(cost) => cost,
        Err(error) => {
            prop_assert_eq!(
                AppendOutcome::from(&outcome),
                AppendOutcome::from_error(&error),
                "cost fails as append does"
            );
            return Ok(());
        }
    };
    match outcome {
        Ok(Append::Appended(appended)) => {
            prop_assert_eq!(tried.size() - batch.size(), cost);
            prop_assert_eq!(appended.size, cost);
        }
        Ok(Append::Full(full)) => prop_assert_eq!(full.needed, cost),
        Err(AppendError::TooLarge { .. }) => {}
        Err(error) => prop_assert!(false, "`cost` returned {cost}, but `append` failed: {error}"),
    }
    if let Some(mut unlimited) = without_limits(batch) {
        let size = unlimited.size();
        let appended = unlimited.append(&borrowed).map(Append::appended);
        prop_assert!(matches!(appended, Ok(Some(_))), "without limits: {appended:?}");
        prop_assert_eq!(unlimited.size() - size, cost);
    }
    Ok(())
}

/// Returns a batch of the same records with limits that are not reached; `None` if it cannot be built equal (because the
/// base timestamp is that of a record that was removed, or no offset is left).
fn without_limits(batch: &KafkaBatch) -> Option<KafkaBatch> {
    let options = batch.options().clone().batch_size(usize::MAX).max_message_bytes(usize::MAX).max_records(u32::MAX);
    let mut unlimited = options.magic(crate::magic::MagicChoice::Pinned(batch.magic())).build(batch.now()).ok()?;
    for view in batch.records() {
        unlimited.append_at(u32::try_from(view.offset).ok()?, view).ok()?.appended()?;
    }
    let has_an_offset_left = batch.records().last().is_none_or(|last| last.offset < 0x7fff_fffe);
    (has_an_offset_left && unlimited.size() == batch.size()).then_some(unlimited)
}

/// Checks that [`KafkaBatch::fits`] is `true` exactly if [`KafkaBatch::append`] takes the record.
///
/// # Errors
/// The law is broken.
pub fn fits_agrees_with_append(batch: &KafkaBatch, record: &OwnedRecord) -> TestCaseResult {
    let borrowed = record.borrowed();
    let outcome = batch.clone().append(&borrowed);
    prop_assert_eq!(batch.fits(&borrowed), matches!(outcome, Ok(Append::Appended(_))), "append says {:?}", outcome);
    Ok(())
}

/// Checks that [`KafkaBatch::room`] is the largest [cost](KafkaBatch::cost) that fits a batch with records, and that an empty
/// one takes any record that the hard limit allows.
///
/// # Errors
/// The law is broken.
pub fn room_agrees_with_fits(batch: &KafkaBatch, record: &OwnedRecord) -> TestCaseResult {
    let options = batch.options();
    let borrowed = record.borrowed();
    let open = !batch.is_closed() && batch.record_count() < options.max_records as usize;
    let (true, Ok(cost)) = (open, batch.cost(&borrowed)) else { return Ok(()) };
    if batch.records().last().is_some_and(|last| last.offset >= 0x7fff_fffe) {
        return Ok(()); // no offset is left
    }
    let fits = batch.fits(&borrowed);
    if batch.is_empty() {
        let allowed = options.compression != Compression::None || batch.size() + cost <= options.max_message_bytes;
        prop_assert_eq!(fits, allowed, "a first record of {} bytes", cost);
    } else {
        prop_assert_eq!(fits, cost <= batch.room(), "{} bytes, and room for {}", cost, batch.room());
    }
    Ok(())
}

/// Checks that [`KafkaBatch::try_extend`] takes all the records or none, and leaves the batch unchanged, byte for byte, if it
/// takes none.
///
/// # Errors
/// The law is broken.
pub fn try_extend_is_all_or_nothing(batch: &KafkaBatch, records: &[OwnedRecord]) -> TestCaseResult {
    let borrowed: Vec<_> = records.iter().map(OwnedRecord::borrowed).collect();
    let (mut whole, mut one_by_one) = (batch.clone(), batch.clone());
    let outcome = whole.try_extend(&borrowed);
    let refused = borrowed.iter().position(|record| !matches!(one_by_one.append(record), Ok(Append::Appended(_))));
    match (outcome, refused) {
        (Ok(appended), None) => {
            prop_assert_eq!(appended.len(), records.len());
            same(&whole, &one_by_one, "all of them appended")?;
        }
        (Err(error), Some(position)) => {
            prop_assert_eq!(error.position(), position);
            same(&whole, batch, "none of them appended")?;
        }
        (outcome, refused) => prop_assert!(false, "one by one, {refused:?} is refused; together: {outcome:?}"),
    }
    Ok(())
}

/// Checks that filling one batch after another from one iterator ([`KafkaBatch::fill_from`]) yields every record once and in
/// order: in a batch, or as one that no batch can hold.
///
/// # Errors
/// The law is broken.
pub fn filling_loses_nothing(batch: &KafkaBatch, records: &[OwnedRecord]) -> TestCaseResult {
    if batch.is_closed() || batch.next_batch().magic() != batch.magic() {
        return Ok(()); // the batch takes nothing, or the next batch has another format
    }
    let stored = |record: &OwnedRecord| record.clone().stored(batch.magic(), batch.now());
    let borrowed: Vec<_> = records.iter().map(OwnedRecord::borrowed).collect();
    let mut rest = borrowed.iter().peekable();
    let mut current = batch.clone();
    let mut seen = Vec::new();
    loop {
        let already = current.record_count();
        let outcome = current.fill_from(&mut rest);
        seen.extend(current.records().skip(already).map(OwnedRecord::from));
        let added = current.record_count() - already;
        prop_assert_eq!(rest.len(), records.len() - seen.len(), "what is left in the iterator");
        match outcome {
            Ok(FillOutcome { appended, full: None }) => {
                prop_assert_eq!((appended.len(), rest.len()), (added, 0));
                break;
            }
            Ok(FillOutcome { appended, full: Some(full) }) => {
                prop_assert_eq!(appended.len(), added);
                prop_assert!(already + added > 0, "an empty batch is full: {full}");
                current = current.next_batch();
            }
            Err(error) => {
                prop_assert_eq!(error.position(), added);
                let failed = rest.next();
                prop_assert!(failed.is_some(), "an error after the last record: {error}");
                seen.push(stored(&records[seen.len()]));
            }
        }
    }
    prop_assert_eq!(seen, records.iter().map(stored).collect::<Vec<_>>());
    Ok(())
}

/// Checks that [`KafkaBatch::extend`] returns the position of the refused record and keeps those before it, as appending
/// them one by one does.
///
/// # Errors
/// The law is broken.
pub fn extend_names_the_position(batch: &KafkaBatch, records: &[OwnedRecord]) -> TestCaseResult {
    let borrowed: Vec<_> = records.iter().map(OwnedRecord::borrowed).collect();
    let (mut whole, mut one_by_one) = (batch.clone(), batch.clone());
    let outcome = whole.extend(&borrowed);
    let refused = borrowed.iter().position(|record| !matches!(one_by_one.append(record), Ok(Append::Appended(_))));
    prop_assert_eq!(outcome.err().map(|error| error.position()), refused);
    same(&whole, &one_by_one, "together and one by one")?;
    Ok(())
}

/// Checks that a batch that is rolled back to a mark is byte for byte what it was when the mark was made, also for later
/// appends, and that a mark of another batch changes nothing.
///
/// # Errors
/// The law is broken.
pub fn rollback_restores(batch: &KafkaBatch, records: &[OwnedRecord]) -> TestCaseResult {
    if batch.is_closed() {
        return Ok(());
    }
    let mut tried = batch.clone();
    let mark = tried.mark();
    for record in records {
        let _ = tried.append(record.borrowed());
    }
    let filled = tried.clone();
    prop_assert!(tried.rollback(&batch.clone().mark()).is_err(), "a foreign mark");
    same(&tried, &filled, "after a foreign mark")?;
    let past = tried.mark();
    tried.rollback(&mark).map_err(|error| TestCaseError::fail(alloc::format!("{error}")))?;
    same(&tried, batch, "rolled back")?;
    if filled.record_count() > batch.record_count() {
        prop_assert!(tried.rollback(&past).is_err(), "a mark beyond the end");
        same(&tried, batch, "after a mark beyond the end")?;
    }
    for record in records {
        let _ = tried.append(record.borrowed());
    }
    same(&tried, &filled, "filled again after a rollback")?;
    Ok(())
}
