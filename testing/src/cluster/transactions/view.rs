//! What a test sees of a transactional id.

use super::state::{Participant, TransactionState};
use super::{CoordinatorKind, Entry};
use crate::Moment;
use crate::cluster::Cluster;

/// A transactional id, as its coordinator knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transaction {
    /// The transactional id.
    pub transactional_id: String,
    /// The state of its last transaction.
    pub state: TransactionState,
    /// The producer id.
    pub producer_id: i64,
    /// The epoch.
    pub producer_epoch: i16,
    /// `transaction.timeout.ms`: the time after which a transaction is aborted.
    pub timeout: Moment,
    /// The time since the start of the cluster at which the transaction began, if it is open or ends.
    pub started: Option<Moment>,
    /// The partitions that take part in it, if it is open or ends.
    pub partitions: Vec<(String, i32)>,
    /// The groups whose offsets are committed with it, if it is open or ends.
    pub groups: Vec<String>,
    /// The partitions that have no marker yet, if it ends.
    pub pending_partitions: Vec<(String, i32)>,
    /// The groups that have no marker yet, if it ends.
    pub pending_groups: Vec<String>,
    /// The coordinator, if there is one at the moment.
    pub coordinator: Option<i32>,
    /// When the coordinator has told a producer that was fenced the epoch of the one that has fenced it, so that both go on under
    /// it. Kafka 4.4 does so with an EndTxn of level 2 whose epoch is one below that of a producer that has ended its transaction
    /// by a request of a lower level: it takes it for a repeated one.
    pub epoch_shared_at: Vec<Moment>,
}

pub(super) fn transaction(id: &str, entry: &Entry, cluster: &Cluster) -> Transaction {
    let metadata = &entry.metadata;
    let is_begun = metadata.state == TransactionState::Ongoing || metadata.is_ending();
    let (partitions, groups) = split(metadata.participants.iter());
    let (pending_partitions, pending_groups) = split(entry.markers.keys());
    Transaction {
        transactional_id: id.to_owned(),
        state: metadata.state,
        producer_id: metadata.producer,
        producer_epoch: metadata.epoch,
        timeout: metadata.timeout,
        started: is_begun.then_some(metadata.started),
        partitions,
        groups,
        pending_partitions,
        pending_groups,
        coordinator: cluster.coordinator(CoordinatorKind::Transaction, id),
        epoch_shared_at: entry.epoch_shared_at.clone(),
    }
}

fn split<'a>(participants: impl Iterator<Item = &'a Participant>) -> (Vec<(String, i32)>, Vec<String>) {
    let (mut partitions, mut groups) = (Vec::new(), Vec::new());
    for participant in participants {
        match participant {
            Participant::Partition(topic, partition) => partitions.push((topic.clone(), *partition)),
            Participant::Group(group) => groups.push(group.clone()),
        }
    }
    (partitions, groups)
}
