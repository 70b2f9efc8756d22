//! The partition of a record or a batch, chosen as in the Java client: by key ([`partition_for_key`]), or one that changes
//! from batch to batch ([`StickyPartitioner`]).
//!
//! The transports choose by themselves. This module is for callers that choose the partition before they fill a batch.

use alloc::vec::Vec;
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
/// The choice is pseudo-random and determined by the seed, so that tests can repeat it. It can be among the partitions whose leaders are
/// near ([`prefer`](Self::prefer), KIP-1123).
#[derive(Clone, Debug)]
pub struct StickyPartitioner {
    random: SplitMix64,
    current: Option<i32>,
    /// In ascending order. If it is empty, none is preferred.
    preferred: Vec<i32>,
}

impl StickyPartitioner {
    /// Creates a partitioner with this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { random: SplitMix64::new(seed), current: None, preferred: Vec::new() }
    }

    /// Sets the partitions to choose among, such as those whose leaders are in the rack of the producer. If there are none, or none
    /// that exists, the choice is among all. The current partition stays the same until a batch was sent there.
    pub fn prefer(&mut self, partitions: impl IntoIterator<Item = i32>) {
        self.preferred = partitions.into_iter().filter(|&partition| partition >= 0).collect();
        self.preferred.sort_unstable();
        self.preferred.dedup();
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
        let existing = self.preferred.partition_point(|&partition| (partition as u32) < count);
        // The partition at a position is the position itself, unless some are preferred.
        let (choices, position) = match existing {
            0 => (count as usize, other_than.map(|last| last as usize).filter(|&last| last < count as usize)),
            existing => {
                let last = other_than.and_then(|last| self.preferred[..existing].binary_search(&last).ok());
                (existing, last)
            }
        };
        let avoided = position.filter(|_| choices > 1);
        let mut chosen = self.random.below(choices - usize::from(avoided.is_some()));
        if avoided.is_some_and(|avoided| chosen >= avoided) {
            chosen += 1;
        }
        let partition = if existing == 0 { chosen as i32 } else { self.preferred[chosen] };
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

    #[test]
    fn the_choice_is_among_the_preferred_partitions_that_exist() {
        let (six, three) = (NonZeroU32::new(6).unwrap(), NonZeroU32::new(3).unwrap());
        let mut sticky = StickyPartitioner::new(42);
        let chosen = |sticky: &mut StickyPartitioner, partitions| {
            let chosen: alloc::collections::BTreeSet<i32> = (0..100)
                .map(|_| {
                    let before = sticky.partition(partitions);
                    sticky.batch_sent(partitions);
                    assert_ne!(sticky.partition(partitions), before);
                    sticky.partition(partitions)
                })
                .collect();
            Vec::from_iter(chosen)
        };
        sticky.prefer([5, 1, 1, -3, 0]);
        assert_eq!(chosen(&mut sticky, six), [0, 1, 5]);
        assert_eq!(chosen(&mut sticky, three), [0, 1], "there is no partition 5");
        sticky.prefer([4, 7]);
        assert_eq!(chosen(&mut sticky, three), [0, 1, 2], "none of them exists");
        sticky.prefer([2]);
        sticky.batch_sent(three);
        assert_eq!((sticky.partition(three), sticky.batch_sent(three), sticky.partition(three)), (2, (), 2));
        sticky.prefer([]);
        assert_eq!(chosen(&mut sticky, three), [0, 1, 2]);
    }
}
