//! The table of settings, with names, syntax, defaults and descriptions. Parsing, documentation and tests use this table.

use std::time::Duration;

use kafka_batch_core::BrokerVersion;
use kafka_batch_core::compression::Codec;
use kafka_batch_core::machine::{MetadataRecoveryStrategy, SaslMechanism, Secret, SecurityProtocol};
use kafka_batch_core::protocol::Acks;

use super::Setting;
use super::forms::{
    Always, Form, Hidden, INT, LONG, Level, Mechanism, Millis, OrUnset, SWITCH, Text, Verbatim, Version, Whole, Words,
};
use super::network_forms::{ATTEMPT_DELAY, BufferSize, FAMILY, LOOKUP, OneAddress, OrSystem, ProxyAddress};
use super::servers::{Addresses, PROTOCOL, Servers};
use crate::error::{ConfigError, SettingErrorReason};
use crate::network_config::{AddressFamily, DnsLookup};

pub(crate) const BROKERS: &str = "bootstrap.servers";

/// One setting.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: &'static str,
    /// librdkafka's other names for it.
    pub(super) aliases: &'static [&'static str],
    /// Parses a value and sets the setting. Returns whether it is set; an error states what is accepted.
    pub(super) read: fn(&mut ProducerConfig, &str) -> Result<bool, SettingErrorReason>,
    /// Checks a typed value, if one is set, and changes it to what the same text would have become. An error has the value as
    /// it may be shown in an error.
    pub(super) normalize: fn(&mut ProducerConfig) -> Result<(), (String, SettingErrorReason)>,
    /// Returns the value as a text for errors, if the setting is set.
    pub(super) show: fn(&ProducerConfig) -> Option<String>,
    /// Returns the value as a text that `read` accepts, if the setting is set.
    pub(super) write: fn(&ProducerConfig) -> Option<String>,
    /// For the documentation and the tests.
    #[cfg(test)]
    pub(super) described: Described,
}

impl Row {
    /// Returns all names of the setting.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        [self.name].into_iter().chain(self.aliases.iter().copied())
    }
}

#[cfg(test)]
#[derive(Debug)]
pub(super) struct Described {
    pub(super) default: Initial,
    /// The description, in Markdown.
    pub(super) about: &'static str,
    /// The accepted values, in Markdown.
    pub(super) accepts: fn() -> String,
}

