//! Transactions of one producer (KIP-98, KIP-360, KIP-890): their state, and what is known of the current one. The requests
//! and responses are in [`transitions`](super::transitions).
//!
//! Its files: the states ([table]); what error codes mean ([verdict]); who coordinates ([coordinator]); the offsets of a
//! transaction ([offsets]); whether the last one is complete in its partitions ([markers]); the requests to coordinators ([request]);
//! the errors of commands at the end ([final_error]).
//!
//! # Levels
//! The level of the finalized feature `transaction.version` decides how a transaction is made, never the versions that a
//! broker lists:
//!
//! | level | a transaction |
//! |---|---|
//! | 0, 1 | AddPartitionsToTxn, then Produce up to v11; AddOffsetsToTxn, then TxnOffsetCommit up to v4; EndTxn up to v4. Epoch and sequence numbers go on |
//! | 2 | Produce from v12 and TxnOffsetCommit from v5 add to the transaction themselves; EndTxn v5 returns the epoch of the next one |
//!
//! Below level 2, a request that was not answered may be executed later, when the next transaction is open under the same
//! epoch: a late EndTxn would commit half of it, and a late batch would join it. So after any such request, and after each
//! transaction that failed, the epoch is bumped before the next one. Brokers before 2.5 cannot bump it: there the producer has to be built
//! anew after a request that was not answered, or a batch that has failed, and keeps its epoch after other failures.

pub(super) mod coordinator;
pub(super) mod final_error;
mod markers;
pub(super) mod offsets;
pub(super) mod request;
mod table;
pub(super) mod verdict;

use alloc::collections::BTreeMap;
use alloc::string::String;
use core::time::Duration;

use self::coordinator::Coordinator;
use self::markers::Markers;
use self::offsets::Offsets;
pub use self::offsets::OffsetsId;
use self::request::CoordinatorKey;
pub use self::table::TransactionState;
pub(super) use self::table::Transition;
use super::query::Query;
use super::versions::TransactionVersions;
use crate::time::Instant;
use crate::transaction::TransactionCause;

/// The first level at which requests add to the transaction themselves, and each transaction has an epoch of its own.
const LEVEL_2: i16 = 2;

/// How long to wait before CONCURRENT_TRANSACTIONS is answered with the same request again, the first time: the markers of the
/// last transaction are being written, which usually takes a few ms. (Java's client waits as long before AddPartitionsToTxn.)
pub(super) const CONCURRENT_BACKOFF: Duration = Duration::from_millis(20);

/// Of how many groups the coordinators are remembered. A producer usually commits the offsets of one.
const MOST_GROUPS: usize = 100;

/// The transactions of a producer.
#[derive(Debug)]
pub(super) struct Transactions {
    state: TransactionState,
    /// The newest epoch of the finalized features that a broker has reported, and the level at that epoch.
    feature: (i64, i16),
    /// The level of the next transaction.
    next_level: i16,
    pub(super) coordinator: Coordinator,
    /// The coordinators of groups.
    pub(super) groups: BTreeMap<String, Coordinator>,
    /// The requests to the transaction coordinator, of which one is in flight at a time.
    pub(super) query: Query,
    pub(super) offsets: Offsets,
    pub(super) markers: Markers,
    pub(super) current: Current,
    /// The application has begun a transaction, which waits for the end of the last one.
    pub(super) begin_requested: bool,
    /// When initialising, or closing, is given up.
    pub(super) deadline: Option<Instant>,
    /// The last error after which a request is sent again.
    pub(super) last_error: Option<TransactionCause>,
    /// A final failure that a batch has met, and that is not applied yet.
    pub(super) pending_failure: Option<(Transition, TransactionCause)>,
    /// Why the state is final.
    pub(super) failure: Option<TransactionCause>,
}

/// What is known of the current transaction, or of the last one while there is none.
#[derive(Debug, Default)]
pub(super) struct Current {
    /// Counts the transactions from 1.
    pub(super) serial: u64,
    pub(super) level: i16,
    /// Why it can only be aborted.
    pub(super) abort_cause: Option<TransactionCause>,
    /// Set until the batches and offsets that wait were failed, after it could only be aborted.
    pub(super) must_fail_waiting: bool,
    /// The coordinator may know of it: something was added, or may have been. It has to be ended there.
    pub(super) is_known: bool,
    /// The coordinator has confirmed that something was added.
    pub(super) is_confirmed: bool,
    /// A request that changes the transaction was not answered.
    pub(super) is_unanswered: bool,
    /// EndTxn was refused as if another producer had taken over, which is certain only if the next epoch is refused, too.
    pub(super) maybe_fenced: bool,
    /// A batch with sequence numbers has failed.
    pub(super) has_gap: bool,
    /// EndTxn to commit is in flight.
    pub(super) is_commit_in_flight: bool,
    /// EndTxn to commit may have been executed, and no response says so, or the contrary.
    pub(super) is_maybe_committed: bool,
    /// The command that the application waits for.
    pub(super) command: Option<EndCommand>,
}

