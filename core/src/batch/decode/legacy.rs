//! Decodes magic 0 and 1: messages, and the wrapper message around compressed ones.

use super::cursor::{Cursor, Fault, Read};
use super::error::{DecodeErrorKind, Field};
use super::{SHORTEST, length_error};
use crate::batch::encode::legacy::{CRC_COVERS_FROM, PREFIX_LEN, overhead};
use crate::checksum;
use crate::headers::HeaderList;
use crate::magic::Magic;
use crate::record::RecordView;
use crate::time::Timestamp;

/// A decoded message whose checksum is not verified here.
#[derive(Clone, Copy, Debug)]
pub(super) struct RawMessage<'a> {
    pub(super) magic: i8,
    pub(super) attributes: i8,
    pub(super) timestamp: Timestamp,
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
}

/// Returns the offset of the message at `position` and the position of its end.
pub(super) fn frame(bytes: &[u8], position: usize) -> Read<(i64, usize)> {
    let mut cursor = Cursor::new(bytes, position);
    let offset = i64::from_be_bytes(cursor.array(Field::Record)?);
    let size_at = cursor.position();
    let size = i32::from_be_bytes(cursor.array(Field::Record)?);
    if size < SHORTEST {
        return Err(Fault { at: size_at, kind: length_error(size, Magic::V0, SHORTEST) });
    }
    cursor.take(size, size_at, Field::Record)?;
    Ok((offset, cursor.position()))
}

/// Verifies the checksum of the message from `position` to `end`, as delimited by [`frame`].
#[inline]
pub(super) fn check(bytes: &[u8], position: usize, end: usize) -> Read<()> {
    let stored = u32::from_be_bytes(Cursor::new(&bytes[..end], position + PREFIX_LEN).array(Field::Record)?);
    let computed = checksum::crc32(&bytes[position + CRC_COVERS_FROM..end]);
    if stored == computed {
        return Ok(());
    }
    Err(Fault { at: position + PREFIX_LEN, kind: DecodeErrorKind::Checksum { stored, computed } })
}

/// Decodes the message from `position` to `end`, as delimited by [`frame`].
#[inline]
pub(super) fn message<const LENIENT: bool>(bytes: &[u8], position: usize, end: usize) -> Read<RawMessage<'_>> {
    let mut cursor = Cursor::new(&bytes[..end], position + CRC_COVERS_FROM);
    let [magic, attributes] = cursor.array(Field::Attributes)?.map(|byte: u8| byte as i8);
    let timestamp = match magic {
        0 => Timestamp::NO_TIMESTAMP,
        _ => Timestamp::from_millis(i64::from_be_bytes(cursor.array(Field::TimestampDelta)?)),
    };
    let key = cursor.nullable_fixed::<LENIENT>(Field::Key)?;
    let value = cursor.nullable_fixed::<LENIENT>(Field::Value)?;
    if !LENIENT && cursor.left() > 0 {
        return Err(cursor.fault(DecodeErrorKind::LeftOver { count: cursor.left() }));
    }
    Ok(RawMessage { magic, attributes, timestamp, key, value })
}

/// Returns the length of the message at the start of `bytes`, if it is complete, has this format and these attributes,
/// and its checksum matches. Its fields are validated later, when it is decoded.
#[inline(always)]
pub(super) fn matching_message_len(bytes: &[u8], magic: Magic, attributes: i8) -> Option<usize> {
    let &[_, _, _, _, _, _, _, _, s0, s1, s2, s3, c0, c1, c2, c3, its_magic, its_attributes] = bytes.first_chunk()?;
    if its_magic as i8 != magic.id() || its_attributes as i8 != attributes {
        return None;
    }
    let len = usize::try_from(i32::from_be_bytes([s0, s1, s2, s3])).ok()?.checked_add(PREFIX_LEN)?;
    let message = bytes.get(..len).filter(|_| len >= overhead(magic))?;
    (checksum::crc32(&message[CRC_COVERS_FROM..]) == u32::from_be_bytes([c0, c1, c2, c3])).then_some(len)
}

