//! Combines settings, checks them against each other, and applies defaults.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use kafka_batch_core::BatchOptions;
use kafka_batch_core::machine::{self as machine, Credential, OAuthBearer, Sasl, SaslMechanism, SecurityProtocol};
use kafka_batch_core::protocol::Acks;

use super::forms::Form;
use super::servers::Addresses;
use super::table::{BROKERS, ProducerConfig};
use super::{Setting, Settings, codec, conflict, network, wrong};
use crate::error::{ConfigError, SettingValue};
use crate::network_config::NetworkConfig;
use crate::security::{
    CA_LOCATION, CA_PEM, CERTIFICATE_LOCATION, CERTIFICATE_PEM, IDENTIFICATION, KEY_LOCATION, KEY_PASSWORD, KEY_PEM,
};

const RACK: &str = "client.rack";
const RACK_AWARE: &str = "partitioner.rack.aware";
const IDEMPOTENCE: &str = "enable.idempotence";
pub(crate) const TRANSACTIONAL_ID: &str = "transactional.id";
const MAX_IN_FLIGHT: &str = "max.in.flight.requests.per.connection";
const REQUEST_TIMEOUT: &str = "request.timeout.ms";
const DELIVERY_TIMEOUT: &str = "delivery.timeout.ms";
const PROTOCOL: &str = "security.protocol";
const USERNAME: &str = "sasl.username";
const PASSWORD: &str = "sasl.password";

/// The settings as typed values. The files that they name have not been read.
#[derive(Debug)]
pub(crate) struct ParsedConfig {
    pub(crate) machine: machine::MachineConfig,
    pub(crate) options: BatchOptions,
    /// `linger.ms`, for single messages.
    pub(crate) linger: Duration,
    /// `max.block.ms`. `None`: as long as it takes.
    pub(crate) max_block: Option<Duration>,
    /// `None` without TLS.
    pub(crate) tls: Option<TlsConfig>,
    pub(crate) network: NetworkConfig,
    /// The rack whose leaders are preferred.
    pub(crate) rack: Option<String>,
    /// The addresses of `bootstrap.servers`, for error messages.
    pub(crate) brokers: String,
}

/// The settings of TLS, by their names in the table. The files that they name have not been read.
pub(crate) struct TlsConfig(Settings);

impl TlsConfig {
    pub(crate) const fn settings(&self) -> &Settings {
        &self.0
    }
}

/// Shows only the names, since the values include a key and its password.
impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Checks settings against each other, and applies defaults.
pub(super) fn complete(config: &ProducerConfig, options: BatchOptions) -> Result<ParsedConfig, ConfigError> {
    let Some(servers) = config.bootstrap_servers.clone() else {
        let missing = Addresses.parse("").expect_err("there is no address in it");
        return Setting { name: BROKERS, found: "" }.wrong(missing);
    };
    let protocol = protocol(config, servers.protocol)?;
    let sasl = sasl(config, protocol)?;
    let options = match codec::compression(config)? {
        Some(compression) => options.compression(compression),
        None => options,
    };
    let options = match config.batch_size {
        Some(size) => options.batch_size(size),
        None => options,
    };
    let tls = tls(config, protocol)?;
    let network = network::network(config)?;
    let rack = config.client_rack.clone().filter(|_| config.partitioner_rack_aware == Some(true));
    if config.partitioner_rack_aware == Some(true) && rack.is_none() {
        return conflict(RACK_AWARE, RACK, config, "set the rack of this producer, too");
    }
    let brokers = servers.to_string();
    let linger = config.linger.unwrap_or_default();
    let max_block = config.max_block.filter(|limit| *limit != Duration::MAX);
    let mut machine = machine::MachineConfig::new(servers.addresses);
    machine.sasl = sasl;
    apply(config.clone(), &mut machine);
    reconcile(config, &mut machine)?;
    Ok(ParsedConfig { machine, options, linger, max_block, tls, network, rack, brokers })
}

