//! What the coordinator's log says of a transactional id (`TransactionMetadata` of Apache Kafka).

use std::collections::BTreeSet;

use crate::Moment;

/// The state of the transaction of a transactional id at its coordinator. (An id that is
/// [forgotten](crate::TestCluster::forget_transactional_id), which Kafka calls `Dead`, has none.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TransactionState {
    /// No transaction was begun since the last InitProducerId.
    Empty,
    /// A transaction is open.
    Ongoing,
    /// It is committed, but not every partition has its marker.
    PrepareCommit,
    /// It is aborted, but not every partition has its marker.
    PrepareAbort,
    /// It is committed.
    CompleteCommit,
    /// It is aborted.
    CompleteAbort,
}

/// Something that takes part in a transaction, and gets a marker when it ends.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Participant {
    /// A partition of a topic.
    Partition(String, i32),
    /// A group whose offsets are committed: a partition of `__consumer_offsets`.
    Group(String),
}

/// An epoch that was never assigned.
pub(crate) const NO_EPOCH: i16 = -1;
/// The last epoch that is assigned under a producer id.
pub(crate) const LAST_EPOCH: i16 = i16::MAX - 1;

/// The coordinator's knowledge of a transactional id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Metadata {
    pub(crate) state: TransactionState,
    /// The producer id.
    pub(crate) producer: i64,
    /// The epoch, or [`NO_EPOCH`].
    pub(crate) epoch: i16,
    /// The producer id before the last transition.
    pub(crate) previous_producer: i64,
    /// The epoch that a repeated request may still have, or [`NO_EPOCH`].
    pub(crate) last_epoch: i16,
    /// The producer id from the end of this transaction on, because the epochs are used up.
    pub(crate) next_producer: Option<i64>,
    /// The time after which a transaction is aborted.
    pub(crate) timeout: Moment,
    /// When the transaction began.
    pub(crate) started: Moment,
    /// What takes part.
    pub(crate) participants: BTreeSet<Participant>,
}

impl Metadata {
    /// Returns the state of an id that is initialised for the first time.
    pub(crate) const fn new(producer: i64, timeout: Moment) -> Self {
        Self {
            state: TransactionState::Empty,
            producer,
            epoch: NO_EPOCH,
            previous_producer: -1,
            last_epoch: NO_EPOCH,
            next_producer: None,
            timeout,
            started: Moment::ZERO,
            participants: BTreeSet::new(),
        }
    }

    /// Returns true if no further epoch can be assigned under this producer id.
    pub(crate) const fn is_exhausted(&self) -> bool {
        self.epoch >= LAST_EPOCH
    }

    /// Returns true if markers are written.
    pub(crate) const fn is_ending(&self) -> bool {
        matches!(self.state, TransactionState::PrepareCommit | TransactionState::PrepareAbort)
    }
}
