//! How a producer is made.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::future::Future;
use std::hash::BuildHasher;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use kafka_batch_core::machine;
use kafka_batch_core::{BatchOptions, Capabilities, DownConversion};

use crate::command_queue::CommandQueue;
use crate::driver::Driver;
use crate::error::ConfigError;
use crate::producer::Producer;
use crate::security;
use crate::settings::{self, ParsedConfig, ProducerConfig, Settings};
use crate::tls_stream::Security;
use crate::topics::Topics;

/// What a runtime has to do for a producer: one task, from the first connection to the last answer.
pub type ProducerTask = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a transport adds to this crate.
pub trait Runtime: Sized + 'static {
    /// The loop that turns a driver until its [`Step::End`](crate::Step::End): the [crate] says how it goes.
    fn drive(driver: Driver) -> ProducerTask;
}

/// A runtime that can be found from anywhere.
pub trait Spawn: Runtime {
    /// Spawns the producer's task on this runtime.
    ///
    /// # Errors
    /// There is no runtime here.
    fn spawn(task: ProducerTask) -> Result<(), ConfigError>;
}

/// Settings of a [`Producer`], by their Kafka names. [`ProducerConfig`] has them with typed values.
///
/// Of two names in a row the others are librdkafka's. Blank space around a value or an item of a list has no meaning, nor has
/// the case of words such as `gzip` or `true`; numbers are decimal.
///
#[doc = include_str!("settings/table.md")]
///
/// The names of TLS are librdkafka's. Its versions are 1.2 and 1.3; files are read once, when the producer is made.
#[must_use]
pub struct ProducerBuilder<R> {
    settings: Settings,
    config: ProducerConfig,
    batch_options: BatchOptions,
    down_conversion: DownConversion,
    split_too_large: bool,
    seed: Option<u64>,
    runtime: PhantomData<fn() -> R>,
}

impl<R: Runtime> ProducerBuilder<R> {
    pub(crate) fn new() -> Self {
        Self {
            settings: Settings::new(),
            config: ProducerConfig::default(),
            batch_options: BatchOptions::default(),
            down_conversion: DownConversion::default(),
            split_too_large: false,
            seed: None,
            runtime: PhantomData,
        }
    }

    /// Sets one setting. If a name is set twice, the last value wins.
    pub fn set(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.insert(name.into(), value.into());
        self
    }

    /// Sets all settings with typed values. One that is also [set by name](Self::set) has the value that was set by name.
    pub fn config(mut self, config: ProducerConfig) -> Self {
        self.config = config;
        self
    }

    /// What [`Transport::batch`](kafka_batch_core::Transport::batch) makes batches with. The settings `compression.type`
    /// and `batch.size` override these options. The hard limit has no setting: set it with
    /// `.batch_options(BatchOptions::default().max_message_bytes(…))`.
    pub fn batch_options(mut self, options: BatchOptions) -> Self {
        self.batch_options = options;
        self
    }

    /// What may be lost when a batch has to be converted for an older broker. Default: timestamps, for magic 0.
    pub const fn down_conversion(mut self, policy: DownConversion) -> Self {
        self.down_conversion = policy;
        self
    }

    /// Whether a batch that the broker finds too large (MESSAGE_TOO_LARGE) is split and its parts sent, in order. Default
    /// false: it fails and comes back. Split it is no longer one batch in the log, nor all or nothing, and
    /// [`Capabilities::one_batch_on_the_wire`] says so.
    pub const fn split_too_large(mut self, split: bool) -> Self {
        self.split_too_large = split;
        self
    }

    /// Seed for partition choice, jitter and SCRAM nonces. With SCRAM it must be unguessable. Default: drawn from the
    /// randomness of the system.
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Makes the producer, and has its task done by the runtime that this is called under. It connects by itself, when
    /// there is something to do, and does not wait until it has.
    ///
    /// # Errors
    /// A setting is unknown, out of range or at odds with another one, or there is no runtime here.
    pub fn create(self) -> Result<Producer<R>, ConfigError>
    where
        R: Spawn,
    {
        let (producer, task) = self.create_with_task()?;
        R::spawn(task)?;
        Ok(producer)
    }

    /// Makes the producer, and leaves it to the caller to have its task done, by whatever executor. Nothing happens before
    /// that is begun; dropping it is what a runtime does that is shut down.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn create_with_task(self) -> Result<(Producer<R>, ProducerTask), ConfigError> {
        let Self { settings, config, batch_options, down_conversion, split_too_large, seed, .. } = self;
        let ParsedConfig { machine, options: batch_options, tls, brokers } =
            settings::parse(&settings, &config, batch_options)?;
        let security = Security::new(tls.as_ref())?;
        batch_options.clone().build(UNIX_EPOCH)?;
        let config = machine::ProducerConfig { down_conversion, split_too_large, ..machine };
        let seed = seed.unwrap_or_else(|| RandomState::new().hash_one(0));
        let limit = config.buffer_memory;
        let topics = Topics::new(seed, config.metadata_max_age).max_idle(config.metadata_max_idle);
        let queue = Arc::new(CommandQueue::new(limit, topics));
        let driver = Driver::new(config, security, seed, Arc::clone(&queue));
        let producer = Producer::new(queue, batch_options, Capabilities::new(!split_too_large), limit, brokers);
        Ok((producer, R::drive(driver)))
    }
}

impl<R> Clone for ProducerBuilder<R> {
    fn clone(&self) -> Self {
        let Self { settings, config, batch_options, down_conversion, split_too_large, seed, runtime } = self;
        Self {
            settings: settings.clone(),
            config: config.clone(),
            batch_options: batch_options.clone(),
            down_conversion: *down_conversion,
            split_too_large: *split_too_large,
            seed: *seed,
            runtime: *runtime,
        }
    }
}

/// Without secrets, and without the values of settings that are not known: they may be secrets.
impl<R> fmt::Debug for ProducerBuilder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: Settings =
            self.settings.iter().map(|(name, value)| (name.clone(), security::shown(name, value))).collect();
        f.debug_struct("ProducerBuilder")
            .field("settings", &shown)
            .field("config", &self.config)
            .field("batch_options", &self.batch_options)
            .field("down_conversion", &self.down_conversion)
            .field("split_too_large", &self.split_too_large)
            .field("seed", &self.seed)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    enum Nowhere {}

    impl Runtime for Nowhere {
        fn drive(_: Driver) -> ProducerTask {
            Box::pin(std::future::ready(()))
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let secrets = ["sasl.password", "sasl.jaas.config", "sasl.oauthbearer.client.secret", "ssl.key.pem"];
        let builder = Producer::<Nowhere>::builder().set("client.id", "me");
        let builder = secrets.iter().fold(builder, |builder, secret| builder.set(*secret, "hunter2"));
        let shown = format!("{builder:?}");
        assert!(shown.contains("\"client.id\": \"me\"") && !shown.contains("hunter2"), "{shown}");
        for secret in secrets {
            assert!(shown.contains(secret), "{shown}");
        }
        let error = builder.create_with_task().map(drop).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
}
