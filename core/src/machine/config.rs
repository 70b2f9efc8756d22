//! The configuration of a producer. Each setting names its Kafka key and its default.

use alloc::string::String;
use alloc::vec::Vec;
use core::num::NonZeroU32;
use core::time::Duration;

use super::credentials::Sasl;
use crate::batch::convert::DownConversion;
use crate::cause::SecurityProtocol;
use crate::magic::BrokerVersion;
use crate::protocol::{Acks, DEFAULT_MAX_FRAME_SIZE};

/// The settings of a [`Machine`](super::Machine), with Kafka's defaults. The linger and the size of batches are up to
/// the caller, and TLS is up to the transport.
///
/// ```
/// use kafka_batch_core::machine::MachineConfig;
/// use kafka_batch_core::protocol::Acks;
///
/// let mut config = MachineConfig::new([("localhost", 9092)]);
/// config.acks = Acks::Leader;
/// assert!(!config.is_idempotent(), "only acks=all can be idempotent");
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MachineConfig {
    /// `bootstrap.servers`: the brokers to ask first for the brokers of the cluster. No default.
    pub bootstrap_servers: Vec<(String, u16)>,
    /// `client.id`: the client's name in the brokers' logs, metrics and quotas. Default `kafka-batch`.
    pub client_id: String,
    /// `acks`: which replicas must have a batch before it counts as delivered. Default all.
    pub acks: Acks,
    /// `enable.idempotence`: retries write no duplicates. Default true, which takes effect if the broker supports it
    /// (0.11 and newer) and `acks` is all. With it, at most 5 requests are in flight per connection. Without it, a
    /// retry can write a batch twice, and only one request is in flight per partition, which keeps the order.
    pub enable_idempotence: bool,
    /// `transactional.id`: the name of a producer whose batches are written in transactions (KIP-98). Each producer that is
    /// alive needs one of its own: one that is initialised fences the former one with the same id. Default `None`: batches
    /// are not in transactions. If set, [`acks`](Self::acks) is all and [`enable_idempotence`](Self::enable_idempotence) is
    /// true, whatever these fields are, and batches are not split (`split_too_large`).
    pub transactional_id: Option<String>,
    /// `transaction.timeout.ms`: the coordinator aborts a transaction that is open for longer, counted from its first
    /// partition. Brokers refuse more than their `transaction.max.timeout.ms` (15 min). Default 60 s.
    pub transaction_timeout: Duration,
    /// `max.in.flight.requests.per.connection`. Default 5; 0 counts as 1.
    pub max_in_flight_requests_per_connection: usize,
    /// `request.timeout.ms`: how long to wait for a response before the connection is closed; also how long a broker
    /// may wait for its followers. Default 30 s.
    pub request_timeout: Duration,
    /// `delivery.timeout.ms`: how long after its acceptance an undelivered batch fails. Default 120 s. Kafka requires
    /// it to be no less than [`request_timeout`](Self::request_timeout). [`Duration::MAX`]: never.
    pub delivery_timeout: Duration,
    /// `retry.backoff.ms`: how long to wait before the first retry; doubles with each. Default 100 ms.
    pub retry_backoff: Duration,
    /// `retry.backoff.max.ms`: how long to wait at most. Default 1 s.
    pub retry_backoff_max: Duration,
    /// `reconnect.backoff.ms`: how long to wait before connecting again; doubles with each failure. Default 50 ms.
    pub reconnect_backoff: Duration,
    /// `reconnect.backoff.max.ms`: how long to wait at most. Default 1 s.
    pub reconnect_backoff_max: Duration,
    /// `connections.max.idle.ms`: an unused connection is closed after this. Default 9 min. [`Duration::MAX`]: never.
    pub connections_max_idle: Duration,
    /// `metadata.max.age.ms`: metadata that is still needed is requested again after this. Default 5 min.
    pub metadata_max_age: Duration,
    /// `metadata.max.idle.ms`: topics and partitions for which nothing was sent are forgotten after this time, at the
    /// latest after twice this time, and requested again when they are needed again. Default 5 min.
    pub metadata_max_idle: Duration,
    /// `metadata.recovery.strategy`: whether `bootstrap.servers` are used again when no known broker can be reached. Default
    /// [`Rebootstrap`](MetadataRecoveryStrategy::Rebootstrap).
    pub metadata_recovery_strategy: MetadataRecoveryStrategy,
    /// `metadata.recovery.rebootstrap.trigger.ms`: how long metadata may be needed and not be obtained before everything known of
    /// the cluster is discarded, and all connections are closed (KIP-1102). Default 5 min. [`Duration::MAX`]: never. Without effect
    /// if the strategy is [`None`](MetadataRecoveryStrategy::None).
    pub metadata_recovery_rebootstrap_trigger: Duration,
    /// The limit of the rate of Produce requests to each broker, per second. Up to 100 ms of unused time are kept for bursts.
    /// Default `None`: no limit.
    pub max_produce_requests_per_second: Option<NonZeroU32>,
    /// `max.request.size`: the size limit of a request in bytes. Default 1 048 576. A larger batch is sent in a request
    /// of its own.
    pub max_request_size: usize,
    /// `buffer.memory`: how many bytes of unfinished batches are accepted. Default 33 554 432.
    pub buffer_memory: usize,
    /// `socket.connection.setup.timeout.ms`: how long connecting may take. Default 10 s.
    pub socket_connection_setup_timeout: Duration,
    /// librdkafka's `receive.message.max.bytes`: the size limit of a response in bytes. Default 100 000 000.
    pub receive_message_max_bytes: usize,
    /// librdkafka's `broker.version.fallback`: the version to assume of a broker that closes the connection on
    /// ApiVersions, or does not respond to it, as brokers before 0.10 do. Default `None`: send ApiVersions again. A
    /// broker that crashes at this moment looks the same, so set a version only if there are such old brokers. The
    /// response to ApiVersions is then awaited no longer than
    /// [`socket_connection_setup_timeout`](Self::socket_connection_setup_timeout), on each new connection: with 0.9,
    /// which does not respond, a shorter timeout makes a faster start. Without effect if [`sasl`](Self::sasl) is set,
    /// which such old brokers do not support.
    pub broker_version_fallback: Option<BrokerVersion>,
    /// What may be lost when a batch has to be converted for an older broker. Default: timestamps, for magic 0.
    pub down_conversion: DownConversion,
    /// Whether a batch that the broker refuses as too large (MESSAGE_TOO_LARGE) is split and its parts sent, in order.
    /// Default false: it fails, and its event returns it. A split batch is no longer one batch in the log, nor is it
    /// written all or nothing; its one event reports the offset, or the fate, of each record by position.
    pub split_too_large: bool,
    /// `sasl.mechanism`, `sasl.username` and `sasl.password`: the credentials for the brokers. Default `None`. With
    /// SCRAM the seed of [`Machine::new`](super::Machine::new) must be unpredictable, because nonces are derived from
    /// it.
    ///
    /// If the broker limits the session (`connections.max.reauth.ms`, KIP-368), a connection is used for 85 to 95 % of
    /// that time; then its pending responses are awaited, it is closed, and the next request opens a new one.
    pub sasl: Option<Sasl>,
    /// `enable.metrics.push`: metrics are pushed to brokers that subscribe to them (KIP-714): those that the KIP requires of
    /// producers. Default true. Brokers take none unless a plugin of theirs receives them.
    pub enable_metrics_push: bool,
    /// Whether the driver encrypts connections with TLS. Affects only errors, which name the `security.protocol` in use
    /// and the one to try. Default false.
    pub over_tls: bool,
    /// Whether the machine reports retries, changes and the like as [`Event::Notice`](super::Event::Notice). Default false: then
    /// they cost nothing.
    pub notices: bool,
}

