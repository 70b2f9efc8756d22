//! The laws of a batch: properties that hold for every batch, as functions for property-based tests.
//!
//! Each takes a batch that the code under test has filled, and fails with a reason if the law is broken. They work on clones
//! and do not change the batch.

mod convert;
mod fill;
mod headers;
mod parts;
mod seal;

pub use convert::{conversion_loses_only_what_is_listed, delivery_reports_by_position};
pub use fill::{
    cost_is_exact, extend_names_the_position, filling_loses_nothing, fits_agrees_with_append,
    refused_append_changes_nothing, rollback_restores, room_agrees_with_fits, try_extend_is_all_or_nothing,
};
pub use headers::{header_representations_agree, headers_merge_by_name};
pub use parts::{remainder_excludes_written_and_rejected, split_keeps_records_within_limit, without_removes_positions};
pub use seal::{
    compression_never_enlarges, decoding_round_trips, hard_limit_holds, sealed_batches_reopen, size_is_exact,
    stamped_batches_round_trip,
};

use alloc::format;
use alloc::vec::Vec;

use ::proptest::test_runner::TestCaseResult;
use ::proptest::{prop_assert, prop_assert_eq};
use bytes::Bytes;

use crate::batch::KafkaBatch;
use crate::proptest::OwnedRecord;

/// Checks every law that needs no other argument than the batch.
///
/// # Errors
/// A law is broken.
pub fn all(batch: &KafkaBatch) -> TestCaseResult {
    size_is_exact(batch)?;
    hard_limit_holds(batch)?;
    compression_never_enlarges(batch)?;
    decoding_round_trips(batch)?;
    sealed_batches_reopen(batch)?;
    split_keeps_records_within_limit(batch, batch.size().div_ceil(2))?;
    without_removes_positions(batch, &[0])
}

/// Checks that two batches are equal, byte for byte. The reason of a failure names the part that differs.
pub(super) fn same(batch: &KafkaBatch, expected: &KafkaBatch, when: &str) -> TestCaseResult {
    if batch == expected && wire(batch) == wire(expected) {
        return Ok(());
    }
    let parts = |batch: &KafkaBatch| {
        let records: Vec<_> = batch.records().map(|view| (view.offset, OwnedRecord::from(view))).collect();
        let state = (batch.magic(), batch.now(), batch.is_closed(), batch.routed_partition());
        (format!("{batch}, {state:?}"), format!("{:?}", batch.options()), records)
    };
    let (actual, expected) = (parts(batch), parts(expected));
    prop_assert_eq!(actual.0, expected.0, "{}", when);
    prop_assert_eq!(actual.1, expected.1, "{}", when);
    prop_assert_eq!(actual.2, expected.2, "{}", when);
    prop_assert!(
        false,
        "{when}: the batches have the same records, but differ in their bytes or their base timestamps"
    );
    Ok(())
}

/// Returns the bytes that would be sent; `None` if the batch cannot be sealed.
fn wire(batch: &KafkaBatch) -> Option<Bytes> {
    let sealed = batch.clone().seal().ok()?;
    Some(sealed.without_producer_id().bytes().clone())
}
