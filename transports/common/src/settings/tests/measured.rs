//! The ways to write values that were tried on Java's client and on librdkafka, tried here. The table, its columns and how
//! it was made: `tests/settings/README.md`.

use super::super::table;
use super::*;

const FORMS: &str = include_str!("../../../tests/settings/forms.tsv");

/// A line of the table.
struct Line {
    number: usize,
    setting: &'static str,
    /// As a JSON text.
    value: &'static str,
    with: &'static str,
    java: &'static str,
    librdkafka: &'static str,
    ours: &'static str,
    why: &'static str,
}

const REFUSED: &str = "refused";

fn lines() -> impl Iterator<Item = Line> {
    let lines = FORMS.lines().zip(1..).filter(|(line, _)| !line.starts_with('#'));
    lines.map(|(line, number)| {
        let cells: Vec<_> = line.split('\t').collect();
        let [setting, value, with, java, librdkafka, ours, why] = cells[..] else { panic!("line {number}: {line}") };
        Line { number, setting, value, with, java, librdkafka, ours, why }
    })
}

/// A text in JSON: those in the table have no other escapes than these.
fn unquoted(json: &str) -> String {
    json.strip_prefix('"').and_then(|json| json.strip_suffix('"')).unwrap().replace("\\t", "\t")
}

/// What is made of a line: the value, as JSON, or that it is refused.
fn outcome(line: &Line, files: &Files) -> String {
    let mut settings: Settings = [SERVER].map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let with = line.with.split(' ').filter_map(|each| each.split_once('='));
    settings.extend(with.map(|(name, value)| (name.to_owned(), files.put_in(value))));
    if line.setting == "metadata.broker.list" {
        settings.clear();
    }
    let value = files.put_in(&unquoted(line.value));
    settings.insert(line.setting.to_owned(), value.clone());
    let parsed = parse(&settings, &ProducerConfig::default(), BatchOptions::default());
    let is_taken = parsed.is_ok_and(|parsed| files.is_taken(&parsed, line));
    if !is_taken {
        return REFUSED.to_owned();
    }
    let row = table::row(line.setting).unwrap();
    let mut config = ProducerConfig::default();
    (row.read)(&mut config, &value).unwrap();
    let shown = (row.show)(&config).unwrap_or_default();
    format!("\"{}\"", files.leave_out(shown))
}

#[test]
fn every_way_of_writing_is_taken_as_the_table_says() {
    let files = Files::new();
    let mut wrong = Vec::new();
    for line in lines().filter(|line| files.can_judge(line)) {
        let found = outcome(&line, &files);
        if found != line.ours {
            let Line { number, setting, value, ours, .. } = line;
            wrong.push(format!("line {number}: {setting} = {value}: {found}, and the table says {ours}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn where_ours_is_neither_javas_nor_librdkafkas_the_table_says_why() {
    let mut wrong = Vec::new();
    for Line { number, java, librdkafka, ours, why, .. } in lines() {
        // A client that does not know a setting says nothing about its values.
        let is_other = ours != java && ours != librdkafka && (java, librdkafka) != ("unknown", "unknown");
        if is_other == why.is_empty() {
            wrong.push(format!("line {number}: {java}, {librdkafka}, and ours {ours}: {why:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_has_every_setting_by_every_name() {
    for name in TABLE.iter().flat_map(|row| row.names()) {
        assert!(lines().any(|line| line.setting == name), "{name}");
    }
    for line in lines() {
        assert!(is_known(line.setting), "line {}", line.number);
    }
}

/// Without TLS no file is read, and none is needed.
#[cfg(not(feature = "tls"))]
struct Files;

#[cfg(not(feature = "tls"))]
impl Files {
    fn new() -> Self {
        Self
    }

    fn can_judge(&self, line: &Line) -> bool {
        !line.setting.starts_with("ssl.")
    }

    fn put_in(&self, text: &str) -> String {
        text.to_owned()
    }

    fn leave_out(&self, text: String) -> String {
        text
    }

    fn is_taken(&self, _: &ParsedConfig, _: &Line) -> bool {
        true
    }
}

#[cfg(feature = "tls")]
use with_tls::Files;

#[cfg(feature = "tls")]
mod with_tls {
    use std::fs;
    use std::path::PathBuf;

    use rcgen::{CertificateParams, KeyPair};

    use super::*;
    use crate::tls::Tls;

    /// What stands in braces in the table: a certificate, its key and its authority, as files and as texts.
    pub(super) struct Files {
        directory: PathBuf,
        values: Vec<(String, String)>,
    }

    impl Files {
        pub(super) fn new() -> Self {
            let directory = std::env::temp_dir().join(format!("kafka-batch-settings-{}", std::process::id()));
            fs::create_dir_all(directory.join("directory")).unwrap();
            let key = KeyPair::generate().unwrap();
            let [ca, certificate] = ["authority", "us"]
                .map(|name| CertificateParams::new([name.to_owned()]).unwrap().self_signed(&key).unwrap().pem());
            fs::write(directory.join("directory/ca.pem"), &ca).unwrap();
            let way = pkcs8::pkcs5::pbes2::Parameters::generate_pbkdf2_sha256_aes256cbc(10, b"salt", [7; 16]).unwrap();
            let der = key.serialize_der();
            let encrypted = pkcs8::PrivateKeyInfoRef::try_from(&der[..]).unwrap();
            let encrypted = encrypted.encrypt_with_params(way, "password").unwrap();
            let encrypted = encrypted.to_pem("ENCRYPTED PRIVATE KEY", pkcs8::LineEnding::LF).unwrap();
            let mut values = Vec::new();
            let key = key.serialize_pem();
            for (name, text) in [("ca", &ca), ("certificate", &certificate), ("key", &key), ("encrypted", &*encrypted)]
            {
                let file = directory.join(format!("{name}.pem"));
                fs::write(&file, text).unwrap();
                values.push((format!("{{{name}.pem}}"), file.to_str().unwrap().to_owned()));
                values.push((format!("{{{name}}}"), text.clone()));
            }
            for name in ["directory", "missing"] {
                values.push((format!("{{{name}}}"), directory.join(name).to_str().unwrap().to_owned()));
            }
            Self { directory, values }
        }

        pub(super) fn can_judge(&self, _: &Line) -> bool {
            true
        }

        pub(super) fn put_in(&self, text: &str) -> String {
            self.values.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
        }

        /// The inverse of `put_in`. A text is shown without the line end after it.
        pub(super) fn leave_out(&self, text: String) -> String {
            let in_place =
                |text: String, (name, value): &(String, String)| text.replace(value, name).replace(value.trim(), name);
            self.values.iter().fold(text, in_place)
        }

        /// Whether TLS can be set up as the line says.
        pub(super) fn is_taken(&self, parsed: &ParsedConfig, line: &Line) -> bool {
            let Some(tls) = parsed.tls.as_ref().filter(|_| line.setting.starts_with("ssl.")) else { return true };
            if line.value == "\"probe\"" {
                return true; // which certificates there are is the machine's affair
            }
            let mut settings = tls.settings().clone();
            if !settings.keys().any(|name| name.starts_with("ssl.ca.")) && !line.setting.starts_with("ssl.ca.") {
                settings.insert("ssl.ca.location".to_owned(), self.put_in("{ca.pem}")); // not the machine's
            }
            Tls::read(&settings).is_ok()
        }
    }

    impl Drop for Files {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.directory);
        }
    }
}
