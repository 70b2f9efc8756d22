//! Fetch, ListOffsets and CreateTopics.

mod common;

use std::time::{Duration, Instant};

use bytes::Bytes;
use common::{Client, TIME, batch, open, options, stamped};
use kafka_batch_core::batch::Stamp;
use kafka_batch_core::compression::{Codec, GzipLevel};
use kafka_batch_core::decode::{DEFAULT_MAX_DECOMPRESSED, RecordBatches};
use kafka_batch_core::{Compression, Magic};
use kafka_batch_testing::wire::create_topics::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest, CreateTopicsResponse,
};
use kafka_batch_testing::wire::fetch::{FetchRequest, FetchResponse};
use kafka_batch_testing::wire::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic,
};
use kafka_batch_testing::wire::offset_for_leader_epoch::{
    OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use kafka_batch_testing::{ApiKey, Release, TestCluster};

/// Returns the offsets and values of fetched records, of those from this offset on.
fn values(records: Option<Bytes>, from: i64) -> Vec<(i64, String)> {
    let records = records.unwrap();
    let mut all = Vec::new();
    for batch in RecordBatches::new(&records) {
        for record in &batch.unwrap().records(DEFAULT_MAX_DECOMPRESSED).unwrap() {
            let record = record.unwrap();
            let value = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
            all.extend((record.offset >= from).then_some((record.offset, value)));
        }
    }
    all
}

#[test]
fn every_version_returns_what_was_produced_in_a_format_that_it_has() {
    for version in 0..=18 {
        let release = if version < 4 { Release::V3_9 } else { Release::NEWEST };
        let cluster = TestCluster::builder().release(release).topic("t").start().unwrap();
        let mut client = Client::new(&cluster, 1);
        for codec in [Compression::None, Compression::Gzip(GzipLevel::DEFAULT)] {
            let long = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
            let sealed = open(&options(Magic::V2, codec), &[long, "b"]).seal().unwrap();
            assert_eq!(client.produce(9, "t", sealed.stamp(Stamp::NONE).unwrap().bytes().clone()).error_code, 0);
        }
        let fetched = client.fetch(version, "t", 1);
        assert_eq!((fetched.error_code, fetched.high_watermark), (0, 4), "v{version}");
        let newest = fetched.records.as_ref().map(|records| records[16]).unwrap();
        assert_eq!(newest, [0, 0, 1, 1].get(version as usize).copied().unwrap_or(2), "v{version}");
        let offsets: Vec<_> = values(fetched.records, 1).into_iter().map(|(offset, _)| offset).collect();
        assert_eq!(offsets, [1, 2, 3], "v{version}");
        let end = client.fetch(version, "t", 4);
        assert_eq!((end.error_code, end.records.map(|records| records.len())), (0, Some(0)));
        for offset in [-1, 5] {
            assert_eq!(client.fetch(version, "t", offset).error_code, 1, "OFFSET_OUT_OF_RANGE");
        }
    }
}

/// Returns a batch of magic 2 whose records are compressed with zstd, in one block that is stored as it is.
fn zstd(values: &[&str]) -> Bytes {
    let plain = batch(values);
    let records = &plain[61..];
    let mut bytes = plain[..61].to_vec();
    let size = u8::try_from(records.len()).unwrap();
    // Magic bytes; a frame in one segment, whose size has one byte; the last block, raw.
    bytes.extend([0x28, 0xb5, 0x2f, 0xfd, 0x20, size]);
    bytes.extend_from_slice(&(u32::from(size) << 3 | 1).to_le_bytes()[..3]);
    bytes.extend_from_slice(records);
    let length = bytes.len() as i32 - 12;
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    bytes[21..23].copy_from_slice(&4_i16.to_be_bytes());
    let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, &bytes[21..]) as u32;
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    bytes.into()
}

