//! The machine over plain sockets: the outcome that it reports for each batch is correct.

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_batch::decode::TimestampType;
use kafka_batch::machine::{CloseMode, TopicLookupError};
use kafka_batch::protocol::{Acks, ApiKey, ErrorCode};
use kafka_batch::{Compression, FailureReason, Fate, Magic, TopicPartition};

use super::broker::{Kafka, unique, until};
use super::driven::{Driven, assert_consecutive_sequences, numbered, places, places_of, read_by_librdkafka};
use super::rows::{self, NOON, Row, at_offsets, batches, bulk, rows, rows_of_another_decoder, sample};
use super::wire::Wire;
use super::{codecs, segments, tools};

#[test]
#[ignore = "needs a real broker: cargo with-kafka --kafka 4 -- cargo witnesses --test kafka -- --ignored"]
fn many_batches_in_flight_arrive_once_and_in_order_in_every_codec() {
    let kafka = Kafka::here();
    let mut wire = Wire::connect(&kafka);
    let topic = wire.topic("machine", codecs().len() as i32, &[]);
    let mut driven = Driven::idempotent(&kafka);
    let parts: Vec<_> = (0..10).flat_map(|_| [sample(), bulk(), sample()]).collect();
    let mut sent = Vec::new();
    for part in &parts {
        for (partition, compression) in (0..).zip(codecs()) {
            sent.push((partition, driven.send_rows(&topic.name, partition, part, compression)));
        }
    }
    let mut expected = vec![Vec::new(); codecs().len()];
    for ((partition, id), part) in sent.into_iter().zip(parts.iter().flat_map(|part| vec![part; codecs().len()])) {
        let delivery = driven.delivered(id);
        let stored: &mut Vec<Row> = &mut expected[partition as usize];
        let rows = at_offsets(part, stored.len() as i64);
        assert_eq!(places(&delivery), places_of(&rows));
        assert_eq!((delivery.log_append_time(), delivery.log_start_offset()), (None, Some(0)));
        assert_eq!(delivery.topic_partition(), &TopicPartition::new(&topic.name, partition));
        stored.extend(rows);
    }

    // The bootstrap server and the leader are the same broker, with which the newest versions are used.
    for versions in &driven.versions {
        assert_eq!(versions.produce, wire.newest(ApiKey::Produce));
        assert_eq!(versions.metadata, wire.newest(ApiKey::Metadata));
        assert_eq!(versions.init_producer_id, Some(wire.newest(ApiKey::InitProducerId)));
        assert_eq!(versions.magic(), Magic::V2);
    }
    println!("negotiated: {:?}", driven.versions[0]);
    assert_eq!(driven.versions.len(), 2);
    assert!(driven.close(CloseMode::Graceful).is_empty());

    for ((partition, expected), compression) in (0..).zip(&expected).zip(codecs()) {
        let log = wire.log(&topic, partition);
        assert_consecutive_sequences(&log);
        assert!(batches(&log).iter().all(|batch| batch.codec() == compression.codec()));
        assert_eq!(batches(&log).len(), parts.len(), "batches were split or merged");
        assert_eq!(&rows(&log), expected, "{compression}");
        assert_eq!(rows_of_another_decoder(&log), rows::without_repeated_headers(expected), "{compression}");
        assert_eq!(&read_by_librdkafka(&kafka, &topic.name, partition, expected.len()), expected, "{compression}");
    }
    let segments: Vec<_> = (0..).zip(&expected).map(|(partition, _)| kafka.segment(&topic.name, partition)).collect();
    let count = segments::compare_with_dump(&segments);
    assert_eq!(count, expected.iter().map(Vec::len).sum::<usize>());
    let consumed = tools::consume(&kafka, &topic.name, count, false);
    for (partition, expected) in (0..).zip(&expected) {
        assert_eq!(&tools::of_partition(&consumed, partition), expected);
    }
}

