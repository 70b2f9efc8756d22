//! A broker can be killed, and its cluster ends, in a process that has no file descriptor left.
#![cfg(target_os = "linux")]

use std::fs::File;
use std::io::ErrorKind;
use std::net::TcpStream;
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use kafka_batch_testing::TestCluster;

/// Set in the process whose file descriptors are limited.
const LIMITED: &str = "KAFKA_BATCH_TEST_LIMITED_DESCRIPTORS";

#[test]
fn a_cluster_ends_without_a_free_file_descriptor() {
    if std::env::var_os(LIMITED).is_none() {
        let this = std::env::current_exe().unwrap();
        let child =
            Command::new("sh").args(["-c", "ulimit -n 100 && exec \"$0\""]).arg(this).env(LIMITED, "1").output();
        let child = child.unwrap();
        assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
        return;
    }
    let cluster = TestCluster::start();
    let address = cluster.address(1).unwrap();
    let client = TcpStream::connect(address).unwrap();
    while cluster.connection_count() == 0 {
        std::thread::yield_now();
    }
    let mut open = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        open.push(file);
    }
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        assert!(cluster.kill(1));
        drop(cluster);
        sender.send(()).unwrap();
    });
    receiver.recv_timeout(Duration::from_secs(30)).expect("the cluster ends");
    drop((client, open));
    let refused = TcpStream::connect(address).map_err(|error| error.kind());
    assert_eq!(refused.err(), Some(ErrorKind::ConnectionRefused), "the port is closed");
}
