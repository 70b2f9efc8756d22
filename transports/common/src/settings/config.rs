//! Combines settings, checks them against each other, and applies defaults.

use std::fmt;
use std::time::Duration;

use kafka_batch_core::BatchOptions;
use kafka_batch_core::machine::{self as machine, Credential, Sasl, SaslMechanism, SecurityProtocol};
use kafka_batch_core::protocol::Acks;

use super::forms::Form;
use super::servers::Addresses;
use super::table::{BROKERS, ProducerConfig};
use super::{Setting, Settings, codec, wrong};
use crate::error::ConfigError;
use crate::security::{
    CA_LOCATION, CA_PEM, CERTIFICATE_LOCATION, CERTIFICATE_PEM, IDENTIFICATION, KEY_LOCATION, KEY_PASSWORD, KEY_PEM,
};

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
    /// `None` without TLS.
    pub(crate) tls: Option<TlsConfig>,
    /// The addresses of `bootstrap.servers`, for error messages.
    pub(crate) brokers: String,
}

/// The settings of TLS, by their names in the table. The files that they name have not been read.
pub(crate) struct TlsConfig(Settings);

impl TlsConfig {
    #[cfg(any(feature = "tls", test))]
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
pub(super) fn complete(mut config: ProducerConfig, options: BatchOptions) -> Result<ParsedConfig, ConfigError> {
    let Some(servers) = config.bootstrap_servers.take() else {
        let missing = Addresses.parse("").expect_err("there is no address in it");
        return Setting { name: BROKERS, found: "" }.wrong(missing);
    };
    let protocol = protocol(config.security_protocol, servers.protocol)?;
    let sasl = sasl(&config, protocol)?;
    let options = match codec::compression(&config)? {
        Some(compression) => options.compression(compression),
        None => options,
    };
    let options = match config.batch_size {
        Some(size) => options.batch_size(size),
        None => options,
    };
    let tls = tls(&mut config, protocol)?;
    let brokers = servers.to_string();
    let linger = config.linger.unwrap_or_default();
    let mut machine = machine::MachineConfig::new(servers.addresses);
    machine.sasl = sasl;
    let is_set =
        IsSet { idempotence: config.enable_idempotence.is_some(), delivery: config.delivery_timeout.is_some() };
    apply(config, &mut machine);
    reconcile(&is_set, &mut machine)?;
    Ok(ParsedConfig { machine, options, linger, tls, brokers })
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
    set(&mut machine.max_request_size, config.max_request_size);
    set(&mut machine.buffer_memory, config.buffer_memory);
    set(&mut machine.receive_message_max_bytes, config.receive_message_max_bytes);
    machine.broker_version_fallback = config.broker_version_fallback;
}

/// Returns the protocol of `security.protocol` or, if it is not set, of the entries of `bootstrap.servers`. They must agree.
fn protocol(set: Option<SecurityProtocol>, named: Option<SecurityProtocol>) -> Result<SecurityProtocol, ConfigError> {
    match (set, named) {
        (Some(set), Some(named)) if set != named => Err(ConfigError::Conflict(format!(
            "{BROKERS} has {named}://, but {PROTOCOL}={set}: make them the same, or leave one of them out"
        ))),
        (set, named) => Ok(set.or(named).unwrap_or(SecurityProtocol::Plaintext)),
    }
}

/// Returns an error if any setting is set that is used only with other protocols.
fn unused(names: impl IntoIterator<Item = &'static str>, protocols: &str) -> Result<(), ConfigError> {
    match names.into_iter().next() {
        Some(name) => Err(ConfigError::Conflict(format!("{name} is used only with {PROTOCOL}={protocols}"))),
        None => Ok(()),
    }
}

fn tls(config: &mut ProducerConfig, protocol: SecurityProtocol) -> Result<Option<TlsConfig>, ConfigError> {
    let identification = config.ssl_endpoint_identification.take();
    let settings = [
        (CA_LOCATION, config.ssl_ca_location.take()),
        (CA_PEM, config.ssl_ca_pem.take()),
        (CERTIFICATE_LOCATION, config.ssl_certificate_location.take()),
        (CERTIFICATE_PEM, config.ssl_certificate_pem.take()),
        (KEY_LOCATION, config.ssl_key_location.take()),
        (KEY_PEM, config.ssl_key_pem.take().map(|key| key.expose().to_owned())),
        (KEY_PASSWORD, config.ssl_key_password.take().map(|password| password.expose().to_owned())),
        (IDENTIFICATION, identification.map(|verifies| if verifies { "https" } else { "none" }.to_owned())),
    ];
    let settings = settings.into_iter().filter_map(|(name, value)| value.map(|value| (name, value)));
    if protocol.has_tls() {
        return Ok(Some(TlsConfig(settings.map(|(name, value)| (name.to_owned(), value)).collect())));
    }
    unused(settings.map(|(name, _)| name), "ssl or sasl_ssl").map(|()| None)
}

fn sasl(config: &ProducerConfig, protocol: SecurityProtocol) -> Result<Option<Sasl>, ConfigError> {
    let ProducerConfig { sasl_mechanism: mechanism, sasl_username: username, sasl_password: password, .. } = config;
    if !protocol.has_sasl() {
        let set =
            [("sasl.mechanism", mechanism.is_some()), (USERNAME, username.is_some()), (PASSWORD, password.is_some())];
        let names = set.into_iter().filter_map(|(name, is_set)| is_set.then_some(name));
        return unused(names, "sasl_plaintext or sasl_ssl").map(|()| None);
    }
    let (Some(username), Some(password)) = (username, password) else {
        return Err(ConfigError::Conflict(format!("{PROTOCOL}={protocol} needs {USERNAME} and {PASSWORD}")));
    };
    let mechanism = mechanism.unwrap_or(SaslMechanism::Plain);
    Sasl::new(mechanism, username, password.expose()).map(Some).or_else(|error| match error.credential() {
        Credential::Username => wrong(USERNAME, config, error.to_string()),
        Credential::Password => wrong(PASSWORD, config, error.to_string()),
        // Another credential has no setting here yet.
        _ => Err(ConfigError::Conflict(format!("sasl.mechanism={mechanism}: {error}"))),
    })
}

/// Whether the settings are set whose defaults depend on other settings.
struct IsSet {
    idempotence: bool,
    delivery: bool,
}

/// Resolves conflicts between settings as the Java client does: a default is adapted, a value that was set is an error.
fn reconcile(is_set: &IsSet, config: &mut machine::MachineConfig) -> Result<(), ConfigError> {
    let wrong = |what: String| Err(ConfigError::Conflict(what));
    let is_idempotence_wanted = is_set.idempotence && config.enable_idempotence;
    if is_idempotence_wanted && config.acks != Acks::All {
        return wrong("enable.idempotence=true needs acks=all".to_owned());
    }
    if config.is_idempotent() && config.max_in_flight_requests_per_connection > 5 {
        if is_idempotence_wanted {
            return wrong(format!("enable.idempotence=true allows {MAX_IN_FLIGHT} to be 5 at most"));
        }
        log::warn!("{MAX_IN_FLIGHT} is over 5, so enable.idempotence is off: a retry may write a batch twice");
        config.enable_idempotence = false;
    }
    if config.delivery_timeout < config.request_timeout {
        let (delivery, request) = (config.delivery_timeout.as_millis(), config.request_timeout.as_millis());
        if is_set.delivery {
            return wrong(format!("{DELIVERY_TIMEOUT}={delivery} is less than {REQUEST_TIMEOUT}={request}"));
        }
        log::warn!("{DELIVERY_TIMEOUT} is raised to {request}, which is {REQUEST_TIMEOUT}");
        config.delivery_timeout = config.request_timeout;
    }
    Ok(())
}
