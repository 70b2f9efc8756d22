//! Consumers: Fetch and ListOffsets with both isolation levels.

use kafka_batch_core::decode::{DEFAULT_MAX_DECOMPRESSED, RecordBatches};
use kafka_batch_testing::wire::fetch::{FetchRequest, FetchResponse, PartitionData};
use kafka_batch_testing::wire::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic,
};
use kafka_batch_testing::{ApiKey, Release, TestCluster};

use crate::common::{Client, TIME, batch};
use crate::producer::Producer;

const T0: (&str, i32) = ("t", 0);

fn fetch(client: &mut Client, version: i16, offset: i64, isolation_level: i8) -> PartitionData {
    let request = FetchRequest { isolation_level, ..client.fetch_request(version, "t", offset) };
    let response: FetchResponse = client.ask(ApiKey::Fetch, version, &request);
    response.responses[0].partitions[0].clone()
}

/// Returns the base offsets of the batches, and whether they are markers.
fn batches(data: &PartitionData) -> Vec<(i64, bool)> {
    let records = data.records.clone().unwrap();
    RecordBatches::new(&records)
        .map(|batch| batch.unwrap())
        .map(|batch| (batch.base_offset().unwrap(), batch.is_control()))
        .collect()
}

fn aborted(data: &PartitionData) -> Vec<(i64, i64)> {
    let aborted = data.aborted_transactions.as_ref().expect("a list");
    aborted.iter().map(|aborted| (aborted.producer_id, aborted.first_offset)).collect()
}

fn latest(client: &mut Client, isolation_level: i8, timestamp: i64) -> i64 {
    let partitions = vec![ListOffsetsPartition { timestamp, ..Default::default() }];
    let topics = vec![ListOffsetsTopic { name: "t".into(), partitions }];
    let request = ListOffsetsRequest { replica_id: -1, isolation_level, topics, ..Default::default() };
    let response: ListOffsetsResponse = client.ask(ApiKey::ListOffsets, 9, &request);
    response.topics[0].partitions[0].offset
}

#[test]
fn committed_records_end_at_the_last_stable_offset() {
    let cluster = TestCluster::builder().topic("t").start().unwrap();
    let mut consumer = Client::new(&cluster, 1);
    let (mut first, mut second) = (Producer::ready(&cluster, "a"), Producer::ready(&cluster, "b"));
    assert_eq!(consumer.produce(12, "t", batch(&["before"])).error_code, 0); // 0
    assert_eq!(first.produce(12, T0, 0, &["a"]), 0); // 1
    assert_eq!(second.produce(12, T0, 0, &["b", "b"]), 0); // 2, 3
    assert_eq!(consumer.produce(12, "t", batch(&["after"])).error_code, 0); // 4
    for version in [4, 11, 12, 13, 18] {
        let all = fetch(&mut consumer, version, 0, 0);
        assert_eq!((all.high_watermark, all.last_stable_offset), (5, 1), "v{version}");
        assert_eq!(all.aborted_transactions, None, "v{version}");
        assert_eq!(batches(&all), [(0, false), (1, false), (2, false), (4, false)], "v{version}");
        let committed = fetch(&mut consumer, version, 0, 1);
        assert_eq!((committed.high_watermark, committed.last_stable_offset), (5, 1), "v{version}");
        assert_eq!((batches(&committed), aborted(&committed)), (vec![(0, false)], vec![]), "v{version}");
        assert_eq!(fetch(&mut consumer, version, 3, 1).error_code, 0, "a position after it is valid");
    }
    assert_eq!([latest(&mut consumer, 0, -1), latest(&mut consumer, 1, -1)], [5, 1]);
    assert_eq!([latest(&mut consumer, 0, TIME + 1), latest(&mut consumer, 1, TIME + 1)], [3, -1]);
    let aborted_producer = second.identity.0;
    assert_eq!(second.end(5, false), 0); // 5
    let committed = fetch(&mut consumer, 12, 0, 1);
    assert_eq!((committed.last_stable_offset, batches(&committed)), (1, vec![(0, false)]), "the first is open");
    assert_eq!(first.end(5, true), 0); // 6
    let committed = fetch(&mut consumer, 12, 0, 1);
    let expected = [(0, false), (1, false), (2, false), (4, false), (5, true), (6, true)];
    assert_eq!(batches(&committed), expected);
    assert_eq!(aborted(&committed), [(aborted_producer, 2)]);
    assert_eq!(aborted(&fetch(&mut consumer, 12, 5, 1)), [(aborted_producer, 2)], "its marker is read");
    assert_eq!(aborted(&fetch(&mut consumer, 12, 6, 1)), [], "nothing of it is read");
    assert_eq!(latest(&mut consumer, 1, -1), 7);
}

#[test]
fn aborted_transactions_are_those_of_the_records_returned() {
    let cluster = TestCluster::builder().topic("t").start().unwrap();
    let mut consumer = Client::new(&cluster, 1);
    let mut producer = Producer::ready(&cluster, "a");
    for _ in 0..3 {
        assert_eq!(producer.produce(12, T0, 0, &["x"]), 0);
        assert_eq!(producer.end(5, false), 0);
    }
    let id = producer.identity.0;
    assert_eq!(aborted(&fetch(&mut consumer, 12, 0, 1)), [(id, 0), (id, 2), (id, 4)]);
    assert_eq!(aborted(&fetch(&mut consumer, 12, 2, 1)), [(id, 2), (id, 4)]);
    let mut request = FetchRequest { isolation_level: 1, ..consumer.fetch_request(12, "t", 0) };
    request.topics[0].partitions[0].partition_max_bytes = 1;
    let response: FetchResponse = consumer.ask(ApiKey::Fetch, 12, &request);
    let data = &response.responses[0].partitions[0];
    assert_eq!((batches(data), aborted(data)), (vec![(0, false)], vec![(id, 0)]), "one batch");
}

#[test]
fn a_fetch_that_waits_is_answered_when_the_transaction_ends() {
    let cluster = TestCluster::builder().topic("t").start().unwrap();
    let mut consumer = Client::new(&cluster, 1);
    let mut producer = Producer::ready(&cluster, "a");
    assert_eq!(producer.produce(12, T0, 0, &["x"]), 0);
    let request = FetchRequest { isolation_level: 1, max_wait_ms: 600_000, ..consumer.fetch_request(12, "t", 0) };
    consumer.send(ApiKey::Fetch, 12, &request);
    assert_eq!(producer.end(5, true), 0);
    let response: FetchResponse = consumer.receive(ApiKey::Fetch, 12);
    assert_eq!(batches(&response.responses[0].partitions[0]), [(0, false), (1, true)]);
}

#[test]
fn consumers_of_older_formats_get_no_markers() {
    let cluster = TestCluster::builder().release(Release::V3_9).topic("t").start().unwrap();
    let mut consumer = Client::new(&cluster, 1);
    let mut producer = Producer::ready(&cluster, "a");
    for sequence in 0..2 {
        assert_eq!(producer.add(3, "t", &[0]), [0]);
        assert_eq!(producer.produce(10, T0, sequence, &["x"]), 0);
        assert_eq!(producer.end(4, true), 0);
    }
    for version in 0..=3 {
        let records = consumer.fetch(version, "t", 0).records.unwrap();
        let mut offsets = Vec::new();
        for batch in RecordBatches::new(&records) {
            for record in &batch.unwrap().records(DEFAULT_MAX_DECOMPRESSED).unwrap() {
                offsets.push(record.unwrap().offset);
            }
        }
        assert_eq!(offsets, [0, 2], "v{version}");
    }
}
