//! Errors of connections.

use alloc::string::{String, ToString};
use core::error::Error;
use core::fmt;
use core::time::Duration;

use super::broker_address::BrokerAddress;
use super::millis::Limit;
use super::oauth::OAuthError;
use super::pending_request::PendingRequest;
use super::producer_id::ProducerIdError;
use super::scram::ScramError;
use super::security::{ForeignProtocol, SecurityMismatch};
use crate::due_to::DueTo;
use crate::protocol::{ApiKey, BrokerError, ProtocolError};
use crate::transport_error::TransportError;

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
            (ConnectionErrorKind::RequestTimeout { limit }, Some(request)) => {
                let verb = if request.expects_response { "answered" } else { "written" };
                write!(f, "{request} was not {verb} within {}", Limit("request.timeout.ms", *limit))?;
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

impl Error for ConnectionError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.kind.source()
    }
}

/// The kind of a [`ConnectionError`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionErrorKind {
    /// The connection ended, or could not be established.
    Disconnected {
        /// How it ended.
        how: Disconnect,
        /// The error of the operating system or the TLS library, if the driver passed it on. The transports of this project
        /// pass the `std::io::Error`, whose kind `TransportError::io_error_kind` returns (feature `std`).
        error: Option<TransportError>,
    },
    /// The connection was not established within `socket.connection.setup.timeout.ms`.
    SetupTimeout {
        /// The value of that setting.
        limit: Duration,
    },
    /// A request was not answered within `request.timeout.ms`. [`ConnectionError::pending`] is the request.
    RequestTimeout {
        /// The value of that setting; for ApiVersions with a `broker.version.fallback`, that of
        /// `socket.connection.setup.timeout.ms`, if it is shorter.
        limit: Duration,
    },
    /// Metadata was needed and not obtained within `metadata.recovery.rebootstrap.trigger.ms`, so all connections are closed, and
    /// `bootstrap.servers` are connected to (KIP-1102).
    Rebootstrap {
        /// The value of that setting.
        limit: Duration,
    },
    /// The received bytes violate the protocol.
    Protocol(String),
    /// The first bytes received are not of Kafka's protocol.
    Foreign(ForeignProtocol),
    /// The broker offers no version of this API that this client supports.
    Incompatible(ApiKey),
    /// The broker refused ApiVersions or the credentials, or requires a rebootstrap (KIP-1102).
    Refused(BrokerError),
    /// SCRAM authentication failed, on either side.
    Scram(ScramError),
    /// OAUTHBEARER: the broker refused the token, or there is none.
    OAuth(OAuthError),
    /// The response to InitProducerId has no usable producer id.
    ProducerId(ProducerIdError),
}

impl fmt::Display for ConnectionErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disconnected { how, error } => write!(f, "{how}{}", DueTo(error.as_ref())),
            Self::SetupTimeout { limit } => {
                write!(f, "could not connect within {}", Limit("socket.connection.setup.timeout.ms", *limit))
            }
            Self::RequestTimeout { limit } => {
                write!(f, "a request was not answered within {}", Limit("request.timeout.ms", *limit))
            }
            Self::Rebootstrap { limit } => {
                let limit = Limit("metadata.recovery.rebootstrap.trigger.ms", *limit);
                write!(f, "no broker has given metadata within {limit}")
            }
            Self::Protocol(violation) => write!(f, "it violates the protocol: {violation}"),
            Self::Foreign(protocol) => protocol.fmt(f),
            Self::Incompatible(api) => {
                write!(f, "it offers no version of {api} that this client supports ({})", api.versions())
            }
            Self::Refused(error) => error.fmt(f),
            Self::Scram(error) => write!(f, "SCRAM: {error}"),
            Self::OAuth(error) => write!(f, "OAUTHBEARER: {error}"),
            Self::ProducerId(error) => error.fmt(f),
        }
    }
}

impl Error for ConnectionErrorKind {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Disconnected { error, .. } => error.as_ref()?.source(),
            Self::Refused(error) => error.source(),
            Self::Scram(error) => error.source(),
            Self::OAuth(error) => error.source(),
            Self::ProducerId(error) => error.source(),
            Self::SetupTimeout { .. }
            | Self::RequestTimeout { .. }
            | Self::Rebootstrap { .. }
            | Self::Protocol(_)
            | Self::Foreign(_)
            | Self::Incompatible(_) => None,
        }
    }
}

impl From<BrokerError> for ConnectionErrorKind {
    fn from(error: BrokerError) -> Self {
        Self::Refused(error)
    }
}

impl From<ProducerIdError> for ConnectionErrorKind {
    fn from(error: ProducerIdError) -> Self {
        Self::ProducerId(error)
    }
}

impl From<ProtocolError> for ConnectionErrorKind {
    fn from(error: ProtocolError) -> Self {
        Self::Protocol(error.to_string())
    }
}

impl From<OAuthError> for ConnectionErrorKind {
    fn from(error: OAuthError) -> Self {
        Self::OAuth(error)
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
            Self::Scram(_)
            | Self::OAuth(OAuthError::Refused(_))
            | Self::Disconnected { how: Disconnect::Untrusted, .. } => true,
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
