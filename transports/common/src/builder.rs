//! How a producer is made.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::future::Future;
use std::hash::BuildHasher;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use kafka_batch_core::producer::ProducerConfig;
use kafka_batch_core::{BatchOptions, Capabilities, DownConversion};

use crate::desk::Desk;
use crate::driver::Driver;
use crate::error::ConfigError;
use crate::producer::Producer;
use crate::secrets::{shown, shown_name};
use crate::settings::{self, Meaning, Settings};
use crate::topics::Topics;

/// What a runtime has to do for a producer: one task, from the first connection to the last answer.
pub type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a transport adds to this crate.
pub trait Runtime: Sized + 'static {
    /// The loop that turns a driver until its [`Step::End`](crate::Step::End): the [crate] says how it goes.
    fn drive(driver: Driver) -> Work;
}

/// A runtime that can be found from anywhere.
pub trait Spawn: Runtime {
    /// Spawns the producer's task on this runtime.
    ///
    /// # Errors
    /// There is no runtime here.
    fn spawn(work: Work) -> Result<(), ConfigError>;
}

/// Settings of a [`Producer`], by their Kafka names.
///
/// | setting | default | what it is |
/// |---|---|---|
/// | `bootstrap.servers` | none | `host:port,…`: where to begin asking who is in the cluster; the port can be left out, and is 9092 then |
/// | `client.id` | `kafka-batch` | a name for the brokers' logs, metrics and quotas |
/// | `acks` | `all` | who must have a batch before it counts as delivered: `0`, `1`, `all` |
/// | `enable.idempotence` | `true`, unless `acks` or the next setting rules it out | a retry neither doubles nor reorders |
/// | `max.in.flight.requests.per.connection` | 5 | requests without an answer on one connection; more than 5 switch idempotence off, and are an error where it was switched on |
/// | `request.timeout.ms` | 30 000 | how long to wait for an answer; also how long a topic is asked for before it counts as unknown |
/// | `delivery.timeout.ms` | 120 000 | how long after it was accepted a batch has failed; if it is not set, at least `request.timeout.ms`, and an error if it is set to less |
/// | `retries` | 2 147 483 647 | nothing else is taken: retries are not counted, `delivery.timeout.ms` bounds them |
/// | `linger.ms` | 0 | nothing else is taken: a batch goes out when it is handed over; a [`RollingBatch`](kafka_batch_core::RollingBatch) or a [`BatchStream`](kafka_batch_core::BatchStream) can linger |
/// | `retry.backoff.ms`, `retry.backoff.max.ms` | 100, 1 000 | between retries, doubling |
/// | `reconnect.backoff.ms`, `reconnect.backoff.max.ms` | 50, 1 000 | between attempts to connect, doubling |
/// | `socket.connection.setup.timeout.ms` | 10 000 | how long connecting may take, all addresses of a name together |
/// | `connections.max.idle.ms` | 540 000 | an unused connection is closed after this |
/// | `metadata.max.age.ms` | 300 000 | what is known of the cluster is asked anew after this |
/// | `metadata.max.idle.ms` | 300 000 | what is known of a topic that nobody sends to is forgotten after this |
/// | `max.request.size` | 1 048 576 | bytes of one request; a batch that is over it goes alone |
/// | `buffer.memory` | 33 554 432 | bytes of batches that may be on their way: over it, sending waits. A batch counts until it is answered; an answer that is not taken keeps its batch in memory, and does not count |
/// | `receive.message.max.bytes` | 100 000 000 | the longest answer that is read (librdkafka's name) |
/// | `broker.version.fallback` | none | how to speak with brokers before 0.10 (librdkafka's name) |
/// | `compression.type` | as the [batch options](Self::batch_options) | the codec of batches that the producer makes: `none`, `gzip`, `snappy`, `lz4`, `zstd`, as far as they are compiled in |
/// | `compression.level` | the codec's | its level (librdkafka's name): 1 to 9 for gzip, -131 072 to 22 for zstd, -1 for the default; the others have none |
/// | `compression.gzip.level`, `compression.zstd.level`, `compression.lz4.level` | the codec's | the same by Kafka's names, for the codec that `compression.type` names; -1 is the default, but with zstd, which has such a level |
/// | `batch.size` | as the [batch options](Self::batch_options) | the soft limit of batches that the producer makes; the hard one, `max.message.bytes`, is [among the options](Self::batch_options) |
/// | `security.protocol` | `plaintext` | or `ssl`, `sasl_plaintext`, `sasl_ssl`: with TLS where it ends in `ssl`, which needs the feature `tls` |
/// | `sasl.mechanism`, `sasl.mechanisms` | `PLAIN` | (the latter is librdkafka's name) or `SCRAM-SHA-256`, `SCRAM-SHA-512`; PLAIN sends the password itself, so use it with TLS alone |
/// | `sasl.username`, `sasl.password` | none | who we are; with SCRAM, printable ASCII |
/// | `ssl.ca.location`, `ssl.ca.pem` | the system's | the authorities to trust, or brokers' own certificates: a PEM file or a directory of such files, or the text itself; `probe` as a location: the system's |
/// | `ssl.certificate.location`, `ssl.certificate.pem` | none | our own certificate, and those between it and its authority: a PEM file, or the text itself |
/// | `ssl.key.location`, `ssl.key.pem` | none | its key: likewise; plain, or encrypted as PKCS#8 has it (`BEGIN ENCRYPTED PRIVATE KEY`), by PBES2 with AES and PBKDF2-HMAC-SHA-2 or scrypt, as `openssl pkcs8 -topk8 -v2 aes-256-cbc` does |
/// | `ssl.key.password` | none | the password of that key, if it is encrypted |
/// | `ssl.endpoint.identification.algorithm` | `https` | a broker's certificate has to have its host name; `none`: any that an authority has signed will do |
///
/// The names of TLS are librdkafka's. Its versions are 1.2 and 1.3; files are read once, when the producer is made. PEM can be
/// in one line: its line ends can be missing, be spaces, or be spelled out (`\n`), as in a JSON document.
#[must_use]
pub struct ProducerBuilder<R> {
    settings: Settings,
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
        let (producer, work) = self.create_with_work()?;
        R::spawn(work)?;
        Ok(producer)
    }

    /// Makes the producer, and leaves it to the caller to have its task done, by whatever executor. Nothing happens before
    /// that is begun; dropping it is what a runtime does that is shut down.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn create_with_work(self) -> Result<(Producer<R>, Work), ConfigError> {
        let Self { settings, batch_options, down_conversion, split_too_large, seed, .. } = self;
        let Meaning { config, options: batch_options, security } = settings::read(&settings, batch_options)?;
        batch_options.clone().build(UNIX_EPOCH)?;
        let config = ProducerConfig { down_conversion, split_too_large, ..config };
        let seed = seed.unwrap_or_else(|| RandomState::new().hash_one(0));
        let limit = config.buffer_memory;
        let brokers = settings.get(settings::BROKERS).cloned().unwrap_or_default();
        let topics = Topics::new(seed, config.metadata_max_age).max_idle(config.metadata_max_idle);
        let desk = Arc::new(Desk::new(limit, topics));
        let driver = Driver::new(config, security, seed, Arc::clone(&desk));
        let producer = Producer::new(desk, batch_options, Capabilities::new(!split_too_large), limit, brokers);
        Ok((producer, R::drive(driver)))
    }
}

impl<R> Clone for ProducerBuilder<R> {
    fn clone(&self) -> Self {
        let Self { settings, batch_options, down_conversion, split_too_large, seed, runtime } = self;
        Self {
            settings: settings.clone(),
            batch_options: batch_options.clone(),
            down_conversion: *down_conversion,
            split_too_large: *split_too_large,
            seed: *seed,
            runtime: *runtime,
        }
    }
}

/// Without secrets, and without the values of settings that are not known: they may be secrets. So is the seed.
impl<R> fmt::Debug for ProducerBuilder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = self.settings.iter();
        let settings: Settings =
            settings.map(|(name, value)| (shown_name(name, value).to_owned(), shown(name, value))).collect();
        f.debug_struct("ProducerBuilder")
            .field("settings", &settings)
            .field("batch_options", &self.batch_options)
            .field("down_conversion", &self.down_conversion)
            .field("split_too_large", &self.split_too_large)
            .field("seed", &self.seed.map(|_| format_args!("(not shown)")))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    enum Nowhere {}

    impl Runtime for Nowhere {
        fn drive(_: Driver) -> Work {
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
        let error = builder.create_with_work().map(drop).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
}
