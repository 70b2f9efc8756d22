//! Gathers single messages in batches: which batch takes a record, when a batch is full, and when it is due. No clock, no
//! locks, no I/O: times are parameters, and due batches are returned.
//!
//! A partition has at most one open batch. It is due when it waits for no further messages: `linger.ms` has passed since its
//! first record, it is full, or memory is scarce. A due batch is taken at the driver's next poll, so that records between two
//! polls share it, if fewer than `max_unfinished` batches of the partition were taken and have no outcome. Otherwise it
//! continues to gather until one of them completes, or for [`MAX_HOLD`]. Thus batches grow with the load, and a message that
//! comes alone is sent at once. A batch that has no room for the next record is taken at once.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use kafka_batch_core::machine::SendReason;
use kafka_batch_core::partitioner::partition_for_key;
use kafka_batch_core::{Append, AppendError, Destination, KafkaBatch, Record, Timestamp, TopicPartition};

use crate::completion::{Completer, PendingRecord};

/// The longest that a due batch waits for unfinished ones. Bounds the time between the acceptance of a message and the
/// start of `delivery.timeout.ms` of its batch.
pub(crate) const MAX_HOLD: Duration = Duration::from_millis(100);

/// The open batches of all partitions, and the number of unfinished ones of each.
#[derive(Debug)]
pub(crate) struct Gathering {
    linger: Duration,
    max_unfinished: usize,
    /// The topics with a partition in use, by name.
    topic_indices: HashMap<Arc<str>, TopicIndex>,
    /// By [`TopicIndex`]. `None` is free.
    topics: Vec<Option<Topic>>,
    free_topics: Vec<TopicIndex>,
    /// The topic of the last message: most likely that of the next one, too.
    last_topic: TopicIndex,
    /// By [`PartitionIndex`]. `None` is free.
    partitions: Vec<Option<Partition>>,
    free_partitions: Vec<PartitionIndex>,
    /// The number of the next batch.
    next_number: u64,
    /// Batches to be taken at the driver's next poll. Like the queues of deadlines, it can have batches that were taken before.
    ready: VecDeque<(PartitionIndex, u64)>,
    /// When `linger.ms` ends, in order, since all batches have the same.
    linger_deadlines: VecDeque<Deadline>,
    /// When batches are taken at the latest, in order.
    latest_deadlines: VecDeque<Deadline>,
}

/// The index of a partition, valid while it has an open batch or unfinished ones.
pub(crate) type PartitionIndex = usize;

type TopicIndex = usize;

#[derive(Debug)]
struct Topic {
    name: Arc<str>,
    /// The number of partitions, if it was checked since a batch of the topic was taken.
    partition_count: Option<NonZeroU32>,
    /// The partition for messages without a key, until its batch is taken (KIP-480).
    sticky: Option<i32>,
    partitions: BTreeMap<i32, PartitionIndex>,
    /// The partition of the last message, one of `partitions`.
    last: Option<(i32, PartitionIndex)>,
}

#[derive(Debug)]
struct Partition {
    topic: TopicIndex,
    partition: i32,
    open: Option<Open>,
    /// The number of batches that were taken and have no outcome yet.
    unfinished: usize,
}

#[derive(Debug)]
struct Open {
    number: u64,
    batch: KafkaBatch,
    completer: Completer,
    /// When its first message was accepted.
    opened: Instant,
    /// Why it waits for no further messages: `linger.ms` has passed, it is full, or memory is scarce. `None` while it waits.
    due: Option<SendReason>,
    /// Whether it is in `ready`.
    is_ready: bool,
}

#[derive(Clone, Copy, Debug)]
struct Deadline {
    at: Instant,
    partition: PartitionIndex,
    number: u64,
}

/// A batch that was taken, to be sent. It is unfinished until [`Gathering::on_completed`].
#[derive(Debug)]
pub(crate) struct MessageBatch {
    pub(crate) partition: PartitionIndex,
    pub(crate) to: TopicPartition,
    pub(crate) batch: KafkaBatch,
    pub(crate) completer: Completer,
    /// Why it gathers no more messages.
    pub(crate) reason: SendReason,
    /// When its first message was accepted.
    pub(crate) opened: Instant,
}

/// The outcome of [`Gathering::append`].
#[derive(Debug)]
pub(crate) enum GatherOutcome {
    /// The record is in the open batch, which has grown by `bytes`. `wakes` is set if the driver has to look at the
    /// batches or at the next deadline.
    Appended { pending: PendingRecord, bytes: usize, wakes: bool },
    /// The open batch is full, and was taken. The record is in no batch: choose a partition, and append it again.
    Full(Box<MessageBatch>),
}

