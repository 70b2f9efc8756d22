//! Which broker coordinates which groups and transactional ids: the leaders of `__consumer_offsets` and `__transaction_state`,
//! each of 50 partitions. What they keep is replicated, so it survives when a coordinator moves.

use std::collections::BTreeMap;

use crate::Moment;

/// `offsets.topic.num.partitions` and `transaction.state.log.num.partitions`.
const PARTITIONS: i32 = 50;

const COORDINATOR_LOAD_IN_PROGRESS: i16 = 14;
const COORDINATOR_NOT_AVAILABLE: i16 = 15;
const NOT_COORDINATOR: i16 = 16;

/// What a coordinator coordinates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum CoordinatorKind {
    /// Groups, with their committed offsets.
    Group,
    /// Transactional ids.
    Transaction,
}

/// A partition of one of the two topics.
#[derive(Clone, Debug)]
struct Slot {
    leader: Option<i32>,
    /// The leader epoch, which is the coordinator's epoch in markers.
    epoch: i32,
    /// When the next leader is elected.
    election_at: Option<Moment>,
    /// The broker that is elected then, if it is running.
    preferred: Option<i32>,
    /// When the leader has read the log.
    loaded_at: Moment,
}

/// The coordinators of all partitions of the topics that exist: Kafka creates one when the first coordinator is asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Coordinators {
    slots: BTreeMap<(CoordinatorKind, i32), Slot>,
    /// When the next coordinator is elected: not searched for at each step of the brokers.
    next_election: Option<Moment>,
}

/// Returns the partition of a group or transactional id: Java's `String.hashCode`, without its sign.
fn partition_of(key: &str) -> i32 {
    let hash = key.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    (hash & i32::MAX) % PARTITIONS
}

impl Coordinators {
    /// Makes sure that coordinators are elected at this time, if none was asked for before.
    pub(crate) fn ask_for(&mut self, kind: CoordinatorKind, ready_at: Moment) {
        if self.slots.contains_key(&(kind, 0)) {
            return;
        }
        let slot =
            Slot { leader: None, epoch: -1, election_at: Some(ready_at), preferred: None, loaded_at: Moment::ZERO };
        self.slots.extend((0..PARTITIONS).map(|partition| ((kind, partition), slot.clone())));
        self.find_next_election();
    }

    /// Returns the coordinator.
    pub(crate) fn leader(&self, kind: CoordinatorKind, key: &str) -> Option<i32> {
        self.slots.get(&(kind, partition_of(key)))?.leader
    }

    /// Returns the coordinator's epoch.
    pub(crate) fn epoch(&self, kind: CoordinatorKind, key: &str) -> Option<i32> {
        self.slots.get(&(kind, partition_of(key))).map(|slot| slot.epoch)
    }

    /// Returns the time from which a coordinator responds, unless it moves again.
    pub(crate) fn available_at(&self, kind: CoordinatorKind, key: &str) -> Option<Moment> {
        let slot = self.slots.get(&(kind, partition_of(key)))?;
        slot.leader.map(|_| slot.loaded_at)
    }

    /// Returns the coordinator's epoch if this broker is the coordinator and responds now; without a broker, if any does.
    pub(crate) fn check(&self, kind: CoordinatorKind, key: &str, broker: Option<i32>, now: Moment) -> Result<i32, i16> {
        let Some((slot, leader)) =
            self.slots.get(&(kind, partition_of(key))).and_then(|slot| Some((slot, slot.leader?)))
        else {
            return Err(if broker.is_some() { NOT_COORDINATOR } else { COORDINATOR_NOT_AVAILABLE });
        };
        if broker.is_some_and(|broker| broker != leader) {
            return Err(NOT_COORDINATOR);
        }
        if slot.loaded_at > now { Err(COORDINATOR_LOAD_IN_PROGRESS) } else { Ok(slot.epoch) }
    }

    /// Makes another broker the coordinator, or none. Loading takes `load`.
    pub(crate) fn set(&mut self, kind: CoordinatorKind, key: &str, leader: Option<i32>, now: Moment, load: Moment) {
        self.ask_for(kind, now);
        let Some(slot) = self.slots.get_mut(&(kind, partition_of(key))) else { return };
        slot.election_at = None;
        if slot.leader != leader {
            slot.leader = leader;
            slot.epoch += 1;
            slot.loaded_at = now.saturating_add(load);
        }
        self.find_next_election();
    }

