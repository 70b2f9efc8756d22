//! What a decoding target makes of the fuzzer's bytes: a head that says how, and a payload.
//!
//! Checksums keep a fuzzer out, so most inputs have their length, codec bits and checksums put right; what is left to
//! go wrong is everything behind those.

use crate::{pack, wire};
use kafka_batch_core::Magic;
use kafka_batch_core::compression::Codec;

/// Bytes in front of the payload.
pub const HEAD_LEN: usize = 16;

/// What is done with the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// It is the buffer.
    Raw,
    /// It is what a batch has behind its header: for a codec, the compressed bytes.
    Wrapped,
    /// It is records, which the codec's own library compresses; then a byte is changed, and bytes at the end are cut.
    Packed,
}

/// How a batch is built around a payload.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    pub magic: Magic,
    pub shape: Shape,
    pub ceiling: u8,
    /// Attributes without the codec.
    pub attributes: u8,
    /// Level, block size, checksums: whatever the codec's library can be told.
    pub packing: u8,
    /// The record count of magic 2; the offset of a wrapper.
    pub count: i32,
    pub last_offset_delta: i32,
    pub change_at: u16,
    pub change: u8,
    pub cut: u8,
}

impl Head {
    pub fn new(magic: Magic, shape: Shape) -> Self {
        let (count, last_offset_delta) = (0, 0);
        let (attributes, packing, change_at, change, cut) = (0, 0, 0, 0, 0);
        Self { magic, shape, ceiling: 6, attributes, packing, count, last_offset_delta, change_at, change, cut }
    }

    fn read(bytes: &[u8; HEAD_LEN]) -> Self {
        let number = |at: usize| i32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        Self {
            magic: Magic::ALL[usize::from(bytes[0]) % Magic::ALL.len()],
            shape: [Shape::Raw, Shape::Wrapped, Shape::Packed][usize::from(bytes[1]) % 3],
            ceiling: bytes[2],
            attributes: bytes[3],
            count: number(4),
            last_offset_delta: number(8),
            packing: bytes[12],
            change_at: u16::from(bytes[13]) << 4,
            change: bytes[14],
            cut: bytes[15],
        }
    }

    /// The bytes that [`read`](Self::read) reads so.
    pub fn write(&self) -> [u8; HEAD_LEN] {
        let mut bytes = [0; HEAD_LEN];
        bytes[0] = self.magic.id() as u8;
        bytes[1] = self.shape as u8;
        bytes[2] = self.ceiling;
        bytes[3] = self.attributes;
        bytes[4..8].copy_from_slice(&self.count.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.last_offset_delta.to_be_bytes());
        bytes[12..].copy_from_slice(&[self.packing, (self.change_at >> 4) as u8, self.change, self.cut]);
        bytes
    }

    /// From nothing at all to the default; most of them between a small batch and a large one.
    fn ceiling(&self) -> usize {
        const CEILINGS: [usize; 8] = [0, 1, 100, 1_000, 10_000, 100_000, 1 << 20, 64 << 20];
        CEILINGS[usize::from(self.ceiling) % CEILINGS.len()]
    }
}

/// The buffer that the input stands for, and the ceiling to read it with. `None` if there is nothing to be read.
pub fn buffer(codec: Codec, data: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (head, payload) = data.split_first_chunk::<HEAD_LEN>()?;
    let head = Head::read(head);
    let codec = if codec.fits_magic(head.magic) { codec } else { Codec::None };
    let buffer = match head.shape {
        Shape::Raw => payload.to_vec(),
        Shape::Wrapped => wire::batch(&head, codec, payload),
        Shape::Packed => {
            let mut records = payload.to_vec();
            if head.magic != Magic::V2 {
                wire::right_checksums(&mut records);
            }
            let mut packed = pack::pack(codec, head.magic, head.packing, &records);
            if let Some(byte) = packed.get_mut(usize::from(head.change_at)) {
                *byte ^= head.change;
            }
            packed.truncate(packed.len().saturating_sub(usize::from(head.cut)));
            wire::batch(&head, codec, &packed)
        }
    };
    Some((buffer, head.ceiling()))
}
