//! Transactions over smol and async-std: the handle is that of tokio, so one transaction of each kind shows that it works there.

#![cfg(any(feature = "smol", feature = "async-std"))]

use std::time::Duration;

use kafka_batch_async_std::TransactionalProducer;
use kafka_batch_testing::TestCluster;

async fn commit_and_abort(mut producer: TransactionalProducer) {
    let transaction = producer.begin().await.unwrap();
    transaction.send(("orders", 0), "committed").await.unwrap();
    transaction.commit().await.unwrap();
    let transaction = producer.begin().await.unwrap();
    transaction.send(("orders", 0), "aborted").await.unwrap();
    transaction.abort().await.unwrap();
    let transaction = producer.begin().await.unwrap();
    transaction.send(("orders", 0), "dropped").await.unwrap();
    drop(transaction);
    producer.close().await.unwrap();
}

fn check(cluster: &TestCluster) {
    let limit = Duration::from_secs(20);
    let settled =
        cluster.wait_for_transaction("shop-1", limit, |found| format!("{:?}", found.state).starts_with("Complete"));
    assert!(settled.is_some(), "{:?}", cluster.transaction("shop-1"));
    let log = cluster.log("orders", 0).unwrap();
    assert_eq!((log.committed_values().unwrap(), log.values().unwrap().len()), (vec!["committed".to_owned()], 3));
}

#[cfg(feature = "smol")]
#[test]
fn over_smol() {
    let cluster = TestCluster::start();
    let builder = kafka_batch_async_std::SmolProducer::builder().set("bootstrap.servers", cluster.bootstrap_servers());
    smol::block_on(async {
        commit_and_abort(builder.transactional_id("shop-1").build_transactional().await.unwrap()).await;
    });
    check(&cluster);
}

#[cfg(feature = "async-std")]
#[test]
fn over_async_std() {
    let cluster = TestCluster::start();
    let builder =
        kafka_batch_async_std::AsyncStdProducer::builder().set("bootstrap.servers", cluster.bootstrap_servers());
    async_std::task::block_on(async {
        commit_and_abort(builder.transactional_id("shop-1").build_transactional().await.unwrap()).await;
    });
    check(&cluster);
}
