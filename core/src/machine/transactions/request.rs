//! The requests of transactions to coordinators, as far as their responses need to know them.

use alloc::string::String;
use alloc::vec::Vec;

use crate::machine::index::PartitionIndex;

/// What a coordinator is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::machine) enum CoordinatorKey {
    /// The transactional id.
    Transaction,
    Group(String),
}

/// A request of a transaction.
#[derive(Debug)]
pub(in crate::machine) enum TransactionRequest {
    InitProducerId {
        is_bump: bool,
    },
    AddPartitions(Vec<PartitionIndex>),
    AddOffsets(String),
    EndTxn {
        is_commit: bool,
    },
    /// To the coordinator of the group.
    OffsetCommit(String),
}
