//! [`ProducerBuilder`] and the delivery report thread.

use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kafka_batch_core::BatchOptions;
use kafka_batch_core::observer::Observer;
use kafka_batch_core::record::EncodedHeaders;
use kafka_batch_transport::ProducerConfig;
use kafka_batch_transport::hooks::{HeaderInjector, Observers};
use rdkafka::producer::BaseProducer;

use crate::context::Context;
use crate::error::{BuildTransactionalError, ConfigError};
use crate::in_flight::InFlight;
use crate::producer::{RdkafkaProducer, purge};
use crate::secrets::{Secrets, shown, shown_name};
use crate::settings::{self, Settings};
use crate::topics::Topics;
use crate::transaction_calls::{GiveUpAt, Native};
use crate::transaction_thread::{Limits, TransactionThread};
use crate::transactional::TransactionalProducer;

/// Builds an [`RdkafkaProducer`] from settings with [librdkafka names].
///
/// Unset settings have librdkafka's defaults, with these exceptions, which keep a batch in one piece as often as librdkafka
/// allows:
///
/// | setting | librdkafka | here | why |
/// |---|---|---|---|
/// | `enable.idempotence` | `false` | `true`, unless `acks`, `retries`, `max.in.flight` or `queuing.strategy` rule it out | retries neither duplicate nor reorder; the Java client's default and rule |
/// | `message.max.bytes` | 1 000 000 | 1 048 588 | the default limit of a batch and of a broker (`message.max.bytes`) |
/// | `batch.size` | 1 000 000 | 1 048 588 | a message set as large as a broker accepts by default |
/// | `batch.num.messages` | 10 000 | 1 000 000 | a batch of many small records is not divided by their count |
///
/// `linger.ms` (default 5) is how long librdkafka waits for more records after the first one of a message set. Raise it to
/// keep batches of thousands of records in one piece; it delays every batch that does not fill a set. For batches larger than
/// [`DEFAULT_MAX_MESSAGE_BYTES`](kafka_batch_core::DEFAULT_MAX_MESSAGE_BYTES), raise `message.max.bytes` and `batch.size`
/// too, and the broker's `message.max.bytes`.
///
/// `queue.buffering.max.messages` (default 100 000) and `queue.buffering.max.kbytes` (default 1 048 576) limit the records
/// that are accepted and not yet reported. This crate enforces them per batch, in place of librdkafka: a batch waits until
/// there is room for all of it, and one that is larger than the limit is sent alone.
///
/// **These are librdkafka's settings and do not affect the batches that are filled.** `batch.size` and `compression.type`
/// control librdkafka's message sets; [`RdkafkaProducer::batch`] ignores them. Use [`batch_options`](Self::batch_options) for the
/// latter.
///
/// `delivery.report.only.error=true`, and two names of one setting (`acks` and `request.required.acks`, of
/// which librdkafka would use either) are refused.
///
/// [librdkafka names]: https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md
#[derive(Clone)]
#[must_use]
pub struct ProducerBuilder {
    settings: Settings,
    config: ProducerConfig,
    batch_options: BatchOptions,
    metadata_timeout: Duration,
    seed: Option<u64>,
    observers: Observers,
    injector: HeaderInjector,
}

/// librdkafka's default of `client.id`.
const DEFAULT_CLIENT_ID: &str = "rdkafka";

/// Default of [`ProducerBuilder::metadata_timeout`].
const METADATA_TIMEOUT: Duration = Duration::from_secs(10);

/// Timeout of one poll by the delivery report thread: how long the thread may outlive the last handle. Reports are handled as
/// they arrive. Not shorter, because `rdkafka` spins for the last millisecond of a poll.
const POLL_TIMEOUT: Duration = Duration::from_secs(1);

/// Timeout of one call for transactions, after which it is continued, unless the producer was closed. Not shorter, so that it is
/// not over before librdkafka's main thread has begun with the call.
const CALL_TIMEOUT: Duration = Duration::from_secs(2);

