//! TLS, by rustls: from the settings to a configuration, and from a stream to one with TLS over it.

mod key;

use std::io::{self, IoSlice};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::{fmt, fs};

use futures_io::{AsyncRead, AsyncWrite};
use futures_rustls::pki_types::pem::PemObject;
use futures_rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use futures_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use futures_rustls::rustls::client::verify_server_cert_signed_by_trust_anchor;
use futures_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use futures_rustls::rustls::server::ParsedCertificate;
use futures_rustls::rustls::{
    self, AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use futures_rustls::{TlsConnector, client};

use crate::error::ConfigError;
use crate::security::{
    CA_LOCATION, CA_PEM, CERTIFICATE_LOCATION, CERTIFICATE_PEM, IDENTIFICATION, KEY_LOCATION, KEY_PASSWORD, KEY_PEM,
};
use crate::settings::{Setting, Settings};

/// What all connections of a producer have in common.
#[derive(Clone)]
pub(crate) struct Tls(Arc<ClientConfig>);

impl Tls {
    /// Reads the settings, and the files that they name.
    pub(crate) fn read(settings: &Settings) -> Result<Self, ConfigError> {
        let roots = match either(settings, CA_LOCATION, CA_PEM)? {
            Some(ca) => ca.roots()?,
            None => roots_of_the_system()?,
        };
        let password = Setting::of(settings, KEY_PASSWORD);
        let identity = match (
            either(settings, CERTIFICATE_LOCATION, CERTIFICATE_PEM)?,
            either(settings, KEY_LOCATION, KEY_PEM)?,
        ) {
            (None, None) => match password {
                Some(password) => return password.wrong("it is used only with ssl.key.location or ssl.key.pem"),
                None => None,
            },
            (Some(certificate), Some(key)) => {
                Some((certificate.certificates()?, key::read(&key, password)?, certificate.setting))
            }
            (Some(certificate), None) => {
                return certificate.setting.wrong("its key is missing: set ssl.key.location or ssl.key.pem too");
            }
            (None, Some(key)) => {
                let remedy = "its certificate is missing: set ssl.certificate.location or ssl.certificate.pem too";
                return key.setting.wrong(remedy);
            }
        };
        let provider = Arc::new(ring::default_provider());
        let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("ring has what TLS 1.2 and 1.3 need");
        let config = if checks_names(settings)? {
            config.with_root_certificates(roots)
        } else {
            let any_name = AnyName { roots, provider };
            config.dangerous().with_custom_certificate_verifier(Arc::new(any_name))
        };
        let config = match identity {
            None => config.with_no_client_auth(),
            Some((certificates, key, setting)) => config
                .with_client_auth_cert(certificates, key)
                .or_else(|error| setting.wrong(format!("it cannot be used with this key: {error}")))?,
        };
        Ok(Self(Arc::new(config)))
    }

    /// Shakes hands over a stream to this host.
    pub(crate) async fn over<S: AsyncRead + AsyncWrite + Unpin>(
        self,
        stream: S,
        host: &str,
    ) -> io::Result<TlsStream<S>> {
        let Ok(name) = ServerName::try_from(host.to_owned()) else {
            let what = format!("TLS: no certificate can be for the name {host:?}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        };
        match TlsConnector::from(self.0).connect(name, stream).await {
            Ok(stream) => Ok(TlsStream(stream)),
            Err(error) => Err(no_tls(&error).unwrap_or_else(|| explained(&error))),
        }
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

/// A PEM text, and the setting that it comes from.
struct Pem<'s> {
    setting: Setting<'s>,
    bytes: Vec<u8>,
}

/// One of two settings, of which one names a file and the other has the text.
fn either<'s>(
    settings: &'s Settings,
    location: &'static str,
    pem: &'static str,
) -> Result<Option<Pem<'s>>, ConfigError> {
    match (Setting::of(settings, location), Setting::of(settings, pem)) {
        (None, None) => Ok(None),
        (None, Some(setting)) => Ok(Some(Pem { setting, bytes: setting.found.as_bytes().to_vec() })),
        (Some(setting), None) => match fs::read(Path::new(setting.found)) {
            Ok(bytes) => Ok(Some(Pem { setting, bytes })),
            Err(error) => setting.wrong(format!("this file cannot be read: {error}")),
        },
        (Some(_), Some(_)) => Err(ConfigError::Together(format!("set {location} or {pem}, not both"))),
    }
}

impl Pem<'_> {
    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
        match CertificateDer::pem_slice_iter(&self.bytes).collect::<Result<Vec<_>, _>>() {
            Ok(certificates) if !certificates.is_empty() => Ok(certificates),
            Ok(_) => self.setting.wrong("there is no certificate in it: it has to be PEM, with BEGIN CERTIFICATE"),
            Err(error) => self.setting.wrong(format!("it is no PEM that can be read: {error}")),
        }
    }

    fn roots(&self) -> Result<RootCertStore, ConfigError> {
        let mut roots = RootCertStore::empty();
        for (waiter, certificate) in self.certificates()?.into_iter().enumerate() {
            if let Err(error) = roots.add(certificate) {
                return self.setting.wrong(format!("its certificate {} cannot be used: {error}", waiter + 1));
            }
        }
        Ok(roots)
    }
}

