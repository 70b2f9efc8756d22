//! Who the producer is to the brokers: its producer id and epoch, where they come from, and which of them brokers have
//! refused (KIP-98, KIP-360).

use alloc::collections::VecDeque;

use super::sequence::Sequence;
use crate::protocol::BrokerError;
use crate::time::Instant;

/// A producer id and its epoch. Under a new one a partition counts from 0 again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) id: i64,
    pub(super) epoch: i16,
}

/// Why a response to InitProducerId has no usable producer id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProducerIdError {
    /// The broker reported success, with an id or an epoch below 0.
    #[error("the broker answered InitProducerId with producer id {id} and epoch {epoch}, which no producer can have")]
    Invalid {
        /// The id.
        id: i64,
        /// The epoch.
        epoch: i16,
    },
    /// The broker handed out an id and epoch that this producer had before: under them its sequences are taken.
    #[error("the broker answered InitProducerId with producer id {id} and epoch {epoch} again, {}", After(refusal.as_ref()))]
    Repeated {
        /// The id.
        id: i64,
        /// The epoch.
        epoch: i16,
        /// How a broker refused this producer's id last, if one did.
        refusal: Option<BrokerError>,
    },
}

/// Why another id was asked for.
struct After<'a>(Option<&'a BrokerError>);

impl core::fmt::Display for After<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.0 {
            Some(refusal) => write!(f, "after {refusal}"),
            None => f.write_str("under which this producer has sent batches before"),
        }
    }
}

/// Earlier producer ids that are remembered, so that none is used twice. Brokers hand out ids from blocks of 1,000
/// (`ProducerIdsBlock.PRODUCER_ID_BLOCK_SIZE`), and none twice: this guards against one that does.
const REMEMBERED_IDS: usize = 1_000;

/// The current identity, the next one, and those that are used up.
#[derive(Debug, Default)]
pub(super) struct Identities {
    current: Option<Identity>,
    /// The epoch that came with the current id from a broker. Later epochs of it are our own (KIP-360).
    granted_epoch: i16,
    /// A broker has taken a batch under the current id.
    is_proven: bool,
    /// A broker has refused the current id: ask for another.
    disowned: bool,
    /// A broker has refused an epoch that we had taken by ourselves, so it only takes those that brokers hand out. From then on
    /// each identity is asked for.
    own_epochs_refused: bool,
    /// A partition that has counted under the current one was forgotten. Should it come back, it would count from 0 again,
    /// and its batches would be taken for duplicates: so no partition begins to count under it any more.
    complete: bool,
    /// Earlier identities, the latest last.
    earlier: VecDeque<Earlier>,
    /// How a broker refused the current id.
    refusal: Option<BrokerError>,
    /// A request is under way.
    pub(super) asked: bool,
    /// Requests in a row, up to now, that came to no identity under which a batch was taken.
    pub(super) failures: u32,
    pub(super) not_before: Instant,
}

/// An identity that was the current one before.
#[derive(Clone, Copy, Debug)]
struct Earlier {
    /// With the highest epoch that was used of its id.
    identity: Identity,
    disowned: bool,
}

/// Which identities a refusal applies to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Disowned {
    id: i64,
    /// Epochs of the same id from this one on were handed out after the refused one.
    before: Option<i16>,
    /// The id was the current one, and no broker has ever taken a batch under it.
    pub(super) was_never_taken: bool,
}

impl Disowned {
    /// Whether the refusal applies to this identity.
    pub(super) fn applies_to(self, identity: Identity) -> bool {
        identity.id == self.id && self.before.is_none_or(|before| identity.epoch < before)
    }
}

impl Identities {
    /// Returns the identity for the next new batch of a partition that counts so: its own, while that is good, since what
    /// another partition has lost does not concern it; then the current one.
    pub(super) fn usable_by(&self, sequence: &Sequence) -> Option<Identity> {
        let own = sequence.identity().filter(|&own| sequence.allows(own));
        let current = || self.current.filter(|&current| sequence.allows(current) && !self.complete && !self.disowned);
        own.or_else(current)
    }

