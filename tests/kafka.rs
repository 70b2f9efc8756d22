//! Against a real Apache Kafka: Kafka accepts and reads what this library writes, and this library reads what Kafka
//! writes.
//!
//! Run with `cargo with-kafka --kafka 4 -- cargo witnesses --test kafka -- --ignored`, and with
//! `--kafka 3.9` for the formats that Kafka 4 has dropped.

#[path = "kafka/broker.rs"]
mod broker;
#[path = "kafka/cleaner.rs"]
mod cleaner;
#[path = "kafka/driven.rs"]
mod driven;
#[allow(dead_code, reason = "its transactions are used by the example")]
#[path = "../docs/blocking_driver.rs"]
mod driver;
#[path = "kafka/environment.rs"]
mod environment;
#[path = "kafka/legacy.rs"]
mod legacy;
#[path = "kafka/librdkafka.rs"]
mod librdkafka;
#[path = "kafka/machine.rs"]
mod machine;
#[path = "kafka/old_fetch.rs"]
mod old_fetch;
#[path = "kafka/producers.rs"]
mod producers;
#[path = "kafka/restart.rs"]
mod restart;
#[path = "kafka/rows.rs"]
mod rows;
#[path = "kafka/run.rs"]
mod run;
#[path = "kafka/segments.rs"]
mod segments;
#[path = "kafka/tools.rs"]
mod tools;
#[path = "kafka/transaction.rs"]
mod transaction;
#[path = "kafka/wire.rs"]
mod wire;

use std::fs;
use std::io::ErrorKind;

use broker::{Kafka, scratch};
use kafka_batch::batch::StampedBatch;
use kafka_batch::compression::Codec;
use kafka_batch::decode::{RecordBatches, TimestampType};
use kafka_batch::protocol::{ApiKey, BrokerError, ErrorCode};
use kafka_batch::{
    AppendError, BatchOptions, Compression, DEFAULT_MAX_MESSAGE_BYTES, Delivery, DeliveryError, Fate, Magic, Record,
    RecordError, SealErrorReason, TopicPartition,
};
use rows::{Row, at_offsets, batch, batches, bulk, options, rows, rows_of_another_decoder, sample};
use wire::Wire;

/// Every codec; those with levels also at the lowest and highest.
const COMPRESSIONS: [&str; 11] =
    ["none", "gzip", "gzip:1", "gzip:9", "snappy", "lz4", "zstd", "zstd:-7", "zstd:1", "zstd:19", "zstd:22"];

/// Every codec at its default level.
fn codecs() -> [Compression; 5] {
    ["none", "gzip", "snappy", "lz4", "zstd"].map(|codec| codec.parse().unwrap())
}

fn sealed(rows: &[Row], compression: Compression) -> StampedBatch {
    batch(rows, options(Magic::V2, compression)).seal().unwrap().without_producer_id()
}

#[test]
#[ignore = "needs a real broker: cargo with-kafka --kafka 4 -- cargo witnesses --test kafka -- --ignored"]
fn kafka_reads_what_this_library_seals() {
    let kafka = Kafka::here();
    let mut wire = Wire::connect(&kafka);
    let topic = wire.topic("sealed", COMPRESSIONS.len() as i32, &[]);
    let mut expected = at_offsets(&sample(), 0);
    expected.extend(at_offsets(&bulk(), expected.len() as i64));

    for (partition, compression) in (0..).zip(COMPRESSIONS) {
        let compression: Compression = compression.parse().unwrap();
        for part in [sample(), bulk()] {
            let batch = sealed(&part, compression);
            assert_eq!(batch.codec(), compression.codec());
            wire.append((&topic, partition), &batch);
        }
        let log = wire.log(&topic, partition);
        assert_eq!(rows(&log), expected, "{compression}");
        assert_eq!(rows_of_another_decoder(&log), rows::without_repeated_headers(&expected), "{compression}");
        assert_eq!(fs::read(kafka.segment(&topic.name, partition)).unwrap(), log, "{compression}");
    }

    let partitions = 0..COMPRESSIONS.len() as i32;
    let segments: Vec<_> = partitions.clone().map(|partition| kafka.segment(&topic.name, partition)).collect();
    assert_eq!(segments::compare_with_dump(&segments), expected.len() * COMPRESSIONS.len());

    let consumed = tools::consume(&kafka, &topic.name, expected.len() * COMPRESSIONS.len(), false);
    for partition in partitions {
        let records = tools::of_partition(&consumed, partition);
        assert_eq!(records, expected, "{}", COMPRESSIONS[partition as usize]);
    }
}

