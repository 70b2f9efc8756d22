//! Errors and log lines for a port that does not match `security.protocol` or is not a broker, and for a broker that
//! does not respond: over real sockets.

#[path = "ports/log.rs"]
mod log;
#[path = "ports/server.rs"]
mod server;
#[path = "security/subject.rs"]
mod subject;

use std::task::Poll;
use std::thread;

use ::log::Level;
use kafka_batch::machine::{LastError, LastErrorKind, TimeoutCause, WaitingFor};
use kafka_batch::protocol::ApiKey;
use kafka_batch::{BatchOptions, DeliveryError, FailureReason, KafkaBatch, Record, TopicPartition, Transport};
use server::Reply;
#[cfg(feature = "__witnesses")]
use subject::{AsyncStd, Smol};
use subject::{Subject, Tokio};

/// Each case over tokio, and with all features over the other runtimes.
macro_rules! cases {
    ($($case:ident)*) => {
        $(mod $case {
            #[test]
            fn over_tokio() {
                crate::$case::<crate::Tokio>();
            }

            #[cfg(feature = "__witnesses")]
            #[test]
            fn over_async_std() {
                crate::$case::<crate::AsyncStd>();
            }

            #[cfg(feature = "__witnesses")]
            #[test]
            fn over_smol() {
                crate::$case::<crate::Smol>();
            }
        })*
    };
}

cases! {
    a_port_with_another_protocol_is_detected
    a_port_that_does_not_respond_is_named
    a_broker_that_does_not_respond_is_named_with_api_and_version
    a_broker_that_closes_an_idle_connection_is_not_a_warning
    a_port_without_a_listener_is_reported_with_the_error_of_the_system
}

#[cfg(feature = "__witnesses")]
cases! {
    a_port_with_tls_is_detected
    tls_to_a_plaintext_port_is_detected
}

fn batch() -> KafkaBatch {
    let mut batch = BatchOptions::default().build(0).unwrap();
    batch.extend([Record::new("x")]).unwrap();
    batch
}

/// Returns the error for a batch to a topic that was not looked up before.
fn refusal<S: Subject>(port: u16, settings: &[(&str, &str)]) -> String {
    log::capture();
    let settings = [&[("request.timeout.ms", "2000"), ("delivery.timeout.ms", "2000")], settings].concat();
    S::block_on(async {
        let producer = S::create(format!("127.0.0.1:{port}"), &settings);
        producer.send_batch(batch(), TopicPartition::new("t", 0)).await.map(drop).unwrap_err().to_string()
    })
}

const SASL: [(&str, &str); 3] =
    [("security.protocol", "sasl_plaintext"), ("sasl.username", "me"), ("sasl.password", "secret")];

/// Checks both the error and a warning in the log.
#[track_caller]
fn is_reported<S: Subject>(port: u16, settings: &[(&str, &str)], expected: &str) {
    let error = refusal::<S>(port, settings);
    let expected = format!("127.0.0.1:{port}: {expected}");
    assert!(error.contains(&expected), "{expected:?} is not in: {error}");
    assert!(!error.contains('\n'), "{error}");
    let (level, line) = log::line(port, &[]);
    assert!(level == Level::Warn && line.starts_with(&expected), "{level} {line}");
}

type Case<'t> = (u16, &'t [(&'t str, &'t str)], String);

