//! `ssl.ca.location`: files, directories, and the system's certificates.

use std::fs;

use super::directory::Directory;
use super::*;
use crate::tls::files::Files;
use crate::tls::roots::Roots;

#[test]
fn a_directory_of_certificates_with_any_file_names() {
    let (one, two) = (Authority::new("one"), Authority::new("two"));
    let key = one.sign("broker").key;
    let files: [(&str, &[u8]); 5] = [
        ("one.pem", one.certificate.as_bytes()),
        ("a1b2c3d4.0", two.certificate.as_bytes()), // as `openssl rehash` calls them
        ("key.pem", key.as_bytes()),
        ("README", b"no PEM at all"),
        ("binary", &[0x30, 0x82, 0xff]),
    ];
    let directory = Directory::new(&files);
    fs::create_dir(directory.0.join("java")).unwrap();
    fs::write(directory.0.join("java").join("other.pem"), Authority::new("three").certificate).unwrap();
    #[cfg(unix)]
    for (target, link) in [("one.pem", "deadbeef.0"), ("nothing", "0badcafe.0")] {
        std::os::unix::fs::symlink(target, directory.0.join(link)).unwrap();
    }
    let location = (CA_LOCATION, directory.path());
    for authority in [&one, &two] {
        assert!(connected(&[location], Peer::new(&authority.sign("broker"), None)).is_ok());
    }
    let foreign = rejected(&[location], Peer::new(&Authority::new("three").sign("broker"), None));
    assert!(foreign.contains("not signed by a trusted authority"), "{foreign}");
    let settings = [location].map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let roots = Roots::read(&settings, &Files::read(&settings)).unwrap();
    assert_eq!(roots.certificates.len(), 2, "duplicates, or files that are not PEM");
}

#[test]
fn a_directory_without_certificates_is_an_error() {
    let directory = Directory::new(&[("README", b"none here")]);
    let message = wrong(&[(CA_LOCATION, directory.path())]);
    assert!(message.contains("none of the 1 files in this directory"), "{message}");
    let identity = [(CERTIFICATE_LOCATION, directory.path()), (KEY_PEM, "x")];
    assert!(wrong(&identity).contains("this path cannot be read"), "directories are for authorities alone");
}

#[test]
fn unusable_certificates_in_a_directory_are_skipped() {
    let good = Authority::new("authority");
    let nonsense = b"-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
    let directory = Directory::new(&[("a.pem", nonsense), ("b.pem", good.certificate.as_bytes())]);
    assert!(connected(&[(CA_LOCATION, directory.path())], Peer::new(&good.sign("broker"), None)).is_ok());
}

#[test]
fn probe_is_the_systems() {
    let outcome = |settings: &[(&str, &str)]| config(settings).map(drop).map_err(|error| error.to_string());
    assert_eq!(outcome(&[(CA_LOCATION, "probe")]), outcome(&[]), "whether or not this system has any");
    assert!(wrong(&[(CA_LOCATION, "probe"), (CA_PEM, "x")]).contains("not both"));
}

#[test]
fn a_text_in_place_of_a_path_is_not_shown() {
    let client = Authority::new("authority").sign("us");
    for (location, pem) in [(KEY_LOCATION, KEY_PEM), (CERTIFICATE_LOCATION, CERTIFICATE_PEM)] {
        let other =
            if location == KEY_LOCATION { (CERTIFICATE_PEM, &client.certificate) } else { (KEY_PEM, &client.key) };
        let message = wrong(&[(CA_PEM, &client.certificate), (location, &client.key), (other.0, other.1)]);
        assert!(
            message.contains(&format!("set {pem} to the text instead")) && message.contains(" bytes)\""),
            "{message}"
        );
        assert!(!message.contains(&client.key[40..60]), "{message}");
    }
}

/// The tolerant PEM parser is used for both.
#[test]
fn files_are_parsed_like_texts() {
    let authority = Authority::new("authority");
    let client = authority.sign("us");
    let in_a_line = |text: &str| text.replace("\r\n", "\n").replace('\n', "\\n");
    let [ca, certificate, key] = [&authority.certificate, &client.certificate, &client.key].map(|text| in_a_line(text));
    assert!(config(&[(CA_PEM, &ca), (CERTIFICATE_PEM, &certificate), (KEY_PEM, &key)]).is_ok());
    let directory =
        Directory::new(&[("ca", ca.as_bytes()), ("certificate", certificate.as_bytes()), ("key", key.as_bytes())]);
    let [ca, certificate, key] = ["ca", "certificate", "key"].map(|name| directory.file(name));
    assert!(config(&[(CA_LOCATION, &ca), (CERTIFICATE_LOCATION, &certificate), (KEY_LOCATION, &key)]).is_ok());
}
