//! Records and the batch header of magic 2 (protocol guide, "Record Batch"; KIP-98, KIP-82).

use alloc::vec::Vec;

use super::{ByteCounter, Sink};
use crate::checksum;
use crate::headers::{HeaderList, Repr};
use crate::record::Record;
use crate::varint::{self, ShortVarint};

/// The size of the batch header in bytes, from the base offset to the number of records.
pub(crate) const HEADER_LEN: usize = 61;

/// The positions of the header's fields.
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

/// Bits of the attributes. The lowest three hold the codec.
pub(crate) mod attribute {
    pub(crate) const CODEC: i16 = 0b111;
    pub(crate) const LOG_APPEND_TIME: i16 = 1 << 3;
    pub(crate) const TRANSACTIONAL: i16 = 1 << 4;
    pub(crate) const CONTROL: i16 = 1 << 5;
    pub(crate) const DELETE_HORIZON: i16 = 1 << 6;
}

/// The encoded fields of a record between its length and its key: attributes, timestamp delta and offset delta.
///
/// Encoded once, and used both to count and to write the record.
#[derive(Clone, Copy)]
pub(crate) struct RecordPrefix {
    /// The first byte is in the lowest bits. At most 16 bytes: one of attributes, up to ten and five of deltas.
    bytes: u128,
    len: u32,
}

impl RecordPrefix {
    /// The width of the attributes in bits. The guide defines none of them, so they are 0.
    const ATTRIBUTES: u32 = 8;

    #[inline(always)]
    pub(crate) fn new(timestamp_delta: i64, offset_delta: u32) -> Self {
        let (timestamp, offset) = (varint::zigzag(timestamp_delta), varint::length(offset_delta as usize));
        if timestamp.max(offset) >= ShortVarint::BOUND {
            return Self::long(timestamp, offset);
        }
        let (timestamp, offset) = (ShortVarint::of(timestamp), ShortVarint::of(offset));
        let bits = Self::ATTRIBUTES + timestamp.bits;
        let bytes = u64::from(timestamp.bytes) << Self::ATTRIBUTES | u64::from(offset.bytes) << bits;
        Self { bytes: bytes.into(), len: (bits + offset.bits) / 8 }
    }

    #[cold]
    #[inline(never)]
    fn long(timestamp: u64, offset: u64) -> Self {
        let (mut bytes, mut bits) = (0, Self::ATTRIBUTES);
        let mut put = |byte: u8| {
            bytes |= u128::from(byte) << bits;
            bits += 8;
        };
        for mut rest in [timestamp, offset] {
            while rest >= 0x80 {
                put(rest as u8 | 0x80);
                rest >>= 7;
            }
            put(rest as u8);
        }
        Self { bytes, len: bits / 8 }
    }
}

/// Encodes a record without its length field.
#[inline(always)]
fn body(sink: &mut impl Sink, record: &Record<'_>, prefix: RecordPrefix) {
    sink.put_prefix(prefix.bytes.to_le_bytes(), prefix.len as usize);
    fields(sink, record.key, record.value, record.headers.len());
    headers(sink, record.headers);
}

#[inline(always)]
fn fields(sink: &mut impl Sink, key: Option<&[u8]>, value: Option<&[u8]>, header_count: usize) {
    // The length of a null key is written in one store with the length of the value.
    let before_value = match key {
        Some(_) => {
            nullable(sink, key);
            ShortVarint::EMPTY
        }
        None => ShortVarint::NULL,
    };
    match value.map(|value| (value, varint::length(value.len()))) {
        Some((value, length)) if length < ShortVarint::BOUND => {
            sink.put_short(before_value.then(ShortVarint::of(length)));
            sink.put(value);
        }
        _ => {
            sink.put_short(before_value);
            nullable(sink, value);
        }
    }
    sink.varint(varint::length(header_count));
}

