//! The offsets of a transaction that are not committed yet, in the order of the calls.

use alloc::collections::{BTreeSet, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;

use crate::machine::query::Query;
use crate::protocol::{TxnOffsetCommitPartition, TxnOffsetCommitTopic};
use crate::record::TopicPartition;
use crate::time::Instant;
use crate::transaction::{GroupMetadata, OffsetAndMetadata};

/// The id of a call of [`Machine::send_offsets`](crate::machine::Machine::send_offsets). Ids count up from 0 in the order of the calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OffsetsId(pub(in crate::machine) u64);

/// The offsets of one call.
#[derive(Debug)]
pub(in crate::machine) struct PendingOffsets {
    pub(in crate::machine) id: OffsetsId,
    pub(in crate::machine) group: GroupMetadata,
    pub(in crate::machine) offsets: Vec<(TopicPartition, OffsetAndMetadata)>,
    /// When they are given up: `delivery.timeout.ms` after the call.
    pub(in crate::machine) deadline: Instant,
}

/// The offsets of a transaction. Those of one call are sent after those of the calls before it.
#[derive(Debug, Default)]
pub(in crate::machine) struct Offsets {
    pending: VecDeque<PendingOffsets>,
    /// The groups that AddOffsetsToTxn has added to the transaction.
    added: BTreeSet<String>,
    /// TxnOffsetCommit.
    pub(in crate::machine) query: Query,
    next_id: u64,
}

impl Offsets {
    /// Appends the offsets of a call. Those of one partition that are named twice count as the last of them.
    pub(in crate::machine) fn push(
        &mut self,
        group: GroupMetadata,
        mut offsets: Vec<(TopicPartition, OffsetAndMetadata)>,
        deadline: Instant,
    ) -> OffsetsId {
        let id = self.skip();
        offsets.reverse();
        offsets.sort_by(|(one, _), (other, _)| one.cmp(other)); // stable, so the last one of a partition is the first
        offsets.dedup_by(|(later, _), (kept, _)| later == kept);
        self.pending.push_back(PendingOffsets { id, group, offsets, deadline });
        id
    }

    /// Returns the id of a call that has nothing to send.
    pub(in crate::machine) fn skip(&mut self) -> OffsetsId {
        let id = OffsetsId(self.next_id);
        self.next_id += 1;
        id
    }

    /// Returns the first offsets that are not committed.
    pub(in crate::machine) fn first(&self) -> Option<&PendingOffsets> {
        self.pending.front()
    }

    /// Returns `true` if all offsets are committed, and none are in flight.
    pub(in crate::machine) fn is_empty(&self) -> bool {
        self.pending.is_empty() && !self.query.is_in_flight()
    }

    /// Returns `true` if a group has been added to the transaction.
    pub(in crate::machine) fn has_added(&self, group: &str) -> bool {
        self.added.contains(group)
    }

    /// Records that a group has been added to the transaction.
    pub(in crate::machine) fn added(&mut self, group: String) {
        self.added.insert(group);
    }

    /// Removes the first offsets.
    pub(in crate::machine) fn pop(&mut self) -> Option<PendingOffsets> {
        self.pending.pop_front()
    }

    /// Starts the next transaction.
    pub(in crate::machine) fn clear_groups(&mut self) {
        self.added.clear();
    }
}

impl PendingOffsets {
    /// Returns the offsets by topic.
    pub(in crate::machine) fn topics(&self) -> Vec<TxnOffsetCommitTopic<'_>> {
        let mut topics: Vec<TxnOffsetCommitTopic<'_>> = Vec::new();
        for (to, offset) in &self.offsets {
            let partition = TxnOffsetCommitPartition {
                partition_index: to.partition,
                committed_offset: offset.offset,
                committed_leader_epoch: offset.leader_epoch,
                committed_metadata: Some(&offset.metadata),
            };
            match topics.last_mut().filter(|last| last.name == to.topic) {
                Some(topic) => topic.partitions.push(partition),
                None => topics.push(TxnOffsetCommitTopic { name: &to.topic, partitions: Vec::from([partition]) }),
            }
        }
        topics
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_grouped_by_topic_and_the_last_of_a_partition_counts() {
        let mut offsets = Offsets::default();
        let at = |topic: &str, partition, offset: i64| (TopicPartition::new(topic, partition), offset.into());
        let all = Vec::from([at("b", 1, 5), at("a", 0, 1), at("b", 0, 7), at("b", 1, 6)]);
        assert_eq!(offsets.push(GroupMetadata::unfenced("g"), all, Instant::START), OffsetsId(0));
        let topics = offsets.first().unwrap().topics();
        let found: Vec<(&str, Vec<(i32, i64)>)> = topics
            .iter()
            .map(|topic| {
                let partitions = topic.partitions.iter();
                (topic.name, partitions.map(|found| (found.partition_index, found.committed_offset)).collect())
            })
            .collect();
        assert_eq!(found, [("a", Vec::from([(0, 1)])), ("b", Vec::from([(0, 7), (1, 6)]))]);
        assert!(!offsets.is_empty());
        offsets.query.sent();
        offsets.pop();
        assert!(!offsets.is_empty(), "a request is in flight");
        offsets.query.on_response();
        assert!(offsets.is_empty());
    }
}
