//! The verification of brokers' certificates.

use std::fmt;
use std::sync::Arc;

use futures_rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use futures_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use futures_rustls::rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use futures_rustls::rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use futures_rustls::rustls::server::ParsedCertificate;
use futures_rustls::rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme};

use super::fault::Fault;
use super::roots::Roots;
use super::x509::{self, Facts};

/// Verifies brokers' certificates. A certificate is accepted if it has a chain to a trusted one, through intermediate
/// certificates that the broker sends, or if it is itself, byte by byte, a trusted one and currently valid. (OpenSSL does the
/// same for self-signed certificates; Java for all, and without checking their validity period.) It must also contain the host
/// name, unless `ssl.endpoint.identification.algorithm` is `none`, and the broker must sign the handshake with its key.
pub(super) struct Verifier {
    pub(super) roots: Roots,
    pub(super) checks_names: bool,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    fn verify(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        match Facts::read(end_entity).filter(|_| self.roots.certificates.iter().any(|root| root == end_entity)) {
            Some(facts) => check_validity(&facts, now)?,
            None => {
                let (roots, algorithms) = (&self.roots.store, self.algorithms.all);
                verify_server_cert_signed_by_trust_anchor(&certificate, roots, intermediates, now, algorithms)?;
            }
        }
        if self.checks_names { verify_server_name(&certificate, name) } else { Ok(()) }
    }

    /// Replaces an error by the fault of the certificate that causes it, if that can be found.
    fn explained(
        &self,
        error: Error,
        end_entity: &[u8],
        intermediates: &[CertificateDer<'_>],
        name: Option<&ServerName<'_>>,
    ) -> Error {
        let fault = Facts::read(end_entity).and_then(|facts| match &error {
            Error::InvalidCertificate(
                CertificateError::NotValidForNameContext { .. } | CertificateError::NotValidForName,
            ) => Some(Fault::name(&name?.to_str(), &facts)),
            Error::InvalidCertificate(CertificateError::BadSignature) => {
                // The key that signed the handshake (without a name), or one that signed a certificate.
                let bits = if name.is_none() { facts.rsa_bits } else { self.unsupported_issuer(&facts, intermediates) };
                bits.filter(|bits| !Fault::SUPPORTED_RSA.contains(bits))
                    .map(|bits| Fault::RsaSize { bits, of_issuer: name.is_some() })
            }
            Error::InvalidCertificate(_) if facts.version < 3 => Some(Fault::Version { version: facts.version }),
            _ => None,
        });
        match fault {
            Some(fault) => Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(fault)))),
            None => error,
        }
    }

    /// Returns the size of the first RSA key of an unsupported size among the issuers of the chain.
    fn unsupported_issuer(&self, end_entity: &Facts<'_>, intermediates: &[CertificateDer<'_>]) -> Option<usize> {
        let sent: Vec<Facts<'_>> = intermediates.iter().filter_map(|certificate| Facts::read(certificate)).collect();
        let is_issuer =
            |subject: &[u8]| [end_entity].into_iter().chain(&sent).any(|certificate| certificate.issuer == subject);
        let of_sent = sent.iter().filter(|facts| is_issuer(facts.subject)).filter_map(|facts| facts.rsa_bits);
        let roots = self.roots.store.roots.iter().filter(|root| is_issuer(root.subject.as_ref()));
        let of_roots = roots.filter_map(|root| x509::rsa_bits(root.subject_public_key_info.as_ref()));
        of_sent.chain(of_roots).find(|bits| !Fault::SUPPORTED_RSA.contains(bits))
    }
}

fn check_validity(facts: &Facts<'_>, time: UnixTime) -> Result<(), CertificateError> {
    let (not_before, not_after) = facts.validity;
    let (not_before, not_after) = (UnixTime::since_unix_epoch(not_before), UnixTime::since_unix_epoch(not_after));
    if time < not_before {
        return Err(CertificateError::NotValidYetContext { time, not_before });
    }
    if not_after < time {
        return Err(CertificateError::ExpiredContext { time, not_after });
    }
    Ok(())
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.verify(end_entity, intermediates, name, now) {
            Ok(()) => Ok(ServerCertVerified::assertion()),
            Err(error) => Err(self.explained(error, end_entity, intermediates, Some(name))),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
            .map_err(|error| self.explained(error, certificate, &[], None))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
            .map_err(|error| self.explained(error, certificate, &[], None))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("checks_names", &self.checks_names).finish_non_exhaustive()
    }
}
