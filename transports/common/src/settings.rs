//! Settings: from Kafka's names and words to what the machine and the batches are told.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use kafka_batch_core::BatchOptions;
use kafka_batch_core::producer::ProducerConfig;
use kafka_batch_core::protocol::Acks;

use crate::codec;
use crate::error::ConfigError;
use crate::secrets::{shown, shown_name};
use crate::security;
use crate::wire::Security;

/// What was set, by Kafka name.
pub(crate) type Settings = BTreeMap<String, String>;

pub(crate) const BROKERS: &str = "bootstrap.servers";

const ACKS: &str = "acks";
const IDEMPOTENCE: &str = "enable.idempotence";
const MOST_IN_FLIGHT: &str = "max.in.flight.requests.per.connection";
const REQUEST_TIMEOUT: &str = "request.timeout.ms";
const DELIVERY_TIMEOUT: &str = "delivery.timeout.ms";

/// Settings that are read here.
const HERE: [&str; 22] = [
    BROKERS,
    "client.id",
    ACKS,
    IDEMPOTENCE,
    MOST_IN_FLIGHT,
    REQUEST_TIMEOUT,
    DELIVERY_TIMEOUT,
    "retries",
    "retry.backoff.ms",
    "retry.backoff.max.ms",
    "reconnect.backoff.ms",
    "reconnect.backoff.max.ms",
    "socket.connection.setup.timeout.ms",
    "connections.max.idle.ms",
    "metadata.max.age.ms",
    "metadata.max.idle.ms",
    "max.request.size",
    "buffer.memory",
    "receive.message.max.bytes",
    "broker.version.fallback",
    "batch.size",
    "linger.ms",
];

/// Every setting that there is.
fn names() -> impl Iterator<Item = &'static str> {
    HERE.into_iter().chain(codec::names()).chain(security::names())
}

pub(crate) fn is_known(name: &str) -> bool {
    names().any(|known| known == name)
}

/// What settings come to.
#[derive(Debug)]
pub(crate) struct Meaning {
    pub(crate) config: ProducerConfig,
    pub(crate) options: BatchOptions,
    pub(crate) security: Security,
}

pub(crate) fn read(settings: &Settings, options: BatchOptions) -> Result<Meaning, ConfigError> {
    let mut config = ProducerConfig::new(servers(settings)?);
    let mut options = options;
    for (name, found) in settings {
        let setting = Setting { name, found };
        match name.as_str() {
            BROKERS => {}
            "client.id" => config.client_id = setting.text(i16::MAX as usize)?,
            ACKS => config.acks = setting.acks()?,
            IDEMPOTENCE => config.enable_idempotence = setting.yes_or_no()?,
            MOST_IN_FLIGHT => {
                config.max_in_flight_requests_per_connection = setting.number(1)?;
            }
            REQUEST_TIMEOUT => config.request_timeout = setting.millis(1)?,
            DELIVERY_TIMEOUT => config.delivery_timeout = setting.millis(1)?,
            "retry.backoff.ms" => config.retry_backoff = setting.millis(0)?,
            "retry.backoff.max.ms" => config.retry_backoff_max = setting.millis(0)?,
            "reconnect.backoff.ms" => config.reconnect_backoff = setting.millis(0)?,
            "reconnect.backoff.max.ms" => config.reconnect_backoff_max = setting.millis(0)?,
            "socket.connection.setup.timeout.ms" => config.socket_connection_setup_timeout = setting.millis(1)?,
            "connections.max.idle.ms" => config.connections_max_idle = setting.millis(1)?,
            "metadata.max.age.ms" => config.metadata_max_age = setting.millis(1)?,
            "metadata.max.idle.ms" => config.metadata_max_idle = setting.millis(1)?,
            "max.request.size" => config.max_request_size = setting.number(1)?,
            "buffer.memory" => config.buffer_memory = setting.number(1)?,
            "receive.message.max.bytes" => config.frame_ceiling = setting.number(1_000)?,
            "broker.version.fallback" => config.broker_version_fallback = Some(setting.parsed()?),
            "batch.size" => options = options.batch_size(setting.number(0)?),
            "retries" => {
                setting.only("2147483647", "there is no count of retries, and delivery.timeout.ms is their bound")?;
            }
            "linger.ms" => {
                setting
                    .only("0", "batches are sent when they are handed over; RollingBatch and BatchStream can linger")?;
            }
            name if is_known(name) => {} // read together with others, below
            _ => {
                return setting.wrong("there is no such setting; the documentation of ProducerBuilder has all of them");
            }
        }
    }
    if let Some(compression) = codec::read(settings)? {
        options = options.compression(compression);
    }
    let (security, sasl) = security::read(settings)?;
    config.sasl = sasl;
    reconcile(settings, &mut config)?;
    Ok(Meaning { config, options, security })
}

