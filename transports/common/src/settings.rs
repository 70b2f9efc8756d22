//! Settings: from Kafka's names and words to plain values. No file is read here, and nothing of TLS is known but names.
//!
//! `table` has every setting, `forms` the ways to write a value, `config` what settings mean together.

mod codec;
mod config;
#[cfg(test)]
mod docs;
mod forms;
mod servers;
mod table;

use std::collections::BTreeMap;

use kafka_batch_core::BatchOptions;

pub(crate) use self::config::{ParsedConfig, TlsConfig};
pub use self::servers::SecurityProtocol;
pub use self::table::ProducerConfig;
use crate::error::ConfigError;
use crate::security::shown;

/// What was set, by Kafka name.
pub(crate) type Settings = BTreeMap<String, String>;

pub(crate) const BROKERS: &str = "bootstrap.servers";

/// Returns whether there is a setting of this name.
pub(crate) fn is_known(name: &str) -> bool {
    table::row(name).is_some()
}

/// One setting.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting<'a> {
    pub(crate) name: &'a str,
    pub(crate) found: &'a str,
}

impl<'a> Setting<'a> {
    #[cfg(feature = "tls")]
    pub(crate) fn of(settings: &'a Settings, name: &'a str) -> Option<Self> {
        settings.get(name).map(|found| Self { name, found })
    }

    pub(crate) fn wrong<T>(self, remedy: impl Into<String>) -> Result<T, ConfigError> {
        let found = shown(self.name, self.found);
        Err(ConfigError::Setting { setting: self.name.to_owned(), found, remedy: remedy.into() })
    }
}

/// Parses settings by name, adds them to those that have typed values, and completes the options of batches with them. Where a
/// setting is among both, the one by name counts.
pub(crate) fn parse(
    settings: &Settings,
    typed: &ProducerConfig,
    options: BatchOptions,
) -> Result<ParsedConfig, ConfigError> {
    for row in table::TABLE {
        (row.check)(typed).or_else(|remedy| wrong(row.name, typed, remedy))?;
    }
    let mut config = typed.clone();
    let mut names: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, found) in settings {
        let setting = Setting { name, found };
        let Some(row) = table::row(name) else {
            return setting.wrong("there is no such setting; the documentation of ProducerBuilder has all of them");
        };
        match (row.read)(&mut config, found) {
            Ok(false) => {}
            Ok(true) => {
                if let Some(other) = names.insert(row.name, name) {
                    return Err(ConfigError::Together(format!("set {other} or {name}, not both: they are the same")));
                }
            }
            Err(remedy) => return setting.wrong(remedy),
        }
    }
    config::complete(config, options)
}

/// An error about a setting that was parsed already, or never a text.
fn wrong<T>(name: &'static str, config: &ProducerConfig, remedy: impl Into<String>) -> Result<T, ConfigError> {
    let found = table::row(name).and_then(|row| (row.show)(config)).unwrap_or_default();
    Setting { name, found: &found }.wrong(remedy)
}

#[cfg(test)]
mod tests;
