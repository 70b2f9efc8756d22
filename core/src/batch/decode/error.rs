//! Errors of decoding batches: kind, position and extent.

use alloc::boxed::Box;
use core::error::Error;
use core::fmt;

use crate::compression::{Codec, DecompressError};
use crate::counted::Counted;
use crate::magic::Magic;

/// An error for an invalid batch or record: what was found, at which byte, and how much cannot be decoded because of it.
///
/// After returning one, an iterator continues at the end of the error's [`scope`](Self::scope).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct DecodeError {
    /// The start of the invalid batch, as a byte position in the buffer.
    pub batch_at: usize,
    /// The byte position of the error, in `region`.
    pub at: usize,
    /// The bytes that `at` is a position in.
    pub region: Region,
    /// The index of the invalid record in the batch, from 0; `None` if the batch itself is invalid.
    pub record: Option<u32>,
    /// The bytes that cannot be decoded because of the error.
    pub scope: DecodeErrorScope,
    /// The kind of error.
    pub kind: DecodeErrorKind,
}

/// Every item of an iterator has room for an error. With 112 bytes in place of 80, decoding uncompressed messages of magic
/// 1 took 1.28 times as long.
const _: () = assert!(size_of::<DecodeError>() <= 80);

/// The extent of a [`DecodeError`]: the bytes that cannot be decoded because of it.
///
/// Kafka's format has no markers at the start of a batch or record, only lengths. An end is therefore as reliable as the
/// length from which it is computed, which no valid checksum covers in a damaged batch: after a wrong length more errors
/// follow, until a batch begins at an expected position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
// Exhaustive on purpose: a reader that continues after an error must handle each extent.
pub enum DecodeErrorScope {
    /// One record. The next item of [`RecordIter`](crate::decode::RecordIter) is the record after it.
    Record {
        /// The record's first byte, in the error's region.
        start: usize,
        /// The first byte after the record, in the error's region.
        end: usize,
    },
    /// The batch; in an error of [`RecordIter`](crate::decode::RecordIter), the rest of the batch. The next item of
    /// [`RecordBatches`](crate::decode::RecordBatches) is the batch after it.
    Batch {
        /// The first byte in the buffer after the batch, which begins at [`DecodeError::batch_at`].
        end: usize,
    },
    /// Everything from [`DecodeError::batch_at`] to the end of the buffer: the batch's length is invalid, and the start of
    /// the next batch unknown. [`RecordBatches`](crate::decode::RecordBatches) has ended.
    Rest,
}

/// The bytes in which a [`DecodeError`] has its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
// Exhaustive on purpose: bytes are those that were read, or what was decompressed from them.
pub enum Region {
    /// The buffer passed to [`RecordBatches::new`](crate::decode::RecordBatches::new).
    Buffer,
    /// The batch's records after decompression.
    Decompressed,
}