#[inline(always)]
fn headers(sink: &mut impl Sink, headers: HeaderList<'_>) {
    match headers.0 {
        Repr::Encoded { bytes, .. } => sink.put(bytes),
        Repr::Slice(headers) => {
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

/// Returns the number of bytes of the record after its length field.
#[inline(always)]
pub(crate) fn body_len(record: &Record<'_>, prefix: RecordPrefix) -> u64 {
    let mut count = ByteCounter(0);
    body(&mut count, record, prefix);
    count.0
}

/// Returns the number of bytes of a record whose length field says `body_len`, that field included.
#[inline]
pub(crate) const fn with_length_field(body_len: u64) -> u64 {
    body_len + varint::raw_len(body_len << 1) as u64
}

/// Writes a record, of which [`body_len`] was counted before.
#[inline(always)]
pub(crate) fn write(out: &mut Vec<u8>, record: &Record<'_>, prefix: RecordPrefix, body_len: u64) {
    write_length_and_prefix(out, prefix, body_len);
    fields(out, record.key, record.value, record.headers.len());
    if !record.headers.is_empty() {
        write_headers(out, record.headers);
    }
}

/// Writes the length field and the prefix. For usual records these are eight bytes or fewer, which take one store.
#[inline(always)]
fn write_length_and_prefix(out: &mut Vec<u8>, prefix: RecordPrefix, body_len: u64) {
    let length = body_len << 1;
    let short = ShortVarint::of(length);
    let len = short.bits / 8 + prefix.len;
    if length < ShortVarint::BOUND && len <= 8 {
        let bytes = u64::from(short.bytes) | (prefix.bytes as u64) << short.bits;
        out.put_prefix(bytes.to_le_bytes(), len as usize);
    } else {
        out.varint(length);
        out.put_prefix(prefix.bytes.to_le_bytes(), prefix.len as usize);
    }
}

// Not inlined, unlike the functions above: that makes appending records without headers a fifth faster.
#[inline(never)]
fn write_headers(out: &mut Vec<u8>, list: HeaderList<'_>) {
    headers(out, list);
}

/// The fields of the batch header that the records or the stamp determine.
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

/// Writes the header in front of the records in `batch`, with the checksum, which takes one pass over the bytes.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::headers::Header;
    use alloc::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    /// Encodes a record field by field, as the protocol guide lists them.
    fn field_by_field(record: &Record<'_>, timestamp_delta: i64, offset_delta: u32) -> Vec<u8> {
        let mut body = vec![0];
        varint::write(&mut body, timestamp_delta);
        varint::write(&mut body, offset_delta.into());
        varint::write_bytes(&mut body, record.key);
        varint::write_bytes(&mut body, record.value);
        varint::write(&mut body, record.headers.len() as i64);
        for header in record.headers.iter() {
            varint::write_bytes(&mut body, Some(header.name.as_bytes()));
            varint::write_bytes(&mut body, header.value);
        }
        let mut encoded = Vec::new();
        varint::write(&mut encoded, body.len() as i64);
        encoded.extend(body);
        encoded
    }

    fn delta() -> impl Strategy<Value = i64> {
        prop_oneof![any::<i64>(), -20_000_000..20_000_000i64, Just(0), Just(i64::MIN), Just(i64::MAX)]
    }

    /// Lengths around each value at which the varint grows by a byte, up to one that does not fit a `ShortVarint`.
    fn field() -> impl Strategy<Value = Option<Vec<u8>>> {
        let lengths = select(vec![0, 1, 20, 63, 64, 8191, 8192, (1 << 20) - 1, 1 << 20]);
        prop_oneof![1 => Just(None), 9 => lengths.prop_map(|length| Some(vec![7; length]))]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
       fn wide_stores_write_the_same_bytes_as_field_by_field(
            key in field(),
            value in field(),
            timestamp_delta in delta(),
            offset_delta in prop_oneof![0..3_000_000u32, 0..=i32::MAX as u32],
            header_count in select(vec![0, 1, 63, 64, 65]),
        ) {
            let headers = vec![Header { name: "n", value: None }; header_count];
            let (key, value, headers) = (key.as_deref(), value.as_deref(), HeaderList::from(&headers[..]));
            let record = Record { key, value, headers, timestamp: None };
            let prefix = RecordPrefix::new(timestamp_delta, offset_delta);
            let body_len = body_len(&record, prefix);
            let mut out = vec![1, 2, 3];
            write(&mut out, &record, prefix, body_len);
            prop_assert_eq!(out.len() as u64 - 3, with_length_field(body_len));
            prop_assert!(out[3..] == field_by_field(&record, timestamp_delta, offset_delta));
        }
    }

    /// Where the length field of a record becomes longer, which is the bound of the short fields.
    #[test]
    fn lengths_of_records_at_each_bound_are_written_as_field_by_field() {
        for (body, prefix_len) in
            [(63, 3), (64, 3), (8_191, 3), (8_192, 3), ((1 << 20) - 1, 3), (1 << 20, 3), (1 << 20, 12)]
        {
            let timestamp_delta = if prefix_len == 3 { 0 } else { i64::MAX };
            let prefix = RecordPrefix::new(timestamp_delta, 0);
            let others = |value_len: usize| body_len(&Record::new(&vec![0; value_len]), prefix) as usize - value_len;
            let value = vec![7; body - others(body - others(body))];
            let record = Record::new(&value[..]);
            assert_eq!((prefix.len, body_len(&record, prefix)), (prefix_len, body as u64));
            let mut out = Vec::new();
            write(&mut out, &record, prefix, body as u64);
            assert!(out == field_by_field(&record, timestamp_delta, 0), "{body}");
        }
    }
}
