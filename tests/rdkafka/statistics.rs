//! librdkafka's own statistics, which it emits if it is asked to.

use std::time::{Duration, Instant};

use kafka_batch::KafkaBatch;
use kafka_batch::Record;

use crate::cluster::{Cluster, t0};
use crate::futures::block_on;

fn send(producer: &kafka_batch::RdkafkaProducer) {
    let mut batch: KafkaBatch = producer.batch();
    batch.extend([Record::new("value")]).unwrap();
    block_on(block_on(producer.send_batch(batch, t0())).unwrap()).unwrap();
}

#[test]
fn statistics_are_those_of_librdkafka_if_it_is_asked_for_them() {
    let cluster = Cluster::new();
    let silent = cluster.producer();
    send(&silent);
    assert!(silent.statistics().is_none(), "statistics.interval.ms is 0");
    let producer = cluster.builder().set("statistics.interval.ms", "10").build().unwrap();
    let begun = Instant::now();
    loop {
        send(&producer);
        if let Some(statistics) = producer.statistics().filter(|statistics| statistics.txmsgs > 0) {
            assert!(statistics.topics.contains_key("t"), "{:?}", statistics.topics.keys());
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "librdkafka has emitted none");
    }
}
