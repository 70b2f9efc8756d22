//! Decodes batches: from a log segment, a Fetch response, or a batch encoded by this process. Decoding is lazy, borrows
//! from its input, and treats every byte as hostile.

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

/// A limit for [`RecordBatch::records`] well above the batches of brokers with usual settings: 64 MiB.
pub const DEFAULT_MAX_DECOMPRESSED: usize = 64 << 20;

/// An iterator over the batches in a buffer, of any mixture of formats: a log segment, or the records of a Fetch
/// response. A batch that is cut off at the end is no error: [`tail`](Self::tail) returns it after the iteration.
///
/// # Examples
///
/// If every batch must be valid, stop at the first error:
///
/// ```
/// use kafka_batch_core::decode::{DEFAULT_MAX_DECOMPRESSED, RecordBatches};
/// use kafka_batch_core::{KafkaBatch, Record, Timestamp};
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
/// An error ends the iteration only if the start of the next batch is unknown. Its [`scope`](DecodeError::scope) is the
/// extent of the loss. This reads a damaged segment and counts what is lost:
///
/// ```
/// use kafka_batch_core::batch::Stamp;
/// use kafka_batch_core::decode::{DEFAULT_MAX_DECOMPRESSED, DecodeError, DecodeErrorScope, RecordBatches};
/// use kafka_batch_core::{KafkaBatch, Record, Timestamp};
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
///         eprintln!("{tail}"); // the end of an active segment, or a damaged length
///         lost.bytes += tail.present;
///     }
///     (offsets, lost)
/// }
///
/// // Three batches of two records each; one bit of the second batch is flipped.
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

/// Omits the bytes: they are application data and can be large.
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

/// An incomplete batch at the end of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IncompleteTail {
    /// The position in the buffer at which it begins.
    pub at: usize,
    /// The number of its bytes that are in the buffer.
    pub present: usize,
    /// The size of the complete batch in bytes; `None` if its length field is cut off.
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
    /// Creates an iterator over the batches in `buffer`.
    #[must_use]
    pub const fn new(buffer: &'a [u8]) -> Self {
        Self { buffer, position: 0, state: State::Reading }
    }

    /// Returns the incomplete batch at the end of the buffer, once the iteration has ended.
    ///
    /// Log segments that a broker is writing and Fetch responses end like this. So does a buffer in which a damaged batch
    /// length is too large: if [`IncompleteTail::expected`] exceeds the size that batches have, the tail contains lost
    /// batches.
    #[must_use]
    pub const fn tail(&self) -> Option<IncompleteTail> {
        match self.state {
            State::Tail(tail) => Some(tail),
            State::Reading | State::Ended => None,
        }
    }

    /// Returns the batch or message at the position; `None` if it is incomplete.
    fn complete_batch(&self) -> Result<Option<(Magic, &'a [u8])>, Fault> {
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
        let Some((magic, bytes)) = self.complete_batch()? else { return Ok(None) };
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

    /// Returns the end of the batch at the position, if its length is valid and within the buffer. The length field is the
    /// same in every format, so this works for unknown magics too.
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
        // Appends the messages after it that have its format and attributes, up to the first one with a wrong checksum,
        // which the next call reports. Their fields are validated when they are decoded.
        let mut end = self.position + bytes.len();
        let mut count = 1u32;
        while let Some(len) = legacy::matching_message_len(&self.buffer[end..], magic, attributes) {
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

/// The least valid value of the length field, in any format: the size of a magic 0 message after its prefix.
const SHORTEST: i32 = 14;

const fn length_error(found: i32, magic: Magic, least: i32) -> DecodeErrorKind {
    DecodeErrorKind::BatchLength { found, magic, least }
}

/// Returns the length field: the number of bytes after the prefix at the start of `bytes`. Same position in every format.
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
                // Not negative: `complete_batch` returns an error for that.
                let expected = length_field(rest).map(|length| PREFIX_LEN + length as usize);
                let tail = IncompleteTail { at: self.position, present: rest.len(), expected };
                self.state = if rest.is_empty() { State::Ended } else { State::Tail(tail) };
                None
            }
            // With a valid length the end is known, whatever else is invalid.
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

#[cfg(test)]
mod error_positions;

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::batch::KafkaBatch;
    use crate::record::Record;
    use crate::time::Timestamp;

    fn sealed(magic: Magic) -> crate::batch::SealedBatch {
        let options = crate::batch::BatchOptions::default().magic(crate::magic::MagicChoice::Pinned(magic));
        let mut batch = options.build(Timestamp::from_millis(1)).unwrap();
        batch.extend([Record::new("value")]).unwrap();
        batch.seal().unwrap()
    }

    fn timestamp_type(bytes: &[u8]) -> Option<TimestampType> {
        RecordBatches::new(bytes).next().unwrap().unwrap().timestamp_type()
    }

    #[test]
    fn the_meaning_of_timestamps_is_that_of_the_attribute() {
        let of_producer = |magic| sealed(magic).without_producer_id().bytes().to_vec();
        assert_eq!(timestamp_type(&of_producer(Magic::V0)), None);
        for magic in [Magic::V1, Magic::V2] {
            assert_eq!(timestamp_type(&of_producer(magic)), Some(TimestampType::CreateTime), "{magic}");
        }
        let stamp = crate::batch::Stamp::NONE.log_append_time(7);
        let by_broker = sealed(Magic::V2).stamp(stamp).unwrap().bytes().to_vec();
        assert_eq!(timestamp_type(&by_broker), Some(TimestampType::LogAppendTime));
        let mut message = of_producer(Magic::V1);
        message[CRC_COVERS_FROM + 1] |= legacy_attribute::LOG_APPEND_TIME as u8;
        let sum = crate::checksum::crc32(&message[CRC_COVERS_FROM..]);
        message[PREFIX_LEN..][..4].copy_from_slice(&sum.to_be_bytes());
        assert_eq!(timestamp_type(&message), Some(TimestampType::LogAppendTime));
    }

    #[test]
    fn each_batch_has_its_position_in_the_buffer() {
        let batch = |value: &str| {
            let mut batch = KafkaBatch::new(Timestamp::from_millis(0));
            batch.extend([Record::new(value)]).unwrap();
            batch.seal().unwrap().without_producer_id().bytes().to_vec()
        };
        let (first, second) = (batch("a"), batch("another value"));
        let buffer = [&first[..], &second].concat();
        let positions: Vec<_> = RecordBatches::new(&buffer).map(|batch| batch.unwrap().position()).collect();
        assert_eq!(positions, [0..first.len(), first.len()..buffer.len()]);
        assert_eq!(buffer[positions[1].clone()], second);
    }
}