#[test]
#[ignore = "needs a real broker: cargo with-kafka --kafka 4 -- cargo witnesses --test kafka -- --ignored"]
fn every_produce_version_from_3_on_accepts_a_batch() {
    let kafka = Kafka::here();
    let mut wire = Wire::connect(&kafka);
    let topic = wire.topic("versions", 1, &[]);
    let versions = 3..=wire.newest(ApiKey::Produce);
    assert!(*versions.end() >= 11, "{versions:?}");
    let mut expected = Vec::new();
    for version in versions {
        let codec = if version < 7 { Compression::Lz4 } else { Compression::zstd() };
        let answer = wire.produce(version, None, (&topic, 0), &sealed(&sample(), codec)).unwrap();
        assert_eq!(answer.error_code, ErrorCode::NONE, "v{version}");
        assert_eq!(answer.base_offset, expected.len() as i64, "v{version}");
        assert_eq!(answer.log_append_time_ms, -1, "v{version}");
        assert_eq!(answer.log_start_offset, if version < 5 { -1 } else { 0 }, "v{version}");
        expected.extend(at_offsets(&sample(), answer.base_offset));
    }
    assert_eq!(rows(&wire.log(&topic, 0)), expected);
}

#[test]
#[ignore = "needs a real broker: cargo with-kafka --kafka 4 -- cargo witnesses --test kafka -- --ignored"]
fn zstd_before_produce_7_is_rejected() {
    let kafka = Kafka::here();
    let mut wire = Wire::connect(&kafka);
    let topic = wire.topic("early-zstd", 1, &[]);
    let answer = wire.produce(6, None, (&topic, 0), &sealed(&sample(), Compression::zstd())).unwrap();
    assert_eq!(answer.error_code, ErrorCode::UNSUPPORTED_COMPRESSION_TYPE);
}

#[test]
#[ignore = "needs a real broker: cargo with-kafka --kafka 4 -- cargo witnesses --test kafka -- --ignored"]
fn timestamps_of_all_kinds_are_read_back() {
    let kafka = Kafka::here();
    let mut wire = Wire::connect(&kafka);
    let topic = wire.topic("timestamps", 2, &[]);
    for (partition, first) in [(0, -1), (1, rows::NOON)] {
        let times = [first, 0, -1, -2, 1, -86_400_000, i64::from(i32::MIN), rows::NOON, 1];
        let timed: Vec<_> = times.map(|timestamp| Row { timestamp, ..Row::new(None, Some(b"timed")) }).into();
        wire.append((&topic, partition), &sealed(&timed, Compression::None));
        assert_eq!(rows(&wire.log(&topic, partition)), at_offsets(&timed, 0));
        segments::compare_with_dump(&[kafka.segment(&topic.name, partition)]);
    }
}

/// A batch of exactly the limit is accepted, and the same batch is rejected if the limit is one byte lower: by the
/// broker, and before that by this library.
#[test]
#[ignore = "needs a real broker: cargo with-kafka --kafka 4 -- cargo witnesses --test kafka -- --ignored"]
fn max_message_bytes_counts_as_the_broker_does() {
    let kafka = Kafka::here();
    let mut wire = Wire::connect(&kafka);
    for compression in codecs() {
        let stamped = sealed(&sample(), compression);
        let (exact, below) = (stamped.size(), stamped.size() - 1);
        assert!(compression.codec() == Codec::None || exact < stamped.uncompressed_size());

        let topic = wire.topic("exact-limit", 1, &[("max.message.bytes", &exact.to_string())]);
        assert_eq!(wire.append((&topic, 0), &stamped), 0, "{compression}");
        let topic = wire.topic("lower-limit", 1, &[("max.message.bytes", &below.to_string())]);
        let answer = wire.produce(wire.newest(ApiKey::Produce), None, (&topic, 0), &stamped).unwrap();
        assert_eq!(answer.error_code, ErrorCode::MESSAGE_TOO_LARGE, "{compression}");

        if compression.codec() == Codec::None {
            // Without a codec the limit is checked at every append: the last record exceeds it.
            let (last, rest) = sample().split_last().map(|(last, rest)| (last.clone(), rest.to_vec())).unwrap();
            let mut full = batch(&rest, options(Magic::V2, compression).max_message_bytes(below));
            assert!(rows::append(&mut full, &last).is_full());
            continue;
        }
        assert!(batch(&sample(), options(Magic::V2, compression).max_message_bytes(exact)).seal().is_ok());
        let refused = batch(&sample(), options(Magic::V2, compression).max_message_bytes(below)).seal().unwrap_err();
        let SealErrorReason::TooLarge { sealed, limit, .. } = refused.reason else { panic!("{refused}") };
        assert_eq!((sealed, limit), (exact, below), "{compression}");

        let split = refused.batch.split(below).unwrap();
        assert!(split.too_large.is_empty());
        for (_, part) in split.parts {
            wire.append((&topic, 0), &part.without_producer_id());
        }
        assert_eq!(rows(&wire.log(&topic, 0)), at_offsets(&sample(), 0), "{compression}");
    }
}

