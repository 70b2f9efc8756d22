//! The cause of a timeout: what was waited for when it passed, and the last error before it.

use alloc::string::String;
use core::fmt;
use core::time::Duration;

use super::event::ConnectionError;
use crate::protocol::{ApiKey, BrokerError};

/// The address of a broker, and its id if it is known. Of a bootstrap server only the address is known.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BrokerAddress {
    /// The broker's node id.
    pub id: Option<i32>,
    /// Host name or IP address.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl BrokerAddress {
    pub(super) const fn new(id: Option<i32>, host: String, port: u16) -> Self {
        Self { id, host, port }
    }
}

impl fmt::Display for BrokerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, host, port } = self;
        if let Some(id) = id {
            write!(f, "broker {id} at ")?;
        }
        let host = host.replace(char::is_control, "?"); // a broker may advertise any string
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// A request that is not complete: not answered yet or, if it has no response (`acks=0`), not written yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PendingRequest {
    /// The API.
    pub api: ApiKey,
    /// The version of the API.
    pub version: i16,
    /// Whether the broker responds to it. With `acks=0` there is no response to Produce.
    pub is_answered: bool,
    /// How long it has been pending.
    pub pending: Duration,
}

impl fmt::Display for PendingRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} v{}", self.api.name(), self.version)
    }
}

/// What a batch, or the lookup of a topic, was waiting for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaitingFor {
    /// A connection that was being established.
    Connection {
        /// The broker.
        broker: BrokerAddress,
        /// How long the attempt had lasted.
        pending: Duration,
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
    /// A response to Metadata, while no broker was reachable; or metadata that names a leader of the partition.
    Metadata,
    /// A producer id, while no broker was reachable.
    ProducerId,
}

impl fmt::Display for WaitingFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection { broker, pending } => {
                write!(f, "waiting for a connection to {broker}, begun {} before", Millis(*pending))
            }
            Self::Reconnect { broker } => write!(f, "waiting to connect to {broker} again"),
            Self::Response { broker, request } if request.is_answered => {
                write!(f, "waiting for {broker} to answer {request}, sent {} before", Millis(request.pending))
            }
            Self::Response { broker, request } => {
                write!(f, "waiting to write {request} to {broker}, begun {} before", Millis(request.pending))
            }
            Self::Throttle { broker } => write!(f, "waiting because {broker} throttles this client"),
            Self::Metadata => f.write_str("waiting for Metadata"),
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
    pub before: Duration,
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
}

/// Why a timeout passed: the source in [`FailureReason::TimedOut`](crate::FailureReason::TimedOut) and of
/// [`TopicLookupError::TimedOut`](super::TopicLookupError::TimedOut).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimeoutCause {
    /// What was waited for when the timeout passed, if it is known.
    pub waiting_for: Option<WaitingFor>,
    /// The last error before that, if there was one: of the request itself, of the partition leader's connection or,
    /// while no leader is known, of any connection.
    pub last_error: Option<LastError>,
}

impl TimeoutCause {
    /// Returns `None` if nothing is known.
    pub(super) fn new(waiting_for: Option<WaitingFor>, last_error: Option<LastError>) -> Option<Self> {
        (waiting_for.is_some() || last_error.is_some()).then_some(Self { waiting_for, last_error })
    }
}

impl fmt::Display for TimeoutCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { waiting_for, last_error } = self;
        if let Some(waiting_for) = waiting_for {
            write!(f, "{waiting_for}")?;
        }
        if let Some(LastError { error, before }) = last_error {
            let separator = if waiting_for.is_some() { "; " } else { "" };
            write!(f, "{separator}last error {} before: {error}", Millis(*before))?;
        }
        Ok(())
    }
}

impl core::error::Error for TimeoutCause {}

/// A duration in whole milliseconds, the unit of Kafka's settings.
pub(super) struct Millis(pub(super) Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0.as_millis())
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn addresses_are_written_as_in_bootstrap_servers() {
        for (id, host, expected) in [
            (None, "kafka.example", "kafka.example:9092"),
            (Some(3), "10.0.0.1", "broker 3 at 10.0.0.1:9092"),
            (Some(0), "::1", "broker 0 at [::1]:9092"),
            (Some(0), "a\nb", "broker 0 at a?b:9092"),
        ] {
            assert_eq!(BrokerAddress::new(id, host.into(), 9092).to_string(), expected);
        }
    }
}
