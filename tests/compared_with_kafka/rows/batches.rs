//! Produce: batches that are malformed, and odd ones.

use bytes::Bytes;

use super::produce::{send, send_to};
use crate::batch::{Batch, CODECS, Record, TIME, compressed};
use crate::setup::PLAIN;
use crate::table::Table;

const PADDING: &str =
    "bytes after the compressed data are ignored with every codec, since the number of records is checked";

/// Adds a request with this batch, in the version in which responses say the most about records.
fn one(table: &mut Table, row: impl Into<String>, batch: &Batch) {
    send(table, row, 12, batch.bytes());
}

fn with_record(record: Record) -> Batch {
    Batch::of(vec![Record::new("first"), record])
}

pub(crate) fn add(table: &mut Table) {
    layout(table);
    header(table);
    attributes(table);
    records(table);
    payloads(table);
    let odd = with_record(Record { offset_delta: Some(5), ..Record::new("v") });
    let partition = table.partition();
    send_to(table, "odd offsets, before another batch", 12, (PLAIN, partition), -1, odd.bytes());
    send_to(table, "the batch after odd offsets", 12, (PLAIN, partition), -1, Batch::three().bytes());
}

fn layout(table: &mut Table) {
    let good = Batch::three();
    one(table, "a batch with a wrong checksum", &Batch { crc: Some(0x0102_0304), ..good.clone() });
    for version in [3, 7, 8, 13] {
        let wrong = Batch { crc: Some(0x0102_0304), ..good.clone() };
        send(table, format!("a batch with a wrong checksum, in v{version}"), version, wrong.bytes());
    }
    for length in [-1, 0, 13, 14, 48, 49, i32::MAX, i32::MIN] {
        one(table, format!("a batch with a length of {length}"), &Batch { length: Some(length), ..good.clone() });
    }
    for (row, length_error) in [("1 less", -1), ("1 more", 1), ("a hundred more", 100)] {
        one(table, format!("a batch with a length of {row} than right"), &Batch { length_error, ..good.clone() });
    }
    for magic in [0, 1, 3, 127, -1] {
        one(table, format!("a batch with magic {magic} in its header"), &Batch { magic, ..good.clone() });
    }
    let bytes = good.bytes();
    for left in [1, 8, 16, 17, 60, 61, 70] {
        send(table, format!("the first {left} bytes of a batch"), 12, bytes.slice(..left));
    }
    let two = Bytes::from([&bytes[..], &bytes].concat());
    for version in [3, 12] {
        send(table, format!("two batches, in v{version}"), version, two.clone());
    }
    let after = |after: &[u8]| Batch { after: after.to_vec(), ..good.clone() };
    one(table, "a batch and 3 bytes", &after(b"abc"));
    one(table, "a batch and 16 bytes of zeros", &after(&[0; 16]));
    one(table, "a batch and 17 bytes of zeros", &after(&[0; 17]));
    one(table, "a batch and 100 bytes of zeros", &after(&[0; 100]));
    one(table, "a batch and the start of another", &after(&bytes[..40]));
    one(table, "a batch and the start of another, but for a byte", &after(&bytes[..bytes.len() - 1]));
    one(table, "a batch and text", &after(b"this is no batch, but it is long enough for its header"));
    let third = Batch { magic: 3, ..good.clone() }.bytes();
    one(table, "a batch and one of magic 3", &after(&third));
}

fn header(table: &mut Table) {
    let good = Batch::three();
    for base_offset in [5, -1, i64::MAX, i64::MIN] {
        one(table, format!("a base offset of {base_offset}"), &Batch { base_offset, ..good.clone() });
    }
    for leader_epoch in [0, 7, i32::MIN] {
        one(table, format!("a leader epoch of {leader_epoch}"), &Batch { leader_epoch, ..good.clone() });
    }
    for (codec, name) in [(0, "plain"), (1, "gzip")] {
        for count in [0, -1, 2, 4, i32::MIN, i32::MAX] {
            let batch = Batch { codec, count: Some(count), ..good.clone() };
            one(table, format!("{name}: a count of {count} with three records"), &batch);
            // With the last offset that belongs to it.
            let last_offset_delta = Some(count.wrapping_sub(1));
            let batch = Batch { codec, count: Some(count), last_offset_delta, ..good.clone() };
            one(table, format!("{name}: a count of {count} and as many offsets, with three records"), &batch);
        }
        for delta in [0, 1, 3, -1, i32::MAX, i32::MIN] {
            let batch = Batch { codec, last_offset_delta: Some(delta), ..good.clone() };
            one(table, format!("{name}: a last offset delta of {delta} with three records"), &batch);
        }
        for (row, max_timestamp) in [("too small", TIME - 5), ("too large", TIME + 1_000_000), ("−1", -1)] {
            let batch = Batch { codec, max_timestamp: Some(max_timestamp), ..good.clone() };
            one(table, format!("{name}: a largest timestamp that is {row}"), &batch);
        }
        for base_timestamp in [-1, -5, 0] {
            one(
                table,
                format!("{name}: a base timestamp of {base_timestamp}"),
                &Batch { codec, base_timestamp, ..good.clone() },
            );
        }
    }
    let none = Batch::of(Vec::new());
    one(table, "a batch without records", &none);
    one(table, "a batch without records, and one offset", &Batch { last_offset_delta: Some(0), ..none.clone() });
    one(
        table,
        "a batch with a count of 1 and no records",
        &Batch { last_offset_delta: Some(0), count: Some(1), ..none },
    );
}

