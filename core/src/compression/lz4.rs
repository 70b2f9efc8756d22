//! LZ4 in the LZ4 frame format. Writes one frame; reads one or several.
//!
//! Frames are written as the Java client writes them: independent blocks of 64 KiB, no checksums, no
//! content size. Reading supports the whole format except dictionaries: all block sizes, linked blocks,
//! block and content checksums (verified), the content size (verified).
//!
//! Frames are parsed here and not by the library, whose reader allocates blocks of the size that the
//! header claims. Kafka's magic 0 requires it too: there the header checksum covers the wrong bytes
//! (KIP-57, KAFKA-3160).

mod frame;

use alloc::borrow::Cow;
use alloc::string::ToString;
use alloc::vec::Vec;

use self::frame::{Frame, verify};
use super::error::corrupt;
use super::{Codec, CompressError, Corruption, DecompressError, may_be_skipped, reserve, window, with_capacity};
use crate::magic::Magic;
use lz4_flex::block::{self, CompressTable, get_maximum_output_size};

/// The first bytes of a frame.
const MAGIC: [u8; 4] = 0x184D_2204u32.to_le_bytes();
/// The frame descriptor that is written: version 1, independent blocks of up to 64 KiB.
const DESCRIPTOR: [u8; 2] = [0x60, 0x40];
/// The checksum of [`DESCRIPTOR`].
const DESCRIPTOR_SUM: u8 = 0x82;
/// The header checksum of Kafka before 0.10, which covers [`MAGIC`] and [`DESCRIPTOR`].
const DESCRIPTOR_SUM_V0: u8 = 0x1a;
/// The size of a block before compression.
const BLOCK_LEN: usize = 64 * 1024;
/// The size of a block's length field, of the end mark, and of a checksum.
const WORD: usize = 4;
/// The bit of a block's length that marks an uncompressed block.
const STORED: u32 = 1 << 31;
/// The distance up to which a block can refer to earlier ones.
const DICTIONARY_LEN: usize = 64 * 1024;

pub(super) fn compress(magic: Magic, raw: &[u8], out: &mut Vec<u8>) -> Result<(), CompressError> {
    let blocks = raw.len().div_ceil(BLOCK_LEN);
    let frame = MAGIC.len() + DESCRIPTOR.len() + 1 + WORD;
    let room = frame + blocks * (WORD + get_maximum_output_size(0)) + get_maximum_output_size(raw.len());
    reserve(out, room, Codec::Lz4, raw)?;
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&DESCRIPTOR);
    out.push(match magic {
        Magic::V0 => DESCRIPTOR_SUM_V0,
        Magic::V1 | Magic::V2 => DESCRIPTOR_SUM,
    });

    // A new table (16 KiB) for each batch: keeping it would save 3 % at 16 KiB. The large variant, because
    // it compresses short batches better at the same speed.
    let mut table = CompressTable::large();
    let mut pos = out.len();
    for block in raw.chunks(BLOCK_LEN) {
        let target = window(out, pos, WORD + get_maximum_output_size(block.len()));
        let (length, data) = target.split_at_mut(WORD);
        let mut written = block::compress_into_with_table(block, data, &mut table)
            .map_err(|error| CompressError::Failed { codec: Codec::Lz4, reason: Cow::Owned(error.to_string()) })?;
        let mut flag = 0;
        if written >= block.len() {
            data[..block.len()].copy_from_slice(block);
            written = block.len();
            flag = STORED;
        }
        // Lossless: 64 KiB at most.
        length.copy_from_slice(&(written as u32 | flag).to_le_bytes());
        pos += WORD + written;
    }
    out.truncate(pos);
    out.extend_from_slice(&[0; WORD]); // the end mark
    Ok(())
}

pub(super) fn decompress(magic: Magic, compressed: &[u8], ceiling: usize) -> Result<Vec<u8>, DecompressError> {
    let (mut output, end) = Output::for_frames(magic, compressed, ceiling)?;
    let mut at = 0;
    while at < end {
        let frame = Frame::read(magic, compressed, &mut at)?;
        let start = output.filled;
        while let Some(block) = frame.block(compressed, &mut at)? {
            verify("block", block.sum, block.at, block.bytes)?;
            let reach = if frame.linked { start } else { output.filled };
            output.append(&block, reach)?;
        }
        let sum = frame.content_sum(compressed, &mut at)?;
        let content = &output.bytes[start..output.filled];
        verify("content", sum, frame.at, content)?;
        let found = content.len() as u64;
        if let Some(stored) = frame.content_size.filter(|size| *size != found) {
            let of = "content size";
            return Err(corrupt(Codec::Lz4, frame.at, Corruption::Size { of, stored, found }));
        }
    }
    output.bytes.truncate(output.filled);
    Ok(output.bytes)
}

