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

/// A batch that outgrows its expected size grows by this part of it, then it doubles once, and then it grows as any other.
const EXCEEDED_BY: usize = 4;

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
        let overhead = self.overhead();
        let largest = self.largest_capacity();
        let current = self.buffer.capacity();
        let expected = overhead.saturating_add(self.expected_len);
        if self.expected_len > 0 && current > 0 && current <= expected.saturating_mul(2) {
            // It is a little larger than expected. Memory for the limit would be freed again when the batch is sealed.
            let more = if current <= expected { current / EXCEEDED_BY } else { current };
            return (current.saturating_add(more)).max(expected).min(largest).max(needed);
        }
        let capacity = match (current, self.options.capacity) {
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

    /// Returns the number of bytes that a buffer needs besides the records.
    pub(super) const fn overhead(&self) -> usize {
        self.buffer_reserve() + SLACK
    }

    /// Returns the memory for a batch of this size in bytes, but no more than its limits allow.
    pub(crate) fn capacity_for(&self, size: usize) -> usize {
        size.saturating_add(SLACK).min(self.largest_capacity())
    }

    /// Returns the number of bytes of records for which this much memory suffices.
    pub(crate) const fn len_within(&self, capacity: usize) -> usize {
        capacity.saturating_sub(self.overhead())
    }

    /// Returns the most memory that a batch needs, unless its first record exceeds the limit.
    pub(crate) fn largest_capacity(&self) -> usize {
        self.overhead().saturating_add(self.max_len())
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
        self.len_within(self.buffer.capacity())
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;
    use core::num::NonZeroU32;

    use super::*;
    use crate::batch::options::CompressionRatio;
    use crate::batch::{BatchOptions, Boundary};
    use crate::record::{AsRecord, Record};

    const HEADER: usize = 61;

    fn takes_fast_path(batch: &KafkaBatch, record: &Record<'_>) -> bool {
        batch.is_below_limits(record, &batch.measure(record, batch.stats.next_offset_delta))
    }

    /// Fills a batch with records of this value. Returns the capacities that its buffer had, one after the other.
    fn capacities(options: BatchOptions, value: &[u8]) -> Vec<usize> {
        fill(options.build(0).unwrap(), value)
    }

    /// As [`capacities`], of this batch.
    fn fill(mut batch: KafkaBatch, value: &[u8]) -> Vec<usize> {
        let mut capacities = Vec::new();
        while batch.append(Record::new(value)).unwrap().appended().is_some() {
            if capacities.last() != Some(&batch.buffer.capacity()) {
                capacities.push(batch.buffer.capacity());
            }
        }
        capacities
    }

    #[test]
    fn a_batch_grows_by_a_factor_of_four_and_then_to_its_limit() {
        let limit = |bytes| BatchOptions::default().batch_size(bytes).max_message_bytes(bytes);
        assert_eq!(capacities(limit(16_384), b"short"), [512, 2_048, 16_384 + SLACK]);
        // The last step is to the limit if another one would copy more than a fifth of it.
        assert_eq!(capacities(limit(10_240 - SLACK), b"short"), [512, 2_048, 10_240]);
        assert_eq!(capacities(limit(10_239 - SLACK), b"short"), [512, 10_239]);
        assert_eq!(capacities(limit(300), b"short"), [300 + SLACK]);
        // Memory for eight records, and at most 8 KiB.
        let overhead = HEADER + SLACK;
        assert_eq!(capacities(limit(16_384), &[7; 100]), [overhead + 8 * 109, 16_384 + SLACK]);
        assert_eq!(capacities(limit(1 << 20), &[7; 5_000])[..2], [8_192, 4 * 8_192]);
        assert_eq!(capacities(limit(16_384), &[7; 9_000]), [16_384 + SLACK]);
    }

    #[test]
    fn a_large_batch_grows_to_a_mebibyte_and_then_doubles() {
        const MIB: usize = 1 << 20;
        let limit = |bytes| BatchOptions::default().batch_size(bytes).max_message_bytes(bytes);
        let value = [7; 6_000];
        let first = [8_192, 4 * 8_192];
        let grown = |bytes| capacities(limit(bytes - SLACK), &value);
        assert_eq!(grown(2 * MIB), [&first[..], &[2 * MIB]].concat(), "one step is left, and goes to the limit");
        assert_eq!(grown(2 * MIB + 7_000), [&first[..], &[MIB, 2 * MIB, 2 * MIB + 7_000]].concat());
        assert_eq!(grown(5 * MIB), [&first[..], &[MIB, 2 * MIB, 4 * MIB, 5 * MIB]].concat());
    }

    #[test]
    fn a_capacity_is_what_the_first_append_allocates() {
        let options = BatchOptions::default().capacity(1_000);
        assert_eq!(capacities(options.clone(), b"short")[0], HEADER + 1_000 + SLACK);
        let long = [7; 5_000];
        let cost = options.clone().build(0).unwrap().cost(Record::new(&long)).unwrap();
        assert_eq!(capacities(options, &long)[0], HEADER + cost + SLACK);
    }

    #[test]
    fn the_next_batch_begins_with_the_memory_that_the_last_one_filled() {
        let mut batch = KafkaBatch::new(0);
        batch.extend([Record::new([7; 3_000])]).unwrap();
        let filled = batch.stats.len;
        let mut next = batch.next_batch();
        let after_next = next.next_batch();
        for mut next in [after_next, batch.next_batch_with(0.into(), filled, Vec::new())] {
            next.extend([Record::new("short")]).unwrap();
            assert_eq!(next.buffer.capacity(), HEADER + filled + SLACK);
        }
        next.extend([Record::new([7; 5_000])]).unwrap();
        assert!(next.buffer.capacity() > 5_000);
        let mut reused = batch.next_batch_with(0.into(), filled, vec![1; 4_000]);
        assert!(reused.is_empty() && reused.payload().is_empty());
        reused.extend([Record::new("short")]).unwrap();
        assert_eq!(reused.buffer.capacity(), 4_000);
    }

    #[test]
    fn a_batch_that_outgrows_its_expected_size_grows_by_a_quarter_and_then_doubles_once() {
        let template = BatchOptions::default().batch_size(1 << 20).build(0).unwrap();
        let batch = template.next_batch_with(0.into(), 40_000 - HEADER - SLACK, Vec::new());
        assert_eq!(fill(batch, &[7; 100]), [40_000, 50_000, 100_000, (1 << 20) + SLACK]);
        let mut batch = template.next_batch_with(0.into(), 40_000 - HEADER - SLACK, Vec::with_capacity(20_000));
        batch.extend((0..300).map(|_| Record::new([7; 100]))).unwrap();
        assert_eq!(batch.buffer.capacity(), 40_000, "a smaller buffer grows to the expected size");
    }

    #[test]
    fn an_estimated_limit_bounds_the_memory_of_uncompressed_batches_only() {
        let estimated = || BatchOptions::default().size_policy(SizePolicy::Estimated(CompressionRatio::new(0.1)));
        assert_eq!(capacities(estimated(), b"short"), [512, 2_048, 16_384 + SLACK]);
        #[cfg(feature = "gzip")]
        {
            let compressed = |options: BatchOptions| options.compression(crate::Compression::gzip());
            let (grown, first) = (capacities(compressed(estimated()), &[7; 100]), HEADER + SLACK + 8 * 109);
            assert_eq!(grown, [first, 4 * first, 16 * first, 1 << 20]);
            let exact = capacities(compressed(BatchOptions::default()), b"short");
            assert_eq!(exact, [512, 2_048, 16_384 + SLACK], "the limit counts before compression");
        }
    }

    /// Otherwise each append would check every limit again.
    #[test]
    fn appends_take_the_fast_path_within_memory_and_limit() {
        let fast_path_ends = |options: BatchOptions| {
            let mut batch = options.build(0).unwrap();
            let mut ends = vec![batch.fast_path_end];
            while batch.append(Record::new("short")).unwrap().appended().is_some() {
                if ends.last() != Some(&batch.fast_path_end) {
                    ends.push(batch.fast_path_end);
                }
            }
            ends
        };
        let overhead = (HEADER + SLACK) as u64;
        let limit = BatchOptions::default().batch_size(1_000);
        assert_eq!(fast_path_ends(limit.clone()), [0, 1_000 - HEADER as u64]);
        assert_eq!(fast_path_ends(limit.clone().boundary(Boundary::Aiokafka)), [0, 999 - HEADER as u64]);
        assert_eq!(
            fast_path_ends(BatchOptions::default()),
            [0, 512 - overhead, 2_048 - overhead, 16_384 - HEADER as u64]
        );
        // These settings need every record to be checked.
        assert_eq!(fast_path_ends(limit.clone().route_by_key(NonZeroU32::MIN)), [0]);
        assert_eq!(fast_path_ends(limit.clone().size_policy(SizePolicy::Estimated(CompressionRatio::default()))), [0]);

        let mut batch = limit.build(0).unwrap();
        assert!(!takes_fast_path(&batch, &Record::new("first").as_record()));
        let _ = batch.append(Record::new("first")).unwrap();
        assert!(takes_fast_path(&batch, &Record::new("second").as_record()));
        assert!(!takes_fast_path(&batch, &Record::new([7; 1_000]).as_record()));
        batch.close();
        assert!(!takes_fast_path(&batch, &Record::new("second").as_record()));
    }
}
