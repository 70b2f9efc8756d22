//! The builder of producers.

mod hooks;

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use kafka_batch_core::convert::DownConversion;
use kafka_batch_core::machine::{MachineConfig, OAuthToken, Sasl, SaslMechanism};
use kafka_batch_core::{BatchOptions, Capabilities, TransactionGuarantee};

use crate::clock::RuntimeClock;
use crate::command_queue::CommandQueue;
use crate::connector::{AnyConnector, Connector};
use crate::driver::Driver;
use crate::driver_loop::{task, task_over};
use crate::error::ConfigError;
use crate::gathering::Gathering;
use crate::injector::HeaderInjector;
use crate::local::run_local;
use crate::local_runtime::{LocalProducerTask, LocalRuntime};
use crate::network_config::{ADDRESS_FAMILY, ATTEMPT_DELAY, PROXY};
use crate::observers::Observers;
use crate::producer::Producer;
use crate::runtime::{ProducerTask, Runtime, Spawn, random_seed};
use crate::secrets::{shown, shown_name};
use crate::settings::{self, ParsedConfig, ProducerConfig, Setting, Settings};
use crate::tls_stream::Security;
use crate::token::TokenProvider;
use crate::topics::TopicCache;
use crate::transactional::{BuildTransactionalError, InitTransactions, TransactionalProducer};

/// Builds a [`Producer`] from settings with Kafka's names. [`ProducerConfig`] has them with typed values.
///
/// Where a row has several names, they are those of Java's client and of librdkafka. Blank space around a value or an item of a list is ignored, and
/// so is the case of words such as `gzip` or `true`. Numbers are decimal.
///
#[doc = include_str!("settings/table.md")]
///
/// The settings of TLS have librdkafka's names. TLS 1.2 and 1.3 are supported. Files are read once, when the producer is made.
/// PEM text may be a single line: its line ends can be missing, be spaces, or be escaped (`\n`), as in a JSON document.
#[must_use]
pub struct ProducerBuilder<R> {
    settings: Settings,
    config: ProducerConfig,
    batch_options: BatchOptions,
    down_conversion: DownConversion,
    split_too_large: bool,
    seed: Option<u64>,
    connector: Option<Arc<dyn AnyConnector>>,
    token_provider: Option<TokenProvider>,
    observers: Observers,
    injector: HeaderInjector,
    runtime: PhantomData<fn() -> R>,
}

impl<R> ProducerBuilder<R> {
    /// Returns a builder with default settings.
    pub fn new() -> Self {
        Self {
            settings: Settings::new(),
            config: ProducerConfig::default(),
            batch_options: BatchOptions::default(),
            down_conversion: DownConversion::default(),
            split_too_large: false,
            seed: None,
            connector: None,
            token_provider: None,
            observers: Observers::default(),
            injector: HeaderInjector::default(),
            runtime: PhantomData,
        }
    }

    /// Sets one setting. If a name is set twice, the last value wins.
    pub fn set(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.insert(name.into(), value.into());
        self
    }

    /// Sets all settings that have typed values. A value that is [set by name](Self::set) takes precedence.
    pub fn config(mut self, config: ProducerConfig) -> Self {
        self.config = config;
        self
    }

    /// Sets the options of the batches that [`Producer::batch`] makes. The settings
    /// `compression.type` and `batch.size` override these options. The hard limit has no setting: set it with
    /// `.batch_options(BatchOptions::default().max_message_bytes(…))`.
    pub fn batch_options(mut self, options: BatchOptions) -> Self {
        self.batch_options = options;
        self
    }

    /// Sets what may be lost when a batch has to be converted for an older broker. Default: timestamps, for magic 0.
    pub const fn down_conversion(mut self, policy: DownConversion) -> Self {
        self.down_conversion = policy;
        self
    }

    /// Sets whether a batch that the broker refuses as too large (MESSAGE_TOO_LARGE) is split, and its parts are sent in
    /// order. Default: `false`, and the batch is returned in the error. A split batch is several batches in the log, of which
    /// some may be stored and others not; [`Capabilities::one_batch_on_the_wire`] is `false` then.
    pub const fn split_too_large(mut self, split: bool) -> Self {
        self.split_too_large = split;
        self
    }

    /// Sets `transactional.id`, for [`build_transactional`](Self::build_transactional).
    pub fn transactional_id(self, id: impl Into<String>) -> Self {
        self.set(settings::TRANSACTIONAL_ID, id)
    }

