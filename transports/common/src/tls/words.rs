//! Descriptions of TLS errors. The library's own texts are not passed on, since some are the `Debug` output of its types.

use std::borrow::Cow;
use std::fmt;

use futures_rustls::pki_types::UnixTime;
use futures_rustls::rustls::{
    AlertDescription, CertificateError, Error, ExtendedKeyPurpose, InconsistentKeys, PeerIncompatible,
};
use pkcs8::ObjectIdentifier;
use pkcs8::der::DateTime;

use super::fault::Fault;
use super::x509;

/// The description of a TLS error: its cause, a remedy, and whether a certificate was rejected.
#[derive(Debug)]
pub(super) struct Words {
    cause: Cow<'static, str>,
    remedy: &'static str,
    pub(super) is_distrust: bool,
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cause, remedy, .. } = self;
        f.write_str(cause)?;
        if remedy.is_empty() { Ok(()) } else { write!(f, "; {remedy}") }
    }
}

const NO_REMEDY: &str = "";
const CHECK_LISTENER: &str = "check that this port of the broker is a TLS listener";
const AUTHORITY: &str = "set ssl.ca.location to the authority that signed it, or to the certificate itself";
const SUPPORTED: &str =
    "supported keys are RSA (2048 to 8192 bits), ECDSA (P-256 and P-384) and Ed25519, with SHA-256 or better";
const CLIENT_CERTIFICATE: &str =
    "set ssl.certificate.location and ssl.key.location to a client certificate that the broker trusts, and its key";

impl Words {
    pub(super) fn of(error: &Error) -> Self {
        if let Error::InvalidCertificate(error) = error {
            let (cause, remedy) = of_certificate(error);
            return Self { cause, remedy, is_distrust: true };
        }
        if let Error::AlertReceived(alert) = error {
            let (cause, remedy, is_distrust) = of_alert(*alert);
            return Self { cause, remedy, is_distrust };
        }
        let (cause, remedy) = of_protocol(error);
        Self { cause: cause.into(), remedy, is_distrust: false }
    }

    /// Describes an error of the underlying stream.
    pub(super) fn of_stream(cause: String, remedy: &'static str) -> Self {
        Self { cause: cause.into(), remedy, is_distrust: false }
    }
}

/// Describes errors of the protocol. Those that only a programming error can cause share one generic description.
fn of_protocol(error: &Error) -> (&'static str, &'static str) {
    match error {
        Error::InvalidMessage(_) => ("the broker sent data that is not a TLS message", CHECK_LISTENER),
        Error::PeerSentOversizedRecord => {
            ("the broker sent a TLS message that exceeds the maximum length", CHECK_LISTENER)
        }
        Error::InappropriateMessage { .. } | Error::InappropriateHandshakeMessage { .. } => {
            ("the broker sent an unexpected TLS message", NO_REMEDY)
        }
        Error::PeerIncompatible(why) => of_incompatibility(why),
        Error::PeerMisbehaved(_) => ("the broker violated the TLS protocol", NO_REMEDY),
        Error::NoCertificatesPresented => ("the broker sent no certificate", NO_REMEDY),
        Error::UnsupportedNameType => {
            ("the broker's host name is of a kind that certificates cannot contain", NO_REMEDY)
        }
        Error::DecryptError => ("a message from the broker cannot be decrypted", NO_REMEDY),
        Error::EncryptError => ("a message is too long to be encrypted", NO_REMEDY),
        Error::InvalidCertRevocationList(_) => ("a certificate revocation list cannot be read", NO_REMEDY),
        Error::FailedToGetCurrentTime => {
            ("the clock of this computer cannot be read, or is set to a time before 1970", NO_REMEDY)
        }
        Error::FailedToGetRandomBytes => ("the operating system returned no random bytes", NO_REMEDY),
        Error::HandshakeNotComplete => ("the TLS handshake is not complete", NO_REMEDY),
        Error::NoApplicationProtocol => {
            ("the broker supports no protocol over TLS (ALPN) that this client supports", NO_REMEDY)
        }
        Error::BadMaxFragmentSize => ("the size of TLS fragments is invalid", NO_REMEDY),
        Error::InvalidEncryptedClientHello(_) => ("the broker rejected the encrypted ClientHello", NO_REMEDY),
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            ("the certificate and the key do not belong together", NO_REMEDY)
        }
        Error::InconsistentKeys(_) => {
            ("whether the certificate and the key belong together cannot be determined", NO_REMEDY)
        }
        Error::General(_) | Error::Other(_) => (GENERIC, NO_REMEDY),
        _ => (GENERIC, NO_REMEDY),
    }
}

