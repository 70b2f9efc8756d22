//! The machine with brokers that are killed and restarted.

use std::time::Duration;

use kafka_batch::Compression;
use kafka_batch::batch::Stamp;
use kafka_batch::protocol::{ApiKey, ErrorCode};
use kafka_batch_brokers::{Broker, Options, Release};

use super::broker::{Kafka, until};
use super::driven::{Driven, assert_consecutive_sequences, numbered};
use super::producers::stamped;
use super::rows::{NOON, Row, at_offsets, rows};
use super::transaction::idempotent_producer;
use super::wire::{Topic, Wire};

/// With a separate broker, which does not create topics, and is killed between batches.
#[test]
#[ignore = "needs a real broker: cargo with-kafka --kafka 4 -- cargo witnesses --test kafka -- --ignored"]
fn a_broker_that_is_killed_and_restarted_has_each_batch_once() {
    let kafka = Kafka::here();
    let settings = [("auto.create.topics.enable", "false"), ("broker.session.timeout.ms", "3000")];
    let config = settings.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let mut broker =
        Broker::start(Release::find(&kafka.version).unwrap(), &Options { config, ..Options::default() }).unwrap();
    let kafka = Kafka { address: broker.address().to_string(), version: kafka.version };

    let mut short_timeout = Driven::new(&kafka.address, |config| {
        config.request_timeout = Duration::from_secs(2);
        config.delivery_timeout = Duration::from_secs(2);
    });
    let missing = short_timeout.send_rows("missing", 0, &numbered(0..1), Compression::None);
    assert_eq!(short_timeout.rejected(missing).0, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);

    let topic = Wire::connect(&kafka).topic("killed", 1, &[]);
    let mut driven = Driven::idempotent(&kafka);
    let part = |n: i32| numbered(n * 10..n * 10 + 10);
    let mut sent = Vec::new();
    for round in 0..3 {
        sent.extend(
            (round * 100..round * 100 + 100).map(|n| driven.send_rows(&topic.name, 0, &part(n), Compression::Lz4)),
        );
        // Some batches are delivered, some are in flight, some are queued.
        while driven.ends.len() < (round as usize) * 100 + 10 {
            driven.handle_event();
        }
        broker.kill();
        broker.restart().unwrap();
    }
    for (n, id) in (0..).zip(sent) {
        assert_eq!(driven.delivered(id).base_offset(), Some(n * 10));
    }
    let log = wire_log(&kafka, &topic);
    assert_consecutive_sequences(&log);
    assert_eq!(rows(&log), at_offsets(&numbered(0..3_000), 0));
}

fn wire_log(kafka: &Kafka, topic: &Topic) -> Vec<u8> {
    Wire::connect(kafka).log(topic, 0)
}

/// No producer can prevent this: after a broker was killed, it detects duplicates only of producers that it remembers, and it
/// forgets producers by the timestamps of their records. One day (`producer.id.expiration.ms`) is short if old data is published.
#[test]
#[ignore = "needs a real broker: cargo with-kafka --kafka 4 -- cargo witnesses --test kafka -- --ignored"]
fn a_killed_broker_forgets_a_producer_whose_records_are_old() {
    let kafka = Kafka::here();
    let config = vec![("broker.session.timeout.ms".to_owned(), "3000".to_owned())];
    let release = Release::find(&kafka.version).unwrap();
    let mut broker = Broker::start(release, &Options { config, ..Options::default() }).unwrap();
    let kafka = Kafka { address: broker.address().to_string(), version: kafka.version };
    let mut wire = Wire::connect(&kafka);
    let (id, epoch) = idempotent_producer(&mut wire);
    let present = numbered(0..10);
    let old: Vec<Row> = present.iter().map(|row| Row { timestamp: NOON, ..row.clone() }).collect();
    let mut sent = Vec::new();
    for (rows, expected_offset) in [(present, 0), (old, 10)] {
        let topic = wire.topic("forgotten", 1, &[]);
        let batch = stamped(&rows, Compression::None, Stamp::default().producer(id, epoch, 0));
        assert_eq!(wire.append((&topic, 0), &batch), 0);
        assert_eq!(wire.append((&topic, 0), &batch), 0, "the duplicate is detected");
        sent.push((topic, batch, expected_offset));
    }
    broker.kill();
    broker.restart().unwrap();
    let mut wire = Wire::connect(&kafka);
    for (topic, batch, expected_offset) in sent {
        let response = until("a leader of the partition", || {
            let response = wire.produce(wire.newest(ApiKey::Produce), None, (&topic, 0), &batch).unwrap();
            (!response.error_code.is_retriable()).then_some(response)
        });
        assert_eq!((response.error_code, response.base_offset), (ErrorCode::NONE, expected_offset));
    }
}
