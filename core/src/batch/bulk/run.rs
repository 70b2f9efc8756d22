//! The fast path of a bulk call: a run of records for which there is memory and that no limit refuses.

use alloc::vec::Vec;

use super::Common;
use crate::batch::encode::v2;
use crate::batch::timestamp_range::TimestampRange;
use crate::batch::{KafkaBatch, RecordStats};
use crate::magic::Magic;
use crate::time::Timestamp;
use crate::varint::{self, ShortVarint};

/// What each record of a run has after its deltas: the key with its length, or the length of a null key.
#[derive(Clone, Copy)]
pub(super) struct SharedKey {
    /// Those after `len` are 0.
    bytes: [u8; SharedKey::STORE],
    len: usize,
}

impl SharedKey {
    /// The key is written in one store of this many bytes.
    const STORE: usize = 32;

    /// Returns the encoded key, which must be shorter than a [`STORE`](Self::STORE).
    pub(super) fn new(key: Option<&[u8]>) -> Self {
        let mut bytes = [0; Self::STORE];
        bytes[0] = key.map_or(varint::NULL, |key| varint::length(key.len())) as u8;
        let key = key.unwrap_or_default();
        bytes[1..=key.len()].copy_from_slice(key);
        Self { bytes, len: 1 + key.len() }
    }
}

/// The size of the largest short record in bytes. Its length fields take one byte each.
const MAX_SHORT_RECORD: usize = 64;

/// The longest value of a short record in bytes: what three stores of 16 bytes can hold.
const MAX_SHORT_VALUE: usize = 48;

/// The longest value of a medium record in bytes, for which zeros are written before it is copied.
const MAX_MEDIUM_VALUE: usize = 160;

/// The longest value of a run in bytes. The length of a record with it takes at most three bytes, and the time for a longer one
/// is that of its copy.
const MAX_VALUE: usize = 64 << 10;

/// Stores in front of a value, and those of a short value, end within this many bytes from the start of a record.
const WINDOW: usize = 2 * MAX_SHORT_RECORD;

/// This many zeros are appended to the buffer at once, for stores to overwrite.
const MAX_ZEROS: usize = 1024;

/// Offsets below this take at most three bytes.
const MAX_OFFSET: u32 = (ShortVarint::BOUND / 2) as u32;

/// Records that are being appended. The batch has them once this is dropped.
pub(super) struct Run<'b> {
    batch: &'b mut KafkaBatch,
    key: SharedKey,
    /// The position in the buffer after the last record. Zeros may follow.
    at: usize,
    /// The position in the buffer that no record may exceed.
    end: usize,
    offset: u32,
    offset_end: u32,
    /// The first record's position and offset.
    begin: (usize, u32),
    base: i64,
    timestamps: TimestampRange,
    /// The timestamp of values without one, and its delta.
    timestamp: Timestamp,
    delta: ShortVarint,
}

impl<'b> Run<'b> {
    /// Returns `false` if every record has to be appended by the ordinary path: those of magic 0 and 1, those with headers or
    /// a long key, and those for whose limits or key each one has to be checked.
    pub(super) fn is_possible(batch: &KafkaBatch, common: &Common<'_>) -> bool {
        let has_short_key = common.key.is_none_or(|key| key.len() < SharedKey::STORE);
        batch.magic == Magic::V2 && batch.has_fast_path() && common.headers.is_empty() && has_short_key
    }

    /// Returns `true` if a run may have this value.
    #[inline(always)]
    pub(super) fn takes(value: Option<&[u8]>) -> bool {
        value.is_some_and(|value| value.len() <= MAX_VALUE)
    }

    /// Returns `None` if the ordinary path has to append the next record.
    #[inline]
    pub(super) fn begin(batch: &'b mut KafkaBatch, key: SharedKey, timestamp: Option<Timestamp>) -> Option<Self> {
        let RecordStats { base_timestamp, timestamps, next_offset_delta: offset, .. } = batch.stats;
        if batch.closed || batch.fast_path_end == 0 {
            return None;
        }
        let (base, timestamp) = (base_timestamp?.millis(), timestamp.unwrap_or(batch.now));
        let at = batch.buffer.len();
        Some(Self {
            key,
            at,
            end: v2::HEADER_LEN + batch.fast_path_end as usize,
            offset,
            offset_end: batch.options.max_records.min(MAX_OFFSET),
            begin: (at, offset),
            base,
            timestamps,
            timestamp,
            delta: short_delta(timestamp, base),
            batch,
        })
    }

