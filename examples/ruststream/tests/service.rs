//! The service, over a Kafka cluster in this process.

use kafka_batch::TokioProducer;
use kafka_batch_example_ruststream::{Announcement, Order, app};
use kafka_batch_testing::TestCluster;
use ruststream::memory::prelude::*;
use ruststream::testing::TestApp;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_fills_batches_and_decides_when_they_are_full() {
    let cluster = TestCluster::start();
    let brokers = cluster.bootstrap_servers();
    let producer = TokioProducer::builder().set("bootstrap.servers", brokers).set("batch.size", "300").build().unwrap();
    let broker = MemoryBroker::new();
    let orders = broker.publisher();
    let tb = TestApp::start(app(broker, producer.clone())).await.unwrap();

    // Through a publisher of the broker, so that they arrive as one batch.
    for id in 0..20 {
        orders.message(&Order { id, customer: format!("customer {id}") }).to("orders").publish().await.unwrap();
    }
    tb.settle().await.unwrap();
    tb.broker::<MemoryBroker>().subscriber("orders").settled(HandlerOutcome::ack());

    let log = cluster.log("confirmations", 0).unwrap();
    let ids: Vec<u64> =
        log.values().unwrap().iter().map(|value| serde_json::from_str::<Order>(value).unwrap().id).collect();
    assert_eq!(ids, (0..20).collect::<Vec<_>>());
    assert!(log.batches().len() > 1, "they need more than one batch");
    assert!(log.batches().iter().all(|batch| batch.bytes.len() <= 300));
    assert!(cluster.violations().is_empty());

    tb.message(&Announcement { text: "closed on Sunday".into() }).to("news").publish().await.unwrap();
    tb.broker::<MemoryBroker>().subscriber("news").assert_called_once().settled(HandlerOutcome::ack());
    let news = cluster.log("announcements", 0).unwrap().values().unwrap();
    assert_eq!(news, [r#"{"text":"closed on Sunday"}"#]);
}
