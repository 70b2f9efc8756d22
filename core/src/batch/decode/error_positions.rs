//! Each error has the position of the invalid field, counted in the whole buffer, and the extent of what is lost: what a tool
//! prints for a damaged segment, and what a reader continues after.

use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::batch::encode::v2;
use crate::checksum;

/// A batch of magic 2 with these encoded records.
fn batch(base_offset: i64, records: &[u8], record_count: i32, last_offset_delta: i32) -> Vec<u8> {
    let mut batch = vec![0; HEADER_LEN];
    batch.extend_from_slice(records);
    let header = v2::Header {
        base_offset,
        partition_leader_epoch: -1,
        attributes: 0,
        last_offset_delta,
        base_timestamp: 0,
        max_timestamp: 0,
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        record_count,
    };
    v2::write_header(&mut batch, &header);
    batch
}

/// Null key, null value, no headers, offset delta 0 and 2.
const FIRST: [u8; 7] = [12, 0, 0, 0, 1, 1, 0];
const LAST: [u8; 7] = [12, 0, 0, 4, 1, 1, 0];

/// Writes the checksum that the bytes of a batch of magic 2 have.
fn with_checksum(mut batch: Vec<u8>) -> Vec<u8> {
    let crc = checksum::crc32c(&batch[at::ATTRIBUTES..]);
    batch[at::CRC..][..4].copy_from_slice(&crc.to_be_bytes());
    batch
}

/// A message of magic 0 or 1 with these bytes after the attributes.
fn message(magic: u8, attributes: u8, fields: &[u8]) -> Vec<u8> {
    let mut message = vec![0; CRC_COVERS_FROM];
    message.extend_from_slice(&[magic, attributes]);
    message.extend_from_slice(fields);
    let (size, crc) = (message.len() - PREFIX_LEN, checksum::crc32(&message[CRC_COVERS_FROM..]));
    message[at::LENGTH..PREFIX_LEN].copy_from_slice(&(size as i32).to_be_bytes());
    message[PREFIX_LEN..CRC_COVERS_FROM].copy_from_slice(&crc.to_be_bytes());
    message
}

/// The timestamp 0, and a null key.
const NULL_KEY: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff];
const NULL: [u8; 4] = [0xff; 4];

fn position(error: &DecodeError) -> (usize, usize, Region, Option<u32>) {
    (error.batch_at, error.at, error.region, error.record)
}

#[test]
fn an_invalid_batch_is_reported_at_its_field_and_the_batch_after_it_is_read() {
    use DecodeErrorKind::{BatchLength, CodecNeedsNewerMagic, EmptyWrapper, RecordCount, UnknownCodec, UnknownMagic};

    let good = batch(0, &FIRST, 1, 0);
    let changed = |place: usize, byte: u8| {
        let mut batch = good.clone();
        batch[place] = byte;
        batch
    };
    let plain = |attributes| message(1, attributes, &[&NULL_KEY[..], &NULL].concat());
    let short_message = {
        let mut message = plain(0);
        message[at::LENGTH + 3] = 21;
        message.truncate(PREFIX_LEN + 21);
        message
    };
    let least = HEADER_LEN - PREFIX_LEN;
    let short = [changed(at::LENGTH + 3, least as u8 - 1)[..HEADER_LEN - 1].to_vec(), vec![]].concat();
    for (damaged, place, kind) in [
        (changed(at::MAGIC, 3), at::MAGIC, UnknownMagic(3)),
        (changed(at::MAGIC, 0xff), at::MAGIC, UnknownMagic(-1)),
        (short, at::LENGTH, BatchLength { found: 48, magic: Magic::V2, least: 49 }),
        (with_checksum(changed(at::ATTRIBUTES + 1, 5)), at::ATTRIBUTES + 1, UnknownCodec(5)),
        (with_checksum(changed(at::RECORD_COUNT, 0xff)), at::RECORD_COUNT, RecordCount(-0x00ff_ffff)),
        (short_message, at::LENGTH, BatchLength { found: 21, magic: Magic::V1, least: 22 }),
        (plain(5), CRC_COVERS_FROM + 1, UnknownCodec(5)),
        (plain(4), CRC_COVERS_FROM + 1, CodecNeedsNewerMagic { codec: Codec::Zstd, magic: Magic::V1 }),
        (plain(1), CRC_COVERS_FROM, EmptyWrapper),
    ] {
        let buffer = [&good[..], &damaged, &good].concat();
        let (start, end) = (good.len(), good.len() + damaged.len());
        let read: Vec<_> = RecordBatches::new(&buffer).collect();
        assert_eq!(read.len(), 3, "{kind}");
        assert_eq!(read[2].as_ref().unwrap().position(), end..buffer.len(), "{kind}");
        let error = read[1].as_ref().unwrap_err();
        assert_eq!(error.kind, kind);
        assert_eq!(position(error), (start, start + place, Region::Buffer, None), "{kind}");
        assert_eq!(error.scope, DecodeErrorScope::Batch { end }, "{kind}");
    }
}