/// The command that ends a transaction, and is answered with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EndCommand {
    Commit,
    Abort,
}

impl Transactions {
    pub(super) fn new() -> Self {
        Self {
            state: TransactionState::Uninitialized,
            feature: (-1, 0),
            next_level: 0,
            coordinator: Coordinator::default(),
            groups: BTreeMap::new(),
            query: Query::default(),
            offsets: Offsets::default(),
            markers: Markers::default(),
            current: Current::default(),
            begin_requested: false,
            deadline: None,
            last_error: None,
            pending_failure: None,
            failure: None,
        }
    }

    /// Returns the coordinator of a key; of a group, one that is not known yet is added.
    pub(super) fn coordinator_of(&mut self, key: &CoordinatorKey) -> &mut Coordinator {
        match key {
            CoordinatorKey::Transaction => &mut self.coordinator,
            CoordinatorKey::Group(group) => self.groups.entry(group.clone()).or_default(),
        }
    }

    pub(super) const fn state(&self) -> TransactionState {
        self.state
    }

    /// Changes the state. Returns `false` if the transition is not possible.
    pub(super) fn change(&mut self, transition: Transition) -> bool {
        let after = self.state.after(transition);
        self.state = after.unwrap_or(self.state);
        after.is_some()
    }

    /// Records the features that a broker reports on a new connection.
    pub(super) fn on_versions(&mut self, versions: &TransactionVersions) {
        if versions.features_epoch >= self.feature.0 {
            self.feature = (versions.features_epoch, versions.level);
        }
    }

    /// Starts a transaction.
    pub(super) fn start(&mut self) {
        let serial = self.current.serial + 1;
        self.current = Current { serial, level: self.next_level, ..Current::default() };
        self.offsets.clear_groups();
        if self.groups.len() > MOST_GROUPS {
            self.groups.clear();
        }
    }

    /// Records that a producer id was assigned.
    pub(super) fn on_assigned(&mut self) {
        if self.state == TransactionState::Initializing {
            self.next_level = self.feature.1;
        }
        self.last_error = None;
        self.deadline = None;
    }

    /// Returns `true` if the current transaction is one of level 2.
    pub(super) const fn is_level_2(&self) -> bool {
        self.current.level >= LEVEL_2
    }

    /// Returns `true` if batches may be stamped: the transaction is open, and can be committed.
    pub(super) const fn accepts(&self) -> bool {
        matches!(self.state, TransactionState::Open) && self.current.abort_cause.is_none()
    }

    /// Returns the serial number of the transaction in which a partition must be added before a batch is sent to it.
    pub(super) fn must_be_added_to(&self) -> Option<u64> {
        (!self.is_level_2()).then_some(self.current.serial)
    }

    /// Records that the transaction can only be aborted. The first cause counts. Has no effect while EndTxn to commit may have
    /// been executed: only its response decides then.
    pub(super) fn require_abort(&mut self, cause: TransactionCause) {
        let is_decided = self.current.is_commit_in_flight || self.current.is_maybe_committed;
        if self.state.has_transaction() && self.current.abort_cause.is_none() && !is_decided {
            self.current.abort_cause = Some(cause);
            self.current.must_fail_waiting = true;
        }
    }

    /// Records that a request that changes the transaction was not answered.
    pub(super) fn unanswered(&mut self) {
        self.current.is_known = true;
        self.current.is_unanswered = true;
    }

    /// Decides the level of the next transaction, and returns whether it needs another epoch than this one had.
    /// `can_bump`: the brokers can bump an epoch.
    pub(super) fn end(&mut self, can_bump: bool) -> NextEpoch {
        let Current { level, abort_cause, is_known, is_unanswered, maybe_fenced, has_gap, .. } = &self.current;
        let was_level_2 = *level >= LEVEL_2;
        let is_upgrade = self.feature.1 >= LEVEL_2 && !was_level_2 && *is_known;
        let is_required = *has_gap;
        let is_wanted = *is_unanswered || abort_cause.is_some() && *is_known || is_upgrade;
        self.next_level = self.feature.1;
        match (was_level_2, is_required, is_wanted) {
            (true, ..) if *maybe_fenced => NextEpoch::Bump,
            (true, ..) => NextEpoch::Same,
            // What was not answered may be executed late, in the next transaction.
            (false, true, _) if !can_bump => NextEpoch::CannotBump,
            (false, ..) if *is_unanswered && !can_bump => NextEpoch::CannotBump,
            (false, true, _) | (false, _, true) if can_bump => NextEpoch::Bump,
            _ => NextEpoch::Same,
        }
    }
}

