//! A partition's state of each producer, and the checks of the next sequence: `ProducerStateManager` and
//! `ProducerAppendInfo` of Apache Kafka, with the differences of older releases.

use std::collections::{BTreeMap, VecDeque};

use crate::batch::ProducerStamp;

/// The error codes of the rules.
pub(crate) mod code {
    /// OUT_OF_ORDER_SEQUENCE_NUMBER.
    pub(crate) const OUT_OF_ORDER: i16 = 45;
    /// DUPLICATE_SEQUENCE_NUMBER.
    pub(crate) const DUPLICATE: i16 = 46;
    /// INVALID_PRODUCER_EPOCH.
    pub(crate) const INVALID_EPOCH: i16 = 47;
    /// INVALID_TXN_STATE.
    pub(crate) const INVALID_TXN_STATE: i16 = 48;
    /// UNKNOWN_PRODUCER_ID.
    pub(crate) const UNKNOWN_PRODUCER: i16 = 59;
}

/// The epoch of a producer that has none. Sequences after it are not checked.
const NO_EPOCH: i16 = -1;

/// The differences between releases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The number of batches of a producer that are remembered to detect duplicates: 5, and 1 before 1.0.
    pub remembered: usize,
    /// The error for a first sequence other than 0 of an unknown producer; `None`: it is accepted (from 2.5 on,
    /// KIP-360).
    pub unknown: Option<i16>,
    /// The error for a duplicate that is too old to be remembered.
    pub forgotten: i16,
}

/// A remembered batch.
#[derive(Clone, Copy, Debug)]
struct Remembered {
    first: i32,
    last: i32,
    base_offset: i64,
}

/// The state of a producer in a partition.
#[derive(Clone, Debug)]
struct Known {
    epoch: i16,
    batches: VecDeque<Remembered>,
}

/// What a leader remembers of a producer while it asks for its transaction, and until the first batch or a marker of it is
/// appended (`VerificationStateEntry` of Apache Kafka).
#[derive(Clone, Copy, Debug)]
struct Verification {
    epoch: i16,
    lowest_sequence: i32,
    /// It was of a version of level 2 when it began.
    is_level_2: bool,
}

/// The producers of a partition.
#[derive(Clone, Debug, Default)]
pub(crate) struct Producers {
    known: BTreeMap<i64, Known>,
    verifications: BTreeMap<i64, Verification>,
}

/// The result of checking a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CheckResult {
    /// It is appended.
    Append,
    /// It is already in the log, at this offset.
    Duplicate(i64),
    /// It is rejected.
    Refuse(i16),
}

/// Returns the sequence number this many records later: 0 follows the largest.
#[must_use]
pub fn later(sequence: i32, records: u32) -> i32 {
    ((i64::from(sequence) + i64::from(records)) % (1 << 31)) as i32
}

impl Producers {
    /// Returns true if the sequences of this producer are checked.
    #[must_use]
    pub(crate) fn know(&self, producer: i64) -> bool {
        self.known.contains_key(&producer)
    }

    /// Checks a batch of this many records.
    #[must_use]
    pub(crate) fn check_batch(&self, stamp: ProducerStamp, records: u32, rules: Rules) -> CheckResult {
        let (first, last) = (stamp.sequence, later(stamp.sequence, records - 1));
        if stamp.epoch < NO_EPOCH {
            return CheckResult::Refuse(code::INVALID_EPOCH);
        }
        let Some(known) = self.known.get(&stamp.producer) else {
            if self.is_out_of_order(stamp, false) {
                return CheckResult::Refuse(code::OUT_OF_ORDER);
            }
            return match rules.unknown {
                Some(code) if first != 0 => CheckResult::Refuse(code),
                _ => CheckResult::Append,
            };
        };
        if stamp.epoch < known.epoch {
            return CheckResult::Refuse(code::INVALID_EPOCH);
        }
        let recent = known.batches.iter().rev().take(rules.remembered).filter(|_| stamp.epoch == known.epoch);
        if let Some(same) = recent.into_iter().find(|batch| (batch.first, batch.last) == (first, last)) {
            return CheckResult::Duplicate(same.base_offset);
        }
        if self.is_out_of_order(stamp, !known.batches.is_empty()) {
            return CheckResult::Refuse(code::OUT_OF_ORDER);
        }
        if stamp.epoch > known.epoch {
            if known.epoch == NO_EPOCH {
                return CheckResult::Append;
            }
            return if first == 0 { CheckResult::Append } else { CheckResult::Refuse(code::OUT_OF_ORDER) };
        }
        let newest = known.batches.back().map_or(-1, |batch| batch.last);
        match first {
            first if first == later(newest, 1) || known.epoch == NO_EPOCH => CheckResult::Append,
            first if first < newest => CheckResult::Refuse(rules.forgotten),
            _ => CheckResult::Refuse(code::OUT_OF_ORDER),
        }
    }

