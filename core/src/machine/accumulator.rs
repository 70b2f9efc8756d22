//! All partitions with unfinished batches, and what finds them: by name, by what they wait for, by age.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::entry::{Entry, EntryId, EntryIds, Origin};
use super::event::BatchId;
use super::identity::Identity;
use super::identity_manager::RefusalScope;
use super::index::PartitionIndex;
use super::io::ConnectionId;
use super::node::Node;
use super::partition::Partition;
use super::schedule::{Schedule, Wait};
use super::stats::{BatchStats, SendReason, TopicCounters, TopicStats};
use super::topics::Topics;
use super::unfinished::{Unfinished, UnfinishedBatch, UnfinishedIndex};
use crate::batch::SealedBatch;
use crate::record::TopicPartition;
use crate::time::Instant;

/// All accepted batches that were neither delivered nor have failed.
#[derive(Debug, Default)]
pub(super) struct Accumulator {
    partitions: Vec<Partition>,
    /// Indices of removed partitions.
    free: Vec<PartitionIndex>,
    pub(super) topics: Topics,
    pub(super) schedule: Schedule,
    unfinished: Unfinished,
    /// The number of partitions whose queue is not empty.
    active: usize,
    /// After a panic: the first partition whose queue may not be empty.
    first_to_pop: PartitionIndex,
}

impl Accumulator {
    /// Appends a batch to the queue of its partition, at the time `now`. Returns its id.
    #[inline]
    pub(super) fn accept(
        &mut self,
        batch: SealedBatch,
        to: TopicPartition,
        (reason, opened): (SendReason, Instant),
        now: Instant,
        ids: &mut EntryIds,
    ) -> BatchId {
        let index = self.index(&to);
        let (id, place) = self.unfinished.accept(batch.size(), now, index);
        let partition = &mut self.partitions[index];
        self.topics.counters(partition.topic_index).on_accepted(&batch, reason);
        partition.accept(Entry::new(ids.next(), id, place, Origin::Whole(to), batch, now, opened));
        // It is the last in the queue, so it changes nothing for a partition that has another one to send.
        if matches!(self.schedule.waits_for(index), Wait::Batch | Wait::OwnEvent) {
            self.mark_for_examination(index);
        }
        id
    }

    fn index(&mut self, to: &TopicPartition) -> PartitionIndex {
        if let Some(index) = self.topics.find(&to.topic, to.partition) {
            return index;
        }
        let index = self.free.pop().unwrap_or(self.partitions.len());
        let (topic_index, topic) = self.topics.insert(&to.topic, to.partition, index);
        let partition = Partition::new(topic, topic_index, to.partition);
        if index == self.partitions.len() {
            self.partitions.push(partition);
        } else {
            self.partitions[index] = partition;
        }
        index
    }

    /// Removes the partitions for which nothing was accepted since the last call and nothing is queued, except for those with
    /// the identity `keep`. Returns the last identity of each, without duplicates.
    pub(super) fn forget_unused(&mut self, keep: Option<Identity>) -> BTreeSet<Identity> {
        let mut identities = BTreeSet::new();
        let Self { partitions, topics, free, .. } = self;
        topics.retain(|index| {
            let partition = &mut partitions[index];
            let keep = partition.take_used() || keep.is_some() && partition.identity() == keep;
            if !keep {
                identities.extend(partition.identity());
                free.push(index);
            }
            keep
        });
        identities
    }

    /// Returns the number of indices in use or free.
    #[cfg(test)]
    pub(super) fn slots(&self) -> usize {
        self.partitions.len()
    }

    /// Marks a partition to be examined, because something of it has changed that may unblock it; or, if its queue is
    /// empty, records that it waits for a batch. Returns what it has waited for.
    pub(super) fn mark_for_examination(&mut self, index: PartitionIndex) -> Wait {
        let partition = &mut self.partitions[index];
        let is_active = !partition.is_empty();
        if partition.is_active != is_active {
            partition.is_active = is_active;
            self.topics.set_active(partition.topic_index, is_active);
            if is_active { self.active += 1 } else { self.active -= 1 }
        }
        let before = self.schedule.waits_for(index);
        let wait = if is_active { Wait::Examination } else { Wait::Batch };
        if before != wait {
            self.schedule.set(index, wait);
        }
        before
    }

