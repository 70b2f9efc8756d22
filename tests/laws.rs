//! The laws of a batch, tested with the strategies of `kafka_batch::proptest`.
//!
//! Most laws are functions of that module, so that users can test their own code with them; these tests supply the
//! inputs, and contain the laws that need more than a batch.

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
use kafka_batch::batch::{Boundary, CompressionRatio, Stamp};
use kafka_batch::compression::Codec;
use kafka_batch::convert::DownConversion;
use kafka_batch::decode::{DecodeError, DecodeErrorScope, RecordBatches, RecordView, TimestampType};
use kafka_batch::message::*;
use kafka_batch::partitioner::partition_for_key;
use kafka_batch::proptest::{
    AppendOutcome, BatchSpec, Model, OwnedHeader, OwnedRecord, expected_merge, laws, run, strategy,
};
use kafka_batch::*;

/// Returns the default number of cases (or `PROPTEST_CASES`) divided by `divisor`.
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
    options.build(at(0)).expect("valid options")
}

/// Returns a batch with all these records, without the headers that its format cannot carry.
fn batch_of(options: BatchOptions, records: &[OwnedRecord]) -> KafkaBatch {
    let mut batch = batch(options);
    for record in records {
        let record = record.clone().for_magic(batch.magic());
        assert!(batch.append(record.borrowed()).expect("valid in this format").appended().is_some());
    }
    batch
}

/// Returns every format with every codec that it supports: without the feature `zstd`, with the others.
fn formats() -> impl Iterator<Item = BatchOptions> {
    let codecs = || Codec::ALL.into_iter().filter_map(Compression::with_default_level);
    let all = Magic::ALL.into_iter().flat_map(move |magic| codecs().map(move |codec| (magic, codec)));
    all.filter(|(magic, compression)| compression.codec().fits_magic(*magic)).map(|(magic, compression)| {
        BatchOptions::default().batch_size(1 << 20).magic(MagicChoice::Pinned(magic)).compression(compression)
    })
}

#[cfg(feature = "__witnesses")]
#[test]
fn with_all_features_the_laws_are_tested_with_every_codec() {
    assert!(Codec::ALL.into_iter().all(Codec::is_compiled));
}

/// Earlier failures of these laws, each minimized.
mod found {
    use super::*;

    /// A ratio is a plain value set by the caller; an infinite one makes every estimate infinite, and nothing else.
    #[test]
    fn an_infinite_ratio_fills_a_batch_and_does_not_overflow() {
        let policy = SizePolicy::Estimated(CompressionRatio::new(f32::INFINITY));
        let mut batch = batch(BatchOptions::default().size_policy(policy).compression(Compression::Snappy));
        let _ = batch.append(Record::new("first")).unwrap();
        assert_eq!(batch.room(), 0);
        assert!(batch.append(Record::new("second")).unwrap().is_full());
    }

    /// At offset 0 this record would fit, so it is not too large for every batch; at its offset it does not fit.
    #[test]
    fn a_first_record_that_exceeds_the_hard_limit_by_its_offset_is_rejected() {
        let mut batch = batch(BatchOptions::default().max_message_bytes(69));
        let Append::Full(full) = batch.append_at(255, Record::new(&[0_u8])).unwrap() else { panic!("appended") };
        assert_eq!((full.needed, full.reason), (9, FullReason::MaxMessageBytes { limit: 69 }));
        assert!(batch.is_empty() && batch.append(Record::new(&[0_u8])).unwrap().appended().is_some());
    }

    /// Timestamps are relative to the delete horizon, so the first record's timestamp takes space too.
    #[test]
    fn a_first_record_that_exceeds_the_hard_limit_by_its_distance_to_the_delete_horizon_is_rejected() {
        let record = Record::new("x").timestamp(at(i64::MAX));
        let mut batch = batch(BatchOptions::default().delete_horizon(at(0)).max_message_bytes(61 + 8));
        assert!(matches!(batch.append(record), Err(AppendError::TooLarge { size: 78, limit: 69 })));
    }

    /// Without records, there is no base timestamp.
    #[test]
    fn a_batch_without_all_its_records_equals_a_new_one() {
        let mut batch = batch(BatchOptions::default());
        let _ = batch.append(Record::new("x").timestamp(at(i64::MAX))).unwrap();
        let emptied = batch.without(&[0]);
        assert_eq!(emptied, batch.next_batch());
        assert_eq!(emptied.cost(Record::new("x")).unwrap(), batch.next_batch().cost(Record::new("x")).unwrap());
    }
}

/// A property of the module: `run` compares what the model returns.
#[test]
fn a_wrong_model_is_reported_with_the_position() -> TestCaseResult {
    let model = Model::new(BatchOptions::default(), at(0));
    prop_assert_eq!(model.difference(&KafkaBatch::new(at(0))), None);
    prop_assert_eq!(model.difference(&KafkaBatch::new(at(1))), Some("now"));
    Ok(())
}