/// The decompressed bytes.
struct Output {
    /// The first `filled` bytes are output; zeros may follow.
    bytes: Vec<u8>,
    filled: usize,
    /// The maximum of `filled`.
    room: usize,
    /// The caller's limit, if it determines `room`.
    ceiling: Option<usize>,
    /// Whether the frames have exactly one block.
    single: bool,
}

impl Output {
    /// Parses the frames without decompressing them: detects truncation, and determines the maximum
    /// decompressed size and the end of the last frame. Java's reader reads only the first frame.
    fn for_frames(magic: Magic, compressed: &[u8], ceiling: usize) -> Result<(Self, usize), DecompressError> {
        let (mut most, mut blocks, mut at) = (0usize, 0usize, 0);
        while at < compressed.len() {
            let rest = &compressed[at..];
            if at > 0 && !rest.starts_with(&MAGIC) && may_be_skipped(magic, rest) {
                break;
            }
            let frame = Frame::read(magic, compressed, &mut at)?;
            let mut content = 0usize;
            while let Some(block) = frame.block(compressed, &mut at)? {
                content = content.saturating_add(block.most);
                blocks += 1;
            }
            frame.content_sum(compressed, &mut at)?;
            let stated = frame.content_size.and_then(|size| usize::try_from(size).ok());
            most = most.saturating_add(content.min(stated.unwrap_or(usize::MAX)));
        }
        let room = most.min(ceiling);
        let single = blocks == 1;
        let output = Self {
            // For a single block the library allocates the output itself.
            bytes: with_capacity(if single { 0 } else { room }, Codec::Lz4)?,
            filled: 0,
            room,
            ceiling: (most > ceiling).then_some(ceiling),
            single,
        };
        Ok((output, at))
    }

    /// Decompresses a block, which can refer to the output from `reach` on.
    fn append(&mut self, block: &frame::Block<'_>, reach: usize) -> Result<(), DecompressError> {
        let room = block.most.min(self.room - self.filled);
        let written = if block.stored {
            let target = window(&mut self.bytes, self.filled, room);
            match block.bytes.get(..room) {
                Some(bytes) if room == block.bytes.len() => target.copy_from_slice(bytes),
                _ => return Err(self.too_small(block)),
            }
            Ok(room)
        } else if self.single {
            // Most batches are one block; this variant does not zero the memory first.
            block::decompress(block.bytes, room).map(|bytes| {
                self.bytes = bytes;
                self.bytes.len()
            })
        } else {
            window(&mut self.bytes, self.filled, room);
            let (before, target) = self.bytes.split_at_mut(self.filled);
            let target = &mut target[..room];
            match before.get(reach.max(self.filled.saturating_sub(DICTIONARY_LEN))..) {
                None | Some([]) => block::decompress_into(block.bytes, target),
                Some(before) => block::decompress_into_with_dict(block.bytes, target, before),
            }
        };
        match written {
            // The library may allocate, and fill, more than `room`.
            Ok(written) if written > room => Err(self.too_small(block)),
            Ok(written) => {
                self.filled += written;
                Ok(())
            }
            Err(block::DecompressError::OutputTooSmall { .. }) => Err(self.too_small(block)),
            Err(error) => {
                let what = Corruption::Data(Cow::Owned(error.to_string()));
                Err(corrupt(Codec::Lz4, block.at, what))
            }
        }
    }

    /// Returns the error for a block that exceeds the caller's limit or the frame's declared size.
    fn too_small(&self, block: &frame::Block<'_>) -> DecompressError {
        match self.ceiling {
            Some(ceiling) if self.room - self.filled < block.most => {
                DecompressError::TooLarge { codec: Codec::Lz4, ceiling }
            }
            _ => {
                let what = Corruption::Header("a block exceeds the size that the frame declares");
                corrupt(Codec::Lz4, block.at, what)
            }
        }
    }
}
