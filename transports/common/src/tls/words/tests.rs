use std::sync::Arc;
use std::time::Duration;

use futures_rustls::pki_types::ServerName;
use futures_rustls::rustls::{
    CertRevocationListError, ContentType, EncryptedClientHelloError, HandshakeType, InvalidMessage, OtherError,
    PeerMisbehaved,
};

use super::*;

fn time(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

/// Returns every error of a certificate in the TLS library.
fn of_certificates() -> Vec<CertificateError> {
    use CertificateError as C;
    let of_the_library = [
        webpki::Error::BadDer,
        webpki::Error::BadDerTime,
        webpki::Error::CaUsedAsEndEntity,
        webpki::Error::CertDistrusted,
        webpki::Error::CertRevoked,
        webpki::Error::EmptyEkuExtension,
        webpki::Error::EndEntityUsedAsCa,
        webpki::Error::ExtensionValueInvalid,
        webpki::Error::InvalidCertValidity,
        webpki::Error::InvalidCrlNumber,
        webpki::Error::InvalidNetworkMaskConstraint,
        webpki::Error::InvalidSerialNumber,
        webpki::Error::InvalidCrlSignatureForPublicKey,
        webpki::Error::InvalidSignatureForPublicKey,
        webpki::Error::IssuerNotCrlSigner,
        webpki::Error::MalformedDnsIdentifier,
        webpki::Error::MalformedExtensions,
        webpki::Error::MalformedNameConstraint,
        webpki::Error::MaximumNameConstraintComparisonsExceeded,
        webpki::Error::MaximumPathBuildCallsExceeded,
        webpki::Error::MaximumPathDepthExceeded,
        webpki::Error::MaximumSignatureChecksExceeded,
        webpki::Error::NameConstraintViolation,
        webpki::Error::PathLenConstraintViolated,
        webpki::Error::SignatureAlgorithmMismatch,
        webpki::Error::UnknownIssuer,
        webpki::Error::UnknownRevocationStatus,
        webpki::Error::UnsupportedCertVersion,
        webpki::Error::UnsupportedCriticalExtension,
        webpki::Error::UnsupportedCrlIssuingDistributionPoint,
        webpki::Error::UnsupportedCrlVersion,
        webpki::Error::UnsupportedDeltaCrl,
        webpki::Error::UnsupportedIndirectCrl,
        webpki::Error::UnsupportedNameType,
        webpki::Error::UnsupportedRevocationReason,
        webpki::Error::UnsupportedRevocationReasonsPartitioning,
    ];
    let faults = [
        Fault::Version { version: 1 },
        Fault::NoNames { host: "h".into(), common_name: None },
        Fault::OtherNames { host: "h".into(), names: vec![] },
        Fault::RsaSize { bits: 1_024, of_issuer: false },
    ];
    let other = [
        C::BadEncoding,
        C::Expired,
        C::ExpiredContext { time: time(2_000_000_000), not_after: time(1_000_000_000) },
        C::NotValidYet,
        C::NotValidYetContext { time: time(1_000_000_000), not_before: time(2_000_000_000) },
        C::Revoked,
        C::UnhandledCriticalExtension,
        C::UnknownIssuer,
        C::UnknownRevocationStatus,
        C::ExpiredRevocationList,
        C::ExpiredRevocationListContext { time: time(2), next_update: time(u64::MAX) },
        C::BadSignature,
        #[expect(deprecated, reason = "older versions of the library have it")]
        C::UnsupportedSignatureAlgorithm,
        C::UnsupportedSignatureAlgorithmContext { signature_algorithm_id: vec![6, 1, 0], supported_algorithms: vec![] },
        C::UnsupportedSignatureAlgorithmContext { signature_algorithm_id: vec![0xff; 9], supported_algorithms: vec![] },
        C::UnsupportedSignatureAlgorithmForPublicKeyContext {
            signature_algorithm_id: vec![1],
            public_key_algorithm_id: vec![2],
        },
        C::NotValidForName,
        C::NotValidForNameContext {
            expected: ServerName::try_from("h").unwrap(),
            presented: vec!["DnsName(\"x\")".into()],
        },
        C::InvalidPurpose,
        C::InvalidPurposeContext {
            required: ExtendedKeyPurpose::ServerAuth,
            presented: vec![ExtendedKeyPurpose::Other(vec![1, 2])],
        },
        C::InvalidOcspResponse,
        C::ApplicationVerificationFailure,
        C::Other(OtherError(Arc::new(std::io::Error::other("SomethingNew")))),
    ];
    let boxed = of_the_library.into_iter().map(|error| C::Other(OtherError(Arc::new(error))));
    let faults = faults.into_iter().map(|fault| C::Other(OtherError(Arc::new(fault))));
    other.into_iter().chain(boxed).chain(faults).collect()
}

fn of_all() -> Vec<Error> {
    let others = [
        Error::InappropriateMessage { expect_types: vec![ContentType::Alert], got_type: ContentType::Handshake },
        Error::InappropriateHandshakeMessage {
            expect_types: vec![HandshakeType::ClientHello],
            got_type: HandshakeType::ServerHello,
        },
        Error::InvalidEncryptedClientHello(EncryptedClientHelloError::SniRequired),
        Error::InvalidMessage(InvalidMessage::MissingData("SomethingNew")),
        Error::NoCertificatesPresented,
        Error::UnsupportedNameType,
        Error::DecryptError,
        Error::EncryptError,
        Error::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon),
        Error::PeerIncompatible(PeerIncompatible::NoKxGroupsInCommon),
        Error::PeerIncompatible(PeerIncompatible::NoSignatureSchemesInCommon),
        Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13),
        Error::PeerIncompatible(PeerIncompatible::NullCompressionRequired),
        Error::PeerMisbehaved(PeerMisbehaved::IncorrectBinder),
        Error::InvalidCertRevocationList(CertRevocationListError::ParseError),
        Error::General("SomethingNew".into()),
        Error::FailedToGetCurrentTime,
        Error::FailedToGetRandomBytes,
        Error::HandshakeNotComplete,
        Error::PeerSentOversizedRecord,
        Error::NoApplicationProtocol,
        Error::BadMaxFragmentSize,
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch),
        Error::InconsistentKeys(InconsistentKeys::Unknown),
        Error::Other(OtherError(Arc::new(std::io::Error::other("SomethingNew")))),
    ];
    let alerts = (0..=u8::MAX).map(|number| Error::AlertReceived(AlertDescription::from(number)));
    let certificates = of_certificates().into_iter().map(Error::InvalidCertificate);
    others.into_iter().chain(alerts).chain(certificates).collect()
}

