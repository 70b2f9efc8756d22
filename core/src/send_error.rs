//! Why a batch was not accepted, and why a flush ended early.

use alloc::boxed::Box;
use alloc::string::String;
use core::error::Error;
use core::fmt;
use core::time::Duration;

use crate::batch::{KafkaBatch, SealErrorReason};
use crate::cause::{ConnectionError, Limit, TimeoutCause};
use crate::counted::Counted;
use crate::due_to::DueTo;
use crate::one_line::OneLine;
use crate::protocol::{BrokerError, ErrorCode};
use crate::record::TopicPartition;
use crate::transport_error::TransportError;

/// Why a batch was not accepted. Nothing of it was sent, and the error has the batch.
#[derive(Debug)]
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

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the batch for {} was not accepted: {}", self.to, self.reason)
    }
}

impl Error for SendError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.reason.source()
    }
}

/// Why a batch was not accepted, or a topic's partitions are unknown.
#[derive(Debug)]
#[non_exhaustive]
pub enum SendErrorReason {
    /// The batch could not be sealed: it is empty or too large, or the codec failed.
    Seal(SealErrorReason),
    /// The keys in the batch route to another partition than the requested one.
    RoutedElsewhere {
        /// The partition of its keys.
        routed: i32,
        /// The requested partition.
        requested: i32,
    },
    /// No topic can have this name.
    InvalidTopic {
        /// The requested topic.
        topic: String,
    },
    /// No partition can have this number.
    InvalidPartition {
        /// The topic.
        topic: String,
        /// The requested partition, which is negative.
        partition: i32,
    },
    /// The topic does not exist.
    UnknownTopic {
        /// The topic.
        topic: String,
    },
    /// The topic has no such partition.
    UnknownPartition {
        /// The topic.
        topic: String,
        /// The requested partition.
        partition: i32,
        /// The number of partitions of the topic.
        partitions: u32,
    },
    /// The batch is larger than `buffer.memory`, so that there can never be room for it.
    ExceedsBufferMemory {
        /// The size of the sealed batch in bytes.
        size: usize,
        /// `buffer.memory` in bytes.
        limit: usize,
    },
    /// The call has waited for `max.block.ms`.
    Blocked {
        /// The value of that setting.
        limit: Duration,
        /// What it waited for.
        on: BlockedOn,
    },
    /// No broker responds.
    NoBroker {
        /// The addresses that were tried.
        brokers: String,
        /// The last failure.
        cause: NoBrokerCause,
    },
    /// A broker refused, for example because the producer is not authorized to write to the topic.
    Broker {
        /// The topic.
        topic: String,
        /// The broker's error, and the API that returned it.
        error: BrokerError,
    },
    /// Authentication failed, on either side. Retrying with the same credentials and certificates fails again.
    Authentication(AuthenticationError),
    /// The producer is closed.
    Closed,
    /// The producer's task has ended before the producer was closed, because its runtime was shut down, or
    /// because it panicked. Retrying with the same producer always fails.
    Stopped,
    /// An error that is particular to the transport.
    Transport(TransportError),
}

impl fmt::Display for SendErrorReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seal(reason) => reason.fmt(f),
            Self::RoutedElsewhere { routed, requested } => write!(
                f,
                "the keys in the batch route to partition {routed}, but partition {requested} was requested: request \
                 partition {routed}, or none"
            ),
            Self::InvalidTopic { topic } => {
                write!(f, "topic {topic:?} cannot exist: the name of a topic has 1 to 249 characters")
            }
            Self::InvalidPartition { topic, partition } => write!(
                f,
                "topic {topic:?} cannot have partition {partition}: partitions are numbered from 0; request one of them, \
                 or none, for one that the producer chooses"
            ),
            Self::UnknownTopic { topic } => write!(
                f,
                "topic {topic:?} does not exist; create it, or let the broker create topics (auto.create.topics.enable)"
            ),
            Self::UnknownPartition { topic, partition, partitions } => {
                let last = partitions.saturating_sub(1);
                write!(
                    f,
                    "topic {topic:?} has partitions 0 to {last}, but partition {partition} was requested: request one of them, or \
                     none, or add partitions"
                )
            }
            Self::ExceedsBufferMemory { size, limit } => write!(
                f,
                "the batch has {size} bytes, which exceeds buffer.memory ({limit}): make smaller batches, or raise it"
            ),
            Self::Blocked { limit, on } => {
                write!(f, "the call has waited for {on} for {}", Limit("max.block.ms", *limit))
            }
            Self::NoBroker { brokers, cause } => write!(f, "no broker responds ({}): {cause}", OneLine(brokers)),
            Self::Broker { topic, error } => write!(f, "topic {topic:?}: {error}"),
            Self::Authentication(error) => write!(f, "authentication failed: {error}"),
            Self::Closed => f.write_str(CLOSED),
            Self::Stopped => f.write_str(STOPPED),
            Self::Transport(error) => error.fmt(f),
        }
    }
}

impl Error for SendErrorReason {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Seal(reason) => reason.source(),
            Self::NoBroker { cause, .. } => cause.source(),
            Self::Broker { error, .. } => error.source(),
            Self::Authentication(error) => error.source(),
            Self::Transport(error) => error.source(),
            Self::RoutedElsewhere { .. }
            | Self::InvalidTopic { .. }
            | Self::InvalidPartition { .. }
            | Self::UnknownTopic { .. }
            | Self::UnknownPartition { .. }
            | Self::ExceedsBufferMemory { .. }
            | Self::Blocked { .. }
            | Self::Closed
            | Self::Stopped => None,
        }
    }
}