impl Gathering {
    /// Returns a value without batches. `max_unfinished` is at least 1.
    pub(crate) fn new(linger: Duration, max_unfinished: usize) -> Self {
        Self {
            linger,
            max_unfinished: max_unfinished.max(1),
            topic_indices: HashMap::new(),
            topics: Vec::new(),
            free_topics: Vec::new(),
            last_topic: 0,
            partitions: Vec::new(),
            free_partitions: Vec::new(),
            next_number: 0,
            ready: VecDeque::new(),
            linger_deadlines: VecDeque::new(),
            latest_deadlines: VecDeque::new(),
        }
    }

    /// Returns the partition of a message: the requested one, that of its key, or the sticky one, which `pick` chooses.
    /// `partition_count` returns the number of partitions of the topic, and is called if it was not checked for a while.
    ///
    /// `None` if the number is unknown, or the requested partition is beyond it.
    pub(crate) fn route(
        &mut self,
        to: Destination<'_>,
        key: Option<&[u8]>,
        partition_count: impl FnOnce() -> Option<NonZeroU32>,
        pick: impl FnOnce(NonZeroU32) -> i32,
    ) -> Option<PartitionIndex> {
        let topic_index = self.topic_index(to.topic);
        let topic = topic_index.and_then(|index| self.topics[index].as_ref());
        let exists = |count: NonZeroU32| to.partition.is_none_or(|partition| (partition as u32) < count.get());
        let count = match topic.and_then(|topic| topic.partition_count).filter(|&count| exists(count)) {
            Some(count) => count,
            None => partition_count().filter(|&count| exists(count))?,
        };
        let topic_index = topic_index.unwrap_or_else(|| self.insert_topic(to.topic));
        self.last_topic = topic_index;
        let topic = self.topics[topic_index].as_mut()?;
        topic.partition_count = Some(count);
        let partition = match (to.partition, key) {
            (Some(partition), _) => partition,
            (None, Some(key)) => partition_for_key(key, count),
            (None, None) => *topic.sticky.get_or_insert_with(|| pick(count)),
        };
        if let Some((_, id)) = topic.last.filter(|(last, _)| *last == partition) {
            return Some(id);
        }
        if let Some(&id) = topic.partitions.get(&partition) {
            topic.last = Some((partition, id));
            return Some(id);
        }
        let id = self.free_partitions.pop().unwrap_or(self.partitions.len());
        topic.partitions.insert(partition, id);
        topic.last = Some((partition, id));
        let new = Some(Partition { topic: topic_index, partition, open: None, unfinished: 0 });
        match self.partitions.get_mut(id) {
            Some(place) => *place = new,
            None => self.partitions.push(new),
        }
        Some(id)
    }

    /// Finds a topic. Comparing the name with that of the last message takes less time than hashing it.
    #[inline]
    fn topic_index(&self, name: &str) -> Option<TopicIndex> {
        match self.topics.get(self.last_topic) {
            Some(Some(last)) if *last.name == *name => Some(self.last_topic),
            _ => self.topic_indices.get(name).copied(),
        }
    }

    fn insert_topic(&mut self, name: &str) -> TopicIndex {
        let name: Arc<str> = name.into();
        let topic = Some(Topic {
            name: Arc::clone(&name),
            partition_count: None,
            sticky: None,
            partitions: BTreeMap::new(),
            last: None,
        });
        let id = match self.free_topics.pop() {
            Some(id) => {
                self.topics[id] = topic;
                id
            }
            None => {
                self.topics.push(topic);
                self.topics.len() - 1
            }
        };
        self.topic_indices.insert(name, id);
        id
    }

