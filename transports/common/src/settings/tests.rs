mod measured;
mod typed;

use std::net::{SocketAddr, ToSocketAddrs};
use std::num::NonZeroU32;
use std::time::Duration;

use kafka_batch_core::machine::{self as machine, MetadataRecoveryStrategy, Sasl, SaslMechanism, SecurityProtocol};
use kafka_batch_core::protocol::Acks;

use super::table::{BROKERS, Initial, TABLE};
use super::*;
use crate::network_config::{AddressFamily, DnsLookup, SocketOptions};

const SERVER: (&str, &str) = (BROKERS, "localhost:9092");
const USER: (&str, &str) = ("sasl.username", "u");
const PASSWORD: (&str, &str) = ("sasl.password", "hunter2");

/// Parses these settings alone.
fn alone(settings: &[(&str, &str)]) -> Result<ParsedConfig, ConfigError> {
    let settings = settings.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    parse(&settings, &ProducerConfig::default(), BatchOptions::default())
}

/// Parses these settings and an address, which they can override.
pub(super) fn given(settings: &[(&str, &str)]) -> Result<ParsedConfig, ConfigError> {
    alone(&[&[SERVER], settings].concat())
}

fn machine(settings: &[(&str, &str)]) -> machine::MachineConfig {
    given(settings).unwrap().machine
}

#[track_caller]
pub(super) fn wrong(settings: &[(&str, &str)]) -> String {
    given(settings).unwrap_err().to_string()
}

/// Returns the error of settings that are valid each by itself, but in conflict with each other.
#[track_caller]
pub(super) fn conflict(settings: &[(&str, &str)]) -> String {
    match given(settings) {
        Err(error @ ConfigError::Conflict { .. }) => error.to_string(),
        other => panic!("{settings:?}: {other:?}"),
    }
}