#[test]
#[ignore = "needs a real broker: cargo with-kafka --kafka 4 -- cargo witnesses --test kafka -- --ignored"]
fn the_default_limit_is_that_of_the_broker() {
    let kafka = Kafka::here();
    let mut wire = Wire::connect(&kafka);
    let topic = wire.topic("default-limit", 1, &[]);
    let empty = BatchOptions::default().build(rows::NOON).unwrap();
    // The overhead of a value of about that length.
    let around = empty.cost(Record::new(&vec![0; 1_000_000])).unwrap() - 1_000_000;
    let value = vec![b'x'; DEFAULT_MAX_MESSAGE_BYTES - empty.size() - around];
    let larger = [&value[..], b"x"].concat();

    let filled = batch(&[Row::new(None, Some(&value))], BatchOptions::default());
    assert_eq!((filled.size(), filled.room()), (1_048_588, 0));
    wire.append((&topic, 0), &filled.seal().unwrap().without_producer_id());

    let refused = empty.next_batch().append(Record::new(&larger));
    assert!(matches!(refused, Err(AppendError::TooLarge { size: 1_048_589, limit: 1_048_588 })), "{refused:?}");
    let over = batch(&[Row::new(None, Some(&larger))], BatchOptions::default().max_message_bytes(1_048_589));
    let over = over.seal().unwrap();
    assert_eq!(over.size(), 1_048_589);
    let version = wire.newest(ApiKey::Produce);
    let answer = wire.produce(version, None, (&topic, 0), &over.without_producer_id()).unwrap();
    assert_eq!(answer.error_code, ErrorCode::MESSAGE_TOO_LARGE);
}

#[test]
#[ignore = "needs a real broker: cargo with-kafka --kafka 4 -- cargo witnesses --test kafka -- --ignored"]
fn log_append_time_is_the_timestamp_of_every_record() {
    let kafka = Kafka::here();
    let mut wire = Wire::connect(&kafka);
    let topic = wire.topic("append-time", 5, &[("message.timestamp.type", "LogAppendTime")]);
    let mut all = Vec::new();
    for (partition, compression) in (0..).zip(codecs()) {
        let stamped = sealed(&sample(), compression);
        let answer = wire.produce(wire.newest(ApiKey::Produce), None, (&topic, partition), &stamped).unwrap();
        let time = answer.log_append_time_ms;
        assert!(time > rows::NOON, "{answer:?}");
        let mut expected = at_offsets(&sample(), 0);
        expected.iter_mut().for_each(|row| row.timestamp = time);

        let log = wire.log(&topic, partition);
        let [stored] = &batches(&log)[..] else { panic!("one batch was sent") };
        assert_eq!(stored.timestamp_type(), Some(TimestampType::LogAppendTime));
        assert_eq!(rows(&log), expected, "{compression}");

        let to = TopicPartition::new(&topic.name, partition);
        let delivery = Delivery::new(to, answer.base_offset, stamped).with_log_append_time(time);
        let delivered: Vec<_> = delivery.records().map(|it| (it.offset.unwrap(), it.timestamp.millis())).collect();
        assert_eq!(delivered, expected.iter().map(|row| (row.offset, row.timestamp)).collect::<Vec<_>>());
        all.extend(expected.into_iter().map(|row| (partition, "LogAppendTime".to_owned(), row)));
    }
    let mut consumed = tools::consume(&kafka, &topic.name, all.len(), false);
    consumed.sort_by_key(|(partition, _, row)| (*partition, row.offset));
    assert_eq!(consumed, all);
    segments::compare_with_dump(&[0, 1, 2, 3, 4].map(|partition| kafka.segment(&topic.name, partition)));
}