    /// Appends a record to the open batch of a partition, at this time, which is that of a record without one. `waker` is
    /// taken and called once the outcome is known, if the record was appended. `new_batch` returns a new batch, and the time from which it lingers.
    ///
    /// # Errors
    /// The record cannot be in the batch: see [`AppendError`].
    pub(crate) fn append(
        &mut self,
        id: PartitionIndex,
        record: &Record<'_>,
        timestamp: Timestamp,
        waker: &mut Option<Waker>,
        new_batch: impl FnOnce() -> (KafkaBatch, Instant),
    ) -> Result<GatherOutcome, AppendError> {
        let (linger, number) = (self.linger, self.next_number);
        let partition = self.partitions[id].as_mut().expect("it is in use");
        let topics = &self.topics;
        let mut opened = None;
        let open = partition.open.get_or_insert_with(|| {
            let (batch, now) = new_batch();
            opened = Some(now);
            let topic = topics[partition.topic].as_ref().expect("it has a partition in use");
            let completer = Completer::new(TopicPartition::new(&*topic.name, partition.partition));
            let due = linger.is_zero().then_some(SendReason::Linger);
            Open { number, batch, completer, opened: now, due, is_ready: false }
        });
        let before = if opened.is_some() { 0 } else { open.batch.size() };
        open.batch.set_now(timestamp);
        let appended = match open.batch.append(record) {
            Ok(Append::Appended(appended)) => appended,
            Ok(Append::Full(_)) if opened.is_none() => {
                return Ok(GatherOutcome::Full(Box::new(self.take(id, Some(SendReason::Full)).expect("it is open"))));
            }
            Ok(Append::Full(_)) => {
                unreachable!("an empty batch takes any record that a batch with its settings can hold")
            }
            Err(error) => {
                if opened.is_some() {
                    partition.open = None;
                }
                self.remove_if_unused(id);
                return Err(error);
            }
        };
        let bytes = open.batch.size() - before;
        let position = appended.offset as usize; // there are no gaps
        let pending = open.completer.pending(position, appended.timestamp).expect("it is not completed");
        if let Some(waker) = waker.take() {
            open.completer.register(position, waker);
        }
        // A full batch does not wait for the record that does not fit.
        let is_full = open.batch.room() == 0;
        if is_full {
            open.due = Some(SendReason::Full);
        }
        let mut wakes = is_full && self.set_ready(id, true);
        if let Some(now) = opened {
            self.next_number += 1;
            wakes |= self.begin(id, number, now);
        }
        Ok(GatherOutcome::Appended { pending, bytes, wakes })
    }

    /// Sets the deadlines of a new batch. Returns whether the driver has to know.
    fn begin(&mut self, partition: PartitionIndex, number: u64, now: Instant) -> bool {
        let after = |linger: Duration| now.checked_add(linger).map(|at| Deadline { at, partition, number });
        let (until, hold) = (after(self.linger), after(self.linger.saturating_add(MAX_HOLD)));
        let is_first = self.next_deadline().is_none();
        if !self.linger.is_zero() {
            self.linger_deadlines.extend(until);
        }
        self.latest_deadlines.extend(hold);
        self.set_ready(partition, false) || is_first
    }

    /// Ends the linger of the open batch of a partition, if it has one. Returns whether the driver has to know.
    pub(crate) fn set_due(&mut self, id: PartitionIndex) -> bool {
        let Some(Some(Partition { open: Some(open), .. })) = self.partitions.get_mut(id) else { return false };
        open.due.get_or_insert(SendReason::Memory);
        self.set_ready(id, false)
    }

    /// Moves a due batch to `ready`, if the number of unfinished batches allows it. Returns whether it was moved.
    fn set_ready(&mut self, id: PartitionIndex, is_forced: bool) -> bool {
        let Some(partition) = &mut self.partitions[id] else { return false };
        let Some(open) = &mut partition.open else { return false };
        if open.due.is_none() || open.is_ready || !(is_forced || partition.unfinished < self.max_unfinished) {
            return false;
        }
        open.is_ready = true;
        self.ready.push_back((id, open.number));
        true
    }

    /// Takes the open batch of a partition, if it has one: for this reason or, with `None`, for the one that it is due for.
    fn take(&mut self, id: PartitionIndex, reason: Option<SendReason>) -> Option<MessageBatch> {
        let partition = self.partitions.get_mut(id)?.as_mut()?;
        let Open { batch, completer, opened, due, .. } = partition.open.take()?;
        let reason = reason.or(due).unwrap_or(SendReason::Linger);
        partition.unfinished += 1;
        let topic = self.topics[partition.topic].as_mut()?;
        topic.partition_count = None;
        topic.sticky = topic.sticky.filter(|&sticky| sticky != partition.partition);
        let to = TopicPartition::new(&*topic.name, partition.partition);
        Some(MessageBatch { partition: id, to, batch, completer, reason, opened })
    }

    /// Takes the open batch of a partition, if it has one, to be sent before what follows.
    pub(crate) fn take_of(&mut self, topic: &str, partition: i32) -> Option<MessageBatch> {
        let topic = self.topics[self.topic_index(topic)?].as_ref()?;
        let id = *topic.partitions.get(&partition)?;
        self.take(id, Some(SendReason::Flush))
    }

