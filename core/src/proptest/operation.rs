//! Lists of operations on a batch, and running them on a batch and its model side by side.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use ::proptest::prop_assert_eq;
use ::proptest::test_runner::{TestCaseError, TestCaseResult};

use super::{AppendOutcome, Model, ModelMark, OwnedRecord};
use crate::batch::{
    BatchOptions, BatchOverflow, ExtendError, FillOutcome, KafkaBatch, Mark, RecordMetadata, RollbackError,
};
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
    /// [`KafkaBatch::fill_from`]; the records that are left in the iterator are dropped.
    FillFrom(Vec<OwnedRecord>),
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
                let answer = AppendOutcome::from(&self.batch.append_at(*offset, record.borrowed()));
                prop_assert_eq!(&answer, &predicted);
                answer.is_taken()
            }
            Operation::Extend(records) => self.extend(records)?,
            Operation::TryExtend(records) => self.try_extend(records)?,
            Operation::FillFrom(records) => self.fill_from(records)?,
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
        if changed {
            Ok(())
        } else {
            super::laws::same(&self.batch, &before, "after a call that was to change nothing")
        }
    }

    fn append(&mut self, record: &OwnedRecord) -> Result<bool, TestCaseError> {
        let borrowed = record.borrowed();
        let cost = self.batch.cost(&borrowed).map_err(|error| AppendOutcome::from_error(&error));
        prop_assert_eq!(cost, self.model.cost(record), "cost");
        let fits = self.batch.fits(&borrowed);
        let predicted = self.model.append(record);
        prop_assert_eq!(fits, predicted.is_taken(), "fits");
        let answer = AppendOutcome::from(&self.batch.append(&borrowed));
        prop_assert_eq!(&answer, &predicted);
        Ok(answer.is_taken())
    }

    fn extend(&mut self, records: &[OwnedRecord]) -> Result<bool, TestCaseError> {
        let predicted = ExtendOutcome::predict(&mut self.model, records);
        let borrowed: Vec<_> = records.iter().map(OwnedRecord::borrowed).collect();
        let outcome = ExtendOutcome::from(self.batch.extend(&borrowed));
        prop_assert_eq!(&outcome, &predicted);
        Ok(!outcome.taken.is_empty())
    }

    fn try_extend(&mut self, records: &[OwnedRecord]) -> Result<bool, TestCaseError> {
        let mut attempt = self.model.clone();
        let mut predicted = ExtendOutcome::predict(&mut attempt, records);
        if predicted.refused.is_some() {
            predicted.taken.clear(); // none of them stays
        } else {
            self.model = attempt;
        }
        let borrowed: Vec<_> = records.iter().map(OwnedRecord::borrowed).collect();
        let outcome = ExtendOutcome::from(self.batch.try_extend(&borrowed));
        prop_assert_eq!(&outcome, &predicted);
        Ok(!outcome.taken.is_empty())
    }

    fn fill_from(&mut self, records: &[OwnedRecord]) -> Result<bool, TestCaseError> {
        let predicted = ExtendOutcome::predict(&mut self.model, records);
        let borrowed: Vec<_> = records.iter().map(OwnedRecord::borrowed).collect();
        let mut rest = borrowed.iter().peekable();
        let outcome = match self.batch.fill_from(&mut rest) {
            Ok(FillOutcome { taken, full }) => ExtendOutcome::new(&taken, full.map(|full| (taken.len(), full.into()))),
            Err(error) => ExtendOutcome::from(Err(error)),
        };
        prop_assert_eq!(&outcome, &predicted);
        prop_assert_eq!(rest.len(), records.len() - outcome.taken.len(), "what is left in the iterator");
        Ok(!outcome.taken.is_empty())
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

/// What became of records that came one after another; checksums are left out.
#[derive(Debug, PartialEq)]
struct ExtendOutcome {
    taken: Vec<RecordMetadata>,
    /// The position of the first that was refused, and what was said to it.
    refused: Option<(usize, AppendOutcome)>,
}

impl ExtendOutcome {
    fn new(taken: &[RecordMetadata], refused: Option<(usize, AppendOutcome)>) -> Self {
        let taken = taken.iter().map(|metadata| RecordMetadata { crc: None, ..*metadata }).collect();
        Self { taken, refused }
    }

    fn predict(model: &mut Model, records: &[OwnedRecord]) -> Self {
        let mut taken = Vec::new();
        for (at, record) in records.iter().enumerate() {
            match model.append(record) {
                AppendOutcome::Taken { position, size, timestamp, .. } => {
                    taken.push(RecordMetadata { position, size, timestamp, crc: None });
                }
                refusal => return Self { taken, refused: Some((at, refusal)) },
            }
        }
        Self { taken, refused: None }
    }
}

impl From<Result<Vec<RecordMetadata>, ExtendError>> for ExtendOutcome {
    fn from(outcome: Result<Vec<RecordMetadata>, ExtendError>) -> Self {
        match outcome {
            Ok(taken) => Self::new(&taken, None),
            Err(ExtendError::Overflow(BatchOverflow { position, full, taken })) => {
                Self::new(&taken, Some((position, full.into())))
            }
            Err(ExtendError::Failed { position, error, taken }) => {
                Self::new(&taken, Some((position, AppendOutcome::from_error(&error))))
            }
        }
    }
}
