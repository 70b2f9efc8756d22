//! Checks settings, applies defaults, and divides them between librdkafka and this crate.

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_batch_core::DEFAULT_MAX_MESSAGE_BYTES;
use kafka_batch_transport::ProducerConfig;
use kafka_batch_transport::redaction::similar_setting;
use kafka_batch_transport::waiting::Permits;
use rdkafka::ClientConfig;
use rdkafka::bindings::rd_kafka_conf_res_t as RDKafkaConfRes;
use rdkafka::error::KafkaError;

use crate::effective::{Effective, is_set, set_twice};
use crate::error::ConfigError;
use crate::in_flight::Terms;
use crate::secrets::{Secrets, is_known, shown, shown_name};

/// Settings by their librdkafka names.
pub(crate) type Settings = BTreeMap<String, String>;

/// The settings, divided between librdkafka and this crate.
pub(crate) struct Shared {
    /// For librdkafka.
    pub(crate) config: ClientConfig,
    /// The limit of records and bytes in flight, which this crate enforces.
    pub(crate) limit: Permits,
    /// The settings that the outcome of a batch depends on.
    pub(crate) terms: Terms,
    /// The addresses of brokers, for error messages.
    pub(crate) brokers: String,
    /// The values that are never shown.
    pub(crate) secrets: Secrets,
    /// The time after which librdkafka sends a request again at the earliest.
    pub(crate) earliest_repetition: Duration,
}

const ACKS: &str = "acks";
const DELIVERY_TIMEOUT: &str = "delivery.timeout.ms";
pub(crate) const TRANSACTIONAL_ID: &str = "transactional.id";
/// librdkafka's default of `delivery.timeout.ms` (CONFIGURATION.md of 2.12.1). It returns none while no setting of topics is set.
const DEFAULT_DELIVERY_TIMEOUT: u64 = 300_000;
pub(crate) const BROKERS: [&str; 2] = ["bootstrap.servers", "metadata.broker.list"];
const MAX_MESSAGES: &str = "queue.buffering.max.messages";
const MAX_KBYTES: &str = "queue.buffering.max.kbytes";
const ONLY_ERROR: &str = "delivery.report.only.error";

pub(crate) fn share_out(settings: &Settings) -> Result<Shared, ConfigError> {
    let brokers = check(settings)?;
    let secrets = Secrets::of(settings);
    let mut config = ClientConfig::new();
    config.extend(settings.iter().map(|(name, value)| (name.clone(), value.clone())));
    let effective = Effective::new(settings, &config).map_err(|error| refused(error, &secrets))?; // before defaults are set
    if effective.get(ONLY_ERROR) == "true" {
        let remedy = "batches are acknowledged by delivery reports, so all are needed: leave this setting out";
        return wrong(ONLY_ERROR, &settings[ONLY_ERROR], remedy);
    }
    for (name, value) in defaults(settings, &effective) {
        config.set(name, value);
    }
    // This crate limits what is in flight, so that librdkafka's queue is never full. Waiting for that queue is impossible:
    // librdkafka frees its entries after the last callback of a delivery report event, without a notification.
    let limit = Permits {
        records: match number(&effective, MAX_MESSAGES) {
            0 => usize::MAX, // no limit
            records => records,
        },
        bytes: number(&effective, MAX_KBYTES).saturating_mul(1_024),
    };
    config.set(MAX_MESSAGES, "0").set(MAX_KBYTES, i32::MAX.to_string());
    let transactional = is_transactional(settings);
    let terms = Terms {
        acknowledged: effective.get(ACKS) != "0",
        delivery_timeout: delivery_timeout(&effective, transactional),
        transactional,
    };
    let earliest_repetition = earliest_repetition(&effective);
    Ok(Shared { config, limit, terms, brokers, secrets, earliest_repetition })
}