/// The epoch of the next transaction, unless EndTxn has returned one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NextEpoch {
    Same,
    Bump,
    /// There must be another one, and the brokers cannot bump it.
    CannotBump,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{ApiKey, BrokerError, ErrorCode};

    fn cause() -> TransactionCause {
        BrokerError::new(ApiKey::Produce, ErrorCode::INVALID_RECORD).into()
    }

    fn open(level: i16) -> Transactions {
        let mut transactions = Transactions::new();
        transactions.change(Transition::Initialize);
        transactions.feature = (1, level);
        transactions.on_assigned();
        transactions.change(Transition::Assigned);
        transactions.start();
        assert!(transactions.change(Transition::Begin));
        transactions
    }

    #[test]
    fn the_level_is_that_of_the_newest_features_and_changes_between_transactions() {
        let mut transactions = open(0);
        let versions = |features_epoch, level| TransactionVersions { features_epoch, level, ..Default::default() };
        transactions.on_versions(&versions(7, 2));
        transactions.on_versions(&versions(6, 1));
        transactions.on_versions(&versions(-1, 0));
        assert!(!transactions.is_level_2(), "the transaction keeps its level");
        transactions.current.is_known = true;
        assert_eq!(transactions.end(true), NextEpoch::Bump, "an upgrade needs another epoch");
        transactions.start();
        assert!(transactions.is_level_2());
        transactions.on_versions(&versions(8, 1));
        assert_eq!(transactions.end(true), NextEpoch::Same);
        transactions.start();
        assert_eq!((transactions.is_level_2(), transactions.current.serial), (false, 3));
    }

    #[test]
    fn the_epoch_is_bumped_below_level_2_after_anything_that_may_come_late() {
        let end = |level, can_bump, change: fn(&mut Current)| {
            let mut transactions = open(level);
            change(&mut transactions.current);
            transactions.end(can_bump)
        };
        for level in [0, 1] {
            assert_eq!(end(level, true, |_| {}), NextEpoch::Same);
            assert_eq!(end(level, true, |current| current.is_unanswered = true), NextEpoch::Bump);
            assert_eq!(end(level, true, |current| current.has_gap = true), NextEpoch::Bump);
            assert_eq!(
                end(level, true, |current| current.abort_cause = Some(cause())),
                NextEpoch::Same,
                "nothing was sent"
            );
            let abort_cause: fn(&mut Current) =
                |current| (current.abort_cause, current.is_known) = (Some(cause()), true);
            assert_eq!(end(level, true, abort_cause), NextEpoch::Bump);
            assert_eq!(end(level, false, abort_cause), NextEpoch::Same);
            assert_eq!(end(level, false, |current| current.is_unanswered = true), NextEpoch::CannotBump);
            assert_eq!(end(level, false, |current| current.has_gap = true), NextEpoch::CannotBump);
        }
        assert_eq!(end(2, true, |current| (current.has_gap, current.is_unanswered) = (true, true)), NextEpoch::Same);
        assert_eq!(end(2, true, |current| current.maybe_fenced = true), NextEpoch::Bump);
    }

    #[test]
    fn the_first_cause_counts_and_only_in_a_transaction() {
        let mut transactions = open(2);
        assert!(transactions.accepts());
        transactions.require_abort(cause());
        transactions.require_abort(TransactionCause::Closed);
        assert!(matches!(transactions.current.abort_cause, Some(TransactionCause::Broker(_))));
        assert!(!transactions.accepts());
        let mut ready = Transactions::new();
        ready.require_abort(cause());
        assert!(ready.current.abort_cause.is_none());
    }

    #[test]
    fn only_the_response_decides_once_a_commit_may_have_been_executed() {
        let changes: [fn(&mut Current); 2] =
            [|current| current.is_commit_in_flight = true, |current| current.is_maybe_committed = true];
        for change in changes {
            let mut transactions = open(2);
            transactions.change(Transition::Commit);
            change(&mut transactions.current);
            transactions.require_abort(cause());
            assert!(transactions.current.abort_cause.is_none());
        }
    }
}
