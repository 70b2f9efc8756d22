//! Encoding records. Each format has one encoder, which writes into one of two sinks: a byte counter, or the buffer of the
//! batch. So the size that is counted and the size that is written cannot differ.

pub(crate) mod legacy;
pub(crate) mod v2;

use alloc::vec::Vec;

use crate::varint::{self, ShortVarint};

/// The output of an encoder.
pub(crate) trait Sink {
    /// Appends these bytes.
    fn put(&mut self, bytes: &[u8]);
    /// Appends the first `len` of these bytes.
    fn put_prefix<const N: usize>(&mut self, bytes: [u8; N], len: usize);
    /// Appends a varint. `raw` is zigzag-encoded: [`varint::length`] of a length, [`varint::zigzag`] of a signed number.
    fn varint(&mut self, raw: u64);

    #[inline(always)]
    fn put_short(&mut self, short: ShortVarint) {
        self.put_prefix(short.bytes.to_le_bytes(), short.bits as usize / 8);
    }
}

/// Slack past the end, in bytes, so that wide stores stay in bounds: short fields are written in stores of up to this size,
/// and then truncated.
pub(crate) const SLACK: usize = 16;

/// Counts bytes. In 64 bits, because a record may contain the same slice several times, so that the sum can exceed a 32-bit
/// `usize`.
pub(crate) struct ByteCounter(pub(crate) u64);

impl Sink for ByteCounter {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.0 += bytes.len() as u64;
    }

    #[inline(always)]
    fn put_prefix<const N: usize>(&mut self, _: [u8; N], len: usize) {
        self.0 += len as u64;
    }

    #[inline]
    fn varint(&mut self, raw: u64) {
        self.0 += varint::raw_len(raw) as u64;
    }
}

impl Sink for Vec<u8> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    #[inline(always)]
    fn put_prefix<const N: usize>(&mut self, bytes: [u8; N], len: usize) {
        const { assert!(N <= SLACK) };
        varint::write_prefix_of(self, bytes, len);
    }

    #[inline(always)]
    fn varint(&mut self, raw: u64) {
        varint::write_raw(self, raw);
    }
}
