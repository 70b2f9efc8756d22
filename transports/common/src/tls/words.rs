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

/// The description of a TLS error: its cause, a remedy, and whether a certificate was refused.
#[derive(Debug)]
pub(super) struct Words {
    said: Cow<'static, str>,
    remedy: &'static str,
    pub(super) is_distrust: bool,
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { said, remedy, .. } = self;
        f.write_str(said)?;
        if remedy.is_empty() { Ok(()) } else { write!(f, "; {remedy}") }
    }
}

const NO_REMEDY: &str = "";
pub(super) const IS_IT_TLS: &str = "does it listen with TLS at this port?";
const AUTHORITY: &str = "ssl.ca.location has to name the authority that signed it, or the certificate itself";
const SUPPORTED: &str =
    "supported are RSA (2048 to 8192 bits), ECDSA (P-256 and P-384) and Ed25519, with SHA-256 or better";
const OURS: &str = "it wants a certificate of ours that it can trust: see ssl.certificate.location";

impl Words {
    pub(super) fn of(error: &Error) -> Self {
        if let Error::InvalidCertificate(error) = error {
            let (said, remedy) = of_certificate(error);
            return Self { said, remedy, is_distrust: true };
        }
        if let Error::AlertReceived(alert) = error {
            let (said, remedy, is_distrust) = of_alert(*alert);
            return Self { said, remedy, is_distrust };
        }
        let (said, remedy) = of_protocol(error);
        Self { said: said.into(), remedy, is_distrust: false }
    }

    /// Describes an error of the underlying stream.
    pub(super) fn of_stream(said: String, remedy: &'static str) -> Self {
        Self { said: said.into(), remedy, is_distrust: false }
    }
}

/// Describes errors of the protocol. Those that only a programming error can cause share one generic description.
fn of_protocol(error: &Error) -> (&'static str, &'static str) {
    match error {
        Error::InvalidMessage(_) => ("what it sends is no message of TLS", IS_IT_TLS),
        Error::PeerSentOversizedRecord => ("what it sends is longer than a message of TLS can be", IS_IT_TLS),
        Error::InappropriateMessage { .. } | Error::InappropriateHandshakeMessage { .. } => {
            ("what it sends is a message of TLS that does not belong there", NO_REMEDY)
        }
        Error::PeerIncompatible(why) => of_incompatibility(why),
        Error::PeerMisbehaved(_) => ("what it sends breaks a rule of TLS", NO_REMEDY),
        Error::NoCertificatesPresented => ("it sends no certificate", NO_REMEDY),
        Error::UnsupportedNameType => ("its host name is of a kind that no certificate can have", NO_REMEDY),
        Error::DecryptError => ("what it sends cannot be decrypted", NO_REMEDY),
        Error::EncryptError => ("a message is too long to be encrypted", NO_REMEDY),
        Error::InvalidCertRevocationList(_) => ("a list of revoked certificates cannot be read", NO_REMEDY),
        Error::FailedToGetCurrentTime => {
            ("the clock of this computer cannot be read, or shows a time before 1970", NO_REMEDY)
        }
        Error::FailedToGetRandomBytes => ("the system has no random bytes", NO_REMEDY),
        Error::HandshakeNotComplete => ("the handshake is not complete", NO_REMEDY),
        Error::NoApplicationProtocol => ("it speaks no protocol over TLS that is spoken here", NO_REMEDY),
        Error::BadMaxFragmentSize => ("the fragments of TLS have a size that cannot be", NO_REMEDY),
        Error::InvalidEncryptedClientHello(_) => ("it does not take an encrypted ClientHello", NO_REMEDY),
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => ("they do not belong together", NO_REMEDY),
        Error::InconsistentKeys(_) => ("it cannot be seen whether they belong together", NO_REMEDY),
        Error::General(_) | Error::Other(_) => (GENERIC, NO_REMEDY),
        _ => (GENERIC, NO_REMEDY),
    }
}

