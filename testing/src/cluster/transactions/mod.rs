//! Transactions: the coordinators and what they know, the markers that they write, and what a test can see and do.
//!
//! A coordinator's log is replicated at once: what was answered survives the broker. Markers are written later, to each
//! partition alone.

pub(crate) mod coordinators;
mod markers;
pub(crate) mod state;
pub(crate) mod transition;
mod view;

use std::collections::{BTreeMap, BTreeSet};

pub use self::coordinators::CoordinatorKind;
use self::coordinators::Coordinators;
use self::markers::Marker;
pub use self::state::TransactionState;
use self::state::{LAST_EPOCH, Metadata, Participant};
use self::transition::{CONCURRENT_TRANSACTIONS, End, INVALID_PRODUCER_ID_MAPPING, Init, Protocol};
pub use self::view::Transaction;
use super::Cluster;
use crate::Moment;
use crate::random::Random;

const UNSUPPORTED_VERSION: i16 = 35;

/// What the coordinators know.
#[derive(Debug)]
pub(crate) struct Transactions {
    pub(crate) coordinators: Coordinators,
    entries: BTreeMap<String, Entry>,
    /// What gets no markers until then, or until they are released.
    held: BTreeMap<Participant, Moment>,
    random: Random,
}

/// A transactional id.
#[derive(Debug)]
struct Entry {
    metadata: Metadata,
    /// The markers that have to be written before the transaction is complete.
    markers: BTreeMap<Participant, Marker>,
    /// In this epoch of the coordinator every request is answered with CONCURRENT_TRANSACTIONS: Kafka 4.4 begins a transition
    /// of level 2 at level 0, cannot write it, and never ends it.
    stuck_in: Option<i32>,
    /// What InitProducerId has assigned last to a producer that had no identity.
    initialized: Option<Identity>,
    /// When a fenced producer got the epoch of the one that has fenced it: see [`Transaction::epoch_shared_at`].
    epoch_shared_at: Vec<Moment>,
}

/// A producer id and an epoch.
pub(crate) type Identity = (i64, i16);

impl Entry {
    /// Returns true if the current epoch was assigned to a newer producer than the one with this identity.
    fn is_of_newer_producer(&self, (producer, epoch): Identity) -> bool {
        let current = (self.metadata.producer, self.metadata.epoch);
        self.initialized == Some(current) && current != (producer, epoch)
    }
}

impl Transactions {
    pub(super) fn new(random: Random) -> Self {
        Self { coordinators: Coordinators::default(), entries: BTreeMap::new(), held: BTreeMap::new(), random }
    }

    fn known(&self, id: &str, coordinator_epoch: i32) -> Result<&Entry, i16> {
        let entry = self.entries.get(id).ok_or(INVALID_PRODUCER_ID_MAPPING)?;
        if entry.stuck_in == Some(coordinator_epoch) { Err(CONCURRENT_TRANSACTIONS) } else { Ok(entry) }
    }

    fn check(&self, id: &str, broker: Option<i32>, now: Moment) -> Result<i32, i16> {
        self.coordinators.check(CoordinatorKind::Transaction, id, broker, now)
    }
}

/// The requests of clients, and of other brokers (`broker` is `None`) on behalf of clients. Errors are Kafka's error codes.
impl Cluster {
    /// Returns the level of `transaction.version`: no higher than that of the oldest broker.
    #[must_use]
    pub fn transaction_level(&self) -> i16 {
        let supported = self.members.iter().map(|member| member.release.transaction_level()).min();
        self.settings.transaction_version.min(supported.unwrap_or(0))
    }

    /// Sets the level of `transaction.version`, 0 to 2. Transactions that are open go on. Clients hear of it with their next
    /// connection.
    pub fn set_transaction_version(&mut self, level: i16) {
        self.settings.transaction_version = level.clamp(0, 2);
        self.features_epoch += 1;
    }

    /// Initialises a transactional id. With `late_epoch` it gets the last epoch of a new producer id.
    pub(crate) fn init_transactional(
        &mut self,
        broker: i32,
        id: &str,
        expected: Option<Identity>,
        timeout: Moment,
        late_epoch: bool,
        now: Moment,
    ) -> Result<Identity, i16> {
        let coordinator_epoch = self.transactions.check(id, Some(broker), now)?;
        if !self.transactions.entries.contains_key(id) {
            let metadata = Metadata::new(self.next_producer_id(), timeout);
            let entry = Entry {
                metadata,
                markers: BTreeMap::new(),
                stuck_in: None,
                initialized: None,
                epoch_shared_at: Vec::new(),
            };
            self.transactions.entries.insert(id.to_owned(), entry);
        }
        let current = self.transactions.known(id, coordinator_epoch)?.metadata.clone();
        match transition::init(&current, expected, timeout, || self.next_producer_id())? {
            Init::AbortFirst => {
                self.fence_transaction(id, now);
                Err(CONCURRENT_TRANSACTIONS)
            }
            Init::Become(mut next) => {
                if late_epoch {
                    (next.producer, next.epoch) = (self.next_producer_id(), LAST_EPOCH);
                }
                let identity = (next.producer, next.epoch);
                self.record(id, next, now);
                if let Some(entry) = self.transactions.entries.get_mut(id).filter(|_| expected.is_none()) {
                    entry.initialized = Some(identity);
                }
                self.assigned.push(identity);
                Ok(identity)
            }
        }
    }

