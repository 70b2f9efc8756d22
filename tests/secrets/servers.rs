//! Authentication with hostile brokers over each transport, with and without TLS: the errors that the application receives,
//! and the log.

use std::future::Future;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::thread;

use kafka_batch::{
    AsyncStdProducer, KafkaBatch, RdkafkaProducer, Record, SmolProducer, TokioProducer, TopicPartition, Transport,
};
use kafka_batch_witnesses::futures_rustls::pki_types::pem::PemObject;
use kafka_batch_witnesses::futures_rustls::pki_types::{CertificateDer, PrivateKeyDer};
use kafka_batch_witnesses::futures_rustls::rustls::crypto::ring;
use kafka_batch_witnesses::futures_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};
use kafka_batch_witnesses::{async_std, smol};

use crate::answers::{Answer, FORMS, Hostile};
use crate::keys::Identity;
use crate::log;
use crate::needles::Needles;

const PASSWORD: &str = "x9%Qm&pT4!wLz-correct";

/// A broker that accepts any number of connections.
struct Server {
    address: SocketAddr,
    /// The secrets that it has received or derived.
    secrets: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Server {
    fn start(hostile: Hostile, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let secrets = Arc::<Mutex<Vec<_>>>::default();
        let shared = Arc::clone(&secrets);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, mut hostile, tls, shared) =
                    (stream.unwrap(), hostile.clone(), tls.clone(), Arc::clone(&shared));
                thread::spawn(move || match tls.map(|config| ServerConnection::new(config).unwrap()) {
                    None => serve(stream, &mut hostile, &shared),
                    Some(session) => serve(StreamOwned::new(session, stream), &mut hostile, &shared),
                });
            }
        });
        Self { address, secrets }
    }
}

/// Responds to requests until one side closes the connection.
fn serve(mut stream: impl Read + Write, hostile: &mut Hostile, secrets: &Mutex<Vec<Vec<u8>>>) -> Option<()> {
    loop {
        let mut length = [0; 4];
        stream.read_exact(&mut length).ok()?;
        let mut request = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut request).ok()?;
        let answer = hostile.respond(&request)?;
        secrets.lock().unwrap().append(&mut hostile.secrets);
        stream.write_all(&(answer.len() as u32).to_be_bytes()).ok()?;
        stream.write_all(&answer).ok()?;
        stream.flush().ok()?;
    }
}

type ErrorTexts<'p> = Pin<Box<dyn Future<Output = String> + 'p>>;

