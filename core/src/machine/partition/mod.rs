//! A partition: its queue and its sequence numbers. Events go in, as method calls: a batch was accepted, was sent, has a
//! result, or has timed out. Effects come out, which the machine applies. Nothing else changes the queue.
//!
//! Its files: what may be sent next, and sending it (this file); [responses](responses); [outcomes](outcomes).

mod outcomes;
mod responses;
#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::fmt;

pub(super) use self::outcomes::{Effect, FailedEntry, LogPosition, SplitEntry};
pub(super) use self::responses::{ProduceResult, ReceivedResponse};
use super::config::MachineConfig;
use super::entry::{Entry, EntryId, EntryIds, Payload};
use super::event::BatchId;
use super::identity::Identity;
use super::identity_manager::{IdentityManager, RefusalScope};
use super::index::TopicIndex;
use super::io::ConnectionId;
use super::node::Node;
use super::queue::Queue;
use super::sequence::Sequence;
use super::stats::SentCounter;
use super::versions::Versions;
use crate::batch::{Stamp, StampedBatch};
use crate::splitmix64::SplitMix64;
use crate::time::Instant;

/// What a partition waits for before it can send its next batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BlockedOn {
    /// An event of the partition itself: a response, or another batch.
    OwnEvent,
    /// The end of its retry backoff.
    Until(Instant),
    /// Metadata that names its leader.
    Leader,
    /// Any metadata, since leaders may move; or an event of the partition itself.
    Metadata,
    /// A connection to its leader.
    Node(Node),
    /// Capacity on this connection, or the end of its throttle time.
    Capacity(ConnectionId),
    /// A producer id, which can be requested on this connection.
    Identity(ConnectionId),
    /// AddPartitionsToTxn: the partition is not in the transaction yet.
    AddPartitions,
    /// The markers of the last transaction.
    Markers,
    /// Nothing that helps: its leader lacks the Produce version that the transaction needs, which can only be aborted.
    ProduceVersion,
}

/// A partition's queue and its sequence numbers.
#[derive(Debug)]
pub(super) struct Partition {
    topic: Arc<str>,
    pub(super) topic_index: TopicIndex,
    number: i32,
    queue: Queue,
    sequence: Sequence,
    /// Whether a batch was accepted for it since the last call of [`Partition::take_used`].
    used: bool,
    /// Whether its queue was not empty when the accumulator last recorded that.
    pub(super) is_active: bool,
    /// The leader, by the metadata with this revision.
    pub(super) leader: (u64, Option<i32>),
    /// The last leader that was known, for reports of changes.
    last_leader: Option<i32>,
    /// The serial number of the last transaction that it was added to.
    added_to: u64,
}

/// What a transition needs besides the partition itself, and where it puts its effects.
pub(super) struct TransitionContext<'m> {
    pub(super) config: &'m MachineConfig,
    pub(super) now: Instant,
    pub(super) random: &'m mut SplitMix64,
    pub(super) ids: &'m mut EntryIds,
    pub(super) effects: &'m mut VecDeque<Effect>,
}

impl TransitionContext<'_> {
    fn effect(&mut self, effect: Effect) {
        self.effects.push_back(effect);
    }
}

/// The connection over which a partition could send, and the broker that it leads to.
#[derive(Clone, Copy, Debug)]
pub(super) struct SendPath {
    pub(super) connection: ConnectionId,
    pub(super) broker: i32,
    pub(super) versions: Versions,
    /// Whether batches are sent with a producer id.
    pub(super) is_idempotent: bool,
    /// Whether batches are sent in a transaction.
    pub(super) is_transactional: bool,
    /// The serial number of the transaction that a partition must be added to before a batch is sent to it.
    pub(super) must_be_added_to: Option<u64>,
    /// Whether a partition's first batch under a producer id and epoch must have sequence number 0, so that no later one can be
    /// written before it: with `transaction.version` 2 (KIP-890).
    pub(super) begins_at_zero: bool,
    /// Whether the markers of the last transaction are still to be written.
    pub(super) awaits_markers: bool,
}

impl Partition {
    pub(super) fn new(topic: Arc<str>, topic_index: TopicIndex, number: i32) -> Self {
        Self {
            topic,
            topic_index,
            number,
            queue: Queue::default(),
            sequence: Sequence::default(),
            used: false,
            is_active: false,
            leader: (0, None),
            last_leader: None,
            added_to: 0,
        }
    }

    pub(super) fn topic(&self) -> &str {
        &self.topic
    }

    pub(super) fn number(&self) -> i32 {
        self.number
    }

    /// Records the leader by the metadata with this revision. Returns the last known leader, if this is another one.
    pub(super) fn set_leader(&mut self, revision: u64, leader: Option<i32>) -> Option<i32> {
        self.leader = (revision, leader);
        let previous = leader.and_then(|leader| self.last_leader.replace(leader));
        previous.filter(|_| previous != leader)
    }

