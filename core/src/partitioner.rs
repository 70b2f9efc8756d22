//! The partition of a record or a batch, chosen as in the Java client: by key ([`partition_for_key`]), or one that changes
//! from batch to batch ([`StickyPartitioner`]).
//!
//! The transports choose by themselves. This module is for callers that choose the partition before they fill a batch.

use core::num::NonZeroU32;

use crate::splitmix64::SplitMix64;

/// Returns the partition of a key, from 0 to `partitions` − 1: its murmur2 hash modulo `partitions`.
///
/// The same as `BuiltInPartitioner.partitionForKey` of the Java client, and as other clients that are compatible with it.
///
/// # Examples
///
/// ```
/// use std::num::NonZeroU32;
/// use kafka_batch_core::partitioner::partition_for_key;
///
/// let six = NonZeroU32::new(6).unwrap();
/// assert!((0..6).contains(&partition_for_key(b"sensor-7", six)));
/// ```
#[must_use]
pub fn partition_for_key(key: &[u8], partitions: NonZeroU32) -> i32 {
    ((murmur2(key) & 0x7fff_ffff) % partitions.get()) as i32
}

/// MurmurHash2 with the seed and the constants of Kafka's `Utils.murmur2`.
fn murmur2(bytes: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    let mut hash = SEED ^ bytes.len() as u32;
    let mut rest = bytes;
    while let Some((word, after)) = rest.split_first_chunk() {
        let word = u32::from_le_bytes(*word).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ (word ^ word >> 24).wrapping_mul(M);
        rest = after;
    }
    if !rest.is_empty() {
        hash ^= rest.iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte));
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ hash >> 15
}

/// Chooses a partition for batches without one, and keeps it until a batch has been sent there: the sticky partitioner of
/// the Java client (KIP-480).
///
/// The choice is pseudo-random and determined by the seed, so that tests can repeat it.
#[derive(Clone, Debug)]
pub struct StickyPartitioner {
    random: SplitMix64,
    current: Option<i32>,
}

impl StickyPartitioner {
    /// Creates a partitioner with this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { random: SplitMix64::new(seed), current: None }
    }

    /// Returns the current partition, from 0 to `partitions` − 1.
    ///
    /// It stays the same until [`batch_sent`](Self::batch_sent) is called or `partitions` becomes too small for it.
    pub fn partition(&mut self, partitions: NonZeroU32) -> i32 {
        match self.current {
            Some(current) if (current as u32) < partitions.get() => current,
            _ => self.choose(partitions, None),
        }
    }

    /// Records that a batch was sent to the current partition. The next partition is another one, if there are several.
    pub fn batch_sent(&mut self, partitions: NonZeroU32) {
        let last = self.current;
        self.choose(partitions, last);
    }

    fn choose(&mut self, partitions: NonZeroU32, other_than: Option<i32>) -> i32 {
        let count = partitions.get();
        let avoided = other_than.filter(|&last| count > 1 && (last as u32) < count);
        let choices = count - u32::from(avoided.is_some());
        let mut partition = self.random.below(choices as usize) as i32;
        if avoided.is_some_and(|avoided| partition >= avoided) {
            partition += 1;
        }
        self.current = Some(partition);
        partition
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of `UtilsTest.testMurmur2` of Apache Kafka.
    #[test]
    fn murmur2_is_that_of_the_java_client() {
        let known: [(&[u8], i32); 6] = [
            (b"21", -973_932_308),
            (b"foobar", -790_332_482),
            (b"a-little-bit-long-string", -985_981_536),
            (b"a-little-bit-longer-string", -1_486_304_829),
            (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            (b"abc", 479_470_107),
        ];
        for (key, hash) in known {
            assert_eq!(murmur2(key) as i32, hash, "{key:?}");
        }
    }

    #[test]
    fn a_sticky_partition_stays_until_its_batch_is_sent_and_then_changes() {
        let six = NonZeroU32::new(6).unwrap();
        let mut sticky = StickyPartitioner::new(42);
        for _ in 0..100 {
            let partition = sticky.partition(six);
            assert_eq!(sticky.partition(six), partition);
            assert!((0..6).contains(&partition));
            sticky.batch_sent(six);
            assert_ne!(sticky.partition(six), partition);
        }
        assert_eq!(sticky.partition(NonZeroU32::MIN), 0);
        sticky.batch_sent(NonZeroU32::MIN);
        assert_eq!(sticky.partition(NonZeroU32::MIN), 0);
    }
}
