//! A batch in the queue of its partition.

use alloc::boxed::Box;

use super::config::MachineConfig;
use super::event::BatchId;
use super::identity::Identity;
use super::io::ConnectionId;
use super::node::Node;
use super::sequence::StampOrder;
use super::unfinished::UnfinishedIndex;
use crate::batch::{KafkaBatch, SealedBatch, StampedBatch};
use crate::protocol::BrokerError;
use crate::record::TopicPartition;
use crate::time::{Instant, Timestamp};

/// The id of an [`Entry`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct EntryId(u64);

/// Assigns the ids of entries, which are never reused.
#[derive(Debug, Default)]
pub(super) struct EntryIds(u64);

impl EntryIds {
    pub(super) fn next(&mut self) -> EntryId {
        let id = EntryId(self.0);
        self.0 += 1;
        id
    }
}

/// A batch in the queue of its partition: an accepted batch, or a part of one that was split.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: EntryId,
    pub(super) batch: BatchId,
    /// The place of the accepted batch among the unfinished ones.
    pub(super) place: UnfinishedIndex,
    pub(super) origin: Origin,
    pub(super) payload: Payload,
    /// Once it is stamped: what was stamped before it in the partition, under the same identity.
    pub(super) order: StampOrder,
    /// When the batch was accepted.
    pub(super) accepted: Instant,
    /// When its first message was accepted, if it was gathered from messages; otherwise when it was itself.
    pub(super) opened: Instant,
    pub(super) failures: u32,
    pub(super) not_before: Instant,
    pub(super) in_flight: Option<ConnectionId>,
    /// Set once it, or what it is a part of, was sent.
    pub(super) was_sent: bool,
    /// Set once it was retried without backoff because its identity was refused. The next retry waits.
    pub(super) retried_without_backoff: bool,
    /// Some attempt may have been written, or may yet be.
    pub(super) maybe_written: bool,
    /// Set if a broker may have accepted a later batch without this one: this one failed while that was in flight, and
    /// a broker that has forgotten the producer accepts any sequence number. Then the acceptance of a later batch
    /// proves nothing about this one, and `refused_by` is not set any more.
    pub(super) maybe_skipped: bool,
    /// The broker that refused it as out of order although it may be in the log: see [`Entry::awaits_proof`]. `None`
    /// again once it is sent to another one, whose log may replace that broker's.
    pub(super) refused_by: Option<i32>,
    /// The last error after which it was retried.
    pub(super) last_error: Option<Box<BrokerError>>,
    /// When `last_error` occurred.
    pub(super) last_error_at: Instant,
    /// The node that did not answer an attempt, the last one that was not answered.
    pub(super) unanswered_by: Option<Node>,
}

impl Entry {
    /// Creates an entry, which is in no queue yet.
    pub(super) fn new(
        id: EntryId,
        batch: BatchId,
        place: UnfinishedIndex,
        origin: Origin,
        sealed: SealedBatch,
        accepted: Instant,
        opened: Instant,
    ) -> Box<Self> {
        Box::new(Self {
            id,
            batch,
            place,
            origin,
            payload: Payload::Sealed(sealed),
            order: StampOrder::default(),
            accepted,
            opened,
            failures: 0,
            not_before: Instant::START,
            in_flight: None,
            was_sent: false,
            retried_without_backoff: false,
            maybe_written: false,
            maybe_skipped: false,
            refused_by: None,
            last_error: None,
            last_error_at: Instant::START,
            unanswered_by: None,
        })
    }

    /// Returns when `delivery.timeout.ms` ends.
    pub(super) fn deadline(&self, config: &MachineConfig) -> Instant {
        self.accepted + config.delivery_timeout
    }

    /// Returns `true` if it is a part of a batch that was split.
    pub(super) fn is_part(&self) -> bool {
        matches!(self.origin, Origin::Part { .. })
    }

    /// Returns the position of its first record in the accepted batch.
    pub(super) fn position(&self) -> usize {
        match self.origin {
            Origin::Whole(_) => 0,
            Origin::Part { position } => position,
        }
    }

    /// Returns `true` if it is not sent while this broker leads. The broker has answered OUT_OF_ORDER_SEQUENCE_NUMBER
    /// although all earlier batches are in the log: most likely this one is in the log too, and the broker remembers
    /// only later batches, as after a restart. Later batches are still sent. If the broker accepts one of them, under
    /// the same identity and at an offset that leaves room for this one, this one is in the log too, because brokers
    /// accept nothing after a gap.
    pub(super) fn awaits_proof(&self, leader: Option<i32>) -> bool {
        self.refused_by.is_some() && self.refused_by == leader
    }

    /// Returns `true` if an attempt was not answered: that request may arrive, and be executed, at any later time. Once a
    /// further attempt is in the log, brokers take it for a duplicate.
    pub(super) fn may_arrive_late(&self) -> bool {
        self.unanswered_by.is_some()
    }

    /// Returns `true` if its outcome may yet prove that an earlier batch is in the log.
    pub(super) fn may_prove(&self, identity: Identity) -> bool {
        self.payload.identity() == Some(identity)
            && self.refused_by.is_none()
            && (self.maybe_written || self.in_flight.is_some())
    }

    /// Returns `true` if it is not stamped: it was never sent, or certainly no attempt was written.
    pub(super) fn is_unstamped(&self) -> bool {
        matches!(self.payload, Payload::Sealed(_)) && self.in_flight.is_none() && self.refused_by.is_none()
    }
}

/// What an entry is of the accepted batch.
#[derive(Debug)]
pub(super) enum Origin {
    /// All of it. Its destination, as the application has passed it, is returned with the outcome.
    Whole(TopicPartition),
    /// A part of it, after it was split.
    Part {
        /// The position of its first record in the accepted batch.
        position: usize,
    },
}

/// The batch of an entry, by its state.
#[derive(Debug)]
pub(super) enum Payload {
    /// It has never been sent, or certainly no attempt was written.
    Sealed(SealedBatch),
    /// These bytes were sent, and are sent again on a retry.
    Stamped(StampedBatch, Option<Identity>),
    /// It could not be converted or sealed, and will fail or be split.
    Open(Box<KafkaBatch>),
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

    /// Returns the largest timestamp of its records, if it is stamped.
    pub(super) fn latest_timestamp(&self) -> Option<Timestamp> {
        match self {
            Self::Stamped(batch, _) => batch.latest_timestamp(),
            Self::Sealed(_) | Self::Open(_) | Self::Gone => None,
        }
    }

    pub(super) fn into_batch(self) -> KafkaBatch {
        match self {
            Self::Sealed(batch) => batch.into_batch(),
            Self::Stamped(batch, _) => batch.into_batch(),
            Self::Open(batch) => *batch,
            Self::Gone => unreachable!("a payload is replaced in the function that takes it"),
        }
    }
}
