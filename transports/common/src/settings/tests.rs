mod measured;

use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use kafka_batch_core::machine::{self as machine, Sasl, SaslMechanism, SecurityProtocol};
use kafka_batch_core::protocol::Acks;

use super::table::{BROKERS, Initial, TABLE};
use super::*;

const SERVER: (&str, &str) = (BROKERS, "localhost:9092");
const USER: (&str, &str) = ("sasl.username", "u");
const PASSWORD: (&str, &str) = ("sasl.password", "hunter2");

/// Parses these settings alone.
fn alone(settings: &[(&str, &str)]) -> Result<ParsedConfig, ConfigError> {
    let settings = settings.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    parse(&settings, &ProducerConfig::default(), BatchOptions::default())
}

/// Parses these settings and an address, which they can override.
fn given(settings: &[(&str, &str)]) -> Result<ParsedConfig, ConfigError> {
    alone(&[&[SERVER], settings].concat())
}

fn machine(settings: &[(&str, &str)]) -> machine::MachineConfig {
    given(settings).unwrap().machine
}

#[track_caller]
fn wrong(settings: &[(&str, &str)]) -> String {
    given(settings).unwrap_err().to_string()
}

/// Returns the error of settings that are valid each by itself, but in conflict with each other.
#[track_caller]
fn conflict(settings: &[(&str, &str)]) -> String {
    match given(settings) {
        Err(ConfigError::Conflict(what)) => what,
        other => panic!("{settings:?}: {other:?}"),
    }
}

#[test]
fn every_setting_has_its_effect() {
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
        ("linger.ms", "17"),
        ("compression.type", "gzip"),
        ("compression.gzip.level", "9"),
        ("security.protocol", "SASL_SSL"),
        ("sasl.mechanism", "SCRAM-SHA-256"),
        ("sasl.username", "u"),
        ("sasl.password", "p"),
        ("ssl.ca.location", "a"),
        ("ssl.ca.pem", "b"),
        ("ssl.certificate.location", "c"),
        ("ssl.certificate.pem", "d"),
        ("ssl.key.location", "e"),
        ("ssl.key.pem", "f"),
        ("ssl.key.password", "g"),
        ("ssl.endpoint.identification.algorithm", "NONE"),
    ];
    // Of these there is one value, or they are tested with the codec.
    let others = [BROKERS, "retries", "compression.level", "compression.lz4.level", "compression.zstd.level"];
    for row in TABLE {
        assert!(settings.iter().any(|(name, _)| *name == row.name) != others.contains(&row.name), "{}", row.name);
    }
    let ParsedConfig { machine, options, linger, tls, brokers } = given(&settings).unwrap();
    let millis = Duration::from_millis;
    assert_eq!(machine.bootstrap_servers, [("localhost".to_owned(), 9092)]);
    assert_eq!((machine.client_id.as_str(), machine.acks, machine.enable_idempotence), ("me", Acks::Leader, false));
    assert_eq!(machine.max_in_flight_requests_per_connection, 2);
    assert_eq!((machine.request_timeout, machine.delivery_timeout), (millis(3), millis(4)));
    assert_eq!((machine.retry_backoff, machine.retry_backoff_max), (millis(5), millis(6)));
    assert_eq!((machine.reconnect_backoff, machine.reconnect_backoff_max), (millis(7), millis(8)));
    assert_eq!((machine.socket_connection_setup_timeout, machine.connections_max_idle), (millis(9), millis(10)));
    assert_eq!((machine.metadata_max_age, machine.metadata_max_idle), (millis(11), millis(16)));
    assert_eq!(machine.max_request_size, 12);
    assert_eq!((machine.buffer_memory, machine.receive_message_max_bytes), (13, 1_400));
    assert_eq!(machine.broker_version_fallback, "0.9".parse().ok());
    assert_eq!(machine.sasl, Sasl::new(SaslMechanism::ScramSha256, "u", "p").ok());
    let compression = "gzip:9".parse().unwrap();
    assert_eq!(options, BatchOptions::default().batch_size(15).compression(compression));
    assert_eq!((brokers.as_str(), linger), ("localhost:9092", millis(17)));
    let tls = tls.unwrap();
    let of_tls: Vec<_> = tls.settings().values().map(String::as_str).collect();
    assert_eq!(of_tls, ["a", "b", "c", "d", "none", "e", "g", "f"]);
    assert!(tls.settings().keys().all(|name| table::is_known(name)));
    let shown = format!("{tls:?}");
    assert!(shown.contains("ssl.key.pem") && !shown.contains("\"f\"") && !shown.contains("\"g\""), "{shown}");
}

