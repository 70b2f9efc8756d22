//! The producer ids and epochs that a client may use: assigned by brokers, and not rejected since.

use std::collections::{BTreeMap, BTreeSet};

use super::Violation;
use crate::contents::ProducerStamp;

/// What is known of the producer ids of one run.
#[derive(Debug, Default)]
pub struct Identities {
    /// The assigned identities that can be used, in order.
    granted: Vec<(i64, i16)>,
    /// The highest used epoch of each id.
    used: BTreeMap<i64, i16>,
    /// Rejected ids: all their epochs, or those below this one, which was assigned later.
    refused: BTreeMap<i64, Option<i16>>,
    /// True if an epoch was rejected that no broker had assigned.
    own_epochs_refused: bool,
    /// The partitions in which a broker has accepted a batch under an id and epoch.
    accepted: BTreeSet<(String, i32, i64, i16)>,
}

impl Identities {
    /// Records a response to InitProducerId.
    pub fn granted(&mut self, id: i64, epoch: i16) {
        let is_used = self.used.get(&id).is_some_and(|used| *used >= epoch) || self.granted.contains(&(id, epoch));
        if id < 0 || epoch < 0 || is_used {
            return;
        }
        self.granted.push((id, epoch));
        if let Some(before) = self.refused.get_mut(&id) {
            before.get_or_insert(epoch);
        }
    }

    /// Records that a broker has rejected a producer id or epoch (not its sequence).
    pub fn reject(&mut self, stamp: ProducerStamp) {
        let later = self.granted.iter().filter(|(id, epoch)| *id == stamp.producer && *epoch > stamp.epoch);
        let later = later.map(|(_, epoch)| *epoch).min();
        let before = self.refused.entry(stamp.producer).or_insert(later);
        // If an earlier epoch was rejected before, the later rejection applies.
        *before = before.and_then(|before| later.map(|later| later.max(before)));
        let last = self.granted.last();
        self.own_epochs_refused |= last.is_some_and(|(id, epoch)| *id == stamp.producer && stamp.epoch > *epoch);
    }

    /// Returns true if it was rejected and not assigned again.
    #[must_use]
    pub fn is_rejected(&self, stamp: ProducerStamp) -> bool {
        let of_this_id = self.refused.get(&stamp.producer);
        of_this_id.is_some_and(|before| before.is_none_or(|before| stamp.epoch < before))
    }

    /// Records that a broker has accepted a batch for this partition under this id and epoch.
    pub fn accept(&mut self, to: &(String, i32), stamp: ProducerStamp) {
        self.accepted.insert((to.0.clone(), to.1, stamp.producer, stamp.epoch));
    }

    /// Checks the stamp of a batch for this partition.
    ///
    /// After a self-assigned epoch was rejected, no other self-assigned epoch may be used. A partition may continue
    /// under one if a broker has accepted a batch under it there and the id was not rejected since: the rejection
    /// concerns another id, and abandoning an epoch that works would have no advantage.
    ///
    /// # Errors
    /// The stamp is not permitted.
    pub fn stamped(&mut self, to: &(String, i32), stamp: ProducerStamp, what: &str) -> Result<(), Violation> {
        if self.is_rejected(stamp) {
            return Violation::of("a rejected identity is not used again", format!("{what} is sent as {stamp:?}"));
        }
        let is_granted = self.granted.contains(&(stamp.producer, stamp.epoch));
        let is_accepted = || self.accepted.contains(&(to.0.clone(), to.1, stamp.producer, stamp.epoch));
        if self.own_epochs_refused && !is_granted && !is_accepted() {
            let what = format!("{what} is sent as {stamp:?}");
            return Violation::of("after a self-assigned epoch was rejected, epochs are requested", what);
        }
        let used = self.used.entry(stamp.producer).or_insert(stamp.epoch);
        *used = stamp.epoch.max(*used);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAW: &str = "after a self-assigned epoch was rejected, epochs are requested";

    fn under(producer: i64, epoch: i16) -> ProducerStamp {
        ProducerStamp { producer, epoch, sequence: 0 }
    }

    fn orders(partition: i32) -> (String, i32) {
        ("orders".into(), partition)
    }

    /// Id 1 was assigned with epoch 0; epoch 1 was accepted in partition 0, and used in partition 1. Then a
    /// self-assigned epoch of id 2 was rejected.
    fn after_a_rejection() -> Identities {
        let mut identities = Identities::default();
        identities.granted(1, 0);
        for partition in [0, 1] {
            identities.stamped(&orders(partition), under(1, 1), "a batch").unwrap();
        }
        identities.accept(&orders(0), under(1, 1));
        identities.granted(2, 0);
        identities.stamped(&orders(2), under(2, 1), "a batch").unwrap();
        identities.reject(under(2, 1));
        identities
    }

    fn broken(identities: &mut Identities, partition: i32, stamp: ProducerStamp) -> Option<&'static str> {
        identities.stamped(&orders(partition), stamp, "a batch").err().map(|violation| violation.law)
    }

    #[test]
    fn only_a_partition_that_accepted_a_self_assigned_epoch_may_keep_it() {
        let mut identities = after_a_rejection();
        assert_eq!(broken(&mut identities, 0, under(1, 1)), None);
        assert_eq!(broken(&mut identities, 1, under(1, 1)), Some(LAW), "used there, but not accepted");
        assert_eq!(broken(&mut identities, 2, under(1, 1)), Some(LAW), "accepted elsewhere");
        assert_eq!(broken(&mut identities, 0, under(1, 2)), Some(LAW), "another own epoch");
    }

    #[test]
    fn after_the_rejection_of_an_id_its_accepted_epochs_are_not_kept() {
        let mut identities = after_a_rejection();
        identities.reject(under(1, 1));
        assert_eq!(broken(&mut identities, 0, under(1, 1)), Some("a rejected identity is not used again"));
    }

    #[test]
    fn a_new_id_is_used_as_it_was_assigned() {
        let mut identities = after_a_rejection();
        identities.granted(3, 0);
        assert_eq!(broken(&mut identities, 0, under(3, 0)), None);
        identities.accept(&orders(0), under(3, 0));
        assert_eq!(broken(&mut identities, 0, under(3, 1)), Some(LAW));
    }
}
