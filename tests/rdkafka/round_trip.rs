//! Records arrive unchanged.

use std::collections::HashMap;

use kafka_batch::proptest::proptest::prelude::*;
use kafka_batch::proptest::{OwnedHeader, OwnedRecord, strategy};
use kafka_batch::{BatchOptions, KafkaBatch, Magic, MagicChoice, Record, Timestamp};
use kafka_batch_witnesses::rskafka::client::ClientBuilder;
use kafka_batch_witnesses::rskafka::client::partition::UnknownTopicHandling;

use crate::cluster::{Cluster, t0};
use crate::futures::block_on;
use crate::log::batch;

fn batch_of(records: &[OwnedRecord]) -> KafkaBatch {
    let mut batch = BatchOptions::default().batch_size(1_000_000).build(1_700_000_000_000).unwrap();
    for record in records {
        assert!(!batch.append(record.borrowed()).unwrap().is_full());
    }
    batch
}

/// Sends the records as one batch, and reads back what is at the reported offsets.
fn sent_and_read_back(cluster: &Cluster, records: &[OwnedRecord]) -> Vec<OwnedRecord> {
    let producer = cluster.producer();
    let delivery = block_on(block_on(producer.send_batch(batch_of(records), t0())).unwrap()).unwrap();
    let mut log: HashMap<i64, OwnedRecord> = cluster.log().into_iter().collect();
    delivery.records().map(|delivered| log.remove(&delivered.offset.unwrap()).unwrap()).collect()
}

#[test]
fn any_records_arrive_unchanged() {
    let cluster = Cluster::new();
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(16) };
    proptest!(config, |(mut records in strategy::records(1..30))| {
        for record in &mut records {
            let timestamp = record.timestamp.get_or_insert(Timestamp::from_millis(1_700_000_000_000));
            if timestamp.millis() == 0 {
                *timestamp = Timestamp::from_millis(1); // librdkafka's "now", which is rejected
            }
        }
        prop_assert_eq!(sent_and_read_back(&cluster, &records), records);
    });
}

/// Read with another consumer: librdkafka's returns names as C strings, which end at the first NUL.
#[tokio::test]
async fn a_nul_in_a_header_name_arrives() {
    let cluster = Cluster::new();
    let record = OwnedRecord { headers: vec![OwnedHeader::new("a\0b", "1")], ..OwnedRecord::new("value") };
    let producer = cluster.producer();
    producer.send_batch(batch_of(&[record]), t0()).await.unwrap().await.unwrap();
    let client = ClientBuilder::new(vec![cluster.mock.bootstrap_servers()]).build().await.unwrap();
    let partition = client.partition_client("t", 0, UnknownTopicHandling::Error).await.unwrap();
    let (records, _) = partition.fetch_records(0, 1..1_000_000, 5_000).await.unwrap();
    assert_eq!(records[0].record.headers["a\0b"], b"1");
}

#[test]
fn batches_in_flight_together_stay_complete_and_in_order() {
    let cluster = Cluster::new();
    let producer = cluster.producer();
    let values = |number: usize| (0..40).map(move |position| format!("{number}/{position}"));
    let pending: Vec<_> =
        (0..50).map(|number| block_on(producer.send_batch(batch(values(number)), t0())).unwrap()).collect();
    for (number, pending) in pending.into_iter().enumerate() {
        let delivery = block_on(pending).unwrap();
        assert_eq!(delivery.base_offset(), Some(40 * number as i64));
    }
    assert_eq!(cluster.values(), (0..50).flat_map(values).collect::<Vec<_>>());
}

#[test]
fn a_batch_of_an_old_format_is_sent_in_the_broker_s() {
    for (magic, timestamp) in [(Magic::V0, Timestamp::NO_TIMESTAMP), (Magic::V1, Timestamp::from_millis(7))] {
        let cluster = Cluster::new();
        let mut batch = BatchOptions::default().magic(MagicChoice::Pinned(magic)).build(1).unwrap();
        let _ = batch.append(Record::new("value").timestamp(7)).unwrap();
        block_on(block_on(cluster.producer().send_batch(batch, t0())).unwrap()).unwrap();
        let stored = OwnedRecord { timestamp: Some(timestamp), ..OwnedRecord::new("value") };
        assert_eq!(cluster.log(), [(0, stored)]);
    }
}

#[test]
fn librdkafka_compresses_with_the_codecs_of_its_build() {
    for codec in ["none", "gzip", "snappy", "lz4"] {
        let cluster = Cluster::new();
        let producer = cluster.builder().set("compression.type", codec).build().unwrap();
        let values = vec!["the same again"; 500];
        block_on(block_on(producer.send_batch(batch(&values), t0())).unwrap()).unwrap();
        assert_eq!(cluster.values(), values, "{codec}");
    }
}
