//! The unfinished batches: one queue per partition, oldest first. A batch keeps its place until it was delivered or has
//! failed, whether it waits, is in flight, or waits for a retry, so retries keep the order.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use super::event::BatchId;
use super::identity::Disowned;
use super::io::ConnectionId;
use super::node::Node;
use super::producer_id::Identity;
use super::sequence::Sequence;
use crate::batch::{KafkaBatch, SealedBatch, StampedBatch};
use crate::protocol::BrokerError;
use crate::record::TopicPartition;
use crate::time::Instant;

/// The index of a partition in [`Accumulator`]. An unused partition is removed after a while, and its index reused.
pub(super) type PartitionIndex = usize;

/// What a partition waits for before it can send its next batch. It is not examined again before that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum BlockedOn {
    /// An event of the partition itself: a response, or another batch.
    Itself,
    /// The end of its retry backoff.
    Until(Instant),
    /// Metadata that names its leader.
    Leader,
    /// Any metadata response, since leaders may move; or an event of the partition itself.
    News,
    /// A connection to its leader.
    Node(Node),
    /// Capacity on this connection, or the end of its throttle time.
    Capacity(ConnectionId),
    /// A producer id, which can be requested on this connection.
    Identity(ConnectionId),
}

/// The id of an [`Entry`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct EntryId(u64);

/// A batch in the queue of its partition: an accepted batch, or a part of one that was split.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: EntryId,
    pub(super) batch: BatchId,
    /// The position of its first record in the accepted batch.
    pub(super) position: usize,
    pub(super) payload: Payload,
    /// Once it is stamped: how many batches of the partition were stamped before it under the same identity.
    pub(super) number: u64,
    pub(super) deadline: Instant,
    pub(super) failures: u32,
    pub(super) not_before: Instant,
    pub(super) in_flight: Option<ConnectionId>,
    /// Set once it was retried without backoff because its identity was refused. The next time it waits.
    pub(super) renewed: bool,
    /// Some attempt may have been written, or may yet be.
    pub(super) maybe_written: bool,
    /// Set if a broker may have accepted a later batch without this one: this one failed while that was in flight, and
    /// a broker that has forgotten the producer accepts any sequence number.
    pub(super) passed_over: bool,
    /// The broker that refused it as out of order although it may be in the log: see [`Entry::awaits_proof`].
    pub(super) overtaken: Option<i32>,
    /// The last error after which it was retried.
    pub(super) last_error: Option<Box<BrokerError>>,
    /// When `last_error` occurred.
    pub(super) last_error_at: Instant,
    /// The node that did not answer the last attempt.
    pub(super) unanswered_by: Option<Node>,
}

impl Entry {
    /// Returns `true` if it is not sent while this broker leads. The broker has answered OUT_OF_ORDER_SEQUENCE_NUMBER
    /// although all earlier batches are in the log: most likely this one is in the log too, and the broker remembers
    /// only later batches, as after a restart. Later batches are still sent. If the broker accepts one of them, under
    /// the same identity and at an offset that leaves room for this one, this one is in the log too, because brokers
    /// accept nothing after a gap.
    pub(super) fn awaits_proof(&self, leader: Option<i32>) -> bool {
        self.overtaken.is_some() && self.overtaken == leader
    }

    /// Returns `true` if its outcome may yet prove that an earlier batch is in the log.
    pub(super) fn may_prove(&self, identity: Identity) -> bool {
        self.payload.identity() == Some(identity)
            && self.overtaken.is_none()
            && (self.maybe_written || self.in_flight.is_some())
    }
}

/// The batch of an entry, by its state.
#[derive(Debug)]
pub(super) enum Payload {
    /// It has never been sent, or certainly no attempt was written.
    Sealed(SealedBatch),
    /// These bytes were sent, and are sent again on a retry.
    Stamped(StampedBatch, Option<Identity>),
    /// It could not be converted or sealed, and will fail or be split.
    Open(KafkaBatch),
    /// Taken out temporarily, within one function, which replaces it.
    Gone,
}

