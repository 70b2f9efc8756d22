//! A cluster on sockets: requests written by hand, and what remains when it ends.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use bytes::Bytes;
use kafka_batch_core::batch::Stamp;
use kafka_batch_core::{KafkaBatch, Record, Timestamp};
use kafka_batch_testing::wire::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use kafka_batch_testing::wire::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse};
use kafka_batch_testing::wire::produce::{PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData};
use kafka_batch_testing::wire::{self, Field};
use kafka_batch_testing::{ApiKey, TestCluster};

struct Client(TcpStream);

impl Client {
    fn new(cluster: &TestCluster, broker: i32) -> Self {
        let stream = TcpStream::connect(cluster.address(broker).unwrap()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Self(stream)
    }

    fn ask<T: Field>(&mut self, api: ApiKey, version: i16, body: &impl Field) -> T {
        self.0.write_all(&wire::request(api, version, 7, Some("test"), body)).unwrap();
        let mut length = [0; 4];
        self.0.read_exact(&mut length).unwrap();
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        self.0.read_exact(&mut frame).unwrap();
        let body = Bytes::from(frame).slice(wire::response_header_len(api, version)..);
        wire::read(api, version, body).unwrap()
    }

    fn is_closed(&mut self) -> bool {
        !matches!(self.0.read(&mut [0]), Ok(1..))
    }
}

fn batch(values: &[&str]) -> Bytes {
    let mut batch = KafkaBatch::new(Timestamp::from_millis(1_700_000_000_000));
    batch.extend(values.iter().map(|value| Record::new(*value))).unwrap();
    batch.seal().unwrap().stamp(Stamp::NONE).unwrap().bytes().clone()
}

#[test]
fn what_is_produced_over_a_socket_is_in_the_log() {
    let cluster = TestCluster::start();
    let mut client = Client::new(&cluster, 1);
    let versions: ApiVersionsResponse = client.ask(ApiKey::ApiVersions, 4, &ApiVersionsRequest::default());
    assert_eq!(versions.error_code, 0);
    let topics = Some(vec![MetadataRequestTopic { name: Some("t".into()), ..Default::default() }]);
    let metadata: MetadataResponse =
        client.ask(ApiKey::Metadata, 12, &MetadataRequest { topics, ..Default::default() });
    assert_eq!((metadata.topics[0].error_code, metadata.topics[0].partitions[0].leader_id), (0, 1));
    assert_eq!(metadata.brokers[0].port, i32::from(cluster.address(1).unwrap().port()));
    for acks in [1, -1] {
        let partition_data = vec![PartitionProduceData { index: 0, records: Some(batch(&["a", "b"])) }];
        let topic_id = metadata.topics[0].topic_id;
        let topic_data = vec![TopicProduceData { topic_id, partition_data, ..Default::default() }];
        let request = ProduceRequest { acks, timeout_ms: 1_000, topic_data, ..Default::default() };
        let response: ProduceResponse = client.ask(ApiKey::Produce, 13, &request);
        assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
    }
    let log = cluster.log("t", 0).unwrap();
    assert_eq!(log.values().unwrap(), ["a", "b", "a", "b"]);
    assert_eq!(log.records().unwrap().last().unwrap().offset, 3);
    let apis: Vec<_> = cluster.requests().iter().map(|request| request.api).collect();
    assert_eq!(apis, [ApiKey::ApiVersions, ApiKey::Metadata, ApiKey::Produce, ApiKey::Produce]);
    assert_eq!(cluster.requests()[2].topics[0].topic, "t");
    drop(cluster);
    assert!(client.is_closed());
}