    /// Sets the seed of the choice of partitions, jitter and SCRAM nonces. With SCRAM it must be unpredictable. Default:
    /// [`Runtime::seed`], which is drawn from the system's source of randomness.
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Sets what gets the tokens of `sasl.mechanism=OAUTHBEARER`. It is called when the first connection is made, and again
    /// after 80 to 85 % of a token's [lifetime](OAuthToken::lifetime). Connections wait for the token, up to
    /// `request.timeout.ms`. After an error it is called again when the next connection is made; while another token is still
    /// valid, after 10 s.
    ///
    /// The future is polled by the producer's task. What blocks has to be done on another thread. It needs a timeout of its own: before
    /// it is complete, no other token is asked for, and connections fail. A panic ends the producer.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use kafka_batch_core::machine::{OAuthToken, OAuthTokenError};
    /// use kafka_batch_transport::ProducerBuilder;
    ///
    /// # async fn ask() -> (String, u64) { ("token".to_owned(), 3_600) }
    /// # fn builder<R>(builder: ProducerBuilder<R>) -> ProducerBuilder<R> {
    /// builder.set("security.protocol", "sasl_ssl").set("sasl.mechanism", "OAUTHBEARER").token_provider(|| async {
    ///     let (token, seconds) = ask().await;
    ///     Ok::<_, OAuthTokenError>(OAuthToken::new(token)?.lifetime(Duration::from_secs(seconds)))
    /// })
    /// # }
    /// ```
    pub fn token_provider<F, Fut, E>(mut self, provider: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<OAuthToken, E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        self.token_provider = Some(TokenProvider::new(provider));
        self
    }
}

impl<R: Runtime> ProducerBuilder<R> {
    /// Sets what makes the connections, in place of the runtime's TCP. The settings of connecting, such as `client.dns.lookup` and
    /// `socks5.proxy`, are errors then. Default: names are resolved by the runtime, and the addresses of a name are tried as those
    /// settings say.
    pub fn connector(mut self, connector: impl Connector) -> Self {
        self.connector = Some(Arc::new(connector));
        self
    }

    /// Builds the producer, and spawns its task on the current runtime. Returns without connecting: connections are made
    /// once they are needed.
    ///
    /// # Errors
    /// A setting is unknown, out of range or in conflict with another one, or there is no current runtime.
    pub fn build(self) -> Result<R::Producer, ConfigError>
    where
        R: Spawn,
    {
        let (producer, task) = self.build_with_task()?;
        R::spawn(task)?;
        Ok(producer)
    }

    /// Builds the producer, and returns its task for the caller to spawn on any executor. The producer does nothing before
    /// the task is polled. Dropping the task is like shutting down its runtime: batches in flight fail with
    /// [`FailureReason::Stopped`](kafka_batch_core::FailureReason::Stopped).
    ///
    /// # Errors
    /// A setting is unknown, out of range or in conflict with another one.
    pub fn build_with_task(self) -> Result<(R::Producer, ProducerTask), ConfigError> {
        let parsed = self.parse_without_transactions()?;
        let (producer, task) = self.assemble_with_task(parsed)?;
        Ok((producer.into(), task))
    }

    /// Builds a producer of transactions: spawns its task on the current runtime, and initialises transactions, which fences a
    /// former producer with the same `transactional.id` and ends what that has left open.
    ///
    /// # Errors
    /// `transactional.id` is missing or another setting is wrong, there is no current runtime, or the coordinator has not
    /// assigned a producer id within `delivery.timeout.ms`.
    pub async fn build_transactional(self) -> Result<TransactionalProducer, BuildTransactionalError>
    where
        R: Spawn,
    {
        let (initialized, task) = self.build_transactional_with_task()?;
        R::spawn(task)?;
        Ok(initialized.await?)
    }

    /// Builds a producer of transactions, and returns its task for the caller to spawn on any executor. Await the other future
    /// for the producer, while the task runs.
    ///
    /// # Errors
    /// `transactional.id` is missing, or another setting is wrong.
    pub fn build_transactional_with_task(self) -> Result<(InitTransactions, ProducerTask), ConfigError> {
        const HOW: &str =
            "a producer of transactions needs a name, which it keeps when it is restarted: set it, or use build()";
        let parsed = self.parse()?;
        if !parsed.machine.is_transactional() {
            return Setting { name: settings::TRANSACTIONAL_ID, found: "" }.wrong(HOW);
        }
        let (producer, task) = self.assemble_with_task(parsed)?;
        Ok((InitTransactions::new(producer), task))
    }