/// Returns true if there is a `transactional.id`, which librdkafka ignores if it is empty.
pub(crate) fn is_transactional(settings: &Settings) -> bool {
    settings.get(TRANSACTIONAL_ID).is_some_and(|id| !id.is_empty())
}

/// With transactions, the default is `transaction.timeout.ms`.
fn delivery_timeout(effective: &Effective<'_>, transactional: bool) -> Duration {
    let millis = match effective.set(DELIVERY_TIMEOUT) {
        None if transactional => effective.get("transaction.timeout.ms"),
        _ => effective.get(DELIVERY_TIMEOUT),
    };
    Duration::from_millis(millis.parse().unwrap_or(DEFAULT_DELIVERY_TIMEOUT))
}

/// librdkafka sends a request again after `retry.backoff.ms`, with a jitter of 20 %, but at most `retry.backoff.max.ms`
/// (`rd_kafka_broker_buf_retry` of 2.12.1).
fn earliest_repetition(effective: &Effective<'_>) -> Duration {
    let millis = |name: &str| effective.get(name).parse().unwrap_or(0_u64);
    Duration::from_millis(millis("retry.backoff.max.ms").min(millis("retry.backoff.ms") / 5 * 4))
}

/// Checks that the settings have a `transactional.id`, or have none.
pub(crate) fn check_transactional(settings: &Settings, transactional: bool) -> Result<(), ConfigError> {
    const NEEDED: &str =
        "a producer of transactions needs a name, which it keeps when it is restarted: set it, or use build()";
    const NOT_USED: &str =
        "a producer with this setting is made by build_transactional: use that, or leave the setting out";
    let id = settings.get(TRANSACTIONAL_ID).map_or("", String::as_str);
    match (is_transactional(settings), transactional) {
        (false, true) => wrong(TRANSACTIONAL_ID, id, NEEDED),
        (true, false) => wrong(TRANSACTIONAL_ID, id, NOT_USED),
        _ => Ok(()),
    }
}

/// Returns a numeric setting, which librdkafka formats in decimal digits and has checked against its range.
fn number(effective: &Effective<'_>, name: &str) -> usize {
    effective.get(name).parse().unwrap_or(usize::MAX)
}

/// Returns the value of the first of these names that is set.
fn first_of<'a>(settings: &'a Settings, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|&name| settings.get(name)).map(String::as_str)
}

/// Adds the settings of a [`ProducerConfig`] that are not set by name.
///
/// # Errors
/// A value is out of range, or librdkafka does not have one of the settings.
pub(crate) fn add_typed(settings: &mut Settings, config: &ProducerConfig) -> Result<(), ConfigError> {
    for (setting, value) in config.to_settings()? {
        if !is_known(setting) {
            return Err(ConfigError::UnsupportedSetting { setting });
        }
        if !is_set(settings, setting) {
            settings.insert(setting.to_owned(), value);
        }
    }
    Ok(())
}

fn wrong<T>(setting: &str, found: &str, remedy: &str) -> Result<T, ConfigError> {
    let (name, found) = (shown_name(setting, found).to_owned(), shown(setting, found));
    Err(ConfigError::Setting { setting: name, found, remedy: remedy.to_owned() })
}

/// Refuses settings that this transport does not support. Returns the addresses of brokers.
fn check(settings: &Settings) -> Result<String, ConfigError> {
    if let Some((name, value)) = settings.iter().find(|(name, value)| name.contains('\0') || value.contains('\0')) {
        return wrong(name, value, "names and values must not contain NUL");
    }
    if let Some([name, same]) = set_twice(settings) {
        return wrong(
            name,
            &settings[name],
            &format!("{same} is set too, and they are the same: leave one of them out"),
        );
    }
    if settings.contains_key("test.mock.num.brokers") {
        return Ok("librdkafka's mock cluster".to_owned());
    }
    match first_of(settings, &BROKERS).filter(|brokers| !brokers.trim().is_empty()) {
        Some(brokers) => Ok(shown(BROKERS[0], brokers)),
        None => wrong(BROKERS[0], "", "say where the brokers are, such as \"localhost:9092\""),
    }
}

