//! Parses settings from Kafka's names and values to typed values. Reads no files; of TLS it knows only the settings' names.
//!
//! `table` lists every setting, `forms` has the syntax of values, `config` combines the settings.

mod codec;
#[cfg(test)]
mod compared;
mod config;
#[cfg(test)]
mod docs;
mod forms;
mod keystores;
mod network;
mod network_forms;
mod servers;
pub(crate) mod table;

use std::borrow::Cow;
use std::collections::BTreeMap;

use kafka_batch_core::BatchOptions;

pub(crate) use self::config::{ParsedConfig, TRANSACTIONAL_ID, TlsConfig};
pub(crate) use self::network::refuse;
pub use self::network_forms::ProxyAddress;
pub use self::table::{ProducerConfig, similar_setting};
use crate::error::{ConfigError, SettingErrorReason, SettingValue};
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
    pub(crate) fn wrong<T>(self, reason: impl Into<SettingErrorReason>) -> Result<T, ConfigError> {
        let SettingValue { setting, found } = self.shown();
        Err(ConfigError::Setting { setting, found: found.unwrap_or_default(), reason: reason.into() })
    }

    /// Returns an error about this setting and another one.
    pub(crate) fn conflict<T>(
        self,
        other: SettingValue,
        remedy: impl Into<Cow<'static, str>>,
    ) -> Result<T, ConfigError> {
        Err(ConfigError::Conflict { setting: self.shown(), other, remedy: remedy.into() })
    }

    /// Returns the setting with its value redacted.
    pub(crate) fn shown(self) -> SettingValue {
        SettingValue::new(shown_name(self.name, self.found), shown(self.name, self.found))
    }
}

/// Parses settings by name, merges them into the typed ones, and applies them to the batch options. A setting by name takes
/// precedence over a typed one.
pub(crate) fn parse(
    settings: &Settings,
    typed: &ProducerConfig,
    options: BatchOptions,
) -> Result<ParsedConfig, ConfigError> {
    let mut config = typed.clone().normalized()?;
    let mut names: BTreeMap<&str, Setting<'_>> = BTreeMap::new();
    for (name, found) in settings {
        let setting = Setting { name, found };
        let Some(row) = table::row(name) else {
            if let Some(remedy) = keystores::remedy(name) {
                return setting.wrong(remedy);
            }
            let (setting, similar) = (shown_name(name, found).to_owned(), similar_setting(name));
            return Err(ConfigError::UnknownSetting { setting, similar });
        };
        match (row.read)(&mut config, found) {
            Ok(false) => {}
            Ok(true) => {
                if let Some(other) = names.insert(row.name, setting) {
                    return other.conflict(setting.shown(), "they are the same setting: set one of them, not both");
                }
            }
            Err(reason) => return setting.wrong(reason),
        }
    }
    config::complete(&config, options)
}

/// Returns an error about a setting that was parsed already, or set by a typed value.
fn wrong<T>(
    name: &'static str,
    config: &ProducerConfig,
    reason: impl Into<SettingErrorReason>,
) -> Result<T, ConfigError> {
    let found = shown_in(name, config).found.unwrap_or_default();
    Err(ConfigError::Setting { setting: name.to_owned(), found, reason: reason.into() })
}

/// Returns an error about two settings that were parsed already, or set by typed values.
fn conflict<T>(
    name: &'static str,
    other: &'static str,
    config: &ProducerConfig,
    remedy: impl Into<Cow<'static, str>>,
) -> Result<T, ConfigError> {
    let [setting, other] = [name, other].map(|name| shown_in(name, config));
    Err(ConfigError::Conflict { setting, other, remedy: remedy.into() })
}

/// Returns a setting with its value redacted.
fn shown_in(name: &'static str, config: &ProducerConfig) -> SettingValue {
    let found = table::row(name).and_then(|row| (row.show)(config));
    SettingValue::new(name, found.map(|found| shown(name, &found)))
}

#[cfg(test)]
mod tests;
