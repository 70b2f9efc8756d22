//! A decoded batch: its header fields and access to its records.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use core::fmt;
use core::ops::Range;

use super::cursor::Fault;
use super::error::{DecodeError, DecodeErrorKind, Region};
use super::records::{Layout, Place, Records};
use super::{BatchHeader, legacy, v2};
use crate::batch::encode::legacy::attribute as legacy_attribute;
use crate::batch::encode::v2::{HEADER_LEN, attribute};
use crate::compression::Codec;
use crate::magic::Magic;
use crate::time::Timestamp;

/// A decoded batch: header and checksum are verified, the records are not decompressed or decoded yet.
///
/// In magic 0 and 1 a compressed message is one batch, and a run of uncompressed messages with equal attributes is one
/// batch too.
#[derive(Clone)]
pub struct RecordBatch<'a> {
    pub(super) position: Range<usize>,
    pub(super) bytes: &'a [u8],
    pub(super) codec: Codec,
    pub(super) kind: Kind<'a>,
}

#[derive(Clone, Debug)]
pub(super) enum Kind<'a> {
    V2(BatchHeader),
    Plain { magic: Magic, attributes: i8, count: u32, first_offset: i64 },
    Wrapper { magic: Magic, attributes: i8, offset: i64, timestamp: Timestamp, compressed: &'a [u8] },
}

/// The meaning of the timestamps of a batch's records (KIP-32).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
// Exhaustive on purpose: it is one bit of the attributes.
pub enum TimestampType {
    /// The time at which the producer created the record.
    CreateTime,
    /// The time at which the broker appended the batch.
    LogAppendTime,
}

/// Omits the bytes: they are application data and can be large.
impl fmt::Debug for RecordBatch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("RecordBatch");
        text.field("magic", &self.magic()).field("codec", &self.codec).field("position", &self.position);
        text.finish_non_exhaustive()
    }
}

impl<'a> RecordBatch<'a> {
    /// Returns the byte range of the batch in the buffer.
    #[must_use]
    pub fn position(&self) -> Range<usize> {
        self.position.clone()
    }

    /// Returns the bytes of the batch, as they are in the buffer.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Returns the format.
    #[must_use]
    pub const fn magic(&self) -> Magic {
        match self.kind {
            Kind::V2(_) => Magic::V2,
            Kind::Plain { magic, .. } | Kind::Wrapper { magic, .. } => magic,
        }
    }

    /// Returns the codec with which the records are compressed.
    #[must_use]
    pub const fn codec(&self) -> Codec {
        self.codec
    }

    /// Returns the attributes as on the wire. All messages of an uncompressed run of magic 0 or 1 have the same ones.
    #[must_use]
    pub const fn attributes(&self) -> i16 {
        match self.kind {
            Kind::V2(header) => header.attributes,
            Kind::Plain { attributes, .. } | Kind::Wrapper { attributes, .. } => attributes as i16,
        }
    }

    /// Returns the header of a magic 2 batch; `None` in magic 0 and 1.
    #[must_use]
    pub const fn header(&self) -> Option<&BatchHeader> {
        match &self.kind {
            Kind::V2(header) => Some(header),
            Kind::Plain { .. } | Kind::Wrapper { .. } => None,
        }
    }

    /// Returns the meaning of the timestamps; `None` in magic 0, which has no timestamps.
    #[must_use]
    pub fn timestamp_type(&self) -> Option<TimestampType> {
        let log_append_time = match self.kind {
            Kind::V2(header) => header.attributes & attribute::LOG_APPEND_TIME != 0,
            Kind::Plain { magic, attributes, .. } | Kind::Wrapper { magic, attributes, .. } => {
                if !magic.has_timestamps() {
                    return None;
                }
                attributes & legacy_attribute::LOG_APPEND_TIME != 0
            }
        };
        Some(if log_append_time { TimestampType::LogAppendTime } else { TimestampType::CreateTime })
    }

    /// Returns `true` if the batch is part of a transaction.
    #[must_use]
    pub fn is_transactional(&self) -> bool {
        self.has(attribute::TRANSACTIONAL)
    }

    /// Returns `true` if the records are control records, written by a broker: see
    /// [`RecordView::control`](crate::decode::RecordView::control).
    #[must_use]
    pub fn is_control(&self) -> bool {
        self.has(attribute::CONTROL)
    }

    /// Returns the time from which the log cleaner may remove the tombstones and transaction markers of this batch;
    /// `None` if no log cleaner has set it (KIP-534).
    #[must_use]
    pub fn delete_horizon(&self) -> Option<Timestamp> {
        let header = self.header().filter(|_| self.has(attribute::DELETE_HORIZON))?;
        Some(Timestamp::from_millis(header.base_timestamp))
    }

