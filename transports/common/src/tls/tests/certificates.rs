//! Handshakes with certificates as OpenSSL creates them. The files are created by `certificates/make.sh`.

use futures_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use kafka_batch_certificates::CertificateParams;
use kafka_batch_certificates::rcgen::{BasicConstraints, DnType, ExtendedKeyUsagePurpose, IsCa, SanType};

use super::*;

macro_rules! file {
    ($name:literal) => {
        include_str!(concat!("certificates/", $name))
    };
}

const AUTHORITY: &str = file!("authority.pem");
const COPIED_KEY: &str = file!("copied.key");

/// A broker with this certificate and key, whether or not they belong together.
fn broker(certificate: &str, key: &str) -> Peer {
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
    let key = ring::sign::any_supported_type(&PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap()).unwrap();
    Peer::with_resolver(Arc::new(SingleCertAndKey::from(CertifiedKey::new(vec![certificate], key))))
}

/// Connects to a broker with this host name, and returns the text of the error.
fn connect(settings: &[(&str, &str)], peer: Peer, host: &str) -> Result<(), String> {
    let result = ready(config(settings).unwrap().connect(peer, host));
    result.map(drop).map_err(|error| {
        assert!(is_distrust(&error), "{error}");
        let text = format!("{error:?}");
        assert!(!text.contains("OtherError") && !text.contains("Context"), "{text}");
        error.to_string()
    })
}

const NO_NAMES: (&str, &str) = (IDENTIFICATION, "none");

#[test]
fn version_1_is_rejected_with_instructions_for_version_3_that_work() {
    let ca = (CA_PEM, AUTHORITY);
    for settings in [&[ca][..], &[ca, NO_NAMES], &[(CA_PEM, file!("v1.pem"))]] {
        let message = connect(settings, broker(file!("v1.pem"), file!("v1.key")), "broker").unwrap_err();
        assert!(message.starts_with("TLS: the broker's certificate has X.509 version 1"), "{message}");
        assert!(message.contains("-copy_extensions copy") && message.contains("-extfile"), "{message}");
    }
    assert_eq!(connect(&[ca], broker(file!("extfile.pem"), file!("v1.key")), "broker"), Ok(()));
    assert_eq!(connect(&[ca], broker(file!("copied.pem"), COPIED_KEY), "broker"), Ok(()));
}

/// As in Java and OpenSSL, a trusted certificate may have any version.
#[test]
fn an_authority_may_be_of_version_1() {
    assert!(config(&[(CA_PEM, file!("v1.pem"))]).is_ok());
}

#[test]
fn a_name_only_in_the_common_name_is_rejected_with_instructions_for_a_subject_alt_name() {
    let peer = || broker(file!("common-name.pem"), COPIED_KEY);
    let ca = (CA_PEM, AUTHORITY);
    let message = connect(&[ca], peer(), "broker").unwrap_err();
    assert!(message.contains("contains the name \"broker\" only as common name (CN)"), "{message}");
    assert!(
        message.contains("-addext \"subjectAltName=DNS:broker\"") && message.contains("-copy_extensions copy"),
        "{message}"
    );
    let message = connect(&[ca], peer(), "10.0.0.7").unwrap_err();
    assert!(message.contains("only the common name (CN) \"broker\", and is not valid for \"10.0.0.7\""), "{message}");
    assert!(message.contains("subjectAltName=IP:10.0.0.7"), "{message}");
    assert_eq!(connect(&[ca, NO_NAMES], peer(), "broker"), Ok(()));
}

#[test]
fn other_names_are_listed() {
    let ca = (CA_PEM, AUTHORITY);
    let message = connect(&[ca], broker(file!("copied.pem"), COPIED_KEY), "broker-1.example").unwrap_err();
    assert!(message.contains("is valid for DNS:broker, and not for \"broker-1.example\""), "{message}");
    assert!(message.contains("use a name in the certificate"), "{message}");
    let authority = Authority::new("authority");
    let many = authority.sign_with("a.example", |params| {
        let names = (0..20).map(|number| format!("b{number}.example"));
        params.subject_alt_names.extend(names.map(|name| SanType::DnsName(name.try_into().unwrap())));
        params.subject_alt_names.insert(0, SanType::IpAddress([10, 0, 0, 7].into()));
    });
    let message = connect(&[(CA_PEM, &authority.certificate)], Peer::new(&many, None), "::1").unwrap_err();
    assert!(message.contains("IP:10.0.0.7, DNS:a.example, DNS:b0.example"), "{message}");
    assert!(
        message.contains("b5.example, …, and not for \"::1\"") && message.contains("subjectAltName=IP:::1"),
        "{message}"
    );
}

/// Names come from the broker: they must not add lines to a log.
#[test]
fn names_are_escaped() {
    let authority = Authority::new("authority");
    let evil = authority.sign_with("broker", |params| {
        params.subject_alt_names.clear();
        params.distinguished_name.push(DnType::CommonName, "evil\nname\u{1b}[2J");
    });
    let message = connect(&[(CA_PEM, &authority.certificate)], Peer::new(&evil, None), "broker").unwrap_err();
    assert!(!message.contains(['\n', '\u{1b}']) && message.contains("evil"), "{message}");
}

