//! The records that every client writes.

use kafka_batch::Timestamp;
use kafka_batch::proptest::{OwnedHeader, OwnedRecord};

use crate::clients::Accepts;
use crate::messages::RecordFields;

/// The timestamp of most records, in ms: 2023-11-14.
const NOON: i64 = 1_700_000_000_000;

/// The time of which each reader finds the first record, in ms.
pub(crate) const MOMENT: i64 = NOON + 5;

fn record(key: Option<&[u8]>, value: Option<&[u8]>, timestamp: i64) -> OwnedRecord {
    let timestamp = Some(Timestamp::from_millis(timestamp));
    OwnedRecord { key: key.map(Vec::from), value: value.map(Vec::from), headers: Vec::new(), timestamp }
}

fn header(name: &str, value: Option<&[u8]>) -> OwnedHeader {
    OwnedHeader { name: name.to_owned(), value: value.map(Vec::from) }
}

/// Returns records with null and empty keys and values, repeated and null headers, timestamps in no order, one value that
/// is larger than the blocks of Snappy and LZ4, and one that does not compress. Without what a producer does not accept.
pub(crate) fn sample(accepts: Accepts) -> Vec<OwnedRecord> {
    let every_byte: Vec<u8> = (0..=255).collect();
    let large: Vec<u8> = (0..7_000).flat_map(|row| format!("row {row:05}\n").into_bytes()).collect();
    let mut state = 1_u64;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    let noisy: Vec<u8> = (0..3_000).map(|_| noise()).collect();
    let with = |headers: Vec<OwnedHeader>, record: OwnedRecord| OwnedRecord { headers, ..record };
    let mut records = vec![
        record(Some(b"key"), Some(b"value"), NOON),
        record(None, Some(b"without a key"), NOON + 1),
        record(Some(b"tombstone"), None, NOON + 2),
        record(Some(b""), Some(b""), NOON + 2),
        record(Some(&every_byte), Some(&every_byte), NOON + 3),
        record(Some(b"old"), Some(b"January 1970"), 1),
        with(
            vec![
                header("repeated", Some(b"1")),
                header("other", Some(b"")),
                header("repeated", None),
                header("repeated", Some(b"2")),
                header("repeated", Some(b"1")),
            ],
            record(Some(b"headers"), Some(b"in order"), NOON - 86_400_000),
        ),
        with(
            vec![header("na\u{ef}ve \u{6f22}\u{5b57}", Some(&every_byte)), header("", Some(b"without a name"))],
            record(Some(b"headers"), None, NOON + 4),
        ),
        record(Some(b"large"), Some(&large), NOON + 9),
        record(Some(b"noise"), Some(&noisy), NOON + 7),
    ];
    records.extend((0..20).map(|row| {
        let value = format!("{{\"station\":{row},\"bikes\":{}}}", row * 7 % 11);
        with(vec![header("unit", Some(b"bikes"))], record(Some(b"station"), Some(value.as_bytes()), NOON + 10 + row))
    }));
    if accepts.records_without_key_and_value {
        records.push(record(None, None, NOON + 40));
    }
    if !accepts.null_header_values {
        let headers = records.iter_mut().flat_map(|record| &mut record.headers);
        headers.for_each(|header| header.value = Some(header.value.take().unwrap_or_default()));
    }
    records
}

/// Returns the first record whose timestamp is not lower: its offset and timestamp.
pub(crate) fn first_from(records: &[RecordFields], timestamp: i64) -> Option<(i64, i64)> {
    let found = records.iter().position(|record| record.timestamp >= timestamp)?;
    Some((found as i64, records[found].timestamp))
}