#[test]
fn a_default_can_be_written_and_changes_nothing() {
    let nothing = format!("{:?}", given(&[]).unwrap());
    for row in TABLE {
        let Initial::Value(value) = row.described.default else { continue };
        let mut settings = vec![(row.name, value)];
        let needed: &[_] = match row.name {
            "sasl.mechanism" => &[("security.protocol", "sasl_plaintext"), USER, PASSWORD],
            name if name.starts_with("ssl.") => &[("security.protocol", "ssl"), ("ssl.ca.location", "ca.pem")],
            _ => &[],
        };
        settings.extend(needed);
        let (explicit, implicit) = (given(&settings).unwrap(), given(needed).unwrap());
        if row.name == "ssl.endpoint.identification.algorithm" {
            // The rest of TLS is not read here, and neither is this one's default.
            assert_eq!(explicit.tls.unwrap().settings().get(row.name).map(String::as_str), Some(value));
            continue;
        }
        assert_eq!(format!("{explicit:?}"), format!("{implicit:?}"), "{}", row.name);
        assert!(!needed.is_empty() || format!("{explicit:?}") == nothing, "{}", row.name);
    }
    let machine = machine(&[]);
    let expected = machine::MachineConfig::new([("localhost", 9092)]);
    assert_eq!(format!("{machine:?}"), format!("{expected:?}"));
}

#[test]
fn an_alias_is_the_same_setting() {
    for row in TABLE {
        for alias in row.aliases {
            assert!(table::is_known(alias));
            let value = match row.described.default {
                Initial::Value(value) => value,
                Initial::Described(_) if row.name == BROKERS => SERVER.1,
                Initial::Described(_) => "none", // of compression
            };
            let needed: &[_] = match row.name {
                BROKERS => &[],
                "sasl.mechanism" => &[SERVER, ("security.protocol", "sasl_plaintext"), USER, PASSWORD],
                _ => &[SERVER],
            };
            let by = |name| alone(&[needed, &[(name, value)]].concat()).unwrap();
            assert_eq!(format!("{:?}", by(alias)), format!("{:?}", by(row.name)), "{alias}");
            let both = alone(&[needed, &[(*alias, value), (row.name, value)]].concat());
            let Err(ConfigError::Conflict(what)) = both else { panic!("{alias}: {both:?}") };
            assert!(what.contains(alias) && what.contains(row.name) && what.contains("not both"), "{what}");
        }
    }
}