/// Replaces defaults by the settings.
fn apply(config: ProducerConfig, machine: &mut machine::MachineConfig) {
    fn set<T>(to: &mut T, value: Option<T>) {
        if let Some(value) = value {
            *to = value;
        }
    }
    set(&mut machine.client_id, config.client_id);
    set(&mut machine.acks, config.acks);
    set(&mut machine.enable_idempotence, config.enable_idempotence);
    set(&mut machine.enable_metrics_push, config.enable_metrics_push);
    machine.transactional_id = config.transactional_id;
    set(&mut machine.transaction_timeout, config.transaction_timeout);
    set(&mut machine.max_in_flight_requests_per_connection, config.max_in_flight_requests_per_connection);
    set(&mut machine.request_timeout, config.request_timeout);
    set(&mut machine.delivery_timeout, config.delivery_timeout);
    set(&mut machine.retry_backoff, config.retry_backoff);
    set(&mut machine.retry_backoff_max, config.retry_backoff_max);
    set(&mut machine.reconnect_backoff, config.reconnect_backoff);
    set(&mut machine.reconnect_backoff_max, config.reconnect_backoff_max);
    set(&mut machine.socket_connection_setup_timeout, config.socket_connection_setup_timeout);
    set(&mut machine.connections_max_idle, config.connections_max_idle);
    set(&mut machine.metadata_max_age, config.metadata_max_age);
    set(&mut machine.metadata_max_idle, config.metadata_max_idle);
    set(&mut machine.metadata_recovery_strategy, config.metadata_recovery_strategy);
    set(&mut machine.metadata_recovery_rebootstrap_trigger, config.metadata_recovery_rebootstrap_trigger);
    let per_second = config.max_produce_requests_per_second.and_then(|rate| u32::try_from(rate).ok());
    machine.max_produce_requests_per_second = per_second.and_then(NonZeroU32::new);
    set(&mut machine.max_request_size, config.max_request_size);
    set(&mut machine.buffer_memory, config.buffer_memory);
    set(&mut machine.receive_message_max_bytes, config.receive_message_max_bytes);
    machine.broker_version_fallback = config.broker_version_fallback;
}

/// Returns the protocol of `security.protocol` or, if it is not set, of the entries of `bootstrap.servers`. They must agree.
fn protocol(config: &ProducerConfig, named: Option<SecurityProtocol>) -> Result<SecurityProtocol, ConfigError> {
    match (config.security_protocol, named) {
        (Some(set), Some(named)) if set != named => {
            let remedy =
                format!("the addresses have {named}://: make the protocols the same, or leave one of them out");
            conflict(BROKERS, PROTOCOL, config, remedy)
        }
        (set, named) => Ok(set.or(named).unwrap_or(SecurityProtocol::Plaintext)),
    }
}

/// Returns an error if any of these settings is set, which are used only with other protocols.
fn unused(
    names: impl IntoIterator<Item = &'static str>,
    config: &ProducerConfig,
    protocol: SecurityProtocol,
    protocols: &str,
) -> Result<(), ConfigError> {
    match names.into_iter().next() {
        Some(name) => {
            let remedy = format!(
                "{name} is used only with {protocols}, and the protocol is {protocol}: set {PROTOCOL} to one of these, or \
                 leave {name} out"
            );
            conflict(name, PROTOCOL, config, remedy)
        }
        None => Ok(()),
    }
}

fn tls(config: &ProducerConfig, protocol: SecurityProtocol) -> Result<Option<TlsConfig>, ConfigError> {
    let identification = config.ssl_endpoint_identification;
    let settings = [
        (CA_LOCATION, config.ssl_ca_location.clone()),
        (CA_PEM, config.ssl_ca_pem.clone()),
        (CERTIFICATE_LOCATION, config.ssl_certificate_location.clone()),
        (CERTIFICATE_PEM, config.ssl_certificate_pem.clone()),
        (KEY_LOCATION, config.ssl_key_location.clone()),
        (KEY_PEM, config.ssl_key_pem.as_ref().map(|key| key.expose().to_owned())),
        (KEY_PASSWORD, config.ssl_key_password.as_ref().map(|password| password.expose().to_owned())),
        (IDENTIFICATION, identification.map(|verifies| if verifies { "https" } else { "none" }.to_owned())),
    ];
    let settings = settings.into_iter().filter_map(|(name, value)| value.map(|value| (name, value)));
    if protocol.has_tls() {
        return Ok(Some(TlsConfig(settings.map(|(name, value)| (name.to_owned(), value)).collect())));
    }
    unused(settings.map(|(name, _)| name), config, protocol, "ssl or sasl_ssl").map(|()| None)
}

