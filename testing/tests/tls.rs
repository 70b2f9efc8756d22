//! A cluster whose ports speak TLS: the transport over tokio, and clients of rustls byte by byte.

mod common;

use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use common::{Client, PATIENCE};
use kafka_batch_certificates::{Authority, Identity};
use kafka_batch_core::error::AuthenticationError;
use kafka_batch_core::{Record, SendErrorReason, TopicPartition};
use kafka_batch_testing::wire::metadata::MetadataRequest;
use kafka_batch_testing::{ApiKey, Direction, Fault, FaultKind, ScramHash, TestCluster, wire};
use kafka_batch_tokio::TokioProducer;
use kafka_batch_transport::ProducerBuilder;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

fn cluster() -> TestCluster {
    TestCluster::builder().tls().start().unwrap()
}

/// Returns the builder of a producer that trusts the authority of this cluster.
fn producer(cluster: &TestCluster, trusted: &TestCluster) -> ProducerBuilder<kafka_batch_tokio::Tokio> {
    TokioProducer::builder()
        .set("bootstrap.servers", cluster.bootstrap_servers())
        .set("security.protocol", "ssl")
        .set("ssl.ca.pem", trusted.ca_pem().expect("it has TLS"))
}

async fn send(producer: &TokioProducer, value: &str) -> Option<i64> {
    producer.send("t", value).await.unwrap().offset
}

#[tokio::test]
async fn a_producer_over_tls_sends_through_faults_and_restarts() {
    let cluster = TestCluster::builder().brokers(2).tls().start().unwrap();
    let producer = producer(&cluster, &cluster).build().unwrap();
    assert_eq!(send(&producer, "a").await, Some(0));
    cluster.inject(Fault::new(FaultKind::CloseConnection { executed: true }).api(ApiKey::Produce));
    assert_eq!(send(&producer, "b").await, Some(1), "stored once");
    cluster.cut_after(cluster.leader("t", 0).unwrap(), Direction::ToBroker, 10);
    assert_eq!(send(&producer, "c").await, Some(2));
    let leader = cluster.leader("t", 0).unwrap();
    assert!(cluster.kill(leader) && cluster.restart(leader).unwrap());
    assert_eq!(send(&producer, "d").await, Some(3));
    // Larger than a TLS record, and than all buffers of the sockets.
    let mut sent = Vec::new();
    for number in 0..20 {
        let value = Bytes::from(vec![number; 900_000]);
        let mut batch = producer.batch();
        batch.extend([Record::new(value)]).unwrap();
        sent.push(producer.send_batch(batch, TopicPartition::new("t", 0)).await.unwrap());
    }
    for (position, pending) in sent.into_iter().enumerate() {
        assert_eq!(pending.await.unwrap().base_offset(), Some(4 + position as i64));
    }
    let log = cluster.log("t", 0).unwrap();
    assert_eq!(log.records().unwrap().len(), 24);
    assert!(cluster.violations().is_empty(), "{:?}", cluster.violations());
    producer.close().await.unwrap();
}

#[tokio::test]
async fn users_authenticate_over_tls() {
    let cluster =
        TestCluster::builder().tls().plain_user("alice", "open sesame").scram_user(ScramHash::Sha256, "bob", "x");
    let cluster = cluster.start().unwrap();
    for (mechanism, user, password, is_right) in [
        ("PLAIN", "alice", "open sesame", true),
        ("SCRAM-SHA-256", "bob", "x", true),
        ("PLAIN", "alice", "guess", false),
    ] {
        let producer = producer(&cluster, &cluster)
            .set("security.protocol", "sasl_ssl")
            .set("sasl.mechanism", mechanism)
            .set("sasl.username", user)
            .set("sasl.password", password)
            .build()
            .unwrap();
        let sent = producer.send("t", "v").await;
        assert_eq!(sent.is_ok(), is_right, "{mechanism}: {sent:?}");
    }
}

#[tokio::test]
async fn a_client_that_trusts_another_authority_does_not_connect() {
    let (cluster, other) = (cluster(), cluster());
    assert_ne!(cluster.ca_pem(), other.ca_pem(), "each cluster has its own");
    let producer = producer(&cluster, &other).build().unwrap();
    let mut batch = producer.batch();
    batch.extend([Record::new("v")]).unwrap();
    let error = producer.send_batch(batch, TopicPartition::new("t", 0)).await.unwrap_err();
    let SendErrorReason::Authentication(AuthenticationError::Connection(_)) = &error.reason else { panic!("{error}") };
    assert!(error.to_string().contains("certificate"), "{error}");
    assert_eq!(cluster.requests(), []);
    // The next client is not affected.
    assert!(producer_of(&cluster).send("t", "v").await.is_ok());
}

fn producer_of(cluster: &TestCluster) -> TokioProducer {
    producer(cluster, cluster).build().unwrap()
}

#[tokio::test]
async fn plain_text_to_a_port_with_tls_is_answered_by_an_alert() {
    let cluster = cluster();
    let producer = TokioProducer::builder()
        .set("bootstrap.servers", cluster.bootstrap_servers())
        .set("request.timeout.ms", "300")
        .build()
        .unwrap();
    let error = producer.send("t", "v").await.unwrap_err().to_string();
    assert!(error.contains("this port requires TLS: set security.protocol to ssl (it is plaintext)"), "{error}");
    let mut client = Client::new(&cluster, 1);
    client.send(ApiKey::Metadata, 12, &MetadataRequest::default());
    let mut answered = Vec::new();
    let _ = client.0.read_to_end(&mut answered); // ends, perhaps by a reset
    assert!(answered.is_empty() || answered[0] == 21, "an alert: {answered:?}");
    assert_eq!(cluster.requests(), [], "nothing was executed");
}

