//! What this library writes, for the others to read.

use std::collections::BTreeMap;

use kafka_batch::proptest::OwnedRecord;
use kafka_batch::{BatchOptions, TokioProducer, TopicPartition, Transport as _};
use kafka_batch_testing::TestCluster;
use tokio::runtime::Runtime;

use crate::clients::Accepts;
use crate::messages::{RecordFields, Target, WriteJob};
use crate::sample::sample;

/// The topic that it writes to.
pub(crate) const TOPIC: &str = "kafka-batch";

/// Writes the sample to each partition, and returns what it wrote.
pub(crate) fn write(cluster: &TestCluster, targets: Vec<Target>) -> BTreeMap<(String, i32), Vec<RecordFields>> {
    let records = sample(Accepts::EVERYTHING);
    append(cluster, TOPIC, &targets, &records);
    let job = WriteJob::new(TOPIC.to_owned(), targets, &records);
    job.partitions.iter().map(|target| ((TOPIC.to_owned(), target.partition), job.records.clone())).collect()
}

/// Writes the records to each partition, in two batches.
pub(crate) fn append(cluster: &TestCluster, topic: &str, targets: &[Target], records: &[OwnedRecord]) {
    Runtime::new().unwrap().block_on(async {
        for Target { partition, codec, idempotent } in targets {
            let idempotent = if *idempotent { "true" } else { "false" };
            let builder = TokioProducer::builder().set("bootstrap.servers", cluster.bootstrap_servers());
            let producer = builder.set("enable.idempotence", idempotent).build().unwrap();
            let options = BatchOptions::default().compression(codec.parse().unwrap()).batch_size(1_000_000);
            for part in records.chunks(records.len().div_ceil(2)) {
                let mut batch = options.clone().build(part[0].timestamp.unwrap()).unwrap();
                for record in part {
                    assert!(batch.append(record.borrowed()).unwrap().appended().is_some());
                }
                producer.send_batch(batch, TopicPartition::new(topic, *partition)).await.unwrap().await.unwrap();
            }
            producer.close().await.unwrap();
        }
    });
}
