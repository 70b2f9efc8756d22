//! The events of the machine for the application, the ids in them, and their errors.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;
use core::num::NonZeroU32;
use core::time::Duration;

use super::connection_id::ConnectionId;
use super::notice::{Change, Retry};
use super::transactions::{OffsetsId, TransactionState};
use super::versions::Versions;
use crate::batch::SealedBatch;
use crate::cause::{ConnectionError, TopicLookupError};
use crate::delivery::Delivery;
use crate::failure::DeliveryError;
use crate::protocol::BrokerError;
use crate::record::TopicPartition;
use crate::send_error::CLOSED;
use crate::time::{Instant, Timestamp};
use crate::transaction::{AbortError, BeginError, CommitError, InitTransactionsError, SendOffsetsError};

/// The id of an accepted batch. Ids count up from 0 in the order of acceptance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchId(pub(super) u64);

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "batch {}", self.0)
    }
}

/// The id of a call of [`Machine::flush`](super::Machine::flush). Ids count up from 0 in the order of the calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlushId(pub(super) u64);

/// The driver's two clocks at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
// Exhaustive on purpose: it is made by drivers, and there are no other clocks.
pub struct Clock {
    /// The moment on the monotonic clock.
    pub now: Instant,
    /// The same moment on the wall clock.
    pub wall: Timestamp,
}

/// How to close a producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseMode {
    /// Close once every accepted batch was delivered or has failed.
    Graceful,
    /// Fail all unfinished batches, each with what is known of its records, and close.
    Immediate,
}

/// An event for the application.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// The batch is in the log (with `acks=0`: it was sent).
    Delivered {
        /// The id that [`Machine::send`](super::Machine::send) returned.
        id: BatchId,
        /// The offsets of its records, and the batch.
        delivery: Delivery,
    },
    /// The batch failed.
    Failed {
        /// The id that [`Machine::send`](super::Machine::send) returned.
        id: BatchId,
        /// The reason, the fate of its records, and the batch.
        error: DeliveryError,
    },
    /// Every batch that was accepted before the flush was delivered or has failed.
    Flushed(FlushId),
    /// The result for a topic that was [looked up](super::Machine::lookup_topic).
    Topic {
        /// The topic.
        topic: String,
        /// How many partitions it has, or why that is not known.
        partitions: Result<NonZeroU32, TopicLookupError>,
    },
    /// The result of a command of transactions.
    Transaction(TransactionEvent),
    /// A connection to a broker is ready, and the versions to use on it are known. For logs, and for batches that are
    /// yet to be built: [`Versions::magic`] is the format that this broker takes.
    Ready {
        /// The broker's host.
        host: String,
        /// The broker's port.
        port: u16,
        /// The API versions used on this connection.
        versions: Versions,
    },
    /// A token of OAUTHBEARER is needed: get one, and pass it to [`Machine::set_token`](super::Machine::set_token), or the
    /// error of trying. Connections that need it wait for it. This event is not repeated before.
    TokenRequired,
    /// A connection was authenticated again at the end of its session (KIP-368). For logs.
    Reauthenticated {
        /// The broker's host.
        host: String,
        /// The broker's port.
        port: u16,
    },
    /// A broker could not be reached, or a connection to it was lost. The machine retries by itself: this is for logs,
    /// and for telling users why nothing is delivered.
    ConnectionError(ConnectionError),
    /// A broker closed a connection on which nothing was pending. Brokers do that to idle connections
    /// (`connections.max.idle.ms` of the broker). It is no error: the next batch opens a new one.
    ClosedIdle {
        /// The broker, and how the connection ended.
        error: ConnectionError,
        /// How long nothing had been pending.
        idle: Duration,
    },
    /// What the machine has done or found out, if [`MachineConfig::notices`](super::MachineConfig::notices) is set. For logs, metrics
    /// and traces.
    Notice(Notice),
    /// A broker refuses the telemetry of this client (KIP-714), and no more is pushed. For logs.
    TelemetryRefused(BrokerError),
    /// The producer is closed. This is the last event.
    Closed,
}