    /// Adds participants to a transaction, which begins if none is open.
    pub(crate) fn add_to_transaction(
        &mut self,
        broker: Option<i32>,
        id: &str,
        (producer, epoch): Identity,
        participants: &BTreeSet<Participant>,
        protocol: Protocol,
        now: Moment,
    ) -> Result<(), i16> {
        let coordinator_epoch = self.transactions.check(id, broker, now)?;
        let current = self.transactions.known(id, coordinator_epoch)?.metadata.clone();
        if participants.iter().any(|participant| matches!(participant, Participant::Group(_))) {
            // It will write the marker.
            self.transactions.coordinators.ask_for(CoordinatorKind::Group, now);
        }
        if let Some(next) = transition::add(&current, producer, epoch, participants, now)? {
            self.check_level(id, protocol, coordinator_epoch)?;
            self.record(id, next, now);
        }
        Ok(())
    }

    /// Checks that a participant is in a transaction.
    pub(crate) fn verify_in_transaction(
        &self,
        broker: Option<i32>,
        id: &str,
        (producer, epoch): Identity,
        participant: &Participant,
        now: Moment,
    ) -> Result<(), i16> {
        let coordinator_epoch = self.transactions.check(id, broker, now)?;
        let entry = self.transactions.known(id, coordinator_epoch)?;
        transition::verify(&entry.metadata, producer, epoch, participant)
    }

    /// Ends a transaction. Returns the identity of the next one.
    pub(crate) fn end_transaction(
        &mut self,
        broker: i32,
        id: &str,
        identity: Identity,
        commit: bool,
        protocol: Protocol,
        now: Moment,
    ) -> Result<Identity, i16> {
        let coordinator_epoch = self.transactions.check(id, Some(broker), now)?;
        let current = self.transactions.known(id, coordinator_epoch)?.metadata.clone();
        match transition::end(&current, identity, commit, protocol, || self.next_producer_id())? {
            End::Repeated => {
                let entry = self.transactions.entries.get_mut(id);
                if let Some(entry) = entry.filter(|entry| entry.is_of_newer_producer(identity)) {
                    entry.epoch_shared_at.push(now);
                }
                Ok((current.producer, current.epoch))
            }
            End::Become(next) => {
                self.check_level(id, protocol, coordinator_epoch)?;
                let done = transition::complete(&next);
                self.record(id, next, now);
                if protocol == Protocol::EpochBump {
                    self.assigned.push((done.producer, done.epoch));
                }
                Ok((done.producer, done.epoch))
            }
        }
    }

    /// Returns what a coordinator knows of a transactional id; `None` if nothing.
    pub(crate) fn describe_transaction(&self, broker: i32, id: &str, now: Moment) -> Result<Option<Transaction>, i16> {
        self.transactions.check(id, Some(broker), now)?;
        Ok(self.transaction(id))
    }

    /// Aborts a transaction whose producer did not ask for it.
    fn fence_transaction(&mut self, id: &str, now: Moment) {
        let protocol = if self.transaction_level() >= 2 { Protocol::EpochBump } else { Protocol::Classic };
        let Some(entry) = self.transactions.entries.get(id) else { return };
        let next = transition::fence(&entry.metadata, protocol);
        self.record(id, next, now);
    }

    /// Checks that the coordinator's log can hold a transition: at level 0 it has no field for those of level 2.
    fn check_level(&mut self, id: &str, protocol: Protocol, coordinator_epoch: i32) -> Result<(), i16> {
        if protocol == Protocol::Classic || self.transaction_level() > 0 {
            return Ok(());
        }
        if let Some(entry) = self.transactions.entries.get_mut(id) {
            entry.stuck_in = Some(coordinator_epoch);
        }
        Err(UNSUPPORTED_VERSION)
    }

    /// Records a transition, from which on markers are due if the transaction ends.
    fn record(&mut self, id: &str, next: Metadata, now: Moment) {
        self.changes += 1;
        let Transactions { entries, random, .. } = &mut self.transactions;
        let Some(entry) = entries.get_mut(id) else { return };
        if next.is_ending() {
            for participant in &next.participants {
                let delay = self.settings.marker_ms.map_or(Moment::ZERO, |longest| random.millis(0, longest));
                entry.markers.insert(participant.clone(), Marker::Due(now + delay));
            }
        }
        entry.metadata = next;
    }

    fn next_producer_id(&mut self) -> i64 {
        self.next_producer += 1;
        self.next_producer
    }

