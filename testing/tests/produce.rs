//! Produce: every version, format and codec, and the checks of Apache Kafka 4.4.

mod common;

use bytes::{Bytes, BytesMut};
use common::{Client, TIME, batch, open, options, stamped};
use kafka_batch_core::batch::Stamp;
use kafka_batch_core::compression::GzipLevel;
use kafka_batch_core::decode::{DEFAULT_MAX_DECOMPRESSED, RecordBatches};
use kafka_batch_core::{Compression, Magic};
use kafka_batch_testing::wire::produce::ProduceResponse;
use kafka_batch_testing::{ApiKey, RejectedProducerIds, Release, TestCluster, Topic};

const CODECS: [Compression; 4] =
    [Compression::None, Compression::Gzip(GzipLevel::DEFAULT), Compression::Snappy, Compression::Lz4];

/// Returns a batch with a changed header and, unless `keep_crc`, the checksum of the changed bytes.
fn changed(bytes: &Bytes, at: usize, field: &[u8], keep_crc: bool) -> Bytes {
    let mut bytes = BytesMut::from(&bytes[..]);
    bytes[at..at + field.len()].copy_from_slice(field);
    if !keep_crc {
        let crc = crc32c(&bytes[21..]);
        bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    }
    bytes.freeze()
}

/// Bit by bit, so that it shares nothing with what it checks.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = crc >> 1 ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 };
        }
    }
    !crc
}

