//! Laws of filling a batch.

use alloc::vec::Vec;

use ::proptest::test_runner::{TestCaseError, TestCaseResult};
use ::proptest::{prop_assert, prop_assert_eq};

use super::same;
use crate::batch::{Append, AppendError, FillOutcome, KafkaBatch};
use crate::compression::Compression;
use crate::proptest::{AppendOutcome, OwnedRecord};
use crate::record::Record;

/// A record that is not taken, for whatever reason, leaves the batch byte for byte what it was; the next one goes in as if
/// the refused one had never been tried.
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

/// [`KafkaBatch::cost`] is to the byte what the record adds; and for a record that does not fit, what it would add if
/// there were no limit.
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
        Ok(Append::Taken(taken)) => {
            prop_assert_eq!(tried.size() - batch.size(), cost);
            prop_assert_eq!(taken.size, cost);
        }
        Ok(Append::Full(full)) => prop_assert_eq!(full.needed, cost),
        Err(AppendError::TooLarge { .. }) => {}
        Err(error) => prop_assert!(false, "it costs {cost}, and then: {error}"),
    }
    if let Some(mut unlimited) = without_limits(batch) {
        let size = unlimited.size();
        let taken = unlimited.append(&borrowed).map(Append::taken);
        prop_assert!(matches!(taken, Ok(Some(_))), "without limits: {taken:?}");
        prop_assert_eq!(unlimited.size() - size, cost);
    }
    Ok(())
}

/// The same records in a batch with no limits to speak of; `None` where they do not come out the same (timestamps counted
/// from a record that is not there any more, an offset at the end of what there is).
fn without_limits(batch: &KafkaBatch) -> Option<KafkaBatch> {
    let options = batch.options().clone().batch_size(usize::MAX).max_message_bytes(usize::MAX).max_records(u32::MAX);
    let mut unlimited = options.magic(crate::magic::MagicChoice::Pinned(batch.magic())).build(batch.now()).ok()?;
    for view in batch.records() {
        unlimited.append_at(u32::try_from(view.offset).ok()?, view).ok()?.taken()?;
    }
    let has_an_offset_left = batch.records().last().is_none_or(|last| last.offset < 0x7fff_fffe);
    (has_an_offset_left && unlimited.size() == batch.size()).then_some(unlimited)
}

/// [`KafkaBatch::fits`] says what [`KafkaBatch::append`] then does.
///
/// # Errors
/// The law is broken.
pub fn fits_agrees_with_append(batch: &KafkaBatch, record: &OwnedRecord) -> TestCaseResult {
    let borrowed = record.borrowed();
    let outcome = batch.clone().append(&borrowed);
    prop_assert_eq!(batch.fits(&borrowed), matches!(outcome, Ok(Append::Taken(_))), "append says {:?}", outcome);
    Ok(())
}

/// [`KafkaBatch::room`] is the largest [cost](KafkaBatch::cost) that fits a batch with a record in it; an empty one takes
/// any first record that the hard limit allows.
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

/// [`KafkaBatch::try_extend`] takes all the records or none; with none, the batch is byte for byte what it was, and open
/// if it was.
///
/// # Errors
/// The law is broken.
pub fn try_extend_is_all_or_nothing(batch: &KafkaBatch, records: &[OwnedRecord]) -> TestCaseResult {
    let borrowed: Vec<_> = records.iter().map(OwnedRecord::borrowed).collect();
    let (mut whole, mut one_by_one) = (batch.clone(), batch.clone());
    let outcome = whole.try_extend(&borrowed);
    let refused = borrowed.iter().position(|record| !matches!(one_by_one.append(record), Ok(Append::Taken(_))));
    match (outcome, refused) {
        (Ok(taken), None) => {
            prop_assert_eq!(taken.len(), records.len());
            same(&whole, &one_by_one, "all of them taken")?;
        }
        (Err(error), Some(position)) => {
            prop_assert_eq!(error.position(), position);
            same(&whole, batch, "none of them taken")?;
        }
        (outcome, refused) => prop_assert!(false, "one by one, {refused:?} is refused; together: {outcome:?}"),
    }
    Ok(())
}

/// Whoever fills batch after batch from one iterator ends up with every record once and in order: in a batch, or named as
/// one that can go into none, which keeps none of its neighbours back.
///
/// # Errors
/// The law is broken.
pub fn filling_loses_nothing(batch: &KafkaBatch, records: &[OwnedRecord]) -> TestCaseResult {
    if batch.is_closed() || batch.next_batch().magic() != batch.magic() {
        return Ok(()); // nothing goes in, or the next batch has another format
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
            Ok(FillOutcome { taken, full: None }) => {
                prop_assert_eq!((taken.len(), rest.len()), (added, 0));
                break;
            }
            Ok(FillOutcome { taken, full: Some(full) }) => {
                prop_assert_eq!(taken.len(), added);
                prop_assert!(already + added > 0, "an empty batch is full: {full}");
                current = current.next_batch();
            }
            Err(error) => {
                prop_assert_eq!(error.position(), added);
                let failed = rest.next();
                prop_assert!(failed.is_some(), "a record fails that is not there: {error}");
                seen.push(stored(&records[seen.len()]));
            }
        }
    }
    prop_assert_eq!(seen, records.iter().map(stored).collect::<Vec<_>>());
    Ok(())
}

/// [`KafkaBatch::extend`] names the record at which it stopped, and keeps those before it: what appending them one by one
/// would have done.
///
/// # Errors
/// The law is broken.
pub fn extend_names_the_position(batch: &KafkaBatch, records: &[OwnedRecord]) -> TestCaseResult {
    let borrowed: Vec<_> = records.iter().map(OwnedRecord::borrowed).collect();
    let (mut whole, mut one_by_one) = (batch.clone(), batch.clone());
    let outcome = whole.extend(&borrowed);
    let refused = borrowed.iter().position(|record| !matches!(one_by_one.append(record), Ok(Append::Taken(_))));
    prop_assert_eq!(outcome.err().map(|error| error.position()), refused);
    same(&whole, &one_by_one, "together and one by one")?;
    Ok(())
}

/// Rolled back to a mark, a batch is byte for byte what it was when the mark was made, and goes on from there as if
/// nothing had come in between. A mark of another batch changes nothing.
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
        prop_assert!(tried.rollback(&past).is_err(), "a mark behind the end");
        same(&tried, batch, "after a mark behind the end")?;
    }
    for record in records {
        let _ = tried.append(record.borrowed());
    }
    same(&tried, &filled, "filled again after a rollback")?;
    Ok(())
}