impl Payload {
    /// Returns the identity under which it is stamped.
    pub(super) fn identity(&self) -> Option<Identity> {
        match self {
            Self::Stamped(_, identity) => *identity,
            Self::Sealed(_) | Self::Open(_) | Self::Gone => None,
        }
    }

    pub(super) fn size(&self) -> usize {
        match self {
            Self::Sealed(batch) => batch.size(),
            Self::Stamped(batch, _) => batch.size(),
            Self::Open(batch) => batch.size(),
            Self::Gone => 0,
        }
    }

    pub(super) fn record_count(&self) -> usize {
        match self {
            Self::Sealed(batch) => batch.record_count(),
            Self::Stamped(batch, _) => batch.record_count(),
            Self::Open(batch) => batch.record_count(),
            Self::Gone => 0,
        }
    }

    pub(super) fn into_batch(self) -> KafkaBatch {
        match self {
            Self::Sealed(batch) => batch.into_batch(),
            Self::Stamped(batch, _) => batch.into_batch(),
            Self::Open(batch) => batch,
            Self::Gone => unreachable!("a payload is replaced in the function that takes it"),
        }
    }
}

/// A partition's queue and its sequence numbers.
#[derive(Debug)]
pub(super) struct Partition {
    pub(super) to: TopicPartition,
    pub(super) queue: VecDeque<Entry>,
    pub(super) sequence: Sequence,
    /// Whether a batch was accepted for it since the last call of [`Accumulator::forget_unused`].
    used: bool,
}

impl Partition {
    /// Returns the position of an entry in the queue.
    pub(super) fn find(&self, id: EntryId) -> Option<usize> {
        self.queue.iter().position(|entry| entry.id == id)
    }

    /// Returns the position of the next entry to send to this leader: the first that is not in flight. `None` while a
    /// later one is in flight, whose response must arrive first.
    pub(super) fn next(&self, leader: Option<i32>) -> Option<usize> {
        let next = self.queue.iter().position(|entry| entry.in_flight.is_none() && !entry.awaits_proof(leader))?;
        self.queue.iter().skip(next).all(|entry| entry.in_flight.is_none()).then_some(next)
    }

    /// Records that this entry may not have been written: a broker that has forgotten the producer may still accept a
    /// later entry that is in flight, see [`Entry::passed_over`].
    pub(super) fn may_be_passed(&mut self, at: usize) {
        let is_followed = |identity| self.queue.iter().skip(at + 1).any(|later| later.may_prove(identity));
        let passed_over = self.queue[at].payload.identity().is_some_and(is_followed);
        self.queue[at].passed_over |= passed_over;
    }

    /// Returns the first entry that [awaits proof](Entry::awaits_proof) which no later entry can give any more.
    pub(super) fn unproven(&self) -> Option<usize> {
        self.queue.iter().enumerate().position(|(at, entry)| {
            let identity = entry.payload.identity().filter(|_| entry.overtaken.is_some() && entry.in_flight.is_none());
            identity.is_some_and(|identity| !self.queue.iter().skip(at + 1).any(|later| later.may_prove(identity)))
        })
    }

    /// Returns the first entry that must be stamped again: it was stamped under a lost identity, and certainly not
    /// written. An entry that may be in the log is kept as it is, even after a missing one: brokers accept no batch
    /// after a gap, but a broker that has forgotten the producer sees no gap.
    pub(super) fn void(&self) -> Option<usize> {
        let lost = self.sequence.lost()?;
        self.queue.iter().position(|entry| {
            entry.payload.identity() == Some(lost) && entry.in_flight.is_none() && !entry.maybe_written
        })
    }
}

/// All accepted batches that were neither delivered nor have failed.
#[derive(Debug, Default)]
pub(super) struct Accumulator {
    partitions: Vec<Partition>,
    by_name: BTreeMap<TopicPartition, PartitionIndex>,
    /// Indices of removed partitions.
    free: Vec<PartitionIndex>,
    /// Partitions whose queue is not empty.
    pub(super) active: BTreeSet<PartitionIndex>,
    /// Those of the active partitions that must be examined.
    runnable: BTreeSet<PartitionIndex>,
    /// The other active partitions, unless they wait for an event of their own or a backoff.
    parked: BTreeMap<BlockedOn, BTreeSet<PartitionIndex>>,
    /// The unfinished batches, each with the size that it was accepted with, in bytes.
    unfinished: BTreeMap<BatchId, usize>,
    bytes: usize,
    next_batch: u64,
    next_entry: u64,
}