impl ProducerBuilder {
    pub(crate) fn new() -> Self {
        Self {
            settings: Settings::new(),
            config: ProducerConfig::default(),
            batch_options: BatchOptions::default(),
            metadata_timeout: METADATA_TIMEOUT,
            seed: None,
            observers: Observers::default(),
            injector: HeaderInjector::default(),
        }
    }

    /// Sets a librdkafka setting. If a name is set twice, the last value wins.
    pub fn set(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.insert(name.into(), value.into());
        self
    }

    /// Sets all settings that have typed values, as for the other transports. A value that is [set by name](Self::set) takes
    /// precedence.
    ///
    /// The settings become those of librdkafka with the same name, and librdkafka checks their ranges. Some it does not have, such as
    /// `buffer.memory`, `max.request.size` and `socks5.proxy` (`docs/settings.md` has all of them): if one of these is set,
    /// [`build`](Self::build) fails with [`ConfigError::UnsupportedSetting`]. What is not set has the defaults of this builder.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use kafka_batch_rdkafka::{ProducerConfig, RdkafkaProducer};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let config = ProducerConfig::new([("localhost", 9092)]).client_id("billing").linger(Duration::from_millis(20));
    /// let producer = RdkafkaProducer::builder().config(config).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn config(mut self, config: ProducerConfig) -> Self {
        self.config = config;
        self
    }

    /// Sets `transactional.id`, for [`build_transactional`](Self::build_transactional).
    pub fn transactional_id(self, id: impl Into<String>) -> Self {
        self.set(settings::TRANSACTIONAL_ID, id)
    }

    /// Sets the options of batches made by [`RdkafkaProducer::batch`]. Default: [`BatchOptions::default`].
    ///
    /// Over the other transports the settings `batch.size` and `compression.type` override these options; over this one they
    /// apply to librdkafka alone.
    ///
    /// ```
    /// use kafka_batch_core::BatchOptions;
    /// use kafka_batch_rdkafka::RdkafkaProducer;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let producer = RdkafkaProducer::builder()
    ///     .set("bootstrap.servers", "localhost:9092")
    ///     .set("batch.size", "1000000") // librdkafka's message sets
    ///     .batch_options(BatchOptions::default().batch_size(100_000)) // batches of producer.batch()
    ///     .build()?;
    /// assert_eq!(producer.batch().options(), &BatchOptions::default().batch_size(100_000));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// The limits apply; format and codec do not reach the wire. librdkafka writes the newest format that the broker supports,
    /// with its own `compression.type`. A codec here affects only [`SizePolicy::Estimated`].
    ///
    /// [`SizePolicy::Estimated`]: kafka_batch_core::SizePolicy::Estimated
    pub fn batch_options(mut self, options: BatchOptions) -> Self {
        self.batch_options = options;
        self
    }

    /// Sets how long a topic lookup may take before it fails. Default 10 s.
    pub const fn metadata_timeout(mut self, timeout: Duration) -> Self {
        self.metadata_timeout = timeout;
        self
    }

    /// Sets the seed of the sticky partitioner. Default: the current time.
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Adds an observer of batches: see [`kafka_batch_core::observer`]. Several are called in the order in which they were added.
    /// librdkafka does not report attempts, retries and changes, so that only [`before_seal`](Observer::before_seal) and the outcomes
    /// are called, these on the delivery report thread.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observers.push(observer);
        self
    }

    /// Sets a function that adds headers to the messages of each [`Publish`](kafka_batch_core::Publish), such as `traceparent` and
    /// `tracestate` of the current trace, as with the other transports. Its arguments are the topic and the headers, which are empty.
    pub fn inject_headers<F>(mut self, inject: F) -> Self
    where
        F: Fn(&str, &mut EncodedHeaders) + Send + Sync + 'static,
    {
        self.injector = HeaderInjector::new(inject);
        self
    }

    /// Builds the producer. It connects in the background.
    ///
    /// # Errors
    /// A setting is unknown, out of range, contradicts another one, or is not supported by this transport.
    pub fn build(self) -> Result<RdkafkaProducer, ConfigError> {
        Ok(self.assemble(false)?.producer)
    }

    /// Builds a producer of transactions, and initialises them, which fences a former producer with the same `transactional.id` and
    /// ends what that has left open. Dropping the future closes the producer.
    ///
    /// librdkafka limits `delivery.timeout.ms` to `transaction.timeout.ms`, which is also its default then.
    ///
    /// # Errors
    /// `transactional.id` is missing or another setting is wrong, or the coordinator has not assigned a producer id within
    /// `delivery.timeout.ms`.
    pub async fn build_transactional(self) -> Result<TransactionalProducer, BuildTransactionalError> {
        let Assembled { producer, client, in_flight, secrets, limits } = self.assemble(true)?;
        let give_up_at = Arc::<GiveUpAt>::default();
        let calls = Native { client, in_flight, secrets, give_up_at: Arc::clone(&give_up_at) };
        let thread = TransactionThread::start(calls, limits, give_up_at).map_err(ConfigError::Thread)?;
        let producer = TransactionalProducer::new(producer, thread);
        producer.init().await?;
        Ok(producer)
    }

    fn assemble(self, transactional: bool) -> Result<Assembled, ConfigError> {
        let Self { mut settings, config, batch_options, metadata_timeout, seed, observers, injector } = self;
        batch_options.clone().build(UNIX_EPOCH)?;
        settings::add_typed(&mut settings, &config)?;
        settings::check_transactional(&settings, transactional)?;
        let observers = observers.client_id(settings.get("client.id").map_or(DEFAULT_CLIENT_ID, String::as_str));
        let shared = settings::share_out(&settings)?;
        let limits = Limits {
            call: CALL_TIMEOUT,
            delivery: shared.terms.delivery_timeout,
            earliest_repetition: shared.earliest_repetition,
        };
        let secrets = Arc::new(shared.secrets);
        let in_flight = Arc::new(InFlight::new(shared.limit, shared.terms));
        let context = Context::new(Arc::clone(&in_flight), Arc::clone(&secrets));
        let client = shared.config.create_with_context::<_, BaseProducer<Context>>(context);
        let client = client.map_err(|error| settings::refused(error, &secrets))?;
        let client = Arc::new(client);
        let topics = Topics::new(seed.unwrap_or_else(seed_from_time), metadata_timeout);
        let (polled, answered) = (Arc::clone(&client), Arc::clone(&in_flight));
        thread::Builder::new()
            .name("kafka-batch reports".to_owned())
            .spawn(move || poll_reports(&polled, &answered))
            .map_err(ConfigError::Thread)?;
        let (handle, reports) = (Arc::clone(&client), Arc::clone(&in_flight));
        let producer =
            RdkafkaProducer::new(handle, reports, topics, batch_options, shared.brokers, (observers, injector));
        Ok(Assembled { producer, client, in_flight, secrets, limits })
    }
}