    fn find_next_election(&mut self) {
        self.next_election = self.slots.values().filter_map(|slot| slot.election_at).min();
    }

    /// All coordinators of a kind, if one was asked for, lose their places to this broker, which gets them after this time.
    pub(crate) fn move_all(&mut self, kind: CoordinatorKind, to: i32, without_leader: Moment, now: Moment) {
        for (_, slot) in self.slots.iter_mut().filter(|((of, _), _)| *of == kind) {
            (slot.leader, slot.election_at, slot.preferred) = (None, Some(now + without_leader), Some(to));
        }
        self.find_next_election();
    }

    /// A broker has stopped: what it coordinated has no coordinator for this time.
    pub(crate) fn down(&mut self, id: i32, without_leader: Moment, now: Moment) {
        for slot in self.slots.values_mut().filter(|slot| slot.leader == Some(id)) {
            (slot.leader, slot.election_at) = (None, Some(now + without_leader));
        }
        self.find_next_election();
    }

    /// Elects the coordinators that are due among the running brokers. Returns how many.
    pub(crate) fn turn(&mut self, up: &[i32], load: Moment, now: Moment) -> u64 {
        if up.is_empty() || self.next_election.is_none_or(|at| at > now) {
            return 0;
        }
        let mut elected = 0;
        for ((_, partition), slot) in &mut self.slots {
            if slot.election_at.is_some_and(|at| at <= now) {
                // The first coordinator has nothing to load.
                slot.loaded_at = if slot.epoch < 0 { now } else { now.saturating_add(load) };
                (slot.election_at, slot.epoch) = (None, slot.epoch + 1);
                let preferred = slot.preferred.take().filter(|preferred| up.contains(preferred));
                slot.leader = Some(preferred.unwrap_or(up[*partition as usize % up.len()]));
                elected += 1;
            }
        }
        self.find_next_election();
        elected
    }

    /// Returns when the next coordinator is elected or has loaded.
    pub(crate) const fn wakes_at(&self) -> Option<Moment> {
        self.next_election
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: CoordinatorKind = CoordinatorKind::Transaction;

    #[test]
    fn partitions_are_those_of_java() {
        // "transactional-id".hashCode() and others, computed with Java 17: Math.abs of the hash modulo 50.
        assert_eq!(partition_of(""), 0);
        assert_eq!(partition_of("a"), 97 % 50);
        assert_eq!(partition_of("ab"), (97 * 31 + 98) % 50);
        assert!((0..PARTITIONS).contains(&partition_of("a name whose hash is negative, or is it? ü🦀")));
    }

    #[test]
    fn a_coordinator_moves_and_loads() {
        let mut all = Coordinators::default();
        let (load, second) = (Moment::from_millis(30), Moment::from_secs(1));
        assert_eq!(all.check(KIND, "a", Some(1), Moment::ZERO), Err(16), "nobody asked for it");
        all.ask_for(KIND, second);
        assert_eq!((all.wakes_at(), all.leader(KIND, "a")), (Some(second), None));
        assert_eq!(all.turn(&[1, 2], load, second), 50, "all of the topic's partitions");
        let leader = all.leader(KIND, "a").unwrap();
        assert_eq!(all.check(KIND, "a", Some(leader), second), Ok(0));
        assert_eq!(all.check(KIND, "a", Some(3 - leader), second), Err(16));
        assert_eq!(all.check(KIND, "a", None, second), Ok(0), "another broker asks");
        all.down(leader, load, second);
        assert_eq!(all.check(KIND, "a", Some(leader), second), Err(16));
        assert_eq!(all.check(KIND, "a", None, second), Err(15));
        assert_eq!(all.turn(&[3 - leader], load, second + load), 25);
        assert_eq!(all.check(KIND, "a", Some(3 - leader), second + load), Err(14));
        assert_eq!(all.check(KIND, "a", None, second + load * 2), Ok(1));
        assert_eq!(all.available_at(KIND, "a"), Some(second + load * 2));
    }
}