/// Returns this transport's defaults of settings that are not set. [`ProducerBuilder`](crate::ProducerBuilder) gives the
/// reasons.
fn defaults(settings: &Settings, effective: &Effective<'_>) -> Vec<(&'static str, String)> {
    let mut defaults = vec![
        ("message.max.bytes", DEFAULT_MAX_MESSAGE_BYTES.to_string()),
        ("batch.size", DEFAULT_MAX_MESSAGE_BYTES.to_string()),
        ("batch.num.messages", 1_000_000.to_string()),
    ];
    if allows_idempotence(effective) {
        defaults.push(("enable.idempotence", true.to_string()));
    }
    defaults.retain(|(name, _)| !settings.contains_key(*name));
    defaults
}

/// Returns `true` if all settings are compatible with idempotence. If so, it is on by default, as in the Java client.
fn allows_idempotence(effective: &Effective<'_>) -> bool {
    let is = |name: &str, fits: fn(&str) -> bool| effective.set(name).is_none_or(|value| fits(&value));
    is(ACKS, |acks| acks == "-1")
        && is("max.in.flight", |most| most.parse().is_ok_and(|most: u32| most <= 5))
        && is("retries", |retries| retries != "0")
        && is("queuing.strategy", |strategy| strategy == "fifo")
}

