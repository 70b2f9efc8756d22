//! A batch as a careful programmer would encode it for records without key and headers, all at the batch's time: no limits, no
//! errors, no choice of format; safe Rust.

use std::ops::Range;

/// The length of a batch's header in bytes.
pub const HEADER_LEN: usize = 61;

/// The place of the checksum in the header.
const CHECKSUM: Range<usize> = 17..21;

/// Fills a batch with `records` records of this value, after a header that is complete except for the checksum.
#[inline]
pub fn fill(batch: &mut Vec<u8>, header: &[u8], value: &[u8], records: u64) {
    batch.clear();
    batch.extend_from_slice(header);
    for offset in 0..records {
        let value_len = 2 * value.len() as u64;
        let body = 1 + 1 + varint_len(2 * offset) + 1 + varint_len(value_len) + value.len() + 1;
        put_varint(batch, 2 * body as u64);
        batch.push(0); // attributes
        batch.push(0); // timestamp delta
        put_varint(batch, 2 * offset);
        batch.push(1); // no key
        put_varint(batch, value_len);
        batch.extend_from_slice(value);
        batch.push(0); // no headers
    }
    finish(batch);
}

/// Writes the checksum.
#[inline]
pub fn finish(batch: &mut [u8]) {
    let checksum = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, &batch[CHECKSUM.end..]) as u32;
    batch[CHECKSUM].copy_from_slice(&checksum.to_be_bytes());
}

/// Appends a varint, without the zigzag.
#[inline]
pub fn put_varint(out: &mut Vec<u8>, mut rest: u64) {
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Returns the length of a varint in bytes.
#[inline]
#[must_use]
pub fn varint_len(raw: u64) -> usize {
    (64 - (raw | 1).leading_zeros() as usize).div_ceil(7)
}