/// The default of a setting.
#[cfg(test)]
#[derive(Clone, Copy, Debug)]
pub(super) enum Initial {
    /// This value.
    Value(&'static str),
    /// A default that no value expresses.
    Described(&'static str),
}

/// A row consists of: the field, in parentheses the argument of its method if it has one, the field's type, the form, names,
/// default, description.
macro_rules! settings {
    ($($field:ident $(($arg:ty))?: $type:ty = $form:expr,
        $name:literal $(| $alias:literal)*, $default:ident($text:literal), $about:literal;)+) => {
        /// Settings of a [`Producer`](crate::Producer) as typed values, for
        /// [`ProducerBuilder::config`](crate::ProducerBuilder::config). Defaults are those of
        /// [`ProducerBuilder`](crate::ProducerBuilder); values out of range are errors of
        /// [`build`](crate::ProducerBuilder::build).
        ///
        /// Codec and size of batches are set in [`BatchOptions`](kafka_batch_core::BatchOptions).
        ///
        /// ```
        /// use std::time::Duration;
        ///
        /// use kafka_batch_core::protocol::Acks;
        /// use kafka_batch_transport::ProducerConfig;
        ///
        /// let config = ProducerConfig::new([("localhost", 9092)])
        ///     .client_id("billing")
        ///     .acks(Acks::Leader)
        ///     .delivery_timeout(Duration::from_secs(60))
        ///     .connections_max_idle(Duration::MAX); // never
        /// # let _ = config;
        /// ```
        #[derive(Clone, Debug, Default)]
        #[must_use]
        pub struct ProducerConfig {
            $(pub(super) $field: Option<$type>,)+
        }

        impl ProducerConfig {
            $($(
                #[doc = concat!("Sets `", $name, "`. ", $about, ".")]
                pub fn $field(mut self, value: $arg) -> Self {
                    self.$field = Some(Into::<$type>::into(value));
                    self
                }
            )?)+
        }

        /// The names of the settings that [`ProducerConfig`] has typed values for.
        pub(super) const TYPED: &[&str] = &[BROKERS, $($({
            const _: &str = stringify!($arg);
            $name
        },)?)+];

        pub(super) const TABLE: &[Row] = &[$(
            Row {
                name: $name,
                aliases: &[$($alias),*],
                read: |config, text| {
                    if $form.is_unset(text) {
                        return Ok(false);
                    }
                    config.$field = Some($form.parse(text)?);
                    Ok(true)
                },
                normalize: |config| {
                    let given = config.$field.take();
                    let Some(value) = given.filter(|value| !$form.is_unset(&$form.show(value))) else { return Ok(()) };
                    let (shown, accepted) = ($form.show_typed(&value), $form.accepts_typed(&value));
                    config.$field = Some($form.normalize(value).map_err(|reason| {
                        let method = if $name == BROKERS { "ProducerConfig::new" } else { stringify!($field) };
                        (shown, reason.typed(method, &accepted))
                    })?);
                    Ok(())
                },
                show: |config| config.$field.as_ref().map(|value| $form.show(value)),
                write: |config| config.$field.as_ref().map(|value| $form.write(value)),
                #[cfg(test)]
                described: Described {
                    default: Initial::$default($text),
                    about: $about,
                    accepts: || $form.accepts(),
                },
            },
        )+];
    };
}

impl ProducerConfig {
    /// Returns settings with `bootstrap.servers`, host and port of brokers to connect to first, and no others.
    pub fn new<H: Into<String>>(bootstrap_servers: impl IntoIterator<Item = (H, u16)>) -> Self {
        let addresses = bootstrap_servers.into_iter().map(|(host, port)| (host.into(), port)).collect();
        Self { bootstrap_servers: Some(Servers { addresses, protocol: None }), ..Self::default() }
    }

    /// Returns the settings that are set, with values as [`ProducerBuilder::set`](crate::ProducerBuilder::set) and librdkafka
    /// accept them: for transports whose settings have names. The values include passwords and keys.
    ///
    /// # Errors
    /// A value is out of range.
    pub fn to_settings(&self) -> Result<Vec<(&'static str, String)>, ConfigError> {
        let config = self.clone().normalized()?;
        Ok(TABLE.iter().filter_map(|row| Some((row.name, (row.write)(&config)?))).collect())
    }

    /// Returns the names of the settings that can be set by the methods of this type.
    pub fn names() -> impl Iterator<Item = &'static str> {
        TYPED.iter().copied()
    }

    /// Checks each value, and changes it to what the same text by name would have become.
    ///
    /// # Errors
    /// A value is out of range.
    pub(super) fn normalized(mut self) -> Result<Self, ConfigError> {
        for row in TABLE {
            let normalized = (row.normalize)(&mut self);
            normalized.or_else(|(found, reason)| Setting { name: row.name, found: &found }.wrong(reason))?;
        }
        Ok(self)
    }
}

const ACKS: Words<Acks> = Words(&[("all", Acks::All), ("-1", Acks::All), ("1", Acks::Leader), ("0", Acks::None)]);

const CODEC: Words<Codec> = Words(&[
    ("none", Codec::None),
    ("gzip", Codec::Gzip),
    ("snappy", Codec::Snappy),
    ("lz4", Codec::Lz4),
    ("zstd", Codec::Zstd),
]);

const MECHANISM: Mechanism = Mechanism(Words(&[
    ("PLAIN", SaslMechanism::Plain),
    ("SCRAM-SHA-256", SaslMechanism::ScramSha256),
    ("SCRAM-SHA-512", SaslMechanism::ScramSha512),
    ("OAUTHBEARER", SaslMechanism::OAuthBearer),
]));

const RECOVERY: Words<MetadataRecoveryStrategy> =
    Words(&[("rebootstrap", MetadataRecoveryStrategy::Rebootstrap), ("none", MetadataRecoveryStrategy::None)]);

/// Whether host names are verified. The Java client writes `none` as an empty text.
const IDENTIFICATION: Words<bool> = Words(&[("https", true), ("none", false), ("", false)]);

const RETRIES: Always =
    Always { number: i32::MAX as u32, why: "there is no count of retries, and delivery.timeout.ms is their bound" };

/// The path of a file, or PEM text.
const OPTIONAL: OrUnset<Text> = OrUnset(Text { longest: usize::MAX });

/// A wait before the next attempt, which is a `long` in the Java client.
const BACKOFF: Millis = Millis::new(0, LONG);

settings! {
    bootstrap_servers: Servers = Addresses, "bootstrap.servers" | "metadata.broker.list", Described("none; it must be set"),
        "Brokers to connect to first; they provide the addresses of the others. The default port is 9092. An IPv6 address is \
         written as `[address]:port`, with a zone as `[address%zone]:port`. A prefix such as `SASL_SSL://` sets the security \
         protocol; `security.protocol` and other entries must agree";
    client_id(impl Into<String>): String = Text { longest: i16::MAX as usize }, "client.id", Value("kafka-batch"),
        "A name for the brokers' logs, metrics and quotas";
    client_rack(impl Into<String>): String = OrUnset(Text { longest: i16::MAX as usize }), "client.rack", Described("none"),
        "The rack of this producer, for the next setting";
    partitioner_rack_aware(bool): bool = SWITCH, "partitioner.rack.aware", Value("false"),
        "Batches and messages without key or partition are sent to partitions whose leader is in the rack of `client.rack`, if there \
         are any (KIP-1123)";
    acks(Acks): Acks = ACKS, "acks" | "request.required.acks", Value("all"),
        "Which replicas must store a batch before it counts as delivered: all in-sync replicas, the leader, or none";
    enable_idempotence(bool): bool = SWITCH, "enable.idempotence", Value("true"),
        "Prevents retries from duplicating or reordering batches. If it is not set, it is off with other `acks` than `all` and \
         with more than 5 requests in flight; if it is set, these are errors";
    enable_metrics_push(bool): bool = SWITCH, "enable.metrics.push", Value("true"),
        "Pushes the metrics that the cluster subscribes to (KIP-714), if a plugin of its brokers receives any";
    transactional_id(impl Into<String>): String = OrUnset(Text { longest: i16::MAX as usize }), "transactional.id", Described("none"),
        "The name of a [transactional producer](crate::TransactionalProducer). Each one that is alive at the same time needs a name \
         of its own, and keeps it when it is restarted. Needs `acks=all` and idempotence";
    transaction_timeout(Duration): Duration = Millis::new(1, INT), "transaction.timeout.ms", Value("60000"),
        "The coordinator aborts a transaction that is open for longer. Brokers refuse more than their `transaction.max.timeout.ms` \
         (15 minutes)";
    max_in_flight_requests_per_connection(usize): usize = Whole { least: 1, most: 1_000_000 },
        "max.in.flight.requests.per.connection" | "max.in.flight", Value("5"),
        "Maximum number of requests on one connection without a response";
    request_timeout(Duration): Duration = Millis::new(1, INT), "request.timeout.ms", Value("30000"),
        "Maximum wait for a response; also for a topic to be found before it counts as unknown";
    delivery_timeout(Duration): Duration = Millis::new(1, INT).never(&[0]), "delivery.timeout.ms" | "message.timeout.ms", Value("120000"),
        "Time from the acceptance of a batch until it fails. If it is not set, at least `request.timeout.ms`; if it is set, \
         less is an error. `0` as in librdkafka";
    retries: () = RETRIES, "retries" | "message.send.max.retries", Value("2147483647"),
        "Retries are not counted: `delivery.timeout.ms` bounds them";
    linger(Duration): Duration = Millis::new(0, LONG), "linger.ms" | "queue.buffering.max.ms", Value("0"),
        "How long single messages ([`send`](crate::Producer::send)) wait for others, from the first one of a batch on. With \
         `0`, only while as many batches of the partition are in flight as may be, and for at most 100 ms: batches grow with \
         the load. (Java's client has 5 since 4.0, KIP-1030.) Batches of [`send_batch`](crate::Producer::send_batch) are sent \
         immediately";
    retry_backoff(Duration): Duration = BACKOFF, "retry.backoff.ms", Value("100"), "Wait before the first retry; doubles with each";
    retry_backoff_max(Duration): Duration = BACKOFF, "retry.backoff.max.ms", Value("1000"), "Longest wait before a retry";
    reconnect_backoff(Duration): Duration = BACKOFF, "reconnect.backoff.ms", Value("50"),
        "Wait before the first attempt to connect again; doubles with each";
    reconnect_backoff_max(Duration): Duration = BACKOFF, "reconnect.backoff.max.ms", Value("1000"),
        "Longest wait before an attempt to connect again";
    socket_connection_setup_timeout(Duration): Duration = Millis::new(1, INT), "socket.connection.setup.timeout.ms", Value("10000"),
        "Maximum time to connect, for all addresses of a host name together";
    client_dns_lookup(DnsLookup): DnsLookup = LOOKUP, "client.dns.lookup", Value("use_all_dns_ips"),
        "The addresses of a host name that are tried: all. Or, with the other value, those of the canonical name that a reverse \
         lookup of a bootstrap server's address returns, which is the name in its certificate, then";
    broker_address_family(AddressFamily): AddressFamily = FAMILY, "broker.address.family", Value("any"),
        "The addresses of a host that are tried (librdkafka's name): IPv4, IPv6, or both in turns";
    connection_attempt_delay(Duration): Duration = ATTEMPT_DELAY, "connection.attempt.delay.ms", Value("250"),
        "Delay before the next address of a host is tried beside those that have not answered; the first connection is used (RFC \
         8305). After an error the next address is tried at once";
    send_buffer_bytes(usize): usize = BufferSize, "socket.send.buffer.bytes" | "send.buffer.bytes", Value("-1"),
        "The size of a socket's send buffer (`SO_SNDBUF`)";
    receive_buffer_bytes(usize): usize = BufferSize, "socket.receive.buffer.bytes" | "receive.buffer.bytes", Value("-1"),
        "The size of a socket's receive buffer (`SO_RCVBUF`)";
    socket_tcp_user_timeout(Duration): Duration = OrSystem(Millis::new(1, INT)), "socket.tcp.user.timeout.ms", Value("0"),
        "How long sent bytes may be unacknowledged before the connection ends (`TCP_USER_TIMEOUT`); only on Linux and Android";
    socks5_proxy(impl Into<ProxyAddress>): ProxyAddress = OneAddress, "socks5.proxy", Described("none"),
        "A SOCKS5 proxy (RFC 1928) that connects to the brokers, and resolves their names; `client.dns.lookup` and \
         `broker.address.family` concern the proxy's own name";
    socks5_proxy_username(impl Into<Secret>): Secret = Hidden::Verbatim, "socks5.proxy.username", Described("none"),
        "The user name for the proxy (RFC 1929), which is sent as it is";
    socks5_proxy_password(impl Into<Secret>): Secret = Hidden::Verbatim, "socks5.proxy.password", Described("none"),
        "The password for the proxy, which is sent as it is";
    connections_max_idle(Duration): Duration = Millis::new(1, LONG).never(&[-1, 0]), "connections.max.idle.ms", Value("540000"),
        "An unused connection is closed after this time. `-1` as in Java's client, `0` as in librdkafka";
    metadata_max_age(Duration): Duration = Millis::new(1, LONG), "metadata.max.age.ms", Value("300000"),
        "Metadata of the cluster is requested again after this time";
    metadata_max_idle(Duration): Duration = Millis::new(1, LONG), "metadata.max.idle.ms", Value("300000"),
        "Metadata of a topic is removed after this time without use";
    metadata_recovery_strategy(MetadataRecoveryStrategy): MetadataRecoveryStrategy = RECOVERY, "metadata.recovery.strategy",
        Value("rebootstrap"),
        "Whether `bootstrap.servers` are used again when no known broker can be reached (KIP-899), when metadata is not obtained for \
         the time of the next setting, or when a broker asks for it";
    metadata_recovery_rebootstrap_trigger(Duration): Duration = Millis::new(0, LONG), "metadata.recovery.rebootstrap.trigger.ms",
        Value("300000"),
        "How long metadata may be needed and not be obtained before all connections are closed, and `bootstrap.servers` are \
         connected to (KIP-1102)";
    max_produce_requests_per_second(usize): usize = Whole { least: 0, most: INT }, "max.produce.requests.per.second", Value("0"),
        "Maximum rate of Produce requests to each broker; above it, batches wait and share requests. Up to 100 ms of unused time are \
         kept for bursts. `0` for no limit";
    max_request_size(usize): usize = Whole { least: 1, most: INT }, "max.request.size", Value("1048576"),
        "Maximum bytes of one request; a larger batch is sent alone";
    max_block(Duration): Duration = Millis::new(0, LONG).never(&[-1]), "max.block.ms", Value("-1"),
        "How long one call waits for the metadata of a topic and for room in `buffer.memory`, both together, before it fails. `-1`: as \
         long as its future is polled. The metadata is also waited for no longer than `request.timeout.ms`";
    buffer_memory(usize): usize = Whole { least: 1, most: LONG }, "buffer.memory", Value("33554432"),
        "Maximum bytes of batches in flight; above it, sending waits. A batch counts until its outcome is known. An outcome \
         that is not yet taken keeps its batch in memory, but does not count";
    receive_message_max_bytes(usize): usize = Whole { least: 1_000, most: INT }, "receive.message.max.bytes", Value("100000000"),
        "Maximum bytes of a response (librdkafka's name)";
    broker_version_fallback(BrokerVersion): BrokerVersion = Version, "broker.version.fallback", Described("none"),
        "The version of brokers before 0.10, which do not support ApiVersions requests (librdkafka's name)";
    compression_type: Codec = CODEC, "compression.type" | "compression.codec",
        Described("as the [batch options](Self::batch_options)"),
        "The codec of batches that the producer makes. Each needs the feature of its name";
    compression_level: i32 = Level, "compression.level", Described("the codec's"),
        "The level of that codec (librdkafka's name): 1 to 9 for gzip, −131072 to 22 for zstd, `-1` for the default; the others \
         have none";
    compression_gzip_level: i32 = Level, "compression.gzip.level", Described("the codec's"),
        "The level of gzip, by Kafka's name";
    compression_zstd_level: i32 = Level, "compression.zstd.level", Described("the codec's"),
        "The level of zstd, by Kafka's name; `-1` is one of its levels";
    compression_lz4_level: i32 = Level, "compression.lz4.level", Described("the codec's"),
        "The level of lz4, by Kafka's name: only `-1`, since lz4 has no levels here";
    batch_size: usize = Whole { least: 0, most: INT }, "batch.size", Described("as the [batch options](Self::batch_options)"),
        "The soft limit of batches that the producer makes, in bytes. The hard one is \
         `BatchOptions::max_message_bytes`, [among the options](Self::batch_options)";
    security_protocol(SecurityProtocol): SecurityProtocol = PROTOCOL, "security.protocol", Value("plaintext"),
        "`ssl` and `sasl_ssl` use TLS and need the feature `tls`; `sasl_plaintext` and `sasl_ssl` authenticate by SASL";
    sasl_mechanism(SaslMechanism): SaslMechanism = MECHANISM, "sasl.mechanism" | "sasl.mechanisms", Value("PLAIN"),
        "The SASL mechanism. PLAIN sends the password itself, so use it only with TLS. OAUTHBEARER needs a \
         [provider of tokens](crate::ProducerBuilder::token_provider)";
    sasl_username(impl Into<String>): String = Verbatim, "sasl.username", Described("none"), "The user name; with SCRAM, printable ASCII";
    sasl_password(impl Into<Secret>): Secret = Hidden::Verbatim, "sasl.password", Described("none"), "The password; with SCRAM, printable ASCII";
    ssl_ca_location(impl Into<String>): String = OPTIONAL, "ssl.ca.location", Described("the system's"),
        "Trusted authorities, or brokers' own certificates: a PEM file, or a directory of such files; `probe` for the system's";
    ssl_ca_pem(impl Into<String>): String = OPTIONAL, "ssl.ca.pem", Described("the system's"), "The same as PEM text";
    ssl_certificate_location(impl Into<String>): String = OPTIONAL, "ssl.certificate.location", Described("none"),
        "The producer's certificate, followed by the intermediate certificates: a PEM file";
    ssl_certificate_pem(impl Into<String>): String = OPTIONAL, "ssl.certificate.pem", Described("none"), "The same as PEM text";
    ssl_key_location(impl Into<String>): String = OPTIONAL, "ssl.key.location", Described("none"),
        "The private key of that certificate: a PEM file. Plain, or encrypted as PKCS#8 (`BEGIN ENCRYPTED PRIVATE KEY`) by PBES2 with \
         AES and PBKDF2-HMAC-SHA-2 or scrypt, as `openssl pkcs8 -topk8 -v2 aes-256-cbc` does";
    ssl_key_pem(impl Into<Secret>): Secret = OrUnset(Hidden::Trimmed), "ssl.key.pem", Described("none"), "The same as PEM text";
    ssl_key_password(impl Into<Secret>): Secret = OrUnset(Hidden::Verbatim), "ssl.key.password", Described("none"),
        "The password of an encrypted key";
    ssl_endpoint_identification(bool): bool = IDENTIFICATION, "ssl.endpoint.identification.algorithm", Value("https"),
        "`https`: a broker's certificate must contain its host name. `none`: any certificate of a trusted authority is accepted";
}

/// Returns `true` if there is a setting of this name.
pub(crate) fn is_known(name: &str) -> bool {
    row(name).is_some()
}

/// Returns the name of a setting that is most similar to this one, if one is similar: for errors about names that do not exist.
#[must_use]
pub fn similar_setting(name: &str) -> Option<&'static str> {
    /// Of 1, by Jaro-Winkler, which counts equal beginnings more: names that miss their last part are similar.
    const LEAST: f64 = 0.9;
    let name = name.to_ascii_lowercase().replace(['_', '-', ' '], ".");
    let names = TABLE.iter().flat_map(Row::names).map(|each| (strsim::jaro_winkler(&name, each), each));
    let most = names.max_by(|(one, _), (other, _)| one.total_cmp(other));
    most.filter(|(similarity, _)| *similarity >= LEAST).map(|(_, name)| name)
}

/// Returns the names of all settings, without aliases.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|row| row.name)
}

/// Returns the row of a setting, by any of its names.
pub(super) fn row(name: &str) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.name == name || row.aliases.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_belongs_to_one_setting() {
        let names: Vec<_> = TABLE.iter().flat_map(Row::names).collect();
        for name in &names {
            assert_eq!(names.iter().filter(|other| *other == name).count(), 1, "{name}");
        }
    }

    #[test]
    fn all_codecs_and_mechanisms_of_the_core_are_accepted() {
        for codec in Codec::ALL {
            assert_eq!(CODEC.parse(codec.name()).ok(), Some(codec));
            assert_eq!(CODEC.show(&codec), codec.name());
        }
        for &mechanism in SaslMechanism::ALL {
            assert_eq!(MECHANISM.parse(mechanism.name()).ok(), Some(mechanism));
            assert_eq!(MECHANISM.show(&mechanism), mechanism.name());
        }
        assert_eq!((CODEC.0.len(), MECHANISM.0.0.len()), (Codec::ALL.len(), SaslMechanism::ALL.len()));
    }
}