    fn has(&self, bit: i16) -> bool {
        self.header().is_some_and(|header| header.attributes & bit != 0)
    }

    /// Returns the offset of the first record from the header; `None` for compressed messages of magic 0 and 1, where
    /// only the records have it.
    #[must_use]
    pub const fn base_offset(&self) -> Option<i64> {
        match self.kind {
            Kind::V2(header) => Some(header.base_offset),
            Kind::Plain { first_offset, .. } => Some(first_offset),
            Kind::Wrapper { .. } => None,
        }
    }

    /// Returns the offset after the batch's last one, computed from the header and counting compacted records: the lowest
    /// base offset that the next batch can have. `None` in magic 0 and 1, where only the records have offsets, and if the
    /// offset exceeds 64 bits.
    ///
    /// Some writers leave a last offset delta of 0 in every header; the records then end later than this. Brokers and
    /// Java's consumer use the header's value nevertheless.
    #[must_use]
    pub fn next_offset(&self) -> Option<i64> {
        let header = self.header()?;
        header.base_offset.checked_add(i64::from(header.last_offset_delta) + 1)
    }

    /// Returns the number of records from the header; `None` for compressed messages of magic 0 and 1, which do not store
    /// it.
    #[must_use]
    pub const fn record_count(&self) -> Option<usize> {
        match self.kind {
            Kind::V2(header) => Some(header.record_count as usize),
            Kind::Plain { count, .. } => Some(count as usize),
            Kind::Wrapper { .. } => None,
        }
    }

