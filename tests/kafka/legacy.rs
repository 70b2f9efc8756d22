//! Magic 0 and 1, with a broker that still accepts and returns them: Kafka up to 3.9.

use std::slice;

use kafka_batch::batch::StampedBatch;
use kafka_batch::compression::Codec;
use kafka_batch::convert::DownConversion;
use kafka_batch::decode::TimestampType;
use kafka_batch::protocol::{ApiKey, ErrorCode};
use kafka_batch::{Compression, Magic, Timestamp};

use super::broker::Kafka;
use super::old_fetch::{self, magic_of_fetch};
use super::rows::{Row, at_offsets, batch, batches, bulk, options, plain_sample, rows, sample};
use super::wire::Wire;
use super::{codecs, sealed, segments, tools};

/// The Produce versions before magic 2, and the format of each.
const OLD_PRODUCE: [(i16, Magic); 3] = [(0, Magic::V0), (1, Magic::V0), (2, Magic::V1)];

/// Connects to a broker that supports the old formats; `None`, and a line of output, if it has dropped them.
fn connect_to_old(test: &str) -> Option<(Kafka, Wire)> {
    let kafka = Kafka::here();
    let wire = Wire::connect(&kafka); // fails if the broker does not have that version
    if kafka.major() >= 4 {
        println!("{test}: does not apply to Kafka {}, which has dropped magic 0 and 1", kafka.version);
        return None;
    }
    Some((kafka, wire))
}

/// The codecs of the old formats, and the highest level of the one that has levels.
fn old_codecs() -> [Compression; 5] {
    ["none", "gzip", "gzip:9", "snappy", "lz4"].map(|codec| codec.parse().unwrap())
}

fn old_sealed(rows: &[Row], magic: Magic, compression: Compression) -> StampedBatch {
    batch(rows, options(magic, compression)).seal().unwrap().without_producer_id()
}

/// Returns the rows as this format can carry them.
fn as_carried(rows: &[Row], magic: Magic) -> Vec<Row> {
    let timestamp = |row: &Row| if magic.has_timestamps() { row.timestamp } else { Timestamp::NO_TIMESTAMP.millis() };
    let headers = |row: &Row| if magic.has_headers() { row.headers.clone() } else { Vec::new() };
    rows.iter().map(|row| Row { timestamp: timestamp(row), headers: headers(row), ..row.clone() }).collect()
}

#[test]
#[ignore = "needs a real broker: cargo with-kafka --kafka 4 -- cargo witnesses --test kafka -- --ignored"]
fn old_formats_are_accepted_and_read_back_as_sent() {
    let Some((kafka, mut wire)) = connect_to_old("old formats are accepted") else { return };
    let mut topics = Vec::new();
    for (version, magic) in OLD_PRODUCE {
        let topic = wire.topic(&format!("produce-v{version}"), old_codecs().len() as i32, &[]);
        for (partition, compression) in (0..).zip(old_codecs()) {
            let mut expected = Vec::new();
            for part in [plain_sample(), bulk()] {
                let batch = old_sealed(&part, magic, compression);
                assert_eq!((batch.magic(), batch.codec()), (magic, compression.codec()));
                let answer = wire.produce(version, None, (&topic, partition), &batch).unwrap();
                let expected_answer = (ErrorCode::NONE, expected.len() as i64);
                assert_eq!((answer.error_code, answer.base_offset), expected_answer, "v{version} {compression}");
                expected.extend(at_offsets(&as_carried(&part, magic), answer.base_offset));
            }
            // Today's brokers store magic 2 in any case; each format in which they return it is read.
            let log = wire.log(&topic, partition);
            assert!(batches(&log).iter().all(|batch| batch.magic() == Magic::V2));
            assert_eq!(rows(&log), expected, "v{version} {compression}");
            for fetched in 0..=3 {
                let log = old_fetch::log(&mut wire, fetched, &topic, partition, expected.len());
                let carried = as_carried(&expected, magic_of_fetch(fetched));
                assert_eq!(rows(&log), carried, "Produce v{version}, Fetch v{fetched}, {compression}");
            }
        }
        topics.push((topic, magic));
    }

    let sent = [plain_sample(), bulk()].concat();
    for (topic, magic) in topics {
        let partitions = 0..old_codecs().len() as i32;
        let segments: Vec<_> = partitions.clone().map(|partition| kafka.segment(&topic.name, partition)).collect();
        segments::compare_with_dump(&segments);
        let consumed = tools::consume(&kafka, &topic.name, sent.len() * segments.len(), false);
        for partition in partitions {
            let records = tools::of_partition(&consumed, partition);
            assert_eq!(records, at_offsets(&as_carried(&sent, magic), 0), "{magic} partition {partition}");
        }
    }
}

