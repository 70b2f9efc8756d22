//! What can go wrong in compressing and in decompressing.

use alloc::borrow::Cow;

use super::Codec;
use crate::magic::Magic;

/// Why records could not be compressed. The buffer is then as it was before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CompressError {
    /// The batch's format is too old for the codec (zstd needs magic 2, KIP-110).
    #[error("{codec} needs record format 2, and this batch has {magic}: use another codec or a newer format")]
    NeedsNewerMagic {
        /// The codec asked for.
        codec: Codec,
        /// The format of the batch.
        magic: Magic,
    },
    /// More bytes than a batch can have: its length is a 32-bit signed number.
    #[error("{size} bytes of records are too many for one batch, which has at most {limit}: split it")]
    TooLarge {
        /// Bytes to be compressed.
        size: usize,
        /// The most that there can be, in bytes.
        limit: usize,
    },
    /// The memory for the compressed bytes, or for the codec itself, was not to be had.
    #[error("no memory for compressing {size} bytes with {codec}")]
    OutOfMemory {
        /// The codec asked for.
        codec: Codec,
        /// Bytes to be compressed.
        size: usize,
    },
    /// The codec's library failed on what it should have been able to do.
    #[error("{codec} failed: {reason}")]
    Failed {
        /// The codec asked for.
        codec: Codec,
        /// What the library says.
        reason: Cow<'static, str>,
    },
}

/// Why compressed records could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecompressError {
    /// This build does not have the codec.
    #[error(
        "the records are compressed with {codec}, which is not compiled in: switch on the cargo feature `{feature}`"
    )]
    NotCompiled {
        /// The codec that the batch names.
        codec: Codec,
        /// The cargo feature to switch on.
        feature: &'static str,
    },
    /// A codec in a format that is too old for it (zstd needs magic 2, KIP-110): no broker takes
    /// such a batch.
    #[error("the records are compressed with {codec}, which needs record format 2, but the batch has {magic}")]
    NeedsNewerMagic {
        /// The codec that the batch names.
        codec: Codec,
        /// The format of the batch.
        magic: Magic,
    },
    /// The records are larger than the caller allows.
    #[error(
        "the records compressed with {codec} take more than {ceiling} bytes: raise the ceiling if their sender can be trusted"
    )]
    TooLarge {
        /// The codec that the batch names.
        codec: Codec,
        /// The most decompressed bytes that the caller allows.
        ceiling: usize,
    },
    /// The compressed bytes are damaged, cut short, or not of this codec.
    #[error("corrupt {codec} data at byte {at}: {what}")]
    Corrupt {
        /// The codec that the batch names.
        codec: Codec,
        /// Where the field, block or frame begins that cannot be read, in bytes from the start of
        /// the compressed data; for gzip, where decoding stopped.
        at: usize,
        /// What is wrong there.
        what: Corruption,
    },
    /// The memory for the decompressed bytes, or for the codec itself, was not to be had.
    #[error("no memory for {size} bytes of records compressed with {codec}")]
    OutOfMemory {
        /// The codec that the batch names.
        codec: Codec,
        /// Decompressed bytes that were to be held.
        size: usize,
    },
}

/// What is wrong with compressed bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Corruption {
    /// There are no compressed bytes at all, where even an empty batch would have some.
    #[error("there are no bytes")]
    Empty,
    /// The bytes end in the middle.
    #[error("the data ends too early")]
    Truncated,
    /// Something else than a frame, member or header of the codec, at the start or after one.
    #[error("this is not {expected}")]
    NotA {
        /// What should be there.
        expected: &'static str,
    },
    /// A header field with a value that is not allowed.
    #[error("{0}")]
    Header(&'static str),
    /// A checksum does not fit the bytes that it is about.
    #[error("the {of} checksum says {stored:#x}, but it is {computed:#x}")]
    Checksum {
        /// What the checksum is about.
        of: &'static str,
        /// The checksum in the data.
        stored: u32,
        /// The checksum of the data.
        computed: u32,
    },
    /// A size that the bytes do not bear out.
    #[error("the {of} says {stored} bytes, but there are {found} at most")]
    Size {
        /// Where the size stands.
        of: &'static str,
        /// The size in the data, in bytes.
        stored: u64,
        /// The size that there is, or can be, in bytes.
        found: u64,
    },
    /// The codec cannot make sense of a block.
    #[error("{0}")]
    Data(Cow<'static, str>),
}

/// A [`DecompressError::Corrupt`], written short.
#[cfg(any(feature = "gzip", feature = "snappy", feature = "lz4", feature = "zstd"))]
pub(super) fn corrupt(codec: Codec, at: usize, what: Corruption) -> DecompressError {
    DecompressError::Corrupt { codec, at, what }
}
