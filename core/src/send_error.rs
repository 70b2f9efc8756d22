//! Why a batch was not accepted, and why a flush ended early.

use alloc::boxed::Box;
use alloc::string::String;

use crate::batch::{KafkaBatch, SealErrorReason};
use crate::cause::{ConnectionError, TimeoutCause};
use crate::due_to::DueTo;
use crate::protocol::BrokerError;
use crate::record::TopicPartition;
use crate::transport_error::TransportError;

/// Why a batch was not accepted. Nothing of it was sent, and the error has the batch.
#[derive(Debug, thiserror::Error)]
#[error("the batch for {to} was not accepted: {reason}")]
#[non_exhaustive]
pub struct SendError {
    /// The topic and partition.
    pub to: TopicPartition,
    /// The reason.
    pub reason: SendErrorReason,
    /// The batch.
    pub batch: Box<KafkaBatch>,
}

impl SendError {
    /// Creates the error.
    #[must_use]
    pub fn new(to: TopicPartition, reason: SendErrorReason, batch: KafkaBatch) -> Self {
        Self { to, reason, batch: Box::new(batch) }
    }

    /// Returns `true` if sending the same batch again may succeed.
    #[must_use]
    pub const fn is_retriable(&self) -> bool {
        self.reason.is_retriable()
    }
}

/// Why a batch was not accepted, or a topic's partitions are unknown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendErrorReason {
    /// The batch could not be sealed: it is empty or too large, or the codec failed.
    #[error(transparent)]
    Seal(#[from] SealErrorReason),
    /// The keys in the batch route to another partition than the requested one.
    #[error("the keys in the batch route to partition {routed}, but partition {requested} was requested")]
    RoutedElsewhere {
        /// The partition of its keys.
        routed: i32,
        /// The requested partition.
        requested: i32,
    },
    /// No topic can have this name.
    #[error("no topic can be called {topic:?}: a name has 1 to 249 characters (letters, digits, '.', '_' and '-')")]
    InvalidTopic {
        /// The requested topic.
        topic: String,
    },
    /// The topic does not exist.
    #[error("topic {topic:?} does not exist; create it, or let the broker create topics (auto.create.topics.enable)")]
    UnknownTopic {
        /// The topic.
        topic: String,
    },
    /// The topic has no such partition.
    #[error(
        "topic {topic:?} has partitions 0 to {}, but partition {partition} was requested",
        partitions.saturating_sub(1)
    )]
    UnknownPartition {
        /// The topic.
        topic: String,
        /// The requested partition.
        partition: i32,
        /// The number of partitions of the topic.
        partitions: u32,
    },
    /// The batch is larger than `buffer.memory`, so that there can never be room for it.
    #[error("the batch has {size} bytes, which exceeds buffer.memory ({limit}): make smaller batches, or raise it")]
    ExceedsBufferMemory {
        /// The size of the sealed batch in bytes.
        size: usize,
        /// `buffer.memory` in bytes.
        limit: usize,
    },
    /// No broker responds.
    #[error("no broker responds ({brokers}): {cause}")]
    NoBroker {
        /// The addresses that were tried.
        brokers: String,
        /// The last failure.
        cause: NoBrokerCause,
    },
    /// A broker refused, for example because the producer is not authorized to write to the topic.
    #[error("topic {topic:?}: {error}")]
    Broker {
        /// The topic.
        topic: String,
        /// The broker's error, and the API that returned it.
        error: BrokerError,
    },
    /// Authentication failed, on either side. Retrying with the same credentials and certificates fails again.
    #[error("authentication failed: {0}")]
    Authentication(AuthenticationError),
    /// The producer is closed.
    #[error("the producer is closed")]
    Closed,
    /// The task that sends batches has ended before the producer was closed, because its runtime was shut down, or
    /// because it panicked. Retrying with the same producer always fails.
    #[error("{STOPPED}")]
    Stopped,
    /// An error that is particular to the transport.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

/// The text of each variant `Stopped`.
pub(crate) const STOPPED: &str = "the producer's task has ended before the producer was closed (its runtime was shut \
                                  down, or it panicked): build a new producer on a running one";

impl SendErrorReason {
    /// Checks that the keys of a batch do not [route](crate::BatchOptions::route_by_key) it to another partition than
    /// `requested`. Every transport calls this first.
    ///
    /// # Errors
    /// [`RoutedElsewhere`](Self::RoutedElsewhere).
    pub const fn check_routing(batch: &KafkaBatch, requested: i32) -> Result<(), Self> {
        match batch.routed_partition() {
            Some(routed) if routed != requested => Err(Self::RoutedElsewhere { routed, requested }),
            _ => Ok(()),
        }
    }

    /// Returns `true` if sending the same batch again may succeed.
    #[must_use]
    pub const fn is_retriable(&self) -> bool {
        match self {
            Self::NoBroker { .. } | Self::UnknownTopic { .. } | Self::UnknownPartition { .. } => true,
            Self::Broker { error, .. } => error.is_retriable(),
            _ => false,
        }
    }
}

/// Why no broker responds.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoBrokerCause {
    /// No response arrived within `request.timeout.ms`.
    #[error("no answer came within request.timeout.ms{}", DueTo(_0.as_ref()))]
    TimedOut(Option<Box<TimeoutCause>>),
    /// The transport's own error, as over librdkafka.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

/// Why authentication failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthenticationError {
    /// A broker refused the credentials or the client's certificate, or the broker's certificate is not trusted.
    #[error(transparent)]
    Connection(#[from] Box<ConnectionError>),
    /// The transport's own error, as over librdkafka.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

/// Why a flush ended before every batch had an outcome.
#[derive(Debug, thiserror::Error)]
#[error("{outstanding} records were still in flight when the flush ended: {reason}")]
#[non_exhaustive]
pub struct FlushError {
    /// The number of records without an outcome.
    pub outstanding: usize,
    /// The reason.
    pub reason: FlushErrorReason,
}

impl FlushError {
    /// Creates the error.
    #[must_use]
    pub const fn new(outstanding: usize, reason: FlushErrorReason) -> Self {
        Self { outstanding, reason }
    }
}

/// Why a flush ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FlushErrorReason {
    /// The task that sends batches has ended before the producer was closed.
    #[error("{STOPPED}")]
    Stopped,
    /// An error that is particular to the transport.
    #[error(transparent)]
    Transport(#[from] TransportError),
}
