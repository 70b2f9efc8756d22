//! Kafka's zigzag varints (protocol guide, VARINT and VARLONG): reading, writing, and their lengths.

use alloc::vec::Vec;

/// Why a varint could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VarintError {
    /// The bytes end in the middle of the varint.
    Truncated,
    /// The varint has more bytes or bits than its type.
    TooLong,
}

/// The zigzag encoding of −1: a null field, in the place of its length.
pub(crate) const NULL: u64 = 1;

#[inline]
pub(crate) const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// Returns [`zigzag`] of a length or a count, which is never negative.
#[inline]
pub(crate) const fn length(length: usize) -> u64 {
    (length as u64) << 1
}

/// Returns the length of `value` as a varint, 1 to 10 bytes. It is the same for VARINT and VARLONG.
#[cfg(test)]
pub(crate) const fn len(value: i64) -> usize {
    raw_len(zigzag(value))
}

/// Returns the length of a zigzag-encoded number as a varint, in bytes.
#[inline]
pub(crate) const fn raw_len(raw: u64) -> usize {
    match raw {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        _ => {
            // Each byte holds seven bits: this is `bits.div_ceil(7)` without a division, for 1 to 64 bits.
            let bits = 64 - raw.leading_zeros();
            ((bits * 9 + 64) / 64) as usize
        }
    }
}

#[inline]
pub(crate) fn write(out: &mut Vec<u8>, value: i64) {
    write_raw(out, zigzag(value));
}

/// One or two varints of at most three bytes each, held in a register. Most lengths, deltas and counts are that short.
#[derive(Clone, Copy)]
pub(crate) struct ShortVarint {
    /// The first byte is in the lowest bits.
    pub(crate) bytes: u32,
    /// The number of bits in use: 8 for each byte.
    pub(crate) bits: u32,
}

impl ShortVarint {
    pub(crate) const EMPTY: Self = Self { bytes: 0, bits: 0 };
    pub(crate) const NULL: Self = Self::of(NULL);
    /// The lowest zigzag-encoded number whose varint is longer than three bytes.
    pub(crate) const BOUND: u64 = 1 << 21;

    /// Encodes a zigzag-encoded number below [`BOUND`](Self::BOUND).
    #[inline(always)]
    pub(crate) const fn of(raw: u64) -> Self {
        let raw = raw as u32;
        let [low, middle, high] = [raw & 0x7f, raw << 1 & 0x7f00, raw << 2 & 0x7f_0000];
        match raw {
            0..0x80 => Self { bytes: raw, bits: 8 },
            0x80..0x4000 => Self { bytes: low | middle | 0x80, bits: 16 },
            _ => Self { bytes: low | middle | high | 0x8080, bits: 24 },
        }
    }

    /// Returns `self` followed by `next`. Together they must have at most four bytes.
    #[inline(always)]
    pub(crate) const fn then(self, next: Self) -> Self {
        Self { bytes: self.bytes | next.bytes << (self.bits & 31), bits: self.bits + next.bits }
    }
}

/// Appends a zigzag-encoded number as a varint.
#[inline(always)]
pub(crate) fn write_raw(out: &mut Vec<u8>, raw: u64) {
    if raw < ShortVarint::BOUND {
        let short = ShortVarint::of(raw);
        write_prefix_of(out, short.bytes.to_le_bytes(), short.bits as usize / 8);
    } else {
        write_long(out, raw);
    }
}

/// Appends the first `len` of these bytes. It appends all and truncates, because one wide store is faster than a copy of
/// variable length. So `out` should have capacity for all of them.
#[inline(always)]
pub(crate) fn write_prefix_of<const N: usize>(out: &mut Vec<u8>, bytes: [u8; N], len: usize) {
    let end = out.len() + len;
    out.extend_from_slice(&bytes);
    out.truncate(end);
}

#[cold]
#[inline(never)]
fn write_long(out: &mut Vec<u8>, mut rest: u64) {
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Appends bytes with their length in front, −1 for null. The caller has checked that the length fits an `i32`.
#[inline]
pub(crate) fn write_bytes(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        Some(bytes) => {
            write(out, bytes.len() as i64);
            out.extend_from_slice(bytes);
        }
        None => out.push(1),
    }
}

