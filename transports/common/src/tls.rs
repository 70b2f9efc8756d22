//! TLS by rustls: its configuration from the settings, and the handshake over a stream.

mod config;
mod fault;
mod files;
mod key;
mod pem;
mod reload;
mod roots;
mod stream;
mod text;
mod verifier;
mod words;
mod x509;

use std::sync::Arc;
use std::{fmt, io};

use futures_io::{AsyncRead, AsyncWrite};
use futures_rustls::TlsConnector;
use futures_rustls::pki_types::ServerName;
use futures_rustls::rustls;

use self::reload::{Current, Reloading, UnusedFiles};
pub(crate) use self::stream::TlsStream;
use self::words::Words;
use crate::error::ConfigError;
use crate::settings::Settings;

/// The TLS configuration of all connections of a producer.
#[derive(Clone)]
pub(crate) struct Tls(Arc<Reloading>);

impl Tls {
    /// Reads the settings, and the files that they name.
    pub(crate) fn read(settings: &Settings) -> Result<Self, ConfigError> {
        Reloading::new(settings).map(|reloading| Self(Arc::new(reloading)))
    }

    /// Performs the handshake over a stream to this host.
    pub(crate) async fn connect<S: AsyncRead + AsyncWrite + Unpin>(
        self,
        stream: S,
        host: &str,
    ) -> io::Result<TlsStream<S>> {
        let Ok(name) = ServerName::try_from(host.to_owned()) else {
            let what = format!("TLS: the host name {host:?} cannot be in a certificate");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        };
        let Current { config, unused } = self.0.current();
        match TlsConnector::from(config).connect(name, stream).await {
            Ok(stream) => Ok(TlsStream::new(stream, unused)),
            Err(error) => Err(no_tls(&error).unwrap_or_else(|| explained(&error, unused))),
        }
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

fn of_rustls(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// Returns true if a certificate was rejected, by either side.
pub(crate) fn is_distrust(error: &io::Error) -> bool {
    error.get_ref().and_then(|inner| inner.downcast_ref()).is_some_and(|error: &TlsError| error.words.is_distrust)
}

/// Returns true if the other side does not use TLS.
pub(crate) fn is_no_tls(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<NoTls>())
}

/// The other side does not use TLS.
#[derive(Debug, thiserror::Error)]
enum NoTls {
    #[error("the other side closed the connection")]
    Closed,
    #[error("the other side answered with something that is not TLS")]
    Answered,
}

/// Classifies an error of the handshake, and returns one if the other side does not use TLS. A broker without TLS takes the
/// first bytes for the length of a request and closes the connection; unread bytes turn that into a reset.
fn no_tls(error: &io::Error) -> Option<io::Error> {
    let why = match (of_rustls(error), error.kind()) {
        (Some(rustls::Error::InvalidMessage(_)), _) => NoTls::Answered,
        (
            None,
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe,
        ) => NoTls::Closed,
        _ => return None,
    };
    Some(io::Error::new(error.kind(), why))
}

/// An error of TLS, described in the words of this crate. Its source is the library's own error, for programs that match it;
/// `Debug` does not show that.
struct TlsError {
    words: Words,
    /// Newer files that were not used for the connection, if a certificate was rejected.
    unused: Option<UnusedFiles>,
    error: Option<rustls::Error>,
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TLS: {}", self.words)?;
        match &self.unused {
            Some(unused) => write!(f, "; {unused}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsError").field("words", &self.words).finish_non_exhaustive()
    }
}

impl std::error::Error for TlsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.as_ref().map(|error| error as _)
    }
}

/// Returns the error with a description and, where it is known, a remedy. `unused` are newer files than those of the connection.
fn explained(error: &io::Error, unused: Option<UnusedFiles>) -> io::Error {
    let words = match of_rustls(error) {
        Some(error) => {
            if let rustls::Error::PeerMisbehaved(_) | rustls::Error::PeerIncompatible(_) = error {
                log::debug!("rustls: {error:?}"); // technical details, without secrets
            }
            Words::of(error)
        }
        None => Words::of_stream(error.to_string(), ""),
    };
    let unused = unused.filter(|_| words.is_distrust);
    io::Error::new(error.kind(), TlsError { words, unused, error: of_rustls(error).cloned() })
}

#[cfg(all(test, feature = "__witnesses"))]
mod tests;

#[cfg(all(test, not(feature = "__witnesses")))]
compile_error!(
    "the tests of TLS make certificates: run them with `cargo test -p kafka-batch-transport --features __witnesses`"
);
