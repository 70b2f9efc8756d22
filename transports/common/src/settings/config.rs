//! What settings come to together.

use std::fmt;

use kafka_batch_core::BatchOptions;
use kafka_batch_core::producer::{Credential, ProducerConfig, Sasl, SaslMechanism};
use kafka_batch_core::protocol::Acks;

use super::forms::Form;
use super::servers::{Addresses, SecurityProtocol};
use super::table::TypedSettings;
use super::{BROKERS, Given, Setting, Settings, codec};
use crate::error::ConfigError;
use crate::security::{
    CA_LOCATION, CA_PEM, CERTIFICATE_LOCATION, CERTIFICATE_PEM, IDENTIFICATION, KEY_LOCATION, KEY_PASSWORD, KEY_PEM,
};

const IDEMPOTENCE: &str = "enable.idempotence";
const MAX_IN_FLIGHT: &str = "max.in.flight.requests.per.connection";
const REQUEST_TIMEOUT: &str = "request.timeout.ms";
const DELIVERY_TIMEOUT: &str = "delivery.timeout.ms";
const PROTOCOL: &str = "security.protocol";
const USERNAME: &str = "sasl.username";
const PASSWORD: &str = "sasl.password";

/// Settings of a login, which are errors without one.
const OF_SASL: [&str; 3] = ["sasl.mechanism", USERNAME, PASSWORD];

/// Everything that settings say, as plain values. No file has been read for it.
#[derive(Debug)]
pub(crate) struct ParsedConfig {
    pub(crate) machine: ProducerConfig,
    pub(crate) options: BatchOptions,
    /// `None` without TLS.
    pub(crate) tls: Option<TlsConfig>,
    /// The addresses of `bootstrap.servers`, for people to read.
    pub(crate) brokers: String,
}

/// The settings of TLS, by their names in the table. Names of files are not yet looked at.
pub(crate) struct TlsConfig(Settings);

impl TlsConfig {
    #[cfg(any(feature = "tls", test))]
    pub(crate) const fn settings(&self) -> &Settings {
        &self.0
    }
}

/// Names alone: among the values are a key and its password.
impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

pub(super) fn complete(
    mut typed: TypedSettings,
    given: &Given<'_>,
    options: BatchOptions,
) -> Result<ParsedConfig, ConfigError> {
    let Some(servers) = typed.bootstrap_servers.take() else {
        let missing = Addresses.parse("").expect_err("there is no address in it");
        return Setting { name: BROKERS, found: "" }.wrong(missing);
    };
    let protocol = protocol(typed.security_protocol, servers.protocol)?;
    let tls = tls(&mut typed, protocol)?;
    let sasl = sasl(&mut typed, given, protocol)?;
    let options = match codec::compression(&typed, given)? {
        Some(compression) => options.compression(compression),
        None => options,
    };
    let options = match typed.batch_size {
        Some(size) => options.batch_size(size),
        None => options,
    };
    let brokers = servers.to_string();
    let mut machine = ProducerConfig { sasl, ..ProducerConfig::new(servers.addresses) };
    apply(typed, &mut machine);
    reconcile(given, &mut machine)?;
    Ok(ParsedConfig { machine, options, tls, brokers })
}

/// Puts in place of defaults what was set.
fn apply(typed: TypedSettings, machine: &mut ProducerConfig) {
    fn set<T>(to: &mut T, value: Option<T>) {
        if let Some(value) = value {
            *to = value;
        }
    }
    set(&mut machine.client_id, typed.client_id);
    set(&mut machine.acks, typed.acks);
    set(&mut machine.enable_idempotence, typed.enable_idempotence);
    set(&mut machine.max_in_flight_requests_per_connection, typed.max_in_flight);
    set(&mut machine.request_timeout, typed.request_timeout);
    set(&mut machine.delivery_timeout, typed.delivery_timeout);
    set(&mut machine.retry_backoff, typed.retry_backoff);
    set(&mut machine.retry_backoff_max, typed.retry_backoff_max);
    set(&mut machine.reconnect_backoff, typed.reconnect_backoff);
    set(&mut machine.reconnect_backoff_max, typed.reconnect_backoff_max);
    set(&mut machine.socket_connection_setup_timeout, typed.socket_connection_setup_timeout);
    set(&mut machine.connections_max_idle, typed.connections_max_idle);
    set(&mut machine.metadata_max_age, typed.metadata_max_age);
    set(&mut machine.metadata_max_idle, typed.metadata_max_idle);
    set(&mut machine.max_request_size, typed.max_request_size);
    set(&mut machine.buffer_memory, typed.buffer_memory);
    set(&mut machine.frame_ceiling, typed.frame_ceiling);
    machine.broker_version_fallback = typed.broker_version_fallback;
}