#[test]
#[ignore = "needs a real broker: cargo with-kafka --kafka 4 -- cargo witnesses --test kafka -- --ignored"]
fn with_fewer_acks_batches_arrive_in_order() {
    let kafka = Kafka::here();
    let mut wire = Wire::connect(&kafka);
    for acks in [Acks::None, Acks::Leader] {
        let topic = wire.topic("machine-acks", 1, &[]);
        let mut driven = Driven::new(&kafka.address, |config| config.acks = acks);
        let sent: Vec<_> = (0..200)
            .map(|n| driven.send_rows(&topic.name, 0, &numbered(n * 10..n * 10 + 10), Compression::Lz4))
            .collect();
        for (n, id) in (0..).zip(sent) {
            let delivery = driven.delivered(id);
            assert_eq!(delivery.base_offset(), (acks == Acks::Leader).then_some(n * 10), "{acks:?}");
        }
        driven.close(CloseMode::Graceful);
        // Without acks, a batch is delivered once it is written to the connection.
        let log = until("the records of the last request", || {
            let log = wire.log(&topic, 0);
            (rows(&log).len() >= 2_000).then_some(log)
        });
        assert_eq!(rows(&log), at_offsets(&numbered(0..2_000), 0), "{acks:?}");
        assert!(batches(&log).iter().all(|batch| batch.header().unwrap().producer_id == -1), "{acks:?}");
    }
}

#[test]
#[ignore = "needs a real broker: cargo with-kafka --kafka 4 -- cargo witnesses --test kafka -- --ignored"]
fn a_batch_that_is_too_large_fails_and_the_others_arrive_in_order() {
    let kafka = Kafka::here();
    let mut wire = Wire::connect(&kafka);
    let topic = wire.topic("machine-large", 1, &[("max.message.bytes", "1000")]);
    let mut driven = Driven::idempotent(&kafka);
    let (mut sent, mut expected) = (Vec::new(), Vec::new());
    for n in 0..20 {
        let (from, large) = (n * 100, n % 5 == 2);
        let part = numbered(from..from + if large { 100 } else { 10 });
        sent.push((large, driven.send_rows(&topic.name, 0, &part, Compression::None)));
        expected.extend(if large { Vec::new() } else { part });
    }
    for (large, id) in sent {
        if large {
            let (code, failed) = driven.rejected(id);
            assert_eq!((code, failed.record_count()), (ErrorCode::MESSAGE_TOO_LARGE, 100));
        } else {
            driven.delivered(id);
        }
    }
    assert_eq!(rows(&wire.log(&topic, 0)), at_offsets(&expected, 0));
}

#[test]
#[ignore = "needs a real broker: cargo with-kafka --kafka 4 -- cargo witnesses --test kafka -- --ignored"]
fn a_batch_that_is_too_large_is_split_if_configured() {
    let kafka = Kafka::here();
    let mut wire = Wire::connect(&kafka);
    for compression in codecs() {
        let topic = wire.topic("machine-split", 1, &[("max.message.bytes", "600")]);
        let mut driven = Driven::new(&kafka.address, |config| config.split_too_large = true);
        let (mut sent, mut expected) = (Vec::new(), Vec::new());
        for n in 0..12 {
            let count = if n % 4 == 1 { 200 } else { 5 };
            let part = numbered(n * 1_000..n * 1_000 + count);
            sent.push((driven.send_rows(&topic.name, 0, &part, compression), expected.len(), part.len()));
            expected.extend(part);
        }
        let expected = at_offsets(&expected, 0);
        for (id, from, count) in sent {
            assert_eq!(places(&driven.delivered(id)), places_of(&expected[from..from + count]), "{compression}");
        }
        let log = wire.log(&topic, 0);
        assert!(batches(&log).len() > 12, "{compression}");
        assert_eq!(rows(&log), expected, "{compression}");

        let huge = Row::new(Some(b"huge"), Some(&bulk()[100].value.clone().unwrap()));
        let mixed = [&numbered(0..3)[..], &[huge], &numbered(4..6)].concat();
        let id = driven.send_rows(&topic.name, 0, &mixed, compression);
        let failed = driven.end(id).unwrap_err();
        assert_eq!(failed.record_errors.iter().map(|error| error.position).collect::<Vec<_>>(), [3], "{failed}");
        assert_eq!(failed.positions(Fate::NotWritten).collect::<Vec<_>>(), [3], "{failed}");
        assert_eq!(failed.positions(Fate::Written).collect::<Vec<_>>(), [0, 1, 2, 4, 5], "{failed}");
        let kept = [numbered(0..3), numbered(4..6)].concat();
        assert_eq!(rows(&wire.log(&topic, 0))[expected.len()..], at_offsets(&kept, expected.len() as i64));
    }
}

