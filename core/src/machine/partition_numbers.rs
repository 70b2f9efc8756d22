//! The known partitions of one topic, by number.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::num::NonZeroUsize;

use super::index::PartitionIndex;

/// How many slots more than twice the number of partitions a vector may have.
const SLACK: usize = 16;

/// The known partitions of one topic, by number, in their order.
///
/// Small numbers, nearly all that Kafka has, are slots of a vector, so that finding one takes one access to memory. The
/// application chooses the numbers: those that would take more slots than twice the partitions are in a map.
#[derive(Debug, Default)]
pub(super) struct PartitionNumbers {
    /// The index of each partition plus one.
    slots: Vec<Option<NonZeroUsize>>,
    /// Numbers from `slots.len()` on.
    others: BTreeMap<usize, PartitionIndex>,
    /// How many slots are in use.
    used: usize,
}

/// Indices are positions in a vector, so there is a number after each.
fn one_more(index: PartitionIndex) -> NonZeroUsize {
    NonZeroUsize::MIN.saturating_add(index)
}

impl PartitionNumbers {
    pub(super) fn get(&self, number: i32) -> Option<PartitionIndex> {
        let number = usize::try_from(number).ok()?;
        match self.slots.get(number) {
            Some(slot) => slot.map(|index| index.get() - 1),
            None => self.others.get(&number).copied(),
        }
    }

    /// Adds a partition, or replaces the index of one. Negative numbers are not accepted by the machine.
    pub(super) fn insert(&mut self, number: i32, index: PartitionIndex) {
        let Ok(number) = usize::try_from(number) else {
            debug_assert!(false, "partition {number}");
            return;
        };
        if number >= self.slots.len() {
            if number > 2 * (self.used + self.others.len()) + SLACK {
                self.others.insert(number, index);
                return;
            }
            self.slots.resize(number + 1, None);
            let others = self.others.split_off(&(number + 1));
            for (number, index) in core::mem::replace(&mut self.others, others) {
                self.slots[number] = Some(one_more(index));
                self.used += 1;
            }
        }
        if self.slots[number].replace(one_more(index)).is_none() {
            self.used += 1;
        }
    }

    /// Removes the partitions that are not to be kept, and the slots after the last that is.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(PartitionIndex) -> bool) {
        for slot in &mut self.slots {
            if slot.is_some_and(|index| !keep(index.get() - 1)) {
                *slot = None;
                self.used -= 1;
            }
        }
        let end = self.slots.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        self.slots.truncate(end);
        self.slots.shrink_to_fit();
        self.others.retain(|_, index| keep(*index));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.used == 0 && self.others.is_empty()
    }

    /// Iterates over the indices, in the order of the numbers.
    pub(super) fn indices(&self) -> impl Iterator<Item = PartitionIndex> + '_ {
        let in_slots = self.slots.iter().flatten().map(|index| index.get() - 1);
        in_slots.chain(self.others.values().copied())
    }
}

#[cfg(test)]
mod tests {
    use std::vec;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_large_number_takes_no_slots_before_it() {
        let mut numbers = PartitionNumbers::default();
        numbers.insert(i32::MAX, 0);
        numbers.insert(20, 1);
        numbers.insert(3, 2);
        assert_eq!(numbers.slots.len(), 4);
        assert_eq!([i32::MAX, 20, 3, 2, -1].map(|number| numbers.get(number)), [Some(0), Some(1), Some(2), None, None]);
        assert_eq!(numbers.indices().collect::<Vec<_>>(), vec![2, 1, 0]);
        numbers.insert(21, 3);
        assert_eq!(numbers.slots.len(), 22, "20 has a slot now, too");
        assert_eq!(numbers.indices().collect::<Vec<_>>(), vec![2, 1, 3, 0]);
    }

    #[test]
    fn slots_after_the_last_partition_are_freed() {
        let mut numbers = PartitionNumbers::default();
        (0..1_000).for_each(|number| numbers.insert(number, number as usize));
        numbers.retain(|index| index == 7);
        assert_eq!(numbers.slots.capacity(), 8);
        numbers.retain(|_| false);
        assert!(numbers.is_empty());
    }

    proptest! {
        #[test]
        fn it_equals_a_map(
            operations in prop::collection::vec(
                (prop_oneof![0..40, 0..4_000, 0..=i32::MAX], 0..50_usize, prop::bool::weighted(0.05)),
                0..300,
            ),
        ) {
            let (mut numbers, mut map) = (PartitionNumbers::default(), BTreeMap::new());
            for (number, index, is_removal) in operations {
                if is_removal {
                    numbers.retain(|kept| kept % 3 != index % 3);
                    map.retain(|_, kept: &mut usize| *kept % 3 != index % 3);
                } else {
                    numbers.insert(number, index);
                    map.insert(number, index);
                }
                prop_assert_eq!(numbers.get(number), map.get(&number).copied());
                prop_assert_eq!(numbers.is_empty(), map.is_empty());
            }
            prop_assert!(numbers.slots.len() <= 2 * 300 + SLACK + 1);
            prop_assert_eq!(numbers.indices().collect::<Vec<_>>(), map.values().copied().collect::<Vec<_>>());
            for (number, index) in map {
                prop_assert_eq!(numbers.get(number), Some(index));
            }
        }
    }
}
