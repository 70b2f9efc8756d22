//! Streams with or without TLS, as one type.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};

use crate::error::ConfigError;
#[cfg(not(feature = "tls"))]
use crate::settings::Setting;
use crate::settings::TlsConfig;
#[cfg(feature = "tls")]
use crate::tls::{Tls, TlsStream};
#[cfg(feature = "tls")]
pub(crate) use crate::tls::{is_distrust, is_no_tls};

/// The security of all connections of a producer.
#[derive(Clone, Debug)]
pub(crate) enum Security {
    Plaintext,
    #[cfg(feature = "tls")]
    Tls(Tls),
}

impl Security {
    pub(crate) const fn is_tls(&self) -> bool {
        !matches!(self, Self::Plaintext)
    }

    /// Reads the files that the settings of TLS name.
    #[cfg(feature = "tls")]
    pub(crate) fn new(tls: Option<&TlsConfig>) -> Result<Self, ConfigError> {
        tls.map_or(Ok(Self::Plaintext), |tls| Tls::read(tls.settings()).map(Self::Tls))
    }

    /// Without the feature `tls`, TLS is an error.
    #[cfg(not(feature = "tls"))]
    pub(crate) fn new(tls: Option<&TlsConfig>) -> Result<Self, ConfigError> {
        const HOW: &str =
            "TLS is not compiled in: enable the feature `tls` of kafka-batch, or of the transport's crate";
        match tls {
            None => Ok(Self::Plaintext),
            Some(_) => Setting { name: "security.protocol", found: "ssl" }.wrong(HOW),
        }
    }

    /// Returns the connector for one connection to this host.
    pub(crate) fn connector(&self, host: &str) -> TlsConnector {
        #[cfg(not(feature = "tls"))]
        let _ = host;
        TlsConnector(match self {
            Self::Plaintext => Kind::Plaintext,
            #[cfg(feature = "tls")]
            Self::Tls(tls) => Kind::Tls(tls.clone(), name_in_certificate(host).to_owned()),
        })
    }
}

/// Returns the name of a host as certificates have it. The zone of an IPv6 address (`fe80::1%eth0`) is local to one computer,
/// so certificates do not contain it.
#[cfg(feature = "tls")]
fn name_in_certificate(host: &str) -> &str {
    match host.split_once('%') {
        Some((address, _)) if address.parse::<std::net::Ipv6Addr>().is_ok() => address,
        _ => host,
    }
}

/// Without TLS no certificate is refused.
#[cfg(not(feature = "tls"))]
pub(crate) const fn is_distrust(_: &io::Error) -> bool {
    false
}

/// Without TLS no handshake fails.
#[cfg(not(feature = "tls"))]
pub(crate) const fn is_no_tls(_: &io::Error) -> bool {
    false
}

/// Performs the TLS handshake of one connection, if `security.protocol` asks for TLS. For
/// [`Connections::open`](crate::connections::Connections::open).
#[derive(Debug)]
pub(crate) struct TlsConnector(Kind);

#[derive(Debug)]
enum Kind {
    Plaintext,
    #[cfg(feature = "tls")]
    Tls(Tls, String),
}

impl TlsConnector {
    #[cfg(test)]
    pub(crate) const PLAINTEXT: Self = Self(Kind::Plaintext);

    /// Replaces the name that the certificate must contain, if there is another one.
    pub(crate) fn named(self, name: Option<String>) -> Self {
        Self(match (self.0, name) {
            #[cfg(feature = "tls")]
            (Kind::Tls(tls, _), Some(name)) => Kind::Tls(tls, name),
            (kind, _) => kind,
        })
    }

    /// Wraps a newly connected stream. Resolves after the handshake, if there is one.
    pub(crate) async fn connect<S: AsyncRead + AsyncWrite + Unpin>(self, stream: S) -> io::Result<MaybeTlsStream<S>> {
        match self.0 {
            Kind::Plaintext => Ok(MaybeTlsStream::Plaintext(stream)),
            #[cfg(feature = "tls")]
            Kind::Tls(tls, host) => Ok(MaybeTlsStream::Tls(Box::new(tls.connect(stream, &host).await?))),
        }
    }
}

/// A stream with or without TLS.
#[derive(Debug)]
pub(crate) enum MaybeTlsStream<S> {
    Plaintext(S),
    #[cfg(feature = "tls")]
    Tls(Box<TlsStream<S>>),
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for MaybeTlsStream<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plaintext(stream) => Pin::new(stream).poll_read(context, buffer),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for MaybeTlsStream<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plaintext(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plaintext(stream) => Pin::new(stream).poll_flush(context),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plaintext(stream) => Pin::new(stream).poll_close(context),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => Pin::new(stream).poll_close(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(not(feature = "tls"))]
    #[test]
    fn without_the_feature_tls_an_error_names_the_feature() {
        use kafka_batch_core::BatchOptions;

        let settings = [("bootstrap.servers", "SSL://localhost:9092")];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let tls = crate::settings::parse(&settings, &Default::default(), BatchOptions::default()).unwrap().tls;
        let error = Security::new(tls.as_ref()).unwrap_err().to_string();
        assert!(error.starts_with("security.protocol = \"ssl\"") && error.contains("feature `tls`"), "{error}");
        assert!(matches!(Security::new(None), Ok(Security::Plaintext)));
    }

    #[cfg(feature = "tls")]
    #[test]
    fn certificates_do_not_contain_the_zone_of_an_address() {
        assert_eq!(name_in_certificate("fe80::1%eth0"), "fe80::1");
        for host in ["fe80::1", "127.0.0.1", "broker-1.example", "odd%name"] {
            assert_eq!(name_in_certificate(host), host);
        }
    }
}