    /// Elects coordinators, aborts transactions that have timed out, and writes markers that are due.
    pub(super) fn turn_transactions(&mut self, up: &[i32], now: Moment) {
        let load = Moment::from_millis(self.settings.coordinator_load_ms);
        self.changes += self.transactions.coordinators.turn(up, load, now);
        let has_timed_out = |(id, entry): &(&String, &Entry)| {
            self.transactions.deadline(id, entry).is_some_and(|deadline| deadline <= now)
        };
        let late: Vec<_> = self.transactions.entries.iter().filter(has_timed_out).map(|(id, _)| id.clone()).collect();
        for id in late {
            self.fence_transaction(&id, now);
        }
        self.write_markers(now);
    }

    /// Returns when there is something to do for [`turn_transactions`](Self::turn_transactions).
    pub(super) fn transactions_wake_at(&self, anyone_up: bool) -> Option<Moment> {
        let elections = self.transactions.coordinators.wakes_at().filter(|_| anyone_up);
        let deadlines =
            self.transactions.entries.iter().filter_map(|(id, entry)| self.transactions.deadline(id, entry));
        [elections, deadlines.min(), self.markers_wake_at()].into_iter().flatten().min()
    }
}

impl Transactions {
    /// Returns when a transaction is aborted because it has taken too long; `None` if there is none, or no coordinator.
    fn deadline(&self, id: &str, entry: &Entry) -> Option<Moment> {
        let available_at = self.coordinators.available_at(CoordinatorKind::Transaction, id)?;
        let is_open = entry.metadata.state == TransactionState::Ongoing && !self.is_stuck(id, entry);
        let deadline = entry.metadata.started.saturating_add(entry.metadata.timeout);
        is_open.then(|| deadline.max(available_at))
    }

    fn is_stuck(&self, id: &str, entry: &Entry) -> bool {
        entry.stuck_in.is_some() && self.coordinators.epoch(CoordinatorKind::Transaction, id) == entry.stuck_in
    }
}

/// What a test does.
impl Cluster {
    /// Returns what the coordinators know, by ascending transactional id.
    #[must_use]
    pub fn transactions(&self) -> Vec<Transaction> {
        self.transactions.entries.iter().map(|(id, entry)| view::transaction(id, entry, self)).collect()
    }

    /// Returns what the coordinator knows of a transactional id.
    #[must_use]
    pub fn transaction(&self, id: &str) -> Option<Transaction> {
        self.transactions.entries.get(id).map(|entry| view::transaction(id, entry, self))
    }

    /// Aborts the open transaction of a transactional id, as if its time were over. Returns whether there was one, with a
    /// coordinator.
    pub fn time_out_transaction(&mut self, id: &str, now: Moment) -> bool {
        let is_open = self.transactions.entries.get(id).is_some_and(|entry| {
            entry.metadata.state == TransactionState::Ongoing && !self.transactions.is_stuck(id, entry)
        });
        let has_coordinator = self.transactions.check(id, None, now).is_ok();
        if is_open && has_coordinator {
            self.fence_transaction(id, now);
        }
        is_open && has_coordinator
    }

    /// Forgets a transactional id without an open transaction, as after `transactional.id.expiration.ms`: requests with it
    /// fail with INVALID_PRODUCER_ID_MAPPING until it is initialised again. Returns whether it was known.
    pub fn forget_transactional_id(&mut self, id: &str) -> bool {
        let is_idle = self
            .transactions
            .entries
            .get(id)
            .is_some_and(|entry| !entry.metadata.is_ending() && entry.metadata.state != TransactionState::Ongoing);
        is_idle && self.transactions.entries.remove(id).is_some()
    }

    /// Returns the coordinator of a group or transactional id, if one was asked for and is there.
    #[must_use]
    pub fn coordinator(&self, kind: CoordinatorKind, key: &str) -> Option<i32> {
        self.transactions.coordinators.leader(kind, key)
    }

    /// Makes a broker the coordinator of a group or transactional id, or none. Returns whether the broker exists. (Other ids
    /// that share its partition of the coordinators' topic move with it.)
    pub fn set_coordinator(&mut self, kind: CoordinatorKind, key: &str, to: Option<i32>, now: Moment) -> bool {
        if to.is_some_and(|to| !self.members.iter().any(|member| member.id == to)) {
            return false;
        }
        let load = Moment::from_millis(self.settings.coordinator_load_ms);
        self.transactions.coordinators.set(kind, key, to, now, load);
        self.changes += 1;
        true
    }

    /// Removes all coordinators of a kind, if one was asked for. After `without_leader` this broker is the coordinator of all, or
    /// others are, if it is not running then.
    pub fn move_coordinators(&mut self, kind: CoordinatorKind, to: i32, without_leader: Moment, now: Moment) {
        self.transactions.coordinators.move_all(kind, to, without_leader, now);
        self.changes += 1;
    }
}
