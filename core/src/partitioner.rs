//! Which partition a record or a batch goes to, as the Java client has it.

use core::num::NonZeroU32;

/// The partition for a key out of `partitions`: murmur2 of the key, as the Java client and everyone who follows it.
///
/// ```
/// use std::num::NonZeroU32;
/// use kafka_batch_core::partition_for_key;
///
/// let six = NonZeroU32::new(6).unwrap();
/// assert_eq!(partition_for_key(b"sensor-7", six), partition_for_key(b"sensor-7", six));
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
    let mut words = bytes.chunks_exact(4);
    for word in &mut words {
        let word = word.iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte)).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ (word ^ word >> 24).wrapping_mul(M);
    }
    let tail = words.remainder();
    if !tail.is_empty() {
        hash ^= tail.iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte));
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ hash >> 15
}

/// Picks a partition for batches that name none, and keeps to it until the batch is gone: the sticky partitioner of the
/// Java client (KIP-480). It draws from the seed that it is given, so a test can repeat what it did.
#[derive(Clone, Debug)]
pub struct StickyPartitioner {
    state: u64,
    current: Option<i32>,
}

impl StickyPartitioner {
    /// A partitioner that draws from `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { state: seed, current: None }
    }

    /// The partition that the batch being filled goes to, out of `partitions`. It stays the same until
    /// [`batch_sent`](Self::batch_sent), or until the topic has no such partition.
    pub fn partition(&mut self, partitions: NonZeroU32) -> i32 {
        match self.current {
            Some(current) if (current as u32) < partitions.get() => current,
            _ => self.choose(partitions, None),
        }
    }

    /// Tells that a batch went to the current partition: the next one goes to another, where there is another.
    pub fn batch_sent(&mut self, partitions: NonZeroU32) {
        let last = self.current;
        self.choose(partitions, last);
    }

    fn choose(&mut self, partitions: NonZeroU32, other_than: Option<i32>) -> i32 {
        let count = partitions.get();
        let avoided = other_than.filter(|&last| count > 1 && (last as u32) < count);
        let choices = count - u32::from(avoided.is_some());
        let mut partition = (self.draw() % u64::from(choices)) as i32;
        if avoided.is_some_and(|avoided| partition >= avoided) {
            partition += 1;
        }
        self.current = Some(partition);
        partition
    }

    /// The next number of a SplitMix64 sequence.
    fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of `UtilsTest.testMurmur2` of Apache Kafka.
    #[test]
    fn murmur2_is_javas() {
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
