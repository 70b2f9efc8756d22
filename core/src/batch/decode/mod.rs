//! Reading batches back: from a log segment, a fetch response, or a batch of one's own. Lazy, without copying, and every
//! byte is taken for hostile.

mod control;
mod cursor;
mod error;
mod legacy;
mod v2;

use alloc::borrow::Cow;
use core::fmt;
use core::ops::Range;

pub use control::{ControlRecord, ControlRecordError, ControlType};
pub use error::{DecodeError, DecodeErrorKind, Field, Region};
pub use v2::BatchHeader;

use super::KafkaBatch;
use super::encode::legacy::{CHECKED_FROM, PREFIX_LEN, attribute as legacy_attribute, overhead};
use super::encode::v2::{HEADER_LEN, at, attribute};
use crate::compression::Codec;
use crate::magic::Magic;
use crate::record::RecordView;
use crate::time::Timestamp;
use cursor::Fault;

/// A ceiling for [`RecordBatch::records`] that no batch of a broker with usual settings comes near: 64 MiB.
pub const DEFAULT_MAX_DECOMPRESSED: usize = 64 << 20;

/// Reads the batches in a buffer, one after another and of whatever formats: a log segment, or the records of a fetch
/// response. A batch that is cut off at the end is no error: [`tail`](Self::tail) tells of it afterwards.
///
/// ```
/// use kafka_batch_core::{KafkaBatch, Record, RecordBatches, Timestamp, DEFAULT_MAX_DECOMPRESSED};
///
/// let mut batch = KafkaBatch::new(Timestamp::from_millis(7));
/// let _ = batch.append(Record::new("hello"))?;
/// let stamped = batch.seal()?.without_producer_id();
///
/// let mut batches = RecordBatches::new(stamped.bytes());
/// for batch in &mut batches {
///     for record in batch?.records(DEFAULT_MAX_DECOMPRESSED)?.iter() {
///         assert_eq!(record?.value, Some(&b"hello"[..]));
///     }
/// }
/// assert!(batches.tail().is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct RecordBatches<'a> {
    buffer: &'a [u8],
    position: usize,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Reading,
    Ended,
    Tail(IncompleteTail),
}

/// The beginning of a batch whose end is not in the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IncompleteTail {
    /// Where it begins in the buffer.
    pub at: usize,
    /// Bytes of it that are there.
    pub present: usize,
    /// Bytes that the whole batch has, if its length is among those present.
    pub expected: Option<usize>,
}

impl fmt::Display for IncompleteTail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, present, expected } = self;
        write!(f, "the batch at byte {at} is incomplete: {present} bytes of ")?;
        match expected {
            Some(expected) => write!(f, "{expected}"),
            None => f.write_str("it are there"),
        }
    }
}

/// A batch that was read: its header is checked, and so is its sum; its records wait, still compressed.
///
/// In magic 0 and 1, where a compressed message is a batch of its own, plain messages that follow one another count as
/// one batch here.
#[derive(Clone, Debug)]
pub struct RecordBatch<'a> {
    position: Range<usize>,
    bytes: &'a [u8],
    codec: Codec,
    kind: Kind<'a>,
}

#[derive(Clone, Debug)]
enum Kind<'a> {
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

impl<'a> RecordBatches<'a> {
    /// Reads the batches in `buffer`, from its start.
    #[must_use]
    pub const fn new(buffer: &'a [u8]) -> Self {
        Self { buffer, position: 0, state: State::Reading }
    }

    /// What is left at the end, once all whole batches are read.
    #[must_use]
    pub const fn tail(&self) -> Option<IncompleteTail> {
        match self.state {
            State::Tail(tail) => Some(tail),
            State::Reading | State::Ended => None,
        }
    }

    /// The whole batch or message at the position, or `None` if its end is not there.
    fn whole(&self) -> Result<Option<(Magic, &'a [u8])>, Fault> {
        const SHORTEST: i32 = 14;
        let rest = &self.buffer[self.position..];
        let Some(length) = rest.get(at::LENGTH..PREFIX_LEN) else { return Ok(None) };
        let length = length.iter().fold(0, |length, &byte| length << 8 | i32::from(byte));
        let too_short = |magic, least| Fault {
            at: at::LENGTH,
            kind: DecodeErrorKind::BatchLength { found: length, magic, least },
        };
        if length < SHORTEST {
            return Err(too_short(Magic::V0, SHORTEST));
        }
        let Some(&magic) = rest.get(at::MAGIC) else { return Ok(None) };
        let Some(magic) = Magic::from_id(magic as i8) else {
            return Err(Fault { at: at::MAGIC, kind: DecodeErrorKind::UnknownMagic(magic as i8) });
        };
        let least = match magic {
            Magic::V2 => HEADER_LEN - PREFIX_LEN,
            Magic::V0 | Magic::V1 => overhead(magic) - PREFIX_LEN,
        };
        if (length as usize) < least {
            return Err(too_short(magic, least as i32));
        }
        Ok(rest.get(..PREFIX_LEN + length as usize).map(|batch| (magic, batch)))
    }

