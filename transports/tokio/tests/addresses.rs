//! The names and addresses that a producer connects to, on this computer: `localhost` has an IPv4 address, and perhaps an IPv6 one.

use kafka_batch_core::Record;
use kafka_batch_testing::TestCluster;
use kafka_batch_tokio::{ProducerBuilder, Tokio, TokioProducer};

fn builder(host: &str, cluster: &TestCluster) -> ProducerBuilder<Tokio> {
    let port = cluster.address(1).unwrap().port();
    let builder = TokioProducer::builder().set("bootstrap.servers", format!("{host}:{port}"));
    builder.set("request.timeout.ms", "500").set("delivery.timeout.ms", "500")
}

/// Sends a message. Returns the text of the error.
async fn send(builder: ProducerBuilder<Tokio>) -> Result<(), String> {
    let producer = builder.build().unwrap();
    let sent = producer.send(("readings", 0), Record::new("21.5")).await;
    producer.close().await.unwrap();
    sent.map(drop).map_err(|error| error.to_string())
}

#[tokio::test]
async fn an_address_that_refuses_does_not_delay_the_others() {
    let cluster = TestCluster::start(); // which listens on an IPv4 address only
    let whole_day = "86400000";
    send(builder("localhost", &cluster).set("connection.attempt.delay.ms", whole_day)).await.unwrap();
}

#[tokio::test]
async fn addresses_of_the_other_family_are_not_tried() {
    let cluster = TestCluster::start();
    send(builder("localhost", &cluster).set("broker.address.family", "v4")).await.unwrap();
    let error = send(builder("127.0.0.1", &cluster).set("broker.address.family", "v6")).await.unwrap_err();
    assert!(error.contains("none of the host's addresses (1) has the family of broker.address.family (v6)"), "{error}");
}

#[tokio::test]
async fn a_bootstrap_server_is_connected_to_by_its_canonical_name() {
    let cluster = TestCluster::start();
    let canonical = ("client.dns.lookup", "resolve_canonical_bootstrap_servers_only");
    send(builder("127.0.0.1", &cluster).set(canonical.0, canonical.1)).await.unwrap();
    // Nobody listens there: the error has the name that the address has.
    let closed = builder("127.0.0.1", &cluster).set(canonical.0, canonical.1);
    drop(cluster);
    let error = send(closed).await.unwrap_err();
    assert!(error.contains(" (127.0.0.1:") || error.contains(" ([::1]:"), "{error}");
}
