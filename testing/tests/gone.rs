//! Clients that do not read, and clients that are gone: what a broker keeps for them is limited, and ends with them.

mod common;

use std::io::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use common::{Client, PATIENCE, batch};
use futures_io::{AsyncRead as _, AsyncWrite as _};
use kafka_batch_testing::simulated::{ClusterSettings, Engine, EngineSettings, Users, Variation};
use kafka_batch_testing::wire::fetch::FetchResponse;
use kafka_batch_testing::{ApiKey, MemoryStream, Release, TestCluster, wire};

const REQUESTS: usize = 300;

/// Returns a cluster with a megabyte in a partition, and that many requests for it.
fn cluster_with_a_megabyte() -> (TestCluster, Bytes) {
    let cluster = TestCluster::builder().topic("t").start().unwrap();
    let mut client = Client::new(&cluster, 1);
    assert_eq!(client.produce(12, "t", batch(&[&"x".repeat(1_000_000)])).error_code, 0);
    let request = client.fetch_request(12, "t", 0);
    let requests = wire::request(ApiKey::Fetch, 12, 7, Some("test"), &request).repeat(REQUESTS);
    assert!(requests.len() < 1 << 15, "they arrive at once");
    drop(cluster.take_requests());
    (cluster, requests.into())
}

#[test]
fn responses_that_a_client_does_not_read_are_limited() {
    let (cluster, requests) = cluster_with_a_megabyte();
    let mut client = Client::new(&cluster, 1);
    client.0.write_all(&requests).unwrap();
    assert!(cluster.wait_for_request(PATIENCE, |request| request.api == ApiKey::Fetch).is_some());
    assert!(cluster.requests().len() < 100, "{} megabytes are kept", cluster.requests().len());
    // Another client is served meanwhile.
    assert_eq!(Client::new(&cluster, 1).metadata(12, "t").topics[0].error_code, 0);
    // The others are executed once it reads.
    for _ in 0..REQUESTS {
        let response: FetchResponse = client.receive(ApiKey::Fetch, 12);
        assert!(response.responses[0].partitions[0].records.as_ref().unwrap().len() > 1_000_000);
    }
}

#[test]
fn responses_that_a_client_in_memory_does_not_read_are_limited() {
    let (cluster, requests) = cluster_with_a_megabyte();
    let mut stream = MemoryStream::connect(cluster.in_memory_servers().parse().unwrap()).unwrap();
    let mut context = Context::from_waker(Waker::noop());
    let written = Pin::new(&mut stream).poll_write(&mut context, &requests);
    assert!(matches!(written, Poll::Ready(Ok(count)) if count == requests.len()), "{written:?}");
    assert!(cluster.requests().len() < 100, "{} megabytes are kept", cluster.requests().len());
    let written = Pin::new(&mut stream).poll_write(&mut context, &requests);
    assert!(written.is_pending(), "{written:?}");
    let (mut buffer, mut total) = (vec![0; 1 << 20], 0);
    while let Poll::Ready(read) = Pin::new(&mut stream).poll_read(&mut context, &mut buffer) {
        total += read.unwrap();
    }
    assert!(total > REQUESTS * 1_000_000, "{total}");
    assert_eq!(cluster.requests().len(), REQUESTS);
}

#[test]
fn a_client_that_does_not_read_and_is_gone_is_noticed() {
    let (cluster, requests) = cluster_with_a_megabyte();
    let mut client = Client::new(&cluster, 1);
    client.0.write_all(&requests).unwrap();
    assert!(cluster.wait_for_request(PATIENCE, |request| request.api == ApiKey::Fetch).is_some());
    drop(client);
    no_connection_remains(&cluster);
}

#[test]
fn a_client_that_is_gone_is_noticed_while_a_request_waits() {
    let cluster = TestCluster::builder().topic("t").start().unwrap();
    let mut client = Client::new(&cluster, 1);
    let request = client.fetch_request(12, "t", 0);
    let request = wire::fetch::FetchRequest { max_wait_ms: i32::MAX, ..request };
    for _ in 0..3 {
        client.send(ApiKey::Fetch, 12, &request);
    }
    assert!(cluster.wait_for_request(PATIENCE, |request| request.api == ApiKey::Fetch).is_some());
    drop(client);
    no_connection_remains(&cluster);
}

#[track_caller]
fn no_connection_remains(cluster: &TestCluster) {
    let until = Instant::now() + PATIENCE;
    while cluster.connection_count() > 0 {
        assert!(Instant::now() < until, "{} connections remain", cluster.connection_count());
        std::thread::yield_now();
    }
}

/// A consumer that is gone would otherwise be remembered for as long as it wanted to wait, up to 24 days.
#[test]
fn a_fetch_request_ends_with_its_connection() {
    let mut engine = Engine::new(EngineSettings {
        cluster: ClusterSettings::default(),
        releases: vec![Release::NEWEST],
        users: Users::default(),
        variation: Variation::NONE,
        request_max_bytes: 1 << 20,
        recording: true,
        seed: 1,
    });
    engine.cluster.create("t", 1, Duration::ZERO);
    let cluster = TestCluster::builder().topic("t").start().unwrap();
    let request = Client::new(&cluster, 1).fetch_request(12, "t", 0);
    let request = wire::fetch::FetchRequest { max_wait_ms: i32::MAX, ..request };
    engine.brokers[0].accept(1, 0);
    engine.brokers[0].receive(1, &wire::request(ApiKey::Fetch, 12, 7, None, &request).repeat(2));
    assert!(engine.turn(Duration::ZERO).is_empty());
    assert!(engine.wakes_at().is_some());
    engine.brokers[0].client_closed(1);
    assert!(engine.turn(Duration::ZERO).is_empty());
    assert_eq!(engine.wakes_at(), None);
    assert_eq!(engine.requests.len(), 2);
}
