//! The events of the machine for the application, the ids in them, and their errors.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;
use core::num::NonZeroU32;
use core::time::Duration;

use super::cause::{BrokerAddress, Millis, PendingRequest, TimeoutCause};
use super::handshake::Versions;
use super::identity::ProducerIdError;
use super::io::Disconnect;
use super::mismatch::{ForeignProtocol, SecurityMismatch};
use super::scram::ScramError;
use crate::batch::SealedBatch;
use crate::delivery::Delivery;
use crate::due_to::DueTo;
use crate::failure::DeliveryError;
use crate::protocol::{ApiKey, BrokerError};
use crate::record::TopicPartition;
use crate::time::{Instant, Timestamp};

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
pub struct Clock {
    /// The moment on the monotonic clock.
    pub now: Instant,
    /// The same moment on the wall clock.
    pub wall: Timestamp,
}

/// How to close a producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
    /// The batch is in the log (with `acks=0`: it was written to the connection).
    Delivered {
        /// Which batch.
        batch: BatchId,
        /// Where it is, and the batch itself.
        delivery: Delivery,
    },
    /// The batch failed.
    Failed {
        /// Which batch.
        batch: BatchId,
        /// Why, what is known of its records, and the batch itself.
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
    /// A broker could not be reached, or a connection to it was lost. The machine retries by itself: this is for logs,
    /// and for telling users why nothing is delivered.
    ConnectionError(ConnectionError),
    /// A broker closed a connection on which nothing was pending. Brokers do that to idle connections
    /// (`connections.max.idle.ms` of the broker). It is no error: the next batch opens a new one.
    ClosedIdle {
        /// The broker, and how the connection ended.
        end: ConnectionError,
        /// How long nothing had been pending.
        idle: Duration,
    },
    /// The producer is closed. This is the last event.
    Closed,
}

/// A broker could not be reached, or a connection to it was lost.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionError {
    /// The address that the connection was made to.
    pub broker: BrokerAddress,
    /// What went wrong.
    pub kind: ConnectionErrorKind,
    /// The oldest request that was pending when the connection ended.
    pub pending: Option<PendingRequest>,
    /// How much of a response had arrived when the connection ended: bytes received, and the length of the response.
    pub partial: Option<(usize, usize)>,
    /// Set if `security.protocol` seems not to fit the port.
    pub mismatch: Option<SecurityMismatch>,
}

impl ConnectionError {
    pub(super) const fn new(broker: BrokerAddress, kind: ConnectionErrorKind) -> Self {
        Self { broker, kind, pending: None, partial: None, mismatch: None }
    }
}

impl fmt::Display for ConnectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { broker, kind, pending, partial, mismatch } = self;
        write!(f, "{broker}: ")?;
        match (kind, pending) {
            (ConnectionErrorKind::RequestTimeout, Some(request)) => {
                let verb = if request.is_answered { "answered" } else { "written" };
                write!(f, "{request} was not {verb} within {}", Millis(request.pending))?;
            }
            (ConnectionErrorKind::Disconnected { .. }, Some(request)) => {
                let verb = if request.is_answered { "unanswered" } else { "not written yet" };
                write!(f, "{kind} while {request} was {verb}")?;
            }
            _ => write!(f, "{kind}")?,
        }
        if let Some((length, claimed)) = partial {
            write!(f, " ({length} of {claimed} bytes of a response had come)")?;
        }
        mismatch.as_ref().map_or(Ok(()), |mismatch| write!(f, "; {mismatch}"))
    }
}

impl core::error::Error for ConnectionError {}

/// Why the number of partitions of a topic is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TopicLookupError {
    /// A broker answered with this error.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// No topic can have this name: it is empty, or longer than Kafka's 249 characters.
    #[error("no topic has a name that is empty or longer than 249 characters")]
    InvalidName,
    /// The broker refused the credentials, or its certificate is not trusted: a retry with the same settings cannot
    /// help.
    #[error("{0}")]
    NotLetIn(Box<ConnectionError>),
    /// No broker answered within `request.timeout.ms`.
    #[error("no answer came within request.timeout.ms{}", DueTo(cause.as_ref()))]
    TimedOut {
        /// What the lookup was waiting for, and the last error.
        cause: Option<Box<TimeoutCause>>,
    },
}

