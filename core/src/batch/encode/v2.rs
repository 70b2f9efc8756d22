//! Records and the batch header of magic 2 (protocol guide, "Record Batch"; KIP-98, KIP-82).

use alloc::vec::Vec;

use super::{Count, Sink};
use crate::checksum;
use crate::headers::{Form, HeaderList};
use crate::record::Record;
use crate::varint;

/// Bytes of the header: from the base offset up to the number of records.
pub(crate) const HEADER_LEN: usize = 61;

/// Where the header's fields stand.
pub(crate) mod at {
    pub(crate) const BASE_OFFSET: usize = 0;
    pub(crate) const LENGTH: usize = 8;
    pub(crate) const PARTITION_LEADER_EPOCH: usize = 12;
    pub(crate) const MAGIC: usize = 16;
    pub(crate) const CRC: usize = 17;
    pub(crate) const ATTRIBUTES: usize = 21;
    pub(crate) const LAST_OFFSET_DELTA: usize = 23;
    pub(crate) const BASE_TIMESTAMP: usize = 27;
    pub(crate) const MAX_TIMESTAMP: usize = 35;
    pub(crate) const PRODUCER_ID: usize = 43;
    pub(crate) const PRODUCER_EPOCH: usize = 51;
    pub(crate) const BASE_SEQUENCE: usize = 53;
    pub(crate) const RECORD_COUNT: usize = 57;
}

/// Bits of the attributes, beside the codec in the lowest three.
pub(crate) mod attribute {
    pub(crate) const CODEC: i16 = 0b111;
    pub(crate) const LOG_APPEND_TIME: i16 = 1 << 3;
    pub(crate) const TRANSACTIONAL: i16 = 1 << 4;
    pub(crate) const CONTROL: i16 = 1 << 5;
    pub(crate) const DELETE_HORIZON: i16 = 1 << 6;
}

/// Where a record stands in its batch: what its two deltas are counted from is the batch's business.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) timestamp_delta: i64,
    pub(crate) offset_delta: u32,
}

/// A record's bytes after its length field.
#[inline(always)]
fn body(sink: &mut impl Sink, record: &Record<'_>, place: Place) {
    fields(sink, record.key, record.value, record.headers.len(), place);
    headers(sink, record.headers);
}

#[inline(always)]
fn fields(sink: &mut impl Sink, key: Option<&[u8]>, value: Option<&[u8]>, header_count: usize, place: Place) {
    sink.put(&[0]); // attributes: none are defined
    sink.varint(varint::zigzag(place.timestamp_delta));
    sink.varint(varint::length(place.offset_delta as usize));
    nullable(sink, key);
    nullable(sink, value);
    sink.varint(varint::length(header_count));
}

#[inline(always)]
fn headers(sink: &mut impl Sink, headers: HeaderList<'_>) {
    match headers.0 {
        Form::Encoded { bytes, .. } => sink.put(bytes),
        Form::Slice(headers) => {
            for header in headers {
                nullable(sink, Some(header.name.as_bytes()));
                nullable(sink, header.value);
            }
        }
    }
}

#[inline(always)]
fn nullable(sink: &mut impl Sink, bytes: Option<&[u8]>) {
    match bytes {
        Some(bytes) => {
            sink.varint(varint::length(bytes.len()));
            sink.put(bytes);
        }
        None => sink.varint(varint::NULL),
    }
}

/// How many bytes the record has after its length field.
#[inline(always)]
pub(crate) fn body_len(record: &Record<'_>, place: Place) -> u64 {
    let mut count = Count(0);
    body(&mut count, record, place);
    count.0
}

/// A body's bytes and those of the length field in front of it.
#[inline]
pub(crate) const fn with_length_field(body_len: u64) -> u64 {
    body_len + varint::raw_len(body_len << 1) as u64
}

/// Writes a record whose body was counted as `body_len` bytes.
#[inline(always)]
pub(crate) fn write(out: &mut Vec<u8>, record: &Record<'_>, place: Place, body_len: u64) {
    write_fields(out, record.key, record.value, record.headers.len(), place, body_len);
    if !record.headers.is_empty() {
        write_headers(out, record.headers);
    }
}

// These two are for themselves, and not in each place that appends. They take their input apart, in registers: a whole
// record would first have to be put together in memory, which takes longer than to write it.
#[inline(never)]
fn write_fields(
    out: &mut Vec<u8>,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    header_count: usize,
    place: Place,
    body_len: u64,
) {
    out.varint(body_len << 1);
    fields(out, key, value, header_count, place);
}

#[inline(never)]
fn write_headers(out: &mut Vec<u8>, list: HeaderList<'_>) {
    headers(out, list);
}

/// The header's fields that are known when a batch is sealed, or that a stamp sets.
#[derive(Clone, Copy)]
pub(crate) struct Header {
    pub(crate) base_offset: i64,
    pub(crate) partition_leader_epoch: i32,
    pub(crate) attributes: i16,
    pub(crate) last_offset_delta: i32,
    pub(crate) base_timestamp: i64,
    pub(crate) max_timestamp: i64,
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) base_sequence: i32,
    pub(crate) record_count: i32,
}

/// Fills in the header in front of the records in `batch`, and its checksum: the one pass over the bytes.
pub(crate) fn write_header(batch: &mut [u8], header: &Header) {
    let length = (batch.len() - at::PARTITION_LEADER_EPOCH) as i32;
    let mut set = |place: usize, bytes: &[u8]| batch[place..place + bytes.len()].copy_from_slice(bytes);
    set(at::BASE_OFFSET, &header.base_offset.to_be_bytes());
    set(at::LENGTH, &length.to_be_bytes());
    set(at::PARTITION_LEADER_EPOCH, &header.partition_leader_epoch.to_be_bytes());
    set(at::MAGIC, &[2]);
    set(at::ATTRIBUTES, &header.attributes.to_be_bytes());
    set(at::LAST_OFFSET_DELTA, &header.last_offset_delta.to_be_bytes());
    set(at::BASE_TIMESTAMP, &header.base_timestamp.to_be_bytes());
    set(at::MAX_TIMESTAMP, &header.max_timestamp.to_be_bytes());
    set(at::PRODUCER_ID, &header.producer_id.to_be_bytes());
    set(at::PRODUCER_EPOCH, &header.producer_epoch.to_be_bytes());
    set(at::BASE_SEQUENCE, &header.base_sequence.to_be_bytes());
    set(at::RECORD_COUNT, &header.record_count.to_be_bytes());
    let crc = checksum::crc32c(&batch[at::ATTRIBUTES..]);
    batch[at::CRC..at::ATTRIBUTES].copy_from_slice(&crc.to_be_bytes());
}