    /// Records a batch that was appended, here or at the leader of this follower.
    pub(crate) fn appended(&mut self, stamp: ProducerStamp, records: u32, base_offset: i64) {
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

    /// Records a marker, after which sequences go on if its epoch is the producer's, and otherwise start again.
    pub(crate) fn ended(&mut self, producer: i64, epoch: i16) {
        let known = self.known.entry(producer).or_insert_with(|| Known { epoch, batches: VecDeque::new() });
        if known.epoch < epoch {
            *known = Known { epoch, batches: VecDeque::new() };
        }
    }

    /// Returns the epoch of a producer.
    #[must_use]
    pub(crate) fn epoch(&self, producer: i64) -> Option<i16> {
        self.known.get(&producer).map(|known| known.epoch)
    }

    /// Records that the transaction of a batch is asked for, by a version of level 2 or not.
    pub(crate) fn verification_starts(&mut self, stamp: ProducerStamp, is_level_2: bool) {
        let ProducerStamp { producer, epoch, sequence } = stamp;
        let begun = Verification { epoch, lowest_sequence: sequence, is_level_2 };
        let verification = self.verifications.entry(producer).or_insert(begun);
        if epoch > verification.epoch || epoch == verification.epoch && sequence < verification.lowest_sequence {
            (verification.epoch, verification.lowest_sequence) = (epoch, sequence);
        }
    }

    /// Records that something of a transaction was appended.
    pub(crate) fn verification_ends(&mut self, producer: i64) {
        self.verifications.remove(&producer);
    }

    /// Returns true if a batch is later than another one for whose transaction was asked, or is not the first one of a
    /// transaction of level 2.
    fn is_out_of_order(&self, stamp: ProducerStamp, has_batches: bool) -> bool {
        self.verifications.get(&stamp.producer).is_some_and(|verification| {
            verification.is_level_2 && stamp.sequence != 0 && !has_batches
                || stamp.sequence > verification.lowest_sequence
        })
    }

    /// Forgets all batches but the last of each producer (`ProducerStateManager.writeSnapshot` keeps no more).
    pub(crate) fn truncate_to_last(&mut self) {
        for known in self.known.values_mut() {
            known.batches.drain(..known.batches.len().saturating_sub(1));
        }
    }

    /// Forgets all producers: they were inactive for too long, or their records are too old.
    pub(crate) fn forget(&mut self) {
        self.known.clear();
        self.verifications.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: Rules = Rules { remembered: 5, unknown: None, forgotten: code::OUT_OF_ORDER };

    fn stamp(epoch: i16, sequence: i32) -> ProducerStamp {
        ProducerStamp { producer: 7, epoch, sequence }
    }

    #[test]
    fn an_unknown_producer_may_start_at_any_sequence() {
        let producers = Producers::default();
        assert_eq!(producers.check_batch(stamp(0, 40), 1, NEW), CheckResult::Append);
        let old = Rules { unknown: Some(code::UNKNOWN_PRODUCER), ..NEW };
        assert_eq!(producers.check_batch(stamp(0, 40), 1, old), CheckResult::Refuse(code::UNKNOWN_PRODUCER));
        assert_eq!(producers.check_batch(stamp(0, 0), 1, old), CheckResult::Append);
    }

    #[test]
    fn sequences_are_consecutive_and_wrap() {
        let mut producers = Producers::default();
        producers.appended(stamp(0, i32::MAX - 1), 2, 100);
        assert_eq!(producers.check_batch(stamp(0, 0), 1, NEW), CheckResult::Append);
        assert_eq!(producers.check_batch(stamp(0, 1), 1, NEW), CheckResult::Refuse(code::OUT_OF_ORDER));
        assert_eq!(producers.check_batch(stamp(0, i32::MAX - 1), 2, NEW), CheckResult::Duplicate(100));
        assert_eq!(later(i32::MAX, 3), 2);
    }

    #[test]
    fn five_batches_are_remembered_and_a_newer_epoch_starts_at_zero() {
        let mut producers = Producers::default();
        for sequence in 0..7 {
            producers.appended(stamp(3, sequence), 1, i64::from(sequence) * 10);
        }
        assert_eq!(producers.check_batch(stamp(3, 2), 1, NEW), CheckResult::Duplicate(20));
        assert_eq!(producers.check_batch(stamp(3, 1), 1, NEW), CheckResult::Refuse(code::OUT_OF_ORDER));
        assert_eq!(producers.check_batch(stamp(2, 7), 1, NEW), CheckResult::Refuse(code::INVALID_EPOCH));
        assert_eq!(producers.check_batch(stamp(4, 7), 1, NEW), CheckResult::Refuse(code::OUT_OF_ORDER));
        assert_eq!(producers.check_batch(stamp(4, 0), 1, NEW), CheckResult::Append);
    }

    #[test]
    fn without_an_epoch_only_duplicates_are_found() {
        let mut producers = Producers::default();
        assert_eq!(producers.check_batch(stamp(-2, 0), 1, NEW), CheckResult::Refuse(code::INVALID_EPOCH));
        assert_eq!(producers.check_batch(stamp(-1, 0), 1, NEW), CheckResult::Append);
        producers.appended(stamp(-1, 0), 1, 30);
        assert_eq!(producers.check_batch(stamp(-1, 0), 1, NEW), CheckResult::Duplicate(30));
        assert_eq!(producers.check_batch(stamp(-1, 7), 1, NEW), CheckResult::Append);
        assert_eq!(producers.check_batch(stamp(0, 7), 1, NEW), CheckResult::Append);
    }

    #[test]
    fn a_transaction_begins_with_its_lowest_sequence_and_at_level_2_with_0() {
        let mut producers = Producers::default();
        producers.verification_starts(stamp(0, 5), false);
        assert_eq!(producers.check_batch(stamp(0, 6), 1, NEW), CheckResult::Refuse(code::OUT_OF_ORDER));
        assert_eq!(producers.check_batch(stamp(0, 5), 1, NEW), CheckResult::Append);
        producers.verification_starts(stamp(0, 3), false);
        assert_eq!(producers.check_batch(stamp(0, 5), 1, NEW), CheckResult::Refuse(code::OUT_OF_ORDER));
        producers.verification_ends(7);
        producers.verification_starts(stamp(0, 3), true);
        assert_eq!(producers.check_batch(stamp(0, 3), 1, NEW), CheckResult::Refuse(code::OUT_OF_ORDER));
        producers.verification_starts(stamp(0, 0), false);
        assert_eq!(producers.check_batch(stamp(0, 0), 1, NEW), CheckResult::Append);
        producers.appended(stamp(0, 0), 1, 10);
        producers.verification_ends(7);
        // After a marker with the same epoch sequences go on, with another one they begin again.
        producers.ended(7, 0);
        assert_eq!(producers.check_batch(stamp(0, 1), 1, NEW), CheckResult::Append);
        producers.ended(7, 1);
        assert_eq!(producers.check_batch(stamp(0, 1), 1, NEW), CheckResult::Refuse(code::INVALID_EPOCH));
        assert_eq!(producers.check_batch(stamp(1, 1), 1, NEW), CheckResult::Refuse(code::OUT_OF_ORDER));
        assert_eq!(producers.check_batch(stamp(1, 0), 1, NEW), CheckResult::Append);
    }
}
