//! Producer ids and epochs that a broker is configured to reject permanently, as brokers other than Apache Kafka do, or
//! brokers that have lost their state.

use crate::batch::ProducerStamp;

/// The error codes with which a producer id, an epoch, or the first sequence under them is rejected.
pub const CODES: [i16; 7] = [45, 47, 48, 49, 59, 90, 120];

/// The identities that a broker rejects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectedProducerIds {
    /// Epochs that no broker has assigned: the producer incremented them itself (KIP-360).
    OwnEpochs,
    /// All identities assigned so far, and the epochs that the producer derived from them.
    Forgotten,
}

impl RejectedProducerIds {
    /// Returns the kind, for statistics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OwnEpochs => "self-assigned epochs rejected",
            Self::Forgotten => "producer ids forgotten",
        }
    }
}

/// A rule by which a broker rejects identities, and the error code that it returns.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    pub(super) which: RejectedProducerIds,
    pub(super) code: i16,
    /// The number of assigned identities when the rule was made.
    pub(super) assigned: usize,
}

impl Rule {
    /// Returns the error code for a batch with this stamp, if it is rejected.
    pub(super) fn rejection_code(&self, stamp: ProducerStamp, assigned: &[(i64, i16)]) -> Option<i16> {
        let of_this_id = |(_, (id, epoch)): &(usize, &(i64, i16))| *id == stamp.producer && *epoch <= stamp.epoch;
        let (place, (_, granted)) =
            assigned.iter().enumerate().filter(of_this_id).max_by_key(|(_, (_, epoch))| *epoch)?;
        let is_rejected = match self.which {
            RejectedProducerIds::OwnEpochs => *granted != stamp.epoch,
            RejectedProducerIds::Forgotten => place < self.assigned,
        };
        is_rejected.then_some(self.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn self_assigned_epochs_and_forgotten_ids_are_distinguished_from_others() {
        let assigned = [(7, 0), (8, 0), (7, 3)];
        let rejection_code = |which, handed_out_then, producer, epoch| {
            let rule = Rule { which, code: 49, assigned: handed_out_then };
            rule.rejection_code(ProducerStamp { producer, epoch, sequence: 0 }, &assigned).is_some()
        };
        let own = |producer, epoch| rejection_code(RejectedProducerIds::OwnEpochs, 0, producer, epoch);
        assert_eq!([own(7, 0), own(7, 1), own(7, 3), own(7, 4), own(8, 0)], [false, true, false, true, false]);
        let forgotten = |producer, epoch| rejection_code(RejectedProducerIds::Forgotten, 2, producer, epoch);
        assert_eq!([forgotten(7, 0), forgotten(7, 2), forgotten(7, 3), forgotten(8, 1)], [true, true, false, true]);
    }
}