/// The names of Rust's enums have an upper-case letter after a lower-case one.
fn looks_like_debug(text: &str) -> bool {
    const NAMES: [&str; 6] =
        ["subjectAltName", "basicConstraints", "extendedKeyUsage", "serverAuth", "nameConstraints", "ClientHello"];
    let text = NAMES.iter().fold(text.to_owned(), |text, name| text.replace(name, ""));
    text.as_bytes().windows(2).any(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase())
}

#[test]
fn every_error_has_a_description() {
    assert!(looks_like_debug("Other(OtherError(UnsupportedCertVersion))"));
    for error in of_all() {
        let text = Words::of(&error).to_string();
        assert!(text.len() > 20 && !looks_like_debug(&text) && !text.contains(['{', '[']), "{error:?}: {text}");
    }
}

#[test]
fn other_errors_have_a_generic_description() {
    let generic = Words::of(&Error::General("x".into())).to_string();
    assert_eq!(generic, GENERIC);
    let crl = CertificateError::Other(OtherError(Arc::new(webpki::Error::UnsupportedDeltaCrl)));
    assert_eq!(Words::of(&Error::InvalidCertificate(crl)).to_string(), CANNOT_VERIFY);
}

#[test]
fn errors_of_certificates_are_distrust() {
    for error in of_all() {
        let expected = match &error {
            Error::InvalidCertificate(_) => true,
            Error::AlertReceived(alert) => [42, 43, 44, 45, 46, 48, 49, 116].contains(&u8::from(*alert)),
            _ => false,
        };
        assert_eq!(Words::of(&error).is_distrust, expected, "{error:?}");
    }
}

#[test]
fn dates_are_formatted() {
    assert_eq!(date(time(1_000_000_000)), "2001-09-09T01:46:40Z");
    assert_eq!(date(time(u64::MAX)), "a time after the year 9999");
}