impl Accumulator {
    /// Appends a batch to the queue of its partition. Returns its id, and the partition's index.
    pub(super) fn accept(
        &mut self,
        batch: SealedBatch,
        to: TopicPartition,
        deadline: Instant,
    ) -> (BatchId, PartitionIndex) {
        let id = BatchId(self.next_batch);
        self.next_batch += 1;
        let size = batch.size();
        self.bytes += size;
        self.unfinished.insert(id, size);
        let index = self.index(to);
        let entry = self.entry(id, 0, batch, deadline);
        let partition = &mut self.partitions[index];
        partition.used = true;
        partition.queue.push_back(entry);
        self.active.insert(index);
        self.look_at(index);
        (id, index)
    }

    fn index(&mut self, to: TopicPartition) -> PartitionIndex {
        if let Some(&index) = self.by_name.get(&to) {
            return index;
        }
        let index = self.free.pop().unwrap_or(self.partitions.len());
        self.by_name.insert(to.clone(), index);
        let partition = Partition { to, queue: VecDeque::new(), sequence: Sequence::default(), used: true };
        if index == self.partitions.len() {
            self.partitions.push(partition);
        } else {
            self.partitions[index] = partition;
        }
        index
    }

    /// Removes the partitions for which nothing was accepted since the last call and nothing is queued. Returns the
    /// last identity of each, without duplicates.
    pub(super) fn forget_unused(&mut self) -> Vec<Identity> {
        let mut identities = Vec::new();
        let Self { partitions, by_name, free, .. } = self;
        by_name.retain(|_, index| {
            let partition = &mut partitions[*index];
            let keep = core::mem::take(&mut partition.used) || !partition.queue.is_empty();
            if !keep {
                identities.extend(partition.sequence.identity().filter(|identity| !identities.contains(identity)));
                free.push(*index);
            }
            keep
        });
        identities
    }

    /// Returns the number of indices in use or free.
    #[cfg(test)]
    pub(super) fn places(&self) -> usize {
        self.partitions.len()
    }

    /// Returns `true` if no partition is known.
    pub(super) fn is_unused(&self) -> bool {
        self.by_name.is_empty()
    }

    /// Returns the partitions to examine, from this one on, and then those before it.
    pub(super) fn runnable_from(&self, turn: PartitionIndex) -> Vec<PartitionIndex> {
        self.runnable.range(turn..).chain(self.runnable.range(..turn)).copied().collect()
    }

    /// Marks a partition to be examined, because something of it has changed.
    pub(super) fn look_at(&mut self, index: PartitionIndex) {
        if self.active.contains(&index) {
            self.runnable.insert(index);
        }
    }

    /// Records that a partition was examined, and what it waits for.
    pub(super) fn park(&mut self, index: PartitionIndex, blocked_on: BlockedOn) {
        self.runnable.remove(&index);
        if !matches!(blocked_on, BlockedOn::Itself | BlockedOn::Until(_)) {
            self.parked.entry(blocked_on).or_default().insert(index);
        }
    }

    /// Marks the partitions to be examined that wait for something that has happened, or will not.
    pub(super) fn wake(&mut self, has_happened: impl Fn(&BlockedOn) -> bool) {
        let Self { parked, runnable, active, .. } = self;
        parked.retain(|blocked_on, waiting| {
            let stays = !has_happened(blocked_on);
            if !stays {
                runnable.extend(waiting.intersection(active));
            }
            stays
        });
    }

    /// Returns `true` if any partition waits for metadata that names its leader.
    pub(super) fn lacks_leader(&self) -> bool {
        self.parked.get(&BlockedOn::Leader).is_some_and(|waiting| !waiting.is_disjoint(&self.active))
    }