impl TopicLookupError {
    /// Returns `true` if another lookup may succeed.
    #[must_use]
    pub const fn is_retriable(&self) -> bool {
        match self {
            Self::Broker(error) => error.is_retriable(),
            Self::InvalidName | Self::NotLetIn(_) => false,
            Self::TimedOut { .. } => true,
        }
    }
}

/// The kind of a [`ConnectionError`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionErrorKind {
    /// The connection ended, or could not be established.
    #[error("{how}{}", DueTo(details.as_ref()))]
    Disconnected {
        /// How it ended.
        how: Disconnect,
        /// The message of the operating system or the TLS library, if the driver passed it on.
        details: Option<String>,
    },
    /// The connection was not established within `socket.connection.setup.timeout.ms`.
    #[error("could not connect within socket.connection.setup.timeout.ms")]
    SetupTimeout,
    /// A request was not answered within `request.timeout.ms`. [`ConnectionError::pending`] is the request.
    #[error("a request was not answered within request.timeout.ms")]
    RequestTimeout,
    /// The received bytes violate the protocol.
    #[error("it does not keep to the protocol: {0}")]
    Protocol(String),
    /// The first bytes received are not of Kafka's protocol.
    #[error("{0}")]
    Foreign(ForeignProtocol),
    /// The broker offers no version of this API that this client speaks.
    #[error("it offers no version of {0} that this client speaks ({versions})", versions = _0.versions())]
    Incompatible(ApiKey),
    /// The broker refused ApiVersions or the credentials, or requires a rebootstrap (KIP-1102).
    #[error(transparent)]
    Refused(#[from] BrokerError),
    /// SCRAM authentication failed, on either side.
    #[error("SCRAM: {0}")]
    Scram(ScramError),
    /// The response to InitProducerId has no usable producer id.
    #[error(transparent)]
    ProducerId(#[from] ProducerIdError),
}

impl From<ScramError> for ConnectionErrorKind {
    fn from(error: ScramError) -> Self {
        Self::Scram(error)
    }
}

impl ConnectionErrorKind {
    /// Returns `true` if the peer ended the connection, by an orderly shutdown or a reset.
    pub(super) const fn is_by_peer(&self) -> bool {
        matches!(self, Self::Disconnected { how: Disconnect::ByPeer | Disconnect::Broken, .. })
    }

    /// Returns `true` for authentication failures, of either side: a retry with the same credentials cannot help.
    #[must_use]
    pub const fn is_authentication(&self) -> bool {
        match self {
            Self::Refused(error) => matches!(error.api, ApiKey::SaslHandshake | ApiKey::SaslAuthenticate),
            Self::Scram(_) | Self::Disconnected { how: Disconnect::Untrusted, .. } => true,
            _ => false,
        }
    }
}

/// A batch that was not accepted. Nothing of it was sent; it is returned in [`batch`](Self::batch).
#[derive(Debug, thiserror::Error)]
#[error("the batch for {to} was not accepted: {reason}")]
#[non_exhaustive]
pub struct SendError {
    /// The partition that it was for.
    pub to: TopicPartition,
    /// Why it was not accepted.
    pub reason: SendErrorKind,
    /// The batch.
    pub batch: Box<SealedBatch>,
}

/// Why a batch was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendErrorKind {
    /// Too many bytes are unfinished. Send the batch again after the next event.
    #[error(
        "{waiting} bytes are unfinished, {needed} more exceed buffer.memory ({limit} bytes): send it again after an event"
    )]
    Full {
        /// Bytes of unfinished batches.
        waiting: usize,
        /// Bytes of this batch.
        needed: usize,
        /// The limit.
        limit: usize,
    },
    /// The batch is larger than `buffer.memory`.
    #[error("its {needed} bytes exceed buffer.memory ({limit} bytes): make smaller batches, or raise the setting")]
    NeverFits {
        /// Bytes of this batch.
        needed: usize,
        /// The limit.
        limit: usize,
    },
    /// The topic name or the partition number is invalid.
    #[error("no topic can have this name, or no partition this number")]
    Invalid,
    /// The producer was closed.
    #[error("the producer is closed")]
    Closed,
}

impl SendErrorKind {
    /// Returns `true` if sending the same batch again later may succeed.
    #[must_use]
    pub const fn is_retriable(self) -> bool {
        matches!(self, Self::Full { .. })
    }
}