/// For errors that later versions of the TLS library may add.
const GENERIC: &str = "the TLS library reported an error that has no description";

fn of_incompatibility(why: &PeerIncompatible) -> (&'static str, &'static str) {
    match why {
        PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
        | PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled => {
            ("the broker supports neither TLS 1.2 nor TLS 1.3", "check ssl.enabled.protocols of the broker")
        }
        PeerIncompatible::NoCipherSuitesInCommon => {
            ("the broker supports no cipher suite that this client supports", "check ssl.cipher.suites of the broker")
        }
        PeerIncompatible::NoKxGroupsInCommon | PeerIncompatible::NamedGroupsExtensionRequired => {
            ("the broker supports no key exchange that this client supports (X25519, P-256, P-384)", NO_REMEDY)
        }
        PeerIncompatible::NoSignatureSchemesInCommon
        | PeerIncompatible::NoCertificateRequestSignatureSchemesInCommon => {
            ("the broker supports no signature algorithm that this client supports", SUPPORTED)
        }
        _ => ("the broker does not support a required feature of TLS", NO_REMEDY),
    }
}

/// Describes errors of a broker's certificate.
fn of_certificate(error: &CertificateError) -> (Cow<'static, str>, &'static str) {
    let (cause, remedy) = match error {
        CertificateError::BadEncoding => ("the broker's certificate is not valid X.509", NO_REMEDY),
        CertificateError::Expired => ("the broker's certificate has expired", NO_REMEDY),
        CertificateError::ExpiredContext { not_after, time } => {
            let (until, now) = (date(*not_after), date(*time));
            return (format!("the broker's certificate, or one of its issuers', has expired: it was valid until {until}, and the time is {now}").into(), NO_REMEDY);
        }
        CertificateError::NotValidYet => ("the broker's certificate is not valid yet", CLOCK),
        CertificateError::NotValidYetContext { not_before, time } => {
            let (from, now) = (date(*not_before), date(*time));
            return (format!("the broker's certificate, or one of its issuers', is not valid yet: it is valid from {from}, and the time is {now}").into(), CLOCK);
        }
        CertificateError::Revoked => ("the broker's certificate is revoked", NO_REMEDY),
        CertificateError::UnhandledCriticalExtension => {
            ("the broker's certificate has an unknown critical extension", NO_REMEDY)
        }
        CertificateError::UnknownIssuer => ("the broker's certificate is not signed by a trusted authority", AUTHORITY),
        CertificateError::UnknownRevocationStatus => {
            ("the revocation status of the broker's certificate is unknown", NO_REMEDY)
        }
        CertificateError::ExpiredRevocationList | CertificateError::ExpiredRevocationListContext { .. } => {
            ("the revocation list for the broker's certificate has expired", NO_REMEDY)
        }
        // The cause may be another authority with the same name.
        CertificateError::BadSignature => ("the broker's certificate or handshake has an invalid signature", AUTHORITY),
        CertificateError::UnsupportedSignatureAlgorithmContext { signature_algorithm_id, .. } => {
            return match algorithm(signature_algorithm_id) {
                Some(name) => (format!("the broker's certificate, or one of its issuers', is signed with {name}, which is not supported").into(), SUPPORTED),
                None => (UNSUPPORTED.into(), SUPPORTED),
            };
        }
        CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            ("the key of the broker's certificate, or of one of its issuers', is of an unsupported kind", SUPPORTED)
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => (
            "the broker's certificate is not valid for the host name",
            "connect to the broker by a name in its certificate",
        ),
        CertificateError::InvalidPurpose => (PURPOSE, PURPOSE_REMEDY),
        CertificateError::InvalidPurposeContext { presented, .. } => {
            let only = presented.contains(&ExtendedKeyPurpose::ClientAuth);
            (
                if only { "the broker's certificate is valid for clients only (extendedKeyUsage)" } else { PURPOSE },
                PURPOSE_REMEDY,
            )
        }
        CertificateError::InvalidOcspResponse => ("the broker sent an invalid OCSP response", NO_REMEDY),
        CertificateError::ApplicationVerificationFailure => ("the broker's certificate was rejected", NO_REMEDY),
        CertificateError::Other(other) => {
            return match (other.0.downcast_ref::<Fault>(), other.0.downcast_ref::<webpki::Error>()) {
                (Some(fault), _) => (fault.to_string().into(), NO_REMEDY),
                (None, Some(error)) => of_webpki(error),
                (None, None) => (CANNOT_VERIFY.into(), NO_REMEDY),
            };
        }
        #[expect(deprecated, reason = "older versions of the library have it")]
        CertificateError::UnsupportedSignatureAlgorithm => (UNSUPPORTED, SUPPORTED),
        _ => (CANNOT_VERIFY, NO_REMEDY),
    };
    (cause.into(), remedy)
}

