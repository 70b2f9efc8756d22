//! What is on its way: one queue a partition, oldest first. A batch stays in its place until it is through, whether it
//! waits, is in flight, or waits again: so the order is kept whatever is retried.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use super::event::BatchId;
use super::identity::{Disowned, Identity};
use super::io::ConnectionId;
use super::network::Node;
use super::sequence::Sequence;
use crate::batch::{KafkaBatch, SealedBatch, StampedBatch};
use crate::protocol::BrokerError;
use crate::record::TopicPartition;
use crate::time::Instant;

/// A partition's place in [`Accumulator`]. One that was not used for long is taken out, and another may get its place.
pub(super) type PartitionIndex = usize;

/// What keeps a partition from sending its next batch. It is looked at again when that comes, and not before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum BlockedOn {
    /// Its own affairs: an answer, or another batch.
    Itself,
    /// The end of its back-off.
    Until(Instant),
    /// Metadata that names its leader.
    Leader,
    /// Metadata of any kind, since leaders may move; or its own affairs.
    News,
    /// A connection to its leader.
    Node(Node),
    /// Room on this connection, or the end of a throttling.
    Capacity(ConnectionId),
    /// A producer id, which can be had over this connection.
    Identity(ConnectionId),
}

/// One batch on the wire: a batch that was accepted, or a part of one that was split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct EntryId(u64);

/// A batch in the queue of its partition.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: EntryId,
    pub(super) batch: BatchId,
    /// Where in the batch that was accepted this part begins.
    pub(super) position: usize,
    pub(super) payload: Payload,
    /// Once it is stamped: how many were before it, under the same identity.
    pub(super) number: u64,
    pub(super) deadline: Instant,
    pub(super) failures: u32,
    pub(super) not_before: Instant,
    pub(super) in_flight: Option<ConnectionId>,
    /// Its identity was refused, and it was tried again under another without a back-off. The next time it waits.
    pub(super) renewed: bool,
    /// Some attempt may have been written, or still be.
    pub(super) maybe_written: bool,
    /// While a later one was on its way, it was refused, perhaps: a broker that had forgotten us may have taken that one alone.
    pub(super) passed_over: bool,
    /// This broker does not remember it, and remembers something later: see [`Entry::awaits_proof`].
    pub(super) overtaken: Option<i32>,
    /// After which it was tried again.
    pub(super) last_error: Option<Box<BrokerError>>,
    /// When that came.
    pub(super) last_error_at: Instant,
    /// The node from which the last attempt got no answer.
    pub(super) unanswered_by: Option<Node>,
}

impl Entry {
    /// Whether it is left out as long as this broker leads. The broker has answered OUT_OF_ORDER_SEQUENCE_NUMBER, though all
    /// before it is in the log: so it is there itself, most likely, and the broker remembers only what came after it, as one
    /// that was restarted does. The later ones go on. If the broker takes one of them, under the same counting, and at an
    /// offset that leaves room for this one, this one is in the log too, for nothing is taken behind a gap.
    pub(super) fn awaits_proof(&self, leader: Option<i32>) -> bool {
        self.overtaken.is_some() && self.overtaken == leader
    }

    /// Whether it may yet prove that an earlier one is in the log.
    pub(super) fn may_prove(&self, identity: Identity) -> bool {
        self.payload.identity() == Some(identity)
            && self.overtaken.is_none()
            && (self.maybe_written || self.in_flight.is_some())
    }
}

/// A batch, sealed or stamped.
#[derive(Debug)]
pub(super) enum Payload {
    /// It has never been sent, or all that was sent of it is void.
    Sealed(SealedBatch),
    /// These very bytes were sent, and will be again.
    Stamped(StampedBatch, Option<Identity>),
    /// It could not be converted or sealed, and is about to fail or to be split.
    Open(KafkaBatch),
    /// Within one function only, which puts another in its place.
    Gone,
}

impl Payload {
    /// The identity under which it is stamped.
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
            Self::Gone => unreachable!("whoever takes a payload puts another in its place before anybody looks"),
        }
    }
}

