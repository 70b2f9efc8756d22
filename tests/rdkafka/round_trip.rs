//! What is handed over is what arrives.

use std::collections::HashMap;

use kafka_batch::kit::proptest::prelude::*;
use kafka_batch::kit::{OwnedHeader, OwnedRecord, strategy};
use kafka_batch::{BatchOptions, KafkaBatch, Magic, MagicChoice, Record, Timestamp, TopicPartition, Transport};
use rskafka::client::ClientBuilder;
use rskafka::client::partition::UnknownTopicHandling;

use crate::cluster::{Cluster, batch, counted, t0};
use crate::futures::block_on;

fn batch_of(records: &[OwnedRecord]) -> KafkaBatch {
    let mut batch = BatchOptions::default().batch_size(1_000_000).build(1_700_000_000_000).unwrap();
    for record in records {
        assert!(!batch.append(&record.borrowed()).unwrap().is_full());
    }
    batch
}

/// Sends the records as one batch, and reads back what is at the offsets that they are said to have.
fn there_and_back(cluster: &Cluster, records: &[OwnedRecord]) -> Vec<OwnedRecord> {
    let producer = cluster.producer();
    let delivery = block_on(block_on(producer.send_batch(batch_of(records), t0())).unwrap()).unwrap();
    let mut log: HashMap<i64, OwnedRecord> = cluster.log().into_iter().collect();
    delivery.records().map(|delivered| log.remove(&delivered.offset.unwrap()).unwrap()).collect()
}

#[test]
fn every_field_arrives_as_it_was() {
    let full = OwnedRecord {
        key: Some(b"key".to_vec()),
        value: Some(b"value".to_vec()),
        headers: vec![OwnedHeader::new("name", "value")],
        timestamp: Some(Timestamp::from_millis(1_700_000_000_123)),
    };
    let at = |millis| OwnedRecord { timestamp: Some(Timestamp::from_millis(millis)), ..full.clone() };
    let headers = vec![
        OwnedHeader::new("b", "1"),
        OwnedHeader::null("a"),
        OwnedHeader::new("a", ""),
        OwnedHeader::new("b", "2"),
        OwnedHeader::new("", "no name"),
        OwnedHeader::null(""),
        OwnedHeader::new("größe", [0_u8, 255, 0]),
    ];
    let records = [
        full.clone(),
        OwnedRecord { key: None, ..full.clone() },
        OwnedRecord { key: Some(vec![]), ..full.clone() },
        OwnedRecord { value: None, ..full.clone() },
        OwnedRecord { value: Some(vec![]), ..full.clone() },
        OwnedRecord { key: None, value: None, ..full.clone() },
        OwnedRecord { value: Some(vec![0; 10_000]), ..full.clone() },
        OwnedRecord { headers: vec![], ..full.clone() },
        OwnedRecord { headers, ..full.clone() },
        at(1),
        at(-1),
        at(-2),
        at(-62_135_596_800_000), // the year 1
        at(253_402_300_799_999), // the year 9999
        at(1_600_000_000_000),   // backwards
    ];
    assert_eq!(there_and_back(&Cluster::new(), &records), records);
}

#[test]
fn any_records_arrive_as_they_were() {
    let cluster = Cluster::new();
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(16) };
    proptest!(config, |(mut records in strategy::records(1..30))| {
        for record in &mut records {
            let timestamp = record.timestamp.get_or_insert(Timestamp::from_millis(1_700_000_000_000));
            if timestamp.millis() == 0 {
                *timestamp = Timestamp::from_millis(1); // librdkafka's "now", which is refused
            }
        }
        prop_assert_eq!(there_and_back(&cluster, &records), records);
    });
}

/// Read with another consumer: librdkafka's hands names out as C strings, which end at the first NUL.
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
fn offsets_go_on_from_batch_to_batch_and_count_for_each_partition() {
    let cluster = Cluster::new();
    let producer = cluster.producer();
    let mut expected = [0; 3];
    for (partition, count) in [(0, 3), (1, 1), (0, 5), (2, 2), (1, 4), (0, 1)] {
        let to = TopicPartition::new("t", partition as i32);
        let sent = block_on(producer.send_batch(batch(counted(count)), to.clone())).unwrap();
        let delivery = block_on(sent).unwrap();
        assert_eq!(delivery.topic_partition(), &to);
        assert_eq!(delivery.base_offset(), Some(expected[partition]));
        assert_eq!(delivery.offset(count - 1), Some(expected[partition] + count as i64 - 1));
        assert_eq!(delivery.offset(count), None);
        expected[partition] += count as i64;
    }
    assert_eq!([0, 1, 2].map(|partition| cluster.log_of(partition).len() as i64), expected);
}

#[test]
fn batches_that_are_on_their_way_together_stay_whole_and_in_order() {
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
fn a_delivery_has_the_brokers_time_and_the_batch() {
    let cluster = Cluster::new();
    let sent = batch(["a", "b"]);
    let delivery = block_on(block_on(cluster.producer().send_batch(sent.clone(), t0())).unwrap()).unwrap();
    // What librdkafka's mock broker answers to every Produce request.
    assert_eq!(delivery.log_append_time(), Some(Timestamp::from_millis(1_234)));
    assert!(delivery.records().all(|record| record.timestamp.millis() == 1_234));
    assert_eq!(delivery.into_batch(), sent);
}

#[test]
fn a_batch_of_an_old_format_goes_out_in_the_brokers() {
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
fn librdkafka_compresses_with_what_it_was_built_with() {
    for codec in ["none", "gzip", "snappy", "lz4"] {
        let cluster = Cluster::new();
        let producer = cluster.builder().set("compression.type", codec).create().unwrap();
        let values = vec!["the same again"; 500];
        block_on(block_on(producer.send_batch(batch(&values), t0())).unwrap()).unwrap();
        assert_eq!(cluster.values(), values, "{codec}");
    }
}

#[test]
fn without_acknowledgements_no_offset_is_known() {
    let cluster = Cluster::new();
    let producer = cluster.builder().set("acks", "0").create().unwrap();
    let values = counted(1_500); // librdkafka's made-up offsets reach 0 at the 1002nd
    let delivery = block_on(block_on(producer.send_batch(batch(&values), t0())).unwrap()).unwrap();
    assert!((0..values.len()).all(|position| delivery.offset(position).is_none()));
    assert_eq!(delivery.base_offset(), None);
}
