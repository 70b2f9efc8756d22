//! What the application hears from the machine, and the names it uses for what it has handed over.

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
use crate::failure::{DeliveryError, DueTo};
use crate::protocol::{ApiKey, BrokerError};
use crate::record::TopicPartition;
use crate::time::{Instant, Timestamp};

/// A batch that was accepted. Numbered in the order of acceptance, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchId(pub(super) u64);

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "batch {}", self.0)
    }
}

/// A call of [`Machine::flush`](super::Machine::flush). Numbered in the order of the calls, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlushId(pub(super) u64);

/// The driver's two clocks at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// The moment, as the driver counts it.
    pub now: Instant,
    /// The same moment on the wall clock.
    pub wall: Timestamp,
}

/// How to close a producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseMode {
    /// See everything through that was accepted, one way or the other, and then close.
    Graceful,
    /// Fail whatever is not through yet, truthfully, and close.
    Immediate,
}

/// What the application hears.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// The batch is in the log (with `acks=0`: was written to the connection).
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
    /// Everything that was accepted before the flush is through.
    Flushed(FlushId),
    /// What the cluster says of a topic that was [looked up](super::Machine::lookup_topic).
    Topic {
        /// The topic.
        topic: String,
        /// How many partitions it has, or why that is not known.
        partitions: Result<NonZeroU32, TopicLookupError>,
    },
    /// A broker was reached, and it is known what to speak with it. For logs, and for batches that are still to be made:
    /// [`Versions::magic`] is the format that this broker takes.
    Ready {
        /// The broker's host.
        host: String,
        /// The broker's port.
        port: u16,
        /// What is spoken on this connection.
        versions: Versions,
    },
    /// A broker could not be reached, or a connection to it was lost. The machine tries again by itself: this is for logs,
    /// and for telling people why nothing gets through.
    ConnectionErrorKind(ConnectionError),
    /// A broker closed a connection on which nothing was pending. Brokers do that to idle connections
    /// (`connections.max.idle.ms` of the broker): the next batch makes a new one, and nothing is amiss.
    ClosedIdle {
        /// The broker, and how the connection ended.
        end: ConnectionError,
        /// How long nothing had been pending.
        idle: Duration,
    },
    /// The producer is closed: nothing comes after this.
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
    /// How much of a response had come when the connection ended: bytes, and how many it was to have.
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

/// Why it is not known how many partitions a topic has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TopicLookupError {
    /// A broker said so.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// No topic can have this name: it is empty, or longer than Kafka's 249 characters.
    #[error("no topic has a name that is empty or longer than 249 characters")]
    InvalidName,
    /// A broker does not let us in, or is not to be trusted: with the same credentials no retry can help.
    #[error("{0}")]
    NotLetIn(Box<ConnectionError>),
    /// Nobody answered within `request.timeout.ms`.
    #[error("no answer came within request.timeout.ms{}", DueTo(cause.as_ref()))]
    TimedOut {
        /// What the lookup was waiting for, and the last error.
        cause: Option<Box<TimeoutCause>>,
    },
}

impl TopicLookupError {
    /// Whether asking again can help.
    #[must_use]
    pub const fn is_retriable(&self) -> bool {
        match self {
            Self::Broker(error) => error.is_retriable(),
            Self::InvalidName | Self::NotLetIn(_) => false,
            Self::TimedOut { .. } => true,
        }
    }
}

/// What can go wrong with a connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionErrorKind {
    /// It ended, or never came about.
    #[error("{how}{}", DueTo(details.as_ref()))]
    Disconnected {
        /// How it ended.
        how: Disconnect,
        /// What the system or the TLS library said of it, if the driver passed that on.
        details: Option<String>,
    },
    /// It did not come about within `socket.connection.setup.timeout.ms`.
    #[error("could not connect within socket.connection.setup.timeout.ms")]
    SetupTimeout,
    /// A request was not answered within `request.timeout.ms`. [`ConnectionError::pending`] says which.
    #[error("a request was not answered within request.timeout.ms")]
    RequestTimeout,
    /// What came is not what the protocol prescribes.
    #[error("it does not keep to the protocol: {0}")]
    Protocol(String),
    /// The first bytes that came are not Kafka's protocol.
    #[error("{0}")]
    Foreign(ForeignProtocol),
    /// The broker offers no version of this API that this client speaks.
    #[error("it offers no version of {0} that this client speaks ({versions})", versions = _0.versions())]
    Incompatible(ApiKey),
    /// It refused to say what it speaks, or the credentials; or told us to begin anew with the bootstrap servers (KIP-1102).
    #[error(transparent)]
    Refused(#[from] BrokerError),
    /// With SCRAM, it did not believe us, or was not to be believed.
    #[error("SCRAM: {0}")]
    Scram(ScramError),
    /// Its response to InitProducerId has no producer id that can be used.
    #[error(transparent)]
    ProducerId(#[from] ProducerIdError),
}

impl From<ScramError> for ConnectionErrorKind {
    fn from(error: ScramError) -> Self {
        Self::Scram(error)
    }
}

impl ConnectionErrorKind {
    /// Whether the other side ended the connection, in order or not.
    pub(super) const fn is_by_peer(&self) -> bool {
        matches!(self, Self::Disconnected { how: Disconnect::ByPeer | Disconnect::Broken, .. })
    }

    /// Whether it is about who we are, or they: then trying again with the same credentials does not help.
    #[must_use]
    pub const fn is_authentication(&self) -> bool {
        match self {
            Self::Refused(error) => matches!(error.api, ApiKey::SaslHandshake | ApiKey::SaslAuthenticate),
            Self::Scram(_) | Self::Disconnected { how: Disconnect::Untrusted, .. } => true,
            _ => false,
        }
    }
}

/// A batch that was not accepted. Nothing of it was sent, and it comes back.
#[derive(Debug, thiserror::Error)]
#[error("the batch for {to} was not accepted: {reason}")]
#[non_exhaustive]
pub struct SendError {
    /// Where it should have gone.
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
    /// Too many bytes are on their way already. Hand it over again after the next event.
    #[error("{waiting} bytes are on their way and {needed} more are over the limit of {limit} (buffer.memory)")]
    Full {
        /// Bytes that are on their way.
        waiting: usize,
        /// Bytes of this batch.
        needed: usize,
        /// The limit.
        limit: usize,
    },
    /// It is larger than all that may be on its way at once.
    #[error("its {needed} bytes are over the limit of {limit} (buffer.memory) already alone")]
    NeverFits {
        /// Bytes of this batch.
        needed: usize,
        /// The limit.
        limit: usize,
    },
    /// No topic can have this name, or no partition this number.
    #[error("no topic has such a name, or no partition such a number")]
    Invalid,
    /// The producer was closed.
    #[error("the producer is closed")]
    Closed,
}

impl SendErrorKind {
    /// Whether handing the same batch over again, later, can help.
    #[must_use]
    pub const fn is_retriable(self) -> bool {
        matches!(self, Self::Full { .. })
    }
}
