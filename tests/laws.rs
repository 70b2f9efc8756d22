//! The laws of a batch, tried on whatever the strategies of `kafka_batch::proptest` come up with.
//!
//! Most laws are functions of the kit, so that users can hold their own code to them; what stands here is what they are
//! tried on, and the laws that need more than a batch.

#[path = "laws/damage.rs"]
mod damage;
#[path = "laws/filling.rs"]
mod filling;
#[path = "laws/messages.rs"]
mod messages;
#[path = "laws/parts.rs"]
mod parts;
#[path = "laws/reading.rs"]
mod reading;
#[path = "laws/sealing.rs"]
mod sealing;

use std::num::NonZeroU32;

use ::proptest::prelude::*;
use ::proptest::test_runner::{FileFailurePersistence, TestCaseResult};
use kafka_batch::message::*;
use kafka_batch::partitioner::partition_for_key;
use kafka_batch::proptest::{
    AppendOutcome, BatchSpec, Model, OwnedHeader, OwnedRecord, expected_merge, laws, run, strategy,
};
use kafka_batch::*;

/// The usual number of cases (or what `PROPTEST_CASES` says) divided by `costs`.
fn config(costs: u32) -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig {
        cases: usual.cases.div_ceil(costs),
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("tests/proptest-regressions/laws.txt"))),
        ..usual
    }
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn batch(options: BatchOptions) -> KafkaBatch {
    options.build(at(0)).expect("options that go together")
}

/// A batch with all these records in it, without the headers that its format cannot carry.
fn batch_of(options: BatchOptions, records: &[OwnedRecord]) -> KafkaBatch {
    let mut batch = batch(options);
    for record in records {
        let record = record.clone().for_magic(batch.magic());
        assert!(batch.append(record.borrowed()).expect("a record for this format").taken().is_some());
    }
    batch
}

/// Every format with every codec that it can have.
fn formats() -> impl Iterator<Item = BatchOptions> {
    let codecs = || Codec::ALL.map(|codec| Compression::with_default_level(codec).expect("all are compiled in"));
    let all = Magic::ALL.into_iter().flat_map(move |magic| codecs().map(|codec| (magic, codec)));
    all.filter(|(magic, compression)| compression.codec().fits_magic(*magic)).map(|(magic, compression)| {
        BatchOptions::default().batch_size(1 << 20).magic(MagicChoice::Pinned(magic)).compression(compression)
    })
}

/// What these laws have found, each in its smallest form.
mod found {
    use super::*;

    /// A ratio is a plain value that the caller owns; one that is beyond all measure makes every estimate so, no more.
    #[test]
    fn a_ratio_beyond_all_measure_fills_a_batch_and_does_not_overflow() {
        let policy = SizePolicy::Estimated(CompressionRatio::new(f32::INFINITY));
        let mut batch = batch(BatchOptions::default().size_policy(policy).compression(Compression::Snappy));
        let _ = batch.append(Record::new("first")).unwrap();
        assert_eq!(batch.room(), 0);
        assert!(batch.append(Record::new("second")).unwrap().is_full());
    }

    /// At offset 0 this record would fit, so it is not too large for every batch; at its own offset it would not.
    #[test]
    fn a_first_record_that_outgrows_the_hard_limit_by_its_offset_is_refused() {
        let mut batch = batch(BatchOptions::default().max_message_bytes(69));
        let Append::Full(full) = batch.append_at(255, Record::new(&[0_u8])).unwrap() else { panic!("taken") };
        assert_eq!((full.needed, full.reason), (9, FullReason::MaxMessageBytes { limit: 69 }));
        assert!(batch.is_empty() && batch.append(Record::new(&[0_u8])).unwrap().taken().is_some());
    }

    /// Timestamps are counted from the delete horizon, so a record alone takes what they take from there.
    #[test]
    fn a_first_record_that_outgrows_the_hard_limit_by_its_distance_to_the_delete_horizon_is_refused() {
        let record = Record::new("x").timestamp(at(i64::MAX));
        let mut batch = batch(BatchOptions::default().delete_horizon(at(0)).max_message_bytes(61 + 8));
        assert!(matches!(batch.append(record), Err(AppendError::TooLarge { size: 78, limit: 69 })));
    }

    /// Without any record left, nothing is there for timestamps to be counted from.
    #[test]
    fn a_batch_without_all_its_records_is_as_good_as_a_new_one() {
        let mut batch = batch(BatchOptions::default());
        let _ = batch.append(Record::new("x").timestamp(at(i64::MAX))).unwrap();
        let emptied = batch.without(&[0]);
        assert_eq!(emptied, batch.next_batch());
        assert_eq!(emptied.cost(Record::new("x")).unwrap(), batch.next_batch().cost(Record::new("x")).unwrap());
    }
}

/// The kit's own promise: what it says of a record is what `run` compares.
#[test]
fn a_model_that_is_wrong_is_told_by_where() -> TestCaseResult {
    let model = Model::new(BatchOptions::default(), at(0));
    prop_assert_eq!(model.difference(&KafkaBatch::new(at(0))), None);
    prop_assert_eq!(model.difference(&KafkaBatch::new(at(1))), Some("now"));
    Ok(())
}