#[test]
fn a_trusted_certificate_is_valid_for_its_own_name_and_key() {
    let (certificate, key) = (file!("self-signed.pem"), file!("self-signed.key"));
    let pinned = (CA_PEM, certificate);
    assert_eq!(connect(&[pinned], broker(certificate, key), "broker"), Ok(()));
    let bundle = format!("{AUTHORITY}{certificate}");
    assert_eq!(connect(&[(CA_PEM, &bundle)], broker(certificate, key), "broker"), Ok(()), "among others");
    // The name is checked, unless the check is disabled.
    let message = connect(&[pinned], broker(certificate, key), "other").unwrap_err();
    assert!(message.contains("is valid for DNS:broker, and not for \"other\""), "{message}");
    assert_eq!(connect(&[pinned, NO_NAMES], broker(certificate, key), "other"), Ok(()));
    // Without the certificate's key, the handshake cannot be signed.
    for settings in [&[pinned][..], &[pinned, NO_NAMES]] {
        let message = connect(settings, broker(certificate, COPIED_KEY), "broker").unwrap_err();
        assert!(message.contains("invalid signature"), "{message}");
    }
    // A certificate that is not trusted is rejected.
    for settings in [&[(CA_PEM, AUTHORITY)][..], &[(CA_PEM, AUTHORITY), NO_NAMES]] {
        let message = connect(settings, broker(certificate, key), "broker").unwrap_err();
        assert!(
            message.contains("CA:TRUE") && message.contains("set ssl.ca.location to this certificate itself"),
            "{message}"
        );
        assert!(message.contains("basicConstraints=critical,CA:FALSE"), "{message}");
    }
    // The remedy from the message: a certificate without CA:TRUE.
    let other = file!("self-signed-no-authority.pem");
    assert_eq!(connect(&[(CA_PEM, other)], broker(other, key), "broker"), Ok(()));
}

/// Another certificate with the same name and key is not the trusted one, so it is treated as an authority's.
#[test]
fn only_the_same_certificate_is_trusted_without_a_chain() {
    let authority = |serial: u8| {
        move |params: &mut CertificateParams| {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.serial_number = Some(vec![serial].into());
        }
    };
    let one = Identity::self_signed_with("broker", authority(1));
    let two = one.reissued_with("broker", authority(2));
    let trusted = (CA_PEM, one.certificate.as_str());
    assert_eq!(connect(&[trusted], broker(&one.certificate, &one.key), "broker"), Ok(()));
    assert!(connect(&[trusted], broker(&two.certificate, &two.key), "broker").unwrap_err().contains("CA:TRUE"));
}

#[test]
fn a_trusted_certificate_of_a_broker_is_valid_without_its_authority() {
    let pinned = (CA_PEM, file!("copied.pem"));
    assert_eq!(connect(&[pinned], broker(file!("copied.pem"), COPIED_KEY), "broker"), Ok(()));
    let message = connect(&[pinned], broker(file!("extfile.pem"), file!("v1.key")), "broker").unwrap_err();
    assert!(message.contains("not signed by a trusted authority"), "{message}");
}

#[test]
fn the_validity_period_of_a_trusted_certificate_is_checked() {
    let self_signed = |from, until| {
        Identity::self_signed_with("broker", |params| {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(until, 1, 1));
        })
    };
    for (from, until, expected) in [
        (2000, 2020, "has expired: it was valid until 2020-01-01T00:00:00Z"),
        (2990, 3000, "from 2990-01-01T00:00:00Z"),
    ] {
        let Identity { certificate, key } = self_signed(from, until);
        for settings in [&[(CA_PEM, &*certificate)][..], &[(CA_PEM, &certificate), NO_NAMES]] {
            let message = connect(settings, broker(&certificate, &key), "broker").unwrap_err();
            assert!(message.contains(expected), "{message}");
        }
    }
    let Identity { certificate, key } = self_signed(2000, 3000);
    assert_eq!(connect(&[(CA_PEM, &certificate)], broker(&certificate, &key), "broker"), Ok(()));
}

/// No dependency can sign with RSA 1024, so the broker signs with another key. Its signature is not verified, because the
/// size is rejected first.
#[test]
fn rsa_1024_is_rejected_with_the_sizes_that_are_supported() {
    let message = connect(&[(CA_PEM, AUTHORITY)], broker(file!("weak.pem"), file!("v1.key")), "broker").unwrap_err();
    assert!(message.contains("the broker's certificate has an RSA key of 1024 bits"), "{message}");
    assert!(message.contains("2048 to 8192 are supported") && message.contains("-newkey rsa:3072"), "{message}");
    let weak_authority = (CA_PEM, file!("weak-authority.pem"));
    let message = connect(&[weak_authority], broker(file!("signed-by-weak.pem"), COPIED_KEY), "broker").unwrap_err();
    assert!(
        message.contains("certificate of an issuer of the broker's certificate has an RSA key of 1024 bits"),
        "{message}"
    );
}

#[test]
fn sha_1_is_named() {
    let message = connect(&[(CA_PEM, AUTHORITY)], broker(file!("sha1.pem"), COPIED_KEY), "broker").unwrap_err();
    assert!(message.contains("ECDSA with SHA-1") && message.contains("SHA-256 or better"), "{message}");
}

#[test]
fn a_certificate_for_clients_is_rejected() {
    let authority = Authority::new("authority");
    let client = authority.sign_with("broker", |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    let message = connect(&[(CA_PEM, &authority.certificate)], Peer::new(&client, None), "broker").unwrap_err();
    assert!(message.contains("valid for clients only") && message.contains("serverAuth"), "{message}");
}