    /// Marks a partition to be examined after an event of its own. One that waits for its turn at its leader keeps its
    /// place: it is examined when it has its turn. Returns what it has waited for.
    pub(super) fn mark_unless_queued(&mut self, index: PartitionIndex, leader: Option<i32>) -> Wait {
        let wait = self.schedule.waits_for(index);
        let is_queued = wait == leader.map_or(Wait::Examination, |leader| Wait::Turn(Node::Broker(leader)));
        if is_queued && !self.partitions[index].is_empty() { wait } else { self.mark_for_examination(index) }
    }

    /// Marks the partitions to be examined that wait for their turn at a node which does not lead them any more.
    pub(super) fn leaders_changed(&mut self, leader: impl Fn(&str, i32) -> Option<i32>) {
        let Self { partitions, schedule, .. } = self;
        schedule.wake_turns(|index, node| {
            let partition = &partitions[index];
            leader(partition.topic(), partition.number()).map(Node::Broker) != Some(node)
        });
    }

    /// Returns `true` if any partition has unfinished batches.
    pub(super) fn is_active(&self) -> bool {
        self.active > 0
    }

    /// Returns the partitions with unfinished batches. Examines all, and is for events that can concern all of them.
    pub(super) fn active(&self) -> impl Iterator<Item = PartitionIndex> + '_ {
        self.partitions.iter().enumerate().filter(|(_, partition)| partition.is_active).map(|(index, _)| index)
    }

    /// Stops all partitions from stamping batches under the identities that this refusal applies to. Returns the active
    /// partitions that used one of them.
    pub(super) fn stop_using(&mut self, scope: RefusalScope) -> Vec<PartitionIndex> {
        let mut affected = Vec::new();
        for (index, partition) in self.partitions.iter_mut().enumerate() {
            affected.extend((partition.stop_using(scope) && partition.is_active).then_some(index));
        }
        affected
    }

    pub(super) fn partition(&self, index: PartitionIndex) -> &Partition {
        &self.partitions[index]
    }

    pub(super) fn partition_mut(&mut self, index: PartitionIndex) -> &mut Partition {
        &mut self.partitions[index]
    }

    /// Removes the first entry of any queue, and does nothing else: for use after a panic.
    pub(super) fn pop(&mut self) -> Option<Box<Entry>> {
        while let Some(partition) = self.partitions.get_mut(self.first_to_pop) {
            if let Some(entry) = partition.pop() {
                return Some(entry);
            }
            self.first_to_pop += 1;
        }
        None
    }

    /// Records that the entry at this position of a partition is in flight from now on. Returns its id.
    #[inline]
    pub(super) fn on_sent(&mut self, index: PartitionIndex, at: usize, id: ConnectionId, now: Instant) -> EntryId {
        let partition = &mut self.partitions[index];
        let counters = self.topics.counters(partition.topic_index);
        partition.on_sent(at, id, now, &mut counters.sent)
    }

    /// Returns the counters of a partition's topic.
    pub(super) fn counters(&mut self, index: PartitionIndex) -> &mut TopicCounters {
        self.topics.counters(self.partitions[index].topic_index)
    }

    /// Removes a batch that was delivered or has failed. Returns the counters of its topic, and for how many nanoseconds it was
    /// unfinished.
    #[inline(always)] // it is called in one place
    pub(super) fn finish(&mut self, batch: BatchId, place: UnfinishedIndex, now: Instant) -> (&mut TopicCounters, u64) {
        let (partition, accepted) = self.unfinished.finish(batch, place);
        (self.counters(partition), now.nanos_since(accepted))
    }

    /// Records that a batch, or a part of it, was split.
    pub(super) fn on_split(&mut self, place: UnfinishedIndex) {
        let index = self.unfinished.get(place).partition;
        self.counters(index).on_split();
    }

    /// Returns the number of batches without an outcome.
    pub(super) fn unfinished(&self) -> usize {
        self.unfinished.len()
    }

    /// Returns the statistics of the known topics, and of all topics together, at this time.
    pub(super) fn stats(&self, now: Instant) -> (Vec<TopicStats>, BatchStats) {
        let mut total = self.topics.removed_counters().cloned().unwrap_or_default();
        let topics = self.topics.iter().map(|(name, counters, partitions)| {
            total.add(counters);
            // The first entry of a queue is the oldest of its partition.
            let accepted =
                partitions.filter_map(|index| self.partitions[index].oldest()).map(|entry| entry.accepted).min();
            let oldest_batch_age = accepted.map(|accepted| now.since(accepted));
            TopicStats { topic: name.into(), batches: counters.stats(), oldest_batch_age }
        });
        let topics = topics.collect();
        (topics, total.stats())
    }

    /// Returns the size of all unfinished batches, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.unfinished.bytes()
    }

    /// Returns the oldest unfinished batch.
    pub(super) fn oldest(&self) -> Option<&UnfinishedBatch> {
        self.unfinished.oldest()
    }

    /// Returns the id of the next batch to be accepted.
    pub(super) fn next_batch(&self) -> BatchId {
        self.unfinished.next_batch()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;
    use crate::{KafkaBatch, Record};

    const NOW: (SendReason, Instant) = (SendReason::Explicit, Instant::START);

    fn batch() -> SealedBatch {
        let mut batch = KafkaBatch::new(Timestamp::from_millis(0));
        batch.extend([Record::new("x")]).unwrap();
        batch.seal().unwrap()
    }

    #[test]
    fn a_partition_keeps_its_place_at_its_leader_and_only_there() {
        let (mut accumulator, mut ids) = (Accumulator::default(), EntryIds::default());
        accumulator.accept(batch(), TopicPartition::new("t", 0), NOW, Instant::START, &mut ids);
        assert_eq!(accumulator.schedule.waits_for(0), Wait::Examination);
        let turn = Wait::Turn(Node::Broker(1));
        for (leader, expected) in [(Some(1), turn), (Some(2), Wait::Examination), (None, Wait::Examination)] {
            accumulator.schedule.set(0, turn);
            assert_eq!(accumulator.mark_unless_queued(0, leader), turn);
            assert_eq!(accumulator.schedule.waits_for(0), expected, "{leader:?}");
        }
    }

    #[test]
    fn another_batch_has_a_partition_examined_only_if_it_can_be_the_next() {
        let (mut accumulator, mut ids) = (Accumulator::default(), EntryIds::default());
        let to = TopicPartition::new("t", 0);
        accumulator.accept(batch(), to.clone(), NOW, Instant::START, &mut ids);
        for (wait, expected) in [
            (Wait::OwnEvent, Wait::Examination),
            (Wait::Backoff, Wait::Backoff),
            (Wait::Turn(Node::Broker(1)), Wait::Turn(Node::Broker(1))),
        ] {
            accumulator.schedule.set(0, wait);
            accumulator.accept(batch(), to.clone(), NOW, Instant::START, &mut ids);
            assert_eq!(accumulator.schedule.waits_for(0), expected);
        }
    }

    #[test]
    fn a_topic_is_active_until_its_last_batch_has_left_its_queue() {
        let (mut accumulator, mut ids) = (Accumulator::default(), EntryIds::default());
        for _ in 0..2 {
            accumulator.accept(batch(), TopicPartition::new("t", 0), NOW, Instant::START, &mut ids);
        }
        for active in [1, 0] {
            assert!(accumulator.is_active());
            accumulator.partition_mut(0).pop();
            accumulator.mark_for_examination(0);
            assert_eq!((accumulator.active().count(), accumulator.topics.active().count()), (active, active));
        }
        assert!(!accumulator.is_active());
        assert_eq!(accumulator.schedule.waits_for(0), Wait::Batch);
    }
}