    fn read(&self) -> Result<Option<RecordBatch<'a>>, Fault> {
        let Some((magic, bytes)) = self.whole()? else { return Ok(None) };
        let (bytes, codec, kind) = match magic {
            Magic::V2 => {
                let header = v2::header(bytes)?;
                let codec = codec(header.attributes & attribute::CODEC, magic, at::ATTRIBUTES + 1)?;
                (bytes, codec, Kind::V2(header))
            }
            Magic::V0 | Magic::V1 => self.read_legacy(magic, bytes)?,
        };
        Ok(Some(RecordBatch { position: self.position..self.position + bytes.len(), bytes, codec, kind }))
    }

    fn read_legacy(&self, magic: Magic, bytes: &'a [u8]) -> Result<(&'a [u8], Codec, Kind<'a>), Fault> {
        let message = legacy::message(bytes, 0, true)?;
        let attributes = message.attributes;
        let codec = codec(i16::from(attributes & legacy_attribute::CODEC), magic, CHECKED_FROM + 1)?;
        if codec != Codec::None {
            let Some(compressed) = message.value else {
                return Err(Fault { at: CHECKED_FROM, kind: DecodeErrorKind::EmptyWrapper });
            };
            let (offset, timestamp) = (message.offset, message.timestamp);
            return Ok((bytes, codec, Kind::Wrapper { magic, attributes, offset, timestamp, compressed }));
        }
        // The messages behind it that are like it, up to the first one with a fault: that is the next call's.
        let mut run = self.clone();
        let mut count = 0u32;
        while count < u32::MAX {
            let next = run.whole().ok().flatten().filter(|(next, _)| *next == magic);
            let Some((_, bytes)) = next else { break };
            match legacy::message(bytes, 0, true) {
                Ok(next) if next.attributes == attributes => count += 1,
                _ => break,
            }
            run.position += bytes.len();
        }
        let first_offset = message.offset;
        let kind = Kind::Plain { magic, attributes, count, first_offset };
        Ok((&self.buffer[self.position..run.position], codec, kind))
    }
}

fn codec(id: i16, magic: Magic, at: usize) -> Result<Codec, Fault> {
    match Codec::from_id(id as u8) {
        None => Err(Fault { at, kind: DecodeErrorKind::UnknownCodec(id as u8) }),
        Some(codec) if !codec.fits_magic(magic) => {
            Err(Fault { at, kind: DecodeErrorKind::CodecNeedsNewerMagic { codec, magic } })
        }
        Some(codec) => Ok(codec),
    }
}

impl<'a> Iterator for RecordBatches<'a> {
    type Item = Result<RecordBatch<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state != State::Reading {
            return None;
        }
        match self.read() {
            Ok(Some(batch)) => {
                self.position = batch.position.end;
                Some(Ok(batch))
            }
            Ok(None) => {
                let rest = &self.buffer[self.position..];
                let length = rest.get(at::LENGTH..PREFIX_LEN).map(|length| {
                    PREFIX_LEN + length.iter().fold(0, |length, &byte| length << 8 | usize::from(byte))
                });
                let tail = IncompleteTail { at: self.position, present: rest.len(), expected: length };
                self.state = if rest.is_empty() { State::Ended } else { State::Tail(tail) };
                None
            }
            Err(Fault { at, kind }) => {
                self.state = State::Ended;
                let batch_at = self.position;
                Some(Err(DecodeError { batch_at, at: batch_at + at, region: Region::Buffer, record: None, kind }))
            }
        }
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

