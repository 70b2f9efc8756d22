//! Parses the LZ4 frame format: headers, blocks and checksums.

use twox_hash::XxHash32;

use super::{DESCRIPTOR, MAGIC, STORED, WORD};
use crate::compression::error::corrupt;
use crate::compression::{Codec, Corruption, DecompressError};
use crate::magic::Magic;

/// The maximum expansion of one byte of a block.
const MAX_EXPANSION: usize = 255;

/// Verifies the checksum of the part at `at`, if it has one.
pub(super) fn verify(of: &'static str, stored: Option<u32>, at: usize, bytes: &[u8]) -> Result<(), DecompressError> {
    let Some(stored) = stored else {
        return Ok(());
    };
    let computed = XxHash32::oneshot(0, bytes);
    if stored == computed {
        return Ok(());
    }
    Err(corrupt(Codec::Lz4, at, Corruption::Checksum { of, stored, computed }))
}

/// Takes the next `len` bytes.
fn take<'a>(compressed: &'a [u8], at: &mut usize, len: usize) -> Result<&'a [u8], DecompressError> {
    match compressed[*at..].get(..len) {
        Some(bytes) => {
            *at += len;
            Ok(bytes)
        }
        None => Err(corrupt(Codec::Lz4, *at, Corruption::Truncated)),
    }
}

/// Reads the next little-endian `u32`.
fn word(compressed: &[u8], at: &mut usize) -> Result<u32, DecompressError> {
    let mut word = [0; WORD];
    word.copy_from_slice(take(compressed, at, WORD)?);
    Ok(u32::from_le_bytes(word))
}

/// A parsed frame header.
pub(super) struct Frame {
    pub(super) at: usize,
    /// Whether blocks can refer to preceding blocks.
    pub(super) linked: bool,
    block_sums: bool,
    content_summed: bool,
    pub(super) content_size: Option<u64>,
    max_block_len: usize,
}

/// One block of a frame.
pub(super) struct Block<'a> {
    pub(super) at: usize,
    pub(super) bytes: &'a [u8],
    /// Whether the bytes are not compressed.
    pub(super) stored: bool,
    pub(super) sum: Option<u32>,
    /// The maximum decompressed size.
    pub(super) most: usize,
}

impl Frame {
    /// Parses the header at `at`, and advances `at` to the first block. Magic 0 allows either header checksum.
    pub(super) fn read(magic: Magic, compressed: &[u8], at: &mut usize) -> Result<Self, DecompressError> {
        let start = *at;
        let fault = |what| Err(corrupt(Codec::Lz4, start, what));
        if take(compressed, at, MAGIC.len())? != MAGIC {
            let expected = "an LZ4 frame";
            return fault(Corruption::NotA { expected });
        }
        let [flags, sizes] = *take(compressed, at, DESCRIPTOR.len())? else {
            return fault(Corruption::Truncated);
        };
        if flags >> 6 != 1 {
            return fault(Corruption::Header("the version of the frame is not 1"));
        }
        if flags & 0x02 != 0 || sizes & 0x8f != 0 {
            return fault(Corruption::Header("a reserved bit of the frame is set"));
        }
        if flags & 0x01 != 0 {
            return fault(Corruption::Header("the frame needs a dictionary"));
        }
        let max_block_len = match sizes >> 4 {
            4 => 64 << 10,
            5 => 256 << 10,
            6 => 1 << 20,
            7 => 4 << 20,
            _ => return fault(Corruption::Header("the frame has no known block size")),
        };
        let content_size = if flags & 0x08 == 0 {
            None
        } else {
            let low = word(compressed, at)?;
            Some(u64::from(low) | u64::from(word(compressed, at)?) << 32)
        };
        let sum = |from| XxHash32::oneshot(0, &compressed[from..*at]) >> 8 & 0xff;
        let (computed, historic) = (sum(start + MAGIC.len()), sum(start));
        let stored = u32::from(take(compressed, at, 1)?[0]);
        if stored != computed && !(magic == Magic::V0 && stored == historic) {
            let of = "header";
            return fault(Corruption::Checksum { of, stored, computed });
        }
        Ok(Self {
            at: start,
            linked: flags & 0x20 == 0,
            block_sums: flags & 0x10 != 0,
            content_summed: flags & 0x04 != 0,
            content_size,
            max_block_len,
        })
    }

    /// Returns the block at `at`, and advances `at` past it. `None` at the end mark.
    pub(super) fn block<'a>(&self, compressed: &'a [u8], at: &mut usize) -> Result<Option<Block<'a>>, DecompressError> {
        let start = *at;
        let length = word(compressed, at)?;
        if length == 0 {
            return Ok(None);
        }
        let stored = length & STORED != 0;
        // Lossless: 31 bits.
        let length = (length & !STORED) as usize;
        if length > self.max_block_len {
            let what = Corruption::Header("a block is longer than the frame allows");
            return Err(corrupt(Codec::Lz4, start, what));
        }
        let bytes = take(compressed, at, length)?;
        let expanded = if stored { 1 } else { MAX_EXPANSION };
        Ok(Some(Block {
            at: start,
            bytes,
            stored,
            sum: self.block_sums.then(|| word(compressed, at)).transpose()?,
            most: length.saturating_mul(expanded).min(self.max_block_len),
        }))
    }

    /// Reads the content checksum after the last block, if the frame has one.
    pub(super) fn content_sum(&self, compressed: &[u8], at: &mut usize) -> Result<Option<u32>, DecompressError> {
        self.content_summed.then(|| word(compressed, at)).transpose()
    }
}
