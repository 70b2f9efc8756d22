//! Errors of compression and decompression.

use alloc::borrow::Cow;

use super::Codec;
use crate::magic::Magic;

/// An error of compressing a batch's records. The buffer is unchanged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CompressError {
    /// The batch's format is too old for the codec (zstd needs magic 2, KIP-110).
    #[error("{codec} needs magic 2, and this batch has {magic}: use another codec or a newer format")]
    NeedsNewerMagic {
        /// The codec asked for.
        codec: Codec,
        /// The format of the batch.
        magic: Magic,
    },
    /// The records exceed the maximum size of a batch, whose length is a signed 32-bit number.
    #[error("{size} bytes of records are too many for one batch, which has at most {limit}: split it")]
    TooLarge {
        /// The size of the records, in bytes.
        size: usize,
        /// The maximum size, in bytes.
        limit: usize,
    },
    /// Allocating the buffer for the compressed bytes, or the codec's working memory, failed.
    #[error("not enough memory to compress {size} bytes with {codec}: use smaller batches")]
    OutOfMemory {
        /// The codec asked for.
        codec: Codec,
        /// The size of the records, in bytes.
        size: usize,
    },
    /// The codec's library returned an error.
    #[error("compressing with {codec} failed: {reason}; use another codec")]
    Failed {
        /// The codec asked for.
        codec: Codec,
        /// The library's error message.
        reason: Cow<'static, str>,
    },
}

/// An error of decompressing a batch's records.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecompressError {
    /// The codec is not compiled into this build.
    #[error("the records are compressed with {codec}, which is not compiled in: enable the Cargo feature `{feature}`")]
    NotCompiled {
        /// The codec in the batch's attributes.
        codec: Codec,
        /// The Cargo feature to enable.
        feature: &'static str,
    },
    /// The batch's format is too old for the codec (zstd needs magic 2, KIP-110). No broker accepts
    /// such a batch.
    #[error("the records are compressed with {codec}, which needs magic 2, but the batch has {magic}")]
    NeedsNewerMagic {
        /// The codec in the batch's attributes.
        codec: Codec,
        /// The format of the batch.
        magic: Magic,
    },
    /// The decompressed records exceed the caller's limit.
    #[error(
        "the records compressed with {codec} take more than {ceiling} bytes: raise the ceiling if their sender can be trusted"
    )]
    TooLarge {
        /// The codec in the batch's attributes.
        codec: Codec,
        /// The caller's limit, in decompressed bytes.
        ceiling: usize,
    },
    /// The compressed bytes are damaged, truncated, or of another codec.
    #[error("corrupt {codec} data at byte {at}: {what}")]
    Corrupt {
        /// The codec in the batch's attributes.
        codec: Codec,
        /// The start of the invalid field, block or frame, in bytes from the start of the compressed
        /// data; for gzip, the position at which decoding stopped.
        at: usize,
        /// The kind of corruption.
        what: Corruption,
    },
    /// Allocating the buffer for the decompressed bytes, or the codec's working memory, failed.
    #[error(
        "not enough memory for {size} bytes of records compressed with {codec}: lower the limit for decompressed bytes"
    )]
    OutOfMemory {
        /// The codec in the batch's attributes.
        codec: Codec,
        /// The size of the buffer, in decompressed bytes.
        size: usize,
    },
}

/// The kind of corruption of compressed bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Corruption {
    /// There are no compressed bytes. Even an empty batch has some.
    #[error("there are no bytes")]
    Empty,
    /// The bytes end within a field, block or frame.
    #[error("the data ends too early")]
    Truncated,
    /// The bytes do not begin with the codec's frame, member or header, at the start or after a preceding one.
    #[error("this is not {expected}")]
    NotA {
        /// What was expected.
        expected: &'static str,
    },
    /// A header field has an invalid value.
    #[error("{0}")]
    Header(&'static str),
    /// A checksum does not match its bytes.
    #[error("the {of} checksum is {stored:#x}, but the data has {computed:#x}")]
    Checksum {
        /// The part of the data that it covers.
        of: &'static str,
        /// The stored checksum.
        stored: u32,
        /// The checksum computed from the data.
        computed: u32,
    },
    /// A stored size does not match the data.
    #[error("the {of} is {stored} bytes, but the data has at most {found}")]
    Size {
        /// The field with the size.
        of: &'static str,
        /// The stored size, in bytes.
        stored: u64,
        /// The actual or maximum possible size, in bytes.
        found: u64,
    },
    /// The codec's library cannot decode a block.
    #[error("{0}")]
    Data(Cow<'static, str>),
}

/// Creates a [`DecompressError::Corrupt`].
#[cfg(any(feature = "gzip", feature = "snappy", feature = "lz4", feature = "zstd"))]
pub(super) fn corrupt(codec: Codec, at: usize, what: Corruption) -> DecompressError {
    DecompressError::Corrupt { codec, at, what }
}
