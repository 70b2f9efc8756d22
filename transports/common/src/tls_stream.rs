//! What is laid over a stream before anything is said on it: nothing, or TLS. And the two behind one type.

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

/// How all connections of a producer are secured.
#[derive(Clone, Debug)]
pub(crate) enum Security {
    /// Not at all.
    Clear,
    #[cfg(feature = "tls")]
    Tls(Tls),
}

impl Security {
    pub(crate) const fn is_tls(&self) -> bool {
        !matches!(self, Self::Clear)
    }

    /// Reads the files that the settings of TLS name.
    #[cfg(feature = "tls")]
    pub(crate) fn new(tls: Option<&TlsConfig>) -> Result<Self, ConfigError> {
        tls.map_or(Ok(Self::Clear), |tls| Tls::read(tls.settings()).map(Self::Tls))
    }

    /// Without the feature `tls`, TLS is an error.
    #[cfg(not(feature = "tls"))]
    pub(crate) fn new(tls: Option<&TlsConfig>) -> Result<Self, ConfigError> {
        const HOW: &str =
            "TLS is not built in: switch on the feature `tls` of kafka-batch, or of the transport's crate";
        match tls {
            None => Ok(Self::Clear),
            Some(_) => Setting { name: "security.protocol", found: "ssl" }.wrong(HOW),
        }
    }

    /// The same for one connection, to this host.
    pub(crate) fn tls(&self, host: &str) -> TlsConnector {
        #[cfg(not(feature = "tls"))]
        let _ = host;
        TlsConnector(match self {
            Self::Clear => Kind::Clear,
            #[cfg(feature = "tls")]
            Self::Tls(tls) => Kind::Tls(tls.clone(), name_in_certificate(host).to_owned()),
        })
    }
}

/// The name that a certificate can have for a host. The zone of an IPv6 address (`fe80::1%eth0`) means something on one
/// machine alone, so no certificate has it.
#[cfg(feature = "tls")]
fn name_in_certificate(host: &str) -> &str {
    match host.split_once('%') {
        Some((address, _)) if address.parse::<std::net::Ipv6Addr>().is_ok() => address,
        _ => host,
    }
}

/// Without TLS there is no trust that could be lacking.
#[cfg(not(feature = "tls"))]
pub(crate) const fn is_distrust(_: &io::Error) -> bool {
    false
}

/// Without TLS there is no handshake that could fail.
#[cfg(not(feature = "tls"))]
pub(crate) const fn is_no_tls(_: &io::Error) -> bool {
    false
}

/// What a connection is secured with, by `security.protocol`: for [`Connections::open`](crate::Connections::open).
#[derive(Debug)]
pub struct TlsConnector(Kind);

#[derive(Debug)]
enum Kind {
    Clear,
    #[cfg(feature = "tls")]
    Tls(Tls, String),
}

impl TlsConnector {
    /// None.
    #[cfg(test)]
    pub(crate) const CLEAR: Self = Self(Kind::Clear);

    /// Lays it over a stream that has just come about: with TLS, after its handshake.
    pub(crate) async fn over<S: AsyncRead + AsyncWrite + Unpin>(self, stream: S) -> io::Result<MaybeTlsStream<S>> {
        match self.0 {
            Kind::Clear => Ok(MaybeTlsStream::Clear(stream)),
            #[cfg(feature = "tls")]
            Kind::Tls(tls, host) => Ok(MaybeTlsStream::Tls(Box::new(tls.over(stream, &host).await?))),
        }
    }
}

/// A stream with what is laid over it.
#[derive(Debug)]
pub(crate) enum MaybeTlsStream<S> {
    Clear(S),
    #[cfg(feature = "tls")]
    Tls(Box<TlsStream<S>>),
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for MaybeTlsStream<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_read(context, buffer),
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
            Self::Clear(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_flush(context),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_close(context),
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
    fn without_the_feature_tls_is_refused_and_the_feature_named() {
        use kafka_batch_core::BatchOptions;

        let settings = [("bootstrap.servers", "SSL://localhost:9092")];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let tls = crate::settings::parse(&settings, &Default::default(), BatchOptions::default()).unwrap().tls;
        let error = Security::new(tls.as_ref()).unwrap_err().to_string();
        assert!(error.starts_with("security.protocol = \"ssl\"") && error.contains("feature `tls`"), "{error}");
        assert!(matches!(Security::new(None), Ok(Security::Clear)));
    }

    #[cfg(feature = "tls")]
    #[test]
    fn a_zone_is_no_part_of_the_name_in_a_certificate() {
        assert_eq!(name_in_certificate("fe80::1%eth0"), "fe80::1");
        for host in ["fe80::1", "127.0.0.1", "broker-1.example", "odd%name"] {
            assert_eq!(name_in_certificate(host), host);
        }
    }
}