const CLOCK: &str = "check the clock of this computer";
const CANNOT_VERIFY: &str = "the broker's certificate cannot be verified, for a reason that has no description";
const UNSUPPORTED: &str = "the broker's certificate is signed with an unsupported algorithm";
const PURPOSE: &str = "the broker's certificate is not valid for servers (extendedKeyUsage)";
const PURPOSE_REMEDY: &str = "create one with -addext \"extendedKeyUsage=serverAuth\" for `openssl req`";

/// Describes errors of `webpki` for which the TLS library has no variant.
fn of_webpki(error: &webpki::Error) -> (Cow<'static, str>, &'static str) {
    use webpki::Error as E;
    let (cause, remedy) = match error {
        E::CaUsedAsEndEntity => (
            "the broker's certificate is that of an authority (basicConstraints: CA:TRUE)",
            "set ssl.ca.location to this certificate itself, or create one with \
             -addext \"basicConstraints=critical,CA:FALSE\" for `openssl req -x509`",
        ),
        E::EndEntityUsedAsCa => (
            "an issuer of the broker's certificate is not an authority (basicConstraints: CA:TRUE is missing)",
            "create it with -addext \"basicConstraints=critical,CA:TRUE\" for `openssl req -x509`",
        ),
        E::UnsupportedCertVersion => (
            "an issuer of the broker's certificate has a certificate of X.509 version 1; only version 3 is supported",
            NO_REMEDY,
        ),
        E::PathLenConstraintViolated => {
            ("the chain of the broker's certificate is longer than an authority in it permits (pathlen)", NO_REMEDY)
        }
        E::NameConstraintViolation => {
            ("an issuer of the broker's certificate is not permitted to sign for its name (nameConstraints)", NO_REMEDY)
        }
        E::CertDistrusted => ("the key of the broker's certificate is distrusted", NO_REMEDY),
        E::SignatureAlgorithmMismatch => {
            ("the broker's certificate names two different algorithms for its signature", NO_REMEDY)
        }
        E::EmptyEkuExtension => (PURPOSE, PURPOSE_REMEDY),
        E::InvalidSerialNumber => ("the broker's certificate has an invalid serial number", NO_REMEDY),
        E::MaximumPathDepthExceeded
        | E::MaximumPathBuildCallsExceeded
        | E::MaximumSignatureChecksExceeded
        | E::MaximumNameConstraintComparisonsExceeded => {
            ("the certificates that the broker sent take too much work to verify", NO_REMEDY)
        }
        E::MalformedDnsIdentifier
        | E::MalformedExtensions
        | E::MalformedNameConstraint
        | E::InvalidNetworkMaskConstraint
        | E::ExtensionValueInvalid
        | E::UnsupportedNameType => ("the broker's certificate has an extension that cannot be read", NO_REMEDY),
        E::UnsupportedCriticalExtension => ("the broker's certificate has an unknown critical extension", NO_REMEDY),
        // Errors that the TLS library has variants for, errors about revocation lists, which are not used, and errors of later
        // versions.
        _ => (CANNOT_VERIFY, NO_REMEDY),
    };
    (cause.into(), remedy)
}

