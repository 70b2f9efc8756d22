//! The cause of a timeout: what was waited for when it expired, and the last error before it.

use core::error::Error;
use core::fmt;
use core::time::Duration;

use super::broker_address::BrokerAddress;
use super::connection::ConnectionError;
use super::millis::Millis;
use super::pending_request::PendingRequest;
use crate::protocol::BrokerError;

/// What a batch, or the lookup of a topic, was waiting for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaitingFor {
    /// A connection that was being established.
    Connection {
        /// The broker.
        broker: BrokerAddress,
        /// How long the attempt had lasted.
        elapsed: Duration,
    },
    /// The next attempt to connect (`reconnect.backoff.ms`).
    Reconnect {
        /// The broker.
        broker: BrokerAddress,
    },
    /// The response to a request, in the handshake or after it.
    Response {
        /// The broker.
        broker: BrokerAddress,
        /// The request.
        request: PendingRequest,
    },
    /// The end of the broker's throttle time (KIP-219).
    Throttle {
        /// The broker.
        broker: BrokerAddress,
    },
    /// The next Produce request that `max.produce.requests.per.second` allows.
    RequestRate {
        /// The broker.
        broker: BrokerAddress,
    },
    /// A response to Metadata, while no broker was reachable; or metadata that names a leader of the partition.
    Metadata,
    /// A producer id, while no broker was reachable.
    ProducerId,
    /// The transaction coordinator, to which the partition had to be added first.
    Coordinator,
}

impl fmt::Display for WaitingFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection { broker, elapsed } => {
                write!(f, "waiting for a connection to {broker}, begun {} before", Millis(*elapsed))
            }
            Self::Reconnect { broker } => write!(f, "waiting to connect to {broker} again"),
            Self::Response { broker, request } if request.expects_response => {
                write!(f, "waiting for {broker} to answer {request}, sent {} before", Millis(request.elapsed))
            }
            Self::Response { broker, request } => {
                write!(f, "waiting to write {request} to {broker}, begun {} before", Millis(request.elapsed))
            }
            Self::Throttle { broker } => write!(f, "waiting because {broker} throttles this client"),
            Self::RequestRate { broker } => {
                write!(f, "waiting to send another request to {broker} (max.produce.requests.per.second)")
            }
            Self::Metadata => f.write_str("waiting for Metadata"),
            Self::Coordinator => f.write_str("waiting for the transaction coordinator (AddPartitionsToTxn)"),
            Self::ProducerId => f.write_str("waiting for a producer id (InitProducerId)"),
        }
    }
}

/// The last error before a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LastError {
    /// The error.
    pub error: LastErrorKind,
    /// How long before that moment it occurred.
    pub age: Duration,
}

/// An error after which the machine retried.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LastErrorKind {
    /// A connection failed.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// A broker answered with a retriable error.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// A broker no longer knows the topic, which existed before. Retried, because a broker can be behind the others, and because a
    /// topic of the same name may be created: batches without an outcome are sent to that one.
    #[error("the topic was deleted: {0}")]
    TopicDeleted(BrokerError),
}

/// Why a timeout expired: the cause in [`FailureReason::TimedOut`](crate::FailureReason::TimedOut) and
/// [`TopicLookupError::TimedOut`](super::TopicLookupError::TimedOut).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimeoutCause {
    /// What was waited for when the timeout expired, if it is known.
    pub waiting_for: Option<WaitingFor>,
    /// The last error before that, if there was one: of the request itself, of the topic in the last Metadata response, of the
    /// partition leader's connection or, while no leader is known, of any connection.
    pub last_error: Option<LastError>,
    /// Set if the batch was sent without a producer id although `enable.idempotence` is on, because the broker does not support
    /// InitProducerId: then it cannot recognise attempts that repeat an earlier one, and each may have been written.
    pub without_producer_id: bool,
}

impl TimeoutCause {
    /// Returns the last error before the timeout if it was one of a connection.
    #[must_use]
    pub const fn connection_error(&self) -> Option<&ConnectionError> {
        match &self.last_error {
            Some(LastError { error: LastErrorKind::Connection(error), .. }) => Some(error),
            _ => None,
        }
    }

    /// Returns the last error before the timeout if it was the response of a broker.
    #[must_use]
    pub const fn broker_error(&self) -> Option<&BrokerError> {
        match &self.last_error {
            Some(LastError { error: LastErrorKind::Broker(error) | LastErrorKind::TopicDeleted(error), .. }) => {
                Some(error)
            }
            _ => None,
        }
    }

    /// Returns `None` if nothing is known.
    pub(crate) fn new(waiting_for: Option<WaitingFor>, last_error: Option<LastError>) -> Option<Self> {
        let is_known = waiting_for.is_some() || last_error.is_some();
        is_known.then_some(Self { waiting_for, last_error, without_producer_id: false })
    }

    /// Sets whether the batch was sent without a producer id although idempotence is enabled.
    pub(crate) const fn sent_without_producer_id(mut self, without: bool) -> Self {
        self.without_producer_id = without;
        self
    }
}

impl fmt::Display for TimeoutCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { waiting_for, last_error, without_producer_id } = self;
        if let Some(waiting_for) = waiting_for {
            write!(f, "{waiting_for}")?;
        }
        if let Some(LastError { error, age }) = last_error {
            let separator = if waiting_for.is_some() { "; " } else { "" };
            write!(f, "{separator}last error {} before: {error}", Millis(*age))?;
        }
        if *without_producer_id {
            f.write_str(
                "; the batch has no producer id, which the broker does not support (InitProducerId), so each attempt may have been \
                 written",
            )?;
        }
        Ok(())
    }
}

impl Error for TimeoutCause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.last_error.as_ref()?.error.source()
    }
}