#[test]
fn every_version_format_and_codec_is_stored_with_offsets() {
    for version in 0..=13 {
        let release = if version < 3 { Release::V3_9 } else { Release::NEWEST };
        let cluster = TestCluster::builder().release(release).topic("t").start().unwrap();
        let mut client = Client::new(&cluster, 1);
        let magic = Magic::for_produce_version(version);
        for (turn, codec) in CODECS.into_iter().enumerate() {
            let values = ["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "b", "c"];
            let sealed = open(&options(magic, codec), &values).seal().unwrap();
            let response = client.produce(version, "t", sealed.stamp(Stamp::NONE).unwrap().bytes().clone());
            assert_eq!((response.error_code, response.base_offset), (0, turn as i64 * 3), "v{version} {codec:?}");
        }
        let log = cluster.log("t", 0).unwrap();
        let records = log.records().unwrap();
        let offsets: Vec<_> = records.iter().map(|record| record.offset).collect();
        assert_eq!(offsets, (0..12).collect::<Vec<_>>(), "v{version}");
        assert!(records.iter().all(|record| record.key.as_deref() == Some(b"k")));
        let expected = if magic == Magic::V0 { -1 } else { TIME };
        assert_eq!(records[0].timestamp_ms, expected, "v{version}");
        assert!(log.batches().iter().all(|stored| stored.info.magic == magic && stored.info.records == 3));
        assert_eq!(cluster.violations(), [""; 0]);
    }
}

#[test]
fn damaged_batches_are_rejected_with_the_codes_of_kafka() {
    let cluster = TestCluster::builder().topic("t").topic(Topic::new("small").max_message_bytes(70)).start().unwrap();
    let mut client = Client::new(&cluster, 1);
    let good = batch(&["a", "b"]);
    let i16_at = |at, value: i16| changed(&good, at, &value.to_be_bytes(), false);
    let i32_at = |at, value: i32| changed(&good, at, &value.to_be_bytes(), false);
    let cases = [
        ("no bytes", Bytes::new(), 87),
        ("a cut batch", good.slice(..good.len() - 1), 87),
        ("a wrong checksum", changed(&good, 17, &[1, 2, 3, 4], true), 2),
        ("a flipped bit", changed(&good, 70, &[0x55], true), 2),
        ("magic 3", changed(&good, 16, &[3], false), 2),
        ("magic 1", changed(&good, 16, &[1], false), 87),
        ("a negative length", changed(&good, 8, &(-1_i32).to_be_bytes(), false), 2),
        ("a length below any format's", changed(&good, 8, &13_i32.to_be_bytes(), false), 2),
        ("a base offset", changed(&good, 0, &5_i64.to_be_bytes(), false), 87),
        ("too large a count", i32_at(57, 3), 87),
        ("too small a count", i32_at(57, 1), 87),
        ("count 0", i32_at(57, 0), 87),
        ("a negative count", i32_at(57, -1), 87),
        ("a negative last offset", i32_at(23, -1), 87),
        ("a control batch", i16_at(21, 0x20), 87),
        ("an unknown codec", i16_at(21, 5), -1),
        ("no gzip", i16_at(21, 1), -1),
        ("no lz4", i16_at(21, 3), -1),
        ("no sequence", changed(&good, 43, &7_i64.to_be_bytes(), false), 87),
        ("two batches", [&good[..], &good].concat().into(), 87),
    ];
    for (name, bytes, code) in cases {
        let response = client.produce(12, "t", bytes);
        assert_eq!((response.error_code, response.base_offset), (code, -1), "{name}");
        // Kafka has a message if it cannot find the first batch, at which the whole request fails.
        let is_whole = ["magic 3", "a negative length", "a length below any format's"].contains(&name);
        assert_eq!(response.error_message.is_some(), is_whole, "{name}");
        // It returns the log's first offset if the error was found while it appended.
        let is_in_log = code != 2 && !["no bytes", "a cut batch", "magic 1", "two batches"].contains(&name);
        assert_eq!(response.log_start_offset, if is_in_log { 0 } else { -1 }, "{name}");
    }
    assert_eq!(client.produce(12, "small", good.clone()).error_code, 10);
    assert_eq!(client.produce_to(12, "t", 1, good.clone()).error_code, 3);
    assert_eq!(client.produce(12, "unknown", good.clone()).error_code, 3);
    assert_eq!(cluster.log("t", 0).unwrap().values().unwrap(), [""; 0]);
    // Bytes after the batch that are no batch are ignored.
    assert_eq!(client.produce(12, "t", [&good[..], &[1, 2, 3]].concat()).error_code, 0);
    assert_eq!(cluster.log("t", 0).unwrap().values().unwrap(), ["a", "b"]);
}

#[test]
fn violations_name_the_fault() {
    let cluster = TestCluster::builder().topic("t").start().unwrap();
    let mut client = Client::new(&cluster, 1);
    client.produce(12, "t", changed(&batch(&["a"]), 17, &[1, 2, 3, 4], true));
    client.produce(12, "t", stamped(&["a"], Stamp::NONE.producer(7, -1, 0)));
    assert_eq!(
        cluster.violations(),
        [
            "a record set that is rejected with CORRUPT_MESSAGE (2): the checksum does not match the bytes",
            "a batch of producer 7 with the negative epoch -1",
        ]
    );
}

#[test]
fn zstd_needs_a_newer_version_and_is_stored_unread_without_its_codec() {
    let cluster = TestCluster::builder().topic("t").start().unwrap();
    let mut client = Client::new(&cluster, 1);
    let zstd = changed(&batch(&["a"]), 21, &4_i16.to_be_bytes(), false);
    assert_eq!(client.produce(6, "t", zstd.clone()).error_code, 76);
    // Another package of the same build may have the codec built in.
    let records = RecordBatches::new(&zstd).next().unwrap().unwrap().records(DEFAULT_MAX_DECOMPRESSED);
    let is_built_in = !records.unwrap_err().to_string().contains("not compiled in");
    let expected = if is_built_in { -1 } else { 0 };
    assert_eq!(client.produce(7, "t", zstd).error_code, expected);
}

#[test]
fn offset_deltas_need_not_be_consecutive_if_uncompressed() {
    let cluster = TestCluster::builder().topic("t").start().unwrap();
    let mut client = Client::new(&cluster, 1);
    // Each record is 9 bytes: length, attributes, timestamp delta, offset delta, …
    let good = batch(&["a", "b"]);
    let second = good.len() - 9;
    assert_eq!(good[second + 3], 2, "the offset delta 1");
    let gap = changed(&good, second + 3, &[8], false);
    assert_eq!(client.produce(12, "t", gap).error_code, 0);
}

#[test]
fn idempotent_batches_are_stored_once_and_in_order() {
    let cluster = TestCluster::builder().topic("t").start().unwrap();
    let mut client = Client::new(&cluster, 1);
    let mut send = |epoch, sequence, values: &[&str]| {
        let response = client.produce(12, "t", stamped(values, Stamp::NONE.producer(7, epoch, sequence)));
        (response.error_code, response.base_offset)
    };
    assert_eq!(send(0, 0, &["a", "b"]), (0, 0));
    for (offset, sequence) in (2..=6).enumerate() {
        assert_eq!(send(0, sequence, &["c"]), (0, 2 + offset as i64));
    }
    assert_eq!(send(0, 6, &["c"]), (0, 6), "a duplicate of the last");
    assert_eq!(send(-2, 0, &["c"]), (47, -1), "no epoch");
    assert_eq!(send(0, 2, &["c"]), (0, 2), "a duplicate of the fifth but last");
    assert_eq!(send(0, 0, &["a", "b"]), (45, -1), "a duplicate of the sixth but last is not remembered");
    assert_eq!(send(0, 9, &["c"]), (45, -1), "a gap");
    assert_eq!(send(1, 3, &["c"]), (45, -1), "a new epoch starts at 0");
    assert_eq!(send(1, 0, &["d"]), (0, 7));
    assert_eq!(send(0, 7, &["c"]), (47, -1), "an old epoch");
    cluster.forget_producers("t", 0);
    assert_eq!(send(1, 0, &["d"]), (0, 8), "the broker has forgotten the producer");
    cluster.reject_identities(RejectedProducerIds::OwnEpochs, 49);
    assert_eq!(cluster.log("t", 0).unwrap().records().unwrap().len(), 9);
}

#[test]
fn records_are_rejected_by_position() {
    let compacted = Topic::new("compacted").compacted();
    let recent = Topic::new("recent").timestamp_range_ms(1_000, 1_000);
    let cluster = TestCluster::builder().topic(compacted).topic(recent).start().unwrap();
    let mut client = Client::new(&cluster, 1);
    let mixed = |codec| {
        let mut mixed = open(&options(Magic::V2, codec), &["a"]);
        mixed.extend([kafka_batch_core::Record::new("b"), kafka_batch_core::Record::new("c")]).unwrap();
        mixed.seal().unwrap().stamp(Stamp::NONE).unwrap().bytes().clone()
    };
    let mut positions = |version, topic, records: Bytes| {
        let response = client.produce(version, topic, records);
        let positions: Vec<_> = response.record_errors.iter().map(|error| error.batch_index).collect();
        (response.error_code, positions)
    };
    assert_eq!(positions(12, "compacted", mixed(Compression::None)), (87, vec![1, 2]));
    assert_eq!(positions(7, "compacted", mixed(Compression::None)), (87, vec![]));
    let gzip = Compression::Gzip(GzipLevel::DEFAULT);
    assert_eq!(positions(12, "compacted", mixed(gzip)), (87, vec![1, 2]));
    assert_eq!(positions(12, "recent", batch(&["a", "b"])), (32, vec![0, 1]));
    assert_eq!(cluster.log("compacted", 0).unwrap().end(), 0);
}

#[test]
fn the_broker_assigns_timestamps_in_topics_with_log_append_time() {
    let topic = Topic::new("t").log_append_time();
    let cluster = TestCluster::builder().release(Release::V3_9).topic(topic).start().unwrap();
    let mut client = Client::new(&cluster, 1);
    for (version, codec) in [(9, CODECS[0]), (9, CODECS[1]), (2, CODECS[0]), (2, CODECS[1])] {
        let magic = Magic::for_produce_version(version);
        let sealed = open(&options(magic, codec), &["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "b"]);
        let bytes = sealed.seal().unwrap().stamp(Stamp::NONE).unwrap().bytes().clone();
        let response = client.produce(version, "t", bytes);
        assert!(response.log_append_time_ms > TIME);
        let records = cluster.log("t", 0).unwrap().records().unwrap();
        let last = &records[records.len() - 2..];
        assert!(last.iter().all(|record| record.timestamp_ms == response.log_append_time_ms), "v{version} {codec:?}");
    }
}

#[test]
fn without_acknowledgements_nothing_is_answered_and_errors_close_the_connection() {
    let cluster = TestCluster::builder().topic("t").start().unwrap();
    let mut client = Client::new(&cluster, 1);
    let request = client.produce_request(12, "t", 0, batch(&["a"]), 0);
    client.send(ApiKey::Produce, 12, &request);
    assert_eq!(client.metadata(12, "t").topics[0].error_code, 0, "the next response is that of the next request");
    assert_eq!(cluster.log("t", 0).unwrap().values().unwrap(), ["a"]);
    let request = client.produce_request(12, "unknown", 0, batch(&["a"]), 0);
    client.send(ApiKey::Produce, 12, &request);
    assert!(client.is_closed());
}

#[test]
fn other_acks_than_0_1_and_all_are_refused() {
    let cluster = TestCluster::builder().topic("t").start().unwrap();
    let mut client = Client::new(&cluster, 1);
    let request = client.produce_request(12, "t", 0, batch(&["a"]), 2);
    let response: ProduceResponse = client.ask(ApiKey::Produce, 12, &request);
    assert_eq!(response.responses[0].partition_responses[0].error_code, 21);
}

#[test]
fn every_release_supports_its_versions_and_closes_on_others() {
    for release in Release::ALL {
        let cluster = TestCluster::builder().release(release).topic("t").start().unwrap();
        for version in 0..=13 {
            let mut client = Client::new(&cluster, 1);
            let magic = Magic::for_produce_version(version);
            let sealed = open(&options(magic, Compression::None), &["a"]).seal().unwrap();
            let bytes = sealed.stamp(Stamp::NONE).unwrap().bytes().clone();
            if release.supports(ApiKey::Produce, version) {
                assert_eq!(client.produce(version, "t", bytes).error_code, 0, "{release:?} v{version}");
            } else {
                let request = client.produce_request(version.min(12), "t", 0, bytes, -1);
                client.send(ApiKey::Produce, version, &request);
                assert!(client.is_closed(), "{release:?} v{version}");
            }
        }
    }
}

#[test]
fn of_two_entries_for_one_partition_the_last_counts() {
    let cluster = TestCluster::builder().topic("t").start().unwrap();
    let mut client = Client::new(&cluster, 1);
    let mut request = client.produce_request(12, "t", 0, batch(&["a"]), -1);
    request.topic_data.extend(client.produce_request(12, "t", 0, batch(&["b"]), -1).topic_data);
    let response: ProduceResponse = client.ask(ApiKey::Produce, 12, &request);
    assert_eq!(response.responses.len(), 1);
    assert_eq!(response.responses[0].partition_responses.len(), 1);
    assert_eq!(cluster.log("t", 0).unwrap().values().unwrap(), ["b"]);
}

#[test]
fn the_kind_of_timestamps_is_the_topics_and_the_largest_one_that_of_the_records() {
    let cluster = TestCluster::builder().topic("t").start().unwrap();
    let mut client = Client::new(&cluster, 1);
    let wrong_maximum = changed(&batch(&["a", "b"]), 35, &5_i64.to_be_bytes(), false);
    assert_eq!(client.produce(12, "t", wrong_maximum).error_code, 0);
    let append_time = changed(&batch(&["a"]), 21, &8_i16.to_be_bytes(), false);
    assert_eq!(client.produce(12, "t", append_time).error_code, 0);
    let log = cluster.log("t", 0).unwrap();
    assert_eq!(log.batches()[0].max_timestamp, TIME + 1);
    assert_eq!(log.segment()[35..43], (TIME + 1).to_be_bytes());
    assert_eq!(log.batches()[1].bytes[21..23], [0, 0]);
    assert_eq!(log.records().unwrap().len(), 3, "the checksums are those of the changed bytes");
}
