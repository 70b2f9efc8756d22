//! Typed settings: they have the same meaning, limits and errors as those by name.

use super::*;

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
    assert!(matches!(with(&[(BROKERS, "SSL://a:1")]), Err(ConfigError::Conflict { .. })));
}

#[test]
fn a_typed_value_out_of_range_is_an_error_like_one_by_name() {
    let config = || ProducerConfig::new([("localhost", 9092)]);
    let none: [(&str, u16); 0] = [];
    for (config, expected) in [
        (ProducerConfig::default(), "bootstrap.servers = \"\": say where"),
        (
            ProducerConfig::new(none),
            "bootstrap.servers = \"\": not accepted; pass ProducerConfig::new at least one address, such as \
             (\"localhost\", 9092)",
        ),
        (ProducerConfig::new([("a b", 1)]), "bootstrap.servers = \"a b:1\": its address 1 is neither a host name nor"),
        (ProducerConfig::new([("a", 0)]), "bootstrap.servers = \"a:0\": its address 1 has port 0"),
        (config().client_id("x".repeat(40_000)), "32767"),
        (
            config().request_timeout(Duration::ZERO),
            "request.timeout.ms = \"0ns\": not accepted; pass request_timeout a Duration of 1 ms to 2147483647 ms",
        ),
        (
            config().request_timeout(Duration::MAX),
            "request.timeout.ms = \"Duration::MAX\": not accepted; pass request_timeout",
        ),
        (config().request_timeout(Duration::from_micros(999)), "request.timeout.ms = \"999µs\": not accepted; pass"),
        (
            config().delivery_timeout(Duration::ZERO),
            "delivery.timeout.ms = \"0ns\": not accepted; pass delivery_timeout a Duration of 1 ms to \
             2147483647 ms, or Duration::MAX for never",
        ),
        (
            config().connections_max_idle(Duration::ZERO),
            "connections.max.idle.ms = \"0ns\": not accepted; pass connections_max_idle a Duration of 1 ms or more, or \
             Duration::MAX",
        ),
        (
            config().linger(Duration::MAX),
            "linger.ms = \"Duration::MAX\": not accepted; pass linger a Duration of 0 ms to 9223372036854775807 ms",
        ),
        (
            config().connections_max_idle(Duration::MAX - Duration::from_nanos(1)),
            "pass connections_max_idle a Duration of 1 ms to 9223372036854775807 ms, or Duration::MAX for never",
        ),
        (
            config().buffer_memory(usize::MAX),
            "not accepted; pass buffer_memory a whole number from 1 to 9223372036854775807",
        ),
        (
            config().max_in_flight_requests_per_connection(0),
            "max.in.flight.requests.per.connection = \"0\": not accepted; pass \
             max_in_flight_requests_per_connection a whole number from 1",
        ),
        (config().enable_idempotence(true).acks(Acks::None), "needs acks=all"),
        (
            config().delivery_timeout(Duration::from_millis(1)),
            "delivery.timeout.ms = \"1\", request.timeout.ms = \"30000\": ",
        ),
        (
            config().security_protocol(SecurityProtocol::SaslPlaintext).sasl_username("").sasl_password("p"),
            "sasl.username",
        ),
    ] {
        let error = parse(&Settings::new(), &config, BatchOptions::default()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let servers = [("::1", 1), ("fe80::1%eth0", 2), ("localhost", 3), (" LOCALHOST ", 3)];
    let parsed = parse(&Settings::new(), &ProducerConfig::new(servers), BatchOptions::default()).unwrap();
    assert_eq!(parsed.brokers, "[::1]:1,[fe80::1%eth0]:2,localhost:3", "a duplicate is ignored, as in a text");
}

#[test]
fn a_typed_address_is_one_host() {
    for host in ["a,b", "a:1", "SSL://a", "user@a", "[::1]", "", "::1,a"] {
        let config = ProducerConfig::new([("good", 9092), (host, 9092)]);
        let error = parse(&Settings::new(), &config, BatchOptions::default()).unwrap_err().to_string();
        assert!(
            error.contains("its address 2 is neither a host name nor an IP address: give each host alone"),
            "{error}"
        );
    }
}

/// What a text by name becomes, a typed value becomes too: without blank space around it, or not set at all if it is blank.
#[test]
fn blank_space_means_the_same_in_typed_values() {
    let typed = |change: fn(ProducerConfig) -> ProducerConfig| {
        let config = change(ProducerConfig::new([("localhost", 9092)]));
        parse(&Settings::new(), &config, BatchOptions::default()).map(|parsed| format!("{parsed:?}")).unwrap()
    };
    let named = |settings: &[(&str, &str)]| format!("{:?}", given(settings).unwrap());
    assert_eq!(typed(|config| config.client_id(" me ")), named(&[("client.id", " me ")]));
    assert_eq!(typed(|config| config.client_id(" me ")), named(&[("client.id", "me")]));
    assert_eq!(typed(|config| config.ssl_ca_location(" ").ssl_key_password("")), named(&[]));
    let tls = |change: fn(ProducerConfig) -> ProducerConfig| {
        let config = change(ProducerConfig::new([("localhost", 9092)]).security_protocol(SecurityProtocol::Ssl));
        parse(&Settings::new(), &config, BatchOptions::default()).unwrap().tls.unwrap().settings().clone()
    };
    let tls_named = |settings: &[_]| {
        given(&[&[("security.protocol", "ssl")], settings].concat()).unwrap().tls.unwrap().settings().clone()
    };
    let spaced = tls(|config| config.ssl_ca_location(" ca.pem ").ssl_key_pem(" k ").ssl_key_password(" p "));
    let by_name = [("ssl.ca.location", " ca.pem "), ("ssl.key.pem", " k "), ("ssl.key.password", " p ")];
    assert_eq!(spaced, tls_named(&by_name));
}

#[test]
fn typed_values_can_be_written_by_name() {
    let never = Duration::MAX;
    let typed = ProducerConfig::new([("a", 1), ("::1", 2)])
        .acks(Acks::Leader)
        .enable_idempotence(false)
        .delivery_timeout(never)
        .connections_max_idle(never)
        .request_timeout(Duration::from_secs(7))
        .client_id(" me ");
    let written = typed.to_settings().unwrap();
    assert_eq!(
        written,
        [
            ("bootstrap.servers", "a:1,[::1]:2"),
            ("client.id", "me"),
            ("acks", "1"),
            ("enable.idempotence", "false"),
            ("request.timeout.ms", "7000"),
            ("delivery.timeout.ms", "0"),
            ("connections.max.idle.ms", "0"),
        ]
        .map(|(name, value)| (name, value.to_owned()))
    );
    let settings: Settings = written.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let by_name = parse(&settings, &ProducerConfig::default(), BatchOptions::default()).unwrap();
    let parsed = parse(&Settings::new(), &typed, BatchOptions::default()).unwrap();
    assert_eq!(format!("{by_name:?}"), format!("{parsed:?}"));
    assert!(ProducerConfig::new([("a,b", 1)]).to_settings().is_err());
}
