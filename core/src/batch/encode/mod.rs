//! From records to bytes. One encoder for each format, and two sinks it can run into: a counter, and the batch's bytes.
//! So the size that is counted and the size that is written cannot drift apart.

pub(crate) mod legacy;
pub(crate) mod v2;

use alloc::vec::Vec;

use crate::varint;

/// Where an encoder's output goes.
pub(crate) trait Sink {
    fn put(&mut self, bytes: &[u8]);
    /// A number as it stands on the wire: [`varint::length`], or [`varint::zigzag`] of a signed one.
    fn varint(&mut self, raw: u64);
}

/// Counts bytes. In 64 bits: one slice may stand in a record several times, so the sum can pass `usize` on small machines.
pub(crate) struct Count(pub(crate) u64);

impl Sink for Count {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.0 += bytes.len() as u64;
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
    fn varint(&mut self, raw: u64) {
        varint::write_raw(self, raw);
    }
}
