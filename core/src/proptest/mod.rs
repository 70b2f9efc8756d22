//! A kit for property-based tests of your own: strategies, a reference model, and the laws of a batch.
//!
//! Behind the feature `proptest`. Three things are here:
//! - **Strategies**, in [`strategy`]: [records](strategy::records) with everything that Kafka tells apart (null and
//!   empty, repeated and null headers, timestamps that are negative, extreme or go backwards), [options](strategy::options),
//!   [batches](strategy::batches), records that end [just below, on or just above the limit](strategy::near_limit),
//!   [operations](strategy::operations) on a batch, [outcomes](strategy::outcomes) of sending it (deliveries and failures of
//!   all kinds), and [broker versions](strategy::broker_versions).
//! - A **reference model**, [`Model`]: a plain list of records and arithmetic. It counts from the protocol guide by
//!   itself and shares no encoder with [`KafkaBatch`](crate::KafkaBatch), and it says beforehand what a batch must answer.
//! - The **laws**, in [`laws`]: functions that take a batch, however your code filled it, and fail where it breaks one.
//!
//! Code that fills batches can so be held to what a batch promises:
//!
//! ```
//! use kafka_batch_core::proptest::{Model, OwnedRecord, laws, proptest::prelude::*, strategy};
//! use kafka_batch_core::{BatchOptions, KafkaBatch, Timestamp};
//!
//! /// What is to be tested: fills one batch after another, and loses nothing.
//! fn fill_batches(options: &BatchOptions, records: &[OwnedRecord]) -> Vec<KafkaBatch> {
//!     let mut batches = vec![options.clone().build(Timestamp::from_millis(0)).unwrap()];
//!     for record in records {
//!         let batch = batches.last_mut().unwrap();
//!         if batch.append(record.borrowed()).unwrap().is_full() {
//!             let mut next = batch.next_batch();
//!             assert!(next.append(record.borrowed()).unwrap().taken().is_some());
//!             batches.push(next);
//!         }
//!     }
//!     batches
//! }
//!
//! proptest! {
//!     # #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(32) })]
//!     fn every_batch_is_sound_and_nothing_is_lost(
//!         size in 61..2_000_usize,
//!         records in strategy::records(0..20),
//!     ) {
//!         let options = BatchOptions::default().batch_size(size);
//!         let batches = fill_batches(&options, &records);
//!         for batch in &batches {
//!             laws::all(batch)?;
//!         }
//!         // Where each batch ends, the model knows too.
//!         let mut model = Model::new(options, Timestamp::from_millis(0));
//!         let first = records.iter().take_while(|record| model.append(record).is_taken()).count();
//!         prop_assert_eq!(batches[0].record_count(), first);
//!         let count: usize = batches.iter().map(KafkaBatch::record_count).sum();
//!         prop_assert_eq!(count, records.len());
//!     }
//! }
//! # every_batch_is_sound_and_nothing_is_lost();
//! ```
//!
//! The types of `proptest` are part of this module's face; [`proptest`] is the version of it that they come from.

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
pub use operation::{Operation, run};
pub use outcome::AppendOutcome;
pub use record::{BorrowedRecord, OwnedHeader, OwnedRecord, merged};
pub use spec::BatchSpec;