fn sasl(config: &ProducerConfig, protocol: SecurityProtocol) -> Result<Option<Sasl>, ConfigError> {
    let ProducerConfig { sasl_mechanism: mechanism, sasl_username: username, sasl_password: password, .. } = config;
    if !protocol.has_sasl() {
        let set =
            [("sasl.mechanism", mechanism.is_some()), (USERNAME, username.is_some()), (PASSWORD, password.is_some())];
        let names = set.into_iter().filter_map(|(name, is_set)| is_set.then_some(name));
        return unused(names, config, protocol, "sasl_plaintext or sasl_ssl").map(|()| None);
    }
    if *mechanism == Some(SaslMechanism::OAuthBearer) {
        let unused = [(USERNAME, username.is_some()), (PASSWORD, password.is_some())];
        return match unused.into_iter().find(|(_, is_set)| *is_set) {
            Some((name, _)) => {
                let remedy = format!("OAUTHBEARER has tokens in place of a user name and a password: leave {name} out");
                conflict(name, "sasl.mechanism", config, remedy)
            }
            None => Ok(Some(OAuthBearer::new().into())),
        };
    }
    let (Some(username), Some(password)) = (username, password) else {
        let missing = if username.is_none() { USERNAME } else { PASSWORD };
        let remedy = format!("the protocol is {protocol}, which needs {USERNAME} and {PASSWORD}: set both");
        return conflict(PROTOCOL, missing, config, remedy);
    };
    let mechanism = mechanism.unwrap_or(SaslMechanism::Plain);
    Sasl::new(mechanism, username, password.expose()).map(Some).or_else(|error| match error.credential() {
        Credential::Username => wrong(USERNAME, config, error.to_string()),
        Credential::Password => wrong(PASSWORD, config, error.to_string()),
        // Another credential has no setting here yet.
        _ => wrong("sasl.mechanism", config, error.to_string()),
    })
}

/// Returns an error if a setting that is set is in conflict with transactions.
fn reconcile_transactions(set: &ProducerConfig, config: &machine::MachineConfig) -> Result<(), ConfigError> {
    let other = if config.acks != Acks::All {
        "acks"
    } else if !config.enable_idempotence {
        IDEMPOTENCE
    } else if config.max_in_flight_requests_per_connection > 5 {
        MAX_IN_FLIGHT
    } else {
        return Ok(());
    };
    let remedy = "transactions need acks=all, idempotence, and at most 5 requests in flight";
    conflict(TRANSACTIONAL_ID, other, set, remedy)
}

/// Resolves conflicts between settings as the Java client does: a default is adapted, a value that was set is an error.
fn reconcile(set: &ProducerConfig, config: &mut machine::MachineConfig) -> Result<(), ConfigError> {
    if config.is_transactional() {
        reconcile_transactions(set, config)?;
    }
    let is_idempotence_wanted = set.enable_idempotence.is_some() && config.enable_idempotence;
    if is_idempotence_wanted && config.acks != Acks::All {
        return conflict(IDEMPOTENCE, "acks", set, "idempotence needs acks=all: set that, or disable idempotence");
    }
    if config.is_idempotent() && config.max_in_flight_requests_per_connection > 5 {
        if is_idempotence_wanted {
            let remedy = "idempotence allows 5 requests in flight at most: set that, or disable idempotence";
            return conflict(IDEMPOTENCE, MAX_IN_FLIGHT, set, remedy);
        }
        let most = config.max_in_flight_requests_per_connection;
        log::warn!(
            "{MAX_IN_FLIGHT}={most} is over 5, so {IDEMPOTENCE} is off: a retry may write a batch twice; set {MAX_IN_FLIGHT} to \
             5 or less to keep it, or set {IDEMPOTENCE}=false"
        );
        config.enable_idempotence = false;
    }
    if config.delivery_timeout < config.request_timeout {
        let [delivery, request] =
            [config.delivery_timeout, config.request_timeout].map(|timeout| timeout.as_millis().to_string());
        if set.delivery_timeout.is_some() {
            return Err(ConfigError::Conflict {
                setting: SettingValue::new(DELIVERY_TIMEOUT, delivery),
                other: SettingValue::new(REQUEST_TIMEOUT, request), // which may be the default
                remedy: "a batch needs the time of one request at least: raise the former, or lower the latter".into(),
            });
        }
        log::warn!(
            "{DELIVERY_TIMEOUT} is not set, and its default ({delivery}) is below {REQUEST_TIMEOUT} ({request}): {request} is \
             used; set it to choose another value"
        );
        config.delivery_timeout = config.request_timeout;
    }
    Ok(())
}
