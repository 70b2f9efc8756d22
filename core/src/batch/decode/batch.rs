//! One batch that was read: what its header says, and the way to its records.

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

/// A batch that was read: its header is checked, and so is its sum; its records wait, still compressed.
///
/// In magic 0 and 1, where a compressed message is a batch of its own, plain messages that follow one another count as
/// one batch here.
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

/// Which time the timestamps of a batch's records say (KIP-32).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampType {
    /// When the producer made them.
    CreateTime,
    /// When the broker appended them.
    LogAppendTime,
}

/// Without its bytes, which are an application's data, and many.
impl fmt::Debug for RecordBatch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("RecordBatch");
        text.field("magic", &self.magic()).field("codec", &self.codec).field("position", &self.position);
        text.finish_non_exhaustive()
    }
}

impl<'a> RecordBatch<'a> {
    /// Where it stands in the buffer.
    #[must_use]
    pub fn position(&self) -> Range<usize> {
        self.position.clone()
    }

    /// Its bytes, as they stand in the buffer.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Its format.
    #[must_use]
    pub const fn magic(&self) -> Magic {
        match self.kind {
            Kind::V2(_) => Magic::V2,
            Kind::Plain { magic, .. } | Kind::Wrapper { magic, .. } => magic,
        }
    }

    /// How its records are compressed.
    #[must_use]
    pub const fn codec(&self) -> Codec {
        self.codec
    }

    /// Its attributes as on the wire; of plain messages of magic 0 and 1, those that they all have.
    #[must_use]
    pub const fn attributes(&self) -> i16 {
        match self.kind {
            Kind::V2(header) => header.attributes,
            Kind::Plain { attributes, .. } | Kind::Wrapper { attributes, .. } => attributes as i16,
        }
    }

    /// The header fields that only magic 2 has.
    #[must_use]
    pub const fn header(&self) -> Option<&BatchHeader> {
        match &self.kind {
            Kind::V2(header) => Some(header),
            Kind::Plain { .. } | Kind::Wrapper { .. } => None,
        }
    }

    /// Which time its timestamps say; magic 0 has none.
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

    /// Whether it is part of a transaction.
    #[must_use]
    pub fn is_transactional(&self) -> bool {
        self.has(attribute::TRANSACTIONAL)
    }

    /// Whether its records are the broker's own: see [`RecordView::control`](crate::RecordView::control).
    #[must_use]
    pub fn is_control(&self) -> bool {
        self.has(attribute::CONTROL)
    }

    /// When its tombstones and transaction markers may go, once a log cleaner has seen it (KIP-534).
    #[must_use]
    pub fn delete_horizon(&self) -> Option<Timestamp> {
        let header = self.header().filter(|_| self.has(attribute::DELETE_HORIZON))?;
        Some(Timestamp::from_millis(header.base_timestamp))
    }

    fn has(&self, bit: i16) -> bool {
        self.header().is_some_and(|header| header.attributes & bit != 0)
    }

    /// The offset of its first record, as the header says it: `None` for compressed messages of magic 0 and 1, where
    /// only the records tell.
    #[must_use]
    pub const fn base_offset(&self) -> Option<i64> {
        match self.kind {
            Kind::V2(header) => Some(header.base_offset),
            Kind::Plain { first_offset, .. } => Some(first_offset),
            Kind::Wrapper { .. } => None,
        }
    }

    /// The offset that comes after its last one as the header says it, compacted records included: where the next batch
    /// can begin. `None` in magic 0 and 1, where only the records tell; and for an offset beyond 64 bits.
    ///
    /// Some writers leave a last offset delta of 0 in every header, and then this is not where the records end. Brokers
    /// and Java's consumer go by it all the same.
    #[must_use]
    pub fn next_offset(&self) -> Option<i64> {
        let header = self.header()?;
        header.base_offset.checked_add(i64::from(header.last_offset_delta) + 1)
    }

    /// How many records it has, as the header says it: `None` for compressed messages of magic 0 and 1, where only the
    /// records tell.
    #[must_use]
    pub const fn record_count(&self) -> Option<usize> {
        match self.kind {
            Kind::V2(header) => Some(header.record_count as usize),
            Kind::Plain { count, .. } => Some(count as usize),
            Kind::Wrapper { .. } => None,
        }
    }

    /// Its records: decompressed, if they are compressed, and to `max_decompressed` bytes at most
    /// (see [`DEFAULT_MAX_DECOMPRESSED`](crate::DEFAULT_MAX_DECOMPRESSED)).
    ///
    /// What is behind the end of the compressed data is skipped, as Java's reader does: behind a gzip member, LZ4 frame or
    /// zstd frame anything that does not begin another one, and behind the last block of a xerial Snappy stream up to
    /// three bytes. In magic 2 the number of records shows that nothing is missing for it. In magic 0 and 1 nothing would, and
    /// there only zeros are skipped.
    ///
    /// # Errors
    /// The codec finds its bytes damaged, is not compiled in, or would give more bytes than `max_decompressed`. The scope
    /// is the whole batch: what could be decompressed before the damage is not handed out, since no checksum vouches for
    /// it.
    pub fn records(&self, max_decompressed: usize) -> Result<Records<'a>, DecodeError> {
        let Range { start: batch_at, end: batch_end } = self.position.clone();
        let start = match &self.kind {
            Kind::V2(_) => HEADER_LEN,
            Kind::Plain { .. } => 0,
            Kind::Wrapper { compressed, .. } => self.bytes.len() - compressed.len(),
        };
        let encoded = &self.bytes[start..];
        // Compaction can leave a header without records behind, and then there is nothing that a codec wrote.
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