/// What is done when no broker that metadata has named can be reached (KIP-899).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
// Exhaustive on purpose: these are Kafka's.
pub enum MetadataRecoveryStrategy {
    /// The known brokers are tried again, and no others.
    None,
    /// `bootstrap.servers` are tried, too. If metadata is not obtained for
    /// [a time](MachineConfig::metadata_recovery_rebootstrap_trigger), or a broker responds REBOOTSTRAP_REQUIRED, they alone are.
    #[default]
    Rebootstrap,
}

impl MachineConfig {
    /// Returns Kafka's defaults, with these bootstrap servers.
    pub fn new<H: Into<String>>(bootstrap_servers: impl IntoIterator<Item = (H, u16)>) -> Self {
        Self {
            bootstrap_servers: bootstrap_servers.into_iter().map(|(host, port)| (host.into(), port)).collect(),
            client_id: "kafka-batch".into(),
            acks: Acks::All,
            enable_idempotence: true,
            transactional_id: None,
            transaction_timeout: Duration::from_secs(60),
            max_in_flight_requests_per_connection: 5,
            request_timeout: Duration::from_secs(30),
            delivery_timeout: Duration::from_secs(120),
            retry_backoff: Duration::from_millis(100),
            retry_backoff_max: Duration::from_secs(1),
            reconnect_backoff: Duration::from_millis(50),
            reconnect_backoff_max: Duration::from_secs(1),
            connections_max_idle: Duration::from_secs(540),
            metadata_max_age: Duration::from_secs(300),
            metadata_max_idle: Duration::from_secs(300),
            metadata_recovery_strategy: MetadataRecoveryStrategy::default(),
            metadata_recovery_rebootstrap_trigger: Duration::from_secs(300),
            max_produce_requests_per_second: None,
            max_request_size: 1_048_576,
            buffer_memory: 33_554_432,
            socket_connection_setup_timeout: Duration::from_secs(10),
            receive_message_max_bytes: DEFAULT_MAX_FRAME_SIZE,
            broker_version_fallback: None,
            down_conversion: DownConversion::default(),
            split_too_large: false,
            sasl: None,
            enable_metrics_push: true,
            over_tls: false,
            notices: false,
        }
    }

    /// Returns `true` if batches are written in transactions.
    #[must_use]
    pub const fn is_transactional(&self) -> bool {
        self.transactional_id.is_some()
    }

    /// Applies what transactions require of other settings.
    pub(super) fn require_for_transactions(&mut self) {
        if self.is_transactional() {
            self.acks = Acks::All;
            self.enable_idempotence = true;
            self.split_too_large = false;
        }
    }

    /// Returns `true` if the producer is idempotent with each broker that supports it.
    #[must_use]
    pub fn is_idempotent(&self) -> bool {
        self.enable_idempotence && self.acks == Acks::All
    }

    /// Returns the `security.protocol` in use.
    #[must_use]
    pub const fn security_protocol(&self) -> SecurityProtocol {
        SecurityProtocol::new(self.over_tls, self.sasl.is_some())
    }

    /// Returns how long to wait for the response to ApiVersions.
    pub(super) fn versions_timeout(&self) -> Duration {
        match self.broker_version_fallback {
            Some(_) => self.request_timeout.min(self.socket_connection_setup_timeout),
            None => self.request_timeout,
        }
    }

    /// Returns how many requests may be in flight on one connection.
    pub(super) fn max_in_flight(&self) -> usize {
        // A broker remembers the last 5 batches of a producer: with more in flight it could not detect a
        // duplicate (KAFKA-5494).
        let most = if self.is_idempotent() { 5 } else { usize::MAX };
        self.max_in_flight_requests_per_connection.clamp(1, most)
    }
}
