//! The requests of transactions to coordinators, as far as their responses need to know them.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use crate::machine::index::PartitionIndex;
use crate::protocol::{ErrorCode, TxnTopicResult};

/// What a coordinator is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::machine) enum CoordinatorKey {
    /// The transactional id.
    Transaction,
    Group(String),
}

/// A request of a transaction to the transaction coordinator.
#[derive(Debug)]
pub(in crate::machine) enum TransactionRequest {
    InitProducerId { is_bump: bool },
    AddPartitions(Vec<PartitionIndex>),
    AddOffsets(String),
    EndTxn { is_commit: bool },
}

/// Returns the error code of each partition in a response, by topic and number.
pub(in crate::machine) fn codes_by_partition(topics: &[TxnTopicResult]) -> BTreeMap<(&str, i32), ErrorCode> {
    let partitions = topics.iter().flat_map(|topic| topic.partitions.iter().map(move |found| (topic, found)));
    partitions.map(|(topic, found)| ((topic.name.as_str(), found.partition_index), found.error_code)).collect()
}