#[test]
fn a_wrong_checksum_is_reported_with_both_values() {
    let good = batch(0, &FIRST, 1, 0);
    let old = message(1, 0, &[&NULL_KEY[..], &NULL].concat());
    for (valid, place, covered_from) in [(&good, at::CRC, at::ATTRIBUTES), (&old, PREFIX_LEN, CRC_COVERS_FROM)] {
        let mut damaged = valid.clone();
        *damaged.last_mut().unwrap() ^= 1;
        let computed = match covered_from {
            at::ATTRIBUTES => checksum::crc32c(&damaged[covered_from..]),
            _ => checksum::crc32(&damaged[covered_from..]),
        };
        let stored = u32::from_be_bytes(valid[place..][..4].try_into().unwrap());
        let buffer = [&good[..], &damaged].concat();
        let error = RecordBatches::new(&buffer).nth(1).unwrap().unwrap_err();
        assert_eq!(error.kind, DecodeErrorKind::Checksum { stored, computed });
        assert_eq!(position(&error), (good.len(), good.len() + place, Region::Buffer, None));
    }
}

#[test]
fn after_an_invalid_length_nothing_is_read() {
    let good = batch(0, &FIRST, 1, 0);
    for found in [13, 0, -1, i32::MIN] {
        let mut damaged = good.clone();
        damaged[at::LENGTH..PREFIX_LEN].copy_from_slice(&found.to_be_bytes());
        let buffer = [&good[..], &damaged, &good].concat();
        let mut batches = RecordBatches::new(&buffer);
        assert!(batches.next().unwrap().is_ok());
        let error = batches.next().unwrap().unwrap_err();
        assert_eq!(error.kind, DecodeErrorKind::BatchLength { found, magic: Magic::V0, least: 14 });
        assert_eq!(position(&error), (good.len(), good.len() + at::LENGTH, Region::Buffer, None));
        assert_eq!(error.scope, DecodeErrorScope::Rest);
        assert!(batches.next().is_none() && batches.tail().is_none());
    }
}

#[test]
fn an_incomplete_batch_is_the_tail_with_the_size_that_it_will_have() {
    let good = batch(0, &FIRST, 1, 0);
    for (present, expected, text) in [
        (good.len() - 1, Some(good.len()), "the batch at byte 68 is incomplete: 67 bytes of 68"),
        (PREFIX_LEN, Some(good.len()), "the batch at byte 68 is incomplete: 12 bytes of 68"),
        (PREFIX_LEN - 1, None, "the batch at byte 68 is incomplete: 11 bytes of it are there"),
    ] {
        let buffer = [&good[..], &good[..present]].concat();
        let mut batches = RecordBatches::new(&buffer);
        assert_eq!(batches.by_ref().map(Result::unwrap).count(), 1);
        let tail = batches.tail().unwrap();
        assert_eq!(tail, IncompleteTail { at: good.len(), present, expected });
        assert_eq!(tail.to_string(), text);
    }
}

