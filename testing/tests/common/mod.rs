//! A client that writes requests by hand, over a socket.
#![allow(dead_code)] // each suite uses a part

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use bytes::Bytes;
use kafka_batch_core::batch::Stamp;
use kafka_batch_core::{BatchOptions, BrokerVersion, Compression, KafkaBatch, Magic, Record, Timestamp};
use kafka_batch_testing::wire::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic, PartitionData};
use kafka_batch_testing::wire::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse};
use kafka_batch_testing::wire::produce::{
    PartitionProduceData, PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceData,
};
use kafka_batch_testing::wire::{self, Field};
use kafka_batch_testing::{ApiKey, TestCluster};

/// The time after which a test fails that would hang.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The timestamp of records in ms.
pub(crate) const TIME: i64 = 1_700_000_000_000;

pub(crate) struct Client(pub(crate) TcpStream);

impl Client {
    pub(crate) fn new(cluster: &TestCluster, broker: i32) -> Self {
        let stream = TcpStream::connect(cluster.address(broker).unwrap()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(stream)
    }

    pub(crate) fn send(&mut self, api: ApiKey, version: i16, body: &impl Field) {
        self.0.write_all(&wire::request(api, version, 7, Some("test"), body)).unwrap();
    }

    /// Returns the next frame; `None` if the connection is closed.
    pub(crate) fn frame(&mut self) -> Option<Bytes> {
        let mut length = [0; 4];
        self.0.read_exact(&mut length).ok()?;
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        self.0.read_exact(&mut frame).ok()?;
        Some(frame.into())
    }

    pub(crate) fn receive<T: Field>(&mut self, api: ApiKey, version: i16) -> T {
        let frame = self.frame().expect("a response");
        assert_eq!(frame[..4], 7_i32.to_be_bytes(), "the correlation id");
        wire::read(api, version, frame.slice(wire::response_header_len(api, version)..)).unwrap()
    }

    pub(crate) fn ask<T: Field>(&mut self, api: ApiKey, version: i16, body: &impl Field) -> T {
        self.send(api, version, body);
        self.receive(api, version)
    }

    /// Returns true if the broker has closed the connection.
    pub(crate) fn is_closed(&mut self) -> bool {
        !matches!(self.0.read(&mut [0]), Ok(1..))
    }

    pub(crate) fn metadata(&mut self, version: i16, topic: &str) -> MetadataResponse {
        let topics = Some(vec![MetadataRequestTopic { name: Some(topic.into()), ..Default::default() }]);
        self.ask(ApiKey::Metadata, version, &MetadataRequest { topics, ..Default::default() })
    }

    /// Sends records to a partition 0.
    pub(crate) fn produce(&mut self, version: i16, topic: &str, records: impl Into<Bytes>) -> PartitionProduceResponse {
        self.produce_to(version, topic, 0, records)
    }

    pub(crate) fn produce_to(
        &mut self,
        version: i16,
        topic: &str,
        index: i32,
        records: impl Into<Bytes>,
    ) -> PartitionProduceResponse {
        let request = self.produce_request(version, topic, index, records.into(), -1);
        let response: ProduceResponse = self.ask(ApiKey::Produce, version, &request);
        response.responses[0].partition_responses[0].clone()
    }

    pub(crate) fn produce_request(
        &mut self,
        version: i16,
        topic: &str,
        index: i32,
        records: Bytes,
        acks: i16,
    ) -> ProduceRequest {
        let topic_id = if version >= 13 { self.metadata(12, topic).topics[0].topic_id } else { [0; 16] };
        let partition_data = vec![PartitionProduceData { index, records: Some(records) }];
        let topic_data = vec![TopicProduceData { name: topic.into(), topic_id, partition_data }];
        ProduceRequest { transactional_id: None, acks, timeout_ms: 10_000, topic_data }
    }

    pub(crate) fn fetch_request(&mut self, version: i16, topic: &str, fetch_offset: i64) -> FetchRequest {
        let topic_id = if version >= 13 { self.metadata(12, topic).topics[0].topic_id } else { [0; 16] };
        let partition = FetchPartition { fetch_offset, partition_max_bytes: 1 << 20, ..Default::default() };
        let topics = vec![FetchTopic { topic: topic.into(), topic_id, partitions: vec![partition] }];
        FetchRequest { max_wait_ms: 0, min_bytes: 1, max_bytes: 1 << 20, topics, ..Default::default() }
    }

    pub(crate) fn fetch(&mut self, version: i16, topic: &str, offset: i64) -> PartitionData {
        let request = self.fetch_request(version, topic, offset);
        let response: FetchResponse = self.ask(ApiKey::Fetch, version, &request);
        response.responses[0].partitions[0].clone()
    }
}

pub(crate) fn options(magic: Magic, compression: Compression) -> BatchOptions {
    let version = match magic {
        Magic::V0 => "0.9",
        Magic::V1 => "0.10",
        Magic::V2 => "4.0",
    };
    BatchOptions::default().magic(version.parse::<BrokerVersion>().unwrap()).compression(compression)
}

/// Returns an open batch with these values.
pub(crate) fn open(options: &BatchOptions, values: &[&str]) -> KafkaBatch {
    let mut batch = options.clone().build(Timestamp::from_millis(TIME)).unwrap();
    for (position, value) in values.iter().enumerate() {
        let time = Timestamp::from_millis(TIME + position as i64);
        assert!(!batch.append(Record::new(*value).key("k").timestamp(time)).unwrap().is_full());
    }
    batch
}

/// Returns the bytes of a batch of magic 2 without a producer id.
pub(crate) fn batch(values: &[&str]) -> Bytes {
    stamped(values, Stamp::NONE)
}

pub(crate) fn stamped(values: &[&str], stamp: Stamp) -> Bytes {
    let batch = open(&options(Magic::V2, Compression::None), values);
    batch.seal().unwrap().stamp(stamp).unwrap().bytes().clone()
}