/// One setting.
#[derive(Clone, Copy)]
pub(crate) struct Setting<'a> {
    pub(crate) name: &'a str,
    pub(crate) found: &'a str,
}

impl<'a> Setting<'a> {
    pub(crate) fn of(settings: &'a Settings, name: &'a str) -> Option<Self> {
        settings.get(name).map(|found| Self { name, found })
    }

    pub(crate) fn wrong<T>(self, remedy: impl Into<String>) -> Result<T, ConfigError> {
        let found = shown(self.name, self.found);
        let setting = shown_name(self.name, self.found).to_owned();
        Err(ConfigError::Setting { setting, found, remedy: remedy.into() })
    }

    fn text(self, longest: usize) -> Result<String, ConfigError> {
        if self.found.len() > longest {
            return self.wrong(format!("it has {} bytes, and {longest} is the most", self.found.len()));
        }
        Ok(self.found.to_owned())
    }

    fn number(self, least: usize) -> Result<usize, ConfigError> {
        match self.found.trim().parse() {
            Ok(number) if number >= least => Ok(number),
            _ => self.wrong(format!("write it as a whole number of {least} or more, in decimal digits")),
        }
    }

    fn millis(self, least: u32) -> Result<Duration, ConfigError> {
        match self.found.trim().parse::<u32>() {
            Ok(millis) if millis >= least => Ok(Duration::from_millis(millis.into())),
            _ => self.wrong(format!("write it as a whole number of milliseconds, from {least} to {}", u32::MAX)),
        }
    }

    /// What Kafka's default is, and nothing else can be had.
    fn only(self, value: &str, why: &str) -> Result<(), ConfigError> {
        if self.found.trim() == value {
            return Ok(());
        }
        self.wrong(format!("{why}: write {value} or leave this setting out"))
    }

    fn yes_or_no(self) -> Result<bool, ConfigError> {
        match self.found.trim().to_ascii_lowercase().as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => self.wrong("write true or false"),
        }
    }

    fn acks(self) -> Result<Acks, ConfigError> {
        match self.found.trim().to_ascii_lowercase().as_str() {
            "all" | "-1" => Ok(Acks::All),
            "1" => Ok(Acks::Leader),
            "0" => Ok(Acks::None),
            _ => self.wrong("write 0, 1 or all"),
        }
    }

    pub(crate) fn parsed<T: FromStr<Err: ToString>>(self) -> Result<T, ConfigError> {
        self.found.trim().parse().or_else(|error: T::Err| self.wrong(error.to_string()))
    }
}

fn servers(settings: &Settings) -> Result<Vec<(String, u16)>, ConfigError> {
    let setting = Setting::of(settings, BROKERS).unwrap_or(Setting { name: BROKERS, found: "" });
    if setting.found.contains('@') {
        return setting.wrong("write host:port without a login, which is in sasl.username and sasl.password");
    }
    let each = setting.found.split(',').map(str::trim).filter(|server| !server.is_empty());
    let servers = each.map(|server| match server_address(server) {
        Some(address) => Ok(address),
        None => setting.wrong(format!("{:?} is not host:port, nor [IPv6 address]:port", shown(BROKERS, server))),
    });
    let servers: Vec<_> = servers.collect::<Result<_, _>>()?;
    if servers.is_empty() {
        return setting.wrong("say where the brokers are, such as \"localhost:9092\"");
    }
    Ok(servers)
}

fn server_address(server: &str) -> Option<(String, u16)> {
    const DEFAULT_PORT: u16 = 9092;
    let (host, port) = match server.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
        }
        None => match server.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (server, None),
        },
    };
    let port = port.map_or(Some(DEFAULT_PORT), |port| port.parse().ok())?;
    (is_host(host) && port != 0).then(|| (host.to_owned(), port))
}