/// The protocol that was set, and the one that entries of `bootstrap.servers` name: one of them is enough.
fn protocol(set: Option<SecurityProtocol>, named: Option<SecurityProtocol>) -> Result<SecurityProtocol, ConfigError> {
    match (set, named) {
        (Some(set), Some(named)) if set != named => Err(ConfigError::Together(format!(
            "{BROKERS} says {named}://, and {PROTOCOL}={set}: make them the same, or leave one of them out"
        ))),
        (set, named) => Ok(set.or(named).unwrap_or(SecurityProtocol::Plaintext)),
    }
}

fn unused(names: impl IntoIterator<Item = &'static str>, protocols: &str) -> Result<(), ConfigError> {
    match names.into_iter().next() {
        Some(name) => Err(ConfigError::Together(format!("{name} is used only with {PROTOCOL}={protocols}"))),
        None => Ok(()),
    }
}

fn tls(typed: &mut TypedSettings, protocol: SecurityProtocol) -> Result<Option<TlsConfig>, ConfigError> {
    let identification = typed.ssl_endpoint_identification.take();
    let settings = [
        (CA_LOCATION, typed.ssl_ca_location.take()),
        (CA_PEM, typed.ssl_ca_pem.take()),
        (CERTIFICATE_LOCATION, typed.ssl_certificate_location.take()),
        (CERTIFICATE_PEM, typed.ssl_certificate_pem.take()),
        (KEY_LOCATION, typed.ssl_key_location.take()),
        (KEY_PEM, typed.ssl_key_pem.take().map(|key| key.0)),
        (KEY_PASSWORD, typed.ssl_key_password.take().map(|password| password.0)),
        (IDENTIFICATION, identification.map(|verifies| if verifies { "https" } else { "none" }.to_owned())),
    ];
    let settings = settings.into_iter().filter_map(|(name, value)| value.map(|value| (name, value)));
    if protocol.has_tls() {
        return Ok(Some(TlsConfig(settings.map(|(name, value)| (name.to_owned(), value)).collect())));
    }
    unused(settings.map(|(name, _)| name), "ssl or sasl_ssl").map(|()| None)
}

fn sasl(typed: &mut TypedSettings, given: &Given<'_>, protocol: SecurityProtocol) -> Result<Option<Sasl>, ConfigError> {
    if !protocol.has_sasl() {
        let names = OF_SASL.into_iter().filter(|name| given.contains_key(name));
        return unused(names, "sasl_plaintext or sasl_ssl").map(|()| None);
    }
    let mechanism = typed.sasl_mechanism.unwrap_or(SaslMechanism::Plain);
    let (Some(username), Some(password)) = (typed.sasl_username.take(), typed.sasl_password.take()) else {
        return Err(ConfigError::Together(format!("{PROTOCOL}={protocol} needs {USERNAME} and {PASSWORD}")));
    };
    Sasl::new(mechanism, username, password.0).map(Some).or_else(|error| {
        let name = match error.credential() {
            Credential::Username => USERNAME,
            Credential::Password => PASSWORD,
        };
        given[name].wrong(error.to_string())
    })
}

/// Where settings that are fine by themselves are not fine together: as in Java's client, what was not set gives way, and
/// what was set is an error.
fn reconcile(given: &Given<'_>, config: &mut ProducerConfig) -> Result<(), ConfigError> {
    let wrong = |what: String| Err(ConfigError::Together(what));
    let is_idempotence_wanted = given.contains_key(IDEMPOTENCE) && config.enable_idempotence;
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
        if given.contains_key(DELIVERY_TIMEOUT) {
            return wrong(format!("{DELIVERY_TIMEOUT}={delivery} is less than {REQUEST_TIMEOUT}={request}"));
        }
        log::warn!("{DELIVERY_TIMEOUT} is raised to {request}, which is {REQUEST_TIMEOUT}");
        config.delivery_timeout = config.request_timeout;
    }
    Ok(())
}