#[test]
fn an_invalid_record_is_reported_at_its_field_and_the_record_after_it_is_read() {
    use DecodeErrorKind::{Cut, HeaderNameNotUtf8, LeftOver, Length, VarintTooLong};

    let length = |field, found, left| Length { field, found, left };
    for (record, place, kind) in [
        (&[0][..], 1, Cut { field: Field::Attributes }),
        (&[2, 0], 2, Cut { field: Field::TimestampDelta }),
        (&[4, 0, 0x80], 2, Cut { field: Field::TimestampDelta }),
        (&[4, 0, 0], 3, Cut { field: Field::OffsetDelta }),
        (&[16, 0, 0, 255, 255, 255, 255, 255, 1], 3, VarintTooLong { field: Field::OffsetDelta }),
        (&[6, 0, 0, 2], 4, Cut { field: Field::Key }),
        (&[12, 0, 0, 2, 3, 1, 0], 4, length(Field::Key, -2, 2)),
        (&[12, 0, 0, 2, 10, 1, 0], 4, length(Field::Key, 5, 2)),
        (&[8, 0, 0, 2, 1], 5, Cut { field: Field::Value }),
        (&[12, 0, 0, 2, 1, 10, 0], 5, length(Field::Value, 5, 1)),
        (&[14, 0, 0, 2, 2, 7, 10, 0], 6, length(Field::Value, 5, 1)),
        (&[10, 0, 0, 2, 1, 1], 6, Cut { field: Field::HeaderCount }),
        (&[12, 0, 0, 2, 1, 1, 1], 6, length(Field::HeaderCount, -1, 0)),
        (&[12, 0, 0, 2, 1, 1, 2], 7, Cut { field: Field::HeaderName }),
        (&[14, 0, 0, 2, 1, 1, 2, 1], 7, length(Field::HeaderName, -1, 0)),
        (&[18, 0, 0, 2, 1, 1, 2, 2, 0xff, 1], 7, HeaderNameNotUtf8),
        (&[16, 0, 0, 2, 1, 1, 2, 2, b'a'], 9, Cut { field: Field::HeaderValue }),
        (&[18, 0, 0, 2, 1, 1, 2, 2, b'a', 10], 9, length(Field::HeaderValue, 5, 0)),
        (&[16, 0, 0, 2, 1, 1, 0, 7, 7], 7, LeftOver { count: 2 }),
    ] {
        let good = batch(0, &FIRST, 1, 0);
        let buffer = [&good[..], &batch(10, &[&FIRST[..], record, &LAST].concat(), 3, 2)].concat();
        let records = RecordBatches::new(&buffer).nth(1).unwrap().unwrap().records(DEFAULT_MAX_DECOMPRESSED).unwrap();
        let read: Vec<_> = records.iter().collect();
        assert_eq!(read.len(), 3, "{kind}");
        assert_eq!(read[2].as_ref().unwrap().offset, 12, "{kind}");
        let error = read[1].as_ref().unwrap_err();
        let start = good.len() + HEADER_LEN + FIRST.len();
        assert_eq!(error.kind, kind);
        assert_eq!(position(error), (good.len(), start + place, Region::Buffer, Some(1)), "{kind}");
        assert_eq!(error.scope, DecodeErrorScope::Record { start, end: start + record.len() }, "{kind}");
        assert_eq!(records.validate().as_ref(), Err(error));
    }
}

#[test]
fn after_a_record_of_unknown_length_the_batch_is_left() {
    use DecodeErrorKind::{Cut, LeftOver, Length, MissingRecords, OffsetRange};

    let field = Field::Record;
    let good = batch(0, &FIRST, 1, 0);
    let start = good.len() + HEADER_LEN + FIRST.len();
    for (rest, count, record, kind) in [
        (&[1, 7, 7][..], 3, Some(1), Length { field, found: -1, left: 2 }),
        (&[126, 7, 7], 3, Some(1), Length { field, found: 63, left: 2 }),
        (&[0x80], 3, Some(1), Cut { field }),
        (&[], 3, Some(1), MissingRecords { missing: 2 }),
        (&[7, 7], 1, None, LeftOver { count: 2 }),
    ] {
        let buffer = [&good[..], &batch(10, &[&FIRST[..], rest].concat(), count, 2), &good].concat();
        let end = buffer.len() - good.len();
        let records = RecordBatches::new(&buffer).nth(1).unwrap().unwrap().records(DEFAULT_MAX_DECOMPRESSED).unwrap();
        let read: Vec<_> = records.iter().collect();
        assert_eq!(read.len(), 2, "{kind}");
        let error = read[1].as_ref().unwrap_err();
        assert_eq!(error.kind, kind);
        assert_eq!(position(error), (good.len(), start, Region::Buffer, record), "{kind}");
        assert_eq!(error.scope, DecodeErrorScope::Batch { end }, "{kind}");
    }
    let buffer = batch(i64::MAX, &[&FIRST[..], &LAST].concat(), 2, 2);
    let records = RecordBatches::new(&buffer).next().unwrap().unwrap().records(DEFAULT_MAX_DECOMPRESSED).unwrap();
    let error = records.iter().nth(1).unwrap().unwrap_err();
    assert_eq!(error.kind, OffsetRange { base: i64::MAX, delta: 2 });
    assert_eq!(error.at, HEADER_LEN + FIRST.len() + 3);
}