/// Decodes the message at the start of `bytes`, which [`matching_message_len`] has verified, and returns it with its
/// length. `None` if its field lengths do not match the message length; [`message`] then returns the error.
#[inline(always)]
fn decode_verified(bytes: &[u8], magic: Magic) -> Option<(RecordView<'_>, usize)> {
    let &[o0, o1, o2, o3, o4, o5, o6, o7, s0, s1, s2, s3] = bytes.first_chunk()?;
    let len = usize::try_from(i32::from_be_bytes([s0, s1, s2, s3])).ok()?.checked_add(PREFIX_LEN)?;
    let mut fields = bytes.get(CRC_COVERS_FROM + 2..len)?;
    let mut timestamp = Timestamp::NO_TIMESTAMP;
    if magic.has_timestamps() {
        let millis;
        (millis, fields) = fields.split_first_chunk()?;
        timestamp = Timestamp::from_millis(i64::from_be_bytes(*millis));
    }
    let (key, fields) = nullable(fields)?;
    let (value, fields) = nullable(fields)?;
    let offset = i64::from_be_bytes([o0, o1, o2, o3, o4, o5, o6, o7]);
    fields.is_empty().then_some((RecordView { offset, timestamp, key, value, headers: HeaderList::EMPTY }, len))
}

/// Splits off nullable bytes with a 32-bit length prefix; returns them and the rest.
#[inline(always)]
fn nullable(bytes: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    match i32::from_be_bytes(*length) {
        -1 => Some((None, rest)),
        length => rest.split_at_checked(usize::try_from(length).ok()?).map(|(bytes, rest)| (Some(bytes), rest)),
    }
}

/// Decoding parameters of a batch's messages: the base of their offsets, and their timestamp.
#[derive(Clone, Copy, Debug)]
pub(super) struct Messages {
    pub(super) magic: Magic,
    /// Added to each message's own offset.
    pub(super) base_offset: i64,
    /// With log-append time, the timestamp of every inner message.
    pub(super) append_time: Option<Timestamp>,
    /// Whether checksums, formats and attributes must still be verified. Those of an uncompressed run were verified when
    /// its end was searched for.
    pub(super) unchecked: bool,
}

impl Messages {
    /// Returns the message at `position` and its length, if its checksum was verified before and its field lengths are
    /// consistent. Fast path without the checks of [`read_and_check`](Self::read_and_check).
    #[inline(always)]
    pub(super) fn next_verified<'a>(&self, payload: &'a [u8], position: usize) -> Option<(RecordView<'a>, usize)> {
        if self.unchecked { None } else { decode_verified(&payload[position..], self.magic) }
    }

    /// Decodes the next message of `payload`. Advances `position` past the message if its length is valid, even if the
    /// message is otherwise invalid.
    #[inline(never)]
    pub(super) fn read_and_check<'a, const LENIENT: bool>(
        &self,
        payload: &'a [u8],
        position: &mut usize,
    ) -> Read<RecordView<'a>> {
        let start = *position;
        let (offset, end) = frame(payload, start)?;
        *position = end;
        if self.unchecked {
            check(payload, start, end)?;
        }
        let message = message::<LENIENT>(payload, start, end)?;
        let fault = |at, kind| Err(Fault { at, kind });
        if message.magic != self.magic.id() && !(LENIENT && matches!(message.magic, 0 | 1)) {
            return fault(
                start + CRC_COVERS_FROM,
                DecodeErrorKind::InnerMagic { found: message.magic, expected: self.magic },
            );
        }
        if message.attributes & crate::batch::encode::legacy::attribute::CODEC != 0 {
            return fault(start + CRC_COVERS_FROM + 1, DecodeErrorKind::NestedCompression);
        }
        let (base, delta) = (self.base_offset, offset);
        let Some(offset) = base.checked_add(delta) else {
            return fault(start, DecodeErrorKind::OffsetRange { base, delta });
        };
        Ok(RecordView {
            offset,
            timestamp: self.append_time.unwrap_or(message.timestamp),
            key: message.key,
            value: message.value,
            headers: HeaderList::EMPTY,
        })
    }
}