/// A partition's queue and how it counts.
#[derive(Debug)]
pub(super) struct Partition {
    pub(super) to: TopicPartition,
    pub(super) queue: VecDeque<Entry>,
    pub(super) sequence: Sequence,
    /// Whether a batch was accepted for it since [`Accumulator::forget_unused`] looked last.
    used: bool,
}

impl Partition {
    /// Where in the queue an entry is.
    pub(super) fn find(&self, id: EntryId) -> Option<usize> {
        self.queue.iter().position(|entry| entry.id == id)
    }

    /// The next one to send to this leader: the first that is not in flight. None while one behind it is: its answer comes
    /// first.
    pub(super) fn next(&self, leader: Option<i32>) -> Option<usize> {
        let next = self.queue.iter().position(|entry| entry.in_flight.is_none() && !entry.awaits_proof(leader))?;
        self.queue.iter().skip(next).all(|entry| entry.in_flight.is_none()).then_some(next)
    }

    /// This one was refused, perhaps: a broker that has forgotten us may take what is on its way behind it all the same.
    pub(super) fn may_be_passed(&mut self, at: usize) {
        let is_followed = |identity| self.queue.iter().skip(at + 1).any(|later| later.may_prove(identity));
        let passed_over = self.queue[at].payload.identity().is_some_and(is_followed);
        self.queue[at].passed_over |= passed_over;
    }

    /// The first batch that waits for proof, and none behind it can give it.
    pub(super) fn unproven(&self) -> Option<usize> {
        self.queue.iter().enumerate().position(|(at, entry)| {
            let identity = entry.payload.identity().filter(|_| entry.overtaken.is_some() && entry.in_flight.is_none());
            identity.is_some_and(|identity| !self.queue.iter().skip(at + 1).any(|later| later.may_prove(identity)))
        })
    }

    /// The first batch that has to be stamped anew: under a lost identity, and always refused. What may be in the log stays
    /// as it is, also behind a batch that is missing: brokers take no batch behind a gap, but one that has forgotten the
    /// producer sees no gap.
    pub(super) fn void(&self) -> Option<usize> {
        let lost = self.sequence.lost()?;
        self.queue.iter().position(|entry| {
            entry.payload.identity() == Some(lost) && entry.in_flight.is_none() && !entry.maybe_written
        })
    }
}

/// Everything that was accepted and is not through yet.
#[derive(Debug, Default)]
pub(super) struct Accumulator {
    partitions: Vec<Partition>,
    by_name: BTreeMap<TopicPartition, PartitionIndex>,
    /// Places of partitions that were taken out.
    free: Vec<PartitionIndex>,
    /// Partitions whose queue is not empty.
    pub(super) active: BTreeSet<PartitionIndex>,
    /// Those of the active ones that have to be looked at.
    runnable: BTreeSet<PartitionIndex>,
    /// The others, if it is not themselves that they wait for.
    parked: BTreeMap<BlockedOn, BTreeSet<PartitionIndex>>,
    /// Batches that are not through, each with the bytes that it counts for.
    unfinished: BTreeMap<BatchId, usize>,
    bytes: usize,
    next_batch: u64,
    next_entry: u64,
}

impl Accumulator {
    /// Takes a batch. The partition's index, and whether it is the only one in its queue.
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

    /// Takes out the partitions for which nothing was accepted since the last call and nothing is left. Gives the
    /// identities under which they counted, the latest of each.
    pub(super) fn forget_unused(&mut self) -> Vec<Identity> {
        let mut counted = Vec::new();
        let Self { partitions, by_name, free, .. } = self;
        by_name.retain(|_, index| {
            let partition = &mut partitions[*index];
            let keep = core::mem::take(&mut partition.used) || !partition.queue.is_empty();
            if !keep {
                counted.extend(partition.sequence.identity().filter(|identity| !counted.contains(identity)));
                free.push(*index);
            }
            keep
        });
        counted
    }

    /// Places that partitions take, or have taken.
    #[cfg(test)]
    pub(super) fn places(&self) -> usize {
        self.partitions.len()
    }