/// Returns all texts of the producer and of its error at a broker that rejects every client.
fn log_in<T: Transport + std::fmt::Debug>(
    producer: T,
    block_on: &dyn Fn(ErrorTexts<'_>) -> String,
    batch: KafkaBatch,
) -> String {
    block_on(Box::pin(async move {
        let error = producer.send_batch(batch, TopicPartition::new("t", 0)).await.map(drop).unwrap_err();
        let mut texts = format!("{producer:?} {error} {error:?} {error:#?}");
        let mut next = std::error::Error::source(&error);
        while let Some(error) = next {
            texts += &format!(" {error} {error:?}");
            next = error.source();
        }
        texts
    }))
}

#[track_caller]
fn check_each(hostile: &Hostile, tls: Option<(&str, Arc<ServerConfig>)>, mechanism: &str) {
    let context = format!("{mechanism} at {hostile:?}, {} TLS", if tls.is_some() { "with" } else { "without" });
    let mark = log::mark();
    let (ca, config) = tls.unzip();
    let server = Server::start(hostile.clone(), config);
    let client = Identity::new();
    let key = client.pem();
    let protocol = if ca.is_some() { "sasl_ssl" } else { "sasl_plaintext" };
    let address = server.address.to_string();
    let mut settings = vec![
        ("bootstrap.servers", address.as_str()),
        ("security.protocol", protocol),
        ("sasl.mechanism", mechanism),
        ("sasl.username", "bob"),
        ("sasl.password", PASSWORD),
    ];
    if let Some(ca) = ca {
        settings.extend([("ssl.ca.pem", ca), ("ssl.certificate.pem", &client.certificate), ("ssl.key.pem", &key)]);
    }
    let mut batch = kafka_batch::BatchOptions::default().build(1_700_000_000_000).unwrap();
    batch.extend([Record::new("rejected")]).unwrap();
    macro_rules! create {
        ($producer:ident) => {
            settings
                .iter()
                .fold($producer::builder().set("request.timeout.ms", "2000"), |builder, (name, value)| {
                    builder.set(*name, *value)
                })
                .build()
                .unwrap()
        };
    }
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut texts = vec![
        log_in(tokio.block_on(async { create!(TokioProducer) }), &|future| tokio.block_on(future), batch.clone()),
        log_in(create!(SmolProducer), &|future| smol::block_on(future), batch.clone()),
        log_in(create!(AsyncStdProducer), &|future| async_std::task::block_on(future), batch.clone()),
    ];
    if ca.is_none() && mechanism == "PLAIN" {
        // This build of librdkafka has neither SCRAM nor TLS.
        let builder =
            RdkafkaProducer::builder().set("debug", "all").metadata_timeout(std::time::Duration::from_secs(2));
        let builder = settings.iter().fold(builder, |builder, (name, value)| builder.set(*name, *value));
        texts.push(log_in(builder.build().unwrap(), &|future| smol::block_on(future), batch.clone()));
    }
    let mut needles = Needles::of([PASSWORD.as_bytes(), client.private()]);
    server.secrets.lock().unwrap().iter().for_each(|secret| needles.add(secret));
    texts.iter().for_each(|text| needles.are_not_in(text, &context));
    needles.are_not_in_log(mark, &context);
    let lines = log::lines(mark);
    assert!(lines.iter().any(|line| line.text.contains(&address)), "{context}: {lines:?}");
}

#[test]
fn the_password_is_not_shown_in_whatever_form_the_broker_repeats_it() {
    for form in 0..FORMS {
        check_each(&Hostile::new(None, Answer::Reject(form)), None, "PLAIN");
    }
}

#[test]
fn the_proof_is_not_shown_in_whatever_form_the_broker_repeats_it() {
    for form in 0..FORMS {
        let challenges = Some(PASSWORD.to_owned());
        check_each(&Hostile::new(challenges.clone(), Answer::Reject(form)), None, "SCRAM-SHA-256");
        check_each(&Hostile::new(challenges, Answer::RejectInToken(form)), None, "SCRAM-SHA-256");
    }
}

#[test]
fn invalid_responses_are_not_quoted() {
    for answer in [
        Answer::Frame(b"HTTP/1.1 400 Bad Request".to_vec()),
        Answer::Frame(Vec::new()),
        Answer::Token(b"v=bm90IHRoZSBzaWduYXR1cmU=".to_vec()),
    ] {
        check_each(&Hostile::new(Some(PASSWORD.to_owned()), answer), None, "SCRAM-SHA-256");
    }
}

/// The log includes that of the TLS library (its feature `logging` is enabled here).
#[test]
fn secrets_are_not_shown_with_tls() {
    let identity = kafka_batch_certificates::Identity::self_signed("127.0.0.1");
    let pem = identity.certificate;
    let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
    let config = Arc::new(builder.with_single_cert(vec![certificate], key).unwrap());
    let mark = log::mark();
    for (challenges, mechanism) in [(None, "PLAIN"), (Some(PASSWORD.to_owned()), "SCRAM-SHA-256")] {
        check_each(&Hostile::new(challenges, Answer::Reject(0)), Some((&pem, Arc::clone(&config))), mechanism);
    }
    assert!(log::lines(mark).iter().any(|line| line.target.contains("rustls")), "the log of rustls is searched");
}