fn attributes(table: &mut Table) {
    let good = Batch::three();
    for codec in [5, 6, 7] {
        one(table, format!("the codec {codec}, which does not exist"), &Batch { codec, ..good.clone() });
    }
    for (row, attributes) in [
        ("the bit of log append time", 0x08),
        ("the bit of a delete horizon", 0x40),
        ("an unused bit", 0x80),
        ("another unused bit", 0x100),
        ("all unused bits", -0x80),
    ] {
        one(table, row, &Batch { attributes, ..good.clone() });
        one(table, format!("{row}, with gzip"), &Batch { attributes, codec: 1, ..good.clone() });
    }
    let control = Batch { attributes: 0x20, ..good.clone() };
    one(table, "the bit of control batches", &control);
    one(
        table,
        "the bit of control batches, with a producer id",
        &Batch { attributes: 0x20, ..Batch::stamped(901, 0, 0, 1) },
    );
    one(
        table,
        "the bit of log append time, and gzip that is none",
        &Batch { attributes: 8, codec: 1, payload: Some(b"no".to_vec()), ..good },
    );
}

fn records(table: &mut Table) {
    let new = || Record::new("value");
    for (row, length_error) in [("1 more", 1), ("1 less", -1), ("100 more", 100), ("the least", i32::MIN / 2)] {
        one(
            table,
            format!("a record with a length of {row} than right"),
            &with_record(Record { length_error, ..new() }),
        );
    }
    let wrong_first = Batch::of(vec![Record { length_error: 1, ..new() }, new()]);
    one(table, "a first record with a length of 1 more than right", &wrong_first);
    for (row, key_length_error) in
        [("1 more", 1), ("1 less", -1), ("1,000 more", 1_000), ("−2", -3), ("the least", i32::MIN / 2)]
    {
        one(table, format!("a record with a key length of {row}"), &with_record(Record { key_length_error, ..new() }));
    }
    one(table, "a record with attributes", &with_record(Record { attributes: 0x55, ..new() }));
    for (row, headers) in [
        ("a header", &b"\x02\x02h\x02v"[..]),
        ("a header with a null value", b"\x02\x02h\x01"),
        ("a header with an empty name", b"\x02\x00\x00"),
        ("a header with a null name", b"\x02\x01\x00"),
        ("a header name that is not UTF-8", b"\x02\x02\xff\x00"),
        ("−1 headers", b"\x01"),
        ("more headers than there are", b"\x06\x02h\x02v"),
        ("2³⁰ headers", b"\x80\x80\x80\x80\x08"),
        ("a header name that is too long", b"\x02\x7eh\x02v"),
        ("a byte after its headers", b"\x00\x00"),
        ("no count of headers", b""),
        ("a count of headers that is cut off", b"\x80"),
    ] {
        one(table, format!("a record with {row}"), &with_record(Record { headers: headers.to_vec(), ..new() }));
        let compressed = Batch { codec: 1, ..with_record(Record { headers: headers.to_vec(), ..new() }) };
        one(table, format!("a compressed record with {row}"), &compressed);
    }
    for (codec, name) in [(0, "plain"), (1, "gzip")] {
        for (row, deltas) in [
            ("0, 2, 4", [0, 2, 4]),
            ("0, 0, 0", [0, 0, 0]),
            ("2, 1, 0", [2, 1, 0]),
            ("1, 2, 3", [1, 2, 3]),
            ("−1, 0, 1", [-1, 0, 1]),
        ] {
            let each = deltas.map(|delta| Record { offset_delta: Some(delta), ..Record::new("v") });
            one(table, format!("{name}: records with the offsets {row}"), &Batch { codec, ..Batch::of(each.to_vec()) });
        }
        let each = [50, -50, i64::MIN / 4].map(|timestamp_delta| Record { timestamp_delta, ..Record::new("v") });
        one(table, format!("{name}: records with odd timestamps"), &Batch { codec, ..Batch::of(each.to_vec()) });
        let nulls = Record { key: None, value: None, ..new() };
        one(table, format!("{name}: a record without key and value"), &Batch { codec, ..with_record(nulls) });
        let empty = Record { key: Some(b""), value: Some(Vec::new()), ..new() };
        one(table, format!("{name}: a record with empty key and value"), &Batch { codec, ..with_record(empty) });
        let after = Batch { codec, after_records: b"more".to_vec(), ..Batch::three() };
        one(table, format!("{name}: bytes after the last record"), &after);
        let zeros = Batch { codec, after_records: vec![0; 40], ..Batch::three() };
        one(table, format!("{name}: zeros after the last record"), &zeros);
    }
}

fn payloads(table: &mut Table) {
    for (name, codec) in CODECS {
        let of = |payload: Vec<u8>| Batch { codec, payload: Some(payload), ..Batch::three() };
        let right = compressed(codec, b"no records at all, but compressed well enough");
        one(table, format!("{name} that is none"), &of(b"this is not compressed at all".to_vec()));
        one(table, format!("{name} without bytes"), &of(Vec::new()));
        one(table, format!("{name} of no bytes"), &of(compressed(codec, b"")));
        one(table, format!("{name} of something that is no record"), &of(right));
        let whole = Batch { codec, ..Batch::three() }.bytes()[61..].to_vec();
        one(table, format!("{name} that ends early"), &of(whole[..whole.len() - 6].to_vec()));
        let after = Batch { codec, after_payload: b"more".to_vec(), ..Batch::three() };
        let row = send(table, format!("{name} and bytes after it"), 12, after.bytes());
        if name == "zstd" {
            row.differs("*", PADDING);
        }
    }
    let other = Batch {
        payload: Some(Batch { codec: 1, ..Batch::three() }.bytes()[61..].to_vec()),
        codec: 3,
        ..Batch::three()
    };
    one(table, "gzip that is called lz4", &other);
}
