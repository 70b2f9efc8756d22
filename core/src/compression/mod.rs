//! Compression of a batch's records: none, gzip, Snappy, LZ4 and zstd.
//!
//! [`Codec`] is what a batch's attributes name, [`Compression`] what a batch is told to write. Each
//! codec but none is behind the cargo feature of its name.
//!
//! What is read is taken to be hostile: whatever the bytes are, decompressing ends in records or in
//! a typed error. It allocates no more than the bytes present can expand to and no more than the
//! caller's ceiling, plus the codec's own working memory, which is constant: about 48 KiB for gzip,
//! 96 KiB for zstd, nothing for Snappy and LZ4.
//!
//! Only zstd keeps anything between batches: each thread that used it holds 96 KiB for reading and
//! up to 4 MiB for writing (1.3 MiB at the default level).

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

/// The most bytes that one batch can have (its length field is an `i32`).
const MAX_BATCH_LEN: usize = i32::MAX as usize;

impl Compression {
    /// Appends the compressed form of `raw` to `out`, and leaves what is already there alone.
    ///
    /// Room for the worst case is reserved at once, so `out` may end up with far more capacity than
    /// length.
    ///
    /// # Errors
    /// See [`CompressError`]; `out` then has the bytes it had.
    pub(crate) fn compress(self, magic: Magic, raw: &[u8], out: &mut Vec<u8>) -> Result<(), CompressError> {
        let codec = self.codec();
        if !codec.fits_magic(magic) {
            return Err(CompressError::NeedsNewerMagic { codec, magic });
        }
        if raw.len() > MAX_BATCH_LEN {
            return Err(CompressError::TooLarge { size: raw.len(), limit: MAX_BATCH_LEN });
        }
        let start = out.len();
        let done = match self {
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
        if done.is_err() {
            out.truncate(start);
        }
        done
    }
}

impl Codec {
    /// The decompressed bytes, of which there may be up to and including `ceiling`.
    ///
    /// [`Codec::None`] gives a copy, so that a caller need not tell it apart; one that can borrow
    /// should.
    ///
    /// # Errors
    /// See [`DecompressError`]. gzip members, xerial Snappy streams, LZ4 frames and zstd frames may
    /// follow one another. Other bytes after the end of the compressed data are an error too, unless
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
            // Room was made for all that the bytes can expand to: 128 KiB for a small zstd frame
            // without its size. Records are kept, so that is given back.
            if out.len() < out.capacity() / 2 {
                out.shrink_to_fit();
            }
            out
        })
    }
}

/// Returns whether `rest` may be left unread, which is behind a whole member, stream or frame and does
/// not begin another one. Java's reader leaves it unread for gzip and LZ4, and up to three bytes of it
/// for xerial Snappy (tests/vectors/java-tolerance); zstd is treated as these are.
///
/// A second part whose beginning is damaged looks the same. In magic 2 the number of records shows
/// that it is missing; in magic 0 and 1 nothing would, and so there it has to be zeros.
#[cfg(any(feature = "gzip", feature = "snappy", feature = "lz4", feature = "zstd"))]
fn may_be_skipped(magic: Magic, rest: &[u8]) -> bool {
    magic == Magic::V2 || rest.iter().all(|&byte| byte == 0)
}

/// Room for `additional` more bytes in `out`, as an error instead of an abort if there is none.
fn reserve(out: &mut Vec<u8>, additional: usize, codec: Codec, raw: &[u8]) -> Result<(), CompressError> {
    out.try_reserve(additional).map_err(|_| CompressError::OutOfMemory { codec, size: raw.len() })
}

/// An empty vector with room for just `size` bytes.
fn with_capacity(size: usize, codec: Codec) -> Result<Vec<u8>, DecompressError> {
    let mut out = Vec::new();
    match out.try_reserve_exact(size) {
        Ok(()) => Ok(out),
        Err(_) => Err(DecompressError::OutOfMemory { codec, size }),
    }
}

/// The `len` bytes of `out` from `pos` on, to be written.
///
/// Snappy and LZ4 write into initialised bytes only. Growing `out` no further than this asks for,
/// and cutting it once at the end instead of after each block, zeroes each byte at most once and
/// few that are not written afterwards.
#[cfg(any(feature = "snappy", feature = "lz4"))]
fn window(out: &mut Vec<u8>, pos: usize, len: usize) -> &mut [u8] {
    if out.len() < pos + len {
        out.resize(pos + len, 0);
    }
    &mut out[pos..pos + len]
}