    /// Whether no partition is known.
    pub(super) fn is_unused(&self) -> bool {
        self.by_name.is_empty()
    }

    /// The partitions to be looked at, beginning with this one or the next.
    pub(super) fn ripe_from(&self, turn: PartitionIndex) -> Vec<PartitionIndex> {
        self.runnable.range(turn..).chain(self.runnable.range(..turn)).copied().collect()
    }

    /// Something of this partition has changed: look at it.
    pub(super) fn look_at(&mut self, index: PartitionIndex) {
        if self.active.contains(&index) {
            self.runnable.insert(index);
        }
    }

    /// It was looked at, and waits for this.
    pub(super) fn park(&mut self, index: PartitionIndex, awaited: BlockedOn) {
        self.runnable.remove(&index);
        if !matches!(awaited, BlockedOn::Itself | BlockedOn::Until(_)) {
            self.parked.entry(awaited).or_default().insert(index);
        }
    }

    /// What was waited for has come, or will not: those that waited are looked at.
    pub(super) fn wake(&mut self, has_come: impl Fn(&BlockedOn) -> bool) {
        let Self { parked, runnable, active, .. } = self;
        parked.retain(|awaited, waiting| {
            let stays = !has_come(awaited);
            if !stays {
                runnable.extend(waiting.intersection(active));
            }
            stays
        });
    }

    /// Whether some batch waits for metadata that names a leader.
    pub(super) fn lacks_leader(&self) -> bool {
        self.parked.get(&BlockedOn::Leader).is_some_and(|waiting| !waiting.is_disjoint(&self.active))
    }

    /// Whether it was looked at, and has not been woken since.
    #[cfg(debug_assertions)]
    pub(super) fn is_parked(&self, index: PartitionIndex) -> bool {
        !self.runnable.contains(&index)
    }

    /// A new entry, in no queue yet.
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

    /// Lets no partition stamp anything more under the identities that this refusal applies to. Returns those of the active
    /// ones that counted under one.
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

    /// Partitions of a topic.
    pub(super) fn of_topic(&self, topic: &str) -> Vec<PartitionIndex> {
        let first = TopicPartition::new(topic, i32::MIN);
        let range = self.by_name.range(first..).take_while(|(to, _)| to.topic == topic);
        range.map(|(_, &index)| index).collect()
    }

    /// Whether any partition of the topic is known.
    pub(super) fn knows(&self, topic: &str) -> bool {
        let first = TopicPartition::new(topic, i32::MIN);
        self.by_name.range(first..).next().is_some_and(|(to, _)| to.topic == topic)
    }

    /// Puts an entry into a queue, in this place.
    pub(super) fn insert(&mut self, index: PartitionIndex, at: usize, entry: Entry) {
        self.partitions[index].queue.insert(at, entry);
        self.active.insert(index);
        self.look_at(index);
    }

    /// Takes an entry out of its queue, wherever it stands.
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

    /// Takes the first entry out of any queue, and does nothing else: after a panic.
    pub(super) fn pop(&mut self) -> Option<(TopicPartition, Entry)> {
        self.partitions.iter_mut().find_map(|partition| {
            let entry = partition.queue.pop_front()?;
            Some((partition.to.clone(), entry))
        })
    }

    /// The topics of all that is not through.
    pub(super) fn topics(&self) -> BTreeSet<&str> {
        self.active.iter().map(|&index| self.partitions[index].to.topic.as_str()).collect()
    }

    /// A batch is through.
    pub(super) fn finish(&mut self, batch: BatchId) {
        if let Some(size) = self.unfinished.remove(&batch) {
            self.bytes -= size;
        }
    }

    /// Bytes that are on their way.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The oldest batch that is not through.
    pub(super) fn oldest(&self) -> Option<BatchId> {
        self.unfinished.keys().next().copied()
    }

    /// The batch that will be accepted next.
    pub(super) fn next_batch(&self) -> BatchId {
        BatchId(self.next_batch)
    }
}
