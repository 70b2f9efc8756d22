//! TLS and SASL with real brokers, over each transport that drives the machine: whoever is let in publishes, and reads back
//! what was published; whoever is not hears why, and soon.
//!
//! Run with `cargo test --test security -- --ignored`. It starts a Kafka 4 and a 3.9, whose certificates and users it makes.

#[path = "security/broker.rs"]
mod broker;
#[path = "security/certificates.rs"]
mod certificates;
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
    whoever_is_let_in_publishes
    files_are_read_as_well_as_texts
    texts_in_one_line_are_read_and_a_broker_s_own_certificate_is_trusted
    a_wrong_password_or_mechanism_is_refused_at_once
    a_broker_that_is_not_trusted_hears_nothing
    a_certificate_that_is_missing_is_asked_for
    protocols_that_do_not_meet_are_told_apart
    sessions_end_and_nobody_notices
}

type Settings<'s> = Vec<(&'s str, &'s str)>;

/// Each listener, and what one needs to be let in there.
fn ways_in(broker: &Secured) -> Vec<(&'static str, Settings<'_>)> {
    let mut ways = vec![("TLS", broker.over_tls()), ("MUTUAL", broker.with_our_certificate())];
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

/// A batch of a few records, or of several hundred kilobytes.
fn batch(values: &[String]) -> KafkaBatch {
    let mut batch = BatchOptions::default().batch_size(1 << 20).build(1_700_000_000_000).unwrap();
    batch.extend(values.iter().map(Record::new)).unwrap();
    batch
}

fn whoever_is_let_in_publishes<S: Subject>(broker: &Secured) {
    for (way, (listener, settings)) in ways_in(broker).into_iter().enumerate() {
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

fn files_are_read_as_well_as_texts<S: Subject>(broker: &Secured) {
    let topic = broker.topic();
    let files = broker.certificates.files();
    let [ca, certificate, key] = [files.ca(), files.certificate(), files.key()];
    let settings = [
        ("security.protocol", "ssl"),
        ("ssl.ca.location", &ca),
        ("ssl.certificate.location", &certificate),
        ("ssl.key.location", &key),
    ];
    S::block_on(async {
        let producer = S::create(broker.address("MUTUAL"), &settings);
        producer.publish_batch(Publish::to(&topic).partition(0).messages(&["read"])).await.unwrap();
    });
    assert_eq!(broker.read(&topic), ["read"]);
}

fn texts_in_one_line_are_read_and_a_broker_s_own_certificate_is_trusted<S: Subject>(broker: &Secured) {
    let topic = broker.topic();
    let in_a_line = |text: &str| text.replace("\r\n", "\n").replace('\n', "\\n");
    let [own, certificate, key] =
        [&broker.certificates.broker.certificate, &broker.certificates.ours.certificate, &broker.certificates.ours.key]
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

/// What is heard instead of an answer: soon, and in words that say what is wrong.
#[track_caller]
fn refused<S: Subject>(broker: &Secured, address: String, settings: &[(&str, &str)], said: &[&str]) -> SendErrorReason {
    let settings = [&[("request.timeout.ms", "3000"), ("delivery.timeout.ms", "3000")], settings].concat();
    let began = Instant::now();
    let error = S::block_on(async {
        let producer = S::create(address, &settings);
        let to = TopicPartition::new(broker.topic(), 0);
        producer.send_batch(batch(&["not for you".to_owned()]), to).await.map(drop).unwrap_err()
    });
    let whole = error.to_string();
    for said in said {
        assert!(whole.contains(said), "{said:?} is not in: {whole}");
    }
    assert!(began.elapsed() < Duration::from_secs(20), "after {:?}", began.elapsed());
    error.reason
}

/// Not when the time is over that a broker has to answer: as soon as one side has said no.
#[track_caller]
fn refused_at_once<S: Subject>(broker: &Secured, address: String, settings: Settings<'_>, said: &[&str]) {
    let patient = [settings, vec![("request.timeout.ms", "600000"), ("delivery.timeout.ms", "900000")]].concat();
    let reason = refused::<S>(broker, address, &patient, said);
    assert!(matches!(reason, SendErrorReason::Authentication(_)), "{reason:?}");
    assert!(!reason.is_retriable());
}

fn a_wrong_password_or_mechanism_is_refused_at_once<S: Subject>(broker: &Secured) {
    let refused =
        |listener, settings, said: &[&str]| refused_at_once::<S>(broker, broker.address(listener), settings, said);
    let said = ["the broker answered SaslAuthenticate v2 with SASL_AUTHENTICATION_FAILED (58): "];
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        refused("SASL", with_password("sasl_plaintext", mechanism, "guessed"), &said);
    }
    let guessed = [broker.over_tls(), with_password("sasl_ssl", "SCRAM-SHA-512", "guessed")].concat();
    refused("SASLTLS", guessed, &said);
    let said = ["SaslHandshake v1 with UNSUPPORTED_SASL_MECHANISM (33): it offers SCRAM-SHA-256, and not PLAIN"];
    refused("SCRAM", with_password("sasl_plaintext", "PLAIN", PASSWORD), &said);
}

fn a_broker_that_is_not_trusted_hears_nothing<S: Subject>(broker: &Secured) {
    let foreign = vec![("security.protocol", "ssl"), ("ssl.ca.pem", &broker.certificates.foreign_ca)];
    refused_at_once::<S>(broker, broker.address("TLS"), foreign, &["TLS: ", "ssl.ca.location has to name"]);
    // Its certificate has its address alone.
    let by_name = format!("localhost:{}", broker.port("TLS"));
    refused_at_once::<S>(broker, by_name.clone(), broker.over_tls(), &["TLS: ", "localhost", "called by a name"]);
    let any_name = [broker.over_tls(), vec![("ssl.endpoint.identification.algorithm", "none")]].concat();
    let topic = broker.topic();
    S::block_on(async {
        let producer = S::create(by_name, &any_name);
        producer.publish_batch(Publish::to(&topic).partition(0).messages(&["whoever"])).await.unwrap();
    });
    assert_eq!(broker.read(&topic), ["whoever"]);
}

fn a_certificate_that_is_missing_is_asked_for<S: Subject>(broker: &Secured) {
    let said = ["TLS: ", "the broker ended it with the alert", "ssl.certificate.location"];
    refused_at_once::<S>(broker, broker.address("MUTUAL"), broker.over_tls(), &said);
    let foreign = [broker.over_tls(), broker.certificates.foreign_identity()].concat();
    refused_at_once::<S>(broker, broker.address("MUTUAL"), foreign, &said);
}

fn protocols_that_do_not_meet_are_told_apart<S: Subject>(broker: &Secured) {
    let said = ["the TLS handshake failed", "set security.protocol to plaintext (it is ssl)"];
    refused::<S>(broker, broker.in_the_clear(), &broker.over_tls(), &said);
    // To who listens with TLS it is no TLS, and it says so or closes the connection.
    refused::<S>(broker, broker.address("TLS"), &[], &["TLS", "set security.protocol to ssl", "(it is plaintext)"]);
    // Who wants SASL closes the connection on the first request that is none of it.
    let said = ["closed the connection while Metadata v", "set security.protocol to sasl_plaintext (it is plaintext)"];
    refused::<S>(broker, broker.address("SASL"), &[], &said);
    // Who wants none says so at once.
    let said =
        ["SaslHandshake v1 with ILLEGAL_SASL_STATE (34)", "set security.protocol to plaintext (it is sasl_plaintext)"];
    refused::<S>(broker, broker.in_the_clear(), &with_password("sasl_plaintext", "PLAIN", PASSWORD), &said);
}

/// As long as it takes for several sessions to be over: each batch is through, in order, and no connection is lost.
fn sessions_end_and_nobody_notices<S: Subject>(broker: &Secured) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(()); // since what they log of the address is theirs
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
    assert!(broker.read(&topic) == sent, "{} are sent", sent.len());
    let connections = log_capture::lines(mark, |line| line.text.contains(&address));
    let ready = connections.iter().filter(|line| line.text.contains("is ready")).count();
    assert!(ready > 4, "one after the other took its place: {connections:?}");
    assert_eq!(ready, connections.len(), "nothing else happened: {connections:?}");
}
