//! A list of operations on a batch, each of which is executed on the batch and on the reference model of the crate (feature
//! `proptest`), and the laws of a batch on the way.

mod setup;
mod step;

pub use setup::{Record, Setup};
pub use step::{Extend, Stamping, Step};

use kafka_batch_core::decode::RecordBatches;
use kafka_batch_core::proptest::proptest::test_runner::TestCaseResult;
use kafka_batch_core::proptest::{CheckedBatch, Operation, OwnedRecord, laws};
use kafka_batch_core::{KafkaBatch, Magic};

/// A batch beside its model.
#[derive(Debug)]
pub struct Checked(CheckedBatch);

impl Checked {
    /// Creates an empty batch. Returns `None` if the settings contradict each other.
    pub fn new(setup: &Setup) -> Option<Self> {
        CheckedBatch::new(&setup.options(), setup.now()).ok().map(Self)
    }

    /// Executes a step.
    ///
    /// # Panics
    /// The batch is not what the model predicts, or breaks a law.
    pub fn take(&mut self, step: &Step) {
        if let Err(error) = self.try_take(step) {
            panic!("{error}");
        }
        assert!(self.0.batch().to_string().contains(" record"));
    }

    fn try_take(&mut self, step: &Step) -> TestCaseResult {
        match step {
            Step::Append(record) => self.append(record, None),
            Step::AppendAt(gap, record) => self.append(record, Some(*gap)),
            Step::AppendSnug(more, gap, record) => self.append(&self.snug(*more, record), *gap),
            Step::Extend(how, records) => {
                for record in records.iter().filter(|record| record.is_encoded()) {
                    laws::header_representations_agree(self.0.batch(), &record.owned())?;
                }
                let records = records.iter().map(Record::owned).collect();
                self.0.perform(&match how {
                    Extend::UntilRefused => Operation::Extend(records),
                    Extend::AllOrNothing => Operation::TryExtend(records),
                    Extend::WhatFits => Operation::FillFrom(records),
                })
            }
            Step::Bulk(common, values) => {
                let values = values.iter().map(Record::owned).collect();
                self.0.perform(&Operation::Bulk(common.owned(), values))
            }
            Step::Mark => self.0.perform(&Operation::Mark),
            Step::Rollback(index) => self.0.perform(&Operation::Rollback((*index).into())),
            Step::Close => self.0.perform(&Operation::Close),
            Step::Now(now) => self.0.perform(&Operation::SetNow((*now).into())),
            Step::Seal { stamp, reopen } => {
                let batch = self.0.batch();
                laws::hard_limit_holds(batch)?;
                laws::size_is_exact(batch)?;
                laws::compression_never_enlarges(batch)?;
                laws::stamped_batches_round_trip(batch, stamp.stamp())?;
                check_stamp(batch, stamp);
                self.0.perform(&if *reopen { Operation::Reopen } else { Operation::NextBatch })
            }
            Step::Split(limit) => {
                laws::split_keeps_records_within_limit(self.0.batch(), (*limit).into())?;
                self.0.perform(&Operation::NextBatch)
            }
            Step::Without { positions, adopt } => {
                let positions: Vec<_> = positions.iter().copied().map(usize::from).collect();
                laws::without_removes_positions(self.0.batch(), &positions)?;
                if *adopt { self.0.perform(&Operation::Without(positions)) } else { Ok(()) }
            }
            Step::Convert { magic, allowed } => self.0.perform(&Operation::Convert(*magic, *allowed)),
        }
    }

    /// Appends a record, with `gap` unused offsets before it.
    fn append(&mut self, record: &Record, gap: Option<u8>) -> TestCaseResult {
        let owned = record.owned();
        if record.is_encoded() {
            laws::header_representations_agree(self.0.batch(), &owned)?;
        }
        let next = self.0.model().stored().last().map_or(0, |last| last.offset + 1);
        self.0.perform(&match gap {
            None => Operation::Append(owned),
            Some(gap) => Operation::AppendAt(next + u32::from(gap), owned),
        })
    }

    /// Returns the record with a value that makes it cost what is left in the batch, and `more`.
    fn snug(&self, more: i8, record: &Record) -> Record {
        let batch = self.0.batch();
        let cost = |len| batch.cost(record.with_value(len).owned().borrowed()).unwrap_or(0);
        let wanted = batch.room().min(70_000).saturating_add_signed((more % 3).into());
        // The other fields take as much with a value of about that length.
        let len = wanted.saturating_sub(cost(wanted).saturating_sub(wanted));
        record.with_value((len..len + 4).find(|&len| cost(len) == wanted).unwrap_or(len))
    }
}

/// Checks that the header of the sealed batch has what is in the stamp.
fn check_stamp(batch: &KafkaBatch, stamp: &Stamping) {
    let Some(stamped) = batch.clone().seal().ok().and_then(|sealed| sealed.stamp(stamp.stamp()).ok()) else { return };
    let read = RecordBatches::new(stamped.bytes()).next().expect("a batch").expect("a sound one");
    let Some(header) = read.header() else { return assert_ne!(read.magic(), Magic::V2) };
    assert_eq!((header.producer_id, header.producer_epoch, header.base_sequence), stamp.identity());
    assert_eq!((read.is_transactional(), read.is_control()), (stamp.transactional, stamp.control));
    assert_eq!(header.base_offset, i64::from(stamp.base_offset));
    assert_eq!(header.partition_leader_epoch, stamp.leader_epoch.unwrap_or(-1));
    if let Some(time) = stamp.log_append_time {
        for record in read.records(usize::MAX).expect("what was compressed decompresses").iter() {
            assert_eq!(OwnedRecord::from(record.expect("a sound record")).timestamp, Some(time.into()));
        }
    }
}