    /// Takes any open batch: for a flush, or if memory is scarce.
    pub(crate) fn take_all(&mut self, reason: SendReason) -> Vec<MessageBatch> {
        self.ready.clear();
        self.linger_deadlines.clear();
        self.latest_deadlines.clear();
        (0..self.partitions.len()).filter_map(|id| self.take(id, Some(reason))).collect()
    }

    /// Returns `true` if [`take_ready`](Self::take_ready) would return a batch.
    pub(crate) fn has_ready(&mut self, now: Instant) -> bool {
        while let Some(deadline) = self.linger_deadlines.pop_front_if_due(now) {
            if self.open(deadline).map(|open| open.due.get_or_insert(SendReason::Linger)).is_some() {
                self.set_ready(deadline.partition, false);
            }
        }
        while let Some(deadline) = self.latest_deadlines.pop_front_if_due(now) {
            if self.open(deadline).map(|open| open.due.get_or_insert(SendReason::Linger)).is_some() {
                self.set_ready(deadline.partition, true);
            }
        }
        while let Some(&(id, number)) = self.ready.front() {
            let open = self.partitions[id].as_ref().and_then(|partition| partition.open.as_ref());
            if open.is_some_and(|open| open.number == number) {
                return true;
            }
            self.ready.pop_front(); // it was taken before
        }
        false
    }

    /// Takes the next batch to be sent.
    pub(crate) fn take_ready(&mut self, now: Instant) -> Option<MessageBatch> {
        if !self.has_ready(now) {
            return None;
        }
        let (id, _) = self.ready.pop_front()?;
        self.take(id, None)
    }

    /// Returns when [`take_ready`](Self::take_ready) has to be called again, if nothing happens before. It may be too early.
    pub(crate) fn next_deadline(&mut self) -> Option<Instant> {
        for is_hold in [false, true] {
            while let Some(&first) = if is_hold { self.latest_deadlines.front() } else { self.linger_deadlines.front() }
            {
                if self.open(first).is_some() {
                    break;
                }
                if is_hold {
                    self.latest_deadlines.pop_front()
                } else {
                    self.linger_deadlines.pop_front()
                };
            }
        }
        self.linger_deadlines.front().into_iter().chain(self.latest_deadlines.front()).map(|deadline| deadline.at).min()
    }

    fn open(&mut self, Deadline { partition, number, .. }: Deadline) -> Option<&mut Open> {
        self.partitions.get_mut(partition)?.as_mut()?.open.as_mut().filter(|open| open.number == number)
    }

    /// Records that a batch that was taken is complete. A batch that waited for it can be taken now.
    pub(crate) fn on_completed(&mut self, id: PartitionIndex) {
        if let Some(partition) = &mut self.partitions[id] {
            partition.unfinished -= 1;
        }
        self.set_ready(id, false);
        self.remove_if_unused(id);
    }

    /// Returns `true` if no partition is in use.
    pub(crate) fn is_empty(&self) -> bool {
        self.topic_indices.is_empty()
    }

    /// Removes a partition to which nothing was appended after all.
    pub(crate) fn forget_if_unused(&mut self, id: PartitionIndex) {
        if self.partitions.get(id).is_some_and(Option::is_some) {
            self.remove_if_unused(id);
        }
    }

    fn remove_if_unused(&mut self, id: PartitionIndex) {
        let place = &mut self.partitions[id];
        let Some(Partition { topic, partition, .. }) =
            place.take_if(|partition| partition.open.is_none() && partition.unfinished == 0)
        else {
            return;
        };
        self.free_partitions.push(id);
        let Some(entry) = &mut self.topics[topic] else { return };
        entry.partitions.remove(&partition);
        entry.last = entry.last.filter(|(last, _)| *last != partition);
        if entry.partitions.is_empty() {
            self.topic_indices.remove(&entry.name);
            self.topics[topic] = None;
            self.free_topics.push(topic);
        }
    }
}

trait PopDue {
    /// Removes and returns the first deadline, if it has passed.
    fn pop_front_if_due(&mut self, now: Instant) -> Option<Deadline>;
}

impl PopDue for VecDeque<Deadline> {
    fn pop_front_if_due(&mut self, now: Instant) -> Option<Deadline> {
        if self.front()?.at <= now { self.pop_front() } else { None }
    }
}

#[cfg(test)]
mod tests;
