//! TLS and SASL with real brokers, over each transport over the machine: an accepted client publishes, and its records
//! are read back; a rejected one gets an error with the reason, without a delay.
//!
//! Run with `cargo witnesses --test security -- --ignored`. It starts Kafka 4 and 3.9, and creates certificates and users.

#[path = "security/broker.rs"]
mod broker;
#[path = "security/certificates.rs"]
mod certificates;
#[path = "security/oauth.rs"]
mod oauth;
#[path = "security/proxy.rs"]
mod proxy;
#[path = "security/subject.rs"]
mod subject;

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use broker::{PASSWORD, PLAIN_USER, Secured, USER};
use kafka_batch::{BatchOptions, KafkaBatch, Publish, Record, SendErrorReason, TopicPartition, Transport};
use kafka_batch_log_capture as log_capture;
use subject::{AsyncStd, Smol, Subject, Tokio};

/// Each case, with both releases and under each runtime.
macro_rules! cases {
    ($($case:ident)*) => {
        cases! { @release kafka_4 "4" $($case)* }
        cases! { @release kafka_3_9 "3.9" $($case)* }
    };
    (@release $place:ident $release:literal $($case:ident)*) => {
        mod $place {
            static BROKER: std::sync::OnceLock<crate::broker::Secured> = std::sync::OnceLock::new();

            fn broker() -> &'static crate::broker::Secured {
                BROKER.get_or_init(|| crate::broker::Secured::start($release))
            }

            $(mod $case {
                #[test]
                #[ignore = "starts real brokers"]
                fn over_tokio() {
                    crate::$case::<crate::Tokio>(super::broker());
                }

                #[test]
                #[ignore = "starts real brokers"]
                fn over_async_std() {
                    crate::$case::<crate::AsyncStd>(super::broker());
                }

                #[test]
                #[ignore = "starts real brokers"]
                fn over_smol() {
                    crate::$case::<crate::Smol>(super::broker());
                }
            })*
        }
    };
}

cases! {
    accepted_clients_publish
    files_are_read_like_texts
    files_may_be_replaced_while_the_producer_runs
    texts_in_one_line_are_read_and_a_broker_s_own_certificate_is_trusted
    an_invalid_password_or_mechanism_is_rejected_at_once
    nothing_is_sent_to_a_broker_that_is_not_trusted
    a_missing_certificate_is_reported
    different_security_protocols_are_detected
    expired_sessions_are_renewed_without_errors
}

type Settings<'s> = Vec<(&'s str, &'s str)>;

/// Returns each listener, with the settings that it requires.
fn listeners(broker: &Secured) -> Vec<(&'static str, Settings<'_>)> {
    let mut ways = vec![("TLS", broker.over_tls()), ("MUTUAL", broker.with_client_certificate())];
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        ways.push(("SASL", with_password("sasl_plaintext", mechanism, PASSWORD)));
        let within_tls = [broker.over_tls(), with_password("sasl_ssl", mechanism, PASSWORD)].concat();
        ways.push(("SASLTLS", within_tls));
    }
    ways
}

fn with_password<'s>(protocol: &'s str, mechanism: &'s str, password: &'s str) -> Settings<'s> {
    let user = if mechanism == "PLAIN" { PLAIN_USER } else { USER };
    vec![
        ("security.protocol", protocol),
        ("sasl.mechanism", mechanism),
        ("sasl.username", user),
        ("sasl.password", password),
    ]
}

/// Returns a batch of these values.
fn batch(values: &[String]) -> KafkaBatch {
    let mut batch = BatchOptions::default().batch_size(1 << 20).build(1_700_000_000_000).unwrap();
    batch.extend(values.iter().map(Record::new)).unwrap();
    batch
}

fn accepted_clients_publish<S: Subject>(broker: &Secured) {
    for (way, (listener, settings)) in listeners(broker).into_iter().enumerate() {
        let topic = broker.topic();
        let large = (0..200).map(|number| format!("{number:0>4000}")).collect::<Vec<_>>();
        let values = [vec![format!("first, {way}")], large, vec!["last".to_owned()]];
        S::block_on(async {
            let producer = S::create(broker.address(listener), &settings);
            let mut pending = Vec::new();
            for values in &values {
                let to = TopicPartition::new(&topic, 0);
                pending.push(producer.send_batch(batch(values), to).await.unwrap());
            }
            let mut offset = 0;
            for (pending, values) in pending.into_iter().zip(&values) {
                assert_eq!(pending.await.unwrap().base_offset(), Some(offset), "{listener} with {settings:?}");
                offset += values.len() as i64;
            }
            producer.close().await.unwrap();
        });
        assert!(broker.read(&topic) == values.concat(), "{listener} with {settings:?}");
    }
}