/// Kafka refuses it below v10 only if the topic's compression.type is zstd. It converts no zstd to older formats.
#[test]
fn zstd_is_returned_to_every_version_that_has_its_format() {
    for version in 0..=18 {
        let release = if version < 4 { Release::V3_9 } else { Release::NEWEST };
        let cluster = TestCluster::builder().release(release).topic("t").start().unwrap();
        let mut client = Client::new(&cluster, 1);
        assert_eq!(client.produce(9, "t", batch(&["a"])).error_code, 0);
        assert_eq!(client.produce(9, "t", zstd(&["b", "c"])).error_code, 0, "v{version}");
        let fetched = client.fetch(version, "t", 0);
        let bytes = fetched.records.unwrap();
        let batches: Vec<_> = RecordBatches::new(&bytes).map(|batch| batch.unwrap().codec()).collect();
        if version < 4 {
            assert_eq!((fetched.error_code, &batches[..]), (0, &[Codec::None][..]), "v{version}");
            assert_eq!(client.fetch(version, "t", 1).error_code, 76, "UNSUPPORTED_COMPRESSION_TYPE in v{version}");
        } else {
            assert_eq!((fetched.error_code, &batches[..]), (0, &[Codec::None, Codec::Zstd][..]), "v{version}");
            assert_eq!(client.fetch(version, "t", 1).records.map(|bytes| bytes.len()), Some(zstd(&["b", "c"]).len()));
        }
    }
}

#[test]
fn a_fetch_waits_for_bytes() {
    let cluster = TestCluster::builder().topic("t").start().unwrap();
    let (mut consumer, mut producer) = (Client::new(&cluster, 1), Client::new(&cluster, 1));
    let request = consumer.fetch_request(13, "t", 0);
    consumer.send(ApiKey::Fetch, 13, &FetchRequest { max_wait_ms: 60_000, ..request.clone() });
    let began = Instant::now();
    assert_eq!(producer.produce(12, "t", batch(&["a"])).error_code, 0);
    let response: FetchResponse = consumer.receive(ApiKey::Fetch, 13);
    assert_eq!(values(response.responses[0].partitions[0].records.clone(), 0), [(0, "a".to_owned())]);
    assert!(began.elapsed() < Duration::from_secs(50), "it was answered when there were records");

    let began = Instant::now();
    let response: FetchResponse =
        consumer.ask(ApiKey::Fetch, 13, &FetchRequest { max_wait_ms: 50, min_bytes: 1_000_000, ..request });
    assert!(began.elapsed() >= Duration::from_millis(50));
    assert_eq!(values(response.responses[0].partitions[0].records.clone(), 0).len(), 1);
}

#[test]
fn sizes_are_limited_but_the_first_batch_is_whole() {
    let cluster = TestCluster::builder().release(Release::V3_9).topic("t").start().unwrap();
    let mut client = Client::new(&cluster, 1);
    for value in ["a", "b", "c"] {
        assert_eq!(client.produce(9, "t", batch(&[value])).error_code, 0);
    }
    let size = batch(&["a"]).len() as i32;
    let mut fetch = |version, limit, most| {
        let mut request = client.fetch_request(version, "t", 0);
        request.topics[0].partitions[0].partition_max_bytes = limit;
        request.max_bytes = most;
        let response: FetchResponse = client.ask(ApiKey::Fetch, version, &request);
        response.responses[0].partitions[0].records.as_ref().unwrap().len() as i32
    };
    assert_eq!(fetch(12, 1, i32::MAX), size);
    assert_eq!(fetch(12, 2 * size, i32::MAX), 2 * size);
    assert_eq!(fetch(12, 3 * size - 1, i32::MAX), 3 * size - 1, "the last batch is cut off");
    assert_eq!(fetch(12, i32::MAX, size + 1), size + 1);
    assert_eq!(fetch(12, i32::MAX, 0), size);
    assert_eq!(fetch(2, 10, i32::MAX), 10, "before KIP-74 a message is cut off");
}

