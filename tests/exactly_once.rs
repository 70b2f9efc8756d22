//! The loop consume-transform-produce of `docs/exactly_once.md`, with librdkafka's consumer and the cluster for tests: every request
//! has one response, although the loop is interrupted at many points.

#[allow(unreachable_pub, reason = "it is shown as a part of a program")]
mod documented {
    use kafka_batch_witnesses::rdkafka;

    include!("../docs/exactly_once_loop.rs");
}

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_batch::{Record, TokioProducer, TopicPartition};
use kafka_batch_testing::{ApiKey, Fault, FaultKind, TestCluster};

const REQUESTS: usize = 1_000;

fn committed(cluster: &TestCluster) -> Vec<String> {
    cluster.log("responses", 0).map_or(Vec::new(), |log| log.committed_values().unwrap())
}

#[test]
fn the_guide_shows_this_loop() {
    let (guide, shown) = (include_str!("../docs/exactly_once.md"), include_str!("../docs/exactly_once_loop.rs"));
    assert!(guide.contains(shown), "docs/exactly_once.md must contain docs/exactly_once_loop.rs");
    assert!(guide.contains(include_str!("../core/src/machine/transactions/states.txt")), "and the table of states");
}

#[tokio::test]
async fn every_request_has_one_response() {
    for level in [0, 2] {
        let cluster = TestCluster::builder().brokers(3).topic("requests").topic("responses").start().unwrap();
        cluster.set_transaction_version(level);
        let brokers = cluster.bootstrap_servers();
        let producer = TokioProducer::builder().set("bootstrap.servers", &*brokers).build().unwrap();
        for number in 0..REQUESTS {
            let mut batch = producer.batch();
            batch.extend([Record::new(&format!("request {number}"))]).unwrap();
            drop(producer.send_batch(batch, TopicPartition::new("requests", 0)).await.unwrap());
        }
        producer.flush().await.unwrap();
        let expected: BTreeMap<_, _> = (0..REQUESTS).map(|number| (format!("REQUEST {number}"), 1)).collect();
        // Each instance is stopped at another moment, and fenced by the next one; requests are lost meanwhile.
        let mut interruptions = 0;
        while committed(&cluster).len() < REQUESTS {
            for api in [ApiKey::EndTxn, ApiKey::Produce, ApiKey::TxnOffsetCommit, ApiKey::AddPartitionsToTxn] {
                cluster.inject(Fault::new(FaultKind::CloseConnection { executed: interruptions % 2 == 0 }).api(api));
            }
            let instance = documented::respond(&brokers, 0);
            let lifetime = Duration::from_millis(60 + 30 * interruptions);
            match tokio::time::timeout(lifetime, instance).await {
                Ok(Err(error)) => println!("level {level}: {error}"),
                Ok(Ok(())) => unreachable!("it has no end"),
                Err(_) => {}
            }
            cluster.end_faults();
            interruptions += 1;
            assert!(interruptions < 60, "level {level}: {} responses", committed(&cluster).len());
        }
        let mut found = BTreeMap::new();
        committed(&cluster).into_iter().for_each(|response| *found.entry(response).or_insert(0) += 1);
        println!("level {level}: {interruptions} instances");
        assert_eq!(found, expected, "level {level}, after {interruptions} interruptions");
    }
}
