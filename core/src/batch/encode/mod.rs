//! From records to bytes. One encoder for each format, and two sinks it can run into: a counter, and the batch's bytes.
//! So the size that is counted and the size that is written cannot drift apart.

pub(crate) mod legacy;
pub(crate) mod v2;

use alloc::vec::Vec;

use crate::varint::{self, ShortVarint};

/// Where an encoder's output goes.
pub(crate) trait Sink {
    fn put(&mut self, bytes: &[u8]);
    /// The first `len` of these bytes.
    fn put_front<const N: usize>(&mut self, bytes: [u8; N], len: usize);
    /// A number as it stands on the wire: [`varint::length`], or [`varint::zigzag`] of a signed one.
    fn varint(&mut self, raw: u64);

    #[inline(always)]
    fn put_short(&mut self, short: ShortVarint) {
        self.put_front(short.bytes.to_le_bytes(), short.bits as usize / 8);
    }
}

/// Fields are written in stores that are wider than they, up to this. A buffer with so many bytes to spare never grows for
/// what is too much.
pub(crate) const SLACK: usize = 16;

/// Counts bytes. In 64 bits: one slice may stand in a record several times, so the sum can pass `usize` on small machines.
pub(crate) struct Count(pub(crate) u64);

impl Sink for Count {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.0 += bytes.len() as u64;
    }

    #[inline(always)]
    fn put_front<const N: usize>(&mut self, _: [u8; N], len: usize) {
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
    fn put_front<const N: usize>(&mut self, bytes: [u8; N], len: usize) {
        const { assert!(N <= SLACK) };
        varint::write_front(self, bytes, len);
    }

    #[inline(always)]
    fn varint(&mut self, raw: u64) {
        varint::write_raw(self, raw);
    }
}
