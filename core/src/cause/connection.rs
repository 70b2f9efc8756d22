//! Errors of connections.

use alloc::string::{String, ToString};
use core::fmt;

use super::broker_address::BrokerAddress;
use super::millis::Millis;
use super::pending_request::PendingRequest;
use super::producer_id::ProducerIdError;
use super::scram::ScramError;
use super::security::{ForeignProtocol, SecurityMismatch};
use crate::due_to::DueTo;
use crate::protocol::{ApiKey, BrokerError, ProtocolError};

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
    pub(crate) const fn new(broker: BrokerAddress, kind: ConnectionErrorKind) -> Self {
        Self { broker, kind, pending: None, partial: None, mismatch: None }
    }
}

impl fmt::Display for ConnectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { broker, kind, pending, partial, mismatch } = self;
        write!(f, "{broker}: ")?;
        match (kind, pending) {
            (ConnectionErrorKind::RequestTimeout, Some(request)) => {
                let verb = if request.expects_response { "answered" } else { "written" };
                write!(f, "{request} was not {verb} within {}", Millis(request.elapsed))?;
            }
            (ConnectionErrorKind::Disconnected { .. }, Some(request)) => {
                let verb = if request.expects_response { "unanswered" } else { "not written yet" };
                write!(f, "{kind} while {request} was {verb}")?;
            }
            _ => write!(f, "{kind}")?,
        }
        if let Some((length, claimed)) = partial {
            write!(f, " ({length} of {claimed} bytes of a response had arrived)")?;
        }
        mismatch.as_ref().map_or(Ok(()), |mismatch| write!(f, "; {mismatch}"))
    }
}

impl core::error::Error for ConnectionError {}

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
    #[error("it violates the protocol: {0}")]
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

impl From<ProtocolError> for ConnectionErrorKind {
    fn from(error: ProtocolError) -> Self {
        Self::Protocol(error.to_string())
    }
}

impl From<ScramError> for ConnectionErrorKind {
    fn from(error: ScramError) -> Self {
        Self::Scram(error)
    }
}

impl ConnectionErrorKind {
    /// Returns `true` if the peer ended the connection, by an orderly shutdown or a reset.
    pub(crate) const fn is_by_peer(&self) -> bool {
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

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Disconnect {
    /// It was not established: connection refused, unknown host name, TLS failure.
    NotConnected,
    /// One side does not trust the other's certificate. [Lookups of topics](crate::machine::Machine::lookup_topic) fail with it
    /// at once, because a retry cannot help.
    Untrusted,
    /// The peer does not take part in the TLS handshake: it answers with something else, or closes the connection.
    NoTls,
    /// The peer shut it down: end of stream.
    ByPeer,
    /// It was lost: reset, unreachable, a socket error.
    Broken,
}

impl fmt::Display for Disconnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotConnected => "could not connect",
            Self::Untrusted => "one side does not trust the other's certificate",
            Self::NoTls => "the TLS handshake failed",
            Self::ByPeer => "the broker closed the connection",
            Self::Broken => "the connection failed",
        })
    }
}