/// The broker writes magic 0 and 1 with separate code for each codec. It converts this library's batches, with their
/// headers.
#[test]
#[ignore = "needs a real broker: cargo with-kafka --kafka 4 -- cargo witnesses --test kafka -- --ignored"]
fn batches_converted_by_the_broker_are_read() {
    let Some((_, mut wire)) = connect_to_old("conversion by the broker") else { return };
    let topic = wire.topic("converted", 5, &[]);
    let sent = [sample(), bulk()].concat();
    for (partition, compression) in (0..).zip(codecs()) {
        for part in [sample(), bulk()] {
            wire.append((&topic, partition), &sealed(&part, compression));
        }
        for version in 0..=3 {
            let magic = magic_of_fetch(version);
            if compression.codec() == Codec::Zstd {
                let (error, _) = old_fetch::fetch(&mut wire, version, &topic, partition, 0);
                assert_eq!(error, ErrorCode::UNSUPPORTED_COMPRESSION_TYPE, "v{version}");
                continue;
            }
            let log = old_fetch::log(&mut wire, version, &topic, partition, sent.len());
            assert!(batches(&log).iter().all(|batch| (batch.magic(), batch.codec()) == (magic, compression.codec())));
            assert_eq!(rows(&log), at_offsets(&as_carried(&sent, magic), 0), "v{version} {compression}");
            let no_type = if magic == Magic::V0 { None } else { Some(TimestampType::CreateTime) };
            assert!(batches(&log).iter().all(|batch| batch.timestamp_type() == no_type));
        }
    }
}

#[test]
#[ignore = "needs a real broker: cargo with-kafka --kafka 4 -- cargo witnesses --test kafka -- --ignored"]
fn log_append_time_is_read_in_magic_1() {
    let Some((_, mut wire)) = connect_to_old("log append time in magic 1") else { return };
    let topic = wire.topic("old-append-time", 5, &[("message.timestamp.type", "LogAppendTime")]);
    for (partition, compression) in (0..).zip(old_codecs()) {
        let batch = old_sealed(&plain_sample(), Magic::V1, compression);
        let answer = wire.produce(2, None, (&topic, partition), &batch).unwrap();
        let timestamp = answer.log_append_time_ms;
        assert!(timestamp > 0, "{answer:?}");
        let expected: Vec<_> = at_offsets(&plain_sample(), 0).into_iter().map(|row| Row { timestamp, ..row }).collect();
        for version in 2..=3 {
            let log = old_fetch::log(&mut wire, version, &topic, partition, expected.len());
            assert_eq!(rows(&log), expected, "v{version} {compression}");
            let kinds = batches(&log).iter().map(|batch| (batch.magic(), batch.timestamp_type())).collect::<Vec<_>>();
            assert!(kinds.iter().all(|kind| *kind == (Magic::V1, Some(TimestampType::LogAppendTime))), "{kinds:?}");
        }
    }
}

/// LZ4 frames in magic 0 have a checksum over the wrong bytes, both this library's and the broker's.
#[test]
#[ignore = "needs a real broker: cargo with-kafka --kafka 4 -- cargo witnesses --test kafka -- --ignored"]
fn lz4_frames_have_the_checksum_of_their_format() {
    let Some((_, mut wire)) = connect_to_old("LZ4 frames of magic 0 and 1") else { return };
    let frame = |checksum| [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, checksum];
    for (produce, fetch, magic, checksum) in [(0, 0, Magic::V0, 0x1a), (1, 1, Magic::V0, 0x1a), (2, 2, Magic::V1, 0x82)]
    {
        let topic = wire.topic("lz4", 1, &[]);
        let batch = old_sealed(&plain_sample(), magic, Compression::Lz4);
        let has_frame = |bytes: &[u8]| bytes.windows(7).any(|window| window == frame(checksum));
        assert!(has_frame(batch.bytes()), "this library's, {magic}");
        assert_eq!(wire.produce(produce, None, (&topic, 0), &batch).unwrap().error_code, ErrorCode::NONE);
        let log = old_fetch::log(&mut wire, fetch, &topic, 0, plain_sample().len());
        assert!(has_frame(&log), "the broker's, {magic}");
    }
}