    /// Returns the records, decompressing them if necessary, to at most `max_decompressed` bytes
    /// (see [`DEFAULT_MAX_DECOMPRESSED`](crate::decode::DEFAULT_MAX_DECOMPRESSED)).
    ///
    /// Bytes after the end of the compressed data are skipped as Java's reader skips them: after a gzip member, LZ4 frame
    /// or zstd frame, anything that does not begin another one; after the last block of a xerial Snappy stream, up to
    /// three bytes. In magic 2 the record count shows whether records are missing. Magic 0 and 1 have no such count, so
    /// only zeros are skipped there.
    ///
    /// # Errors
    /// Returns an error if the compressed bytes are damaged, the codec is not compiled in, or the records exceed
    /// `max_decompressed` bytes. Its scope is the whole batch: bytes decompressed before the damage are discarded, because
    /// no checksum covers them separately.
    pub fn records(&self, max_decompressed: usize) -> Result<Records<'a>, DecodeError> {
        let Range { start: batch_at, end: batch_end } = self.position.clone();
        let start = match &self.kind {
            Kind::V2(_) => HEADER_LEN,
            Kind::Plain { .. } => 0,
            Kind::Wrapper { compressed, .. } => self.bytes.len() - compressed.len(),
        };
        let encoded = &self.bytes[start..];
        // Compaction can leave a header without records; there are no compressed bytes then.
        let plain = self.codec == Codec::None || (encoded.is_empty() && self.record_count() == Some(0));
        let in_buffer = Place { batch_at, batch_end, start: batch_at + start, region: Region::Buffer };
        let (payload, place) = if plain {
            (Cow::Borrowed(encoded), in_buffer)
        } else {
            let payload = self.codec.decompress(self.magic(), encoded, max_decompressed).map_err(|error| {
                in_buffer.of_batch(Fault { at: 0, kind: DecodeErrorKind::Decompression(Box::new(error)) })
            })?;
            (Cow::Owned(payload), Place { batch_at, batch_end, start: 0, region: Region::Decompressed })
        };
        let layout = self.layout(&payload).map_err(|fault| place.of_batch(fault))?;
        let last_delta = self.header().map(|header| header.last_offset_delta);
        Ok(Records { payload, place, layout, last_delta })
    }

    fn layout(&self, payload: &[u8]) -> Result<Layout, Fault> {
        let append_time = |time| (self.timestamp_type() == Some(TimestampType::LogAppendTime)).then_some(time);
        Ok(match self.kind {
            Kind::V2(header) => Layout::V2(v2::Sequence {
                base_offset: header.base_offset,
                base_timestamp: header.base_timestamp,
                append_time: append_time(Timestamp::from_millis(header.max_timestamp)),
                remaining: header.record_count,
            }),
            Kind::Plain { magic, .. } => {
                Layout::Legacy(legacy::Messages { magic, base_offset: 0, append_time: None, unchecked: false })
            }
            Kind::Wrapper { magic, offset, timestamp, .. } => Layout::Legacy(legacy::Messages {
                magic,
                base_offset: legacy::inner_base_offset(magic, offset, payload)?,
                append_time: append_time(timestamp),
                unchecked: true,
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::vec::Vec;

    use super::*;
    use crate::batch::decode::{DEFAULT_MAX_DECOMPRESSED, RecordBatches};
    use crate::batch::encode::v2 as encode;
    use crate::batch::{BatchOptions, Stamp};
    use crate::magic::MagicChoice;
    use crate::record::Record;

    fn encoded(magic: Magic, stamp: Stamp) -> Vec<u8> {
        let mut batch = BatchOptions::default().magic(MagicChoice::Pinned(magic)).build(5).unwrap();
        batch.extend([Record::new("secret"), Record::new("secret")]).unwrap();
        batch.seal().unwrap().stamp(stamp).unwrap().bytes().to_vec()
    }

    fn decoded(bytes: &[u8]) -> RecordBatch<'_> {
        RecordBatches::new(bytes).next().unwrap().unwrap()
    }

    #[test]
    fn the_base_offset_is_that_of_the_header_or_of_the_first_message() {
        assert_eq!(decoded(&encoded(Magic::V2, Stamp::default().base_offset(77))).base_offset(), Some(77));
        let mut messages = encoded(Magic::V1, Stamp::NONE);
        messages[7] = 78; // no checksum covers the offset
        let run = decoded(&messages);
        assert_eq!(run.base_offset(), Some(78));
        assert_eq!(run.records(DEFAULT_MAX_DECOMPRESSED).unwrap().iter().next().unwrap().unwrap().offset, 78);
    }

    #[test]
    fn the_time_of_the_log_cleaner_is_in_the_header_of_magic_2() {
        let mut batch = BatchOptions::default().delete_horizon(99).build(5).unwrap();
        batch.extend([Record::new("value")]).unwrap();
        let bytes = batch.seal().unwrap().without_producer_id().bytes().clone();
        assert_eq!(decoded(&bytes).delete_horizon(), Some(Timestamp::from_millis(99)));
        for magic in [Magic::V0, Magic::V1, Magic::V2] {
            let bytes = encoded(magic, Stamp::NONE);
            let batch = decoded(&bytes);
            assert_eq!((batch.delete_horizon(), batch.is_control(), batch.is_transactional()), (None, false, false));
            assert_eq!(batch.next_offset(), (magic == Magic::V2).then_some(2));
            assert_eq!((batch.attributes(), batch.bytes().len()), (0, bytes.len()));
        }
    }

    /// The log cleaner removes all records of a batch and keeps its header, with the codec in the attributes.
    #[test]
    fn a_compressed_batch_without_records_has_none_to_decompress() {
        let without_records = |record_count| {
            let mut bytes = alloc::vec![0; HEADER_LEN];
            let header = encode::Header {
                base_offset: 0,
                partition_leader_epoch: -1,
                attributes: i16::from(Codec::Gzip.id()),
                last_offset_delta: 4,
                base_timestamp: 0,
                max_timestamp: 0,
                producer_id: -1,
                producer_epoch: -1,
                base_sequence: -1,
                record_count,
            };
            encode::write_header(&mut bytes, &header);
            bytes
        };
        let bytes = without_records(0);
        let records = decoded(&bytes).records(DEFAULT_MAX_DECOMPRESSED).unwrap();
        assert_eq!((records.size(), records.iter().count(), decoded(&bytes).next_offset()), (0, 0, Some(5)));
        let bytes = without_records(1);
        let error = decoded(&bytes).records(DEFAULT_MAX_DECOMPRESSED).unwrap_err();
        assert!(matches!(error.kind, DecodeErrorKind::Decompression(_)), "{error}");
        assert_eq!((error.at, error.region), (HEADER_LEN, Region::Buffer));
    }

    #[test]
    fn debug_texts_have_positions_and_no_data_of_the_application() {
        let bytes = encoded(Magic::V2, Stamp::NONE);
        let batches = RecordBatches::new(&bytes);
        let batch = decoded(&bytes);
        let records = batch.records(DEFAULT_MAX_DECOMPRESSED).unwrap();
        let mut iter = records.iter();
        assert!(iter.next().unwrap().is_ok());
        for (text, beginning) in [
            (format!("{batches:?}"), format!("RecordBatches {{ size: {}, position: 0, state: Reading", bytes.len())),
            (format!("{batch:?}"), format!("RecordBatch {{ magic: V2, codec: None, position: 0..{}", bytes.len())),
            (format!("{records:?}"), format!("Records {{ size: {}, layout: V2(", records.size())),
            (format!("{iter:?}"), format!("RecordIter {{ position: {}, number: 1", records.size() / 2)),
        ] {
            assert!(text.starts_with(&beginning), "{text} does not start with {beginning}");
            assert!(!text.contains("secret") && !text.contains("115, 101"), "{text}");
        }
    }
}