/// For errors that later versions of the TLS library may add.
const GENERIC: &str = "the TLS library gives an error that has no description here";

fn of_incompatibility(why: &PeerIncompatible) -> (&'static str, &'static str) {
    match why {
        PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
        | PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled => {
            ("it speaks neither TLS 1.2 nor TLS 1.3", "see ssl.enabled.protocols of the broker")
        }
        PeerIncompatible::NoCipherSuitesInCommon => {
            ("it takes no cipher suite that is spoken here", "see ssl.cipher.suites of the broker")
        }
        PeerIncompatible::NoKxGroupsInCommon | PeerIncompatible::NamedGroupsExtensionRequired => {
            ("it takes no way of agreeing on a key that is spoken here (X25519, P-256, P-384)", NO_REMEDY)
        }
        PeerIncompatible::NoSignatureSchemesInCommon
        | PeerIncompatible::NoCertificateRequestSignatureSchemesInCommon => {
            ("it takes no signature that can be made here", SUPPORTED)
        }
        _ => ("it does not speak a part of TLS that is needed", NO_REMEDY),
    }
}

/// Describes errors of a broker's certificate.
fn of_certificate(error: &CertificateError) -> (Cow<'static, str>, &'static str) {
    let (said, remedy) = match error {
        CertificateError::BadEncoding => ("the broker's certificate is not encoded as X.509 prescribes", NO_REMEDY),
        CertificateError::Expired => ("the broker's certificate has expired", NO_REMEDY),
        CertificateError::ExpiredContext { not_after, time } => {
            let (until, now) = (date(*not_after), date(*time));
            return (format!("the broker's certificate, or one that it is signed with, has expired: it was valid until {until}, and now it is {now}").into(), NO_REMEDY);
        }
        CertificateError::NotValidYet => ("the broker's certificate is not valid yet", CLOCK),
        CertificateError::NotValidYetContext { not_before, time } => {
            let (from, now) = (date(*not_before), date(*time));
            return (format!("the broker's certificate, or one that it is signed with, is not valid yet: it is from {from}, and now it is {now}").into(), CLOCK);
        }
        CertificateError::Revoked => ("the broker's certificate is revoked", NO_REMEDY),
        CertificateError::UnhandledCriticalExtension => {
            ("the broker's certificate has a critical extension that is not known", NO_REMEDY)
        }
        CertificateError::UnknownIssuer => {
            ("the broker's certificate is signed by no authority that is trusted here", AUTHORITY)
        }
        CertificateError::UnknownRevocationStatus => {
            ("it is not known whether the broker's certificate is revoked", NO_REMEDY)
        }
        CertificateError::ExpiredRevocationList | CertificateError::ExpiredRevocationListContext { .. } => {
            ("the list that says whether the broker's certificate is revoked has expired", NO_REMEDY)
        }
        // Where another authority of the same name signed it.
        CertificateError::BadSignature => {
            ("the broker's certificate has a wrong signature, or the handshake has", AUTHORITY)
        }
        CertificateError::UnsupportedSignatureAlgorithmContext { signature_algorithm_id, .. } => {
            return match algorithm(signature_algorithm_id) {
                Some(name) => (format!("the broker's certificate, or one that it is signed with, is signed by {name}, which is not supported").into(), SUPPORTED),
                None => (UNSUPPORTED.into(), SUPPORTED),
            };
        }
        CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => (
            "the key of the broker's certificate, or of one that it is signed with, is of a kind that is not supported",
            SUPPORTED,
        ),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => (
            "the broker's certificate is not for its host name",
            "the broker has to be called by a name that its certificate has",
        ),
        CertificateError::InvalidPurpose => (PURPOSE, PURPOSE_REMEDY),
        CertificateError::InvalidPurposeContext { presented, .. } => {
            let only = presented.contains(&ExtendedKeyPurpose::ClientAuth);
            (
                if only { "the broker's certificate is for clients alone (its extendedKeyUsage)" } else { PURPOSE },
                PURPOSE_REMEDY,
            )
        }
        CertificateError::InvalidOcspResponse => ("the broker sends a wrong OCSP response", NO_REMEDY),
        CertificateError::ApplicationVerificationFailure => ("the broker's certificate was refused", NO_REMEDY),
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
    (said.into(), remedy)
}

const CLOCK: &str = "is the clock of this computer right?";
const CANNOT_VERIFY: &str = "the broker's certificate cannot be verified, for a reason that has no description here";
const UNSUPPORTED: &str = "the broker's certificate is signed by an algorithm that is not supported";
const PURPOSE: &str = "the broker's certificate is not for servers (its extendedKeyUsage)";
const PURPOSE_REMEDY: &str = "make one with -addext \"extendedKeyUsage=serverAuth\" for `openssl req`";

/// Describes errors of `webpki` for which the TLS library has no variant.
fn of_webpki(error: &webpki::Error) -> (Cow<'static, str>, &'static str) {
    use webpki::Error as E;
    let (said, remedy) = match error {
        E::CaUsedAsEndEntity => (
            "the broker's certificate is one of an authority (basicConstraints: CA:TRUE)",
            "name this very certificate in ssl.ca.location, or make one with \
             -addext \"basicConstraints=critical,CA:FALSE\" for `openssl req -x509`",
        ),
        E::EndEntityUsedAsCa => (
            "a certificate that the broker's is signed with is none of an authority (basicConstraints: CA:TRUE is missing)",
            "make it with -addext \"basicConstraints=critical,CA:TRUE\" for `openssl req -x509`",
        ),
        E::UnsupportedCertVersion => (
            "a certificate that the broker's is signed with is of X.509 version 1, and only version 3 is supported",
            NO_REMEDY,
        ),
        E::PathLenConstraintViolated => ("an authority may not have so many others below it (pathlen)", NO_REMEDY),
        E::NameConstraintViolation => {
            ("the authority may not sign certificates for this name (nameConstraints)", NO_REMEDY)
        }
        E::CertDistrusted => ("the key of the broker's certificate is distrusted", NO_REMEDY),
        E::SignatureAlgorithmMismatch => ("the broker's certificate names two algorithms for one signature", NO_REMEDY),
        E::EmptyEkuExtension => (PURPOSE, PURPOSE_REMEDY),
        E::InvalidSerialNumber => ("the broker's certificate has a serial number that cannot be", NO_REMEDY),
        E::MaximumPathDepthExceeded
        | E::MaximumPathBuildCallsExceeded
        | E::MaximumSignatureChecksExceeded
        | E::MaximumNameConstraintComparisonsExceeded => {
            ("the certificates that the broker sends take too much work to verify", NO_REMEDY)
        }
        E::MalformedDnsIdentifier
        | E::MalformedExtensions
        | E::MalformedNameConstraint
        | E::InvalidNetworkMaskConstraint
        | E::ExtensionValueInvalid
        | E::UnsupportedNameType => ("the broker's certificate has an extension that cannot be read", NO_REMEDY),
        E::UnsupportedCriticalExtension => {
            ("the broker's certificate has a critical extension that is not known", NO_REMEDY)
        }
        // Errors that the TLS library has variants for, errors about revocation lists, which are not used, and errors of later
        // versions.
        _ => (CANNOT_VERIFY, NO_REMEDY),
    };
    (said.into(), remedy)
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
        | AlertDescription::AccessDenied => (OURS, true),
        AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => (
            "it takes nothing that is spoken here: TLS 1.2 and 1.3, and certificates with RSA, ECDSA (P-256, P-384) or Ed25519",
            false,
        ),
        AlertDescription::ProtocolVersion => {
            ("TLS 1.2 and 1.3 are spoken here: see ssl.enabled.protocols of the broker", false)
        }
        _ => (NO_REMEDY, false),
    };
    (format!("the broker ended it with the alert {name} ({number})").into(), remedy, is_distrust)
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
