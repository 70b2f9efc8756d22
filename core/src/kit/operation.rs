//! Lists of operations on a batch, and running them on a batch and its model side by side.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use proptest::test_runner::{TestCaseError, TestCaseResult};
use proptest::{prop_assert, prop_assert_eq};

use super::{Answer, BorrowedRecord, Model, ModelMark, OwnedRecord};
use crate::batch::{BatchOptions, BatchOverflow, ExtendError, KafkaBatch, Mark, RecordMetadata, RollbackError};
use crate::record::Record;
use crate::time::Timestamp;

/// Something that is done to a batch: made by [`operations`](super::strategy::operations), carried out by [`run`].
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// [`KafkaBatch::append`], after asking for its cost and whether it fits.
    Append(OwnedRecord),
    /// [`KafkaBatch::append_at`], at this offset.
    AppendAt(u32, OwnedRecord),
    /// [`KafkaBatch::extend`].
    Extend(Vec<OwnedRecord>),
    /// [`KafkaBatch::try_extend`].
    TryExtend(Vec<OwnedRecord>),
    /// [`KafkaBatch::mark`].
    Mark,
    /// [`KafkaBatch::rollback`], to one of the marks made so far: this number, modulo how many there are.
    Rollback(usize),
    /// [`KafkaBatch::rollback`], to a mark that a clone of the batch made.
    RollbackToForeignMark,
    /// [`KafkaBatch::set_now`].
    SetNow(Timestamp),
    /// [`KafkaBatch::without`]; the result takes the batch's place.
    Without(Vec<usize>),
    /// Seals the batch and opens it again, or gets it back with the error if it cannot be sealed.
    Reopen,
    /// [`KafkaBatch::close`].
    Close,
}

/// Carries out the operations on a batch and on its model, and fails where the two part: in an answer, or in what the
/// batch holds afterwards. A call that is refused must leave the batch equal to what it was.
///
/// # Errors
/// They part; the error names the operation by its position in the list.
///
/// # Panics
/// The options contradict each other.
pub fn run(options: &BatchOptions, now: Timestamp, operations: &[Operation]) -> TestCaseResult {
    let mut pair = Pair {
        batch: options.clone().build(now).expect("options that go together"),
        model: Model::new(options.clone(), now),
        marks: Vec::new(),
    };
    for (position, operation) in operations.iter().enumerate() {
        let at = |what: &str| format!("{what}, at operation {position}: {operation:?}");
        pair.perform(operation).map_err(|error| prefix(error, &at))?;
        if let Some(what) = pair.model.difference(&pair.batch) {
            let Pair { batch, model, .. } = &pair;
            let (held, stored): (Vec<_>, _) = (batch.records().collect(), model.stored());
            return Err(TestCaseError::fail(at(&format!(
                "{what} is not as the model has it (batch: {batch}, room {}, {held:?}; model: {} bytes, room {}, {stored:?})",
                batch.room(),
                model.size(),
                model.room(),
            ))));
        }
    }
    Ok(())
}

fn prefix(error: TestCaseError, at: &impl Fn(&str) -> String) -> TestCaseError {
    match error {
        TestCaseError::Fail(reason) => TestCaseError::fail(at(reason.message())),
        rejected @ TestCaseError::Reject(_) => rejected,
    }
}

struct Pair {
    batch: KafkaBatch,
    model: Model,
    marks: Vec<(Mark, ModelMark)>,
}

impl Pair {
    fn perform(&mut self, operation: &Operation) -> TestCaseResult {
        let before = self.batch.clone();
        let changed = match operation {
            Operation::Append(record) => self.append(record)?,
            Operation::AppendAt(offset, record) => {
                let predicted = self.model.append_at(*offset, record);
                let answer = Answer::from(&self.batch.append_at(*offset, &record.borrowed()));
                prop_assert_eq!(&answer, &predicted);
                answer.is_taken()
            }
            Operation::Extend(records) => self.extend(records)?,
            Operation::TryExtend(records) => self.try_extend(records)?,
            Operation::Mark => {
                self.marks.push((self.batch.mark(), self.model.mark()));
                false
            }
            Operation::Rollback(choice) => self.rollback(*choice)?,
            Operation::RollbackToForeignMark => {
                let foreign = self.batch.clone().mark();
                prop_assert_eq!(self.batch.rollback(&foreign), Err(RollbackError::OtherBatch));
                false
            }
            Operation::SetNow(now) => {
                self.batch.set_now(*now);
                self.model.set_now(*now);
                true
            }
            Operation::Without(positions) => {
                self.batch = self.batch.without(positions);
                self.model = self.model.without(positions);
                self.marks.clear();
                true
            }
            Operation::Reopen => self.reopen(),
            Operation::Close => {
                self.batch.close();
                self.model.close();
                true
            }
        };
        prop_assert!(changed || self.batch == before, "it was to change nothing: {before:?} became {:?}", self.batch);
        Ok(())
    }