#[test]
fn every_setting_has_its_effect() {
    let settings = [
        ("client.id", "me"),
        ("client.rack", "a"),
        ("partitioner.rack.aware", "True"),
        ("acks", "1"),
        ("enable.idempotence", "false"),
        ("enable.metrics.push", "false"),
        ("transaction.timeout.ms", "18"),
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
        ("metadata.recovery.strategy", "None"),
        ("metadata.recovery.rebootstrap.trigger.ms", "23"),
        ("max.produce.requests.per.second", "24"),
        ("max.request.size", "12"),
        ("buffer.memory", "13"),
        ("receive.message.max.bytes", "1400"),
        ("broker.version.fallback", "0.9"),
        ("client.dns.lookup", "use_all_dns_ips"),
        ("broker.address.family", "V6"),
        ("connection.attempt.delay.ms", "19"),
        ("socket.send.buffer.bytes", "20"),
        ("socket.receive.buffer.bytes", "21"),
        ("socket.tcp.user.timeout.ms", if cfg!(target_os = "linux") { "22" } else { "0" }),
        ("socks5.proxy", "proxy:1080"),
        ("socks5.proxy.username", "h"),
        ("socks5.proxy.password", "i"),
        ("batch.size", "15"),
        ("linger.ms", "17"),
        ("max.block.ms", "25"),
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
    // Of these there is one value, or they are tested with the codec, or in conflict with others.
    let others = [
        BROKERS,
        "transactional.id",
        "retries",
        "compression.level",
        "compression.lz4.level",
        "compression.zstd.level",
    ];
    for row in TABLE {
        assert!(settings.iter().any(|(name, _)| *name == row.name) != others.contains(&row.name), "{}", row.name);
    }
    let ParsedConfig { machine, options, linger, max_block, tls, network, rack, brokers } = given(&settings).unwrap();
    let millis = Duration::from_millis;
    assert_eq!(machine.bootstrap_servers, [("localhost".to_owned(), 9092)]);
    assert_eq!((machine.client_id.as_str(), machine.acks, machine.enable_idempotence), ("me", Acks::Leader, false));
    assert!(!machine.enable_metrics_push);
    assert_eq!(machine.max_in_flight_requests_per_connection, 2);
    assert_eq!((machine.transactional_id, machine.transaction_timeout), (None, millis(18)));
    assert_eq!((machine.request_timeout, machine.delivery_timeout), (millis(3), millis(4)));
    assert_eq!((machine.retry_backoff, machine.retry_backoff_max), (millis(5), millis(6)));
    assert_eq!((machine.reconnect_backoff, machine.reconnect_backoff_max), (millis(7), millis(8)));
    assert_eq!((machine.socket_connection_setup_timeout, machine.connections_max_idle), (millis(9), millis(10)));
    assert_eq!((machine.metadata_max_age, machine.metadata_max_idle), (millis(11), millis(16)));
    assert_eq!(machine.metadata_recovery_strategy, MetadataRecoveryStrategy::None);
    assert_eq!(machine.metadata_recovery_rebootstrap_trigger, millis(23));
    assert_eq!(machine.max_produce_requests_per_second.map(NonZeroU32::get), Some(24));
    assert_eq!(machine.max_request_size, 12);
    assert_eq!((machine.buffer_memory, machine.receive_message_max_bytes), (13, 1_400));
    assert_eq!(machine.broker_version_fallback, "0.9".parse().ok());
    assert_eq!(machine.sasl, Sasl::new(SaslMechanism::ScramSha256, "u", "p").ok());
    let compression = "gzip:9".parse().unwrap();
    assert_eq!(options, BatchOptions::default().batch_size(15).compression(compression));
    assert_eq!((brokers.as_str(), linger, max_block), ("localhost:9092", millis(17), Some(millis(25))));
    let SocketOptions { send_buffer, receive_buffer, tcp_user_timeout } = network.socket;
    assert_eq!((network.dns_lookup, network.family), (DnsLookup::UseAllDnsIps, AddressFamily::V6));
    assert_eq!((network.attempt_delay, send_buffer, receive_buffer), (millis(19), Some(20), Some(21)));
    assert_eq!(tcp_user_timeout, cfg!(target_os = "linux").then_some(millis(22)));
    assert_eq!(
        network.proxy.map(|proxy| (proxy.address(), proxy.login.is_some())),
        Some(("proxy:1080".to_owned(), true))
    );
    assert_eq!(rack.as_deref(), Some("a"));
    let tls = tls.unwrap();
    let of_tls: Vec<_> = tls.settings().values().map(String::as_str).collect();
    assert_eq!(of_tls, ["a", "b", "c", "d", "none", "e", "g", "f"]);
    assert!(tls.settings().keys().all(|name| table::is_known(name)));
    let shown = format!("{tls:?}");
    assert!(shown.contains("ssl.key.pem") && !shown.contains("\"f\"") && !shown.contains("\"g\""), "{shown}");
}

#[test]
fn transactions_need_what_makes_a_producer_idempotent() {
    let id = ("transactional.id", "orders-7");
    let machine = given(&[id, ("max.in.flight.requests.per.connection", "5"), ("acks", "all")]).unwrap().machine;
    assert_eq!(machine.transactional_id.as_deref(), Some("orders-7"));
    assert!(machine.is_transactional() && machine.is_idempotent());
    for other in [("acks", "1"), ("enable.idempotence", "false"), ("max.in.flight.requests.per.connection", "6")] {
        let error = conflict(&[id, other]);
        assert!(error.contains(other.0) && error.contains("transactional.id"), "{error}");
    }
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
            let Err(ConfigError::Conflict { setting, other, remedy }) = both else { panic!("{alias}: {both:?}") };
            let mut names = [setting.setting.as_str(), &other.setting];
            names.sort_unstable();
            let mut expected = [*alias, row.name];
            expected.sort_unstable();
            assert_eq!((names, setting.found), (expected, other.found), "{alias}");
            assert!(remedy.contains("not both"), "{remedy}");
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
    assert_eq!(
        what,
        "bootstrap.servers = \"a:1\", security.protocol = \"sasl_ssl\": the addresses have ssl://: make the protocols the \
         same, or leave one of them out"
    );
    let what = wrong(&[(BROKERS, "a:1,SSL://b:2,PLAINTEXT://c:3")]);
    assert!(what.contains("entry 3 has plaintext:// and an earlier one ssl://"), "{what}");
    let what = wrong(&[(BROKERS, "http://a:1")]);
    assert!(what.contains("entry 1") && what.contains("plaintext, ssl, sasl_plaintext or sasl_ssl"), "{what}");
    let what = conflict(&[(BROKERS, "SASL_SSL://a:1")]);
    let expected = "security.protocol (not set), sasl.username (not set): the protocol is sasl_ssl, which needs \
                    sasl.username and sasl.password: set both";
    assert_eq!(what, expected);
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
    let Err(ConfigError::Setting { reason, .. }) = given(&[(BROKERS, "bob:hunter2@b:1")]) else { panic!() };
    assert!(!reason.to_string().contains("hunter2"), "{reason}");
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
        ("acks", "2", "acks = \"2\": not accepted; write all, -1, 1 or 0"),
        ("enable.idempotence", "on", "enable.idempotence = \"on\": not accepted; write true, false, t, f, 1 or 0"),
        (
            "request.timeout.ms",
            "1s",
            "request.timeout.ms = \"1s\": not accepted; write a whole number of milliseconds from 1 to 2147483647",
        ),
        ("buffer.memory", "-1", "buffer.memory = \"-1\": not accepted; write a whole number of 1 or more"),
        ("linger.ms", "5.5", "linger.ms = \"5.5\": not accepted; write a whole number of milliseconds of 0 or more"),
        ("buffer.memory", "9223372036854775808", "not accepted; write a whole number from 1 to 9223372036854775807"),
        (
            "linger.ms",
            "99999999999999999999",
            "not accepted; write a whole number of milliseconds from 0 to 9223372036854775807",
        ),
        (
            "connections.max.idle.ms",
            "9223372036854775808",
            "write a whole number of milliseconds from 1 to 9223372036854775807, or -1 or 0 for never",
        ),
        ("retries", "0", "delivery.timeout.ms is their bound: write 2147483647 or leave this setting out"),
        ("linger", "5", "there is no setting \"linger\"; did you mean \"linger.ms\"?"),
        ("security.protocol", "tls", "write plaintext, ssl, sasl_plaintext or sasl_ssl"),
        ("sasl.mechanism", "DIGEST-MD5", "write PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER"),
        (
            "sasl.mechanisms",
            " gssapi",
            "sasl.mechanisms = \" gssapi\": Kerberos (GSSAPI) is supported over librdkafka only",
        ),
        ("sasl.mechanism", "GSSAPI", "enable the feature `gssapi`, or `gssapi-vendored`, of the crate rdkafka"),
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
        assert!(
            error.starts_with(&format!("there is no setting {unknown:?}")) && !error.contains("hunter2"),
            "{error}"
        );
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
        (&[("enable.idempotence", "1"), ("acks", "1")][..], "enable.idempotence = \"true\", acks = \"1\": "),
        (
            &[("enable.idempotence", "t"), ("max.in.flight", "6")],
            "enable.idempotence = \"true\", max.in.flight.requests.per.connection = \"6\": ",
        ),
        (
            &[("partitioner.rack.aware", "true")],
            "partitioner.rack.aware = \"true\", client.rack (not set): set the rack",
        ),
        (&[("delivery.timeout.ms", "1000")], "delivery.timeout.ms = \"1000\", request.timeout.ms = \"30000\": "),
        (
            &[("message.timeout.ms", "120000"), ("request.timeout.ms", "120001")],
            "delivery.timeout.ms = \"120000\", request.timeout.ms = \"120001\": ",
        ),
        (
            &[("security.protocol", "sasl_plaintext"), USER],
            "security.protocol = \"sasl_plaintext\", sasl.password (not set): ",
        ),
        (
            &[USER, PASSWORD],
            "sasl.username = \"u\", security.protocol (not set): sasl.username is used only with sasl_plaintext or sasl_ssl",
        ),
        (
            &[("security.protocol", "sasl_plaintext"), ("sasl.mechanism", "OAUTHBEARER"), PASSWORD],
            "sasl.password = \"(not shown)\", sasl.mechanism = \"OAUTHBEARER\": OAUTHBEARER has tokens",
        ),
        (
            &[("ssl.ca.location", "ca.pem")],
            "ssl.ca.location = \"ca.pem\", security.protocol (not set): ssl.ca.location is used only with ssl or sasl_ssl",
        ),
        (
            &[("ssl.key.password", "hunter2")],
            "ssl.key.password = \"(not shown)\", security.protocol (not set): ssl.key.password is used only with ssl",
        ),
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
fn a_similar_name_is_suggested() {
    for (unknown, expected) in [
        ("linger", Some("linger.ms")),
        ("Acks", Some("acks")),
        ("batch_size", Some("batch.size")),
        ("delivery.timeout", Some("delivery.timeout.ms")),
        ("bootstrap.server", Some("bootstrap.servers")),
        ("bootstrap-servers", Some("bootstrap.servers")),
        ("sasl.pasword", Some("sasl.password")),
        ("enable.idempotance", Some("enable.idempotence")),
        ("compression", Some("compression.type")),
        ("group.id", None),
        ("auto.offset.reset", None),
        ("hunter2", None),
        ("", None),
    ] {
        assert_eq!(similar_setting(unknown), expected, "{unknown}");
        let Err(ConfigError::UnknownSetting { setting, similar }) = given(&[(unknown, "x")]) else {
            panic!("{unknown}")
        };
        assert_eq!((setting.as_str(), similar), (unknown, expected));
    }
}

/// The text of an error names its setting once, and repeats neither the value nor a part of itself.
#[test]
fn no_error_repeats_itself() {
    let mut errors: Vec<String> = Vec::new();
    for row in TABLE {
        for value in ["", "x y", "-7", "99999999999999999999", "lz4:1"] {
            errors.extend(given(&[(row.name, value)]).err().map(|error| error.to_string()));
        }
    }
    let codecs = [("gzip", "99"), ("lz4", "3"), ("zstd", "77"), ("none", "1"), ("snappy", "1")];
    for (codec, level) in codecs {
        let settings = [("compression.type", codec), ("compression.level", level)];
        errors.push(given(&settings).unwrap_err().to_string());
    }
    assert!(errors.len() > 60, "{}", errors.len());
    for error in errors {
        let mut parts: Vec<_> = error.split([':', ';', '=']).map(str::trim).filter(|part| part.len() > 3).collect();
        parts.sort_unstable();
        assert!(parts.windows(2).all(|pair| pair[0] != pair[1]), "{error}");
        assert!(!error.contains("compression \""), "{error}");
    }
}
