//! Settings: from Kafka's names and words to plain values. No file is read here, and nothing of TLS is known but names.
//!
//! [`table`] has every setting, [`forms`] the ways to write a value, [`config`] what settings mean together.

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
use self::table::TypedSettings;
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

/// Settings by the names in the table, whichever names they were set by. Without those that a blank value leaves unset.
type Given<'a> = BTreeMap<&'static str, Setting<'a>>;

/// Parses settings, and completes the options of batches with them.
pub(crate) fn parse(settings: &Settings, options: BatchOptions) -> Result<ParsedConfig, ConfigError> {
    let mut typed = TypedSettings::default();
    let mut given = Given::new();
    for (name, found) in settings {
        let setting = Setting { name, found };
        let Some(row) = table::row(name) else {
            return setting.wrong("there is no such setting; the documentation of ProducerBuilder has all of them");
        };
        match (row.read)(&mut typed, found) {
            Ok(false) => {}
            Ok(true) => {
                if let Some(other) = given.insert(row.name, setting) {
                    let both = format!("set {} or {name}, not both: they are the same", other.name);
                    return Err(ConfigError::Together(both));
                }
            }
            Err(remedy) => return setting.wrong(remedy),
        }
    }
    config::complete(typed, &given, options)
}

#[cfg(test)]
mod tests;