/// Whether a text can be the name or the address of a host (with its zone, perhaps). What cannot is some other value.
fn is_host(text: &str) -> bool {
    const LONGEST: usize = 255; // RFC 1035
    let is_of_hosts = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:%".contains(&byte);
    !text.is_empty() && text.len() <= LONGEST && text.bytes().all(is_of_hosts)
}

/// Where settings that are fine by themselves are not fine together: as the Java client has it, what was not set gives way,
/// and what was set is an error.
fn reconcile(settings: &Settings, config: &mut ProducerConfig) -> Result<(), ConfigError> {
    let is_set = |name| settings.contains_key(name);
    let wrong = |what: String| Err(ConfigError::Together(what));
    let is_idempotence_wanted = is_set(IDEMPOTENCE) && config.enable_idempotence;
    if is_idempotence_wanted && config.acks != Acks::All {
        return wrong("enable.idempotence=true needs acks=all".to_owned());
    }
    if config.is_idempotent() && config.max_in_flight_requests_per_connection > 5 {
        if is_idempotence_wanted {
            return wrong(format!("enable.idempotence=true allows {MOST_IN_FLIGHT} to be 5 at most"));
        }
        log::warn!("{MOST_IN_FLIGHT} is over 5, so enable.idempotence is off: a retry may write a batch twice");
        config.enable_idempotence = false;
    }
    if config.delivery_timeout < config.request_timeout {
        let (delivery, request) = (config.delivery_timeout.as_millis(), config.request_timeout.as_millis());
        if is_set(DELIVERY_TIMEOUT) {
            return wrong(format!("{DELIVERY_TIMEOUT}={delivery} is less than {REQUEST_TIMEOUT}={request}"));
        }
        log::warn!("{DELIVERY_TIMEOUT} is raised to {request}, which is {REQUEST_TIMEOUT}");
        config.delivery_timeout = config.request_timeout;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_batch_core::producer::{Sasl, SaslMechanism};

    fn given(settings: &[(&str, &str)]) -> Result<(ProducerConfig, BatchOptions), ConfigError> {
        let given = [(BROKERS, "localhost:9092")].iter().chain(settings);
        let given = given.map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        read(&given, BatchOptions::default()).map(|Meaning { config, options, .. }| (config, options))
    }

    #[track_caller]
    fn wrong(name: &str, value: &str) -> String {
        match given(&[(name, value)]) {
            Err(ConfigError::Setting { setting, found, remedy }) => {
                assert_eq!(setting, name);
                format!("{found}: {remedy}")
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn servers_come_in_a_list() {
        let servers = |list: &str| given(&[(BROKERS, list)]).unwrap().0.bootstrap_servers;
        assert_eq!(servers("a:1, b ,[::1]:7,"), [("a".into(), 1), ("b".into(), 9092), ("::1".into(), 7)]);
        for list in ["", " , ", "a:b", "a:70000", "a:0", ":9", "[::1", "[::1]9", "::1:9", "a b:9", "bob@a:9", "a/b"] {
            let remedy = wrong(BROKERS, list);
            assert!(remedy.contains("host:port") || remedy.contains("localhost:9092"), "{remedy}");
        }
    }

    #[test]
    fn every_setting_that_is_read_here_has_its_effect() {
        let settings = [
            ("client.id", "me"),
            ("acks", "1"),
            ("enable.idempotence", "false"),
            ("max.in.flight.requests.per.connection", "2"),
            ("request.timeout.ms", "3"),
            ("delivery.timeout.ms", "4"),
            ("retry.backoff.ms", "5"),
            ("retry.backoff.max.ms", "6"),
            ("reconnect.backoff.ms", "7"),
            ("reconnect.backoff.max.ms", "8"),
            ("socket.connection.setup.timeout.ms", "9"),
            ("connections.max.idle.ms", "10"),
            ("metadata.max.age.ms", "11"),
            ("metadata.max.idle.ms", "16"),
            ("max.request.size", "12"),
            ("buffer.memory", "13"),
            ("receive.message.max.bytes", "1400"),
            ("broker.version.fallback", "0.9"),
            ("batch.size", "15"),
            ("security.protocol", "SASL_PLAINTEXT"),
            ("sasl.mechanism", "SCRAM-SHA-256"),
            ("sasl.username", "u"),
            ("sasl.password", "p"),
        ];
        for name in HERE {
            let is_set = settings.iter().any(|(set, _)| *set == name);
            assert!(is_set || [BROKERS, "retries", "linger.ms"].contains(&name), "{name}");
        }
        let (config, options) = given(&settings).unwrap();
        let millis = Duration::from_millis;
        assert_eq!((config.client_id.as_str(), config.acks, config.enable_idempotence), ("me", Acks::Leader, false));
        assert_eq!(config.max_in_flight_requests_per_connection, 2);
        assert_eq!((config.request_timeout, config.delivery_timeout), (millis(3), millis(4)));
        assert_eq!((config.retry_backoff, config.retry_backoff_max), (millis(5), millis(6)));
        assert_eq!((config.reconnect_backoff, config.reconnect_backoff_max), (millis(7), millis(8)));
        assert_eq!((config.socket_connection_setup_timeout, config.connections_max_idle), (millis(9), millis(10)));
        assert_eq!((config.metadata_max_age, config.metadata_max_idle), (millis(11), millis(16)));
        assert_eq!(config.max_request_size, 12);
        assert_eq!((config.buffer_memory, config.frame_ceiling), (13, 1_400));
        assert!(config.broker_version_fallback.is_some());
        assert_eq!(config.sasl, Sasl::new(SaslMechanism::ScramSha256, "u", "p").ok());
        assert_eq!(options, BatchOptions::default().batch_size(15));
    }

    #[test]
    fn an_error_names_the_setting_what_was_found_and_what_to_do() {
        assert!(wrong("acks", "2").contains("0, 1 or all"));
        assert!(wrong("request.timeout.ms", "0").contains("milliseconds"));
        assert!(wrong("request.timeout.ms", "1s").starts_with("1s: "));
        assert!(wrong("buffer.memory", "-1").contains("whole number"));
        assert!(wrong("enable.idempotence", "on").contains("true or false"));
        assert!(wrong("linger.ms", "5").contains("RollingBatch and BatchStream can linger: write 0 or leave"));
        for retries in ["0", "3"] {
            assert!(wrong("retries", retries).contains("delivery.timeout.ms is their bound"));
        }
        assert!(wrong("linger", "5").contains("no such setting"));
        assert!(wrong("security.protocol", "tls").contains("sasl_ssl"));
        assert!(wrong("broker.version.fallback", "new").contains("new"));
        assert!(wrong("client.id", &"x".repeat(40_000)).contains("32767"));
    }

    #[test]
    fn no_error_shows_what_may_be_a_secret() {
        let jaas = "org.apache.kafka.common.security.plain.PlainLoginModule required password=\"hunter2\";";
        for unknown in
            ["sasl.jaas.config", "sasl.oauthbearer.client.secret", "sasl.oauthbearer.config", "sasl.passwords"]
        {
            let shown = wrong(unknown, jaas);
            assert!(shown.starts_with("(not shown): there is no such setting"), "{shown}");
        }
    }

    #[test]
    fn settings_that_quarrel() {
        let quarrels: [&[(&str, &str)]; 6] = [
            &[("enable.idempotence", "true"), ("acks", "1")],
            &[("enable.idempotence", "true"), ("max.in.flight.requests.per.connection", "6")],
            &[("delivery.timeout.ms", "1000")],
            &[("delivery.timeout.ms", "120000"), ("request.timeout.ms", "120001")],
            &[("security.protocol", "sasl_plaintext"), ("sasl.username", "u")],
            &[("sasl.username", "u"), ("sasl.password", "p")],
        ];
        for settings in quarrels {
            assert!(matches!(given(settings), Err(ConfigError::Together(_))), "{settings:?}");
        }
        assert!(given(&[("acks", "1")]).is_ok(), "idempotence was not asked for");
    }

    #[test]
    fn what_was_not_set_gives_way_to_what_was() {
        let config = |settings: &[_]| given(settings).unwrap().0;
        let most_in_flight = |most| config(&[(MOST_IN_FLIGHT, most)]);
        assert!(most_in_flight("5").is_idempotent());
        assert!(!most_in_flight("6").is_idempotent());
        assert_eq!(most_in_flight("6").max_in_flight_requests_per_connection, 6);
        let patient = config(&[(REQUEST_TIMEOUT, "200000")]);
        assert_eq!(
            (patient.request_timeout, patient.delivery_timeout),
            (Duration::from_secs(200), Duration::from_secs(200))
        );
        assert_eq!(config(&[(REQUEST_TIMEOUT, "120000")]).delivery_timeout, Duration::from_secs(120));
    }

    #[test]
    fn what_is_so_anyway_may_be_said() {
        let said = given(&[("linger.ms", "0"), ("retries", "2147483647")]).unwrap();
        assert_eq!(format!("{said:?}"), format!("{:?}", given(&[]).unwrap()));
    }

    /// The rows of the table in the documentation: names, and what is said of their defaults.
    fn table() -> Vec<(Vec<&'static str>, &'static str)> {
        let rows = include_str!("builder.rs").lines().filter_map(|line| line.strip_prefix("/// | `"));
        let cells = rows.map(|row| row.split(" | ").collect::<Vec<_>>());
        cells
            .map(|cells| (cells[0].split('`').step_by(2).filter(|name| !name.is_empty()).collect(), cells[1]))
            .collect()
    }

    #[test]
    fn the_table_has_every_setting_and_nothing_else() {
        let mut told: Vec<&str> = table().into_iter().flat_map(|(names, _)| names).collect();
        let mut known: Vec<&str> = names().collect();
        told.sort_unstable();
        known.sort_unstable();
        assert_eq!(told, known);
    }

    #[test]
    fn the_defaults_of_the_table_are_those_of_the_machine() {
        let config = given(&[]).unwrap().0;
        let millis = |duration: Duration| duration.as_millis() as usize;
        let expected = BTreeMap::from([
            (MOST_IN_FLIGHT, config.max_in_flight_requests_per_connection),
            (REQUEST_TIMEOUT, millis(config.request_timeout)),
            (DELIVERY_TIMEOUT, millis(config.delivery_timeout)),
            ("retries", i32::MAX as usize),
            ("retry.backoff.ms", millis(config.retry_backoff)),
            ("retry.backoff.max.ms", millis(config.retry_backoff_max)),
            ("reconnect.backoff.ms", millis(config.reconnect_backoff)),
            ("reconnect.backoff.max.ms", millis(config.reconnect_backoff_max)),
            ("socket.connection.setup.timeout.ms", millis(config.socket_connection_setup_timeout)),
            ("connections.max.idle.ms", millis(config.connections_max_idle)),
            ("metadata.max.age.ms", millis(config.metadata_max_age)),
            ("metadata.max.idle.ms", millis(config.metadata_max_idle)),
            ("max.request.size", config.max_request_size),
            ("buffer.memory", config.buffer_memory),
            ("receive.message.max.bytes", config.frame_ceiling),
            ("linger.ms", 0),
        ]);
        let mut told = BTreeMap::new();
        for (names, default) in table() {
            let defaults: Vec<Option<usize>> =
                default.split(", ").map(|number| number.replace(' ', "").parse().ok()).collect();
            if defaults.iter().all(Option::is_some) {
                assert_eq!(names.len(), defaults.len(), "{names:?}");
                told.extend(names.into_iter().zip(defaults.into_iter().flatten()));
            } else {
                assert!(names.iter().all(|name| !expected.contains_key(name)), "{names:?}: {default}");
            }
        }
        assert_eq!(told, expected);
        let words: BTreeMap<&str, &str> = table().into_iter().map(|(names, default)| (names[0], default)).collect();
        assert_eq!(words["client.id"].trim_matches('`'), config.client_id);
        for name in [ACKS, "security.protocol"] {
            let said = given(&[(name, words[name].trim_matches('`'))]).unwrap().0;
            assert_eq!(format!("{said:?}"), format!("{config:?}"), "{name}");
        }
        assert!(config.enable_idempotence && words[IDEMPOTENCE].starts_with("`true`"));
        assert!(config.broker_version_fallback.is_none() && words["broker.version.fallback"] == "none");
    }
}
