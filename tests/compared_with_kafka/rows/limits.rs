//! Produce: timestamps, keys, sizes, and topics with settings of their own.

use super::produce::{send, send_to};
use crate::batch::{Batch, Record, TIME};
use crate::setup::{APPEND_TIME, COMPACTED, NARROW, SMALL, SMALL_BYTES};
use crate::table::Table;

const ANY_TIME: &str = "timestamps are not limited, unless a topic says so";

/// The year 2100, in milliseconds.
const FUTURE: i64 = 4_102_444_800_000;

/// Adds batches to partitions of a topic, one after the other.
struct Turn(&'static str, i32);

impl Turn {
    fn send<'a>(
        &mut self,
        table: &'a mut Table,
        row: impl Into<String>,
        version: i16,
        batch: &Batch,
    ) -> &'a mut crate::table::Row {
        self.1 += 1;
        send_to(table, row, version, (self.0, self.1 - 1), -1, batch.bytes())
    }
}

fn at(times: &[i64]) -> Batch {
    let record = |time: &i64| Record { timestamp_delta: *time - times[0], ..Record::new("v") };
    Batch { base_timestamp: times[0], ..Batch::of(times.iter().map(record).collect()) }
}

fn keyless(keys: &[Option<&'static [u8]>]) -> Batch {
    Batch::of(keys.iter().map(|key| Record { key: *key, ..Record::new("v") }).collect())
}

pub(crate) fn add(table: &mut Table) {
    timestamps(table);
    keys(table);
    append_times(table);
    sizes(table);
}

fn timestamps(table: &mut Table) {
    let mut narrow = Turn(NARROW, 0);
    narrow.send(table, "a record that is too old", 12, &at(&[TIME]));
    narrow.send(table, "a record that is too old, in v7", 7, &at(&[TIME]));
    narrow.send(table, "a record that is too new", 12, &at(&[FUTURE]));
    narrow.send(table, "records that are too old", 12, &at(&[TIME, TIME + 1, TIME + 2]));
    narrow.send(table, "a record that is too old, and one without time", 12, &at(&[TIME, -1]));
    narrow.send(table, "a record without time, and one that is too new", 12, &at(&[-1, FUTURE]));
    narrow.send(table, "records without time", 12, &at(&[-1, -1]));
    narrow.send(table, "records that are too old and too new", 12, &at(&[TIME, FUTURE, -1]));
    narrow.send(table, "compressed records that are too old", 12, &Batch { codec: 1, ..at(&[TIME, TIME, TIME]) });
    let second = Batch { codec: 1, ..at(&[-1, TIME, TIME]) };
    narrow.send(table, "compressed records, all but the first too old", 12, &second);
    let header_only = Batch { max_timestamp: Some(FUTURE), ..at(&[-1]) };
    narrow.send(table, "a largest timestamp that is too new, with a record without time", 12, &header_only);
    narrow.send(table, "a record of 1970", 12, &at(&[0]));
    narrow.send(table, "a record of the time −2", 12, &at(&[-2]));
    let stamped = Batch { base_timestamp: TIME, ..Batch::stamped(800, 0, 0, 2) };
    narrow.send(table, "records of an idempotent producer that are too old", 12, &stamped);
    send(table, "a record of 2100", 12, at(&[FUTURE]).bytes()).differs("*", ANY_TIME);
    send(table, "a record of 1970, in a topic without limits", 12, at(&[0]).bytes());
}

fn keys(table: &mut Table) {
    let mut compacted = Turn(COMPACTED, 0);
    let key = Some(&b"k"[..]);
    compacted.send(table, "a record with a key, compacted", 12, &keyless(&[key]));
    for version in [3, 7, 8, 12, 13] {
        compacted.send(table, format!("a record without a key, compacted, in v{version}"), version, &keyless(&[None]));
    }
    compacted.send(table, "records without keys, compacted", 12, &keyless(&[None, key, None]));
    compacted.send(
        table,
        "compressed records without keys, compacted",
        12,
        &Batch { codec: 1, ..keyless(&[key, None, None]) },
    );
    let tombstone = Batch::of(vec![Record { value: None, ..Record::new("") }]);
    compacted.send(table, "a tombstone, compacted", 12, &tombstone);
    compacted.send(table, "an empty key, compacted", 12, &keyless(&[Some(b"")]));
    let stamped = Batch { producer_id: 801, producer_epoch: 0, base_sequence: 0, ..keyless(&[None]) };
    compacted.send(table, "a record without a key, idempotent, compacted", 12, &stamped);
}

fn append_times(table: &mut Table) {
    let mut topic = Turn(APPEND_TIME, 0);
    topic.send(table, "a batch, with append time", 12, &Batch::three());
    topic.send(table, "a compressed batch, with append time", 12, &Batch { codec: 1, ..Batch::three() });
    topic.send(
        table,
        "a batch with the bit of log append time, with append time",
        12,
        &Batch { attributes: 8, ..Batch::three() },
    );
    topic.send(table, "a batch, with append time, in v3", 3, &Batch::three());
    topic.send(table, "a batch, with append time, in v13", 13, &Batch::three());
    let future = at(&[FUTURE, -1]);
    topic.send(table, "a batch of 2100, with append time", 12, &future);
    topic.send(table, "a batch of an idempotent producer, with append time", 12, &Batch::stamped(802, 0, 0, 1));
    topic.1 -= 1;
    topic.send(table, "a duplicate, with append time", 12, &Batch::stamped(802, 0, 0, 1));
}

fn sizes(table: &mut Table) {
    let mut small = Turn(SMALL, 0);
    let of_size = |size: usize, codec: i16| {
        let empty = Batch { codec, ..Batch::of(vec![Record::new("")]) };
        let found = (0..10 * size).map(|length| {
            // Letters that cannot be compressed well.
            let value: String = (0..length).map(|n| char::from(b'a' + ((n * n * 7 + n * 3) % 26) as u8)).collect();
            Batch { records: vec![Record::new(&value)], ..empty.clone() }
        });
        found.clone().find(|batch| batch.bytes().len() >= size).unwrap_or(empty)
    };
    for size in [SMALL_BYTES - 1, SMALL_BYTES, SMALL_BYTES + 1, 2 * SMALL_BYTES] {
        let batch = of_size(size, 0);
        assert_eq!(batch.bytes().len(), size);
        small.send(table, format!("a batch of {size} bytes, of at most 200"), 12, &batch);
    }
    let zeros = Batch { codec: 1, ..Batch::of(vec![Record::new(&"0".repeat(1_000))]) };
    small.send(table, "a batch of 1,000 bytes that is small enough with gzip, of at most 200", 12, &zeros);
    let large = of_size(300, 1);
    small.send(table, "a compressed batch, of at most 200", 12, &large);
    let trailing = Batch { after: vec![1; 16], ..of_size(SMALL_BYTES, 0) };
    small.send(table, "a batch of 200 bytes and 16 more, of at most 200", 12, &trailing);
    let wrong = Batch { crc: Some(1), ..of_size(2 * SMALL_BYTES, 0) };
    small.send(table, "a large batch with a wrong checksum, of at most 200", 12, &wrong);
    small.send(table, "a large batch, of at most 200, in v3", 3, &of_size(2 * SMALL_BYTES, 0));
    small.send(table, "a large batch, of at most 200, in v13", 13, &of_size(2 * SMALL_BYTES, 0));
    let million = Batch::of(vec![Record::new(&"x".repeat(1_048_588 - 80))]);
    send(table, "a batch of almost 1 MiB", 12, million.bytes());
    let more = Batch::of(vec![Record::new(&"x".repeat(1_048_588))]);
    send(table, "a batch of more than 1 MiB", 12, more.bytes());
}