    /// Returns `true` if a partition was examined, and not marked again since.
    #[cfg(debug_assertions)]
    pub(super) fn is_parked(&self, index: PartitionIndex) -> bool {
        !self.runnable.contains(&index)
    }

    /// Creates an entry, which is in no queue yet.
    pub(super) fn entry(&mut self, batch: BatchId, position: usize, sealed: SealedBatch, deadline: Instant) -> Entry {
        let id = EntryId(self.next_entry);
        self.next_entry += 1;
        Entry {
            id,
            batch,
            position,
            payload: Payload::Sealed(sealed),
            number: 0,
            deadline,
            failures: 0,
            not_before: Instant::START,
            in_flight: None,
            renewed: false,
            maybe_written: false,
            passed_over: false,
            overtaken: None,
            last_error: None,
            last_error_at: Instant::START,
            unanswered_by: None,
        }
    }

    /// Stops all partitions from stamping batches under the identities that this refusal applies to. Returns the active
    /// partitions that used one of them.
    pub(super) fn disown(&mut self, disowned: Disowned) -> Vec<PartitionIndex> {
        let Self { partitions, active, .. } = self;
        let mut affected = Vec::new();
        for (index, partition) in partitions.iter_mut().enumerate() {
            let Some(own) = partition.sequence.identity().filter(|&own| disowned.applies_to(own)) else { continue };
            partition.sequence.lose(own);
            affected.extend(active.contains(&index).then_some(index));
        }
        affected
    }

    pub(super) fn partition(&self, index: PartitionIndex) -> &Partition {
        &self.partitions[index]
    }

    pub(super) fn partition_mut(&mut self, index: PartitionIndex) -> &mut Partition {
        &mut self.partitions[index]
    }

    /// Returns the known partitions of a topic.
    pub(super) fn of_topic(&self, topic: &str) -> Vec<PartitionIndex> {
        let first = TopicPartition::new(topic, i32::MIN);
        let range = self.by_name.range(first..).take_while(|(to, _)| to.topic == topic);
        range.map(|(_, &index)| index).collect()
    }

    /// Returns `true` if any partition of the topic is known.
    pub(super) fn knows(&self, topic: &str) -> bool {
        let first = TopicPartition::new(topic, i32::MIN);
        self.by_name.range(first..).next().is_some_and(|(to, _)| to.topic == topic)
    }

    /// Inserts an entry into a queue, at this position.
    pub(super) fn insert(&mut self, index: PartitionIndex, at: usize, entry: Entry) {
        self.partitions[index].queue.insert(at, entry);
        self.active.insert(index);
        self.look_at(index);
    }

    /// Removes the entry at this position from a queue.
    pub(super) fn remove(&mut self, index: PartitionIndex, at: usize) -> Option<Entry> {
        let queue = &mut self.partitions[index].queue;
        let entry = queue.remove(at);
        if queue.is_empty() {
            self.active.remove(&index);
            self.runnable.remove(&index);
        } else {
            self.look_at(index);
        }
        entry
    }

    /// Removes the first entry of any queue, and does nothing else: for use after a panic.
    pub(super) fn pop(&mut self) -> Option<(TopicPartition, Entry)> {
        self.partitions.iter_mut().find_map(|partition| {
            let entry = partition.queue.pop_front()?;
            Some((partition.to.clone(), entry))
        })
    }

    /// Returns the topics of all unfinished batches.
    pub(super) fn topics(&self) -> BTreeSet<&str> {
        self.active.iter().map(|&index| self.partitions[index].to.topic.as_str()).collect()
    }

    /// Records that a batch was delivered or has failed.
    pub(super) fn finish(&mut self, batch: BatchId) {
        if let Some(size) = self.unfinished.remove(&batch) {
            self.bytes -= size;
        }
    }

    /// Returns the size of all unfinished batches, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the oldest unfinished batch.
    pub(super) fn oldest(&self) -> Option<BatchId> {
        self.unfinished.keys().next().copied()
    }

    /// Returns the id of the next batch to be accepted.
    pub(super) fn next_batch(&self) -> BatchId {
        BatchId(self.next_batch)
    }
}