#[test]
fn a_protocol_before_an_address_is_the_security_protocol() {
    for (servers, has_tls, has_sasl) in [
        ("PLAINTEXT://a:1", false, false),
        ("ssl://a:1,b:2", true, false),
        ("a:1, Sasl_Plaintext://b:2", false, true),
        ("SASL_SSL://a:1,sasl_ssl://b:2", true, true),
    ] {
        let login: &[_] = if has_sasl { &[USER, PASSWORD] } else { &[] };
        let parsed = given(&[&[(BROKERS, servers)], login].concat()).unwrap();
        assert_eq!((parsed.tls.is_some(), parsed.machine.sasl.is_some()), (has_tls, has_sasl), "{servers}");
    }
    let what = conflict(&[(BROKERS, "SSL://a:1"), ("security.protocol", "sasl_ssl")]);
    assert!(what.contains("ssl://") && what.contains("security.protocol=sasl_ssl"), "{what}");
    let what = wrong(&[(BROKERS, "a:1,SSL://b:2,PLAINTEXT://c:3")]);
    assert!(what.contains("entry 3 has plaintext:// and an earlier one ssl://"), "{what}");
    let what = wrong(&[(BROKERS, "http://a:1")]);
    assert!(what.contains("entry 1") && what.contains("plaintext, ssl, sasl_plaintext or sasl_ssl"), "{what}");
    assert!(conflict(&[(BROKERS, "SASL_SSL://a:1")]).contains("security.protocol=sasl_ssl needs sasl.username"));
    assert!(conflict(&[(BROKERS, "SSL://a:1"), USER]).contains("sasl.username is used only with"));
}

#[test]
fn addresses_in_messages_and_for_the_resolver() {
    let parsed = given(&[(BROKERS, "b:9093, [fe80::1%1]:9092,[::1],b:9093,B:9093")]).unwrap();
    assert_eq!(parsed.brokers, "b:9093,[fe80::1%1]:9092,[::1]:9092");
    let (host, port) = &parsed.machine.bootstrap_servers[1];
    let resolved: Vec<_> = (host.as_str(), *port).to_socket_addrs().unwrap().collect();
    assert!(matches!(resolved[..], [SocketAddr::V6(address)] if address.scope_id() == 1), "{resolved:?}");
}

#[test]
fn errors_of_an_address_do_not_repeat_a_password() {
    for (servers, expected) in [
        ("", "such as \"localhost:9092\""),
        ("a:1,b:c", "entry 2 has no port from 1 to 65535"),
        ("a:0", "no port from 1"),
        ("a:65536", "no port from 1"),
        ("::1:9092", "write an IPv6 address as [address]:port"),
        ("[::1", "not host:port"),
        ("[::1]9092", "not host:port"),
        ("[fe80::1%]:9092", "neither an IP address nor a name between its brackets"),
        ("[]:9092", "neither an IP address nor a name"),
        ("user@b:9092", "write host:port without a login"),
    ] {
        let error = wrong(&[(BROKERS, servers)]);
        assert!(error.starts_with("bootstrap.servers = ") && error.contains(expected), "{servers}: {error}");
    }
    let Err(ConfigError::Setting { remedy, .. }) = given(&[(BROKERS, "bob:hunter2@b:1")]) else { panic!() };
    assert!(!remedy.contains("hunter2"), "{remedy}");
}

#[test]
fn some_numbers_mean_never() {
    for never in ["-1", "0", " 0 "] {
        assert_eq!(machine(&[("connections.max.idle.ms", never)]).connections_max_idle, Duration::MAX);
    }
    assert_eq!(machine(&[("delivery.timeout.ms", "0")]).delivery_timeout, Duration::MAX);
    assert!(wrong(&[("delivery.timeout.ms", "-1")]).contains("milliseconds from 1 to 2147483647, or 0 for never"));
}

#[test]
fn an_error_names_the_setting_its_value_and_what_is_accepted() {
    for (name, value, expected) in [
        ("acks", "2", "acks = \"2\": write all, -1, 1 or 0"),
        ("enable.idempotence", "on", "enable.idempotence = \"on\": write true, false, t, f, 1 or 0"),
        (
            "request.timeout.ms",
            "1s",
            "request.timeout.ms = \"1s\": write a whole number of milliseconds from 1 to 2147483647",
        ),
        ("buffer.memory", "-1", "buffer.memory = \"-1\": write a whole number of 1 or more"),
        ("linger.ms", "5.5", "linger.ms = \"5.5\": write a whole number of milliseconds of 0 or more"),
        ("retries", "0", "delivery.timeout.ms is their bound: write 2147483647 or leave this setting out"),
        ("linger", "5", "linger = \"(not shown)\": there is no such setting"),
        ("security.protocol", "tls", "write plaintext, ssl, sasl_plaintext or sasl_ssl"),
        ("sasl.mechanism", "GSSAPI", "write PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"),
        ("compression.type", "brotli", "write none, gzip, snappy, lz4 or zstd"),
        ("broker.version.fallback", "new", "write a version of Kafka, such as 0.9"),
        ("ssl.endpoint.identification.algorithm", "ldap", "write https, none or nothing"),
    ] {
        let error = wrong(&[(name, value)]);
        assert!(error.contains(expected), "{error}");
    }
    assert!(wrong(&[("client.id", &"x".repeat(40_000))]).contains("32767"));
}

