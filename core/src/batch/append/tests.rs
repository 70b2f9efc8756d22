//! Appending one record: limits, reasons, and types of fields.

use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;

use super::*;
use crate::batch::BatchOptions;
use crate::checksum;
use crate::magic::MagicChoice;

fn batch(options: BatchOptions) -> KafkaBatch {
    options.build(Timestamp::from_millis(1_000)).unwrap()
}

#[test]
fn an_exact_fit_is_a_fit_and_one_byte_more_is_not() {
    let record = Record::new("0123456789");
    let cost = batch(BatchOptions::default()).cost(record).unwrap();
    for (limit, appended) in [(61 + 2 * cost, 2), (61 + 2 * cost - 1, 1)] {
        let mut batch = batch(BatchOptions::default().batch_size(limit));
        let fitting = (0..3).filter(|_| batch.append(record).unwrap().appended().is_some()).count();
        assert_eq!(fitting, appended, "limit {limit}");
    }
}

#[test]
fn a_record_that_no_batch_can_hold_is_an_error_at_any_position() {
    let mut batch = batch(BatchOptions::default().batch_size(1_000).max_message_bytes(200));
    let large = [0; 200];
    assert!(matches!(batch.append(Record::new(&large)), Err(AppendError::TooLarge { limit: 200, .. })));
    let _ = batch.append(Record::new("small")).unwrap();
    assert!(matches!(batch.append(Record::new(&large)), Err(AppendError::TooLarge { limit: 200, .. })));
    let full = batch.append(Record::new(&large[..130])).unwrap();
    assert!(matches!(full, Append::Full(Full { reason: FullReason::MaxMessageBytes { limit: 200 }, .. })));
}

#[test]
fn full_and_closed_are_different_reasons() {
    let mut batch = batch(BatchOptions::default().max_records(1));
    let _ = batch.append(Record::new("a")).unwrap();
    let reason = |append: Append| match append {
        Append::Full(full) => full.reason,
        Append::Appended(_) => panic!("appended"),
    };
    assert_eq!(reason(batch.append(Record::new("b")).unwrap()), FullReason::MaxRecords { limit: 1 });
    batch.close();
    assert_eq!(reason(batch.append(Record::new("b")).unwrap()), FullReason::Closed);
}

fn encoded(record: impl AsRecord) -> Vec<u8> {
    let mut batch = batch(BatchOptions::default());
    assert!(batch.append(record).unwrap().appended().is_some());
    batch.payload().to_vec()
}

#[test]
fn every_type_of_field_is_encoded_alike() {
    let expected = encoded(Record::new("7").key("7"));
    let (text, vec, bytes) = (7.to_string(), vec![b'7'], Bytes::from_static(b"7"));
    let owned = Record::new(text.clone()).key(vec.clone());
    for found in [
        encoded(&owned),
        encoded(owned),
        encoded(Record::new(&text).key(&vec)),
        encoded(Record::new(&bytes).key(b"7")),
        encoded(Record::new(&b"7"[..]).key(Some("7"))),
        encoded(Record::new(Cow::Borrowed("7")).key(Cow::<str>::Owned(text.clone()))),
        encoded(Record::new(Cow::Borrowed(&b"7"[..])).key(*b"7")),
        encoded(Record::new(text.clone()).key(Some(&text))),
        encoded(Record::new(Some(vec)).key(bytes)),
    ] {
        assert_eq!(found, expected);
    }
}

#[test]
fn none_is_null_and_empty_is_not() {
    assert_eq!(encoded(Record::new(None::<String>).key(None::<&str>)), encoded(Record::default()));
    assert_eq!(encoded(Record::new("").key(Some(Vec::new()))), encoded(Record::new(String::new()).key("")));
    assert_ne!(encoded(Record::new("")), encoded(Record::new(None::<&str>)));
}

#[test]
fn a_call_that_appends_nothing_says_so() {
    let mut batch = batch(BatchOptions::default());
    let nothing = batch.extend(core::iter::empty::<Record<'_>>()).unwrap();
    assert_eq!((nothing.is_empty(), nothing.positions()), (true, 0..0));
    let one = batch.extend([Record::new("a")]).unwrap();
    assert_eq!((one.is_empty(), one.len(), one.positions()), (false, 1, 0..1));
}

#[test]
fn appended_records_are_known_later_as_when_they_were_appended() {
    for magic in [Magic::V0, Magic::V1, Magic::V2] {
        let mut batch = batch(BatchOptions::default().magic(MagicChoice::Pinned(magic)));
        let records = [Record::new("a").timestamp(7), Record::new("another").key("key"), Record::default()];
        let appended = records.map(|record| batch.append(record).unwrap().appended().unwrap());
        assert_eq!(batch.appended_records(0..3).collect::<Vec<_>>(), appended);
        assert_eq!(batch.appended_records(1..99).collect::<Vec<_>>(), appended[1..]);
        let mut start = 0;
        for record in appended {
            let message = &batch.payload()[start..start + record.size];
            // The checksum of a message covers what follows it, from byte 16.
            let crc = (magic != Magic::V2).then(|| checksum::crc32(&message[16..]));
            assert_eq!(record.crc, crc);
            start += record.size;
        }
        assert_eq!(start, batch.payload().len());
    }
}
