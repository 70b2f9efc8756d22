//! Compression of a batch's records: none, gzip, Snappy, LZ4 and zstd.
//!
//! [`Codec`] is the codec number in a batch's attributes; [`Compression`] is the setting for batches to be
//! written. Each codec except none requires the cargo feature of its name.
//!
//! Input is treated as hostile: decompressing any bytes returns records or a typed error. It allocates
//! no more than the bytes present can expand to and no more than the caller's limit, plus the codec's
//! own working memory, which is constant: about 48 KiB for gzip, 96 KiB for zstd, none for Snappy and
//! LZ4.
//!
//! Only zstd keeps state between batches: each thread that has used it holds 96 KiB for decompression and
//! up to 4 MiB for compression (1.3 MiB at the default level).
//!
//! | to … | see |
//! |---|---|
//! | set codec and level of batches to be written | [`Compression`], [`GzipLevel`], [`ZstdLevel`] |
//! | read `compression.type` from a configuration | [`Compression`] parses it; [`ParseCompressionError`] |
//! | name the codec of a batch that was read | [`Codec`] |
//! | handle a batch that cannot be compressed | [`CompressError`] |
//! | handle a batch that cannot be decompressed | [`DecompressError`], and what is wrong with the bytes: [`Corruption`] |
//!
//! # Examples
//!
//! ```
//! use kafka_batch_core::Compression;
//! use kafka_batch_core::compression::{Codec, ParseCompressionError};
//!
//! match "gzip:9".parse::<Compression>() {
//!     Ok(compression) => assert_eq!(compression.codec(), Codec::Gzip),
//!     Err(ParseCompressionError::NotCompiled { feature, .. }) => assert_eq!(feature, "gzip"),
//!     Err(error) => panic!("{error}"),
//! }
//! assert!(!Codec::Zstd.fits_magic(kafka_batch_core::Magic::V1), "zstd requires magic 2");
//! ```

mod choice;
mod codec;
mod error;
#[cfg(feature = "gzip")]
mod gzip;
mod level;
#[cfg(feature = "lz4")]
mod lz4;
#[cfg(feature = "snappy")]
mod snappy;
#[cfg(test)]
mod tests;
#[cfg(feature = "zstd")]
mod zstd;

use alloc::vec::Vec;

pub use choice::{Compression, ParseCompressionError};
pub use codec::{Codec, ParseCodecError};
pub use error::{CompressError, Corruption, DecompressError};
pub use level::{GzipLevel, LevelError, ZstdLevel};

use crate::magic::Magic;

/// The maximum size of a batch in bytes: its length field is an `i32`.
const MAX_BATCH_LEN: usize = i32::MAX as usize;

impl Compression {
    /// Appends the compressed form of `raw` to `out`.
    ///
    /// Reserves capacity for the worst case, so the capacity of `out` may greatly exceed its length
    /// afterwards.
    ///
    /// # Errors
    /// See [`CompressError`]; `out` is unchanged then.
    pub(crate) fn compress(self, magic: Magic, raw: &[u8], out: &mut Vec<u8>) -> Result<(), CompressError> {
        let codec = self.codec();
        if !codec.fits_magic(magic) {
            return Err(CompressError::NeedsNewerMagic { codec, magic });
        }
        if raw.len() > MAX_BATCH_LEN {
            return Err(CompressError::TooLarge { size: raw.len(), limit: MAX_BATCH_LEN });
        }
        let start = out.len();
        let result = match self {
            Self::None => reserve(out, raw.len(), codec, raw).map(|()| out.extend_from_slice(raw)),
            #[cfg(feature = "gzip")]
            Self::Gzip(level) => gzip::compress(level, raw, out),
            #[cfg(feature = "snappy")]
            Self::Snappy => snappy::compress(raw, out),
            #[cfg(feature = "lz4")]
            Self::Lz4 => lz4::compress(magic, raw, out),
            #[cfg(feature = "zstd")]
            Self::Zstd(level) => zstd::compress(level, raw, out),
        };
        if result.is_err() {
            out.truncate(start);
        }
        result
    }
}