#[test]
#[ignore = "needs a real broker: cargo with-kafka --kafka 4 -- cargo witnesses --test kafka -- --ignored"]
fn log_append_time_is_in_the_delivery() {
    let kafka = Kafka::here();
    let mut wire = Wire::connect(&kafka);
    let topic = wire.topic("machine-time", 1, &[("message.timestamp.type", "LogAppendTime")]);
    let mut driven = Driven::idempotent(&kafka);
    let sent: Vec<_> = codecs().map(|codec| driven.send_rows(&topic.name, 0, &sample(), codec)).into();
    let delivered: Vec<_> = sent.into_iter().flat_map(|id| places(&driven.delivered(id))).collect();
    let log = wire.log(&topic, 0);
    assert!(batches(&log).iter().all(|batch| batch.timestamp_type() == Some(TimestampType::LogAppendTime)));
    assert!(rows(&log).iter().all(|row| row.timestamp > NOON + 86_400_000));
    assert_eq!(delivered, places_of(&rows(&log)));
    assert_eq!(delivered, places_of(&read_by_librdkafka(&kafka, &topic.name, 0, delivered.len())));
}

#[test]
#[ignore = "needs a real broker: cargo with-kafka --kafka 4 -- cargo witnesses --test kafka -- --ignored"]
fn a_compacted_topic_names_the_records_that_it_rejects() {
    let kafka = Kafka::here();
    let mut wire = Wire::connect(&kafka);
    let topic = wire.topic("machine-compacted", 1, &[("cleanup.policy", "compact")]);
    let mut driven = Driven::idempotent(&kafka);
    let keyless = Row::new(None, Some(b"value"));
    let mut mixed = numbered(10..12);
    mixed.insert(1, keyless.clone());
    mixed.extend([keyless.clone(), keyless]);
    let before = driven.send_rows(&topic.name, 0, &numbered(0..10), Compression::Lz4);
    let invalid = driven.send_rows(&topic.name, 0, &mixed, Compression::Lz4);
    let after: Vec<_> =
        (2..8).map(|n| driven.send_rows(&topic.name, 0, &numbered(n * 10..n * 10 + 10), Compression::Lz4)).collect();

    assert_eq!(driven.delivered(before).base_offset(), Some(0));
    let (code, failed) = driven.rejected(invalid);
    assert_eq!(code, ErrorCode::INVALID_RECORD);
    assert_eq!(failed.record_errors.iter().map(|error| error.position).collect::<Vec<_>>(), [1, 3, 4]);
    assert!(failed.record_errors.iter().all(|error| error.message.is_some()), "{failed}");
    for (n, id) in (1..).zip(after) {
        assert_eq!(driven.delivered(id).base_offset(), Some(n * 10), "the next batches follow without a gap");
    }
    let id = driven.send(&topic.name, 0, failed.remainder().unwrap());
    assert_eq!(driven.delivered(id).base_offset(), Some(70));
    let expected = [numbered(0..10), numbered(20..80), numbered(10..12)].concat();
    assert_eq!(rows(&wire.log(&topic, 0)), at_offsets(&expected, 0));
}

