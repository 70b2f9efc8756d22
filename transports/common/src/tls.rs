//! TLS by rustls: its configuration from the settings, and the handshake over a stream.

mod fault;
mod key;
mod pem;
mod roots;
mod stream;
mod verifier;
mod words;
mod x509;

use std::path::Path;
use std::sync::Arc;
use std::{fmt, fs, io};

use futures_io::{AsyncRead, AsyncWrite};
use futures_rustls::TlsConnector;
use futures_rustls::pki_types::{CertificateDer, ServerName};
use futures_rustls::rustls::crypto::ring;
use futures_rustls::rustls::{self, ClientConfig};

use self::pem::Label;
use self::roots::Roots;
pub(crate) use self::stream::TlsStream;
use self::verifier::Verifier;
use self::words::Words;
use crate::error::ConfigError;
use crate::security::{CERTIFICATE_LOCATION, CERTIFICATE_PEM, IDENTIFICATION, KEY_LOCATION, KEY_PASSWORD, KEY_PEM};
use crate::settings::{Setting, Settings};

/// The TLS configuration of all connections of a producer.
#[derive(Clone)]
pub(crate) struct Tls(Arc<ClientConfig>);

impl Tls {
    /// Reads the settings, and the files that they name.
    pub(crate) fn read(settings: &Settings) -> Result<Self, ConfigError> {
        let roots = Roots::read(settings)?;
        let password = Setting::of(settings, KEY_PASSWORD);
        let identity = match (
            either(settings, CERTIFICATE_LOCATION, CERTIFICATE_PEM)?,
            either(settings, KEY_LOCATION, KEY_PEM)?,
        ) {
            (None, None) => match password {
                Some(password) => return password.wrong("the password is used only with ssl.key.location or ssl.key.pem: set one of them, or remove the password"),
                None => None,
            },
            (Some(certificate), Some(key)) => {
                Some((certificate.certificates()?, key::read(&key, password)?, certificate.setting, key.setting))
            }
            (Some(certificate), None) => {
                return certificate.setting.wrong("the key of the certificate is missing: set ssl.key.location or ssl.key.pem too");
            }
            (None, Some(key)) => {
                let remedy = "the certificate of the key is missing: set ssl.certificate.location or ssl.certificate.pem too";
                return key.setting.wrong(remedy);
            }
        };
        let provider = Arc::new(ring::default_provider());
        let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("ring has what TLS 1.2 and 1.3 need");
        let algorithms = provider.signature_verification_algorithms;
        let verifier = Verifier { roots, checks_names: checks_names(settings)?, algorithms };
        let config = config.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
        let config = match identity {
            None => config.with_no_client_auth(),
            Some((certificates, key, certificate_setting, key_setting)) => config
                .with_client_auth_cert(certificates, key)
                .or_else(|error| unusable(&error, certificate_setting, key_setting))?,
        };
        Ok(Self(Arc::new(config)))
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
        match TlsConnector::from(self.0).connect(name, stream).await {
            Ok(stream) => Ok(TlsStream::new(stream)),
            Err(error) => Err(no_tls(&error).unwrap_or_else(|| explained(&error))),
        }
    }
}

/// The keys that `ring` can sign with.
const USABLE: &str = "supported keys are RSA (2048 to 4096 bits), ECDSA (P-256 and P-384) and Ed25519";

/// Returns the error for a client certificate that cannot be used with its key, naming the setting of the one at fault.
fn unusable<T>(error: &rustls::Error, certificate: Setting<'_>, key: Setting<'_>) -> Result<T, ConfigError> {
    match error {
        // ring's only error for a key.
        rustls::Error::General(_) => key.wrong(format!("the key is damaged, or its kind is not supported: {USABLE}")),
        rustls::Error::InvalidCertificate(_) => certificate
            .wrong("the certificate is damaged, or has X.509 version 1: create it with an extension file (openssl x509 -req -extfile)"),
        error => certificate.wrong(format!("the certificate cannot be used with this key: {}; {USABLE}", Words::of(error))),
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

/// A PEM text, and the setting it was read from.
struct Pem<'s> {
    setting: Setting<'s>,
    bytes: Vec<u8>,
}

/// A prefix of PEM texts that file names do not contain.
const BEGIN: &str = "-----BEGIN";

/// Reads a PEM text from either of two settings: the path of a file, or the text itself.
fn either<'s>(
    settings: &'s Settings,
    location: &'static str,
    pem: &'static str,
) -> Result<Option<Pem<'s>>, ConfigError> {
    match (Setting::of(settings, location), Setting::of(settings, pem)) {
        (None, None) => Ok(None),
        (None, Some(setting)) => Ok(Some(Pem { setting, bytes: setting.found.as_bytes().to_vec() })),
        (Some(setting), None) if setting.found.contains(BEGIN) => setting
            .wrong(format!("the value is the text of a PEM file and not its path: set {pem} to the text instead")),
        (Some(setting), None) => match fs::read(Path::new(setting.found)) {
            Ok(bytes) => Ok(Some(Pem { setting, bytes })),
            Err(error) => setting.wrong(error),
        },
        (Some(setting), Some(other)) => setting.conflict(other.shown(), "set one of them, not both"),
    }
}

impl Pem<'_> {
    /// Returns the certificates in the text, in order. There is at least one.
    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
        const HOW: &str = "use a PEM text with BEGIN CERTIFICATE";
        let sections = match pem::sections(&self.bytes) {
            Ok(sections) => sections,
            Err(error) => return self.setting.wrong(format!("no certificate found: {error}; {HOW}")),
        };
        let of_certificates = sections.iter().filter(|section| section.label == Label::Certificate);
        let certificates = of_certificates.map(|section| section.decode().map(CertificateDer::from));
        match certificates.collect::<Result<Vec<_>, _>>() {
            Ok(certificates) if !certificates.is_empty() => Ok(certificates),
            Ok(_) => {
                let found = sections[0].label.name();
                self.setting.wrong(format!("no certificate found, but {found}; {HOW}"))
            }
            Err(error) => self.setting.wrong(format!("a certificate cannot be read: {error}")),
        }
    }
}

fn checks_names(settings: &Settings) -> Result<bool, ConfigError> {
    let Some(setting) = Setting::of(settings, IDENTIFICATION) else { return Ok(true) };
    match setting.found.trim().to_ascii_lowercase().as_str() {
        "https" => Ok(true),
        "none" | "" => Ok(false), // of librdkafka and of the Java client
        _ => setting.wrong("the value must be https or none"),
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
#[derive(thiserror::Error)]
#[error("TLS: {words}")]
struct TlsError {
    words: Words,
    #[source]
    error: Option<rustls::Error>,
}

impl fmt::Debug for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsError").field("words", &self.words).finish_non_exhaustive()
    }
}

/// Returns the error with a description and, where it is known, a remedy.
fn explained(error: &io::Error) -> io::Error {
    let words = match of_rustls(error) {
        Some(error) => {
            if let rustls::Error::PeerMisbehaved(_) | rustls::Error::PeerIncompatible(_) = error {
                log::debug!("rustls: {error:?}"); // technical details, without secrets
            }
            Words::of(error)
        }
        None => Words::of_stream(error.to_string(), ""),
    };
    io::Error::new(error.kind(), TlsError { words, error: of_rustls(error).cloned() })
}

#[cfg(all(test, feature = "__witnesses"))]
mod tests;

#[cfg(all(test, not(feature = "__witnesses")))]
compile_error!(
    "the tests of TLS make certificates: run them with `cargo test -p kafka-batch-transport --features __witnesses`"
);
