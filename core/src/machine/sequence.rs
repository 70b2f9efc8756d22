//! The sequence numbers of a partition under a producer id and epoch (KIP-98).

use super::identity::Identity;

/// Returns the sequence number `records` after this one. Wraps from `i32::MAX` to 0.
pub(super) const fn advance(sequence: i32, records: usize) -> i32 {
    const MODULUS: u64 = 1 << 31;
    ((sequence as u64 + records as u64 % MODULUS) % MODULUS) as i32
}

/// How many batches of a producer a broker remembers, the last ones of each partition
/// (`ProducerStateEntry.NUM_BATCHES_TO_RETAIN`).
const REMEMBERED_BATCHES: u64 = 5;

/// The sequence numbers of one partition.
#[derive(Debug, Default)]
pub(super) struct Sequence {
    identity: Option<Identity>,
    /// The next sequence number.
    next: i32,
    /// How many batches were stamped under this identity.
    batches: u64,
    /// A batch stamped under this identity is missing from the log, or may be: no other may be stamped under it.
    may_have_gap: bool,
    /// The last broker that accepted a batch under this identity.
    confirmed_by: Option<i32>,
    /// The offset after that batch, if the broker reported it.
    confirmed_end: Option<i64>,
}

impl Sequence {
    /// Assigns sequence numbers to the records of one batch, under this identity. Returns the first of them, and how
    /// many batches were stamped before it. A new identity starts at 0.
    pub(super) fn assign(&mut self, identity: Identity, records: usize) -> (i32, u64) {
        if self.identity != Some(identity) {
            *self = Self { identity: Some(identity), ..Self::default() };
        }
        let assigned = (self.next, self.batches);
        self.next = advance(self.next, records);
        self.batches += 1;
        assigned
    }

    /// Returns `true` if the broker will still remember the batch before which this many were stamped after another one
    /// is stamped, so that it detects a retry as a duplicate.
    pub(super) fn is_remembered(&self, stamped_before: u64) -> bool {
        self.batches < stamped_before + REMEMBERED_BATCHES
    }

    /// Returns the identity of the last batch that was stamped.
    pub(super) fn identity(&self) -> Option<Identity> {
        self.identity
    }

    /// Returns `true` if another batch may be stamped under this identity.
    pub(super) fn allows(&self, identity: Identity) -> bool {
        !(self.may_have_gap && self.identity == Some(identity))
    }

    /// Records that a batch stamped under this identity is not in the log, or may not be: the sequence is never
    /// continued, because brokers accept nothing after a gap.
    pub(super) fn record_gap(&mut self, identity: Identity) {
        if self.identity == Some(identity) {
            self.may_have_gap = true;
        }
    }

    /// Returns the identity under which no other batch may be stamped.
    pub(super) fn identity_with_gap(&self) -> Option<Identity> {
        self.identity.filter(|_| self.may_have_gap)
    }

    /// Records that this broker accepted a batch under this identity. `end` is the offset after it, if it is known.
    pub(super) fn confirm(&mut self, identity: Identity, broker: i32, end: Option<i64>) {
        if self.identity == Some(identity) {
            self.confirmed_by = Some(broker);
            self.confirmed_end = end;
        }
    }

    /// Returns the offset after the last batch that was accepted under this identity, if it is known.
    pub(super) fn confirmed_end(&self, identity: Identity) -> Option<i64> {
        self.confirmed_end.filter(|_| self.identity == Some(identity))
    }

    /// Returns `true` if this broker has accepted a batch under this identity. A broker that has not accepts **any**
    /// first sequence number, so with two requests in flight the second could be written first.
    pub(super) fn is_confirmed(&self, identity: Identity, broker: i32) -> bool {
        self.identity == Some(identity) && self.confirmed_by == Some(broker)
    }

    /// Records that the topic was recreated: its brokers do not know the producer.
    pub(super) fn clear_confirmation(&mut self) {
        self.confirmed_by = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Identity = Identity { id: 7, epoch: 0 };
    const TWO: Identity = Identity { id: 7, epoch: 1 };

    #[test]
    fn sequences_wrap_as_in_the_java_client() {
        assert_eq!(advance(0, 3), 3);
        assert_eq!(advance(i32::MAX, 1), 0);
        assert_eq!(advance(i32::MAX - 1, 1), i32::MAX);
        assert_eq!(advance(i32::MAX - 1, 5), 3);
        assert_eq!(advance(i32::MAX, i32::MAX as usize), i32::MAX - 1);
        assert_eq!(advance(5, 0), 5);
    }

    #[test]
    fn sequences_are_consecutive_and_a_new_identity_starts_at_0() {
        let mut sequence = Sequence::default();
        assert_eq!([3, 2, 1].map(|records| sequence.assign(ONE, records).0), [0, 3, 5]);
        assert_eq!([4, 1].map(|records| sequence.assign(TWO, records)), [(0, 0), (4, 1)]);
    }

    #[test]
    fn no_batch_is_stamped_after_a_gap() {
        let mut sequence = Sequence::default();
        sequence.assign(ONE, 3);
        sequence.record_gap(TWO);
        assert!(sequence.allows(ONE));
        sequence.record_gap(ONE);
        assert!(!sequence.allows(ONE));
        assert_eq!(sequence.identity_with_gap(), Some(ONE));
        assert!(sequence.allows(TWO));
        assert_eq!(sequence.assign(TWO, 1).0, 0);
        assert_eq!(sequence.identity_with_gap(), None);
    }

    #[test]
    fn a_confirmation_holds_for_one_identity_at_one_broker() {
        let mut sequence = Sequence::default();
        sequence.assign(ONE, 1);
        sequence.confirm(TWO, 1, None);
        assert!(!sequence.is_confirmed(ONE, 1));
        sequence.confirm(ONE, 1, Some(7));
        assert!(sequence.is_confirmed(ONE, 1));
        assert!(!sequence.is_confirmed(ONE, 2));
        sequence.clear_confirmation();
        assert!(!sequence.is_confirmed(ONE, 1));
        sequence.confirm(ONE, 1, Some(7));
        sequence.assign(TWO, 1);
        assert!(!sequence.is_confirmed(TWO, 1));
    }

    #[test]
    fn five_batches_are_remembered() {
        let mut sequence = Sequence::default();
        let before = [0; 5].map(|_| sequence.assign(ONE, 1).1);
        assert_eq!(before, [0, 1, 2, 3, 4]);
        assert!(sequence.is_remembered(1) && !sequence.is_remembered(0));
    }
}
