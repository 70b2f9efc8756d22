//! Records arrive unchanged.

use kafka_batch::compression::Codec;
use kafka_batch::message::{Message, OutgoingMessage, Tombstone};
use kafka_batch::proptest::{OwnedHeader, OwnedRecord};
use kafka_batch::{BatchOptions, Compression, Header, KafkaBatch, Publish, SendErrorReason, Timestamp, Transport};

use crate::cluster::Cluster;
use crate::log::{batch, counted};
use crate::subject::{Subject, Wanted};

over_each_transport_and_to_kafka! {
    every_field_arrives_unchanged
    headers_of_every_layer_with_nulls_and_duplicates
    the_timestamp_zero
    tombstones_and_empty_values
    every_codec
    offsets_continue_from_batch_to_batch_in_each_partition
    without_acknowledgements_no_offset_is_known
}

over_each_transport! {
    a_delivery_has_the_broker_s_time
}

const NOON: i64 = 1_700_000_000_000;

fn of(records: &[OwnedRecord]) -> KafkaBatch {
    let mut batch = BatchOptions::default().batch_size(1_000_000).build(NOON).unwrap();
    for record in records {
        assert!(!batch.append(record.borrowed()).unwrap().is_full());
    }
    batch
}

fn at(millis: i64) -> OwnedRecord {
    OwnedRecord { timestamp: Some(Timestamp::from_millis(millis)), ..OwnedRecord::new("value") }
}

async fn every_field_arrives_unchanged<S: Subject>(cluster: Cluster) {
    let full = OwnedRecord { key: Some(b"key".to_vec()), headers: vec![OwnedHeader::new("name", "value")], ..at(NOON) };
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
        at(1_600_000_000_000),   // decreasing
    ];
    let delivery = cluster.producer::<S>().send_batch(of(&records), cluster.partition(0)).await.unwrap().await.unwrap();
    assert!(delivery.records().map(|record| record.offset.unwrap()).eq(0..records.len() as i64));
    assert!(cluster.log().into_iter().map(|(_, record)| record).eq(records));
}

async fn headers_of_every_layer_with_nulls_and_duplicates<S: Subject>(cluster: Cluster) {
    let publisher = [Header::new("of the publisher", "p"), Header::new("everywhere", "p")];
    let call =
        [Header::new("everywhere", "c"), Header::null("null"), Header::new("twice", "1"), Header::new("twice", "2")];
    let own =
        OutgoingMessage::new("text").header("everywhere", "m").header("empty", "").header("reply_to", "elsewhere");
    let messages = [OutgoingMessage::new("text"), own];
    let publish = Publish::to(cluster.topic()).partition(0).messages(&messages).timestamp(NOON);
    let publish = publish.publisher_headers(&publisher).headers(&call).correlation_id("42").reply_to("answers");
    cluster.producer::<S>().publish_batch(publish).await.unwrap();
    let headers = |reply_to: &str, everywhere: &str| {
        vec![
            OwnedHeader::new("content-type", "text/plain"),
            OwnedHeader::new("correlation_id", "42"),
            OwnedHeader::new("reply_to", reply_to),
            OwnedHeader::new("of the publisher", "p"),
            OwnedHeader::new("everywhere", everywhere),
            OwnedHeader::null("null"),
            OwnedHeader::new("twice", "1"),
            OwnedHeader::new("twice", "2"),
        ]
    };
    let mut with_own = headers("elsewhere", "m");
    with_own.push(OwnedHeader::new("empty", ""));
    let arrived: Vec<_> = cluster.log().into_iter().map(|(_, record)| record.headers).collect();
    assert_eq!(arrived, [headers("answers", "c"), with_own]);
}

/// librdkafka takes it for "now", so its transport rejects such a record instead of changing it.
async fn the_timestamp_zero<S: Subject>(cluster: Cluster) {
    let producer = cluster.producer::<S>();
    match producer.send_batch(of(&[at(0)]), cluster.partition(0)).await {
        Ok(pending) => {
            assert!(producer.capabilities().one_batch_on_the_wire);
            pending.await.unwrap();
            assert_eq!(cluster.log(), [(0, at(0))]);
        }
        Err(error) => {
            assert!(!producer.capabilities().one_batch_on_the_wire, "{error}");
            assert!(matches!(error.reason, SendErrorReason::Transport(_)), "{error}");
            assert_eq!(*error.batch, of(&[at(0)]));
        }
    }
}

async fn tombstones_and_empty_values<S: Subject>(cluster: Cluster) {
    let messages = [&() as &(dyn Message + Sync), &Tombstone, &b"bytes", &""];
    let publish = Publish::to(cluster.topic()).partition(0).key("k").messages(&messages);
    cluster.producer::<S>().publish_batch(publish).await.unwrap();
    let values: Vec<_> = cluster.log().into_iter().map(|(_, record)| record.value).collect();
    assert_eq!(values, [Some(vec![]), None, Some(b"bytes".to_vec()), Some(vec![])]);
}

async fn every_codec<S: Subject>(cluster: Cluster) {
    let values = vec!["the same again"; 500];
    let codecs: Vec<_> = Codec::ALL.into_iter().filter_map(Compression::with_default_level).collect();
    for (number, codec) in codecs.iter().enumerate() {
        let options = BatchOptions::default().batch_size(1 << 20).compression(*codec);
        let producer = S::create(Wanted { options, ..cluster.wanted() });
        let delivery =
            producer.publish_batch(Publish::to(cluster.topic()).partition(0).messages(&values)).await.unwrap();
        assert_eq!(delivery.base_offset(), Some(500 * number as i64), "{codec}");
    }
    assert_eq!(cluster.values(), vec!["the same again"; 500 * codecs.len()]);
}

async fn offsets_continue_from_batch_to_batch_in_each_partition<S: Subject>(cluster: Cluster) {
    let producer = cluster.producer::<S>();
    let mut expected = [0; 3];
    for (partition, count) in [(0, 3), (1, 1), (0, 5), (2, 2), (1, 4), (0, 1)] {
        let to = cluster.partition(partition as i32);
        let delivery = producer.send_batch(batch(counted(count)), to.clone()).await.unwrap().await.unwrap();
        assert_eq!(delivery.topic_partition(), &to);
        assert_eq!(delivery.base_offset(), Some(expected[partition]));
        expected[partition] += count as i64;
    }
    let lengths = [0, 1, 2].map(|partition| cluster.log_of(partition).len() as i64);
    assert_eq!(lengths, expected);
}

async fn a_delivery_has_the_broker_s_time<S: Subject>() {
    let cluster = Cluster::with_append_time();
    let sent = batch(["a", "b"]);
    let delivery = cluster.producer::<S>().send_batch(sent.clone(), cluster.partition(0)).await.unwrap().await.unwrap();
    cluster.assert_has_append_time(&delivery);
    let time = delivery.log_append_time().unwrap();
    assert!(delivery.records().all(|record| record.timestamp == time));
    assert_eq!(delivery.into_batch(), sent);
}

async fn without_acknowledgements_no_offset_is_known<S: Subject>(cluster: Cluster) {
    let producer = S::create(Wanted { acks: "0", ..cluster.wanted() });
    let values = counted(1_500); // the offsets that librdkafka makes up would reach 0 at the 1002nd
    let delivery = producer.send_batch(batch(&values), cluster.partition(0)).await.unwrap().await.unwrap();
    assert_eq!((delivery.base_offset(), delivery.record_count()), (None, 1_500));
    assert!(delivery.records().all(|record| record.offset.is_none()));
}
