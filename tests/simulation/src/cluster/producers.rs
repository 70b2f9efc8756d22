//! A partition's state of each producer, and the checks of the next sequence: `ProducerStateManager` and
//! `ProducerAppendInfo` of Apache Kafka, with what older releases did differently.

use std::collections::{BTreeMap, VecDeque};

use crate::contents::Stamped;

/// Error codes that the rules give.
pub mod code {
    /// OUT_OF_ORDER_SEQUENCE_NUMBER.
    pub const OUT_OF_ORDER: i16 = 45;
    /// DUPLICATE_SEQUENCE_NUMBER.
    pub const DUPLICATE: i16 = 46;
    /// INVALID_PRODUCER_EPOCH.
    pub const INVALID_EPOCH: i16 = 47;
    /// UNKNOWN_PRODUCER_ID.
    pub const UNKNOWN_PRODUCER: i16 = 59;
}

/// Where releases differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How many batches of a producer are remembered to recognise duplicates: 5, before 1.0 only 1.
    pub remembered: usize,
    /// What a first sequence other than 0 of an unknown producer gets; `None`: it is accepted (from 2.5 on, KIP-360).
    pub unknown: Option<i16>,
    /// What a duplicate gets that is too old to be remembered.
    pub forgotten: i16,
}

/// A batch that is remembered.
#[derive(Clone, Copy, Debug)]
struct Remembered {
    first: i32,
    last: i32,
    base_offset: i64,
}

/// A producer, as a partition knows it.
#[derive(Clone, Debug)]
struct Known {
    epoch: i16,
    batches: VecDeque<Remembered>,
}

/// The producers of a partition.
#[derive(Clone, Debug, Default)]
pub struct Producers {
    known: BTreeMap<i64, Known>,
}

/// What becomes of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is appended.
    Append,
    /// It is in the log already, at this offset.
    Duplicate(i64),
    /// It is refused.
    Refuse(i16),
}

/// The sequence number so many records later: after the largest comes 0.
#[must_use]
pub fn later(sequence: i32, records: u32) -> i32 {
    ((i64::from(sequence) + i64::from(records)) % (1 << 31)) as i32
}

impl Producers {
    /// Whether the batches of this producer are counted.
    #[must_use]
    pub fn know(&self, producer: i64) -> bool {
        self.known.contains_key(&producer)
    }

    /// What becomes of a batch of so many records.
    #[must_use]
    pub fn admit(&self, stamp: Stamped, records: u32, rules: Rules) -> Admission {
        let (first, last) = (stamp.sequence, later(stamp.sequence, records - 1));
        let Some(known) = self.known.get(&stamp.producer) else {
            return match rules.unknown {
                Some(code) if first != 0 => Admission::Refuse(code),
                _ => Admission::Append,
            };
        };
        if stamp.epoch < known.epoch {
            return Admission::Refuse(code::INVALID_EPOCH);
        }
        if stamp.epoch > known.epoch {
            return if first == 0 { Admission::Append } else { Admission::Refuse(code::OUT_OF_ORDER) };
        }
        let recent = known.batches.iter().rev().take(rules.remembered);
        if let Some(same) = recent.into_iter().find(|batch| (batch.first, batch.last) == (first, last)) {
            return Admission::Duplicate(same.base_offset);
        }
        let newest = known.batches.back().map_or(-1, |batch| batch.last);
        match first {
            first if first == later(newest, 1) => Admission::Append,
            first if first < newest => Admission::Refuse(rules.forgotten),
            _ => Admission::Refuse(code::OUT_OF_ORDER),
        }
    }

    /// A batch was appended, here or at the leader that is followed.
    pub fn appended(&mut self, stamp: Stamped, records: u32, base_offset: i64) {
        let last = later(stamp.sequence, records - 1);
        let known =
            self.known.entry(stamp.producer).or_insert_with(|| Known { epoch: stamp.epoch, batches: VecDeque::new() });
        if known.epoch != stamp.epoch {
            *known = Known { epoch: stamp.epoch, batches: VecDeque::new() };
        }
        known.batches.push_back(Remembered { first: stamp.sequence, last, base_offset });
        if known.batches.len() > 5 {
            known.batches.pop_front();
        }
    }

    /// Forgets all batches but the last of each producer (`ProducerStateManager.writeSnapshot` keeps no more).
    pub fn remember_the_last(&mut self) {
        for known in self.known.values_mut() {
            known.batches.drain(..known.batches.len().saturating_sub(1));
        }
    }

    /// Forgets everybody: they were silent for too long, or their records are too old.
    pub fn forget(&mut self) {
        self.known.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: Rules = Rules { remembered: 5, unknown: None, forgotten: code::OUT_OF_ORDER };

    fn stamp(epoch: i16, sequence: i32) -> Stamped {
        Stamped { producer: 7, epoch, sequence }
    }

    #[test]
    fn an_unknown_producer_may_begin_anywhere() {
        let producers = Producers::default();
        assert_eq!(producers.admit(stamp(0, 40), 1, NEW), Admission::Append);
        let old = Rules { unknown: Some(code::UNKNOWN_PRODUCER), ..NEW };
        assert_eq!(producers.admit(stamp(0, 40), 1, old), Admission::Refuse(code::UNKNOWN_PRODUCER));
        assert_eq!(producers.admit(stamp(0, 0), 1, old), Admission::Append);
    }

    #[test]
    fn sequences_follow_on_each_other_and_wrap() {
        let mut producers = Producers::default();
        producers.appended(stamp(0, i32::MAX - 1), 2, 100);
        assert_eq!(producers.admit(stamp(0, 0), 1, NEW), Admission::Append);
        assert_eq!(producers.admit(stamp(0, 1), 1, NEW), Admission::Refuse(code::OUT_OF_ORDER));
        assert_eq!(producers.admit(stamp(0, i32::MAX - 1), 2, NEW), Admission::Duplicate(100));
        assert_eq!(later(i32::MAX, 3), 2);
    }

    #[test]
    fn five_batches_are_remembered_and_a_newer_epoch_begins_at_nought() {
        let mut producers = Producers::default();
        for sequence in 0..7 {
            producers.appended(stamp(3, sequence), 1, i64::from(sequence) * 10);
        }
        assert_eq!(producers.admit(stamp(3, 2), 1, NEW), Admission::Duplicate(20));
        assert_eq!(producers.admit(stamp(3, 1), 1, NEW), Admission::Refuse(code::OUT_OF_ORDER));
        assert_eq!(producers.admit(stamp(2, 7), 1, NEW), Admission::Refuse(code::INVALID_EPOCH));
        assert_eq!(producers.admit(stamp(4, 7), 1, NEW), Admission::Refuse(code::OUT_OF_ORDER));
        assert_eq!(producers.admit(stamp(4, 0), 1, NEW), Admission::Append);
    }
}
