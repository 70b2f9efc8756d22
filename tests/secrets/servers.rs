//! Logging in at hostile brokers over each transport, in the clear and within TLS: what the error says that the application
//! gets, and what is logged.

use std::future::Future;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::thread;

use futures_rustls::pki_types::PrivateKeyDer;
use futures_rustls::rustls::crypto::ring;
use futures_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};
use kafka_batch::{
    AsyncStdProducer, KafkaBatch, RdkafkaProducer, Record, SmolProducer, TokioProducer, TopicPartition, Transport,
};
use rcgen::{CertificateParams, KeyPair};

use crate::answers::{Answer, FORMS, Hostile};
use crate::keys::Identity;
use crate::log;
use crate::needles::Needles;

const PASSWORD: &str = "x9%Qm&pT4!wLz-correct";

/// A broker on a port of its own, for as many connections as come.
struct Server {
    address: SocketAddr,
    /// What it has heard, and calculated.
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Server {
    fn start(hostile: Hostile, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::<Mutex<Vec<_>>>::default();
        let shared = Arc::clone(&heard);
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
        Self { address, heard }
    }
}

/// Answers until one side hangs up.
fn serve(mut stream: impl Read + Write, hostile: &mut Hostile, heard: &Mutex<Vec<Vec<u8>>>) -> Option<()> {
    loop {
        let mut length = [0; 4];
        stream.read_exact(&mut length).ok()?;
        let mut request = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut request).ok()?;
        let answer = hostile.answer(&request)?;
        heard.lock().unwrap().append(&mut hostile.heard);
        stream.write_all(&(answer.len() as u32).to_be_bytes()).ok()?;
        stream.write_all(&answer).ok()?;
        stream.flush().ok()?;
    }
}

type Saying<'p> = Pin<Box<dyn Future<Output = String> + 'p>>;

/// What each transport has to say of a broker that lets nobody in.
fn log_in<T: Transport + std::fmt::Debug>(
    producer: T,
    block_on: &dyn Fn(Saying<'_>) -> String,
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
fn try_each(hostile: &Hostile, tls: Option<(&str, Arc<ServerConfig>)>, mechanism: &str) {
    let whence = format!("{mechanism} at {hostile:?}, {}", if tls.is_some() { "within TLS" } else { "in the clear" });
    let mark = log::mark();
    let (ca, config) = tls.unzip();
    let server = Server::start(hostile.clone(), config);
    let ours = Identity::new();
    let key = ours.pem();
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
        settings.extend([("ssl.ca.pem", ca), ("ssl.certificate.pem", &ours.certificate), ("ssl.key.pem", &key)]);
    }
    let mut batch = kafka_batch::BatchOptions::default().build(1_700_000_000_000).unwrap();
    batch.extend([Record::new("not for you")]).unwrap();
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
        // With SCRAM and TLS librdkafka is not built here.
        let builder =
            RdkafkaProducer::builder().set("debug", "all").metadata_timeout(std::time::Duration::from_secs(2));
        let builder = settings.iter().fold(builder, |builder, (name, value)| builder.set(*name, *value));
        texts.push(log_in(builder.build().unwrap(), &|future| smol::block_on(future), batch.clone()));
    }
    let mut needles = Needles::of([PASSWORD.as_bytes(), ours.private()]);
    server.heard.lock().unwrap().iter().for_each(|secret| needles.add(secret));
    texts.iter().for_each(|text| needles.are_not_in(text, &whence));
    needles.are_not_in_log(mark, &whence);
    let lines = log::lines(mark);
    assert!(lines.iter().any(|line| line.text.contains(&address)), "{whence}: {lines:?}");
}

#[test]
fn whatever_form_a_refusal_repeats_the_password_in() {
    for form in 0..FORMS {
        try_each(&Hostile::new(None, Answer::Refuse(form)), None, "PLAIN");
    }
}

#[test]
fn whatever_form_a_refusal_repeats_the_proof_in() {
    for form in 0..FORMS {
        let challenges = Some(PASSWORD.to_owned());
        try_each(&Hostile::new(challenges.clone(), Answer::Refuse(form)), None, "SCRAM-SHA-256");
        try_each(&Hostile::new(challenges, Answer::RefuseInToken(form)), None, "SCRAM-SHA-256");
    }
}

#[test]
fn what_is_no_answer_at_all() {
    for answer in [
        Answer::Frame(b"HTTP/1.1 400 Bad Request".to_vec()),
        Answer::Frame(Vec::new()),
        Answer::Token(b"v=bm90IHRoZSBzaWduYXR1cmU=".to_vec()),
    ] {
        try_each(&Hostile::new(Some(PASSWORD.to_owned()), answer), None, "SCRAM-SHA-256");
    }
}

/// With all that the TLS library logs (its feature `logging` is on here).
#[test]
fn within_tls() {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let private = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = Arc::new(builder.with_single_cert(vec![certificate.der().clone()], private).unwrap());
    let pem = certificate.pem();
    let mark = log::mark();
    for (challenges, mechanism) in [(None, "PLAIN"), (Some(PASSWORD.to_owned()), "SCRAM-SHA-256")] {
        try_each(&Hostile::new(challenges, Answer::Refuse(0)), Some((&pem, Arc::clone(&config))), mechanism);
    }
    assert!(log::lines(mark).iter().any(|line| line.text.contains("rustls")), "what it logs is searched");
}