/// Converts librdkafka's error about a setting.
pub(crate) fn refused(error: KafkaError, secrets: &Secrets) -> ConfigError {
    match error {
        KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, _, setting, value) => {
            let similar = similar_setting(&setting).filter(|similar| is_known(similar));
            ConfigError::UnknownSetting { setting: shown_name(&setting, &value).to_owned(), similar }
        }
        KafkaError::ClientConfig(_, description, setting, value) => ConfigError::Setting {
            found: shown(&setting, &value),
            setting: shown_name(&setting, &value).to_owned(),
            remedy: format!("{} (librdkafka's CONFIGURATION.md has all names and ranges)", secrets.hide(&description)),
        },
        KafkaError::ClientCreation(description) => ConfigError::Conflict(secrets.hide(&description).to_owned()),
        other => ConfigError::Conflict(secrets.hide(&other.to_string()).to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use kafka_batch_core::machine::{MetadataRecoveryStrategy, SaslMechanism, SecurityProtocol};
    use kafka_batch_core::protocol::Acks;
    use kafka_batch_transport::{AddressFamily, DnsLookup};

    use super::*;

    fn settings(given: &[(&str, &str)]) -> Settings {
        let given = [("bootstrap.servers", "localhost:9092")].iter().chain(given);
        given.map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[track_caller]
    fn wrong(given: &[(&str, &str)]) -> (String, String, String) {
        match share_out(&settings(given)) {
            Err(ConfigError::Setting { setting, found, remedy }) => (setting, found, remedy),
            other => panic!("{:?}", other.map(drop)),
        }
    }

    #[test]
    fn an_error_names_the_setting_what_was_found_and_what_to_do() {
        let (setting, found, remedy) = wrong(&[("linger.ms", "-3")]);
        assert_eq!((setting.as_str(), found.as_str()), ("linger.ms", "-3"));
        assert!(remedy.contains("outside allowed range"), "{remedy}");
        let unknown = share_out(&settings(&[("linger", "3")])).map(drop).unwrap_err();
        assert!(
            matches!(&unknown, ConfigError::UnknownSetting { setting, similar: Some("linger.ms") } if setting == "linger"),
            "{unknown:?}"
        );
        assert_eq!(
            unknown.to_string(),
            "librdkafka has no setting \"linger\"; did you mean \"linger.ms\"? (its CONFIGURATION.md lists all of them)"
        );
        assert_eq!(wrong(&[(MAX_MESSAGES, "many")]).1, "many");
        assert_eq!(wrong(&[("client.id", "a\0b")]).0, "client.id");
    }

    #[test]
    fn unsupported_settings_are_refused() {
        assert_eq!(wrong(&[("delivery.report.only.error", "true")]).0, "delivery.report.only.error");
        assert_eq!(wrong(&[("bootstrap.servers", " ")]).0, "bootstrap.servers");
        assert!(share_out(&settings(&[("delivery.report.only.error", "false")])).is_ok());
    }

    #[test]
    fn values_are_interpreted_as_by_librdkafka() {
        for yes in ["true", "TRUE", "t", "T", "1", " true"] {
            assert_eq!(wrong(&[(ONLY_ERROR, yes)]).0, ONLY_ERROR, "{yes:?}");
        }
        for none in ["0", "00", "+0", " 0", "0x0"] {
            for name in ["acks", "request.required.acks"] {
                assert!(!share_out(&settings(&[(name, none)])).unwrap().terms.acknowledged, "{name}={none:?}");
            }
        }
        let idempotence = |name, value| {
            let shared = share_out(&settings(&[(name, value)])).unwrap();
            shared.config.get("enable.idempotence").map(ToOwned::to_owned)
        };
        for (name, value) in [("acks", "ALL"), ("acks", " -1"), ("max.in.flight", "0x5"), ("queuing.strategy", "FIFO")]
        {
            assert_eq!(idempotence(name, value).as_deref(), Some("true"), "{name}={value:?}");
        }
        for (name, value) in [("acks", "+1"), ("max.in.flight", "6.0"), ("retries", "00"), ("queuing.strategy", "LIFO")]
        {
            assert_eq!(idempotence(name, value), None, "{name}={value:?}");
        }
        let delivery_timeout = |given: &[_]| share_out(&settings(given)).unwrap().terms.delivery_timeout.as_millis();
        assert_eq!(delivery_timeout(&[]), 300_000, "librdkafka's default");
        for name in ["delivery.timeout.ms", "message.timeout.ms"] {
            assert_eq!(delivery_timeout(&[(name, " 0x10")]), 16, "{name}");
        }
        assert_eq!(share_out(&settings(&[(MAX_MESSAGES, "0x10")])).unwrap().limit.records, 16);
    }

    #[test]
    fn the_kind_of_producer_has_a_transactional_id_or_has_none() {
        let id = [(TRANSACTIONAL_ID, "orders-7")];
        for (given, transactional, fits) in [
            (&id[..], true, true),
            (&id[..], false, false),
            (&[], true, false),
            (&[], false, true),
            (&[(TRANSACTIONAL_ID, "")], true, false),
        ] {
            let checked = check_transactional(&settings(given), transactional);
            assert_eq!(checked.is_ok(), fits, "{given:?} {transactional}: {checked:?}");
            if let Err(error) = checked {
                assert!(error.to_string().contains(TRANSACTIONAL_ID), "{error}");
            }
        }
    }

    #[test]
    fn transactions_limit_deliveries_and_repetitions_have_a_least_delay() {
        let shared = |given: &[(&str, &str)]| share_out(&settings(given)).unwrap();
        let id = (TRANSACTIONAL_ID, "orders-7");
        let terms = shared(&[id, ("transaction.timeout.ms", "9000")]).terms;
        assert_eq!((terms.delivery_timeout.as_millis(), terms.transactional), (9_000, true));
        let terms = shared(&[id, ("delivery.timeout.ms", "700")]).terms;
        assert_eq!(terms.delivery_timeout.as_millis(), 700);
        let least = |given: &[_]| shared(given).earliest_repetition.as_millis();
        assert_eq!(least(&[]), 80, "of librdkafka's default, 100 ms");
        assert_eq!(least(&[("retry.backoff.ms", "5000"), ("retry.backoff.max.ms", "1000")]), 1_000);
    }

    #[test]
    fn two_names_of_one_setting_are_an_error() {
        let (setting, found, remedy) = wrong(&[("acks", "1"), ("request.required.acks", "all")]);
        assert_eq!((setting.as_str(), found.as_str()), ("acks", "1"));
        assert!(remedy.contains("request.required.acks is set too"), "{remedy}");
    }

    #[test]
    fn this_crate_limits_what_is_in_flight_and_librdkafkas_queue_has_no_limit() {
        let shared = share_out(&settings(&[(MAX_MESSAGES, "7"), (MAX_KBYTES, "2")])).unwrap();
        assert_eq!(shared.limit, Permits { records: 7, bytes: 2_048 });
        assert_eq!(shared.config.get(MAX_MESSAGES), Some("0"));
        let unbounded = share_out(&settings(&[(MAX_MESSAGES, "0")])).unwrap();
        assert_eq!(unbounded.limit, Permits { records: usize::MAX, bytes: 1 << 30 });
    }

    #[test]
    fn idempotence_is_on_unless_a_setting_excludes_it() {
        let idempotence = |given: &[(&str, &str)]| {
            share_out(&settings(given)).unwrap().config.get("enable.idempotence").map(ToOwned::to_owned)
        };
        let on = Some("true".to_owned());
        assert_eq!(idempotence(&[]), on);
        assert_eq!(idempotence(&[("acks", "all"), ("max.in.flight", "5"), ("retries", "9")]), on);
        assert_eq!(idempotence(&[("enable.idempotence", "false")]), Some("false".to_owned()));
        let ruled_out = [
            ("acks", "1"),
            ("request.required.acks", "0"),
            ("max.in.flight", "6"),
            ("retries", "0"),
            ("queuing.strategy", "lifo"),
        ];
        for setting in ruled_out {
            assert_eq!(idempotence(&[setting]), None, "{setting:?}");
        }
        assert!(!share_out(&settings(&[("acks", "0")])).unwrap().terms.acknowledged);
    }
    /// Every setting that has a typed value, with another value than the default.
    fn all_typed() -> ProducerConfig {
        let seconds = Duration::from_secs;
        ProducerConfig::new([("a", 1), ("::1", 2)])
            .client_id("me")
            .client_rack("a")
            .partitioner_rack_aware(true)
            .acks(Acks::Leader)
            .enable_idempotence(false)
            .enable_metrics_push(false)
            .transactional_id("orders-7")
            .transaction_timeout(seconds(12))
            .max_in_flight_requests_per_connection(3)
            .request_timeout(seconds(7))
            .delivery_timeout(Duration::MAX)
            .linger(seconds(2))
            .retry_backoff(seconds(3))
            .retry_backoff_max(seconds(4))
            .reconnect_backoff(seconds(5))
            .reconnect_backoff_max(seconds(6))
            .socket_connection_setup_timeout(seconds(8))
            .client_dns_lookup(DnsLookup::ResolveCanonicalBootstrapServersOnly)
            .broker_address_family(AddressFamily::V6)
            .connection_attempt_delay(seconds(1))
            .send_buffer_bytes(5_000)
            .receive_buffer_bytes(6_000)
            .socket_tcp_user_timeout(seconds(13))
            .socks5_proxy(("proxy", 1080))
            .socks5_proxy_username("user")
            .socks5_proxy_password("open")
            .connections_max_idle(Duration::MAX)
            .metadata_max_age(seconds(9))
            .metadata_max_idle(seconds(10))
            .metadata_recovery_strategy(MetadataRecoveryStrategy::None)
            .metadata_recovery_rebootstrap_trigger(seconds(14))
            .max_produce_requests_per_second(15)
            .max_request_size(11)
            .max_block(seconds(16))
            .buffer_memory(12)
            .receive_message_max_bytes(10_000_000)
            .broker_version_fallback("0.9".parse().unwrap())
            .security_protocol(SecurityProtocol::SaslPlaintext)
            .sasl_mechanism(SaslMechanism::Plain)
            .sasl_username("u")
            .sasl_password("hunter2")
            .ssl_ca_location("ca.pem")
            .ssl_ca_pem("CA")
            .ssl_certificate_location("certificate.pem")
            .ssl_certificate_pem("CERTIFICATE")
            .ssl_key_location("key.pem")
            .ssl_key_pem("KEY")
            .ssl_key_password("open sesame")
            .ssl_endpoint_identification(false)
    }

    const UNSUPPORTED: [&str; 11] = [
        "partitioner.rack.aware",
        "connection.attempt.delay.ms",
        "socket.tcp.user.timeout.ms",
        "socks5.proxy",
        "socks5.proxy.username",
        "socks5.proxy.password",
        "metadata.max.idle.ms",
        "max.produce.requests.per.second",
        "max.request.size",
        "max.block.ms",
        "buffer.memory",
    ];

    /// A typed setting that is new in the common table fails here until it is in `all_typed`, and works or is refused.
    #[test]
    fn each_typed_setting_is_one_of_librdkafka_or_is_refused_by_name() {
        let typed = all_typed().to_settings().unwrap();
        assert!(typed.iter().map(|(name, _)| *name).eq(ProducerConfig::names()), "{typed:?}");
        let unsupported: Vec<_> = typed.iter().map(|(name, _)| *name).filter(|name| !is_known(name)).collect();
        assert_eq!(unsupported, UNSUPPORTED);
        for (name, value) in typed.iter().filter(|(name, _)| is_known(name)) {
            let mut config = ClientConfig::new();
            // TLS is not in this build, so that the values of its settings are refused.
            if !name.starts_with("ssl.") {
                config.set(*name, value);
            }
            let native = config.create_native_config().unwrap_or_else(|error| panic!("{name} = {value}: {error}"));
            if !name.starts_with("ssl.") && *name != "acks" {
                assert_eq!(&native.get(name).unwrap(), value, "{name}");
            }
        }
    }

    #[test]
    fn a_typed_setting_that_librdkafka_does_not_have_is_an_error() {
        let config = || ProducerConfig::new([("localhost", 9092)]);
        for (config, expected) in [
            (config().metadata_max_idle(Duration::from_secs(1)), "metadata.max.idle.ms"),
            (config().max_request_size(5), "max.request.size"),
            (config().buffer_memory(5), "buffer.memory"),
            (config().max_block(Duration::from_secs(1)), "max.block.ms"),
            (config().socks5_proxy(("proxy", 1080)), "socks5.proxy"),
            (config().connection_attempt_delay(Duration::from_secs(1)), "connection.attempt.delay.ms"),
        ] {
            let error = add_typed(&mut Settings::new(), &config).unwrap_err();
            assert!(matches!(error, ConfigError::UnsupportedSetting { setting } if setting == expected), "{error}");
            assert!(error.to_string().contains(expected), "{error}");
        }
        let error = add_typed(&mut Settings::new(), &config().linger(Duration::MAX)).unwrap_err();
        assert!(error.to_string().starts_with("linger.ms = \"Duration::MAX\": not accepted; pass linger"), "{error}");
    }

    #[test]
    fn a_setting_by_any_name_takes_precedence_over_a_typed_one() {
        let typed = ProducerConfig::new([("typed", 1)]).acks(Acks::Leader).client_id("typed");
        let named = [("metadata.broker.list", "named:1"), ("request.required.acks", "0")];
        let mut settings: Settings = named.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        add_typed(&mut settings, &typed).unwrap();
        let shared = share_out(&settings).unwrap();
        assert_eq!((shared.brokers.as_str(), shared.terms.acknowledged), ("named:1", false));
        assert_eq!(shared.config.get("client.id"), Some("typed"));
    }
}