/// Returns the base of the offsets inside a wrapper message. Magic 0 has absolute offsets. In magic 1 the wrapper has the
/// offset of the last inner message (KIP-31); some producers leave 0 there, and the inner offsets are then absolute
/// (`AbstractLegacyRecordBatch.DeepRecordsIterator` of the Java client).
///
/// If the last inner message is incomplete, the base cannot be determined, and this is an error. Java's client (4.4.0)
/// computes it from the last complete message instead, and thus assigns every record the offset of a later one.
pub(super) fn inner_base_offset(magic: Magic, wrapper_offset: i64, payload: &[u8]) -> Read<i64> {
    if payload.is_empty() {
        return Err(Fault { at: 0, kind: DecodeErrorKind::EmptyWrapper });
    }
    if magic == Magic::V0 || wrapper_offset == 0 {
        return Ok(0);
    }
    let mut last = 0;
    let mut position = 0;
    while position < payload.len() {
        let (offset, end) = frame(payload, position)?;
        last = offset;
        position = end;
    }
    match wrapper_offset.checked_sub(last) {
        Some(base @ 0..) => Ok(base),
        _ => {
            let kind = DecodeErrorKind::OffsetRange { base: wrapper_offset, delta: last.saturating_neg() };
            Err(Fault { at: 0, kind })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::BatchOptions;
    use crate::batch::decode::{DEFAULT_MAX_DECOMPRESSED, DecodeErrorScope, RecordBatches};
    use crate::magic::MagicChoice;
    use crate::record::Record;

    /// A run ends at a message with another format or other attributes. A message of the run whose field lengths are
    /// inconsistent is an error when iteration reaches it, and the message after it is decoded.
    #[test]
    fn a_message_with_inconsistent_field_lengths_is_an_error_at_its_position() {
        for magic in [Magic::V0, Magic::V1] {
            let options = BatchOptions::default().magic(MagicChoice::Pinned(magic));
            let mut batch = options.build(Timestamp::from_millis(1)).unwrap();
            batch.extend(["first", "second", "third"].map(|value| Record::new(value).key("key"))).unwrap();
            let mut bytes = batch.seal().unwrap().without_producer_id().bytes().to_vec();
            let second = frame(&bytes, 0).unwrap().1;
            let third = frame(&bytes, second).unwrap().1;
            let key_length = second + overhead(magic) - 8;
            for wrong in [-2, 100, i32::MAX] {
                bytes[key_length..][..4].copy_from_slice(&i32::to_be_bytes(wrong));
                let sum = checksum::crc32(&bytes[second + CRC_COVERS_FROM..third]);
                bytes[second + PREFIX_LEN..][..4].copy_from_slice(&sum.to_be_bytes());

                let mut batches = RecordBatches::new(&bytes);
                let run = batches.next().unwrap().unwrap();
                assert_eq!((run.record_count(), batches.next().is_none()), (Some(3), true));
                let records = run.records(DEFAULT_MAX_DECOMPRESSED).unwrap();
                let mut records = records.iter();
                assert_eq!(records.next().unwrap().unwrap().value, Some(&b"first"[..]));
                let error = records.next().unwrap().unwrap_err();
                assert_eq!((error.batch_at, error.record), (0, Some(1)), "{error}");
                assert_eq!(error.scope, DecodeErrorScope::Record { start: second, end: third });
                assert!((second..third).contains(&error.at), "{error}");
                assert_eq!(records.next().unwrap().unwrap().value, Some(&b"third"[..]));
                assert!(records.next().is_none());
            }
        }
    }

    #[test]
    fn only_a_message_of_the_same_format_with_the_same_attributes_continues_a_run() {
        for (magic, other) in [(Magic::V0, Magic::V1), (Magic::V1, Magic::V0)] {
            let options = BatchOptions::default().magic(MagicChoice::Pinned(magic));
            let mut batch = options.build(Timestamp::from_millis(1)).unwrap();
            batch.extend([Record::new("value")]).unwrap();
            let bytes = batch.seal().unwrap().without_producer_id().bytes().to_vec();
            assert_eq!(matching_message_len(&bytes, magic, 0), Some(bytes.len()));
            assert_eq!(matching_message_len(&bytes, other, 0), None);
            assert_eq!(matching_message_len(&bytes, magic, 8), None);
            assert_eq!(matching_message_len(&bytes[..bytes.len() - 1], magic, 0), None, "it is incomplete");
            let mut damaged = bytes;
            *damaged.last_mut().unwrap() ^= 1;
            assert_eq!(matching_message_len(&damaged, magic, 0), None, "its checksum is wrong");
        }
    }

    /// Otherwise each message of a run would be checked a second time.
    #[test]
    fn the_messages_of_a_run_are_decoded_without_another_check() {
        for magic in [Magic::V0, Magic::V1] {
            let options = BatchOptions::default().magic(MagicChoice::Pinned(magic));
            let mut batch = options.build(Timestamp::from_millis(5)).unwrap();
            let records = [Record::new("value").key("key"), Record::default(), Record::new("").key("")];
            batch.extend(records).unwrap();
            let bytes = batch.seal().unwrap().without_producer_id().bytes().clone();
            let messages = Messages { magic, base_offset: 0, append_time: None, unchecked: false };
            let mut position = 0;
            for (offset, record) in records.iter().enumerate() {
                let (view, len) = messages.next_verified(&bytes, position).unwrap();
                assert_eq!((view.offset, view.key, view.value), (offset as i64, record.key, record.value));
                assert_eq!(view.timestamp.millis(), if magic == Magic::V1 { 5 } else { -1 });
                position += len;
            }
            assert_eq!(position, bytes.len());
            let unchecked = Messages { unchecked: true, ..messages };
            assert!(unchecked.next_verified(&bytes, 0).is_none());
        }
    }

    /// A message with a null key and this value.
    #[cfg(feature = "gzip")]
    fn message_with(offset: i64, magic: i8, attributes: u8, value: &[u8]) -> alloc::vec::Vec<u8> {
        let mut bytes = offset.to_be_bytes().to_vec();
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(&[magic as u8, attributes]);
        if magic == 1 {
            bytes.extend_from_slice(&[0; 8]);
        }
        bytes.extend_from_slice(&[0xff; 4]);
        bytes.extend_from_slice(&(value.len() as i32).to_be_bytes());
        bytes.extend_from_slice(value);
        let (size, crc) = ((bytes.len() - PREFIX_LEN) as i32, checksum::crc32(&bytes[CRC_COVERS_FROM..]));
        bytes[8..PREFIX_LEN].copy_from_slice(&size.to_be_bytes());
        bytes[PREFIX_LEN..CRC_COVERS_FROM].copy_from_slice(&crc.to_be_bytes());
        bytes
    }

    #[cfg(feature = "gzip")]
    #[test]
    fn an_invalid_message_in_a_compressed_one_is_reported_at_its_position_after_decompression() {
        use crate::batch::decode::Region;

        let plain = |offset| message_with(offset, 1, 0, b"value");
        let mut damaged = plain(1);
        *damaged.last_mut().unwrap() ^= 1;
        let (stored, computed) = (checksum::crc32(&plain(1)[16..]), checksum::crc32(&damaged[16..]));
        for (inner, place, kind) in [
            (message_with(1, 0, 0, b"value"), 16, DecodeErrorKind::InnerMagic { found: 0, expected: Magic::V1 }),
            (message_with(1, 1, 1, b"value"), 17, DecodeErrorKind::NestedCompression),
            (plain(i64::MAX), 0, DecodeErrorKind::OffsetRange { base: 98, delta: i64::MAX }),
            (damaged, 12, DecodeErrorKind::Checksum { stored, computed }),
        ] {
            let payload = [&plain(0)[..], &inner, &plain(2)].concat();
            let mut wire = alloc::vec::Vec::new();
            crate::Compression::gzip().compress(Magic::V1, &payload, &mut wire).unwrap();
            let bytes = message_with(100, 1, 1, &wire);
            let batch = RecordBatches::new(&bytes).next().unwrap().unwrap();
            assert_eq!(batch.base_offset(), None);
            let records = batch.records(DEFAULT_MAX_DECOMPRESSED).unwrap();
            let read: alloc::vec::Vec<_> = records.iter().collect();
            assert_eq!((read.len(), read[0].as_ref().unwrap().offset), (3, 98), "{kind}");
            assert_eq!(read[2].as_ref().unwrap().offset, 100, "{kind}");
            let error = read[1].as_ref().unwrap_err();
            let start = plain(0).len();
            assert_eq!(error.kind, kind);
            assert_eq!((error.at, error.region, error.record), (start + place, Region::Decompressed, Some(1)));
            assert_eq!(error.scope, DecodeErrorScope::Record { start, end: start + inner.len() });
        }
    }
}
