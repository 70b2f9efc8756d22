//! How a producer is made.

use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kafka_batch_core::BatchOptions;
use rdkafka::producer::BaseProducer;

use crate::context::Context;
use crate::error::ConfigError;
use crate::ledger::Ledger;
use crate::producer::{RdkafkaProducer, take_back};
use crate::secrets::{shown, shown_name};
use crate::settings::{self, Settings};
use crate::topics::Topics;

/// Settings of an [`RdkafkaProducer`], by their [librdkafka names].
///
/// What is not set has librdkafka's default, with these exceptions, which bring what lands as near to what was filled as
/// librdkafka allows:
///
/// | setting | librdkafka | here | why |
/// |---|---|---|---|
/// | `enable.idempotence` | `false` | `true`, unless `acks`, `retries`, `max.in.flight` or `queuing.strategy` rule it out | a retry neither doubles nor reorders; the Java client's default, and its rule |
/// | `message.max.bytes` | 1 000 000 | 1 048 588 | a record that a batch takes by default (and a broker by default) is not refused |
/// | `batch.size` | 1 000 000 | 1 048 588 | as much in one piece as a broker takes by default |
/// | `batch.num.messages` | 10 000 | 1 000 000 | a batch of many small records is not cut by their number |
///
/// `linger.ms` (5 by default) is how long librdkafka waits for the rest of a batch after its first record: raise it where
/// batches have thousands of records and should stay whole; every batch waits that long, if nothing else fills the set.
/// Whoever makes batches larger than [`DEFAULT_MAX_MESSAGE_BYTES`](kafka_batch_core::DEFAULT_MAX_MESSAGE_BYTES) raises
/// `message.max.bytes` and `batch.size` too, and the broker's `message.max.bytes`.
///
/// `queue.buffering.max.messages` (100 000) and `queue.buffering.max.kbytes` (1 048 576) bound what was accepted and is
/// not yet answered. This crate keeps to them itself, batch by batch, and turns librdkafka's own check off: a batch waits
/// until there is room for all of it, and one that is larger than the bound goes alone.
///
/// **These settings are librdkafka's, not those of the batches that are filled.** `batch.size` and `compression.type` say how
/// librdkafka puts records together on the wire; [`Transport::batch`] does not look at them. What it makes is set by
/// [`batch_options`](Self::batch_options).
///
/// Refused are `delivery.report.only.error=true`, `transactional.id`, and two names of one setting (`acks` and
/// `request.required.acks`): librdkafka would obey either.
///
/// [`Transport::batch`]: kafka_batch_core::Transport::batch
/// [librdkafka names]: https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md
#[derive(Clone)]
#[must_use]
pub struct ProducerBuilder {
    settings: Settings,
    batch_options: BatchOptions,
    metadata_timeout: Duration,
    seed: Option<u64>,
}

/// How long a topic is asked for by default.
const METADATA_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the thread for delivery reports waits at a stretch. Reports are handled as they come; this is only how long
/// the thread outlives the last handle. (Not shorter: the last millisecond of a stretch `rdkafka` spends spinning.)
const STRETCH: Duration = Duration::from_secs(1);

impl ProducerBuilder {
    pub(crate) fn new() -> Self {
        Self {
            settings: Settings::new(),
            batch_options: BatchOptions::default(),
            metadata_timeout: METADATA_TIMEOUT,
            seed: None,
        }
    }

    /// Sets one setting of librdkafka. If a name is set twice, the last value wins.
    pub fn set(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.insert(name.into(), value.into());
        self
    }

    /// What [`Transport::batch`] makes batches with. Default: [`BatchOptions::default`].
    ///
    /// Works the same over every transport, but for the settings `batch.size` and `compression.type`: over the others
    /// they override these options, over this one they are for librdkafka alone and do not.
    ///
    /// ```
    /// use kafka_batch_core::{BatchOptions, Transport};
    /// use kafka_batch_rdkafka::RdkafkaProducer;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let producer = RdkafkaProducer::builder()
    ///     .set("bootstrap.servers", "localhost:9092")
    ///     .set("batch.size", "1000000") // of what librdkafka sends
    ///     .batch_options(BatchOptions::default().batch_size(100_000)) // of what producer.batch() makes
    ///     .create()?;
    /// assert_eq!(producer.batch().options(), &BatchOptions::default().batch_size(100_000));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// The limits of the options hold; their format and codec do not reach the wire. librdkafka writes the newest format
    /// that the broker speaks, with its own `compression.type`: a codec here only matters to [`SizePolicy::Estimated`].
    ///
    /// [`Transport::batch`]: kafka_batch_core::Transport::batch
    /// [`SizePolicy::Estimated`]: kafka_batch_core::SizePolicy::Estimated
    pub fn batch_options(mut self, options: BatchOptions) -> Self {
        self.batch_options = options;
        self
    }

    /// How long to ask brokers for a topic before it counts as unknown, or the brokers as gone. Default 10 s.
    pub const fn metadata_timeout(mut self, timeout: Duration) -> Self {
        self.metadata_timeout = timeout;
        self
    }

    /// What partitions are drawn from where nobody names one. Default: the time at which it is made.
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Makes the producer. It connects by itself, and does not wait until it has.
    ///
    /// # Errors
    /// A setting is unknown, out of range or at odds with another one, or it is one that this transport cannot work with.
    pub fn create(self) -> Result<RdkafkaProducer, ConfigError> {
        let Self { settings, batch_options, metadata_timeout, seed } = self;
        batch_options.clone().build(UNIX_EPOCH)?;
        let shared = settings::share_out(&settings)?;
        let secrets = Arc::new(shared.secrets);
        let ledger = Arc::new(Ledger::new(shared.limit, shared.acknowledged));
        let context = Context::new(Arc::clone(&ledger), Arc::clone(&secrets));
        let client = shared.config.create_with_context::<_, BaseProducer<Context>>(context);
        let client = client.map_err(|error| settings::refused(error, &secrets))?;
        let client = Arc::new(client);
        let topics = Topics::new(seed.unwrap_or_else(seed_from_time), metadata_timeout);
        let (polled, answered) = (Arc::clone(&client), Arc::clone(&ledger));
        thread::Builder::new()
            .name("kafka-batch reports".to_owned())
            .spawn(move || poll_reports(&polled, &answered))
            .map_err(ConfigError::Thread)?;
        Ok(RdkafkaProducer::new(client, ledger, topics, batch_options, shared.brokers))
    }
}

/// Waits for delivery reports as long as there is a handle, or a batch on its way. So dropping the last handle takes
/// nothing back, and whoever drops it does not have to wait: librdkafka is taken down on this thread. After closing at once
/// everything is taken back.
fn poll_reports(client: &Arc<BaseProducer<Context>>, ledger: &Ledger) {
    while Arc::strong_count(client) > 1 || !ledger.is_empty() {
        client.poll(STRETCH);
        if ledger.is_closed_at_once() {
            take_back(client);
        }
    }
}

fn seed_from_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

/// Without secrets.
impl fmt::Debug for ProducerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = self.settings.iter();
        let settings: Settings =
            settings.map(|(name, value)| (shown_name(name, value).to_owned(), shown(name, value))).collect();
        f.debug_struct("ProducerBuilder")
            .field("settings", &settings)
            .field("batch_options", &self.batch_options)
            .field("metadata_timeout", &self.metadata_timeout)
            .field("seed", &self.seed)
            .finish()
    }
}