#[test]
fn validation_accepts_gaps_and_reports_offsets_that_do_not_increase_or_exceed_the_header() {
    let validated = |records: &[[u8; 7]], last: i32| {
        let buffer = batch(10, &records.concat(), records.len() as i32, last);
        let records = RecordBatches::new(&buffer).next().unwrap().unwrap().records(DEFAULT_MAX_DECOMPRESSED).unwrap();
        assert!(records.iter().all(|record| record.is_ok()));
        records.validate().map_err(|error| (error.at, error.record, error.scope, error.kind))
    };
    assert_eq!(validated(&[FIRST, LAST], 2), Ok(()));
    assert_eq!(validated(&[FIRST, LAST], 3), Ok(()));
    assert_eq!(validated(&[FIRST, [12, 0, 0, 2, 1, 1, 0], LAST], 2), Ok(()));
    let second = HEADER_LEN + FIRST.len();
    let scope = DecodeErrorScope::Record { start: second, end: second + LAST.len() };
    for (records, last, (found, least)) in
        [([FIRST, LAST], 1, (2, 1)), ([FIRST, FIRST], 2, (0, 1)), ([LAST, LAST], 2, (2, 3)), ([LAST, FIRST], 2, (0, 3))]
    {
        let kind = DecodeErrorKind::OffsetDelta { found, least, last };
        assert_eq!(validated(&records, last), Err((second, Some(1), scope, kind)));
    }
    let negative = [12, 0, 0, 1, 1, 1, 0];
    let error = validated(&[negative], 2).unwrap_err();
    assert_eq!((error.0, error.3), (HEADER_LEN, DecodeErrorKind::OffsetDelta { found: -1, least: 0, last: 2 }));
}

#[test]
fn an_invalid_message_is_reported_at_its_field_and_the_message_after_it_is_read() {
    use DecodeErrorKind::{Cut, LeftOver, Length};

    let zero = [0; 4];
    for (magic, timestamp) in [(0, 0), (1, 8)] {
        let fields = |rest: &[u8]| [&NULL_KEY[..timestamp], rest].concat();
        let good = message(magic, 0, &fields(&[&NULL[..], &NULL].concat()));
        let key_at = CRC_COVERS_FROM + 2 + timestamp;
        for (rest, place, kind) in [
            ([&[0xff, 0xff, 0xff, 0xfe][..], &NULL].concat(), key_at, Length { field: Field::Key, found: -2, left: 4 }),
            ([&[0, 0, 0, 5][..], &NULL].concat(), key_at, Length { field: Field::Key, found: 5, left: 4 }),
            ([&[0, 0, 0, 4][..], &NULL].concat(), key_at + 8, Cut { field: Field::Value }),
            (
                [&NULL[..], &[0, 0, 0, 9], &[7; 8]].concat(),
                key_at + 4,
                Length { field: Field::Value, found: 9, left: 8 },
            ),
            ([&NULL[..], &zero, &[7; 3]].concat(), key_at + 8, LeftOver { count: 3 }),
        ] {
            let damaged = message(magic, 0, &fields(&rest));
            let buffer = [&good[..], &damaged, &good].concat();
            let run = RecordBatches::new(&buffer).next().unwrap().unwrap();
            assert_eq!(run.record_count(), Some(3));
            let read = run.records(DEFAULT_MAX_DECOMPRESSED).unwrap();
            let read: Vec<_> = read.iter().collect();
            assert_eq!((read.len(), read[0].is_ok(), read[2].is_ok()), (3, true, true), "{kind}");
            let error = read[1].as_ref().unwrap_err();
            let start = good.len();
            assert_eq!(error.kind, kind);
            assert_eq!(position(error), (0, start + place, Region::Buffer, Some(1)), "{kind}");
            assert_eq!(error.scope, DecodeErrorScope::Record { start, end: start + damaged.len() }, "{kind}");
        }
    }
}

#[test]
fn errors_are_printed_with_position_and_field() {
    use DecodeErrorKind::{Cut, LeftOver};

    let field = [
        Field::Record,
        Field::Attributes,
        Field::TimestampDelta,
        Field::OffsetDelta,
        Field::Key,
        Field::Value,
        Field::HeaderCount,
        Field::HeaderName,
        Field::HeaderValue,
    ];
    assert_eq!(
        field.map(|field| field.to_string()).join(", "),
        "record, attributes, timestamp delta, offset delta, key, value, number of headers, header name, header value"
    );
    let kind = Cut { field: Field::Key };
    let record = DecodeErrorScope::Record { start: 80, end: 90 };
    let error = DecodeError { batch_at: 7, at: 84, region: Region::Buffer, record: Some(1), scope: record, kind };
    assert_eq!(error.to_string(), "at byte 84, in record 1 (80..90) of the batch at byte 7: the key is cut off");
    let batch = DecodeErrorScope::Batch { end: 99 };
    let error = DecodeError { scope: batch, region: Region::Decompressed, ..error };
    assert_eq!(
        error.to_string(),
        "at byte 84 of the decompressed records, in record 1 of the batch at bytes 7..99: the key is cut off"
    );
    let error = DecodeError { record: None, kind: LeftOver { count: 1 }, ..error };
    assert_eq!(
        error.to_string(),
        "at byte 84 of the decompressed records, in the batch at bytes 7..99: 1 byte after the last field or record"
    );
}
