//! Settings as librdkafka has parsed them, so that its syntax of values is not implemented twice.

use rdkafka::ClientConfig;
use rdkafka::config::NativeClientConfig;
use rdkafka::error::KafkaResult;

use crate::settings::Settings;

/// Pairs of names for the same setting (CONFIGURATION.md of librdkafka 2.12.1, for producers).
const SAME: [[&str; 2]; 10] = [
    ["acks", "request.required.acks"],
    ["bootstrap.servers", "metadata.broker.list"],
    ["compression.type", "compression.codec"],
    ["delivery.timeout.ms", "message.timeout.ms"],
    ["linger.ms", "queue.buffering.max.ms"],
    ["max.in.flight", "max.in.flight.requests.per.connection"],
    ["retries", "message.send.max.retries"],
    ["sasl.mechanism", "sasl.mechanisms"],
    ["sasl.oauthbearer.client.credentials.client.id", "sasl.oauthbearer.client.id"],
    ["sasl.oauthbearer.client.credentials.client.secret", "sasl.oauthbearer.client.secret"],
];

/// Returns two names of one setting that are both set. librdkafka uses the last one, which is random because `rdkafka` keeps
/// settings in a hash map.
pub(crate) fn set_twice(settings: &Settings) -> Option<[&'static str; 2]> {
    SAME.into_iter().find(|names| names.iter().all(|name| settings.contains_key(*name)))
}

/// Settings as librdkafka has parsed them: numbers are decimal, and words are those of its documentation.
pub(crate) struct Effective<'s> {
    settings: &'s Settings,
    native: NativeClientConfig,
}

impl<'s> Effective<'s> {
    /// Has librdkafka parse the settings.
    ///
    /// # Errors
    /// librdkafka refuses a name or a value.
    pub(crate) fn new(settings: &'s Settings, config: &ClientConfig) -> KafkaResult<Self> {
        Ok(Self { settings, native: config.create_native_config()? })
    }

    /// Returns the value of a setting, or its default.
    pub(crate) fn get(&self, name: &str) -> String {
        self.native.get(name).unwrap_or_default() // empty if it has no default either
    }

    /// Returns the value of a setting if it is set by any of its names.
    pub(crate) fn set(&self, name: &str) -> Option<String> {
        is_set(self.settings, name).then(|| self.get(name))
    }
}

/// Returns `true` if a setting is set by any of its names.
pub(crate) fn is_set(settings: &Settings, name: &str) -> bool {
    let names = SAME.iter().find(|names| names.contains(&name)).map_or(&[][..], |names| &names[..]);
    settings.contains_key(name) || names.iter().any(|name| settings.contains_key(*name))
}