#[test]
fn no_error_shows_a_possible_secret() {
    let jaas = "org.apache.kafka.common.security.plain.PlainLoginModule required password=\"hunter2\";";
    for unknown in ["sasl.jaas.config", "sasl.oauthbearer.client.secret", "sasl.oauthbearer.config", "sasl.passwords"] {
        let error = wrong(&[(unknown, jaas)]);
        assert!(error.contains("= \"(not shown)\": there is no such setting"), "{error}");
    }
    let scram = [("security.protocol", "SASL_PLAINTEXT"), ("sasl.mechanism", "SCRAM-SHA-256"), USER];
    let odd = wrong(&[&scram[..], &[("sasl.password", "hünter2")]].concat());
    assert!(odd.starts_with("sasl.password") && odd.contains("ASCII") && !odd.contains("nter2"), "{odd}");
    let shown = format!("{:?}", given(&[&scram[..], &[PASSWORD]].concat()).unwrap());
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn conflicting_settings_are_errors() {
    for (settings, expected) in [
        (&[("enable.idempotence", "1"), ("acks", "1")][..], "needs acks=all"),
        (&[("enable.idempotence", "t"), ("max.in.flight", "6")], "to be 5 at most"),
        (&[("delivery.timeout.ms", "1000")], "delivery.timeout.ms=1000 is less than request.timeout.ms=30000"),
        (&[("message.timeout.ms", "120000"), ("request.timeout.ms", "120001")], "is less than"),
        (&[("security.protocol", "sasl_plaintext"), USER], "needs sasl.username and sasl.password"),
        (&[USER, PASSWORD], "sasl.username is used only with security.protocol=sasl_plaintext or sasl_ssl"),
        (&[("ssl.ca.location", "ca.pem")], "ssl.ca.location is used only with security.protocol=ssl or sasl_ssl"),
    ] {
        let what = conflict(settings);
        assert!(what.contains(expected), "{what}");
    }
    assert!(
        wrong(&[("security.protocol", "sasl_plaintext"), ("sasl.username", ""), PASSWORD]).starts_with("sasl.username")
    );
}

#[test]
fn defaults_are_adapted_to_settings() {
    assert!(!machine(&[("acks", "1")]).is_idempotent());
    let most_in_flight = |most| machine(&[("max.in.flight.requests.per.connection", most)]);
    assert!(most_in_flight("5").is_idempotent());
    assert!(!most_in_flight("6").is_idempotent());
    assert_eq!(most_in_flight("6").max_in_flight_requests_per_connection, 6);
    let patient = machine(&[("request.timeout.ms", "200000")]);
    let seconds = Duration::from_secs;
    assert_eq!((patient.request_timeout, patient.delivery_timeout), (seconds(200), seconds(200)));
    assert_eq!(machine(&[("request.timeout.ms", "120000")]).delivery_timeout, seconds(120));
}

#[test]
fn an_empty_optional_value_is_not_set() {
    let nothing = format!("{:?}", given(&[]).unwrap());
    for name in ["ssl.ca.location", "ssl.certificate.pem", "ssl.key.location", "ssl.key.pem", "ssl.key.password"] {
        for blank in ["", "  "] {
            assert_eq!(format!("{:?}", given(&[(name, blank)]).unwrap()), nothing, "{name}");
        }
    }
}

#[test]
fn typed_values_are_the_same_as_those_by_name() {
    let by_name = given(&[
        ("client.id", "me"),
        ("acks", "1"),
        ("request.timeout.ms", "7000"),
        ("connections.max.idle.ms", "-1"),
        ("security.protocol", "sasl_ssl"),
        ("sasl.mechanism", "scram-sha-256"),
        USER,
        PASSWORD,
        ("ssl.ca.location", "ca.pem"),
        ("ssl.endpoint.identification.algorithm", "none"),
    ]);
    let typed = ProducerConfig::new([("localhost", 9092)])
        .client_id("me")
        .acks(Acks::Leader)
        .request_timeout(Duration::from_secs(7))
        .connections_max_idle(Duration::MAX)
        .security_protocol(SecurityProtocol::SaslSsl)
        .sasl_mechanism(SaslMechanism::ScramSha256)
        .sasl_username("u")
        .sasl_password("hunter2")
        .ssl_ca_location("ca.pem")
        .ssl_endpoint_identification(false);
    assert!(!format!("{typed:?}").contains("hunter2"), "{typed:?}");
    let with = |settings: &[(&str, &str)]| {
        let settings = settings.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        parse(&settings, &typed, BatchOptions::default())
    };
    let parsed = with(&[]).unwrap();
    assert_eq!(format!("{parsed:?}"), format!("{:?}", by_name.unwrap()));
    assert_eq!(parsed.tls.unwrap().settings()["ssl.endpoint.identification.algorithm"], "none");
    let machine = with(&[("acks", "all"), (BROKERS, "a:1")]).unwrap().machine;
    assert_eq!((machine.acks, &*machine.client_id), (Acks::All, "me"), "a setting by name takes precedence");
    assert_eq!(machine.bootstrap_servers, [("a".to_owned(), 1)]);
    assert!(matches!(with(&[(BROKERS, "SSL://a:1")]), Err(ConfigError::Conflict(_))));
}

#[test]
fn a_typed_value_out_of_range_is_an_error_like_one_by_name() {
    let config = || ProducerConfig::new([("localhost", 9092)]);
    let none: [(&str, u16); 0] = [];
    for (config, expected) in [
        (ProducerConfig::default(), "bootstrap.servers = \"\": say where"),
        (ProducerConfig::new(none), "bootstrap.servers = \"\": say where"),
        (ProducerConfig::new([("a b", 1)]), "bootstrap.servers = \"a b:1\": its entry 1"),
        (ProducerConfig::new([("a", 0)]), "bootstrap.servers = \"a:0\": its entry 1 has no port"),
        (config().client_id("x".repeat(40_000)), "32767"),
        (config().request_timeout(Duration::ZERO), "request.timeout.ms = \"0\": write"),
        (config().request_timeout(Duration::MAX), "request.timeout.ms = \"never\": write"),
        (config().request_timeout(Duration::from_micros(999)), "request.timeout.ms = \"0\": write"),
        (config().connections_max_idle(Duration::ZERO), "connections.max.idle.ms = \"0\": write"),
        (config().max_in_flight_requests_per_connection(0), "max.in.flight.requests.per.connection = \"0\""),
        (config().enable_idempotence(true).acks(Acks::None), "needs acks=all"),
        (config().delivery_timeout(Duration::from_millis(1)), "is less than request.timeout.ms"),
        (
            config().security_protocol(SecurityProtocol::SaslPlaintext).sasl_username("").sasl_password("p"),
            "sasl.username",
        ),
    ] {
        let error = parse(&Settings::new(), &config, BatchOptions::default()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let servers = [("::1", 1), ("fe80::1%eth0", 2), ("localhost", 3)];
    let parsed = parse(&Settings::new(), &ProducerConfig::new(servers), BatchOptions::default()).unwrap();
    assert_eq!(parsed.brokers, "[::1]:1,[fe80::1%eth0]:2,localhost:3");
}