    /// Makes the next epoch the current one, as the Java client does for producers without transactions: brokers accept it
    /// from any producer with this id, and then nothing late of the epoch before. Returns false if a new id has to be asked
    /// for: after the last epoch, and where brokers have refused the id, or an epoch that they had not handed out.
    pub(super) fn bump(&mut self) -> bool {
        let current = self.current.filter(|_| !self.disowned && !self.own_epochs_refused);
        let Some(Identity { id, epoch }) = current else { return false };
        let Some(epoch) = epoch.checked_add(1) else { return false };
        self.current = Some(Identity { id, epoch });
        self.complete = false;
        true
    }

    /// A partition that has counted under this identity is forgotten.
    pub(super) fn forget_counting(&mut self, identity: Identity) {
        self.complete |= self.current == Some(identity);
    }

    /// Takes an identity that a broker handed out.
    ///
    /// # Errors
    /// It cannot be used: it is none, or one that we have, or had, which would count from 0 in ranges that are taken.
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
        if let Some(former) = self.current {
            earlier.retain(|used| used.identity.id != former.id);
            earlier.push_back(Earlier { identity: former, disowned: self.disowned });
            earlier.drain(..earlier.len().saturating_sub(REMEMBERED_IDS));
        }
        let Self { own_epochs_refused, failures, not_before, .. } = *self;
        *self = Self {
            current: Some(identity),
            granted_epoch: epoch,
            own_epochs_refused,
            earlier,
            failures,
            not_before,
            ..Self::default()
        };
        Ok(())
    }

    /// A broker has taken a batch under this identity.
    pub(super) fn confirm(&mut self, identity: Identity) {
        if self.is_current_grant(identity) {
            self.is_proven = true;
            self.failures = 0;
        }
    }

    /// A broker has refused this identity, so it is to be used no more, nor is any other epoch of its id that we had by then.
    /// Returns what the refusal applies to, or `None` if that was refused before.
    pub(super) fn disown(&mut self, refused: Identity, refusal: BrokerError) -> Option<Disowned> {
        let Identity { id, epoch } = refused;
        if !self.is_current_grant(refused) {
            let mut earlier = self.earlier.iter_mut().filter(|earlier| earlier.identity.id == id);
            if earlier.next().is_some_and(|earlier| core::mem::replace(&mut earlier.disowned, true)) {
                return None;
            }
            let before = self.current.filter(|current| current.id == id).map(|_| self.granted_epoch);
            return Some(Disowned { id, before, was_never_taken: false });
        }
        self.own_epochs_refused |= epoch > self.granted_epoch;
        self.refusal = Some(refusal);
        let is_new = !core::mem::replace(&mut self.disowned, true);
        is_new.then_some(Disowned { id, before: None, was_never_taken: !self.is_proven })
    }

    /// Whether it came with the current id, or is an epoch that we took after that one.
    fn is_current_grant(&self, identity: Identity) -> bool {
        self.current.is_some_and(|current| current.id == identity.id) && identity.epoch >= self.granted_epoch
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{ApiKey, ErrorCode};

    const ONE: Identity = Identity { id: 7, epoch: 0 };
    const TWO: Identity = Identity { id: 7, epoch: 1 };
    const OTHER: Identity = Identity { id: 8, epoch: 0 };

    fn refusal() -> BrokerError {
        BrokerError::new(ApiKey::Produce, ErrorCode::PRODUCER_FENCED)
    }

    fn with(identity: Identity) -> Identities {
        let mut identities = Identities::default();
        identities.obtain(identity).unwrap();
        identities
    }

    #[test]
    fn an_identity_is_bumped_and_never_taken_twice() {
        assert!(!Identities::default().bump());
        let mut identities = with(ONE);
        identities.obtain(ONE).unwrap_err();
        assert!(identities.bump());
        assert_eq!(identities.current, Some(TWO));
        for used in [ONE, TWO] {
            identities.obtain(used).unwrap_err();
        }
        identities.disown(ONE, refusal());
        assert!(!identities.bump(), "of this id nothing will be taken");
        assert_eq!(identities.usable_by(&Sequence::default()), None);
        identities.obtain(Identity { id: 8, epoch: i16::MAX }).unwrap();
        assert!(!identities.bump(), "there is no epoch after the last");
        for used in [ONE, TWO] {
            identities.obtain(used).unwrap_err();
        }
    }

    #[test]
    fn after_an_own_epoch_was_refused_no_other_is_taken() {
        let mut identities = with(ONE);
        assert!(identities.bump());
        identities.disown(TWO, refusal());
        identities.obtain(OTHER).unwrap();
        assert!(!identities.bump());
        let mut identities = with(ONE);
        identities.disown(ONE, refusal());
        identities.obtain(OTHER).unwrap();
        assert!(identities.bump(), "the epoch that was refused was the broker's own");
    }

    #[test]
    fn a_refusal_applies_to_the_epochs_that_were_there_before_it() {
        let mut identities = with(ONE);
        let all = identities.disown(TWO, refusal()).unwrap();
        assert!(identities.disown(ONE, refusal()).is_none(), "once");
        let later = Identity { id: 7, epoch: 5 };
        assert_eq!([ONE, TWO, later, OTHER].map(|identity| all.applies_to(identity)), [true, true, true, false]);
        identities.obtain(later).unwrap();
        assert!(identities.disown(TWO, refusal()).is_none(), "once, also when it comes late");
        assert_eq!(identities.usable_by(&Sequence::default()), Some(later));

        let mut identities = with(ONE);
        identities.obtain(later).unwrap();
        let late = identities.disown(TWO, refusal()).unwrap();
        assert_eq!([ONE, TWO, later, OTHER].map(|identity| late.applies_to(identity)), [true, true, false, false]);
        assert_eq!(identities.usable_by(&Sequence::default()), Some(later));
        let another = identities.disown(OTHER, refusal()).unwrap();
        assert_eq!([ONE, later, OTHER].map(|identity| another.applies_to(identity)), [false, false, true]);
    }

    #[test]
    fn only_an_id_that_was_never_taken_counts_as_a_failure_when_it_is_refused() {
        let mut identities = with(ONE);
        assert!(identities.disown(ONE, refusal()).unwrap().was_never_taken);
        identities.failures += 1;
        identities.obtain(OTHER).unwrap();
        assert_eq!(identities.failures, 1, "to be handed out is not to be taken");
        identities.confirm(ONE);
        assert_eq!(identities.failures, 1, "that was the other id");
        identities.confirm(OTHER);
        assert_eq!(identities.failures, 0);
        assert!(!identities.disown(OTHER, refusal()).unwrap().was_never_taken);
    }

    #[test]
    fn a_refusal_does_not_end_the_request_that_is_under_way() {
        let mut identities = with(ONE);
        identities.asked = true;
        identities.disown(ONE, refusal());
        assert!(identities.asked);
        identities.asked = false;
        assert!(!identities.asked);
    }

    #[test]
    fn a_thousand_earlier_ids_are_remembered() {
        let mut identities = Identities::default();
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
    fn what_one_partition_loses_is_no_affair_of_another() {
        let mut identities = with(ONE);
        let (mut loser, mut other) = (Sequence::default(), Sequence::default());
        loser.take(ONE, 1);
        other.take(ONE, 1);
        loser.lose(ONE);
        assert_eq!((identities.usable_by(&loser), identities.usable_by(&other)), (None, Some(ONE)));
        identities.bump();
        assert_eq!((identities.usable_by(&loser), identities.usable_by(&other)), (Some(TWO), Some(ONE)));
    }

    #[test]
    fn after_a_partition_was_forgotten_none_begins_under_the_same_identity() {
        let mut identities = with(ONE);
        let (mut old, new) = (Sequence::default(), Sequence::default());
        old.take(ONE, 1);
        identities.forget_counting(TWO);
        assert_eq!((identities.usable_by(&old), identities.usable_by(&new)), (Some(ONE), Some(ONE)));
        identities.forget_counting(ONE);
        assert_eq!((identities.usable_by(&old), identities.usable_by(&new)), (Some(ONE), None));
        identities.bump();
        assert_eq!((identities.usable_by(&old), identities.usable_by(&new)), (Some(ONE), Some(TWO)));
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
        identities.disown(ONE, refusal().from_broker(2));
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
