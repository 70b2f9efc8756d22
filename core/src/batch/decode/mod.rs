//! Reading batches back: from a log segment, a fetch response, or a batch of one's own. Lazy, without copying, and every
//! byte is taken for hostile.

mod batch;
mod control;
mod cursor;
mod error;
mod legacy;
mod records;
mod v2;

use core::fmt;

pub use batch::{RecordBatch, TimestampType};
pub use control::{ControlRecord, ControlRecordError, ControlType};
pub use error::{DecodeError, DecodeErrorKind, DecodeErrorScope, Field, Region};
pub(super) use records::own_records;
pub use records::{LenientRecordIter, RecordIter, Records};
pub use v2::BatchHeader;

use super::encode::legacy::{CRC_COVERS_FROM, PREFIX_LEN, attribute as legacy_attribute, overhead};
use super::encode::v2::{HEADER_LEN, at, attribute};
use crate::compression::Codec;
use crate::magic::Magic;

use batch::Kind;
use cursor::Fault;

/// A ceiling for [`RecordBatch::records`] that no batch of a broker with usual settings comes near: 64 MiB.
pub const DEFAULT_MAX_DECOMPRESSED: usize = 64 << 20;

/// Reads the batches in a buffer, one after another and of whatever formats: a log segment, or the records of a fetch
/// response. A batch that is cut off at the end is no error: [`tail`](Self::tail) tells of it afterwards.
///
/// # Examples
///
/// Where every batch has to be sound, the first error ends the reading:
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
///
/// An error does not end the iteration, unless it is not known where the next batch begins: its
/// [`scope`](DecodeError::scope) says how much is lost. So a damaged segment is read like this, and what is lost is
/// counted:
///
/// ```
/// use kafka_batch_core::{
///     DEFAULT_MAX_DECOMPRESSED, DecodeError, DecodeErrorScope, KafkaBatch, Record, RecordBatches, Stamp, Timestamp,
/// };
///
/// #[derive(Default, Debug, PartialEq)]
/// struct Lost {
///     records: usize,
///     batches: usize,
///     bytes: usize,
/// }
///
/// impl Lost {
///     fn count(&mut self, error: &DecodeError, size: usize) {
///         eprintln!("{error}");
///         match error.scope {
///             DecodeErrorScope::Record { .. } => self.records += 1,
///             DecodeErrorScope::Batch { end } => {
///                 self.batches += 1;
///                 self.bytes += end - error.batch_at;
///             }
///             DecodeErrorScope::Rest => self.bytes += size - error.batch_at,
///         }
///     }
/// }
///
/// fn read(segment: &[u8]) -> (Vec<i64>, Lost) {
///     let (mut offsets, mut lost) = (Vec::new(), Lost::default());
///     let mut batches = RecordBatches::new(segment);
///     for batch in &mut batches {
///         match batch.and_then(|batch| batch.records(DEFAULT_MAX_DECOMPRESSED)) {
///             Ok(records) => {
///                 for record in &records {
///                     match record {
///                         Ok(record) => offsets.push(record.offset),
///                         Err(error) => lost.count(&error, segment.len()),
///                     }
///                 }
///             }
///             Err(error) => lost.count(&error, segment.len()),
///         }
///     }
///     if let Some(tail) = batches.tail() {
///         eprintln!("{tail}"); // an active segment's end, or a length that is damaged
///         lost.bytes += tail.present;
///     }
///     (offsets, lost)
/// }
///
/// // Three batches of two records each, and a bit of the second one changes.
/// let mut segment = Vec::new();
/// for base_offset in [0, 2, 4] {
///     let mut batch = KafkaBatch::new(Timestamp::from_millis(7));
///     batch.extend([Record::new("one"), Record::new("two")])?;
///     segment.extend_from_slice(batch.seal()?.stamp(Stamp::default().base_offset(base_offset))?.bytes());
/// }
/// let size = segment.len() / 3;
/// segment[size + 70] ^= 1;
///
/// assert_eq!(read(&segment), (vec![0, 1, 4, 5], Lost { records: 0, batches: 1, bytes: size }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct RecordBatches<'a> {
    buffer: &'a [u8],
    position: usize,
    state: State,
}

/// Without the bytes, which are an application's data, and many.
impl fmt::Debug for RecordBatches<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("RecordBatches");
        text.field("size", &self.buffer.len()).field("position", &self.position).field("state", &self.state);
        text.finish_non_exhaustive()
    }
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

