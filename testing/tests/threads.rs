//! A cluster that is dropped leaves no thread behind. The only test of its process, because it counts threads.
#![cfg(target_os = "linux")]

mod common;

use std::io::Write as _;
use std::time::{Duration, Instant};

use common::{Client, batch};
use kafka_batch_testing::wire::{self, api_versions::ApiVersionsRequest};
use kafka_batch_testing::{ApiKey, Fault, FaultKind, TestCluster};

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

/// Linux lists a thread for a moment after it was joined, until its exit is complete.
#[track_caller]
fn only_these_remain(before: usize) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while threads() != before {
        assert!(Instant::now() < deadline, "{} threads instead of {before}", threads());
        std::thread::yield_now();
    }
}

#[test]
fn no_thread_remains() {
    let before = threads();
    for _ in 0..3 {
        let cluster = TestCluster::builder().brokers(3).topic("t").start().unwrap();
        let mut clients: Vec<_> = (1..=3).map(|broker| Client::new(&cluster, broker)).collect();
        assert_eq!(clients[0].produce(12, "t", batch(&["a"])).base_offset, 0);
        // A request without a response, and one that waits.
        cluster.inject_at(2, Fault::new(FaultKind::DropRequest));
        let request = clients[0].fetch_request(12, "t", 1);
        clients[1].send(ApiKey::Fetch, 12, &request);
        let request = wire::fetch::FetchRequest { max_wait_ms: i32::MAX, ..request };
        clients[0].send(ApiKey::Fetch, 12, &request);
        assert!(cluster.kill(3));
        assert!(threads() > before);
        drop(cluster);
        only_these_remain(before);
    }
    // A client that does not read what is left to send when the broker closes the connection.
    let cluster = TestCluster::start();
    let mut client = std::net::TcpStream::connect(cluster.bootstrap_servers()).unwrap();
    let request = wire::request(ApiKey::ApiVersions, 0, 1, None, &ApiVersionsRequest::default());
    client.write_all(&request.repeat(100_000)).unwrap();
    client.write_all(&[0xff; 4]).unwrap();
    let has_closed = || cluster.connection_count() == 0;
    while !has_closed() {
        std::thread::yield_now();
    }
    drop(cluster);
    only_these_remain(before);
}
