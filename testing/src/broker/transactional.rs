//! What the APIs of transactions share: error codes by version, faults, and what a leader or group coordinator asks of a
//! transaction coordinator.

use std::collections::BTreeSet;

use super::{Broker, FaultKind};
use crate::Moment;
use crate::batch::ProducerStamp;
use crate::cluster::Cluster;
use crate::cluster::transactions::state::Participant;
use crate::cluster::transactions::transition::{
    CONCURRENT_TRANSACTIONS, INVALID_TXN_STATE, PRODUCER_FENCED, Protocol, TRANSACTION_ABORTABLE,
};

const COORDINATOR_LOAD_IN_PROGRESS: i16 = 14;
const COORDINATOR_NOT_AVAILABLE: i16 = 15;
const NOT_COORDINATOR: i16 = 16;
const NOT_ENOUGH_REPLICAS: i16 = 19;
const INVALID_PRODUCER_EPOCH: i16 = 47;

/// The first versions by which a partition or group joins a transaction without being added to it before (KIP-890).
const PRODUCE_ADDS_SINCE: i16 = 12;
const TXN_OFFSET_COMMIT_ADDS_SINCE: i16 = 5;
/// The first versions that know TRANSACTION_ABORTABLE.
const PRODUCE_ABORTABLE_SINCE: i16 = 11;
const TXN_OFFSET_COMMIT_ABORTABLE_SINCE: i16 = 4;

/// Returns an error code for a version, of which the first that knows PRODUCER_FENCED (KIP-588) is `fenced_since`.
pub(super) const fn code_for(version: i16, fenced_since: i16, code: i16) -> i16 {
    if code == PRODUCER_FENCED && version < fenced_since { INVALID_PRODUCER_EPOCH } else { code }
}

/// Executes a request with one outcome, unless a fault refuses it.
pub(super) fn outcome<T>(fault: Option<&FaultKind>, execute: impl FnOnce() -> Result<T, i16>) -> Result<T, i16> {
    match fault {
        Some(FaultKind::Refuse { code, .. }) => Err(*code),
        Some(FaultKind::ExecuteAndRefuse { code }) => {
            // The request is executed, whatever its outcome, which the client does not get.
            let _ = execute();
            Err(*code)
        }
        _ => execute(),
    }
}

/// The parts of a request with several outcomes that a fault refuses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refusal {
    code: i16,
    all: bool,
    /// The request is executed nevertheless.
    pub(super) done: bool,
}

impl Refusal {
    pub(super) const fn of(fault: Option<&FaultKind>) -> Option<Self> {
        match fault {
            Some(FaultKind::Refuse { code, all }) => Some(Self { code: *code, all: *all, done: false }),
            Some(FaultKind::ExecuteAndRefuse { code }) => Some(Self { code: *code, all: false, done: true }),
            _ => None,
        }
    }

    /// Returns the error code for the part at this position.
    pub(super) fn at(self, position: usize) -> Option<i16> {
        (self.all || position == 0).then_some(self.code)
    }
}

impl Broker {
    /// Makes sure that a partition is in the transaction of a batch before the batch is appended: adds it, or verifies that it
    /// was added, as the version says.
    pub(super) fn enlist(
        &self,
        version: i16,
        id: &str,
        stamp: ProducerStamp,
        (topic, index): (&str, i32),
        cluster: &mut Cluster,
        now: Moment,
    ) -> Result<(), i16> {
        let Some(partition) = cluster.partition_mut(topic, index) else { return Ok(()) };
        if !self.release.verifies_transactions() || partition.log.has_transaction(stamp.producer, stamp.epoch) {
            return Ok(());
        }
        partition.log.verification_starts(stamp, version >= PRODUCE_ADDS_SINCE);
        let participant = Participant::Partition(topic.to_owned(), index);
        let identity = (stamp.producer, stamp.epoch);
        if version < PRODUCE_ADDS_SINCE {
            let verified = cluster.verify_in_transaction(None, id, identity, &participant, now);
            return verified.map_err(|code| match code {
                TRANSACTION_ABORTABLE if version < PRODUCE_ABORTABLE_SINCE => INVALID_TXN_STATE,
                CONCURRENT_TRANSACTIONS => NOT_ENOUGH_REPLICAS,
                code => produce_code(code),
            });
        }
        let participants = BTreeSet::from([participant]);
        let added = cluster.add_to_transaction(None, id, identity, &participants, Protocol::EpochBump, now);
        added.map_err(produce_code)
    }

    /// The same for a group whose offsets are committed.
    pub(super) fn enlist_group(
        &self,
        version: i16,
        id: &str,
        identity: (i64, i16),
        group: &str,
        cluster: &mut Cluster,
        now: Moment,
    ) -> Result<(), i16> {
        if !self.release.verifies_transactions() || cluster.groups.has_transaction(group, identity.0, identity.1) {
            return Ok(());
        }
        let participant = Participant::Group(group.to_owned());
        let adds = version >= TXN_OFFSET_COMMIT_ADDS_SINCE;
        let joined = if adds {
            let participants = BTreeSet::from([participant]);
            cluster.add_to_transaction(None, id, identity, &participants, Protocol::EpochBump, now)
        } else {
            cluster.verify_in_transaction(None, id, identity, &participant, now)
        };
        joined.map_err(|code| match code {
            TRANSACTION_ABORTABLE if version < TXN_OFFSET_COMMIT_ABORTABLE_SINCE => INVALID_TXN_STATE,
            CONCURRENT_TRANSACTIONS if !adds => COORDINATOR_NOT_AVAILABLE,
            COORDINATOR_LOAD_IN_PROGRESS | NOT_COORDINATOR => COORDINATOR_NOT_AVAILABLE,
            code => code_for(0, 1, code),
        })
    }
}

/// Returns the error code of Produce for one of the transaction coordinator: one at which every client tries again, and
/// INVALID_PRODUCER_EPOCH also if another instance has the id.
const fn produce_code(code: i16) -> i16 {
    match code {
        COORDINATOR_LOAD_IN_PROGRESS | COORDINATOR_NOT_AVAILABLE | NOT_COORDINATOR => NOT_ENOUGH_REPLICAS,
        PRODUCER_FENCED => INVALID_PRODUCER_EPOCH,
        code => code,
    }
}