/// Reads a VARINT at the start of `bytes`. Returns it with its length in bytes.
#[inline(always)]
pub(crate) fn read_i32(bytes: &[u8]) -> Result<(i32, usize), VarintError> {
    let (raw, used) = match read_short(bytes) {
        Some(short) => short,
        None => {
            let (raw, used) = read_long(bytes, 5)?;
            (u32::try_from(raw).map_err(|_| VarintError::TooLong)?, used)
        }
    };
    Ok(((raw >> 1) as i32 ^ -((raw & 1) as i32), used))
}

/// Reads a VARLONG at the start of `bytes`. Returns it with its length in bytes.
#[inline(always)]
pub(crate) fn read_i64(bytes: &[u8]) -> Result<(i64, usize), VarintError> {
    let (raw, used) = match read_short(bytes) {
        Some((raw, used)) => (u64::from(raw), used),
        None => read_long(bytes, 10)?,
    };
    Ok(((raw >> 1) as i64 ^ -((raw & 1) as i64), used))
}

/// Reads a varint of at most three bytes, as most are. Returns it zigzag-encoded, with its length in bytes.
#[inline(always)]
fn read_short(bytes: &[u8]) -> Option<(u32, usize)> {
    let bits = |byte: u8| u32::from(byte & 0x7f);
    match *bytes {
        [a, ..] if a < 0x80 => Some((u32::from(a), 1)),
        [a, b, ..] if b < 0x80 => Some((bits(a) | u32::from(b) << 7, 2)),
        [a, b, c, ..] if c < 0x80 => Some((bits(a) | bits(b) << 7 | u32::from(c) << 14, 3)),
        _ => None,
    }
}

#[cold]
#[inline(never)]
fn read_long(bytes: &[u8], max_len: usize) -> Result<(u64, usize), VarintError> {
    let mut value = 0u64;
    for (index, &byte) in bytes.iter().take(max_len).enumerate() {
        let bits = u64::from(byte & 0x7f);
        let shift = 7 * index as u32;
        if shift == 63 && bits > 1 {
            return Err(VarintError::TooLong); // more than 64 bits
        }
        value |= bits << shift;
        if byte < 0x80 {
            return Ok((value, index + 1));
        }
    }
    Err(if bytes.len() < max_len { VarintError::Truncated } else { VarintError::TooLong })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lengths_are_those_of_the_protocol_guide() {
        for (value, expected) in [(0, 1), (-1, 1), (63, 1), (64, 2), (-64, 1), (-65, 2), (8191, 2), (8192, 3)] {
            assert_eq!(len(value), expected, "{value}");
        }
        assert_eq!(len(i64::MAX), 10);
        assert_eq!(len(i64::MIN), 10);
        assert_eq!(len(i64::from(i32::MAX)), 5);
        assert_eq!(len(i64::from(i32::MIN)), 5);
    }

    proptest! {
        #[test]
        fn written_varints_round_trip_and_have_the_counted_length(value: i64, narrow: i32) {
            let mut out = Vec::new();
            write(&mut out, value);
            prop_assert_eq!(read_i64(&out), Ok((value, out.len())));
            prop_assert_eq!(len(value), out.len());
            for cut in 0..out.len() {
                prop_assert_eq!(read_i64(&out[..cut]), Err(VarintError::Truncated));
            }
            out.clear();
            write(&mut out, i64::from(narrow));
            prop_assert_eq!(read_i32(&out), Ok((narrow, out.len())));
        }
    }

    #[test]
    fn too_many_bytes_or_bits_are_errors() {
        assert_eq!(read_i32(&[0xff; 8]), Err(VarintError::TooLong));
        assert_eq!(read_i64(&[0xff; 12]), Err(VarintError::TooLong));
        assert_eq!(read_i32(&[0xff, 0xff, 0xff, 0xff, 0x1f]), Err(VarintError::TooLong));
        assert_eq!(read_i64(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02]), Err(VarintError::TooLong));
    }
}