#[test]
#[ignore = "needs a real broker: cargo with-kafka --kafka 4 -- cargo witnesses --test kafka -- --ignored"]
fn missing_topics_are_created_if_the_broker_creates_them_and_partitions_are_not() {
    let kafka = Kafka::here();
    let mut driven = Driven::new(&kafka.address, |config| {
        config.request_timeout = Duration::from_secs(5);
        config.delivery_timeout = Duration::from_secs(5);
    });
    let name = unique("machine-made");
    let sent: Vec<_> =
        (0..3).map(|n| driven.send_rows(&name, 0, &numbered(n * 10..n * 10 + 10), Compression::Snappy)).collect();
    let bad = driven.send_rows("no such name", 0, &numbered(0..1), Compression::None);
    let beyond = driven.send_rows(&name, 7, &numbered(0..1), Compression::None);
    for (n, id) in (0..).zip(sent) {
        assert_eq!(driven.delivered(id).base_offset(), Some(n * 10));
    }
    assert_eq!(driven.rejected(bad).0, ErrorCode::INVALID_TOPIC_EXCEPTION);
    let failed = driven.end(beyond).unwrap_err();
    assert_eq!(failed.fate(), Some(Fate::NotWritten), "{failed}");
    assert!(matches!(failed.reason, FailureReason::UnknownPartition { partition: 7, partitions: 1, .. }), "{failed}");
    assert_eq!(driven.lookup_topic(&name), Ok(1));
    let refused = driven.lookup_topic("no such name").unwrap_err();
    let TopicLookupError::Broker(error) = &refused else { panic!("{refused}") };
    assert_eq!((error.api, error.code), (ApiKey::Metadata, ErrorCode::INVALID_TOPIC_EXCEPTION), "{refused}");
    assert_eq!(read_by_librdkafka(&kafka, &name, 0, 30), at_offsets(&numbered(0..30), 0));
}

#[test]
#[ignore = "needs a real broker: cargo with-kafka --kafka 4 -- cargo witnesses --test kafka -- --ignored"]
fn the_fates_reported_at_an_immediate_close_are_correct() {
    let kafka = Kafka::here();
    let mut wire = Wire::connect(&kafka);
    let topic = wire.topic("machine-closed", 1, &[]);
    let mut driven = Driven::idempotent(&kafka);
    let sent: Vec<_> =
        (0..300).map(|n| driven.send_rows(&topic.name, 0, &numbered(n * 10..n * 10 + 10), Compression::None)).collect();
    // Now the batches after it are in flight.
    assert_eq!(driven.delivered(sent[100]).base_offset(), Some(1_000));
    let ends = driven.close(CloseMode::Immediate);
    assert_eq!(ends.len(), sent.len() - 1, "each batch has one outcome");

    let log = rows(&wire.log(&topic, 0));
    assert_eq!(log, at_offsets(&numbered(0..log.len() as i32), 0), "the log has duplicates, gaps or another order");
    let mut fates = BTreeMap::<_, usize>::new();
    for (n, id) in (0..).zip(&sent).filter(|(n, _)| *n != 100) {
        let is_there = log.len() > n * 10;
        let fate = match &ends[id] {
            Ok(delivery) => {
                assert_eq!(delivery.base_offset(), Some(n as i64 * 10));
                Fate::Written
            }
            Err(failed) => {
                assert!(matches!(failed.reason, FailureReason::Closed), "{failed}");
                failed.fate().unwrap()
            }
        };
        assert!(
            fate == Fate::Unknown || is_there == (fate == Fate::Written),
            "batch {n}: {fate}, in the log: {is_there}"
        );
        *fates.entry(fate.to_string()).or_default() += 1;
    }
    println!("{fates:?}");
    let occurs = |fate: Fate| fates.contains_key(&fate.to_string());
    assert!(occurs(Fate::Written) && occurs(Fate::NotWritten), "{fates:?}");
}
