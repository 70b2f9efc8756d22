//! Why a proxy did not connect to a broker.

use std::error::Error;
use std::{fmt, io};

/// The error of a SOCKS5 proxy that did not connect to a broker. It is the source of an [`io::Error`] in the error of the
/// connection:
///
/// ```
/// use std::io;
///
/// use kafka_batch_core::error::TransportError;
/// use kafka_batch_transport::{Socks5Error, Socks5ErrorKind, Socks5Reply};
///
/// fn is_forbidden(error: &TransportError) -> bool {
///     let proxy = error.downcast_ref::<io::Error>().and_then(|error| error.get_ref()?.downcast_ref::<Socks5Error>());
///     proxy.is_some_and(|proxy| matches!(proxy.kind, Socks5ErrorKind::Refused(Socks5Reply::NotAllowed)))
/// }
/// # let _ = is_forbidden;
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Socks5Error {
    /// The address of the proxy.
    pub proxy: String,
    /// What happened.
    pub kind: Socks5ErrorKind,
}

/// What happened at a proxy.
#[derive(Debug)]
#[non_exhaustive]
pub enum Socks5ErrorKind {
    /// The proxy cannot be connected to.
    Unreachable(io::Error),
    /// The connection to the proxy failed during the handshake.
    Broken(io::Error),
    /// The proxy closed the connection during the handshake.
    Closed,
    /// The proxy accepts none of the methods of authentication that were offered.
    NoAcceptableMethod {
        /// Whether a user name and a password were among them.
        has_login: bool,
    },
    /// The proxy refused the user name and the password.
    LoginRefused {
        /// The status in its reply, which is not 0.
        status: u8,
    },
    /// The proxy did not connect to the broker.
    Refused(Socks5Reply),
    /// The proxy sent what SOCKS5 does not allow.
    Malformed {
        /// The name of the field.
        what: &'static str,
        /// Its value.
        found: u8,
    },
    /// The broker's host name does not fit a request.
    NameTooLong {
        /// Its length in bytes. The maximum is 255.
        length: usize,
    },
}

/// Why a proxy did not connect to a broker, by the codes of RFC 1928, section 6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Socks5Reply {
    /// 1: general SOCKS server failure.
    GeneralFailure,
    /// 2: connection not allowed by ruleset.
    NotAllowed,
    /// 3: network unreachable.
    NetworkUnreachable,
    /// 4: host unreachable. Also of names that the proxy cannot resolve.
    HostUnreachable,
    /// 5: connection refused.
    ConnectionRefused,
    /// 6: TTL expired.
    TtlExpired,
    /// 7: command not supported.
    CommandNotSupported,
    /// 8: address type not supported.
    AddressTypeNotSupported,
    /// A code that RFC 1928 does not assign.
    Unassigned(u8),
}

impl Socks5Reply {
    /// Returns the reply of this code, which is not 0.
    #[must_use]
    pub const fn from_code(code: u8) -> Self {
        match code {
            1 => Self::GeneralFailure,
            2 => Self::NotAllowed,
            3 => Self::NetworkUnreachable,
            4 => Self::HostUnreachable,
            5 => Self::ConnectionRefused,
            6 => Self::TtlExpired,
            7 => Self::CommandNotSupported,
            8 => Self::AddressTypeNotSupported,
            other => Self::Unassigned(other),
        }
    }
}

impl fmt::Display for Socks5Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::GeneralFailure => "it has failed (general SOCKS server failure)",
            Self::NotAllowed => "its rules do not allow the connection",
            Self::NetworkUnreachable => "the network is unreachable from there",
            Self::HostUnreachable => "the host is unreachable from there, or its name is unknown there",
            Self::ConnectionRefused => "the connection was refused",
            Self::TtlExpired => "the TTL has expired",
            Self::CommandNotSupported => "it does not support the command CONNECT",
            Self::AddressTypeNotSupported => "it does not support this type of address (IPv4, IPv6 or host name)",
            Self::Unassigned(code) => return write!(f, "it gave the unassigned reply {code}"),
        })
    }
}

impl Socks5ErrorKind {
    /// Returns the kind of an [`io::Error`] that contains this.
    pub(super) fn io_kind(&self) -> io::ErrorKind {
        match self {
            Self::Unreachable(error) | Self::Broken(error) => error.kind(),
            Self::Closed => io::ErrorKind::UnexpectedEof,
            Self::NoAcceptableMethod { .. } | Self::LoginRefused { .. } => io::ErrorKind::PermissionDenied,
            Self::Refused(reply) => match reply {
                Socks5Reply::NotAllowed => io::ErrorKind::PermissionDenied,
                Socks5Reply::NetworkUnreachable => io::ErrorKind::NetworkUnreachable,
                Socks5Reply::HostUnreachable => io::ErrorKind::HostUnreachable,
                Socks5Reply::ConnectionRefused => io::ErrorKind::ConnectionRefused,
                Socks5Reply::TtlExpired => io::ErrorKind::TimedOut,
                Socks5Reply::CommandNotSupported | Socks5Reply::AddressTypeNotSupported => io::ErrorKind::Unsupported,
                Socks5Reply::GeneralFailure | Socks5Reply::Unassigned(_) => io::ErrorKind::Other,
            },
            Self::Malformed { .. } => io::ErrorKind::InvalidData,
            Self::NameTooLong { .. } => io::ErrorKind::InvalidInput,
        }
    }
}

/// An error during the handshake.
impl From<io::Error> for Socks5ErrorKind {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

impl fmt::Display for Socks5ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(error) => write!(f, "it cannot be connected to: {error}"),
            Self::Broken(error) => write!(f, "the connection to it failed: {error}"),
            Self::Closed => f.write_str("it closed the connection during the handshake"),
            Self::NoAcceptableMethod { has_login: false } => f.write_str(
                "it asks for authentication: set socks5.proxy.username and socks5.proxy.password, if it takes these",
            ),
            Self::NoAcceptableMethod { has_login: true } => {
                f.write_str("it takes neither a connection without authentication nor one with user name and password")
            }
            Self::LoginRefused { status } => write!(
                f,
                "it refused the login (status {status}): check socks5.proxy.username and socks5.proxy.password"
            ),
            Self::Refused(reply) => reply.fmt(f),
            Self::Malformed { what, found } => {
                write!(f, "it does not speak SOCKS5: {what} {found:#04x} in its reply; check its address and port")
            }
            Self::NameTooLong { length } => {
                write!(f, "the broker's host name has {length} bytes, and the maximum is 255")
            }
        }
    }
}

impl fmt::Display for Socks5Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the SOCKS5 proxy {}: {}", self.proxy, self.kind)
    }
}

/// The source of the contained error, whose text is a part of this one.
impl Error for Socks5Error {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.kind {
            Socks5ErrorKind::Unreachable(error) | Socks5ErrorKind::Broken(error) => error.source(),
            _ => None,
        }
    }
}