/// The settings of a client with a certificate, from files.
fn mutual<'a>(ca: &'a str, certificate: &'a str, key: &'a str) -> [(&'a str, &'a str); 4] {
    [
        ("security.protocol", "ssl"),
        ("ssl.ca.location", ca),
        ("ssl.certificate.location", certificate),
        ("ssl.key.location", key),
    ]
}

fn files_are_read_like_texts<S: Subject>(broker: &Secured) {
    let topic = broker.topic();
    let files = broker.certificates.files();
    let [ca, certificate, key] = [files.ca(), files.certificate(), files.key()];
    let settings = mutual(&ca, &certificate, &key);
    S::block_on(async {
        let producer = S::create(broker.address("MUTUAL"), &settings);
        producer.publish_batch(Publish::to(&topic).partition(0).messages(&["read"])).await.unwrap();
    });
    assert_eq!(broker.read(&topic), ["read"]);
}

fn files_may_be_replaced_while_the_producer_runs<S: Subject>(broker: &Secured) {
    let topic = broker.topic();
    let files = broker.certificates.files_of_a_stranger();
    let [ca, certificate, key] = [files.ca(), files.certificate(), files.key()];
    let settings = mutual(&ca, &certificate, &key);
    S::block_on(async {
        let producer = S::create(broker.address("MUTUAL"), &settings);
        let publish = || producer.publish_batch(Publish::to(&topic).partition(0).messages(&["renewed"]));
        let error = publish().await.unwrap_err().to_string();
        assert!(error.contains("TLS alert") && !error.contains("newer files"), "{error}");
        // The new certificate is there, and its key is not yet.
        std::fs::write(&certificate, &broker.certificates.client.certificate).unwrap();
        let error = publish().await.unwrap_err().to_string();
        assert!(error.contains("TLS alert") && error.contains("newer files are not used"), "{error}");
        std::fs::write(&key, &broker.certificates.client.key).unwrap();
        publish().await.unwrap();
    });
    assert_eq!(broker.read(&topic), ["renewed"]);
}

fn texts_in_one_line_are_read_and_a_broker_s_own_certificate_is_trusted<S: Subject>(broker: &Secured) {
    let topic = broker.topic();
    let in_a_line = |text: &str| text.replace("\r\n", "\n").replace('\n', "\\n");
    let [own, certificate, key] = [
        &broker.certificates.broker.certificate,
        &broker.certificates.client.certificate,
        &broker.certificates.client.key,
    ]
    .map(|text| in_a_line(text));
    let settings = [
        ("security.protocol", "ssl"),
        ("ssl.ca.pem", &own),
        ("ssl.certificate.pem", &certificate),
        ("ssl.key.pem", &key),
    ];
    S::block_on(async {
        let producer = S::create(broker.address("MUTUAL"), &settings);
        producer.publish_batch(Publish::to(&topic).partition(0).messages(&["pinned"])).await.unwrap();
    });
    assert_eq!(broker.read(&topic), ["pinned"]);
}

/// Returns the error of a rejected client, which must occur soon and contain these texts.
#[track_caller]
fn rejected<S: Subject>(
    broker: &Secured,
    address: String,
    settings: &[(&str, &str)],
    expected: &[&str],
) -> SendErrorReason {
    let settings = [&[("request.timeout.ms", "3000"), ("delivery.timeout.ms", "3000")], settings].concat();
    let began = Instant::now();
    let error = S::block_on(async {
        let producer = S::create(address, &settings);
        let to = TopicPartition::new(broker.topic(), 0);
        producer.send_batch(batch(&["rejected".to_owned()]), to).await.map(drop).unwrap_err()
    });
    let whole = error.to_string();
    for text in expected {
        assert!(whole.contains(text), "{text:?} is not in: {whole}");
    }
    assert!(began.elapsed() < Duration::from_secs(20), "after {:?}", began.elapsed());
    error.reason
}

/// Checks that the error occurs as soon as one side rejects the other, and not after a timeout.
#[track_caller]
fn rejected_at_once<S: Subject>(broker: &Secured, address: String, settings: Settings<'_>, expected: &[&str]) {
    let long_timeouts = [settings, vec![("request.timeout.ms", "600000"), ("delivery.timeout.ms", "900000")]].concat();
    let reason = rejected::<S>(broker, address, &long_timeouts, expected);
    assert!(matches!(reason, SendErrorReason::Authentication(_)), "{reason:?}");
    assert!(!reason.is_retriable());
}

