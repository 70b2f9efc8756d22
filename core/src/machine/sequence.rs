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
    /// How many records they have.
    records: u64,
    /// A batch stamped under this identity is missing from the log, or may be: no other may be stamped under it.
    may_have_gap: bool,
    /// The last broker that accepted a batch under this identity.
    confirmed_by: Option<i32>,
    /// The end of that batch, if the broker reported its offset.
    confirmed_end: Option<ConfirmedEnd>,
}

/// The place of a batch among those stamped under the same identity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct StampOrder {
    /// How many batches of the partition were stamped before it.
    pub(super) batches_before: u64,
    /// How many records they have.
    pub(super) records_before: u64,
}

/// The end of a batch that a broker accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ConfirmedEnd {
    /// The offset after it.
    offset: i64,
    /// How many records were stamped up to it.
    records: u64,
}

impl Sequence {
    /// Assigns sequence numbers to the records of one batch, under this identity. Returns the first of them, and what
    /// was stamped before it. A new identity starts at 0.
    pub(super) fn assign(&mut self, identity: Identity, records: usize) -> (i32, StampOrder) {
        if self.identity != Some(identity) {
            *self = Self { identity: Some(identity), ..Self::default() };
        }
        let order = StampOrder { batches_before: self.batches, records_before: self.records };
        let assigned = (self.next, order);
        self.next = advance(self.next, records);
        self.batches += 1;
        self.records += records as u64;
        assigned
    }

    /// Returns `true` if the broker will still remember the batch before which this many were stamped after another one
    /// is stamped, so that it detects a retry as a duplicate.
    pub(super) fn is_remembered(&self, batches_before: u64) -> bool {
        self.batches < batches_before + REMEMBERED_BATCHES
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

    /// Records that this broker accepted a batch of this many records under this identity. `end` is the offset after it,
    /// if it is known.
    pub(super) fn confirm(
        &mut self,
        identity: Identity,
        broker: i32,
        order: StampOrder,
        records: usize,
        end: Option<i64>,
    ) {
        if self.identity == Some(identity) {
            self.confirmed_by = Some(broker);
            let records = order.records_before + records as u64;
            self.confirmed_end = end.map(|offset| ConfirmedEnd { offset, records });
        }
    }

    /// Returns `true` if the log has room for all records that were stamped between the last accepted batch and this
    /// one, which a broker has accepted at this offset. `false` if it is not known.
    pub(super) fn has_room_before(&self, identity: Identity, order: StampOrder, offset: Option<i64>) -> bool {
        let confirmed = self.confirmed_end.filter(|_| self.identity == Some(identity));
        let room = confirmed.zip(offset).and_then(|(confirmed, offset)| {
            let records = order.records_before.checked_sub(confirmed.records)?;
            Some(offset.checked_sub(confirmed.offset)? >= i64::try_from(records).ok()?)
        });
        room.unwrap_or(false)
    }

    /// Returns `true` if this broker has accepted a batch under this identity. A broker that has not accepts **any**
    /// first sequence number, so with two requests in flight the second could be written first.
    pub(super) fn is_confirmed(&self, identity: Identity, broker: i32) -> bool {
        self.identity == Some(identity) && self.confirmed_by == Some(broker)
    }

    /// Records that the topic was recreated: its brokers do not know the producer, and its offsets have nothing to do with those
    /// before.
    pub(super) fn clear_confirmation(&mut self) {
        self.confirmed_by = None;
        self.confirmed_end = None;
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
        let order = |batches_before, records_before| StampOrder { batches_before, records_before };
        assert_eq!([4, 1].map(|records| sequence.assign(TWO, records)), [(0, order(0, 0)), (4, order(1, 4))]);
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
        sequence.confirm(TWO, 1, StampOrder::default(), 1, None);
        assert!(!sequence.is_confirmed(ONE, 1));
        sequence.confirm(ONE, 1, StampOrder::default(), 1, Some(7));
        assert!(sequence.is_confirmed(ONE, 1));
        assert!(!sequence.is_confirmed(ONE, 2));
        sequence.clear_confirmation();
        assert!(!sequence.is_confirmed(ONE, 1));
        sequence.confirm(ONE, 1, StampOrder::default(), 1, Some(7));
        sequence.assign(TWO, 1);
        assert!(!sequence.is_confirmed(TWO, 1));
    }

    #[test]
    fn a_batch_has_room_if_all_that_was_stamped_since_the_last_accepted_one_fits() {
        let mut sequence = Sequence::default();
        let orders = [3, 2, 4, 1].map(|records| sequence.assign(ONE, records).1);
        assert!(!sequence.has_room_before(ONE, orders[3], Some(100)), "nothing was accepted");
        sequence.confirm(ONE, 1, orders[0], 3, Some(43));
        assert!(sequence.has_room_before(ONE, orders[3], Some(49)));
        assert!(!sequence.has_room_before(ONE, orders[3], Some(48)));
        assert!(!sequence.has_room_before(ONE, orders[3], None));
        assert!(!sequence.has_room_before(TWO, orders[3], Some(49)));
        sequence.confirm(ONE, 1, orders[3], 1, Some(50));
        assert!(!sequence.has_room_before(ONE, orders[1], Some(60)), "it is before the last accepted one");
    }

    #[test]
    fn five_batches_are_remembered() {
        let mut sequence = Sequence::default();
        let before = [0; 5].map(|_| sequence.assign(ONE, 1).1.batches_before);
        assert_eq!(before, [0, 1, 2, 3, 4]);
        assert!(sequence.is_remembered(1) && !sequence.is_remembered(0));
    }
}
