//! Certificates as OpenSSL makes them, in handshakes. `certificates/make.sh` has made the files.

use futures_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};

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

/// What [`connected`] says of a broker called `host`.
fn answer(settings: &[(&str, &str)], peer: Peer, host: &str) -> Result<(), String> {
    let answer = now(given(settings).unwrap().connect(peer, host));
    answer.map(drop).map_err(|error| {
        assert!(is_distrust(&error), "{error}");
        let text = format!("{error:?}");
        assert!(!text.contains("OtherError") && !text.contains("Context"), "{text}");
        error.to_string()
    })
}

const NO_NAMES: (&str, &str) = (IDENTIFICATION, "none");

#[test]
fn version_1_is_refused_with_the_way_to_version_3_which_works() {
    let ca = (CA_PEM, AUTHORITY);
    for settings in [&[ca][..], &[ca, NO_NAMES], &[(CA_PEM, file!("v1.pem"))]] {
        let said = answer(settings, broker(file!("v1.pem"), file!("v1.key")), "broker").unwrap_err();
        assert!(said.starts_with("TLS: the broker's certificate is of X.509 version 1"), "{said}");
        assert!(said.contains("-copy_extensions copy") && said.contains("-extfile"), "{said}");
    }
    assert_eq!(answer(&[ca], broker(file!("extfile.pem"), file!("v1.key")), "broker"), Ok(()));
    assert_eq!(answer(&[ca], broker(file!("copied.pem"), COPIED_KEY), "broker"), Ok(()));
}

/// Java and OpenSSL take a trusted certificate's word, whatever its version; so do we.
#[test]
fn an_authority_may_be_of_version_1() {
    assert!(given(&[(CA_PEM, file!("v1.pem"))]).is_ok());
}

#[test]
fn a_name_in_the_common_name_alone_is_refused_with_the_way_to_a_subject_alt_name() {
    let peer = || broker(file!("common-name.pem"), COPIED_KEY);
    let ca = (CA_PEM, AUTHORITY);
    let said = answer(&[ca], peer(), "broker").unwrap_err();
    assert!(said.contains("has the name \"broker\" only as its common name (CN)"), "{said}");
    assert!(said.contains("-addext \"subjectAltName=DNS:broker\"") && said.contains("-copy_extensions copy"), "{said}");
    let said = answer(&[ca], peer(), "10.0.0.7").unwrap_err();
    assert!(said.contains("only the common name (CN) \"broker\", and is not for \"10.0.0.7\""), "{said}");
    assert!(said.contains("subjectAltName=IP:10.0.0.7"), "{said}");
    assert_eq!(answer(&[ca, NO_NAMES], peer(), "broker"), Ok(()));
}

#[test]
fn other_names_are_listed() {
    let ca = (CA_PEM, AUTHORITY);
    let said = answer(&[ca], broker(file!("copied.pem"), COPIED_KEY), "broker-1.example").unwrap_err();
    assert!(said.contains("is for DNS:broker, and not for \"broker-1.example\""), "{said}");
    assert!(said.contains("called by a name that its certificate has"), "{said}");
    let authority = Authority::new();
    let many = authority.signs("a.example", |params| {
        let names = (0..20).map(|number| format!("b{number}.example"));
        params.subject_alt_names.extend(names.map(|name| rcgen::SanType::DnsName(name.try_into().unwrap())));
        params.subject_alt_names.insert(0, rcgen::SanType::IpAddress([10, 0, 0, 7].into()));
    });
    let said = answer(&[(CA_PEM, &authority.pem)], Peer::new(&many, None), "::1").unwrap_err();
    assert!(said.contains("IP:10.0.0.7, DNS:a.example, DNS:b0.example"), "{said}");
    assert!(said.contains("b5.example, …, and not for \"::1\"") && said.contains("subjectAltName=IP:::1"), "{said}");
}

/// Names are the broker's words: they cannot write lines into a log.
#[test]
fn names_are_escaped() {
    let authority = Authority::new();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "evil\nname\u{1b}[2J");
    let certificate = params.signed_by(&key, &authority.issuer).unwrap().pem();
    let evil = Signed { certificate, key: key.serialize_pem() };
    let said = answer(&[(CA_PEM, &authority.pem)], Peer::new(&evil, None), "broker").unwrap_err();
    assert!(!said.contains(['\n', '\u{1b}']) && said.contains("evil"), "{said}");
}