impl Codec {
    /// Returns the decompressed bytes, at most `ceiling` of them.
    ///
    /// [`Codec::None`] returns a copy, so that callers need no special case; callers that can borrow
    /// should do so instead.
    ///
    /// gzip members, xerial Snappy streams, LZ4 frames and zstd frames may be concatenated.
    ///
    /// # Errors
    /// See [`DecompressError`]. Other bytes after the end of the compressed data are an error too, unless
    /// they [may be skipped](may_be_skipped).
    pub(crate) fn decompress(
        self,
        magic: Magic,
        compressed: &[u8],
        ceiling: usize,
    ) -> Result<Vec<u8>, DecompressError> {
        if !self.fits_magic(magic) {
            return Err(DecompressError::NeedsNewerMagic { codec: self, magic });
        }
        match self {
            Self::None if compressed.len() > ceiling => Err(DecompressError::TooLarge { codec: self, ceiling }),
            Self::None => {
                let mut out = with_capacity(compressed.len(), self)?;
                out.extend_from_slice(compressed);
                Ok(out)
            }
            _ if self.is_compiled() && compressed.is_empty() => {
                Err(DecompressError::Corrupt { codec: self, at: 0, what: Corruption::Empty })
            }
            #[cfg(feature = "gzip")]
            Self::Gzip => gzip::decompress(magic, compressed, ceiling),
            #[cfg(feature = "snappy")]
            Self::Snappy => snappy::decompress(magic, compressed, ceiling),
            #[cfg(feature = "lz4")]
            Self::Lz4 => lz4::decompress(magic, compressed, ceiling),
            #[cfg(feature = "zstd")]
            Self::Zstd => zstd::decompress(magic, compressed, ceiling),
            #[allow(unreachable_patterns)] // with all codecs compiled in
            _ => Err(DecompressError::NotCompiled { codec: self, feature: self.name() }),
        }
        .map(|mut out| {
            // The capacity is what the bytes can expand to: 128 KiB for a small zstd frame without
            // a content size. Users may keep the records for long, so the excess is freed.
            if out.len() < out.capacity() / 2 {
                out.shrink_to_fit();
            }
            out
        })
    }
}

/// Returns `true` if `rest` may be skipped: bytes after a complete member, stream or frame that do not
/// begin another one. Java's reader skips them for gzip and LZ4, and up to three bytes for xerial Snappy
/// (tests/vectors/java-tolerance); zstd is treated in the same way here.
///
/// A second member or frame with a damaged beginning looks the same. In magic 2 the record count shows
/// that records are missing; magic 0 and 1 have no count, so there only zeros may be skipped.
#[cfg(any(feature = "gzip", feature = "snappy", feature = "lz4", feature = "zstd"))]
fn may_be_skipped(magic: Magic, rest: &[u8]) -> bool {
    magic == Magic::V2 || rest.iter().all(|&byte| byte == 0)
}

/// Reserves capacity for `additional` more bytes in `out`; returns an error if the allocation fails, instead of aborting.
fn reserve(out: &mut Vec<u8>, additional: usize, codec: Codec, raw: &[u8]) -> Result<(), CompressError> {
    out.try_reserve(additional).map_err(|_| CompressError::OutOfMemory { codec, size: raw.len() })
}

/// Returns an empty vector with a capacity of exactly `size` bytes.
fn with_capacity(size: usize, codec: Codec) -> Result<Vec<u8>, DecompressError> {
    let mut out = Vec::new();
    match out.try_reserve_exact(size) {
        Ok(()) => Ok(out),
        Err(_) => Err(DecompressError::OutOfMemory { codec, size }),
    }
}

/// Returns the `len` bytes of `out` from `pos` for writing, extending `out` with zeros if necessary.
///
/// Snappy and LZ4 write into initialised bytes only. Extending `out` by no more than each call needs,
/// and truncating it once at the end instead of after each block, zeroes each byte at most once, and
/// few bytes that are not written afterwards.
#[cfg(any(feature = "snappy", feature = "lz4"))]
fn window(out: &mut Vec<u8>, pos: usize, len: usize) -> &mut [u8] {
    if out.len() < pos + len {
        out.resize(pos + len, 0);
    }
    &mut out[pos..pos + len]
}
