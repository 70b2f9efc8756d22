//! Producer ids and epochs that a broker is configured to reject permanently, as brokers other than Apache Kafka do, or
//! brokers that have lost their state.

use crate::contents::Stamped;

/// The error codes with which a producer id, an epoch, or the first sequence under them is refused.
pub const CODES: [i16; 7] = [45, 47, 48, 49, 59, 90, 120];

/// Which identities a broker refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusedIdentities {
    /// Epochs that no broker has handed out: the producer took them by itself (KIP-360).
    OwnEpochs,
    /// All that were handed out up to now, and the epochs that the producer took after them.
    Forgotten,
}

impl RefusedIdentities {
    /// The kind, for statistics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OwnEpochs => "own epochs refused",
            Self::Forgotten => "producer ids forgotten",
        }
    }
}

/// A rule by which a broker refuses, and the error code with which it does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    pub(super) which: RefusedIdentities,
    pub(super) code: i16,
    /// How many identities had been handed out when the rule was made.
    pub(super) handed_out: usize,
}

impl Rule {
    /// The error code for a batch with this stamp, if it is refused.
    pub(super) fn refuses(&self, stamp: Stamped, handed_out: &[(i64, i16)]) -> Option<i16> {
        let of_this_id = |(_, (id, epoch)): &(usize, &(i64, i16))| *id == stamp.producer && *epoch <= stamp.epoch;
        let (place, (_, granted)) =
            handed_out.iter().enumerate().filter(of_this_id).max_by_key(|(_, (_, epoch))| *epoch)?;
        let is_refused = match self.which {
            RefusedIdentities::OwnEpochs => *granted != stamp.epoch,
            RefusedIdentities::Forgotten => place < self.handed_out,
        };
        is_refused.then_some(self.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_epochs_and_forgotten_ids_are_told_from_others() {
        let handed_out = [(7, 0), (8, 0), (7, 3)];
        let refuses = |which, handed_out_then, producer, epoch| {
            let rule = Rule { which, code: 49, handed_out: handed_out_then };
            rule.refuses(Stamped { producer, epoch, sequence: 0 }, &handed_out).is_some()
        };
        let own = |producer, epoch| refuses(RefusedIdentities::OwnEpochs, 0, producer, epoch);
        assert_eq!([own(7, 0), own(7, 1), own(7, 3), own(7, 4), own(8, 0)], [false, true, false, true, false]);
        let forgotten = |producer, epoch| refuses(RefusedIdentities::Forgotten, 2, producer, epoch);
        assert_eq!([forgotten(7, 0), forgotten(7, 2), forgotten(7, 3), forgotten(8, 1)], [true, true, false, true]);
    }
}