#[test]
fn a_certificate_that_is_itself_trusted_is_good_if_it_has_the_name_and_the_broker_its_key() {
    let (certificate, key) = (file!("self-signed.pem"), file!("self-signed.key"));
    let pinned = (CA_PEM, certificate);
    assert_eq!(answer(&[pinned], broker(certificate, key), "broker"), Ok(()));
    let bundle = format!("{AUTHORITY}{certificate}");
    assert_eq!(answer(&[(CA_PEM, &bundle)], broker(certificate, key), "broker"), Ok(()), "among others");
    // Its name counts, unless names do not.
    let said = answer(&[pinned], broker(certificate, key), "other").unwrap_err();
    assert!(said.contains("is for DNS:broker, and not for \"other\""), "{said}");
    assert_eq!(answer(&[pinned, NO_NAMES], broker(certificate, key), "other"), Ok(()));
    // Who has the certificate and not its key cannot sign the handshake.
    for settings in [&[pinned][..], &[pinned, NO_NAMES]] {
        let said = answer(settings, broker(certificate, COPIED_KEY), "broker").unwrap_err();
        assert!(said.contains("wrong signature"), "{said}");
    }
    // One that is not trusted is not.
    for settings in [&[(CA_PEM, AUTHORITY)][..], &[(CA_PEM, AUTHORITY), NO_NAMES]] {
        let said = answer(settings, broker(certificate, key), "broker").unwrap_err();
        assert!(said.contains("CA:TRUE") && said.contains("name this very certificate in ssl.ca.location"), "{said}");
        assert!(said.contains("basicConstraints=critical,CA:FALSE"), "{said}");
    }
    // The remedy: without CA:TRUE it was good before.
    let other = file!("self-signed-no-authority.pem");
    assert_eq!(answer(&[(CA_PEM, other)], broker(other, key), "broker"), Ok(()));
}

/// Of the same name and with the same key, but another certificate: not what was given, and so an authority's.
#[test]
fn only_the_very_certificate_is_trusted_for_itself() {
    let key = KeyPair::generate().unwrap();
    let signed = |serial: u8| {
        let mut params = CertificateParams::new(["broker".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.serial_number = Some(vec![serial].into());
        params.self_signed(&key).unwrap().pem()
    };
    let (one, two) = (signed(1), signed(2));
    let key = key.serialize_pem();
    assert_eq!(answer(&[(CA_PEM, &one)], broker(&one, &key), "broker"), Ok(()));
    assert!(answer(&[(CA_PEM, &one)], broker(&two, &key), "broker").unwrap_err().contains("CA:TRUE"));
}

#[test]
fn a_trusted_certificate_of_a_broker_is_good_without_its_authority() {
    let pinned = (CA_PEM, file!("copied.pem"));
    assert_eq!(answer(&[pinned], broker(file!("copied.pem"), COPIED_KEY), "broker"), Ok(()));
    let said = answer(&[pinned], broker(file!("extfile.pem"), file!("v1.key")), "broker").unwrap_err();
    assert!(said.contains("no authority that is trusted here"), "{said}");
}

#[test]
fn a_trusted_certificate_has_its_time() {
    let signed = |from, until| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["broker".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        (params.not_before, params.not_after) = (rcgen::date_time_ymd(from, 1, 1), rcgen::date_time_ymd(until, 1, 1));
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    };
    for (from, until, said) in [
        (2000, 2020, "has expired: it was valid until 2020-01-01T00:00:00Z"),
        (2990, 3000, "from 2990-01-01T00:00:00Z"),
    ] {
        let (certificate, key) = signed(from, until);
        for settings in [&[(CA_PEM, &*certificate)][..], &[(CA_PEM, &certificate), NO_NAMES]] {
            let found = answer(settings, broker(&certificate, &key), "broker").unwrap_err();
            assert!(found.contains(said), "{found}");
        }
    }
    let (certificate, key) = signed(2000, 3000);
    assert_eq!(answer(&[(CA_PEM, &certificate)], broker(&certificate, &key), "broker"), Ok(()));
}

/// No library that signs with RSA 1024 is among our dependencies, so the broker signs with another key: which is not
/// looked at, for ours refuses the size.
#[test]
fn rsa_1024_is_refused_with_the_sizes_that_are_supported() {
    let said = answer(&[(CA_PEM, AUTHORITY)], broker(file!("weak.pem"), file!("v1.key")), "broker").unwrap_err();
    assert!(said.contains("the broker's certificate has an RSA key of 1024 bits"), "{said}");
    assert!(said.contains("2048 to 8192 are supported") && said.contains("-newkey rsa:3072"), "{said}");
    let weak_authority = (CA_PEM, file!("weak-authority.pem"));
    let said = answer(&[weak_authority], broker(file!("signed-by-weak.pem"), COPIED_KEY), "broker").unwrap_err();
    assert!(said.contains("certificate that the broker's is signed with has an RSA key of 1024 bits"), "{said}");
}

#[test]
fn sha_1_is_called_by_its_name() {
    let said = answer(&[(CA_PEM, AUTHORITY)], broker(file!("sha1.pem"), COPIED_KEY), "broker").unwrap_err();
    assert!(said.contains("ECDSA with SHA-1") && said.contains("SHA-256 or better"), "{said}");
}

#[test]
fn a_certificate_for_clients_is_no_broker_s() {
    let authority = Authority::new();
    let client = authority.signs("broker", |params| {
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    });
    let said = answer(&[(CA_PEM, &authority.pem)], Peer::new(&client, None), "broker").unwrap_err();
    assert!(said.contains("for clients alone") && said.contains("serverAuth"), "{said}");
}
