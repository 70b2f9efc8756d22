//! How the buffer of a batch grows: with its records, in few steps, and never beyond what its limits allow.

use super::encode::SLACK;
use super::options::MAX_BATCH_LEN;
use super::{KafkaBatch, SizePolicy};

/// The smallest buffer in bytes.
const SMALLEST: usize = 512;

/// The first buffer has memory for this many records of the size of the first one, if that is at most [`SMALL`] bytes.
const FIRST_RECORDS: usize = 8;

/// A buffer of up to this many bytes grows by [`FACTOR`]. A larger one grows to what the limits allow, up to [`LARGE`] at
/// first: with large records, filling a batch takes hardly longer than copying it, so more than a few percent of a batch
/// must not be copied.
const SMALL: usize = 8 << 10;
const LARGE: usize = 1 << 20;
const FACTOR: usize = 4;

/// A step to more than this part of the largest buffer goes to the largest one at once, unless the limit is large: another
/// step would soon copy it.
const LAST_STEP: usize = 5;

impl KafkaBatch {
    /// Makes room for a record of `size` bytes, and for wide stores past its end. After this, appending it allocates nothing.
    pub(super) fn grow_for(&mut self, size: usize) {
        let reserve = self.buffer_reserve();
        let needed = reserve + self.stats.len + size + SLACK;
        if self.buffer.capacity() < needed {
            let capacity = self.next_capacity(size, needed);
            self.buffer.reserve_exact(capacity - self.buffer.len());
        }
        if self.buffer.is_empty() {
            self.buffer.resize(reserve, 0);
        }
    }

    /// Returns the number of bytes to ask for, at least `needed`.
    fn next_capacity(&self, size: usize, needed: usize) -> usize {
        let overhead = self.buffer_reserve() + SLACK;
        let largest = overhead.saturating_add(self.max_len());
        let capacity = match (self.buffer.capacity(), self.options.capacity) {
            (0, Some(records)) => return needed.max(overhead + records),
            (0, None) => match self.expected_len {
                0 => (overhead.saturating_add(size.saturating_mul(FIRST_RECORDS))).clamp(SMALLEST, SMALL),
                expected => return overhead.saturating_add(expected).min(largest).max(needed),
            },
            (current, _) if current <= SMALL => current * FACTOR,
            (current, _) => LARGE.max(current.saturating_mul(2)),
        };
        let is_last = largest <= 2 * LARGE && capacity > largest / LAST_STEP;
        let capacity = if is_last { largest } else { capacity.min(largest) };
        capacity.max(needed)
    }

    /// Returns the number of bytes of records that no limit in bytes lets the batch exceed, unless by its first record.
    pub(super) fn max_len(&self) -> usize {
        let soft = match self.options.size_policy {
            SizePolicy::Estimated(_) if self.is_compressed() => MAX_BATCH_LEN,
            _ => self.soft_limit(),
        };
        let hard = if self.is_compressed() { MAX_BATCH_LEN } else { self.options.max_message_bytes.min(MAX_BATCH_LEN) };
        soft.min(hard).saturating_sub(self.header_len())
    }

    /// Returns the number of bytes of records that the buffer has memory for, wide stores included.
    pub(super) fn memory_len(&self) -> usize {
        self.buffer.capacity().saturating_sub(self.buffer_reserve() + SLACK)
    }
}