/// A compacted topic rejects records without a key. The broker names them, and the others can be sent.
#[test]
#[ignore = "needs a real broker: cargo with-kafka --kafka 4 -- cargo witnesses --test kafka -- --ignored"]
fn rejected_records_are_named_and_the_remainder_can_be_sent() {
    let kafka = Kafka::here();
    let mut wire = Wire::connect(&kafka);
    let topic = wire.topic("compacted", 1, &[("cleanup.policy", "compact")]);
    let keyed = |key: &str| Row::new(Some(key.as_bytes()), Some(b"value"));
    let keyless = Row::new(None, Some(b"value"));
    let mixed = [keyed("a"), keyless.clone(), keyed(""), keyless.clone(), keyless, keyed("b")];
    for compression in codecs() {
        for version in 7..=wire.newest(ApiKey::Produce) {
            let answer = wire.produce(version, None, (&topic, 0), &sealed(&mixed, compression)).unwrap();
            assert_eq!(answer.error_code, ErrorCode::INVALID_RECORD, "v{version} {compression}");
            assert_eq!(answer.base_offset, -1);
            let positions: Vec<_> = answer.record_errors.iter().map(|error| error.batch_index).collect();
            assert_eq!(positions, if version < 8 { vec![] } else { vec![1, 3, 4] }, "v{version} {compression}");
            let has_text = |message: &Option<String>| message.as_deref().is_some_and(|message| !message.is_empty());
            assert!(answer.record_errors.iter().all(|error| has_text(&error.message)), "{answer:?}");
            assert_eq!(has_text(&answer.error_message), version >= 8);
            assert_eq!(rows(&wire.log(&topic, 0)), [], "a rejected batch was written in part");
        }
    }

    let stamped = sealed(&mixed, Compression::None);
    let answer = wire.produce(wire.newest(ApiKey::Produce), None, (&topic, 0), &stamped).unwrap();
    let reason = BrokerError::new(ApiKey::Produce, answer.error_code).with_message(answer.error_message).into();
    let errors = answer.record_errors.into_iter();
    let errors = errors.map(|error| RecordError::new(error.batch_index as usize, error.message)).collect();
    let to = TopicPartition::new(&topic.name, 0);
    let failed = DeliveryError::new(to, reason, Fate::NotWritten, stamped.into_batch()).with_record_errors(errors);
    assert!(!failed.is_retriable());
    wire.append((&topic, 0), &failed.remainder().unwrap().seal().unwrap().without_producer_id());
    assert_eq!(rows(&wire.log(&topic, 0)), at_offsets(&[keyed("a"), keyed(""), keyed("b")], 0));
}

/// All that a broker writes itself (its metadata log, transactions, group offsets), and what the other tests have
/// written so far.
#[test]
#[ignore = "needs a real broker: cargo with-kafka --kafka 4 -- cargo witnesses --test kafka -- --ignored"]
fn every_segment_of_the_broker_is_read_to_its_end() {
    let kafka = Kafka::here();
    let mut wire = Wire::connect(&kafka);
    let topic = wire.topic("all-segments", 1, &[]);
    let mut producer = transaction::Producer::new(&mut wire, transaction::Protocol::Classic);
    producer.append(11, (&topic, 0), batch(&sample(), options(Magic::V2, Compression::None)));
    producer.end(true, (&topic, 0));
    tools::consume(&kafka, &topic.name, sample().len(), true);

    let mut copies = Vec::new();
    for folder in fs::read_dir(Kafka::data()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        for file in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if !file.extension().is_some_and(|kind| kind == "log" || kind == "checkpoint") {
                continue;
            }
            // A copy, because the broker continues to write: an incomplete end is cut off, and files that the cleaner
            // has deleted meanwhile are left out.
            let mut log = match fs::read(&file) {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                log => log.unwrap(),
            };
            let mut read = RecordBatches::new(&log);
            assert!(read.all(|batch| batch.is_ok()), "{}", file.display());
            let end = read.tail().map_or(log.len(), |tail| tail.at);
            log.truncate(end);
            let copy = scratch(file.file_name().unwrap().to_str().unwrap());
            fs::write(&copy, log).unwrap();
            copies.push(copy);
        }
    }
    let records = segments::compare_with_dump(&copies);
    println!("{} segments, {records} records", copies.len());
    assert!(copies.len() >= 3 && records > sample().len());
    copies.iter().for_each(|copy| fs::remove_dir_all(copy.parent().unwrap()).unwrap());
}
