//! The producer ids and epochs of the producer: how they are obtained, and which of them brokers have refused (KIP-98,
//! KIP-360).

use alloc::collections::VecDeque;

use super::identity::Identity;
use super::query::Query;
use super::sequence::Sequence;
use crate::cause::ProducerIdError;
use crate::protocol::BrokerError;

/// How many earlier producer ids are remembered, so that none is used twice. Brokers assign ids from blocks of 1,000
/// (`ProducerIdsBlock.PRODUCER_ID_BLOCK_SIZE`), and none twice: this guards against a broker that does.
const REMEMBERED_IDS: usize = 1_000;

/// The current identity, and earlier ones.
#[derive(Debug, Default)]
pub(super) struct IdentityManager {
    current: Option<Identity>,
    /// The epoch that a broker assigned with the current id. Later epochs of the id are bumped locally (KIP-360).
    assigned_epoch: i16,
    /// A broker has accepted a batch under the current id.
    is_confirmed: bool,
    /// A broker has refused the current id: another must be requested.
    is_refused: bool,
    /// A broker has refused an epoch that was bumped locally, so brokers accept only epochs that they assigned. From
    /// then on each identity is requested.
    local_epochs_refused: bool,
    /// A partition that used the current identity was forgotten. If it is used again, its sequence numbers would start
    /// at 0, and its batches would be taken for duplicates, so no other partition starts to use the current identity.
    closed_to_new_partitions: bool,
    /// The transaction coordinator assigns each identity: every batch has the current one, no epoch is bumped locally, and an
    /// identity with a gap is replaced at the end of the transaction.
    is_transactional: bool,
    /// Earlier identities, the most recent last.
    earlier: VecDeque<Earlier>,
    /// The refusal of the current id by a broker.
    refusal: Option<BrokerError>,
    /// InitProducerId. A request has failed if it led to no identity under which a batch was accepted.
    pub(super) query: Query,
}

/// An identity that was the current one before.
#[derive(Clone, Copy, Debug)]
struct Earlier {
    /// With the highest used epoch of its id.
    identity: Identity,
    is_refused: bool,
}

/// The identities that a refusal applies to.
#[derive(Clone, Copy, Debug)]
pub(super) struct RefusalScope {
    id: i64,
    /// If set, the refusal does not apply to epochs of the id from this one on, which were assigned after the refused
    /// one.
    before: Option<i16>,
    /// The id was the current one, and no broker has ever accepted a batch under it.
    pub(super) was_never_confirmed: bool,
}

impl RefusalScope {
    /// Returns `true` if the refusal applies to this identity.
    pub(super) fn applies_to(self, identity: Identity) -> bool {
        identity.id == self.id && self.before.is_none_or(|before| identity.epoch < before)
    }
}

impl IdentityManager {
    /// Creates the manager of a producer; `is_transactional` if its transaction coordinator assigns identities.
    pub(super) fn new(is_transactional: bool) -> Self {
        Self { is_transactional, ..Self::default() }
    }

    /// Returns the current identity.
    pub(super) const fn current(&self) -> Option<Identity> {
        self.current
    }

    /// Returns the identity for the next new batch of a partition with these sequence numbers: the partition's last
    /// identity while that is usable, since a gap in another partition does not affect it, and otherwise the current
    /// one.
    pub(super) fn usable_by(&self, sequence: &Sequence) -> Option<Identity> {
        let may_use = |own| sequence.allows(own) && (!self.is_transactional || self.current == Some(own));
        let own = sequence.identity().filter(|&own| may_use(own));
        let current = || {
            self.current
                .filter(|&current| sequence.allows(current) && !self.closed_to_new_partitions && !self.is_refused)
        };
        own.or_else(current)
    }