    fn assemble_with_task(mut self, parsed: ParsedConfig) -> Result<(Producer, ProducerTask), ConfigError> {
        let connector = self.connector.take();
        let network = parsed.network.clone();
        if connector.is_some() {
            settings::refuse(
                &network,
                &[],
                "the connections are made by the connector, which this setting does not concern: leave it out",
            )?;
        }
        let security = Security::new(parsed.tls.as_ref())?;
        let clock = RuntimeClock::new(R::now, R::system_time);
        let (producer, driver) = self.assemble(parsed, security, R::seed, clock)?;
        let task = match connector {
            None => task::<R>(driver, network),
            Some(connector) => task_over::<R>(driver, connector),
        };
        Ok((producer, task))
    }
}

impl<R: LocalRuntime> ProducerBuilder<R> {
    /// Builds the producer, and returns its task for the caller to spawn on this thread. Otherwise as
    /// [`build_with_task`](Self::build_with_task).
    ///
    /// # Errors
    /// A setting is unknown, out of range or in conflict with another one, or `security.protocol` asks for TLS: that needs a
    /// stream that borrows its buffers, which operations of these runtimes do not have.
    pub fn build_local(self) -> Result<(Producer, LocalProducerTask), ConfigError> {
        const HOW: &str = "there is no TLS over a runtime whose operations own their buffers: connect without it, or use a \
                           transport over tokio, async-std or smol";
        const OWN_SOCKETS: &str = "sockets and reverse lookups of such a runtime have no settings: leave it out, or use a transport \
                                   over tokio, async-std or smol";
        let parsed = self.parse_without_transactions()?;
        if parsed.tls.is_some() {
            let found = if parsed.machine.sasl.is_some() { "sasl_ssl" } else { "ssl" };
            return Setting { name: "security.protocol", found }.wrong(HOW);
        }
        let network = parsed.network.clone();
        settings::refuse(&network, &[ADDRESS_FAMILY, ATTEMPT_DELAY, PROXY], OWN_SOCKETS)?;
        let (producer, driver) = self.assemble(parsed, Security::Plaintext, random_seed, RuntimeClock::SYSTEM)?;
        Ok((producer, Box::pin(run_local::<R>(driver, network))))
    }
}

impl<R> ProducerBuilder<R> {
    fn parse(&self) -> Result<ParsedConfig, ConfigError> {
        settings::parse(&self.settings, &self.config, self.batch_options.clone())
    }

    /// Parses the settings of a producer without transactions.
    fn parse_without_transactions(&self) -> Result<ParsedConfig, ConfigError> {
        const HOW: &str =
            "a producer with this setting is made by build_transactional: use that, or leave the setting out";
        let parsed = self.parse()?;
        match &parsed.machine.transactional_id {
            Some(id) => Setting { name: settings::TRANSACTIONAL_ID, found: id }.wrong(HOW),
            None => Ok(parsed),
        }
    }

    fn assemble(
        self,
        parsed: ParsedConfig,
        security: Security,
        seed: fn() -> u64,
        clock: RuntimeClock,
    ) -> Result<(Producer, Driver), ConfigError> {
        let seed = self.seed.unwrap_or_else(seed);
        let mut assembly = Assembly::new(parsed, security, self.token_provider, seed, clock)?;
        assembly.machine.down_conversion = self.down_conversion;
        assembly.machine.split_too_large = self.split_too_large;
        (assembly.observers, assembly.injector) = (self.observers, self.injector);
        Ok(assemble(assembly))
    }
}

/// What a producer and its driver are made of.
pub(crate) struct Assembly {
    pub(crate) machine: MachineConfig,
    batch_options: BatchOptions,
    linger: Duration,
    max_block: Option<Duration>,
    rack: Option<String>,
    brokers: String,
    security: Security,
    token_provider: Option<TokenProvider>,
    observers: Observers,
    injector: HeaderInjector,
    seed: u64,
    clock: RuntimeClock,
}