#[test]
fn without_tls_there_is_no_authority() {
    assert_eq!(TestCluster::start().ca_pem(), None);
    let cluster = TestCluster::builder().tls().without_sockets().start().unwrap();
    assert_eq!(cluster.ca_pem(), None, "no port has TLS");
}

/// The files of a client, removed when dropped.
struct Files(PathBuf);

impl Files {
    fn new(identity: &Identity) -> Self {
        let files = Self(std::env::temp_dir().join(format!("kafka-batch-testing-{}", std::process::id())));
        fs::create_dir_all(&files.0).unwrap();
        files.replace(identity);
        files
    }

    fn replace(&self, identity: &Identity) {
        fs::write(self.0.join("certificate.pem"), &identity.certificate).unwrap();
        fs::write(self.0.join("key.pem"), &identity.key).unwrap();
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// The brokers of a cluster get another authority of clients. A producer whose certificate was replaced meanwhile continues,
/// without an error, at its next connection.
#[tokio::test]
async fn a_producer_continues_after_its_certificate_and_the_authority_of_clients_were_replaced() {
    let [first, second] = ["first", "second"].map(Authority::new);
    let cluster = TestCluster::builder().brokers(2).client_authorities(&first.certificate).start().unwrap();
    let stranger = producer_of(&cluster).send("t", "v").await.unwrap_err().to_string();
    assert!(stranger.contains("certificate_required"), "{stranger}");

    let files = Files::new(&first.sign("client"));
    let producer = producer(&cluster, &cluster)
        .set("ssl.certificate.location", files.0.join("certificate.pem").to_str().unwrap())
        .set("ssl.key.location", files.0.join("key.pem").to_str().unwrap())
        .build()
        .unwrap();
    assert_eq!(send(&producer, "a").await, Some(0));
    files.replace(&second.sign("client"));
    assert!(cluster.set_client_authorities(&second.certificate).unwrap());
    assert_eq!(send(&producer, "b").await, Some(1), "on the connection that it has");
    for (value, offset) in [("c", 2), ("d", 3)] {
        let leader = cluster.leader("t", 0).unwrap();
        assert!(cluster.kill(leader) && cluster.restart(leader).unwrap());
        assert_eq!(send(&producer, value).await, Some(offset), "on new connections");
    }
    assert!(cluster.set_client_authorities("no PEM").is_err());
    assert!(!TestCluster::start().set_client_authorities(&first.certificate).unwrap(), "it has no TLS");
    producer.close().await.unwrap();
}

/// A client of another implementation of the handshake's other side.
fn connect(
    cluster: &TestCluster,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> StreamOwned<ClientConnection, OneByOne> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(cluster.ca_pem().unwrap().as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TcpStream::connect(cluster.address(1).unwrap()).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), OneByOne(stream))
}

/// Writes each byte by a call of its own.
struct OneByOne(TcpStream);

impl Read for OneByOne {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for OneByOne {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(&bytes[..bytes.len().min(1)])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[test]
fn requests_arrive_in_any_pieces_with_both_versions_and_the_session_is_closed() {
    let cluster = cluster();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut stream = connect(&cluster, &[version]);
        let request = wire::request(ApiKey::Metadata, 12, 7, Some("test"), &MetadataRequest::default());
        stream.write_all(&request).unwrap();
        let mut length = [0; 4];
        stream.read_exact(&mut length).unwrap();
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut frame).unwrap();
        assert_eq!(frame[..4], 7_i32.to_be_bytes());
        // What is no request closes the connection, and the session is ended first.
        stream.write_all(&u32::MAX.to_be_bytes()).unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap(), 0, "a close_notify, or this were an error");
    }
}

#[test]
fn garbage_within_a_session_and_unfinished_handshakes_end_only_their_connection() {
    let cluster = cluster();
    let mut unfinished = TcpStream::connect(cluster.address(1).unwrap()).unwrap();
    unfinished.write_all(&[22, 3, 1, 0, 200, 1]).unwrap(); // a ClientHello that is cut
    let mut broken = connect(&cluster, &[&rustls::version::TLS13]);
    let request = wire::request(ApiKey::Metadata, 12, 7, Some("test"), &MetadataRequest::default());
    broken.write_all(&request).unwrap();
    broken.read_exact(&mut [0; 4]).unwrap();
    broken.sock.0.write_all(&[23, 3, 3, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap();
    let mut rest = Vec::new();
    assert!(broken.read_to_end(&mut rest).is_err(), "an alert: the record cannot be decrypted");
    let mut fine = connect(&cluster, &[&rustls::version::TLS13]);
    fine.write_all(&request).unwrap();
    fine.read_exact(&mut [0; 4]).unwrap();
    drop(cluster); // although a handshake is not complete
}

/// A client that requests much and reads nothing. The broker goes on to serve others, and the cluster ends.
#[test]
fn a_client_that_does_not_read_holds_up_nobody() {
    let cluster =
        TestCluster::builder().tls().topic(kafka_batch_testing::Topic::new("t").partitions(1_000)).start().unwrap();
    let mut stream = connect(&cluster, &[&rustls::version::TLS13]);
    stream.sock.0.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
    let request =
        wire::request(ApiKey::Metadata, 12, 7, Some("test"), &MetadataRequest { topics: None, ..Default::default() });
    // Each response has tens of kilobytes.
    for _ in 0..300 {
        stream.write_all(&request).unwrap();
    }
    let mut other = connect(&cluster, &[&rustls::version::TLS13]);
    other.write_all(&request).unwrap();
    other.read_exact(&mut [0; 4]).unwrap();
    let mut count = 0;
    let received = cluster.wait_for_request(PATIENCE, |_| {
        count += 1;
        count == 301
    });
    assert!(received.is_some(), "{count} were received");
    drop(cluster);
    drop(stream);
}
