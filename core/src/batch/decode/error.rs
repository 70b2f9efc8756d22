//! What can be wrong with a batch that is read, and where.

use alloc::boxed::Box;
use core::error::Error;
use core::fmt;

use crate::compression::{Codec, DecompressError};
use crate::magic::Magic;

/// Bytes that are no valid batch or record: what was found, at which byte, and how much is lost for it.
///
/// An iterator that returns one goes on behind what the error's [`scope`](Self::scope) says is lost.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct DecodeError {
    /// Where the batch begins that is at fault: a byte of the buffer that was given.
    pub batch_at: usize,
    /// The byte at fault, counted as `region` says.
    pub at: usize,
    /// What `at` is counted in.
    pub region: Region,
    /// The record at fault by its number in the batch, counted from 0; `None` where it is the batch itself.
    pub record: Option<u32>,
    /// What cannot be read for it, and where that ends.
    pub scope: DecodeErrorScope,
    /// What is wrong.
    pub kind: DecodeErrorKind,
}

/// An iterator's item has room for an error with every record. With 112 bytes in place of 80, reading plain messages of magic
/// 1 took 1.28 times as long.
const _: () = assert!(size_of::<DecodeError>() <= 80);

/// How much cannot be read because of a [`DecodeError`].
///
/// Kafka's format has no marks to find the beginning of a batch or record by, only lengths. An end is therefore as good
/// as the length that it is taken from, which no checksum covers in a batch that is damaged: behind a wrong one more
/// errors follow, until a batch begins where one is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeErrorScope {
    /// One record. The next item of [`RecordIter`](crate::RecordIter) is the record behind it.
    Record {
        /// The record's first byte, counted as the error's region says.
        start: usize,
        /// The first byte behind it, counted in the same way.
        end: usize,
    },
    /// The batch; in an error of [`RecordIter`](crate::RecordIter), what follows in it. The next item of
    /// [`RecordBatches`](crate::RecordBatches) is the batch behind it.
    Batch {
        /// The first byte of the buffer behind the batch, which begins at [`DecodeError::batch_at`].
        end: usize,
    },
    /// Everything from [`DecodeError::batch_at`] on: the batch's length cannot be right, and so it is not known where the
    /// next batch begins. [`RecordBatches`](crate::RecordBatches) has ended.
    Rest,
}

/// What the position of a [`DecodeError`] is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Region {
    /// The buffer that was given.
    Buffer,
    /// The batch's records after decompression.
    Decompressed,
}

/// What is wrong with a batch.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// No known message format.
    #[error("the magic byte is {0}, and 0, 1 and 2 are known")]
    UnknownMagic(i8),
    /// A batch or message is shorter than its own header.
    #[error("the length is {found}, and a {magic} batch has {least} bytes at least")]
    BatchLength {
        /// The length on the wire.
        found: i32,
        /// The format.
        magic: Magic,
        /// The least length that it can have.
        least: i32,
    },
    /// The checksum does not match the bytes.
    #[error("the checksum is {stored:#010x}, and that of the bytes is {computed:#010x}")]
    Checksum {
        /// The checksum on the wire.
        stored: u32,
        /// That of the bytes.
        computed: u32,
    },
    /// The attributes name a codec that does not exist.
    #[error("the attributes name codec {0}, which does not exist")]
    UnknownCodec(u8),
    /// The attributes name a codec that this format does not have.
    #[error("{codec} in a batch of {magic}, which does not have it")]
    CodecNeedsNewerMagic {
        /// The codec.
        codec: Codec,
        /// The format.
        magic: Magic,
    },
    /// The number of records is negative.
    #[error("the number of records is {0}")]
    RecordCount(i32),
    /// The batch ends before the number of records that its header says.
    #[error("the batch ends here, {missing} records before its header says")]
    MissingRecords {
        /// How many are missing.
        missing: u32,
    },
    /// A field's bytes end too early.
    #[error("the {field} is cut off")]
    Cut {
        /// The field.
        field: Field,
    },
    /// A field's varint has more bytes or bits than its type.
    #[error("the {field} is a varint that is too long")]
    VarintTooLong {
        /// The field.
        field: Field,
    },
    /// A field's length is negative where it cannot be, or goes past the end of what it is in.
    #[error("the {field} has length {found}, and {left} bytes are left")]
    Length {
        /// The field.
        field: Field,
        /// The length found.
        found: i64,
        /// Bytes left.
        left: usize,
    },
    /// A record's header name is not UTF-8: [`Records::iter_lenient`](crate::Records::iter_lenient) has names as bytes.
    #[error("the header name is not UTF-8: `Records::iter_lenient` has names as bytes")]
    HeaderNameNotUtf8,
    /// An offset is not behind the one before it, or not within what the batch's header says: only
    /// [`Records::validate`](crate::Records::validate) minds.
    #[error("the offset delta is {found}, and deltas from {least} to {last} are left")]
    OffsetDelta {
        /// The delta found.
        found: i64,
        /// The least that there could be behind the record before.
        least: i64,
        /// The last one that the header allows.
        last: i32,
    },
    /// An offset beyond 64 bits, or the base offset of compressed messages below 0.
    #[error("the offset is outside of 0 to 9223372036854775807")]
    OffsetRange,
    /// Bytes that belong to nothing.
    #[error("{count} bytes are left over here")]
    LeftOver {
        /// How many.
        count: usize,
    },
    /// The codec could not read its bytes. Boxed, for the sake of iterators of records: see the assertion below.
    #[error("{0}")]
    Decompression(Box<DecompressError>),
    /// A compressed message of magic 0 or 1 without a value, or with no message in it.
    #[error("a compressed message has no messages in it")]
    EmptyWrapper,
    /// A message inside a compressed one is itself compressed.
    #[error("a compressed message stands inside a compressed message")]
    NestedCompression,
    /// A message inside a compressed one has another format.
    #[error("a message of magic {found} stands inside a compressed message of {expected}")]
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
