//! Who the producer is to the brokers, and how it counts: producer id, epoch, and sequence numbers (KIP-98, KIP-360).

use crate::time::Instant;

/// A producer id and its epoch. Under a new one a partition counts from 0 again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) id: i64,
    pub(super) epoch: i16,
}

/// The sequence number `records` after this one: 31 bits, then 0 again.
pub(super) const fn advance(sequence: i32, records: usize) -> i32 {
    const MODULUS: u64 = 1 << 31;
    ((sequence as u64 + records as u64 % MODULUS) % MODULUS) as i32
}

/// How one partition counts.
#[derive(Debug, Default)]
pub(super) struct Sequence {
    identity: Option<Identity>,
    next: i32,
    /// What was stamped under this identity is not all accounted for: nothing new may be stamped under it here.
    lost: bool,
    /// The broker that has taken a batch under this identity last.
    confirmed_by: Option<i32>,
}

impl Sequence {
    /// The next range for so many records, under this identity.
    pub(super) fn take(&mut self, identity: Identity, records: usize) -> i32 {
        if self.identity != Some(identity) {
            *self = Self { identity: Some(identity), ..Self::default() };
        }
        let first = self.next;
        self.next = advance(first, records);
        first
    }

    /// The identity under which it has counted last.
    pub(super) fn identity(&self) -> Option<Identity> {
        self.identity
    }

    /// Whether something new may be stamped under this identity.
    pub(super) fn allows(&self, identity: Identity) -> bool {
        !(self.lost && self.identity == Some(identity))
    }

    /// A range under this identity was given out and is not in the log, or nobody knows: never count on from there.
    pub(super) fn lose(&mut self, identity: Identity) {
        if self.identity == Some(identity) {
            self.lost = true;
        }
    }

    /// The identity under which nothing new may be stamped.
    pub(super) fn lost(&self) -> Option<Identity> {
        self.identity.filter(|_| self.lost)
    }

    /// This broker has taken a batch under this identity.
    pub(super) fn confirm(&mut self, identity: Identity, broker: i32) {
        if self.identity == Some(identity) {
            self.confirmed_by = Some(broker);
        }
    }

    /// Whether this broker knows where this identity is in its counting. One that does not takes **any** first sequence:
    /// with two requests in flight the second could come first.
    pub(super) fn is_confirmed(&self, identity: Identity, broker: i32) -> bool {
        self.identity == Some(identity) && self.confirmed_by == Some(broker)
    }

    /// The topic was made anew: its brokers know nothing of us.
    pub(super) fn doubt(&mut self) {
        self.confirmed_by = None;
    }
}

/// Getting an identity, and the next one.
#[derive(Debug, Default)]
pub(super) struct Identities {
    current: Option<Identity>,
    /// The brokers will hear nothing of the current one: ask for a new id.
    disowned: bool,
    /// A partition that has counted under the current one was forgotten. Should it come back, it would count from 0 again,
    /// and its batches would be taken for duplicates: so no partition begins to count under it any more.
    complete: bool,
    /// A request is under way.
    pub(super) asked: bool,
    pub(super) failures: u32,
    pub(super) not_before: Instant,
}

impl Identities {
    pub(super) fn current(&self) -> Option<Identity> {
        self.current
    }

    /// The current one, if a partition that counts so may stamp something new under it.
    pub(super) fn usable_by(&self, sequence: &Sequence) -> Option<Identity> {
        let begins_anew = sequence.identity() != self.current;
        self.current.filter(|&current| sequence.allows(current) && !(begins_anew && self.complete))
    }

    /// A partition that has counted under this identity is forgotten.
    pub(super) fn forget_counting(&mut self, identity: Identity) {
        self.complete |= self.current == Some(identity);
    }

    /// What to name as our current identity when asking for the next one: it is bumped then. Only from v3 on; before, and
    /// after the brokers have refused it, a new id is asked for.
    pub(super) fn to_bump(&self, version: i16) -> Option<Identity> {
        self.current.filter(|_| version >= 3 && !self.disowned)
    }

    /// A new identity. False if it is the one that we have: that would count from 0 in ranges that are taken.
    pub(super) fn obtain(&mut self, identity: Identity) -> bool {
        self.asked = false;
        if self.current == Some(identity) {
            self.disowned = true;
            return false;
        }
        *self = Self { current: Some(identity), not_before: self.not_before, ..Self::default() };
        true
    }

    /// The brokers do not take the current identity as ours.
    pub(super) fn disown(&mut self) {
        self.disowned = true;
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
    fn ranges_follow_on_each_other_and_a_new_identity_counts_from_0() {
        let mut sequence = Sequence::default();
        assert_eq!([sequence.take(ONE, 3), sequence.take(ONE, 2), sequence.take(ONE, 1)], [0, 3, 5]);
        assert_eq!([sequence.take(TWO, 4), sequence.take(TWO, 1)], [0, 4]);
    }

    #[test]
    fn nothing_new_is_stamped_under_a_lost_identity() {
        let mut sequence = Sequence::default();
        sequence.take(ONE, 3);
        sequence.lose(TWO);
        assert!(sequence.allows(ONE));
        sequence.lose(ONE);
        assert!(!sequence.allows(ONE));
        assert_eq!(sequence.lost(), Some(ONE));
        assert!(sequence.allows(TWO));
        assert_eq!(sequence.take(TWO, 1), 0);
        assert_eq!(sequence.lost(), None);
    }

    #[test]
    fn a_confirmation_holds_for_one_identity_at_one_broker() {
        let mut sequence = Sequence::default();
        sequence.take(ONE, 1);
        sequence.confirm(TWO, 1);
        assert!(!sequence.is_confirmed(ONE, 1));
        sequence.confirm(ONE, 1);
        assert!(sequence.is_confirmed(ONE, 1));
        assert!(!sequence.is_confirmed(ONE, 2));
        sequence.doubt();
        assert!(!sequence.is_confirmed(ONE, 1));
        sequence.confirm(ONE, 1);
        sequence.take(TWO, 1);
        assert!(!sequence.is_confirmed(TWO, 1));
    }

    #[test]
    fn an_identity_is_bumped_and_never_taken_twice() {
        let mut identities = Identities::default();
        assert_eq!(identities.to_bump(5), None);
        assert!(identities.obtain(ONE));
        assert_eq!((identities.to_bump(2), identities.to_bump(3)), (None, Some(ONE)));
        assert!(!identities.obtain(ONE));
        assert_eq!(identities.to_bump(3), None);
        assert!(identities.obtain(TWO));
        assert_eq!(identities.to_bump(3), Some(TWO));
        identities.disown();
        assert_eq!((identities.to_bump(3), identities.current()), (None, Some(TWO)));
    }

    #[test]
    fn after_a_partition_was_forgotten_none_begins_under_the_same_identity() {
        let mut identities = Identities::default();
        identities.obtain(ONE);
        let (mut old, new) = (Sequence::default(), Sequence::default());
        old.take(ONE, 1);
        identities.forget_counting(TWO);
        assert_eq!((identities.usable_by(&old), identities.usable_by(&new)), (Some(ONE), Some(ONE)));
        identities.forget_counting(ONE);
        assert_eq!((identities.usable_by(&old), identities.usable_by(&new)), (Some(ONE), None));
        identities.obtain(TWO);
        assert_eq!((identities.usable_by(&old), identities.usable_by(&new)), (Some(TWO), Some(TWO)));
    }
}