fn roots_of_the_system() -> Result<RootCertStore, ConfigError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added > 0 {
        return Ok(roots);
    }
    let errors: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
    let why = if errors.is_empty() { String::new() } else { format!(" ({})", errors.join("; ")) };
    let setting = Setting { name: CA_LOCATION, found: "" };
    setting.wrong(format!("this system has no certificates of authorities{why}: name a PEM file that has them"))
}

fn checks_names(settings: &Settings) -> Result<bool, ConfigError> {
    let Some(setting) = Setting::of(settings, IDENTIFICATION) else { return Ok(true) };
    match setting.found.trim().to_ascii_lowercase().as_str() {
        "https" => Ok(true),
        "none" | "" => Ok(false), // which are librdkafka's word and Java's
        _ => setting.wrong("write https or none"),
    }
}

/// `ssl.endpoint.identification.algorithm=none`: whoever has a certificate of a known authority will do.
struct AnyName {
    roots: RootCertStore,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&certificate, &self.roots, intermediates, now, algorithms)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl fmt::Debug for AnyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyName").finish_non_exhaustive()
    }
}

/// A stream with TLS over it, whose errors of reading say so. Whoever dislikes our certificate says so and hangs up, and in
/// TLS 1.3 that is after the handshake: then it is writing that fails, and what is still to be read says why.
#[derive(Debug)]
pub(crate) struct TlsStream<S>(client::TlsStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.0).poll_read(context, buffer) {
            // It hung up without saying so within TLS. No frame can be cut short unnoticed: they have lengths.
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(0)),
            Poll::Ready(Err(error)) if of_rustls(&error).is_some() => Poll::Ready(Err(explained(&error))),
            other => other,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(context, slices)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_close(context)
    }
}

fn of_rustls(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// Whether one side does not trust the other.
pub(crate) fn is_distrust(error: &io::Error) -> bool {
    error.get_ref().and_then(|inner| inner.downcast_ref()).is_some_and(|error: &TlsError| error.is_distrust)
}

/// Whether the other side does not take part in a TLS handshake.
pub(crate) fn is_no_tls(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<NoTls>())
}

/// The handshake did not take place.
#[derive(Debug, thiserror::Error)]
enum NoTls {
    #[error("the other side closed the connection")]
    Closed,
    #[error("the other side answered with something that is not TLS")]
    Answered,
}

/// Returns what an error of the handshake means, if it means that the other side does not speak TLS. A broker that takes the
/// first bytes of TLS for the length of a request closes the connection, and what it leaves unread makes that a reset.
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

/// What went wrong in TLS.
#[derive(Debug, thiserror::Error)]
#[error("TLS: {said}{remedy}")]
struct TlsError {
    said: String,
    remedy: &'static str,
    is_distrust: bool,
}

/// The same error, saying that it is one of TLS, and what to do where that is known.
fn explained(error: &io::Error) -> io::Error {
    let (remedy, is_distrust) = match of_rustls(error) {
        Some(rustls::Error::InvalidCertificate(why)) => (remedy_of(why), true),
        // Java says that ours is bad where there is none.
        Some(rustls::Error::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied,
        )) => ("; it wants a certificate of ours that it can trust: see ssl.certificate.location", true),
        _ => ("", false),
    };
    io::Error::new(error.kind(), TlsError { said: error.to_string(), remedy, is_distrust })
}

const fn remedy_of(why: &CertificateError) -> &'static str {
    match why {
        // The latter where an authority of the same name did.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "; ssl.ca.location has to name the authority that signed it"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "; the broker has to be called by a name that its certificate has"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests;