    /// Bumps the epoch locally, as the Java client does for producers without transactions: brokers accept a higher
    /// epoch from any producer with this id, and afterwards no delayed batch of the epoch before. Returns `false` if a
    /// new id must be requested: after the last epoch, or if brokers have refused the id, or an epoch that they had not
    /// assigned.
    pub(super) fn bump(&mut self) -> bool {
        let may_bump = !self.is_refused && !self.local_epochs_refused && !self.is_transactional;
        let current = self.current.filter(|_| may_bump);
        let Some(Identity { id, epoch }) = current else { return false };
        let Some(epoch) = epoch.checked_add(1) else { return false };
        self.current = Some(Identity { id, epoch });
        self.closed_to_new_partitions = false;
        true
    }

    /// Records that a partition with this identity is forgotten.
    pub(super) fn on_partition_forgotten(&mut self, identity: Identity) {
        self.closed_to_new_partitions |= self.current == Some(identity);
    }

    /// Makes an identity that a broker has assigned the current one.
    ///
    /// # Errors
    /// The identity is invalid, or is the current one or an earlier one, whose sequence numbers from 0 on are used up.
    pub(super) fn obtain(&mut self, identity: Identity) -> Result<(), ProducerIdError> {
        let Identity { id, epoch } = identity;
        if id < 0 || epoch < 0 {
            return Err(ProducerIdError::Invalid { id, epoch });
        }
        let earlier = self.earlier.iter().map(|earlier| earlier.identity);
        if earlier.chain(self.current).any(|used| used.id == id && used.epoch >= epoch) {
            return Err(ProducerIdError::Repeated { id, epoch, refusal: self.refusal.clone() });
        }
        let mut earlier = core::mem::take(&mut self.earlier);
        if let Some(previous) = self.current {
            earlier.retain(|used| used.identity.id != previous.id);
            earlier.push_back(Earlier { identity: previous, is_refused: self.is_refused });
            earlier.drain(..earlier.len().saturating_sub(REMEMBERED_IDS));
        }
        let mut query = core::mem::take(&mut self.query);
        query.on_response();
        let Self { local_epochs_refused, is_transactional, .. } = *self;
        *self = Self {
            current: Some(identity),
            assigned_epoch: epoch,
            local_epochs_refused,
            is_transactional,
            earlier,
            query,
            ..Self::default()
        };
        Ok(())
    }

    /// Records that a broker accepted a batch under this identity.
    pub(super) fn confirm(&mut self, identity: Identity) {
        if self.is_current_id(identity) {
            self.is_confirmed = true;
            self.query.succeeded();
        }
    }

    /// Records that a broker refused this identity: neither it nor any other epoch of its id known by then is used
    /// again. Returns what the refusal applies to, or `None` if that was refused before.
    pub(super) fn refused(&mut self, identity: Identity, refusal: BrokerError) -> Option<RefusalScope> {
        let Identity { id, epoch } = identity;
        if !self.is_current_id(identity) {
            let mut earlier = self.earlier.iter_mut().filter(|earlier| earlier.identity.id == id);
            if earlier.next().is_some_and(|earlier| core::mem::replace(&mut earlier.is_refused, true)) {
                return None;
            }
            let before = self.current.filter(|current| current.id == id).map(|_| self.assigned_epoch);
            return Some(RefusalScope { id, before, was_never_confirmed: false });
        }
        self.local_epochs_refused |= epoch > self.assigned_epoch;
        self.refusal = Some(refusal);
        let is_new = !core::mem::replace(&mut self.is_refused, true);
        is_new.then_some(RefusalScope { id, before: None, was_never_confirmed: !self.is_confirmed })
    }