    fn append(&mut self, record: &OwnedRecord) -> Result<bool, TestCaseError> {
        let borrowed = record.borrowed();
        let cost = self.batch.cost(&borrowed).map_err(|error| Answer::of_error(&error));
        prop_assert_eq!(cost, self.model.cost(record), "cost");
        let fits = self.batch.fits(&borrowed);
        let predicted = self.model.append(record);
        prop_assert_eq!(fits, predicted.is_taken(), "fits");
        let answer = Answer::from(&self.batch.append(&borrowed));
        prop_assert_eq!(&answer, &predicted);
        Ok(answer.is_taken())
    }

    fn extend(&mut self, records: &[OwnedRecord]) -> Result<bool, TestCaseError> {
        let predicted = predict(&mut self.model, records);
        let borrowed: Vec<_> = records.iter().map(OwnedRecord::borrowed).collect();
        let outcome = self.batch.extend(&borrowed);
        let taken = compare(&outcome, &predicted, &borrowed)?;
        prop_assert_eq!(&taken, &predicted.taken);
        Ok(!taken.is_empty())
    }

    fn try_extend(&mut self, records: &[OwnedRecord]) -> Result<bool, TestCaseError> {
        let mut attempt = self.model.clone();
        let predicted = predict(&mut attempt, records);
        let borrowed: Vec<_> = records.iter().map(OwnedRecord::borrowed).collect();
        let outcome = self.batch.try_extend(&borrowed);
        let taken = compare(&outcome, &predicted, &borrowed)?;
        if predicted.refused.is_some() {
            prop_assert!(taken.is_empty(), "metadata of records that were taken out again: {taken:?}");
            return Ok(false);
        }
        prop_assert_eq!(&taken, &predicted.taken);
        self.model = attempt;
        Ok(!taken.is_empty())
    }

    fn rollback(&mut self, choice: usize) -> Result<bool, TestCaseError> {
        if self.marks.is_empty() {
            return Ok(false);
        }
        let (mark, model_mark) = self.marks[choice % self.marks.len()];
        let outcome = self.batch.rollback(&mark);
        let back = self.model.rollback(model_mark);
        prop_assert_eq!(outcome.is_ok(), back, "rollback: {:?}", outcome);
        Ok(back)
    }

    fn reopen(&mut self) -> bool {
        let spare = self.batch.next_batch();
        match core::mem::replace(&mut self.batch, spare).seal() {
            Ok(sealed) => {
                self.batch = sealed.into_batch();
                self.model.reopen();
                true
            }
            Err(error) => {
                self.batch = *error.batch; // with its marks
                false
            }
        }
    }
}

/// What a model says to records that come one after another.
struct Predicted {
    taken: Vec<RecordMetadata>,
    /// The position of the first that is refused, and what is said to it.
    refused: Option<(usize, Answer)>,
}

fn predict(model: &mut Model, records: &[OwnedRecord]) -> Predicted {
    let mut taken = Vec::new();
    for (at, record) in records.iter().enumerate() {
        match model.append(record) {
            Answer::Taken { position, size, timestamp, .. } => {
                taken.push(RecordMetadata { position, size, timestamp, crc: None });
            }
            refusal => return Predicted { taken, refused: Some((at, refusal)) },
        }
    }
    Predicted { taken, refused: None }
}

type Extended<'r> = Result<Vec<RecordMetadata>, ExtendError<Record<'r>>>;

/// Compares the outcome with the prediction; gives the metadata that came with it, checksums left out.
fn compare(
    outcome: &Extended<'_>,
    predicted: &Predicted,
    records: &[BorrowedRecord<'_>],
) -> Result<Vec<RecordMetadata>, TestCaseError> {
    let (taken, refused) = match outcome {
        Ok(taken) => (taken, None),
        Err(ExtendError::Overflow(BatchOverflow { position, record, full, taken, .. })) => {
            let answer = Answer::Full { needed: full.needed, available: full.available, reason: full.reason };
            (taken, Some((*position, answer, record)))
        }
        Err(ExtendError::Failed { position, record, error, taken }) => {
            (taken, Some((*position, Answer::of_error(error), record)))
        }
    };
    if let Some((position, _, record)) = &refused {
        let refused = records.get(*position).map(BorrowedRecord::record);
        prop_assert_eq!(refused.as_ref(), Some(*record), "the refused record");
    }
    prop_assert_eq!(refused.map(|(position, answer, _)| (position, answer)), predicted.refused.clone());
    Ok(taken.iter().map(|metadata| RecordMetadata { crc: None, ..*metadata }).collect())
}
