//! Settings: from Kafka's names and words to what the machine and the batches are told.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use kafka_batch_core::producer::ProducerConfig;
use kafka_batch_core::protocol::Acks;
use kafka_batch_core::{BatchOptions, Compression};

use crate::error::ConfigError;
use crate::security::{self, shown};
use crate::wire::Security;

/// What was set, by Kafka name.
pub(crate) type Settings = BTreeMap<String, String>;

pub(crate) const BROKERS: &str = "bootstrap.servers";

/// Settings that are read together with others, after the rest.
const IN_COMPANY: [&str; 2] = ["compression.type", "compression.level"];

/// Settings that are read one by one.
const ALONE: [&str; 20] = [
    "client.id",
    "acks",
    "enable.idempotence",
    "max.in.flight.requests.per.connection",
    "request.timeout.ms",
    "delivery.timeout.ms",
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

/// Whether there is such a setting.
pub(crate) fn is_known(name: &str) -> bool {
    name == BROKERS || ALONE.contains(&name) || IN_COMPANY.contains(&name) || security::reads(name)
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
            "acks" => config.acks = setting.acks()?,
            "enable.idempotence" => config.enable_idempotence = setting.yes_or_no()?,
            "max.in.flight.requests.per.connection" => {
                config.max_in_flight_requests_per_connection = setting.number(1)?;
            }
            "request.timeout.ms" => config.request_timeout = setting.millis(1)?,
            "delivery.timeout.ms" => config.delivery_timeout = setting.millis(1)?,
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
            name if IN_COMPANY.contains(&name) || security::reads(name) => {}
            "linger.ms" => return setting.wrong("batches are sent when they are handed over: leave this setting out"),
            _ => {
                return setting.wrong("there is no such setting; the documentation of ProducerBuilder has all of them");
            }
        }
    }
    if let Some(compression) = compression(settings)? {
        options = options.compression(compression);
    }
    let (security, sasl) = security::read(settings)?;
    config.sasl = sasl;
    check_together(settings, &config)?;
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
        Err(ConfigError::Setting { setting: self.name.to_owned(), found, remedy: remedy.into() })
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
    let each = setting.found.split(',').map(str::trim).filter(|server| !server.is_empty());
    let servers = each.map(|server| match server_address(server) {
        Some(address) => Ok(address),
        None => setting.wrong(format!("{server:?} is not host:port, nor [IPv6 address]:port")),
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
    (!host.is_empty() && port != 0).then(|| (host.to_owned(), port))
}

fn compression(settings: &Settings) -> Result<Option<Compression>, ConfigError> {
    let level = Setting::of(settings, "compression.level").filter(|level| level.found.trim() != "-1");
    match (Setting::of(settings, "compression.type"), level) {
        (None, None) => Ok(None),
        (None, Some(level)) => level.wrong("say of which codec: set compression.type too"),
        (Some(codec), None) => codec.parsed().map(Some),
        (Some(codec), Some(level)) => {
            codec.parsed::<Compression>()?;
            let both = format!("{}:{}", codec.found.trim(), level.found.trim());
            both.parse()
                .map(Some)
                .or_else(|error: kafka_batch_core::ParseCompressionError| level.wrong(error.to_string()))
        }
    }
}

/// Where settings that are fine by themselves are not fine together: as the Java client has it.
fn check_together(settings: &Settings, config: &ProducerConfig) -> Result<(), ConfigError> {
    let wrong = |what: String| Err(ConfigError::Together(what));
    let asked_for_idempotence = settings.contains_key("enable.idempotence") && config.enable_idempotence;
    if asked_for_idempotence && config.acks != Acks::All {
        return wrong("enable.idempotence=true needs acks=all".to_owned());
    }
    if asked_for_idempotence && config.max_in_flight_requests_per_connection > 5 {
        return wrong(
            "enable.idempotence=true allows max.in.flight.requests.per.connection to be 5 at most".to_owned(),
        );
    }
    if config.delivery_timeout < config.request_timeout {
        let (delivery, request) = (config.delivery_timeout.as_millis(), config.request_timeout.as_millis());
        return wrong(format!("delivery.timeout.ms={delivery} is less than request.timeout.ms={request}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_batch_core::Codec;
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
        for list in ["", " , ", "a:b", "a:70000", "a:0", ":9", "[::1", "[::1]9", "::1:9"] {
            let remedy = wrong(BROKERS, list);
            assert!(remedy.contains("host:port") || remedy.contains("localhost:9092"), "{remedy}");
        }
    }

    #[test]
    fn every_setting_of_the_table_is_read() {
        let (config, options) = given(&[
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
        ])
        .unwrap();
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
        assert!(wrong("linger.ms", "5").contains("leave this setting out"));
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
        let quarrels: [&[(&str, &str)]; 5] = [
            &[("enable.idempotence", "true"), ("acks", "1")],
            &[("enable.idempotence", "true"), ("max.in.flight.requests.per.connection", "6")],
            &[("delivery.timeout.ms", "1000")],
            &[("security.protocol", "sasl_plaintext"), ("sasl.username", "u")],
            &[("sasl.username", "u"), ("sasl.password", "p")],
        ];
        for settings in quarrels {
            assert!(matches!(given(settings), Err(ConfigError::Together(_))), "{settings:?}");
        }
        assert!(given(&[("acks", "1")]).is_ok(), "idempotence was not asked for");
    }

    #[test]
    fn a_codec_and_its_level() {
        let codec = |settings: &[(&str, &str)]| given(settings).map(|(_, options)| options);
        assert_eq!(codec(&[]).unwrap(), BatchOptions::default());
        let none = codec(&[("compression.type", "none"), ("compression.level", "-1")]).unwrap();
        assert_eq!(none, BatchOptions::default().compression(Compression::None));
        assert!(codec(&[("compression.level", "3")]).is_err());
        assert!(codec(&[("compression.type", "brotli")]).is_err());
        assert_eq!(Compression::None.codec(), Codec::None);
    }
}