impl From<SealErrorReason> for SendErrorReason {
    fn from(reason: SealErrorReason) -> Self {
        Self::Seal(reason)
    }
}

impl From<TransportError> for SendErrorReason {
    fn from(error: TransportError) -> Self {
        Self::Transport(error)
    }
}

/// The text of each variant `Closed` of a batch that was not accepted.
pub(crate) const CLOSED: &str = "the producer is closed; build a new one";

/// The text of each variant `Stopped`.
pub(crate) const STOPPED: &str = "the producer's task has ended before the producer was closed (its runtime was shut \
                                  down, or it panicked): build a new producer on a running runtime";

impl SendErrorReason {
    /// Checks a batch and its destination as far as that needs no broker: the batch has records, its keys route to the
    /// requested partition, and that is not negative. Every transport calls this first.
    ///
    /// # Errors
    /// [`Seal`](Self::Seal) with [`SealErrorReason::Empty`], [`RoutedElsewhere`](Self::RoutedElsewhere) or
    /// [`InvalidPartition`](Self::InvalidPartition).
    pub fn check(batch: &KafkaBatch, to: &TopicPartition) -> Result<(), Self> {
        if batch.is_empty() {
            return Err(SealErrorReason::Empty.into());
        }
        Self::check_routing(batch, to.partition)?;
        Self::check_partition(&to.topic, to.partition)
    }

    /// Checks that a partition can exist: its number is not negative.
    ///
    /// # Errors
    /// [`InvalidPartition`](Self::InvalidPartition).
    pub fn check_partition(topic: &str, partition: i32) -> Result<(), Self> {
        if partition < 0 { Err(Self::InvalidPartition { topic: topic.into(), partition }) } else { Ok(()) }
    }

    /// Checks that the keys of a batch do not [route](crate::BatchOptions::route_by_key) it to another partition than
    /// `requested`.
    ///
    /// # Errors
    /// [`RoutedElsewhere`](Self::RoutedElsewhere).
    pub const fn check_routing(batch: &KafkaBatch, requested: i32) -> Result<(), Self> {
        match batch.routed_partition() {
            Some(routed) if routed != requested => Err(Self::RoutedElsewhere { routed, requested }),
            _ => Ok(()),
        }
    }

    /// Returns the broker's error code, if a broker responded with an error.
    #[must_use]
    pub const fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Broker { error, .. } => Some(error.code),
            _ => None,
        }
    }

    /// Returns the error of a connection that caused this, if it is known: a failed authentication, or the last error before
    /// a timeout.
    /// The module [`error`](crate::error) has an example.
    #[must_use]
    pub fn connection_error(&self) -> Option<&ConnectionError> {
        match self {
            Self::NoBroker { cause: NoBrokerCause::TimedOut { cause, .. }, .. } => cause.as_ref()?.connection_error(),
            Self::Authentication(AuthenticationError::Connection(error)) => Some(error),
            _ => None,
        }
    }

    /// Returns `true` if sending the same batch again may succeed.
    #[must_use]
    pub const fn is_retriable(&self) -> bool {
        match self {
            Self::Blocked { .. }
            | Self::NoBroker { .. }
            | Self::UnknownTopic { .. }
            | Self::UnknownPartition { .. } => true,
            Self::Broker { error, .. } => error.is_retriable(),
            _ => false,
        }
    }
}

/// What a call waits for before a batch or a message is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BlockedOn {
    /// Room in `buffer.memory`.
    BufferMemory,
    /// The metadata of a topic.
    Metadata,
}

impl fmt::Display for BlockedOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BufferMemory => "room in buffer.memory",
            Self::Metadata => "the metadata of the topic",
        })
    }
}

/// Why no broker responds.
#[derive(Debug)]
#[non_exhaustive]
pub enum NoBrokerCause {
    /// No response arrived within `request.timeout.ms`.
    TimedOut {
        /// The value of that setting.
        limit: Duration,
        /// What was waited for, and the last error before.
        cause: Option<Box<TimeoutCause>>,
    },
    /// The transport's own error, as over librdkafka.
    Transport(TransportError),
}

impl fmt::Display for NoBrokerCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut { limit, cause } => {
                let limit = Limit("request.timeout.ms", *limit);
                write!(f, "no response arrived within {limit}{}", DueTo(cause.as_ref()))
            }
            Self::Transport(error) => error.fmt(f),
        }
    }
}

impl Error for NoBrokerCause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::TimedOut { cause, .. } => cause.as_ref()?.source(),
            Self::Transport(error) => error.source(),
        }
    }
}

impl From<TransportError> for NoBrokerCause {
    fn from(error: TransportError) -> Self {
        Self::Transport(error)
    }
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
#[derive(Debug)]
#[non_exhaustive]
pub struct FlushError {
    /// The number of records without an outcome; 0 if it is not known.
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

impl fmt::Display for FlushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { outstanding, reason } = self;
        match outstanding {
            0 => write!(f, "the flush ended early: {reason}"),
            &count => write!(f, "the flush ended early, with {} in flight: {reason}", Counted(count, "record")),
        }
    }
}

impl Error for FlushError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.reason.source()
    }
}

/// Why a flush ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FlushErrorReason {
    /// The producer's task has ended before the producer was closed.
    #[error("{STOPPED}")]
    Stopped,
    /// An error that is particular to the transport.
    #[error(transparent)]
    Transport(#[from] TransportError),
}
