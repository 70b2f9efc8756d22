//! Laws of headers.

use alloc::vec::Vec;

use ::proptest::prop_assert_eq;
use ::proptest::test_runner::TestCaseResult;

use super::same;
use super::seal::fail;
use crate::batch::KafkaBatch;
use crate::headers::{EncodedHeaders, HeaderList, merge_headers};
use crate::proptest::{AppendOutcome, OwnedHeader, OwnedRecord};

/// Checks [`merge_headers`] against [`expected_merge`](crate::proptest::expected_merge).
///
/// # Errors
/// The law is broken.
pub fn headers_merge_by_name(earlier: &[OwnedHeader], layer: &[OwnedHeader]) -> TestCaseResult {
    let expected = crate::proptest::expected_merge(earlier, layer);
    let mut merged: Vec<_> = earlier.iter().map(OwnedHeader::borrowed).collect();
    let layer: Vec<_> = layer.iter().map(OwnedHeader::borrowed).collect();
    merge_headers(&mut merged, &layer);
    let merged: Vec<_> = merged.into_iter().map(OwnedHeader::from).collect();
    prop_assert_eq!(merged, expected);
    Ok(())
}

/// Checks that a record with [`EncodedHeaders`] has the same outcome and the same bytes as one with a slice of headers.
///
/// # Errors
/// The law is broken.
pub fn header_representations_agree(batch: &KafkaBatch, record: &OwnedRecord) -> TestCaseResult {
    let borrowed = record.borrowed();
    let encoded = EncodedHeaders::new(borrowed.record().headers).map_err(fail)?;
    prop_assert_eq!(HeaderList::from(&encoded), borrowed.record().headers);
    let (mut sliced, mut copied) = (batch.clone(), batch.clone());
    let answer = AppendOutcome::from(&sliced.append(&borrowed));
    prop_assert_eq!(AppendOutcome::from(&copied.append(borrowed.record().headers(&encoded))), answer);
    same(&copied, &sliced, "with headers encoded beforehand")
}
