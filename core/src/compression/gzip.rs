//! gzip, RFC 1952. Writes one member; reads one or several, and skips padding after the last one, as
//! Java's `GZIPInputStream` does.
//!
//! The header has no name, comment or time, so that equal records always compress to equal bytes.

use alloc::borrow::Cow;
use alloc::string::ToString;
use alloc::vec::Vec;

use flate2::{Compress, Decompress, FlushCompress, FlushDecompress, Status};

use super::error::corrupt;
use super::{Codec, CompressError, Corruption, DecompressError, GzipLevel, may_be_skipped, reserve, with_capacity};
use crate::magic::Magic;

/// The largest window (32 KiB), which every gzip reader must support.
const WINDOW_BITS: u8 = 15;
/// The first bytes of a member: the two magic bytes, and 8 for deflate, the only method defined.
const MEMBER_START: [u8; 3] = [0x1f, 0x8b, 8];
/// The size of a member's header and trailer, in bytes.
const MEMBER_OVERHEAD: usize = 18;
/// The maximum expansion of one byte of deflate data (a match of 258 bytes in two bits).
const MAX_EXPANSION: usize = 1032;

pub(super) fn compress(level: GzipLevel, raw: &[u8], out: &mut Vec<u8>) -> Result<(), CompressError> {
    // A new compressor for each batch: keeping one saves 5 % at 16 KiB and nothing at 1 MiB, and
    // would hold 380 KB for each thread.
    let mut deflate = Compress::new_gzip(flate2::Compression::new(level.get() as u32), WINDOW_BITS);
    // Level 1 encodes literals in up to 9 bits and never falls back to stored blocks: hence an eighth.
    let mut room = raw.len() + raw.len() / 8 + MEMBER_OVERHEAD + 64;
    loop {
        reserve(out, room, Codec::Gzip, raw)?;
        // Lossless: `raw` is shorter than 2 GiB.
        let done = deflate.total_in() as usize;
        match deflate.compress_vec(&raw[done..], out, FlushCompress::Finish) {
            Ok(Status::StreamEnd) => return Ok(()),
            Ok(Status::Ok | Status::BufError) if out.len() == out.capacity() => {
                room = raw.len() / 8 + 64;
            }
            Ok(Status::Ok | Status::BufError) => return Err(failed("the compressor stalled")),
            Err(error) => return Err(failed(&error.to_string())),
        }
    }
}

fn failed(reason: &str) -> CompressError {
    CompressError::Failed { codec: Codec::Gzip, reason: Cow::Owned(reason.to_string()) }
}

pub(super) fn decompress(magic: Magic, compressed: &[u8], ceiling: usize) -> Result<Vec<u8>, DecompressError> {
    let mut out = with_capacity(
        likely_size(compressed).min(compressed.len().saturating_mul(MAX_EXPANSION)).min(ceiling),
        Codec::Gzip,
    )?;
    let mut at = 0;
    loop {
        at = member(compressed, at, &mut out, ceiling)?;
        let rest = &compressed[at..];
        let is_member = rest.len() >= MEMBER_OVERHEAD && rest.starts_with(&MEMBER_START);
        if rest.is_empty() || (!is_member && may_be_skipped(magic, rest)) {
            return Ok(out);
        }
    }
}

/// Returns the size in the trailer of the last member. Only an initial capacity that avoids reallocation; the
/// decompressor verifies the size.
fn likely_size(compressed: &[u8]) -> usize {
    match compressed.last_chunk() {
        Some(size) => u32::from_le_bytes(*size) as usize,
        None => 0,
    }
}

/// Appends the decompressed member at `at` to `out`, and returns the position of its end.
fn member(compressed: &[u8], at: usize, out: &mut Vec<u8>, ceiling: usize) -> Result<usize, DecompressError> {
    let bytes = &compressed[at..];
    let known = bytes.len().min(MEMBER_START.len());
    if bytes[..known] != MEMBER_START[..known] {
        let expected = "a gzip member";
        return Err(corrupt(Codec::Gzip, at, Corruption::NotA { expected }));
    }
    let mut inflate = Decompress::new_gzip(WINDOW_BITS);
    loop {
        // Lossless: no more than `bytes.len()`.
        let rest = &bytes[inflate.total_in() as usize..];
        if out.len() == out.capacity() && out.len() < ceiling {
            grow(out, rest.len(), ceiling)?;
        }
        let had_room = out.len() < out.capacity();
        let step = if had_room {
            inflate.decompress_vec(rest, out, FlushDecompress::Finish)
        } else {
            // The limit is reached, but the member's end may not be read yet. Decompress into one
            // spare byte: the decompressor reaches the end unless it has another byte to write.
            let before = inflate.total_out();
            let step = inflate.decompress(rest, &mut [0], FlushDecompress::Finish);
            if inflate.total_out() > before {
                return Err(too_large(ceiling));
            }
            step
        };
        // Lossless: as above.
        let stopped_at = at + inflate.total_in() as usize;
        match step {
            Ok(Status::StreamEnd) if out.len() > ceiling => return Err(too_large(ceiling)),
            Ok(Status::StreamEnd) => return Ok(stopped_at),
            Ok(Status::Ok | Status::BufError) if had_room && out.len() == out.capacity() => {}
            Ok(Status::Ok | Status::BufError) => {
                return Err(corrupt(Codec::Gzip, stopped_at, Corruption::Truncated));
            }
            Err(error) => {
                let reason = error.message().unwrap_or("the data is not a deflate stream");
                let what = Corruption::Data(Cow::Owned(reason.to_string()));
                return Err(corrupt(Codec::Gzip, stopped_at, what));
            }
        }
    }
}

/// Grows `out` up to `ceiling`: by its length, or by what the `left` compressed bytes are likely to need.
fn grow(out: &mut Vec<u8>, left: usize, ceiling: usize) -> Result<(), DecompressError> {
    let wanted = out.len().max(left.saturating_mul(4)).max(1024);
    let allowed = wanted.min(ceiling - out.len());
    out.try_reserve_exact(allowed)
        .map_err(|_| DecompressError::OutOfMemory { codec: Codec::Gzip, size: out.len() + allowed })
}

fn too_large(ceiling: usize) -> DecompressError {
    DecompressError::TooLarge { codec: Codec::Gzip, ceiling }
}
