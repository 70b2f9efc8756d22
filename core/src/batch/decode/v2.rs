//! Decodes magic 2: the batch header and the records.

use super::cursor::{Cursor, Fault, Read};
use super::error::{DecodeErrorKind, Field};
use crate::batch::encode::v2::{HEADER_LEN, at};
use crate::checksum;
use crate::headers::HeaderList;
use crate::record::RecordView;
use crate::time::Timestamp;

/// The header of a batch of magic 2, field by field as on the wire (protocol guide, "Record Batch").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchHeader {
    /// Offset of the first record.
    pub base_offset: i64,
    /// Epoch of the partition's leader; −1 from producers.
    pub partition_leader_epoch: i32,
    /// CRC-32C from the attributes to the end.
    pub crc: u32,
    /// Codec, timestamp type, transactional, control and delete-horizon bits.
    pub attributes: i16,
    /// Offset of the last record minus that of the first; compaction keeps it. Some writers (old versions of Sarama)
    /// leave 0 here for any number of records. Decoding records does not use it, nor does Java's.
    pub last_offset_delta: i32,
    /// The timestamp to which the records' timestamp deltas are added, in ms; the delete horizon if that bit is set.
    pub base_timestamp: i64,
    /// The largest timestamp, in ms; with log-append time, the timestamp of every record.
    pub max_timestamp: i64,
    /// The producer's id, or −1.
    pub producer_id: i64,
    /// The producer's epoch, or −1.
    pub producer_epoch: i16,
    /// The sequence number of the first record, or −1.
    pub base_sequence: i32,
    /// The number of records; after compaction it can be less than the number of offsets.
    pub record_count: u32,
}

/// Decodes the header of the complete batch `batch` and verifies its checksum.
pub(super) fn header(batch: &[u8]) -> Read<BatchHeader> {
    let fault = |at, kind| Err(Fault { at, kind });
    let header = BatchHeader {
        base_offset: i64::from_be_bytes(field(batch, at::BASE_OFFSET)),
        partition_leader_epoch: i32::from_be_bytes(field(batch, at::PARTITION_LEADER_EPOCH)),
        crc: u32::from_be_bytes(field(batch, at::CRC)),
        attributes: i16::from_be_bytes(field(batch, at::ATTRIBUTES)),
        last_offset_delta: i32::from_be_bytes(field(batch, at::LAST_OFFSET_DELTA)),
        base_timestamp: i64::from_be_bytes(field(batch, at::BASE_TIMESTAMP)),
        max_timestamp: i64::from_be_bytes(field(batch, at::MAX_TIMESTAMP)),
        producer_id: i64::from_be_bytes(field(batch, at::PRODUCER_ID)),
        producer_epoch: i16::from_be_bytes(field(batch, at::PRODUCER_EPOCH)),
        base_sequence: i32::from_be_bytes(field(batch, at::BASE_SEQUENCE)),
        record_count: 0,
    };
    let computed = checksum::crc32c(&batch[at::ATTRIBUTES..]);
    if computed != header.crc {
        return fault(at::CRC, DecodeErrorKind::Checksum { stored: header.crc, computed });
    }
    let count = i32::from_be_bytes(field(batch, at::RECORD_COUNT));
    match u32::try_from(count) {
        Ok(record_count) => Ok(BatchHeader { record_count, ..header }),
        Err(_) => fault(at::RECORD_COUNT, DecodeErrorKind::RecordCount(count)),
    }
}

/// Returns the header field at `place`. The caller has checked that `batch` is at least a header long.
fn field<const N: usize>(batch: &[u8], place: usize) -> [u8; N] {
    const { assert!(N <= HEADER_LEN) };
    let mut field = [0; N];
    field.copy_from_slice(&batch[place..place + N]);
    field
}

/// Decoding state of a batch's records: the bases of their deltas, and the number of records left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sequence {
    pub(super) base_offset: i64,
    pub(super) base_timestamp: i64,
    /// With log-append time, the timestamp of every record.
    pub(super) append_time: Option<Timestamp>,
    pub(super) remaining: u32,
}

impl Sequence {
    /// Decodes the next record of `payload`, the batch's decompressed records. Advances `position` past the record if its
    /// length is valid, even if the record is otherwise invalid.
    ///
    /// With `LENIENT`, header names are not checked to be UTF-8.
    #[inline(always)]
    pub(super) fn read<'a, const LENIENT: bool>(
        &mut self,
        payload: &'a [u8],
        position: &mut usize,
    ) -> Read<RecordView<'a>> {
        let mut cursor = Cursor::new(payload, *position);
        if cursor.left() == 0 {
            return Err(cursor.fault(DecodeErrorKind::MissingRecords { missing: self.remaining }));
        }
        let length_at = cursor.position();
        let length = cursor.varint(Field::Record)?;
        let start = cursor.position();
        let end = start + cursor.take(length, length_at, Field::Record)?.len();
        *position = end;
        self.remaining -= 1;
        let mut cursor = Cursor::new(&payload[..end], start);
        cursor.array::<1>(Field::Attributes)?;
        let timestamp_delta = cursor.varlong(Field::TimestampDelta)?;
        let offset = self.offset(&mut cursor)?;
        let key = cursor.nullable::<LENIENT>(Field::Key)?;
        let value = cursor.nullable::<LENIENT>(Field::Value)?;
        let headers = headers::<LENIENT>(&mut cursor)?;
        if cursor.left() > 0 {
            return Err(cursor.fault(DecodeErrorKind::LeftOver { count: cursor.left() }));
        }
        // Wraps, as writers' arithmetic does: see the encoder.
        let own = Timestamp::from_millis(self.base_timestamp.wrapping_add(timestamp_delta));
        Ok(RecordView { offset, timestamp: self.append_time.unwrap_or(own), key, value, headers })
    }

    /// Decodes the offset delta and adds it to the base offset. As in Java's `DefaultRecord`, the delta is not checked
    /// against the header's last offset delta or the preceding record.
    #[inline(always)]
    fn offset(&self, cursor: &mut Cursor<'_>) -> Read<i64> {
        let at = cursor.position();
        let found = cursor.varint(Field::OffsetDelta)?;
        let (base, delta) = (self.base_offset, i64::from(found));
        base.checked_add(delta).ok_or(Fault { at, kind: DecodeErrorKind::OffsetRange { base, delta } })
    }
}

/// Validates the headers of a record, so that iterating the returned list cannot fail. With `LENIENT`, names are not
/// checked to be UTF-8.
#[inline(always)]
fn headers<'a, const LENIENT: bool>(cursor: &mut Cursor<'a>) -> Read<HeaderList<'a>> {
    let count_at = cursor.position();
    let found = cursor.varint(Field::HeaderCount)?;
    let start = cursor.position();
    let Ok(count) = u32::try_from(found) else {
        let kind = DecodeErrorKind::Length { field: Field::HeaderCount, found: i64::from(found), left: cursor.left() };
        return Err(Fault { at: count_at, kind });
    };
    for _ in 0..count {
        let name_at = cursor.position();
        let length = cursor.varint(Field::HeaderName)?;
        let name = cursor.take(length, name_at, Field::HeaderName)?;
        if !LENIENT && !name.is_ascii() && core::str::from_utf8(name).is_err() {
            return Err(Fault { at: name_at, kind: DecodeErrorKind::HeaderNameNotUtf8 });
        }
        cursor.nullable::<LENIENT>(Field::HeaderValue)?;
    }
    Ok(HeaderList::encoded(count, cursor.since(start)))
}
