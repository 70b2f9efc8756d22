//! The transport over tokio with a cluster: over sockets, and in memory by a runtime of its own.

#[path = "common/memory.rs"]
mod memory;

use std::io;

use kafka_batch_core::{Record, TopicPartition, Transport};
use kafka_batch_testing::{Fault, FaultKind, MemoryStream, Release, ScramHash, TestCluster, TestClusterBuilder};
use kafka_batch_tokio::TokioProducer;
use memory::MemoryProducer;

async fn send(producer: &impl Transport, topic: &str, values: &[&str]) -> Option<i64> {
    let mut batch = producer.batch();
    batch.extend(values.iter().map(|value| Record::new(*value))).unwrap();
    let accepted = producer.send_batch(batch, TopicPartition::new(topic, 0)).await.unwrap();
    accepted.await.unwrap().offset(0)
}

/// Sends through a cluster whose broker is killed in between.
async fn send_and_restart(cluster: &TestCluster, producer: &impl Transport) {
    assert_eq!(send(producer, "t", &["a", "b"]).await, Some(0));
    cluster.inject(Fault::new(FaultKind::CloseConnection { executed: true }).topic("t"));
    assert_eq!(send(producer, "t", &["c"]).await, Some(2), "stored once although the response was lost");
    assert!(cluster.kill(1));
    assert!(cluster.restart(1).unwrap());
    assert_eq!(send(producer, "t", &["d"]).await, Some(3));
    assert_eq!(cluster.log("t", 0).unwrap().values().unwrap(), ["a", "b", "c", "d"]);
    producer.close().await.unwrap();
}

#[tokio::test]
async fn over_sockets() {
    let cluster = TestCluster::start();
    let servers = cluster.bootstrap_servers();
    let producer = TokioProducer::builder().set("bootstrap.servers", servers).build().unwrap();
    send_and_restart(&cluster, &producer).await;
}

#[tokio::test]
async fn in_memory_without_sockets() {
    let cluster = TestCluster::builder().without_sockets().start().unwrap();
    assert_eq!((cluster.bootstrap_servers(), cluster.address(1)), (String::new(), None));
    let servers = cluster.in_memory_servers();
    let producer = MemoryProducer::builder().set("bootstrap.servers", servers).build().unwrap();
    send_and_restart(&cluster, &producer).await;
    let address = cluster.in_memory_servers().parse().unwrap();
    assert!(MemoryStream::connect(address).is_ok());
    drop(cluster);
    assert_eq!(MemoryStream::connect(address).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn both_at_once() {
    let cluster = TestCluster::builder().brokers(3).default_partitions(3).start().unwrap();
    let over_sockets = TokioProducer::builder().set("bootstrap.servers", cluster.bootstrap_servers()).build().unwrap();
    let in_memory = MemoryProducer::builder().set("bootstrap.servers", cluster.in_memory_servers()).build().unwrap();
    assert_eq!(send(&over_sockets, "t", &["a"]).await, Some(0));
    assert_eq!(send(&in_memory, "t", &["b"]).await, Some(1));
}

fn with_users() -> TestClusterBuilder {
    TestCluster::builder().plain_user("alice", "open sesame").scram_user(ScramHash::Sha256, "bob", "p=,w").scram_user(
        ScramHash::Sha512,
        "carol",
        "secret",
    )
}

#[tokio::test]
async fn users_authenticate_with_every_mechanism() {
    for release in [Release::V0_10, Release::NEWEST] {
        let cluster = with_users().release(release).start().unwrap();
        for (mechanism, user, password, is_right) in [
            ("PLAIN", "alice", "open sesame", true),
            ("SCRAM-SHA-256", "bob", "p=,w", true),
            ("SCRAM-SHA-512", "carol", "secret", true),
            ("PLAIN", "alice", "guess", false),
            ("SCRAM-SHA-256", "bob", "guess", false),
            ("SCRAM-SHA-512", "bob", "p=,w", false),
        ] {
            let builder = TokioProducer::builder()
                .set("bootstrap.servers", cluster.bootstrap_servers())
                .set("security.protocol", "sasl_plaintext")
                .set("sasl.mechanism", mechanism)
                .set("sasl.username", user)
                .set("sasl.password", password)
                .set("request.timeout.ms", if is_right { "30000" } else { "1000" })
                .set("delivery.timeout.ms", if is_right { "60000" } else { "1000" });
            let producer = builder.build().unwrap();
            let mut batch = producer.batch();
            batch.extend([Record::new("v")]).unwrap();
            let delivered = match producer.send_batch(batch, TopicPartition::new("t", 0)).await {
                Ok(pending) => pending.await.inspect_err(|error| println!("{error}")).is_ok(),
                Err(_) => false,
            };
            assert_eq!(delivered, is_right, "{mechanism} {user} {password} {release:?}");
        }
    }
}