/// Runs all checks in parallel, since each takes as long as its timeout.
fn are_reported<S: Subject>(cases: &[Case<'_>]) {
    thread::scope(|scope| {
        for (port, settings, expected) in cases {
            scope.spawn(|| is_reported::<S>(*port, settings, expected));
        }
    });
}

fn a_port_with_another_protocol_is_detected<S: Subject>() {
    let http = "a web server answered (HTTP), not a Kafka broker: correct the address in bootstrap.servers, or in the broker's \
                advertised.listeners";
    let closed = "the broker closed the connection while ApiVersions v3 was unanswered; if this port requires TLS";
    are_reported::<S>(&[
        (server::http(), &[], http.to_owned()),
        (
            server::closing(),
            &[],
            format!("{closed} or SASL, set security.protocol to ssl, sasl_plaintext or sasl_ssl (it is plaintext)"),
        ),
        (server::closing(), &SASL, format!("{closed}, set security.protocol to sasl_ssl (it is sasl_plaintext)")),
    ]);
}

#[cfg(feature = "__witnesses")]
fn a_port_with_tls_is_detected<S: Subject>() {
    let tls = "it answered with a TLS alert (15 03); this port requires TLS: set security.protocol to ";
    are_reported::<S>(&[
        (server::tls(), &[], format!("{tls}ssl (it is plaintext)")),
        (server::tls(), &SASL, format!("{tls}sasl_ssl (it is sasl_plaintext)")),
    ]);
}

fn a_port_that_does_not_respond_is_named<S: Subject>() {
    let port = server::silent();
    let error = refusal::<S>(port, &[]);
    let expected = format!("waiting for 127.0.0.1:{port} to answer ApiVersions v3, sent ");
    assert!(error.contains(&expected), "{error}");
}

#[cfg(feature = "__witnesses")]
fn tls_to_a_plaintext_port_is_detected<S: Subject>() {
    let tls = [("security.protocol", "ssl")];
    let sasl_and_tls = [("security.protocol", "sasl_ssl"), SASL[1], SASL[2]];
    let closed = "the TLS handshake failed: the other side closed the connection; this port seems to use plaintext, not TLS: \
                  set security.protocol to ";
    let answered = "the TLS handshake failed: the other side answered with something that is not TLS; this port seems to use \
                    plaintext, not TLS: set security.protocol to plaintext (it is ssl)";
    are_reported::<S>(&[
        // Unread bytes turn the end of the connection into a reset, which is reported in the same way.
        (server::plaintext(), &tls, format!("{closed}plaintext (it is ssl)")),
        (server::closing(), &sasl_and_tls, format!("{closed}sasl_plaintext (it is sasl_ssl)")),
        (server::http(), &tls, answered.to_owned()),
    ]);
}

/// Returns the error of an accepted batch.
fn failure<S: Subject>(port: u16) -> DeliveryError {
    log::capture();
    let settings = [("delivery.timeout.ms", "2000"), ("request.timeout.ms", "2000")];
    S::block_on(async {
        let producer = S::create(format!("127.0.0.1:{port}"), &settings);
        let pending = producer.send_batch(batch(), TopicPartition::new("t", 0)).await.unwrap();
        pending.await.unwrap_err()
    })
}

fn cause(error: &DeliveryError) -> &TimeoutCause {
    match &error.reason {
        FailureReason::TimedOut { cause: Some(cause), .. } => cause,
        reason => panic!("{reason:?}"),
    }
}

/// Starts a broker that replies in this way to one API, and as usual to the others.
fn broker_with(requested: ApiKey, reply: fn() -> Reply) -> u16 {
    server::broker(move |api| match api {
        api if api == requested.code() => reply(),
        22 => server::producer_id(5),
        _ => server::produced(),
    })
}

fn a_broker_that_does_not_respond_is_named_with_api_and_version<S: Subject>() {
    thread::scope(|scope| {
        for (api, name) in [(ApiKey::InitProducerId, "InitProducerId v0"), (ApiKey::Produce, "Produce v3")] {
            scope.spawn(move || is_pending::<S>(broker_with(api, || Reply::Silence), api, name));
            scope.spawn(move || is_last_error::<S>(broker_with(api, || Reply::Close), name, ""));
            let partial = " (10 of 100 bytes of a response had arrived)";
            scope.spawn(move || is_last_error::<S>(broker_with(api, || Reply::Truncated), name, partial));
        }
        scope.spawn(|| {
            let port = broker_with(ApiKey::InitProducerId, || server::producer_id(-1));
            let error = failure::<S>(port);
            let expected = format!(
                "broker 7 at 127.0.0.1:{port}: the broker answered InitProducerId with producer id -1 and epoch 0, which no \
                 producer can have"
            );
            assert!(error.to_string().contains(&expected), "{error}");
        });
    });
}

fn is_pending<S: Subject>(port: u16, api: ApiKey, name: &str) {
    let error = failure::<S>(port);
    match &cause(&error).waiting_for {
        Some(WaitingFor::Response { broker, request, .. }) => {
            assert_eq!((broker.id, broker.port, request.api), (Some(7), port, api), "{error}");
        }
        other => panic!("{other:?}"),
    }
    let expected = format!("waiting for broker 7 at 127.0.0.1:{port} to answer {name}, sent ");
    assert!(error.to_string().contains(&expected), "{error}");
}

fn is_last_error<S: Subject>(port: u16, name: &str, partial: &str) {
    let error = failure::<S>(port);
    let expected =
        format!("broker 7 at 127.0.0.1:{port}: the broker closed the connection while {name} was unanswered{partial}");
    match &cause(&error).last_error {
        Some(LastError { error: LastErrorKind::Connection(kind), age, .. }) => {
            assert_eq!(kind.to_string(), expected);
            assert!(age.as_millis() <= 2_000, "{error}");
        }
        other => panic!("{other:?}"),
    }
    assert!(error.to_string().contains(&format!(" ms before: {expected}")), "{error}");
    assert_eq!(log::line(port, &["broker 7 at"]), (Level::Warn, format!("{expected}; the producer retries")));
}

/// Lets other tasks run.
async fn yield_now() {
    let mut yielded = false;
    std::future::poll_fn(|context| {
        context.waker().wake_by_ref();
        if std::mem::replace(&mut yielded, true) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// The broker closes the connection when the test requests it: nothing is pending on it then.
fn a_broker_that_closes_an_idle_connection_is_not_a_warning<S: Subject>() {
    log::capture();
    let (port, ends) = server::closing_on_request();
    S::block_on(async {
        let producer = S::create(format!("127.0.0.1:{port}"), &[]);
        let to = TopicPartition::new("t", 0);
        producer.send_batch(batch(), to.clone()).await.unwrap().await.unwrap();
        ends();
        // The runtime notices it at any time, and at the next batch at the latest.
        while log::find(port, &["after it was idle for "]).is_none() {
            yield_now().await;
        }
        producer.send_batch(batch(), to).await.unwrap().await.unwrap();
        producer.close().await.unwrap();
    });
    let (level, line) = log::line(port, &["after it was idle for "]);
    assert_eq!(level, Level::Debug, "{line}");
    assert_eq!(log::warnings(port), [""; 0]);
}

fn a_port_without_a_listener_is_reported_with_the_error_of_the_system<S: Subject>() {
    let port = server::without_listener();
    let error = refusal::<S>(port, &[]);
    let expected = format!("127.0.0.1:{port}: could not connect: Connection refused (os error 111)");
    assert!(error.contains(&expected), "{error}");
}