impl<'a> RecordBatches<'a> {
    /// Reads the batches in `buffer`, from its start.
    #[must_use]
    pub const fn new(buffer: &'a [u8]) -> Self {
        Self { buffer, position: 0, state: State::Reading }
    }

    /// What is left at the end, once all whole batches are read.
    ///
    /// Log segments that a broker is writing and Fetch responses end like this. So does a buffer in which a batch's length
    /// is damaged and has become too large: if a tail would be larger than batches are
    /// ([`IncompleteTail::expected`]), there are lost batches in it.
    #[must_use]
    pub const fn tail(&self) -> Option<IncompleteTail> {
        match self.state {
            State::Tail(tail) => Some(tail),
            State::Reading | State::Ended => None,
        }
    }

    /// The whole batch or message at the position, or `None` if its end is not there.
    fn whole(&self) -> Result<Option<(Magic, &'a [u8])>, Fault> {
        let rest = &self.buffer[self.position..];
        let Some(length) = length_field(rest) else { return Ok(None) };
        let too_short = |magic, least| Fault { at: at::LENGTH, kind: length_error(length, magic, least) };
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

    /// The end of the batch at the position, if its length says one: the field is the same in every format, so this needs
    /// no magic that is known.
    fn end(&self) -> Option<usize> {
        let rest = &self.buffer[self.position..];
        let length = length_field(rest).filter(|&length| length >= SHORTEST)?;
        let len = PREFIX_LEN.checked_add(length as usize).filter(|&len| len <= rest.len())?;
        Some(self.position + len)
    }

    fn read_legacy(&self, magic: Magic, bytes: &'a [u8]) -> Result<(&'a [u8], Codec, Kind<'a>), Fault> {
        let (offset, end) = legacy::frame(bytes, 0)?;
        legacy::check(bytes, 0, end)?;
        let attributes = bytes[CRC_COVERS_FROM + 1] as i8;
        let codec = codec(i16::from(attributes & legacy_attribute::CODEC), magic, CRC_COVERS_FROM + 1)?;
        if codec != Codec::None {
            let message = legacy::message::<false>(bytes, 0, end)?;
            let Some(compressed) = message.value else {
                return Err(Fault { at: CRC_COVERS_FROM, kind: DecodeErrorKind::EmptyWrapper });
            };
            let timestamp = message.timestamp;
            return Ok((bytes, codec, Kind::Wrapper { magic, attributes, offset, timestamp, compressed }));
        }
        // The messages behind it that are like it, up to the first one with a wrong checksum: that is the next call's. What
        // their fields say is looked at when they are read.
        let mut end = self.position + bytes.len();
        let mut count = 1u32;
        while let Some(len) = legacy::len_of_one_like_it(&self.buffer[end..], magic, attributes) {
            if count == u32::MAX {
                break;
            }
            count += 1;
            end += len;
        }
        let kind = Kind::Plain { magic, attributes, count, first_offset: offset };
        Ok((&self.buffer[self.position..end], codec, kind))
    }
}

/// The least number behind the prefix that any batch or message has. A smaller one is no length.
const SHORTEST: i32 = 14;

const fn length_error(found: i32, magic: Magic, least: i32) -> DecodeErrorKind {
    DecodeErrorKind::BatchLength { found, magic, least }
}

/// The bytes after the prefix, as the prefix at the start of `bytes` says it; the same place in every format.
fn length_field(bytes: &[u8]) -> Option<i32> {
    let field = bytes.get(at::LENGTH..PREFIX_LEN)?.first_chunk()?;
    Some(i32::from_be_bytes(*field))
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
                // Not negative: that would have been a fault.
                let expected = length_field(rest).map(|length| PREFIX_LEN + length as usize);
                let tail = IncompleteTail { at: self.position, present: rest.len(), expected };
                self.state = if rest.is_empty() { State::Ended } else { State::Tail(tail) };
                None
            }
            // What has a length has an end, whatever else is wrong with it.
            Err(Fault { at, kind }) => {
                let batch_at = self.position;
                let scope = match self.end() {
                    Some(end) => {
                        self.position = end;
                        DecodeErrorScope::Batch { end }
                    }
                    None => {
                        self.state = State::Ended;
                        DecodeErrorScope::Rest
                    }
                };
                let (at, region) = (batch_at + at, Region::Buffer);
                Some(Err(DecodeError { batch_at, at, region, record: None, scope, kind }))
            }
        }
    }
}