    /// Appends a record. Returns `false` if the ordinary path has to: a limit may refuse it, the buffer has to grow, or one of
    /// its fields is long.
    #[inline(always)]
    pub(super) fn append(&mut self, value: Option<&[u8]>, timestamp: Option<Timestamp>) -> bool {
        let delta = timestamp.map_or(self.delta, |timestamp| short_delta(timestamp, self.base));
        let timestamp = timestamp.unwrap_or(self.timestamp);
        let Some(value) = value else { return false };
        if self.offset >= self.offset_end || delta.bits == 0 {
            return false;
        }
        const MAX_FRONT: usize = 1 + 1 + 3 + 3;
        let is_short = value.len() <= MAX_SHORT_VALUE && value.len() + self.key.len + MAX_FRONT + 2 <= MAX_SHORT_RECORD;
        let appended = if is_short {
            self.append_short(value, delta)
        } else if value.len() <= MAX_MEDIUM_VALUE {
            self.append_medium(value, delta)
        } else {
            value.len() <= MAX_VALUE && self.append_long(value, delta)
        };
        if appended {
            self.timestamps.include(timestamp);
            self.offset += 1;
        }
        appended
    }

    #[inline(always)]
    fn append_short(&mut self, value: &[u8], delta: ShortVarint) -> bool {
        if self.at + WINDOW > self.batch.buffer.len() && !self.more_zeros(WINDOW) {
            return false;
        }
        let Some(window) = self.batch.buffer[self.at..].first_chunk_mut::<WINDOW>() else { return false };
        let offset = ShortVarint::of(varint::length(self.offset as usize));
        let bits = 16 + delta.bits;
        let key_at = ((bits + offset.bits) / 8) as usize;
        let value_at = key_at + self.key.len + 1;
        let size = value_at + value.len() + 1; // no headers: their number is one of the zeros
        let front = varint::length(size - 1) | u64::from(delta.bytes) << 16 | u64::from(offset.bytes) << bits;
        // The masks change nothing, and tell the compiler that no store exceeds the window.
        let (key_at, value_at) = (key_at & 15, value_at & 63);
        window[..8].copy_from_slice(&front.to_le_bytes());
        window[key_at..key_at + SharedKey::STORE].copy_from_slice(&self.key.bytes);
        window[value_at - 1] = varint::length(value.len()) as u8;
        copy_short(window, value_at, value);
        self.at += size;
        true
    }

    #[inline(always)]
    fn append_medium(&mut self, value: &[u8], delta: ShortVarint) -> bool {
        let least = WINDOW + value.len();
        if self.at + least > self.batch.buffer.len() && !self.more_zeros(least) {
            return false;
        }
        let record = &mut self.batch.buffer[self.at..];
        let Some(window) = record.first_chunk_mut::<WINDOW>() else { return false };
        let offset = ShortVarint::of(varint::length(self.offset as usize));
        let value_len = ShortVarint::of(varint::length(value.len()));
        let front_len = (8 + delta.bits + offset.bits) as usize / 8;
        let value_len_at = front_len + self.key.len;
        let body_len = value_len_at + value_len.bits as usize / 8 + value.len() + 1;
        let length = ShortVarint::of(varint::length(body_len));
        let front_at = length.bits as usize / 8;
        let front = u64::from(delta.bytes) << 8 | u64::from(offset.bytes) << (8 + delta.bits);
        // Masks as above.
        let (front_at, key_at, value_len_at) =
            (front_at & 3, (front_at + front_len) & 15, (front_at + value_len_at) & 63);
        window[..4].copy_from_slice(&length.bytes.to_le_bytes());
        window[front_at..front_at + 8].copy_from_slice(&front.to_le_bytes());
        window[key_at..key_at + SharedKey::STORE].copy_from_slice(&self.key.bytes);
        window[value_len_at..value_len_at + 4].copy_from_slice(&value_len.bytes.to_le_bytes());
        let value_at = value_len_at + value_len.bits as usize / 8;
        let Some(to) = record.get_mut(value_at..value_at + value.len()) else { return false };
        to.copy_from_slice(value);
        self.at += front_at + body_len;
        true
    }