    /// Returns the name of the topic, to be kept.
    pub(super) fn shared_topic(&self) -> Arc<str> {
        Arc::clone(&self.topic)
    }

    /// Returns the batch of the entry at this position, and how often it has failed.
    pub(super) fn failures(&self, at: usize) -> Option<(BatchId, u32)> {
        self.queue.get(at).map(|entry| (entry.batch, entry.failures))
    }

    /// Compares two partitions by topic and number.
    pub(super) fn compare(&self, other: &Self) -> core::cmp::Ordering {
        let topics = if self.topic_index == other.topic_index {
            core::cmp::Ordering::Equal
        } else {
            self.topic.cmp(&other.topic)
        };
        topics.then(self.number.cmp(&other.number))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Returns the oldest entry.
    pub(super) fn oldest(&self) -> Option<&Entry> {
        self.queue.get(0)
    }

    /// Appends a batch.
    pub(super) fn accept(&mut self, entry: Box<Entry>) {
        self.used = true;
        self.queue.push(entry);
    }

    /// Returns whether the partition is in use: a batch was accepted since the last call, or is queued.
    pub(super) fn take_used(&mut self) -> bool {
        core::mem::take(&mut self.used) || !self.queue.is_empty()
    }

    /// Returns the last identity that it has stamped a batch under.
    pub(super) fn identity(&self) -> Option<Identity> {
        self.sequence.identity()
    }

    /// Returns the position of the next entry to send to this leader: the first that is not in flight. `None` while a
    /// later one is in flight, whose response must arrive first.
    pub(super) fn next(&self, leader: Option<i32>) -> Option<usize> {
        let mut window = self.queue.window();
        let next = window.find(|(_, entry)| entry.in_flight.is_none() && !entry.awaits_proof(leader));
        match next {
            Some((at, _)) => window.all(|(_, entry)| entry.in_flight.is_none()).then_some(at),
            None => self.queue.first_after_window(),
        }
    }

    /// Returns the leader to which the next entry may be sent, whatever the state of the connections, and its position.
    ///
    /// # Errors
    /// What the partition is blocked on.
    pub(super) fn next_leader(&self, leader: Option<i32>, now: Instant) -> Result<(i32, usize), BlockedOn> {
        let at = self.next(leader).ok_or(BlockedOn::OwnEvent)?;
        let not_before = self.queue.get(at).map_or(now, |entry| entry.not_before);
        if not_before > now {
            return Err(BlockedOn::Until(not_before));
        }
        leader.map(|leader| (leader, at)).ok_or(BlockedOn::Leader)
    }

    /// Returns the position of the next entry, if it may be sent on this path now.
    ///
    /// # Errors
    /// What the partition is blocked on.
    pub(super) fn sendable(&self, path: &SendPath, identities: &IdentityManager) -> Result<usize, BlockedOn> {
        let at = self.next(Some(path.broker)).ok_or(BlockedOn::OwnEvent)?;
        self.may_send(at, path, identities).map(|()| at)
    }

    /// Checks that the entry at this position, which is the [next](Self::next), may be sent on this path now.
    ///
    /// # Errors
    /// What the partition is blocked on.
    pub(super) fn may_send(&self, at: usize, path: &SendPath, identities: &IdentityManager) -> Result<(), BlockedOn> {
        let &SendPath { connection, broker, versions, is_idempotent, must_be_added_to, begins_at_zero, .. } = path;
        let entry = self.queue.get(at).ok_or(BlockedOn::OwnEvent)?;
        if must_be_added_to.is_some_and(|serial| serial != self.added_to) {
            return Err(BlockedOn::AddPartitions);
        }
        if path.awaits_markers {
            return Err(BlockedOn::Markers);
        }
        // Entries that this retransmission may prove to be in the log do not block it. A new batch proves nothing, so
        // they do block it.
        let is_retransmission = entry.payload.identity().is_some();
        let earlier = || {
            let before = self.queue.window().take(at).map(|(_, entry)| entry);
            before.filter(|entry| !(is_retransmission && entry.awaits_proof(Some(broker))))
        };
        // Nothing is sent to a new leader before the old one has responded, unless the old one leads again.
        if earlier().any(|entry| entry.in_flight != Some(connection)) {
            return Err(BlockedOn::Metadata);
        }
        let identity = match &entry.payload {
            Payload::Stamped(batch, identity) if batch.magic() == versions.magic() => *identity,
            // It may be in the log under its sequence, and a broker this old cannot detect the duplicate. Wait: a newer
            // broker may become leader.
            Payload::Stamped(_, Some(_)) if entry.maybe_written => return Err(BlockedOn::Metadata),
            _ if !is_idempotent => None,
            _ => Some(identities.usable_by(&self.sequence).ok_or(BlockedOn::Identity(connection))?),
        };
        // Pipelined only after batches whose sequences the broker checks. A new batch also only while the broker still
        // remembers the first of those (it keeps the last five per producer): else it could not detect its duplicate.
        let oldest = self.queue.get(0).map_or(0, |entry| entry.order.batches_before);
        let is_next_in_sequence = |identity: Identity| {
            (begins_at_zero || self.sequence.is_confirmed(identity, broker))
                && earlier().all(|entry| entry.payload.identity() == Some(identity))
                && (is_retransmission || self.sequence.is_remembered(oldest))
        };
        if earlier().next().is_none() || identity.is_some_and(is_next_in_sequence) {
            Ok(())
        } else {
            Err(BlockedOn::Metadata)
        }
    }

    /// Returns `true` if unsent batches need a producer id that is not available.
    pub(super) fn waits_for_identity(&self, identities: &IdentityManager) -> bool {
        let is_unstamped = |entry: &Entry| matches!(entry.payload, Payload::Sealed(_));
        let unstamped =
            self.queue.first_after_window().is_some() || self.queue.window().any(|(_, entry)| is_unstamped(entry));
        unstamped && identities.usable_by(&self.sequence).is_none()
    }

    /// Returns `true` if there is an entry after this position.
    pub(super) fn has_after(&self, at: usize) -> bool {
        self.queue.get(at + 1).is_some()
    }

    /// Returns the size of the entry at this position, in bytes.
    pub(super) fn size(&self, at: usize) -> usize {
        self.queue.get(at).map_or(0, |entry| entry.payload.size())
    }

    /// Stamps the entry at this position, which is sent over this path next, unless it is stamped already.
    pub(super) fn stamp(&mut self, at: usize, path: &SendPath, identities: &IdentityManager) {
        let Self { queue, sequence, .. } = self;
        let identity = identities.usable_by(sequence).filter(|_| path.is_idempotent);
        queue.update(at, |entry| {
            let count = entry.payload.record_count();
            let payload = core::mem::replace(&mut entry.payload, Payload::Gone);
            entry.payload = match (payload, identity) {
                (Payload::Sealed(batch), Some(identity)) => {
                    let (first, order) = sequence.assign(identity, count);
                    entry.order = order;
                    let stamp = Stamp::NONE.producer(identity.id, identity.epoch, first);
                    let stamp = stamp.transactional(path.is_transactional);
                    let stamped = batch
                        .stamp(stamp)
                        .expect("is_idempotent implies magic 2, and prepare() has put the batch into it");
                    Payload::Stamped(stamped, Some(identity))
                }
                (Payload::Sealed(batch), None) => Payload::Stamped(batch.without_producer_id(), None),
                (payload, _) => payload,
            };
        });
    }

    /// Returns the stamped batch at this position.
    pub(super) fn stamped(&self, at: usize) -> Option<&StampedBatch> {
        match &self.queue.get(at)?.payload {
            Payload::Stamped(batch, _) => Some(batch),
            Payload::Sealed(_) | Payload::Open(_) | Payload::Gone => None,
        }
    }

    /// Records that the entry at this position is in flight from now on, and counts it in `sent`. Returns its id.
    #[inline]
    pub(super) fn on_sent(
        &mut self,
        at: usize,
        connection: ConnectionId,
        now: Instant,
        sent: &mut SentCounter,
    ) -> EntryId {
        self.queue.update(at, |entry| {
            entry.in_flight = Some(connection);
            entry.refused_by = None;
            let is_first = !core::mem::replace(&mut entry.was_sent, true);
            if let Payload::Stamped(batch, _) = &entry.payload {
                let waited = is_first.then(|| now.nanos_since(entry.opened));
                sent.count(batch.record_count(), batch.size(), waited);
            }
            entry.id
        })
    }

    /// Records that the partition was added to the transaction with this serial number.
    pub(super) fn on_added_to(&mut self, serial: u64) {
        self.added_to = serial;
    }

    /// Records that the topic was recreated: its brokers do not know the producer.
    pub(super) fn on_recreated(&mut self) {
        self.sequence.clear_confirmation();
    }

    /// Stops using an identity that this refusal applies to. Returns `true` if it used one.
    pub(super) fn stop_using(&mut self, scope: RefusalScope) -> bool {
        let own = self.sequence.identity().filter(|&own| scope.applies_to(own));
        own.inspect(|&own| self.sequence.record_gap(own)).is_some()
    }

    /// Removes the oldest entry, and does nothing else: for use after a panic.
    pub(super) fn pop(&mut self) -> Option<Box<Entry>> {
        self.queue.remove(0)
    }

    #[cfg(debug_assertions)]
    pub(super) fn assert_window(&self) {
        self.queue.assert_window();
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.number)
    }
}