#[test]
fn leaders_and_epochs_are_checked() {
    let cluster = TestCluster::builder().brokers(2).topic("t").auto_create(false).start().unwrap();
    let mut client = Client::new(&cluster, 1);
    assert!(cluster.move_leader("t", 0, 2) && cluster.move_leader("t", 0, 1));
    let mut with_epoch = |current_leader_epoch| {
        let mut request = client.fetch_request(16, "t", 0);
        request.topics[0].partitions[0].current_leader_epoch = current_leader_epoch;
        let response: FetchResponse = client.ask(ApiKey::Fetch, 16, &request);
        response.responses[0].partitions[0].error_code
    };
    assert_eq!([1, 2, 3].map(&mut with_epoch), [74, 0, 75]);
    assert!(cluster.move_leader("t", 0, 2));
    let request = client.fetch_request(16, "t", 0);
    let response: FetchResponse = client.ask(ApiKey::Fetch, 16, &request);
    let partition = &response.responses[0].partitions[0];
    assert_eq!((partition.error_code, partition.current_leader.leader_id), (6, 2));
    assert_eq!(response.node_endpoints[0].port, i32::from(cluster.address(2).unwrap().port()));
    assert_eq!(client.fetch(12, "unknown", 0).error_code, 3);
    assert_eq!(client.fetch(13, "unknown", 0).error_code, 100);
}

#[test]
fn sessions_are_declined() {
    let cluster = TestCluster::builder().topic("t").start().unwrap();
    let mut client = Client::new(&cluster, 1);
    let request = FetchRequest { session_epoch: 0, ..client.fetch_request(12, "t", 0) };
    let response: FetchResponse = client.ask(ApiKey::Fetch, 12, &request);
    assert_eq!((response.error_code, response.session_id), (0, 0));
    let request = FetchRequest { session_id: 5, session_epoch: 1, ..request };
    let response: FetchResponse = client.ask(ApiKey::Fetch, 12, &request);
    assert_eq!(response.error_code, 70);
}

#[test]
fn offsets_are_found_by_time() {
    let cluster = TestCluster::builder().release(Release::V3_9).topic("t").start().unwrap();
    let mut client = Client::new(&cluster, 1);
    for sequence in [0, 3] {
        let stamp = Stamp::NONE.producer(7, 0, sequence);
        assert_eq!(client.produce(9, "t", stamped(&["a", "b", "c"], stamp)).error_code, 0);
    }
    let mut find = |version, timestamp| -> ListOffsetsPartitionResponse {
        let partitions = vec![ListOffsetsPartition { timestamp, max_num_offsets: 5, ..Default::default() }];
        let topics = vec![ListOffsetsTopic { name: "t".into(), partitions }];
        let request = ListOffsetsRequest { replica_id: -1, topics, ..Default::default() };
        let response: ListOffsetsResponse = client.ask(ApiKey::ListOffsets, version, &request);
        response.topics[0].partitions[0].clone()
    };
    for version in 1..=9 {
        let found = [-1, -2, TIME - 1, TIME + 1, TIME + 2, TIME + 3].map(|time| find(version, time).offset);
        assert_eq!(found, [6, 0, 0, 1, 2, -1], "v{version}");
    }
    assert_eq!(find(9, TIME + 1).timestamp, TIME + 1);
    assert_eq!((find(9, -3).offset, find(9, -3).timestamp), (2, TIME + 2), "the largest timestamp");
    assert_eq!(find(0, -1).old_style_offsets, [6, 0]);
    assert_eq!(find(0, -2).old_style_offsets, [0]);
}

