//! Records and the batch header of magic 2 (protocol guide, "Record Batch"; KIP-98, KIP-82).

use alloc::vec::Vec;

use super::{Count, Sink};
use crate::checksum;
use crate::headers::{Repr, HeaderList};
use crate::record::Record;
use crate::varint::{self, ShortVarint};

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

/// What a record has in front of its key, as it stands on the wire: the attributes, and the two deltas, of which the batch
/// knows what they are counted from. Made once, and then both counted and written.
#[derive(Clone, Copy)]
pub(crate) struct RecordPrefix {
    /// The first byte in the lowest bits. 16 bytes at most: the attributes are one, the deltas up to ten and five.
    bytes: u128,
    len: u32,
}

impl RecordPrefix {
    /// Bits of the attributes, none of which are defined.
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

/// A record's bytes after its length field.
#[inline(always)]
fn body(sink: &mut impl Sink, record: &Record<'_>, prefix: RecordPrefix) {
    sink.put_front(prefix.bytes.to_le_bytes(), prefix.len as usize);
    fields(sink, record.key, record.value, record.headers.len());
    headers(sink, record.headers);
}

#[inline(always)]
fn fields(sink: &mut impl Sink, key: Option<&[u8]>, value: Option<&[u8]>, header_count: usize) {
    // That there is no key goes in with the length of the value.
    let before_value = match key {
        Some(_) => {
            nullable(sink, key);
            ShortVarint::NOTHING
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

/// How many bytes the record has after its length field.
#[inline(always)]
pub(crate) fn body_len(record: &Record<'_>, prefix: RecordPrefix) -> u64 {
    let mut count = Count(0);
    body(&mut count, record, prefix);
    count.0
}

/// A body's bytes and those of the length field in front of it.
#[inline]
pub(crate) const fn with_length_field(body_len: u64) -> u64 {
    body_len + varint::raw_len(body_len << 1) as u64
}

/// Writes a record whose body was counted as `body_len` bytes.
#[inline(always)]
pub(crate) fn write(out: &mut Vec<u8>, record: &Record<'_>, prefix: RecordPrefix, body_len: u64) {
    write_prefix(out, prefix, body_len);
    fields(out, record.key, record.value, record.headers.len());
    if !record.headers.is_empty() {
        write_headers(out, record.headers);
    }
}

/// The length field and the prefix: eight bytes in all, or fewer, unless something about the record is unusual.
#[inline(always)]
fn write_prefix(out: &mut Vec<u8>, prefix: RecordPrefix, body_len: u64) {
    let length = body_len << 1;
    let short = ShortVarint::of(length);
    let len = short.bits / 8 + prefix.len;
    if length < ShortVarint::BOUND && len <= 8 {
        let bytes = u64::from(short.bytes) | (prefix.bytes as u64) << short.bits;
        out.put_front(bytes.to_le_bytes(), len as usize);
    } else {
        out.varint(length);
        out.put_front(prefix.bytes.to_le_bytes(), prefix.len as usize);
    }
}

// There once, for all places that append. What is above is in each of them: that makes records without headers a fifth
// cheaper.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::headers::Header;
    use alloc::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    /// Field by field, as the protocol guide has them.
    fn plainly(record: &Record<'_>, timestamp_delta: i64, offset_delta: u32) -> Vec<u8> {
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
        let mut whole = Vec::new();
        varint::write(&mut whole, body.len() as i64);
        whole.extend(body);
        whole
    }

    fn delta() -> impl Strategy<Value = i64> {
        prop_oneof![any::<i64>(), -20_000_000..20_000_000i64, Just(0), Just(i64::MIN), Just(i64::MAX)]
    }

    /// Around each place where a length becomes a byte longer, up to where it no longer is in a register.
    fn field() -> impl Strategy<Value = Option<Vec<u8>>> {
        let lengths = select(vec![0, 1, 20, 63, 64, 8191, 8192, (1 << 20) - 1, 1 << 20]);
        prop_oneof![1 => Just(None), 9 => lengths.prop_map(|length| Some(vec![7; length]))]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn what_goes_in_at_once_is_what_the_guide_has_one_by_one(
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
            prop_assert!(out[3..] == plainly(&record, timestamp_delta, offset_delta));
        }
    }
}