    /// Whether its records are the broker's own: see [`RecordView::control`].
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
    /// (see [`DEFAULT_MAX_DECOMPRESSED`]).
    ///
    /// # Errors
    /// The codec finds its bytes damaged, is not compiled in, or would give more bytes than `max_decompressed`.
    pub fn records(&self, max_decompressed: usize) -> Result<Records<'a>, DecodeError> {
        let (compressed, start) = match &self.kind {
            Kind::V2(header) if header.record_count == 0 => (&self.bytes[HEADER_LEN..], HEADER_LEN),
            Kind::V2(_) => (&self.bytes[HEADER_LEN..], HEADER_LEN),
            Kind::Plain { .. } => (self.bytes, 0),
            Kind::Wrapper { compressed, .. } => (*compressed, self.bytes.len() - compressed.len()),
        };
        // Compaction can leave a header without records behind, and then there is nothing that a codec wrote.
        let emptied = compressed.is_empty() && self.record_count() == Some(0);
        let place = match self.codec {
            Codec::None => Place { batch_at: self.position.start, start: self.position.start + start, region: Region::Buffer },
            _ => Place { batch_at: self.position.start, start: 0, region: Region::Decompressed },
        };
        let payload = match self.codec {
            Codec::None => Cow::Borrowed(compressed),
            _ if emptied => Cow::Borrowed(compressed),
            codec => match codec.decompress(self.magic(), compressed, max_decompressed) {
                Ok(payload) => Cow::Owned(payload),
                Err(error) => {
                    let at = self.position.start + start;
                    let kind = DecodeErrorKind::Decompression(error);
                    return Err(DecodeError { at, region: Region::Buffer, ..place.error(None, Fault { at: 0, kind }) });
                }
            },
        };
        let layout = self.layout(&payload).map_err(|fault| place.error(None, fault))?;
        Ok(Records { payload, place, layout })
    }

    fn layout(&self, payload: &[u8]) -> Result<Layout, Fault> {
        let append_time = |time| (self.timestamp_type() == Some(TimestampType::LogAppendTime)).then_some(time);
        Ok(match self.kind {
            Kind::V2(header) => Layout::V2(v2::Sequence {
                base_offset: header.base_offset,
                base_timestamp: header.base_timestamp,
                append_time: append_time(Timestamp::from_millis(header.max_timestamp)),
                next_delta: 0,
                last_delta: header.last_offset_delta,
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

/// The records of a batch, decompressed and not yet looked at one by one.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    payload: Cow<'a, [u8]>,
    place: Place,
    layout: Layout,
}

/// What the positions of errors are counted from.
#[derive(Clone, Copy, Debug)]
struct Place {
    batch_at: usize,
    start: usize,
    region: Region,
}

impl Place {
    #[cold]
    fn error(self, record: Option<u32>, fault: Fault) -> DecodeError {
        let Self { batch_at, start, region } = self;
        DecodeError { batch_at, at: start + fault.at, region, record, kind: fault.kind }
    }
}

#[derive(Clone, Copy, Debug)]
enum Layout {
    V2(v2::Sequence),
    Legacy(legacy::Messages),
}

impl Records<'_> {
    /// The records, in order. What is wrong with one comes up when it is reached, and ends the iteration.
    #[must_use]
    pub fn iter(&self) -> RecordIter<'_> {
        RecordIter { payload: &self.payload, position: 0, number: 0, place: self.place, layout: Some(self.layout) }
    }

    /// Bytes of the records, after decompression.
    #[must_use]
    pub fn size(&self) -> usize {
        self.payload.len()
    }
}

impl<'r> IntoIterator for &'r Records<'_> {
    type Item = Result<RecordView<'r>, DecodeError>;
    type IntoIter = RecordIter<'r>;

    fn into_iter(self) -> RecordIter<'r> {
        self.iter()
    }
}

/// The records of a batch, one after another, as views into its bytes.
#[derive(Clone, Debug)]
pub struct RecordIter<'r> {
    payload: &'r [u8],
    position: usize,
    number: u32,
    place: Place,
    /// `None` once it has ended.
    layout: Option<Layout>,
}

impl<'r> Iterator for RecordIter<'r> {
    type Item = Result<RecordView<'r>, DecodeError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let left = self.payload.len() - self.position;
        let read = match self.layout.as_mut()? {
            Layout::V2(sequence) if sequence.remaining == 0 => {
                self.layout = None;
                if left == 0 {
                    return None;
                }
                Err(Fault { at: self.position, kind: DecodeErrorKind::LeftOver { count: left } })
            }
            Layout::V2(sequence) => sequence.read(self.payload, &mut self.position),
            Layout::Legacy(_) if left == 0 => {
                self.layout = None;
                return None;
            }
            Layout::Legacy(messages) => messages.read(self.payload, &mut self.position),
        };
        let number = self.number;
        self.number = number.wrapping_add(1);
        Some(read.map_err(|fault| {
            let in_a_record = self.layout.take().map(|_| number);
            self.place.error(in_a_record, fault)
        }))
    }
}

impl core::iter::FusedIterator for RecordIter<'_> {}

/// The records of a batch that this process wrote itself.
pub(super) fn own_records(batch: &KafkaBatch) -> impl Iterator<Item = RecordView<'_>> + '_ {
    let progress = &batch.progress;
    let layout = match batch.magic {
        Magic::V2 => Layout::V2(v2::Sequence {
            base_offset: 0,
            base_timestamp: progress.base_timestamp.unwrap_or(Timestamp::NO_TIMESTAMP).millis(),
            append_time: None,
            next_delta: 0,
            last_delta: i32::MAX,
            remaining: progress.count,
        }),
        magic @ (Magic::V0 | Magic::V1) => {
            Layout::Legacy(legacy::Messages { magic, base_offset: 0, append_time: None, unchecked: false })
        }
    };
    let place = Place { batch_at: 0, start: 0, region: Region::Buffer };
    RecordIter { payload: batch.payload(), position: 0, number: 0, place, layout: Some(layout) }
        .map(|record| record.expect("this batch's own encoder wrote these bytes"))
}