    #[inline(always)]
    fn append_long(&mut self, value: &[u8], delta: ShortVarint) -> bool {
        /// The bytes of a record besides its key and its value at most.
        const MAX_OTHERS: usize = 3 + 1 + 3 + 3 + 3 + 1;
        if self.at + MAX_OTHERS + self.key.len + value.len() > self.end {
            return false;
        }
        let offset = ShortVarint::of(varint::length(self.offset as usize));
        let value_len = ShortVarint::of(varint::length(value.len()));
        let front = u64::from(delta.bytes) << 8 | u64::from(offset.bytes) << (8 + delta.bits);
        let front_bits = 8 + delta.bits + offset.bits;
        let others = (front_bits + value_len.bits) as usize / 8 + 1;
        let length = ShortVarint::of(varint::length(others + self.key.len + value.len()));
        let before_key = u128::from(front) << length.bits | u128::from(length.bytes);
        let before_key_bits = length.bits + front_bits;
        let buffer = &mut self.batch.buffer;
        buffer.truncate(self.at);
        if self.key.len == 1 {
            // The key is null or empty: all that is in front of the value takes one store.
            let key = ShortVarint { bytes: self.key.bytes[0].into(), bits: 8 }.then(value_len);
            let before_value = before_key | u128::from(key.bytes) << before_key_bits;
            varint::write_prefix_of(buffer, before_value.to_le_bytes(), (before_key_bits + key.bits) as usize / 8);
        } else {
            varint::write_prefix_of(buffer, before_key.to_le_bytes(), before_key_bits as usize / 8);
            varint::write_prefix_of(buffer, self.key.bytes, self.key.len);
            varint::write_prefix_of(buffer, value_len.bytes.to_le_bytes(), value_len.bits as usize / 8);
        }
        buffer.extend_from_slice(value);
        buffer.push(0); // no headers
        self.at = buffer.len();
        true
    }

    /// Makes at least this many zeros follow the records. Returns `false` if there is no memory for them.
    #[inline(always)]
    fn more_zeros(&mut self, least: usize) -> bool {
        let written = self.at - self.begin.0; // a short run should not cost many zeros
        more_zeros(&mut self.batch.buffer, self.at, least.max(written.min(MAX_ZEROS)), self.end)
    }
}

impl Drop for Run<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        let KafkaBatch { buffer, stats, .. } = &mut *self.batch;
        buffer.truncate(self.at);
        stats.len = self.at - v2::HEADER_LEN;
        stats.count += self.offset - self.begin.1;
        stats.next_offset_delta = self.offset;
        stats.timestamps = self.timestamps;
    }
}

/// As [`Run::more_zeros`], with the numbers by value, so that they stay in registers on the fast path.
#[cold]
#[inline(never)]
fn more_zeros(buffer: &mut Vec<u8>, at: usize, count: usize, end: usize) -> bool {
    if at + count > end {
        return false;
    }
    buffer.truncate(at);
    buffer.resize(at + count, 0);
    true
}

/// Returns the timestamp delta; empty if it is longer than a [`ShortVarint`].
#[inline(always)]
fn short_delta(timestamp: Timestamp, base: i64) -> ShortVarint {
    let raw = varint::zigzag(timestamp.millis().wrapping_sub(base));
    if raw < ShortVarint::BOUND { ShortVarint::of(raw) } else { ShortVarint::EMPTY }
}

/// Copies a value of at most [`MAX_SHORT_VALUE`] bytes in stores of fixed length, which may overlap: faster than a copy
/// of variable length.
#[inline(always)]
fn copy_short(window: &mut [u8; WINDOW], at: usize, value: &[u8]) {
    let end = at + (value.len() & (MAX_SHORT_RECORD - 1));
    if let (Some(first), Some(last)) = (value.first_chunk::<16>(), value.last_chunk::<16>()) {
        let middle = value[16..].first_chunk::<16>();
        window[at..at + 16].copy_from_slice(first);
        if let Some(middle) = middle {
            window[at + 16..at + 32].copy_from_slice(middle);
        }
        window[end - 16..end].copy_from_slice(last);
    } else if let (Some(first), Some(last)) = (value.first_chunk::<8>(), value.last_chunk::<8>()) {
        window[at..at + 8].copy_from_slice(first);
        window[end - 8..end].copy_from_slice(last);
    } else if let (Some(first), Some(last)) = (value.first_chunk::<4>(), value.last_chunk::<4>()) {
        window[at..at + 4].copy_from_slice(first);
        window[end - 4..end].copy_from_slice(last);
    } else {
        for (to, byte) in window[at..].iter_mut().zip(value) {
            *to = *byte;
        }
    }
}

#[cfg(test)]
mod tests;