fn an_invalid_password_or_mechanism_is_rejected_at_once<S: Subject>(broker: &Secured) {
    let rejected = |listener, settings, expected: &[&str]| {
        rejected_at_once::<S>(broker, broker.address(listener), settings, expected);
    };
    let expected = ["the broker answered SaslAuthenticate v2 with SASL_AUTHENTICATION_FAILED (58): "];
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        rejected("SASL", with_password("sasl_plaintext", mechanism, "guessed"), &expected);
    }
    let guessed = [broker.over_tls(), with_password("sasl_ssl", "SCRAM-SHA-512", "guessed")].concat();
    rejected("SASLTLS", guessed, &expected);
    let expected = ["SaslHandshake v1 with UNSUPPORTED_SASL_MECHANISM (33): it offers SCRAM-SHA-256, and not PLAIN"];
    rejected("SCRAM", with_password("sasl_plaintext", "PLAIN", PASSWORD), &expected);
}

fn nothing_is_sent_to_a_broker_that_is_not_trusted<S: Subject>(broker: &Secured) {
    let foreign = vec![("security.protocol", "ssl"), ("ssl.ca.pem", &broker.certificates.foreign_ca)];
    rejected_at_once::<S>(broker, broker.address("TLS"), foreign, &["TLS: ", "set ssl.ca.location to the authority"]);
    // The certificate contains only the IP address.
    let by_name = format!("localhost:{}", broker.port("TLS"));
    rejected_at_once::<S>(
        broker,
        by_name.clone(),
        broker.over_tls(),
        &["TLS: ", "localhost", "use a name in the certificate"],
    );
    let any_name = [broker.over_tls(), vec![("ssl.endpoint.identification.algorithm", "none")]].concat();
    let topic = broker.topic();
    S::block_on(async {
        let producer = S::create(by_name, &any_name);
        producer.publish_batch(Publish::to(&topic).partition(0).messages(&["any name"])).await.unwrap();
    });
    assert_eq!(broker.read(&topic), ["any name"]);
}

fn a_missing_certificate_is_reported<S: Subject>(broker: &Secured) {
    let expected = ["TLS: ", "the broker ended the connection with the TLS alert", "ssl.certificate.location"];
    rejected_at_once::<S>(broker, broker.address("MUTUAL"), broker.over_tls(), &expected);
    let foreign = [broker.over_tls(), broker.certificates.foreign_identity()].concat();
    rejected_at_once::<S>(broker, broker.address("MUTUAL"), foreign, &expected);
}

fn different_security_protocols_are_detected<S: Subject>(broker: &Secured) {
    let expected = ["the TLS handshake failed", "set security.protocol to plaintext (it is ssl)"];
    rejected::<S>(broker, broker.in_the_clear(), &broker.over_tls(), &expected);
    // A TLS listener responds to other protocols with an alert, or closes the connection.
    rejected::<S>(broker, broker.address("TLS"), &[], &["TLS", "set security.protocol to ssl", "(it is plaintext)"]);
    // A SASL listener closes the connection on the first request that is not SASL.
    let expected =
        ["closed the connection while Metadata v", "set security.protocol to sasl_plaintext (it is plaintext)"];
    rejected::<S>(broker, broker.address("SASL"), &[], &expected);
    // A listener without SASL rejects it at once.
    let expected =
        ["SaslHandshake v1 with ILLEGAL_SASL_STATE (34)", "set security.protocol to plaintext (it is sasl_plaintext)"];
    rejected::<S>(broker, broker.in_the_clear(), &with_password("sasl_plaintext", "PLAIN", PASSWORD), &expected);
}

/// Lasts for several sessions: each batch is delivered, in order, and no connection is lost.
fn expired_sessions_are_renewed_without_errors<S: Subject>(broker: &Secured) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(()); // the log lines about this address must be those of one test
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let topic = broker.topic();
    let settings = with_password("sasl_plaintext", "SCRAM-SHA-256", PASSWORD);
    let address = broker.address("SHORT");
    let mark = log_capture::mark();
    let mut sent = Vec::new();
    S::block_on(async {
        let producer = S::create(address.clone(), &settings);
        let end = Instant::now() + 4 * broker::SESSION;
        while Instant::now() < end {
            let value = vec![sent.len().to_string()];
            let pending = producer.send_batch(batch(&value), TopicPartition::new(&topic, 0)).await.unwrap();
            assert_eq!(pending.await.unwrap().base_offset(), Some(sent.len() as i64));
            sent.extend(value);
        }
        producer.close().await.unwrap();
    });
    assert!(broker.read(&topic) == sent, "{} records were sent", sent.len());
    let connections = log_capture::lines(mark, |line| line.text.contains(&address));
    let count = |text| connections.iter().filter(|line| line.text.contains(text)).count();
    let (ready, again) = (count("is ready"), count("has authenticated this client again"));
    assert!(again >= 3, "too few sessions: {connections:?}");
    assert!(ready <= 4, "connections were replaced: {connections:?}");
    assert_eq!(ready + again, connections.len(), "other log lines: {connections:?}");
}
