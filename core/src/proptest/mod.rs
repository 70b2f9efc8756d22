//! For property-based tests of code that fills batches: strategies, a reference model, and the laws of a batch. Needs the
//! feature `proptest`.
//!
//! - **Strategies**, in [`strategy`]: [records](strategy::records) (null and empty keys and values, repeated and null
//!   headers, timestamps that are negative, extreme or not in order), [options](strategy::options),
//!   [batches](strategy::batches), records that end [one byte below, at or one byte above the limit](strategy::near_limit),
//!   [operations](strategy::operations) on a batch, [outcomes](strategy::outcomes) of sending it (deliveries and failures),
//!   and [broker versions](strategy::broker_versions).
//! - A **reference model**, [`Model`]: a list of records, whose sizes are computed from the protocol guide. It shares no
//!   encoder with [`KafkaBatch`](crate::KafkaBatch), and predicts the outcome of each operation.
//! - The **laws**, in [`laws`]: functions that take a batch and fail if it does not hold what its documentation says.
//!
//! # Examples
//!
//! ```
//! use kafka_batch_core::proptest::{Model, OwnedRecord, laws, proptest::prelude::*, strategy};
//! use kafka_batch_core::{BatchOptions, KafkaBatch, Timestamp};
//!
//! /// The code under test: fills one batch after another, and loses no record.
//! fn fill_batches(options: &BatchOptions, records: &[OwnedRecord]) -> Vec<KafkaBatch> {
//!     let mut batches = vec![options.clone().build(Timestamp::from_millis(0)).unwrap()];
//!     for record in records {
//!         let batch = batches.last_mut().unwrap();
//!         if batch.append(record.borrowed()).unwrap().is_full() {
//!             let mut next = batch.next_batch();
//!             assert!(next.append(record.borrowed()).unwrap().appended().is_some());
//!             batches.push(next);
//!         }
//!     }
//!     batches
//! }
//!
//! proptest! {
//!     # #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(32) })]
//!     fn batches_obey_the_laws_and_no_record_is_lost(
//!         size in 61..2_000_usize,
//!         records in strategy::records(0..20),
//!     ) {
//!         let options = BatchOptions::default().batch_size(size);
//!         let batches = fill_batches(&options, &records);
//!         for batch in &batches {
//!             laws::all(batch)?;
//!         }
//!         // The model predicts how many records the first batch takes.
//!         let mut model = Model::new(options, Timestamp::from_millis(0));
//!         let first = records.iter().take_while(|record| model.append(record).is_taken()).count();
//!         prop_assert_eq!(batches[0].record_count(), first);
//!         let count: usize = batches.iter().map(KafkaBatch::record_count).sum();
//!         prop_assert_eq!(count, records.len());
//!     }
//! }
//! # batches_obey_the_laws_and_no_record_is_lost();
//! ```
//!
//! Types of the crate `proptest` are part of this module's interface; [`proptest`] re-exports the version in use.

pub use ::proptest;

pub mod laws;
mod model;
mod operation;
mod outcome;
mod record;
mod size;
mod spec;
pub mod strategy;

pub use model::{Model, ModelMark, StoredRecord};
pub use operation::{CheckedBatch, Operation, run};
pub use outcome::AppendOutcome;
pub use record::{BorrowedRecord, OwnedHeader, OwnedRecord, expected_merge};
pub use spec::BatchSpec;