impl Assembly {
    /// # Errors
    /// The batch options contradict each other, or the mechanism of SASL needs tokens and there is no provider of them, or the
    /// reverse.
    pub(crate) fn new(
        parsed: ParsedConfig,
        security: Security,
        token_provider: Option<TokenProvider>,
        seed: u64,
        clock: RuntimeClock,
    ) -> Result<Self, ConfigError> {
        let ParsedConfig { machine, options: batch_options, linger, max_block, rack, brokers, .. } = parsed;
        batch_options.clone().build(UNIX_EPOCH)?;
        let mechanism = machine.sasl.as_ref().map(Sasl::mechanism);
        let found = mechanism.map_or("", SaslMechanism::name);
        match (mechanism == Some(SaslMechanism::OAuthBearer), token_provider.is_some()) {
            (true, false) => {
                let how = "it needs tokens: pass a provider of them to ProducerBuilder::token_provider";
                return Setting { name: "sasl.mechanism", found }.wrong(how);
            }
            (false, true) => {
                let how = "a provider of tokens has an effect only with OAUTHBEARER, over sasl_plaintext or sasl_ssl: set these, or \
                           remove the provider";
                return Setting { name: "sasl.mechanism", found }.wrong(how);
            }
            _ => {}
        }
        let (observers, injector) = (Observers::default(), HeaderInjector::default());
        Ok(Self {
            machine,
            batch_options,
            linger,
            max_block,
            rack,
            brokers,
            security,
            token_provider,
            observers,
            injector,
            seed,
            clock,
        })
    }
}

/// Makes a producer and its driver.
pub(crate) fn assemble(assembly: Assembly) -> (Producer, Driver) {
    let Assembly {
        machine: mut config,
        batch_options,
        linger,
        max_block,
        rack,
        brokers,
        security,
        token_provider,
        observers,
        injector,
        seed,
        clock,
    } = assembly;
    // The parts would need other sequence numbers than the batch, which a transaction cannot replace.
    config.split_too_large &= !config.is_transactional();
    let capabilities =
        Capabilities::new(!config.split_too_large).with_transactions(TransactionGuarantee::LateRequestsRefused);
    let limit = config.buffer_memory;
    let topics = TopicCache::new(seed, config.metadata_max_age).max_idle(config.metadata_max_idle).clock(clock);
    // What the machine cannot have in flight is better gathered than queued.
    let max_unfinished = if config.is_idempotent() { config.max_in_flight_requests_per_connection } else { 1 };
    let gathering = Gathering::new(linger, max_unfinished);
    config.notices = !observers.is_empty();
    let observers = observers.client_id(&config.client_id);
    let queue = CommandQueue::new(limit, topics, gathering).clock(clock).max_block(max_block);
    let queue = Arc::new(queue.hooks(observers, injector));
    let driver = Driver::new(config, security, seed, Arc::clone(&queue)).token_provider(token_provider).rack(rack);
    (Producer::new(queue, batch_options, capabilities, limit, brokers), driver)
}

impl<R> Default for ProducerBuilder<R> {
    fn default() -> Self {
        Self::new()
    }
}

impl<R> Clone for ProducerBuilder<R> {
    fn clone(&self) -> Self {
        let Self {
            settings,
            config,
            batch_options,
            down_conversion,
            split_too_large,
            seed,
            connector,
            token_provider,
            observers,
            injector,
            runtime,
        } = self;
        Self {
            settings: settings.clone(),
            config: config.clone(),
            batch_options: batch_options.clone(),
            down_conversion: *down_conversion,
            split_too_large: *split_too_large,
            seed: *seed,
            connector: connector.clone(),
            token_provider: token_provider.clone(),
            observers: observers.clone(),
            injector: injector.clone(),
            runtime: *runtime,
        }
    }
}

/// Shows neither secrets, nor the values of unknown settings, which may be secrets, nor the seed.
impl<R> fmt::Debug for ProducerBuilder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = self.settings.iter();
        let settings: Settings =
            settings.map(|(name, value)| (shown_name(name, value).to_owned(), shown(name, value))).collect();
        f.debug_struct("ProducerBuilder")
            .field("settings", &settings)
            .field("config", &self.config)
            .field("batch_options", &self.batch_options)
            .field("down_conversion", &self.down_conversion)
            .field("split_too_large", &self.split_too_large)
            .field("token_provider", &self.token_provider)
            .field("observers", &self.observers)
            .field("injector", &self.injector)
            .field("seed", &self.seed.map(|_| format_args!("(not shown)")))
            .field("connector", &self.connector.as_ref().map(|_| format_args!("(set)")))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alarm::tests::Manual;

    #[test]
    fn debug_shows_no_secret() {
        let secrets = ["sasl.password", "sasl.jaas.config", "sasl.oauthbearer.client.secret", "ssl.key.pem"];
        let builder = ProducerBuilder::<Manual>::new().set("client.id", "me");
        let builder = secrets.iter().fold(builder, |builder, secret| builder.set(*secret, "hunter2"));
        let shown = format!("{builder:?}");
        assert!(shown.contains("\"client.id\": \"me\"") && !shown.contains("hunter2"), "{shown}");
        for secret in secrets {
            assert!(shown.contains(secret), "{shown}");
        }
        let error = builder.build_with_task().map(drop).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
}