/// What the machine does or finds out by itself. Reported as [`Event::Notice`], if
/// [`MachineConfig::notices`](super::MachineConfig::notices) is set. Nothing has to be done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// A batch is sent, in a request that is one of the next outputs. A batch that was split is sent in parts.
    Sent {
        /// The id that [`Machine::send`](super::Machine::send) returned.
        id: BatchId,
        /// The connection of the request.
        connection: ConnectionId,
        /// The node id of the broker, which is the leader of the partition.
        broker: i32,
        /// How often the batch is sent with this, beginning with 1.
        attempt: u32,
    },
    /// An attempt to send a batch has failed, and the batch will be sent again.
    Retry {
        /// The id that [`Machine::send`](super::Machine::send) returned.
        id: BatchId,
        /// The failed attempt.
        retry: Retry,
    },
    /// Something has changed that concerns more than one batch.
    Change(Change),
}

/// The result of a command of transactions: exactly one for each command that was accepted.
#[derive(Debug)]
#[non_exhaustive]
pub enum TransactionEvent {
    /// The result of [`Machine::init_transactions`](super::Machine::init_transactions).
    Initialized(Result<(), InitTransactionsError>),
    /// The result of [`Machine::begin_transaction`](super::Machine::begin_transaction).
    Begun(Result<(), BeginError>),
    /// The result of [`Machine::send_offsets`](super::Machine::send_offsets).
    OffsetsSent {
        /// The id that the method returned.
        id: OffsetsId,
        /// Whether the offsets are in the transaction.
        result: Result<(), SendOffsetsError>,
    },
    /// The result of [`Machine::commit_transaction`](super::Machine::commit_transaction).
    Committed(Result<(), CommitError>),
    /// The result of [`Machine::abort_transaction`](super::Machine::abort_transaction).
    Aborted(Result<(), AbortError>),
}

/// A command of transactions that is not possible in the present state, and had no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", InvalidState(*state))]
#[non_exhaustive]
pub struct InvalidTransactionState {
    /// The state, or `None` if the producer has no `transactional.id`.
    pub state: Option<TransactionState>,
}

/// Displays why a command is not possible.
struct InvalidState(Option<TransactionState>);

impl fmt::Display for InvalidState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(state) => write!(f, "this is not possible now: {state}"),
            None => f.write_str("the producer has no transactional.id: set one for transactions"),
        }
    }
}

/// A batch that was not accepted. Nothing of it was sent; it is returned in [`batch`](Self::batch).
#[derive(Debug, thiserror::Error)]
#[error("the batch for {to} was not accepted: {kind}")]
#[non_exhaustive]
pub struct MachineSendError {
    /// The partition that it was for.
    pub to: TopicPartition,
    /// Why it was not accepted.
    pub kind: MachineSendErrorKind,
    /// The batch.
    pub batch: Box<SealedBatch>,
}

/// Why a batch was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MachineSendErrorKind {
    /// Too many bytes are unfinished. Send the batch again after the next event.
    #[error(
        "{buffered} bytes are buffered, and the {needed} of this batch would exceed buffer.memory ({limit} bytes): send it \
         again after the next event"
    )]
    Full {
        /// Bytes of unfinished batches.
        buffered: usize,
        /// Bytes of this batch.
        needed: usize,
        /// The limit.
        limit: usize,
    },
    /// The batch is larger than `buffer.memory`.
    #[error("its {needed} bytes exceed buffer.memory ({limit} bytes): make smaller batches, or raise the setting")]
    ExceedsBufferMemory {
        /// Bytes of this batch.
        needed: usize,
        /// The limit.
        limit: usize,
    },
    /// No topic can have this name: it is empty, or longer than Kafka's 249 characters.
    #[error("the name of a topic has 1 to 249 characters")]
    InvalidTopic,
    /// No partition can have this number: it is negative.
    #[error("partitions are numbered from 0")]
    InvalidPartition,
    /// The producer has a `transactional.id`, and no transaction is open.
    #[error("no transaction is open: begin one")]
    NoTransaction,
    /// The transaction can only be aborted, because an earlier batch of it has failed or its offsets were refused.
    #[error("the transaction cannot be committed any more: abort it, and begin again")]
    TransactionAborted,
    /// The producer was closed.
    #[error("{CLOSED}")]
    Closed,
}

impl MachineSendErrorKind {
    /// Returns `true` if sending the same batch again later may succeed.
    #[must_use]
    pub const fn is_retriable(self) -> bool {
        matches!(self, Self::Full { .. })
    }
}