/// Returns the name of an unsupported signature algorithm. `identifier` is the contents of its AlgorithmIdentifier.
fn algorithm(identifier: &[u8]) -> Option<&'static str> {
    const NAMES: [(&str, &str); 8] = [
        ("1.2.840.113549.1.1.4", "RSA with MD5"),
        ("1.2.840.113549.1.1.5", "RSA with SHA-1"),
        ("1.2.840.113549.1.1.14", "RSA with SHA-224"),
        ("1.2.840.10045.4.1", "ECDSA with SHA-1"),
        ("1.2.840.10045.4.3.4", "ECDSA with SHA-512"),
        ("1.2.840.10040.4.3", "DSA with SHA-1"),
        ("2.16.840.1.101.3.4.3.2", "DSA with SHA-256"),
        ("1.3.101.113", "Ed448"),
    ];
    let found: ObjectIdentifier = x509::items(identifier).next()?.decode_as().ok()?;
    NAMES.iter().find(|(number, _)| ObjectIdentifier::new_unwrap(number) == found).map(|(_, name)| *name)
}

fn date(time: UnixTime) -> String {
    let since = std::time::Duration::from_secs(time.as_secs());
    DateTime::from_unix_duration(since)
        .map_or_else(|_| "a time after the year 9999".to_owned(), |date| date.to_string())
}

/// Describes an alert with which the broker closed the connection.
fn of_alert(alert: AlertDescription) -> (Cow<'static, str>, &'static str, bool) {
    let number = u8::from(alert);
    let name = ALERTS.iter().find(|(known, _)| *known == number).map_or("unknown", |(_, name)| name);
    let (remedy, is_distrust) = match alert {
        // Java sends bad_certificate if there is no certificate.
        AlertDescription::CertificateRequired
        | AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::AccessDenied => (CLIENT_CERTIFICATE, true),
        AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => (
            "check the broker's TLS settings: this client supports TLS 1.2 and 1.3, and certificates with RSA, ECDSA (P-256, P-384) or Ed25519",
            false,
        ),
        AlertDescription::ProtocolVersion => {
            ("this client supports TLS 1.2 and 1.3: check ssl.enabled.protocols of the broker", false)
        }
        _ => (NO_REMEDY, false),
    };
    (format!("the broker ended the connection with the TLS alert {name} ({number})").into(), remedy, is_distrust)
}

/// The alerts of TLS (RFC 8446, section 6, and RFC 5246, section 7.2).
const ALERTS: [(u8, &str); 35] = [
    (0, "close_notify"),
    (10, "unexpected_message"),
    (20, "bad_record_mac"),
    (21, "decryption_failed"),
    (22, "record_overflow"),
    (30, "decompression_failure"),
    (40, "handshake_failure"),
    (41, "no_certificate"),
    (42, "bad_certificate"),
    (43, "unsupported_certificate"),
    (44, "certificate_revoked"),
    (45, "certificate_expired"),
    (46, "certificate_unknown"),
    (47, "illegal_parameter"),
    (48, "unknown_ca"),
    (49, "access_denied"),
    (50, "decode_error"),
    (51, "decrypt_error"),
    (60, "export_restriction"),
    (70, "protocol_version"),
    (71, "insufficient_security"),
    (80, "internal_error"),
    (86, "inappropriate_fallback"),
    (90, "user_canceled"),
    (100, "no_renegotiation"),
    (109, "missing_extension"),
    (110, "unsupported_extension"),
    (111, "certificate_unobtainable"),
    (112, "unrecognized_name"),
    (113, "bad_certificate_status_response"),
    (114, "bad_certificate_hash_value"),
    (115, "unknown_psk_identity"),
    (116, "certificate_required"),
    (120, "no_application_protocol"),
    (121, "ech_required"),
];

#[cfg(test)]
mod tests;