/// A broker that stores magic 2 checks the size of what was sent, message by message (a compressed one counts as one),
/// and of the result of the conversion: its limit must allow the larger one.
#[test]
#[ignore = "needs a real broker: cargo with-kafka --kafka 4 -- cargo witnesses --test kafka -- --ignored"]
fn the_limit_applies_to_what_is_sent_and_to_what_is_stored() {
    let Some((_, mut wire)) = connect_to_old("the limit in old formats") else { return };
    for (version, magic) in OLD_PRODUCE {
        for (compression, part) in old_codecs().into_iter().flat_map(|codec| [(codec, 3), (codec, usize::MAX)]) {
            let sent: Vec<_> = plain_sample().into_iter().rev().take(part).collect();
            let batch = old_sealed(&sent, magic, compression);
            let open = wire.topic("old-unlimited", 1, &[]);
            assert_eq!(wire.produce(version, None, (&open, 0), &batch).unwrap().error_code, ErrorCode::NONE);
            let stored = wire.log(&open, 0).len();
            let one_by_one = sent.iter().map(|row| old_sealed(slice::from_ref(row), magic, Compression::None).size());
            let largest = if batch.codec() == Codec::None { one_by_one.max().unwrap() } else { batch.size() };
            let needed = stored.max(largest);
            for (limit, expected) in [(needed, ErrorCode::NONE), (needed - 1, ErrorCode::MESSAGE_TOO_LARGE)] {
                let topic = wire.topic("old-limit", 1, &[("max.message.bytes", &limit.to_string())]);
                let answer = wire.produce(version, None, (&topic, 0), &batch).unwrap();
                assert_eq!(answer.error_code, expected, "{magic} {compression}: {largest} {stored} {limit}");
            }
        }
    }
}

/// A batch that was filled before its broker was known, which turns out to be an old one.
#[test]
#[ignore = "needs a real broker: cargo with-kafka --kafka 4 -- cargo witnesses --test kafka -- --ignored"]
fn a_batch_filled_as_magic_2_is_sent_in_an_older_format() {
    let Some((_, mut wire)) = connect_to_old("late magic") else { return };
    for (version, magic) in OLD_PRODUCE {
        let topic = wire.topic("late-magic", 5, &[]);
        for (partition, compression) in (0..).zip(codecs()) {
            let batch = batch(&sample(), options(Magic::V2, compression));
            let converted =
                batch.convert(magic, DownConversion::DropAll).unwrap().seal().unwrap().without_producer_id();
            let answer = wire.produce(version, None, (&topic, partition), &converted).unwrap();
            assert_eq!(answer.error_code, ErrorCode::NONE, "v{version} {compression}");
            assert_eq!(rows(&wire.log(&topic, partition)), at_offsets(&as_carried(&sample(), magic), 0));
        }
    }
}

/// Kafka 4 lists Produce from v0 on, for old versions of librdkafka, and closes the connection on v0 to v2
/// (KAFKA-18659).
#[test]
#[ignore = "needs a real broker: cargo with-kafka --kafka 4 -- cargo witnesses --test kafka -- --ignored"]
fn kafka_4_lists_old_produce_versions_and_closes_the_connection_on_them() {
    let kafka = Kafka::here();
    let mut wire = Wire::connect(&kafka);
    if kafka.major() < 4 {
        println!("old Produce versions: does not apply to Kafka {}, which supports them", kafka.version);
        return;
    }
    let topic = wire.topic("hung-up", 1, &[]);
    for (version, magic) in OLD_PRODUCE {
        wire = Wire::connect(&kafka);
        assert!(wire.listed.versions(ApiKey::Produce).unwrap().contains(version));
        let batch = old_sealed(&plain_sample(), magic, Compression::None);
        assert!(wire.produce(version, None, (&topic, 0), &batch).is_err(), "v{version}");
    }
    wire = Wire::connect(&kafka);
    assert_eq!(rows(&wire.log(&topic, 0)), []);
}
