//! Parses settings from Kafka's names and values to typed values. Reads no files; of TLS it knows only the settings' names.
//!
//! `table` lists every setting, `forms` has the syntax of values, `config` combines the settings.

mod codec;
mod config;
#[cfg(test)]
mod docs;
mod forms;
mod servers;
pub(crate) mod table;

use std::collections::BTreeMap;

use kafka_batch_core::BatchOptions;

pub(crate) use self::config::{ParsedConfig, TlsConfig};
pub use self::table::ProducerConfig;
use crate::error::ConfigError;
use crate::secrets::{shown, shown_name};

/// Settings by their Kafka names.
pub(crate) type Settings = BTreeMap<String, String>;

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

    /// Returns an error about this setting, with its value redacted.
    pub(crate) fn wrong<T>(self, remedy: impl Into<String>) -> Result<T, ConfigError> {
        let found = shown(self.name, self.found);
        let setting = shown_name(self.name, self.found).to_owned();
        Err(ConfigError::Setting { setting, found, remedy: remedy.into() })
    }
}

/// Parses settings by name, merges them into the typed ones, and applies them to the batch options. A setting by name takes
/// precedence over a typed one.
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
            return setting.wrong("there is no such setting; the documentation of ProducerBuilder lists all of them");
        };
        match (row.read)(&mut config, found) {
            Ok(false) => {}
            Ok(true) => {
                if let Some(other) = names.insert(row.name, name) {
                    return Err(ConfigError::Conflict(format!("set {other} or {name}, not both: they are the same")));
                }
            }
            Err(remedy) => return setting.wrong(remedy),
        }
    }
    config::complete(config, options)
}

/// Returns an error about a setting that was parsed already, or set by a typed value.
fn wrong<T>(name: &'static str, config: &ProducerConfig, remedy: impl Into<String>) -> Result<T, ConfigError> {
    let found = table::row(name).and_then(|row| (row.show)(config)).unwrap_or_default();
    Setting { name, found: &found }.wrong(remedy)
}

#[cfg(test)]
mod tests;