/// The kind of a [`DecodeError`].
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The magic byte is not 0, 1 or 2.
    #[error("the magic byte is {0}, not 0, 1 or 2")]
    UnknownMagic(i8),
    /// A batch or message is shorter than its own header.
    #[error("the length is {found}, but a {magic} batch has at least {least} bytes")]
    BatchLength {
        /// The length on the wire.
        found: i32,
        /// The format.
        magic: Magic,
        /// The least length that it can have.
        least: i32,
    },
    /// The checksum does not match the bytes.
    #[error("the checksum is {stored:#010x}, but the bytes have {computed:#010x}")]
    Checksum {
        /// The checksum on the wire.
        stored: u32,
        /// The checksum computed over the bytes.
        computed: u32,
    },
    /// The attributes have the number of an unknown codec.
    #[error("the attributes name codec {0}, which does not exist")]
    UnknownCodec(u8),
    /// The attributes have a codec that this format does not allow (zstd before magic 2, KIP-110).
    #[error("a batch of {magic} cannot be compressed with {codec}")]
    CodecNeedsNewerMagic {
        /// The codec.
        codec: Codec,
        /// The format.
        magic: Magic,
    },
    /// The number of records is negative.
    #[error("the number of records is {0}")]
    RecordCount(i32),
    /// The batch has fewer records than its header's record count.
    #[error("the batch ends here, {missing} records short of its header's record count")]
    MissingRecords {
        /// The number of missing records.
        missing: u32,
    },
    /// The bytes end within a field.
    #[error("the {field} is cut off")]
    Cut {
        /// The field.
        field: Field,
    },
    /// A varint is longer than its type allows.
    #[error("the {field} is a varint that is too long")]
    VarintTooLong {
        /// The field.
        field: Field,
    },
    /// A field's length is negative where that is invalid, or exceeds the bytes left.
    #[error("the {field} has length {found}, but {left} bytes are left")]
    Length {
        /// The field.
        field: Field,
        /// The length found.
        found: i64,
        /// Bytes left.
        left: usize,
    },
    /// A record's header name is not UTF-8. [`Records::iter_lenient`](crate::decode::Records::iter_lenient) returns
    /// names as bytes.
    #[error("the header name is not UTF-8: `Records::iter_lenient` returns names as bytes")]
    HeaderNameNotUtf8,
    /// An offset is not greater than the preceding one, or outside the range of the batch's header. Only
    /// [`Records::validate`](crate::decode::Records::validate) returns this.
    #[error("the offset delta is {found}, outside of {least} to {last}")]
    OffsetDelta {
        /// The delta found.
        found: i64,
        /// The least delta allowed after the preceding record.
        least: i64,
        /// The header's last offset delta.
        last: i32,
    },
    /// An offset exceeds 64 bits, or the base offset of compressed messages is negative.
    #[error("the offset is {base} + {delta}, which is outside of 0 to 9223372036854775807")]
    OffsetRange {
        /// The base offset; of a compressed message, its own offset.
        base: i64,
        /// The offset relative to it; of a compressed message, the negated offset of the last message in it.
        delta: i64,
    },
    /// Bytes remain after the end of a record or of the last record.
    #[error("{} after the last field or record", Counted(*count, "byte"))]
    LeftOver {
        /// The number of bytes.
        count: usize,
    },
    /// The records could not be decompressed. Boxed to keep [`DecodeError`] small: see the assertion on its size.
    #[error("{0}")]
    Decompression(Box<DecompressError>),
    /// A compressed message of magic 0 or 1 has a null value or contains no message.
    #[error("a compressed message contains no messages")]
    EmptyWrapper,
    /// A message inside a compressed one is itself compressed.
    #[error("a compressed message contains a compressed message")]
    NestedCompression,
    /// A message inside a compressed one has another format.
    #[error("a compressed message of {expected} contains a message of magic {found}")]
    InnerMagic {
        /// The inner message's magic byte.
        found: i8,
        /// The outer message's format.
        expected: Magic,
    },
}

/// A field of a record or message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Field {
    /// The length of a record or message.
    Record,
    /// A record's attributes.
    Attributes,
    /// A record's timestamp delta.
    TimestampDelta,
    /// A record's offset delta.
    OffsetDelta,
    /// The key.
    Key,
    /// The value.
    Value,
    /// The number of headers.
    HeaderCount,
    /// A header's name.
    HeaderName,
    /// A header's value.
    HeaderValue,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Record => "record",
            Self::Attributes => "attributes",
            Self::TimestampDelta => "timestamp delta",
            Self::OffsetDelta => "offset delta",
            Self::Key => "key",
            Self::Value => "value",
            Self::HeaderCount => "number of headers",
            Self::HeaderName => "header name",
            Self::HeaderValue => "header value",
        })
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { batch_at, at, region, record, scope, kind } = self;
        write!(f, "at byte {at}")?;
        match region {
            Region::Buffer => {}
            Region::Decompressed => f.write_str(" of the decompressed records")?,
        }
        f.write_str(", in ")?;
        match (record, scope) {
            (Some(record), DecodeErrorScope::Record { start, end }) => {
                write!(f, "record {record} ({start}..{end}) of ")?;
            }
            (Some(record), _) => write!(f, "record {record} of ")?,
            (None, _) => {}
        }
        match scope {
            DecodeErrorScope::Batch { end } => write!(f, "the batch at bytes {batch_at}..{end}: {kind}"),
            _ => write!(f, "the batch at byte {batch_at}: {kind}"),
        }
    }
}

impl Error for DecodeError {}