    /// Returns `true` if a broker assigned it with the current id, or its epoch was bumped locally after that.
    fn is_current_id(&self, identity: Identity) -> bool {
        self.current.is_some_and(|current| current.id == identity.id) && identity.epoch >= self.assigned_epoch
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::backoff::Backoff;
    use crate::protocol::{ApiKey, ErrorCode};
    use crate::splitmix64::SplitMix64;
    use crate::time::Instant;
    use core::time::Duration;

    const BACKOFF: Backoff = Backoff { first: Duration::from_millis(100), most: Duration::from_secs(1) };

    const ONE: Identity = Identity { id: 7, epoch: 0 };
    const TWO: Identity = Identity { id: 7, epoch: 1 };
    const OTHER: Identity = Identity { id: 8, epoch: 0 };

    fn refusal() -> BrokerError {
        BrokerError::new(ApiKey::Produce, ErrorCode::PRODUCER_FENCED)
    }

    fn with(identity: Identity) -> IdentityManager {
        let mut identities = IdentityManager::default();
        identities.obtain(identity).unwrap();
        identities
    }

    #[test]
    fn an_identity_is_bumped_and_never_obtained_twice() {
        assert!(!IdentityManager::default().bump());
        let mut identities = with(ONE);
        identities.obtain(ONE).unwrap_err();
        assert!(identities.bump());
        assert_eq!(identities.current, Some(TWO));
        for used in [ONE, TWO] {
            identities.obtain(used).unwrap_err();
        }
        identities.refused(ONE, refusal());
        assert!(!identities.bump(), "the id is refused");
        assert_eq!(identities.usable_by(&Sequence::default()), None);
        identities.obtain(Identity { id: 8, epoch: i16::MAX }).unwrap();
        assert!(!identities.bump(), "i16::MAX is the last epoch");
        for used in [ONE, TWO] {
            identities.obtain(used).unwrap_err();
        }
    }

    #[test]
    fn after_a_local_epoch_was_refused_epochs_are_not_bumped_locally() {
        let mut identities = with(ONE);
        assert!(identities.bump());
        identities.refused(TWO, refusal());
        identities.obtain(OTHER).unwrap();
        assert!(!identities.bump());
        let mut identities = with(ONE);
        identities.refused(ONE, refusal());
        identities.obtain(OTHER).unwrap();
        assert!(identities.bump(), "the refused epoch was assigned by the broker");
    }

    #[test]
    fn a_refusal_applies_to_the_epochs_known_before_it() {
        let mut identities = with(ONE);
        let all = identities.refused(TWO, refusal()).unwrap();
        assert!(identities.refused(ONE, refusal()).is_none(), "refused before");
        let later = Identity { id: 7, epoch: 5 };
        assert_eq!([ONE, TWO, later, OTHER].map(|identity| all.applies_to(identity)), [true, true, true, false]);
        identities.obtain(later).unwrap();
        assert!(identities.refused(TWO, refusal()).is_none(), "refused before, also after a new epoch was assigned");
        assert_eq!(identities.usable_by(&Sequence::default()), Some(later));

        let mut identities = with(ONE);
        identities.obtain(later).unwrap();
        let late = identities.refused(TWO, refusal()).unwrap();
        assert_eq!([ONE, TWO, later, OTHER].map(|identity| late.applies_to(identity)), [true, true, false, false]);
        assert_eq!(identities.usable_by(&Sequence::default()), Some(later));
        let another = identities.refused(OTHER, refusal()).unwrap();
        assert_eq!([ONE, later, OTHER].map(|identity| another.applies_to(identity)), [false, false, true]);
    }

    #[test]
    fn only_the_refusal_of_an_id_that_was_never_accepted_counts_as_a_failure() {
        let mut identities = with(ONE);
        assert!(identities.refused(ONE, refusal()).unwrap().was_never_confirmed);
        identities.query.postpone(Instant::START, BACKOFF, &mut SplitMix64::new(1));
        identities.obtain(OTHER).unwrap();
        assert_eq!(identities.query.failures(), 1, "an assigned id is not yet an accepted one");
        identities.confirm(ONE);
        assert_eq!(identities.query.failures(), 1, "the other id was confirmed");
        identities.confirm(OTHER);
        assert_eq!(identities.query.failures(), 0);
        assert!(!identities.refused(OTHER, refusal()).unwrap().was_never_confirmed);
    }

    #[test]
    fn a_refusal_does_not_end_the_request_in_flight() {
        let mut identities = with(ONE);
        identities.query.sent();
        identities.refused(ONE, refusal());
        assert!(identities.query.is_in_flight());
        identities.obtain(OTHER).unwrap();
        assert!(!identities.query.is_in_flight());
    }

    #[test]
    fn a_thousand_earlier_ids_are_remembered() {
        let mut identities = IdentityManager::default();
        let id = |id: usize| Identity { id: id as i64, epoch: 0 };
        for next in 0..=REMEMBERED_IDS + 1 {
            identities.obtain(id(next)).unwrap();
        }
        assert_eq!(identities.earlier.len(), REMEMBERED_IDS);
        for used in 1..=REMEMBERED_IDS + 1 {
            identities.obtain(id(used)).unwrap_err();
        }
        identities.obtain(id(0)).unwrap();
    }

    #[test]
    fn an_identity_with_a_gap_in_one_partition_stays_usable_in_another() {
        let mut identities = with(ONE);
        let (mut with_gap, mut other) = (Sequence::default(), Sequence::default());
        with_gap.assign(ONE, 1);
        other.assign(ONE, 1);
        with_gap.record_gap(ONE);
        assert_eq!((identities.usable_by(&with_gap), identities.usable_by(&other)), (None, Some(ONE)));
        identities.bump();
        assert_eq!((identities.usable_by(&with_gap), identities.usable_by(&other)), (Some(TWO), Some(ONE)));
    }

    #[test]
    fn after_a_partition_was_forgotten_none_starts_to_use_its_identity() {
        let mut identities = with(ONE);
        let (mut old, new) = (Sequence::default(), Sequence::default());
        old.assign(ONE, 1);
        identities.on_partition_forgotten(TWO);
        assert_eq!((identities.usable_by(&old), identities.usable_by(&new)), (Some(ONE), Some(ONE)));
        identities.on_partition_forgotten(ONE);
        assert_eq!((identities.usable_by(&old), identities.usable_by(&new)), (Some(ONE), None));
        identities.bump();
        assert_eq!((identities.usable_by(&old), identities.usable_by(&new)), (Some(ONE), Some(TWO)));
    }

    #[test]
    fn with_transactions_each_batch_has_the_identity_that_was_assigned_last() {
        let mut identities = IdentityManager::new(true);
        identities.obtain(ONE).unwrap();
        let mut sequence = Sequence::default();
        sequence.assign(ONE, 1);
        assert_eq!(identities.usable_by(&sequence), Some(ONE));
        assert!(!identities.bump(), "only the coordinator assigns epochs");
        identities.obtain(TWO).unwrap();
        assert_eq!(identities.usable_by(&sequence), Some(TWO), "the epoch of the last transaction is stale");
        identities.obtain(ONE).unwrap_err();
        sequence.assign(TWO, 1);
        sequence.record_gap(TWO);
        assert_eq!(identities.usable_by(&sequence), None);
    }

    #[test]
    fn errors_name_the_broker_the_id_and_the_reason() {
        let mut identities = with(ONE);
        let text = |error: ProducerIdError| alloc::string::ToString::to_string(&error);
        assert_eq!(
            text(identities.obtain(ONE).unwrap_err()),
            "the broker answered InitProducerId with producer id 7 and epoch 0 again, under which this producer has \
             sent batches before"
        );
        identities.refused(ONE, refusal().with_broker(2));
        assert_eq!(
            text(identities.obtain(ONE).unwrap_err()),
            "the broker answered InitProducerId with producer id 7 and epoch 0 again, after broker 2 answered Produce with \
             PRODUCER_FENCED (90)"
        );
        assert_eq!(
            text(identities.obtain(Identity { id: -1, epoch: -1 }).unwrap_err()),
            "the broker answered InitProducerId with producer id -1 and epoch -1, which no producer can have"
        );
    }
}