#[test]
fn the_end_of_each_leader_epoch_is_found() {
    let builder = TestCluster::builder().brokers(2).release(Release::V3_9).topic("t").topic("empty");
    let cluster = builder.auto_create(false).start().unwrap();
    let (mut first, mut second) = (Client::new(&cluster, 1), Client::new(&cluster, 2));
    let end = |client: &mut Client, version, topic: &str, current_leader_epoch, leader_epoch| {
        let partitions = vec![OffsetForLeaderPartition { partition: 0, current_leader_epoch, leader_epoch }];
        let topics = vec![OffsetForLeaderTopic { topic: topic.into(), partitions }];
        let request = OffsetForLeaderEpochRequest { replica_id: if version < 3 { -2 } else { -1 }, topics };
        let response: OffsetForLeaderEpochResponse = client.ask(ApiKey::OffsetForLeaderEpoch, version, &request);
        let found = response.topics[0].partitions[0].clone();
        (found.error_code, found.leader_epoch, found.end_offset)
    };
    // Two records in epoch 0, none in 1, one in 2, none in 3 and in 4, which is the current one.
    assert_eq!(first.produce(9, "t", batch(&["a", "b"])).error_code, 0);
    assert!(cluster.move_leader("t", 0, 2) && cluster.move_leader("t", 0, 1));
    assert_eq!(first.produce(9, "t", batch(&["c"])).error_code, 0);
    assert!(cluster.move_leader("t", 0, 2) && cluster.move_leader("t", 0, 1));
    for version in 1..=4 {
        let found = [-1, 0, 1, 2, 3, 4, 5].map(|epoch| end(&mut first, version, "t", -1, epoch));
        let expected = [(-1, -1), (0, 2), (0, 2), (2, 3), (2, 3), (4, 3), (-1, -1)];
        assert_eq!(found, expected.map(|(epoch, end)| (0, epoch, end)), "v{version}");
    }
    assert_eq!(end(&mut first, 0, "t", -1, 1), (0, -1, 2), "v0 has no epoch");
    assert_eq!([3, 4, 5].map(|known| end(&mut first, 4, "t", known, 0).0), [74, 0, 75], "FENCED, UNKNOWN");
    assert_eq!(end(&mut second, 4, "t", 4, 0), (6, -1, -1), "NOT_LEADER_OR_FOLLOWER");
    assert_eq!(end(&mut first, 4, "unknown", -1, 0), (3, -1, -1));
    assert_eq!(end(&mut first, 4, "empty", -1, 0), (0, 0, 0));
    let requested = cluster.requests().into_iter().find(|request| request.api == ApiKey::OffsetForLeaderEpoch).unwrap();
    assert_eq!((requested.topics[0].topic.as_str(), &requested.topics[0].partitions[..]), ("t", &[0][..]));
    assert_eq!(cluster.violations(), [""; 0]);
}

#[test]
fn topics_are_created_with_settings() {
    let cluster = TestCluster::builder().auto_create(false).start().unwrap();
    let mut client = Client::new(&cluster, 1);
    assert_eq!(client.metadata(12, "t").topics[0].error_code, 3);
    let topic = |name: &str, num_partitions, configs: &[(&str, &str)]| CreatableTopic {
        name: name.into(),
        num_partitions,
        replication_factor: -1,
        configs: configs
            .iter()
            .map(|(name, value)| CreatableTopicConfig { name: (*name).into(), value: Some((*value).into()) })
            .collect(),
        ..Default::default()
    };
    let topics = vec![
        topic("t", 3, &[("cleanup.policy", "compact"), ("max.message.bytes", "100")]),
        topic("no/name", 1, &[]),
        topic("none", 0, &[]),
        topic("bad", 1, &[("max.message.bytes", "many")]),
    ];
    let request = CreateTopicsRequest { topics, ..Default::default() };
    for version in 2..=7 {
        let response: CreateTopicsResponse = client.ask(ApiKey::CreateTopics, version, &request);
        let codes: Vec<_> = response.topics.iter().map(|topic| topic.error_code).collect();
        assert_eq!(codes, [if version == 2 { 0 } else { 36 }, 17, 37, 40], "v{version}");
    }
    assert_eq!(client.metadata(12, "t").topics[0].partitions.len(), 3);
    assert_eq!(client.produce(12, "t", batch(&["a much longer value than fits into a hundred bytes"])).error_code, 10);
}
