//! The forms of values that were measured with Java's client and librdkafka, tested with this crate. `tests/settings/README.md`
//! describes the table and how it was made.

use kafka_batch_core::compression::Codec;

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
    this_crate: &'static str,
    why: &'static str,
}

impl Line {
    fn uses_zstd(&self) -> bool {
        self.value == "\"zstd\"" || self.with.contains("compression.type=zstd")
    }
}

const REFUSED: &str = "refused";

fn lines() -> impl Iterator<Item = Line> {
    let lines = FORMS.lines().zip(1..).filter(|(line, _)| !line.starts_with('#'));
    lines.map(|(line, number)| {
        let cells: Vec<_> = line.split('\t').collect();
        let [setting, value, with, java, librdkafka, this_crate, why] = cells[..] else {
            panic!("line {number}: {line}")
        };
        Line { number, setting, value, with, java, librdkafka, this_crate, why }
    })
}

/// Decodes a JSON string. Those in the table have no escape but `\t`.
fn unquoted(json: &str) -> String {
    json.strip_prefix('"').and_then(|json| json.strip_suffix('"')).unwrap().replace("\\t", "\t")
}

/// Returns the parsed value of a line, as a JSON string, or `refused`.
fn outcome(line: &Line, files: &Files) -> String {
    let mut settings: Settings = [SERVER].map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let with = line.with.split(' ').filter_map(|each| each.split_once('='));
    settings.extend(with.map(|(name, value)| (name.to_owned(), files.insert_values(value))));
    if line.setting == "metadata.broker.list" {
        settings.clear();
    }
    let value = files.insert_values(&unquoted(line.value));
    settings.insert(line.setting.to_owned(), value.clone());
    let parsed = parse(&settings, &ProducerConfig::default(), BatchOptions::default());
    let is_accepted = parsed.is_ok_and(|parsed| files.is_accepted(&parsed, line));
    if !is_accepted {
        return REFUSED.to_owned();
    }
    let row = table::row(line.setting).unwrap();
    let mut config = ProducerConfig::default();
    (row.read)(&mut config, &value).unwrap();
    let shown = (row.show)(&config).unwrap_or_default();
    format!("\"{}\"", files.insert_placeholders(shown))
}

#[test]
fn every_form_is_parsed_as_the_table_says() {
    let files = Files::new();
    let mut failures = Vec::new();
    let is_compiled = |line: &Line| Codec::Zstd.is_compiled() || !line.uses_zstd();
    for line in lines().filter(|line| files.can_test(line) && is_compiled(line)) {
        let found = outcome(&line, &files);
        if found != line.this_crate {
            let Line { number, setting, value, this_crate, .. } = line;
            failures.push(format!("line {number}: {setting} = {value}: {found}, and the table says {this_crate}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn each_difference_from_both_clients_has_a_reason_in_the_table() {
    let mut failures = Vec::new();
    for Line { number, java, librdkafka, this_crate, why, .. } in lines() {
        // A client that does not know the setting is not compared.
        let is_other = this_crate != java && this_crate != librdkafka && (java, librdkafka) != ("unknown", "unknown");
        if is_other == why.is_empty() {
            failures.push(format!(
                "line {number}: Java {java}, librdkafka {librdkafka}, this crate {this_crate}, reason {why:?}"
            ));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn the_table_contains_every_name_of_every_setting() {
    for name in TABLE.iter().flat_map(|row| row.names()) {
        assert!(lines().any(|line| line.setting == name), "{name}");
    }
    for line in lines() {
        assert!(table::is_known(line.setting), "line {}", line.number);
    }
}

/// Without TLS, no files are needed.
#[cfg(not(feature = "tls"))]
struct Files;

#[cfg(not(feature = "tls"))]
impl Files {
    fn new() -> Self {
        Self
    }

    fn can_test(&self, line: &Line) -> bool {
        !line.setting.starts_with("ssl.")
    }

    fn insert_values(&self, text: &str) -> String {
        text.to_owned()
    }

    fn insert_placeholders(&self, text: String) -> String {
        text
    }

    fn is_accepted(&self, _: &ParsedConfig, _: &Line) -> bool {
        true
    }
}

#[cfg(feature = "tls")]
use with_tls::Files;

#[cfg(feature = "tls")]
mod with_tls {
    use std::fs;
    use std::path::PathBuf;

    use kafka_batch_certificates::Identity;

    use super::*;
    use crate::tls::Tls;

    /// The values of placeholders in braces in the table: a certificate, its key and its authority, as files and as texts.
    pub(super) struct Files {
        directory: PathBuf,
        values: Vec<(String, String)>,
    }

    impl Files {
        pub(super) fn new() -> Self {
            let directory = std::env::temp_dir().join(format!("kafka-batch-settings-{}", std::process::id()));
            fs::create_dir_all(directory.join("directory")).unwrap();
            let identity = Identity::self_signed("client");
            let ca = identity.reissued_with("authority", |_| {}).certificate;
            fs::write(directory.join("directory/ca.pem"), &ca).unwrap();
            let encrypted = identity.encrypted_key("password");
            let Identity { certificate, key } = identity;
            let mut values = Vec::new();
            for (name, text) in [("ca", &ca), ("certificate", &certificate), ("key", &key), ("encrypted", &encrypted)] {
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

        pub(super) fn can_test(&self, _: &Line) -> bool {
            true
        }

        pub(super) fn insert_values(&self, text: &str) -> String {
            self.values.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
        }

        /// The inverse of `insert_values`. A text is shown without the line end after it.
        pub(super) fn insert_placeholders(&self, text: String) -> String {
            let replace =
                |text: String, (name, value): &(String, String)| text.replace(value, name).replace(value.trim(), name);
            self.values.iter().fold(text, replace)
        }

        /// Returns true if the TLS configuration of the line is accepted.
        pub(super) fn is_accepted(&self, parsed: &ParsedConfig, line: &Line) -> bool {
            let Some(tls) = parsed.tls.as_ref().filter(|_| line.setting.starts_with("ssl.")) else { return true };
            if line.value == "\"probe\"" {
                return true; // depends on the certificates of this system
            }
            let mut settings = tls.settings().clone();
            if !settings.keys().any(|name| name.starts_with("ssl.ca.")) && !line.setting.starts_with("ssl.ca.") {
                settings.insert("ssl.ca.location".to_owned(), self.insert_values("{ca.pem}")); // instead of the system's
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
