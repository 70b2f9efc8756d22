//! The kinds of private keys, and their formats. The files are created by `keys/make.sh`.

use super::replaced_files::Broker;
use super::*;

macro_rules! file {
    ($name:literal) => {
        include_str!(concat!("keys/", $name))
    };
}

/// Each key in PKCS#8, and in the format of its own.
const KEYS: [(&str, &str, Option<&str>); 5] = [
    ("RSA", file!("rsa.pkcs8.pem"), Some(file!("rsa.pkcs1.pem"))),
    ("P-256", file!("P-256.pkcs8.pem"), Some(file!("P-256.sec1.pem"))),
    ("P-384", file!("P-384.pkcs8.pem"), Some(file!("P-384.sec1.pem"))),
    ("P-256 after its parameters", file!("parameters.pkcs8.pem"), Some(file!("parameters.sec1.pem"))),
    ("Ed25519", file!("ed25519.pkcs8.pem"), None),
];

#[test]
fn a_key_of_each_kind_signs_the_handshake_in_each_of_its_formats() {
    let authority = Authority::new("authority");
    let broker = Broker::new(&authority.sign("broker"), &[&authority]);
    for (kind, pkcs8, own) in KEYS {
        assert!(pkcs8.starts_with("-----BEGIN PRIVATE KEY-----"), "{kind}");
        let identity = authority.sign_key("client", pkcs8);
        let encrypted = identity.encrypted_key("open sesame");
        assert!(encrypted.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"), "{kind}");
        for (key, password) in [(Some(pkcs8), None), (own, None), (Some(&encrypted), Some("open sesame"))] {
            let Some(key) = key else { continue };
            let settings =
                [(CA_PEM, &*authority.certificate), (CERTIFICATE_PEM, &identity.certificate), (KEY_PEM, key)];
            let password = password.map(|password| (KEY_PASSWORD, password));
            let settings: Vec<_> = settings.into_iter().chain(password).collect();
            broker.accepts(&config(&settings).unwrap_or_else(|error| panic!("{kind}: {error}")), &identity);
        }
    }
}

#[test]
fn the_formats_are_those_that_their_labels_say() {
    let labels = KEYS.map(|(_, _, own)| own.map(|own| own.matches("-----BEGIN RSA PRIVATE KEY-----").count()));
    assert_eq!(labels, [Some(1), Some(0), Some(0), Some(0), None]);
    for (_, _, own) in &KEYS[1..4] {
        assert!(own.unwrap().contains("-----BEGIN EC PRIVATE KEY-----"));
    }
    assert!(KEYS[3].2.unwrap().starts_with("-----BEGIN EC PARAMETERS-----"));
}

/// Both settings may name the file that `openssl pkcs12` makes.
#[test]
fn a_converted_keystore_has_certificate_and_key() {
    let converted = file!("converted.pem");
    assert!(converted.starts_with("Bag Attributes"));
    let authority = Authority::new("authority");
    let broker = Broker::new(&authority.sign("broker"), &[&authority]);
    let settings = [(CA_PEM, &*authority.certificate), (CERTIFICATE_PEM, converted), (KEY_PEM, converted)];
    let error = broker.connect(&config(&settings).unwrap()).unwrap_err();
    assert!(error.to_string().contains("unknown_ca (48)"), "it was presented, and is self-signed: {error}");
}