/// A producer, and what transactions need of it.
struct Assembled {
    producer: RdkafkaProducer,
    client: Arc<BaseProducer<Context>>,
    in_flight: Arc<InFlight>,
    secrets: Arc<Secrets>,
    limits: Limits,
}

/// Polls delivery reports while there is a handle or a batch in flight. librdkafka's client is destroyed on this thread, so
/// dropping the last handle neither cancels nor blocks. After an immediate close, repeats the purge.
fn poll_reports(client: &Arc<BaseProducer<Context>>, in_flight: &InFlight) {
    while Arc::strong_count(client) > 1 || !in_flight.is_empty() {
        client.poll(POLL_TIMEOUT);
        if in_flight.is_closed_at_once() {
            purge(client);
        }
    }
}

fn seed_from_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

/// Shows the settings without secrets.
impl fmt::Debug for ProducerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = self.settings.iter();
        let settings: Settings =
            settings.map(|(name, value)| (shown_name(name, value).to_owned(), shown(name, value))).collect();
        f.debug_struct("ProducerBuilder")
            .field("settings", &settings)
            .field("config", &self.config)
            .field("batch_options", &self.batch_options)
            .field("metadata_timeout", &self.metadata_timeout)
            .field("seed", &self.seed)
            .field("observers", &self.observers)
            .field("injector", &self.injector)
            .finish()
    }
}
