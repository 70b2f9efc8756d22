//! A plain connection to the broker: requests of this library's protocol module where it has them, otherwise of the
//! crate `kafka-protocol`.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use kafka_batch::batch::StampedBatch;
use kafka_batch::protocol::{
    Acks, ApiKey, ApiVersionsRequest, ApiVersionsResponse, DEFAULT_MAX_FRAME_SIZE, ErrorCode, FrameReader,
    InitProducerIdRequest, InitProducerIdResponse, MetadataRequest, MetadataResponse, PartitionProduceData,
    PartitionProduceResponse, ProduceRequest, ProduceResponse, RequestEncodeError, RequestHeader, RequestedTopics,
    TopicNameOrId, TopicProduceData, Uuid, correlation_id,
};
use kafka_batch_witnesses::kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_batch_witnesses::kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_batch_witnesses::kafka_protocol::messages::fetch_response::PartitionData;
use kafka_batch_witnesses::kafka_protocol::messages::{
    CreateTopicsRequest, FetchRequest, RequestHeader as TheirHeader, ResponseHeader, TopicName,
};
use kafka_batch_witnesses::kafka_protocol::protocol::{
    Decodable as _, Encodable as _, HeaderVersion, Request, StrBytes,
};

use super::broker::{Kafka, unique, until};
use super::rows::batches;

const CLIENT: &str = "kafka-batch-tests";

/// A connection with one request in flight at a time.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    frames: FrameReader,
    requests: i32,
    pub(crate) listed: ApiVersionsResponse,
}

/// A topic created for one test.
#[derive(Clone, Debug)]
pub(crate) struct Topic {
    pub(crate) name: String,
    pub(crate) id: Uuid,
}

impl Wire {
    /// Connects, and requests the supported versions: with the newest version, or the one that the broker then names.
    pub(crate) fn connect(kafka: &Kafka) -> Self {
        let stream = TcpStream::connect(&kafka.address).unwrap_or_else(|error| panic!("{}: {error}", kafka.address));
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.set_nodelay(true).unwrap();
        let unknown = ApiVersionsResponse::decode(&[0; 10], 0).unwrap();
        let mut wire = Self { stream, frames: FrameReader::new(DEFAULT_MAX_FRAME_SIZE), requests: 0, listed: unknown };
        let mut version = ApiKey::ApiVersions.versions().max;
        let mut listed = wire.api_versions(version);
        if listed.error_code == ErrorCode::UNSUPPORTED_VERSION {
            version = listed.choose(ApiKey::ApiVersions).unwrap();
            listed = wire.api_versions(version);
        }
        assert_eq!(listed.error_code, ErrorCode::NONE, "ApiVersions v{version}");
        let supports_old_fetches = listed.api_keys.iter().any(|api| api.api_key == 1 && api.versions.min == 0);
        assert_eq!(supports_old_fetches, kafka.major() < 4, "the broker is not Kafka {}", kafka.version);
        Self { listed, ..wire }
    }

    fn api_versions(&mut self, version: i16) -> ApiVersionsResponse {
        let request = ApiVersionsRequest {
            client_software_name: CLIENT,
            client_software_version: "1",
            cluster_id: None,
            node_id: -1,
        };
        let frame = self.exchange(|header| request.encode(version, header)).unwrap();
        ApiVersionsResponse::decode(&frame, version).unwrap()
    }

    /// Returns the newest version of an API that both sides support.
    pub(crate) fn newest(&self, api: ApiKey) -> i16 {
        self.listed.choose(api).unwrap()
    }

    /// Writes a request and reads the response, with its correlation id.
    fn exchange<B: AsRef<[u8]>>(
        &mut self,
        encode: impl FnOnce(RequestHeader<'_>) -> Result<Vec<B>, RequestEncodeError>,
    ) -> io::Result<Vec<u8>> {
        self.requests += 1;
        let header = RequestHeader { correlation_id: self.requests, client_id: Some(CLIENT) };
        let segments = encode(header).unwrap();
        let request: Vec<u8> = segments.iter().flat_map(|segment| segment.as_ref().iter().copied()).collect();
        self.stream.write_all(&request)?;
        let mut buffer = [0; 1 << 16];
        loop {
            let length = self.stream.read(&mut buffer)?;
            if length == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let mut received = &buffer[..length];
            if let Some(frame) = self.frames.next_frame(&mut received).unwrap() {
                assert!(received.is_empty(), "unexpected bytes: {received:?}");
                assert_eq!(correlation_id(&frame).unwrap(), self.requests);
                return Ok(frame.to_vec());
            }
        }
    }

    /// Sends a request of the crate `kafka-protocol`, and returns the response.
    pub(crate) fn ask<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        let frame = self.exchange(|RequestHeader { correlation_id, .. }| {
            let header = TheirHeader::default()
                .with_request_api_key(R::KEY)
                .with_request_api_version(version)
                .with_correlation_id(correlation_id)
                .with_client_id(Some(text(CLIENT)));
            let mut message = Vec::new();
            header.encode(&mut message, R::header_version(version)).unwrap();
            request.encode(&mut message, version).unwrap();
            Ok(vec![(message.len() as i32).to_be_bytes().to_vec(), message])
        });
        let frame = frame.unwrap();
        let mut rest = &frame[..];
        ResponseHeader::decode(&mut rest, R::Response::header_version(version)).unwrap();
        let response = R::Response::decode(&mut rest, version).unwrap();
        assert!(rest.is_empty(), "bytes after the response: {rest:?}");
        response
    }

    /// Sends a request given without its header of key, version and ids, which is the same in all old versions.
    pub(crate) fn ask_by_hand(&mut self, key: i16, version: i16, body: &[u8]) -> Vec<u8> {
        let answer = self.exchange(|header| {
            let client = CLIENT.as_bytes();
            let parts: [&[u8]; 6] = [
                &key.to_be_bytes(),
                &version.to_be_bytes(),
                &header.correlation_id.to_be_bytes(),
                &(client.len() as i16).to_be_bytes(),
                client,
                body,
            ];
            let message = parts.concat();
            Ok(vec![(message.len() as i32).to_be_bytes().to_vec(), message])
        });
        answer.unwrap().split_off(4)
    }

    /// Creates a topic with these settings, and waits until it can be written to.
    pub(crate) fn topic(&mut self, name: &str, partitions: i32, settings: &[(&str, &str)]) -> Topic {
        let name = unique(name);
        // No retention and no segments by time: both depend on the timestamps of records, which are old here. (A
        // transaction's marker has the current time, and would otherwise start a new segment.)
        let timeless = [("retention.ms", "-1"), ("segment.ms", "1000000000000000")];
        let given = |name| settings.iter().any(|(other, _)| *other == name);
        let settings = timeless.iter().filter(|(name, _)| !given(*name)).chain(settings);
        let setting = |(key, value): &(&str, &str)| {
            CreatableTopicConfig::default().with_name(text(key)).with_value(Some(text(value)))
        };
        let topic = CreatableTopic::default()
            .with_name(TopicName(text(&name)))
            .with_num_partitions(partitions)
            .with_replication_factor(1)
            .with_configs(settings.map(setting).collect());
        let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(60_000);
        let response = self.ask(7, &request);
        let created = &response.topics[0];
        assert_eq!(ErrorCode(created.error_code), ErrorCode::NONE, "{created:?}");
        let topic = Topic { name, id: Uuid(*created.topic_id.as_bytes()) };
        for partition in 0..partitions {
            until("a leader for a new partition", || {
                let code = ErrorCode(self.fetch((&topic, partition), 0, false).error_code);
                assert!(!code.is_error() || code.is_retriable(), "{code}");
                (!code.is_error()).then_some(())
            });
        }
        self.check_metadata(&topic, partitions);
        topic
    }

    /// Checks the broker's metadata of a topic in every version that both sides support.
    fn check_metadata(&mut self, topic: &Topic, partitions: i32) {
        let theirs = self.listed.versions(ApiKey::Metadata).unwrap();
        let names = [topic.name.as_str()];
        for version in theirs.min..=self.newest(ApiKey::Metadata) {
            let mut request = MetadataRequest::new(RequestedTopics::ByName(&names));
            request.allow_auto_topic_creation = version < 4;
            let frame = self.exchange(|header| request.encode(version, header)).unwrap();
            let answer = MetadataResponse::decode(&frame, version).unwrap();
            let [described] = &answer.topics[..] else { panic!("v{version}: {answer:?}") };
            assert_eq!(described.error_code, ErrorCode::NONE, "v{version}");
            assert_eq!(described.name.as_deref(), Some(topic.name.as_str()), "v{version}");
            assert_eq!(described.partitions.len() as i32, partitions, "v{version}");
            assert!(version < 10 || described.topic_id == topic.id, "v{version}");
            let leader = answer.brokers[0].node_id;
            assert!(described.partitions.iter().all(|partition| partition.leader_id == leader), "v{version}");
        }
    }

    /// Sends a batch to the leader of a partition, which is always this broker.
    pub(crate) fn produce(
        &mut self,
        version: i16,
        transactional_id: Option<&str>,
        (topic, partition): (&Topic, i32),
        batch: &StampedBatch,
    ) -> io::Result<PartitionProduceResponse> {
        let data = PartitionProduceData { index: partition, records: batch.bytes().clone() };
        let request = ProduceRequest {
            transactional_id,
            acks: Acks::All,
            timeout_ms: 60_000,
            topic_data: vec![TopicProduceData { name: &topic.name, topic_id: topic.id, partition_data: vec![data] }],
        };
        let frame = self.exchange(|header| request.encode(version, header))?;
        let mut response = ProduceResponse::decode(&frame, version).unwrap();
        let mut answered = response.responses.pop().unwrap();
        let named = if version < 13 { TopicNameOrId::Name(topic.name.clone()) } else { TopicNameOrId::Id(topic.id) };
        assert_eq!((answered.topic, response.responses.len()), (named, 0));
        assert_eq!((answered.partition_responses[0].index, answered.partition_responses.len()), (partition, 1));
        Ok(answered.partition_responses.remove(0))
    }

    /// Appends a batch with the newest version, and returns its offset.
    pub(crate) fn append(&mut self, to: (&Topic, i32), batch: &StampedBatch) -> i64 {
        let answer = self.produce(self.newest(ApiKey::Produce), None, to, batch).unwrap();
        assert_eq!(answer.error_code, ErrorCode::NONE, "{answer:?}");
        answer.base_offset
    }

    pub(crate) fn init_producer_id(&mut self, transactional_id: Option<&str>) -> InitProducerIdResponse {
        let mut request = InitProducerIdRequest { transactional_id, ..InitProducerIdRequest::idempotent() };
        if transactional_id.is_some() {
            request.transaction_timeout_ms = 60_000;
        }
        let version = self.newest(ApiKey::InitProducerId);
        let frame = self.exchange(|header| request.encode(version, header)).unwrap();
        InitProducerIdResponse::decode(&frame, version).unwrap()
    }

    /// Returns a response to Fetch v12, the last version with topic names: everything from this offset to the end of
    /// the segment.
    pub(crate) fn fetch(&mut self, (topic, partition): (&Topic, i32), from: i64, committed: bool) -> PartitionData {
        const PLENTY: i32 = 50_000_000;
        let partition = FetchPartition::default()
            .with_partition(partition)
            .with_fetch_offset(from)
            .with_partition_max_bytes(PLENTY);
        let topic = FetchTopic::default().with_topic(TopicName(text(&topic.name))).with_partitions(vec![partition]);
        let request = FetchRequest::default()
            .with_max_bytes(PLENTY)
            .with_isolation_level(i8::from(committed))
            .with_topics(vec![topic]);
        let mut response = self.ask(12, &request);
        assert_eq!(ErrorCode(response.error_code), ErrorCode::NONE);
        response.responses.remove(0).partitions.remove(0)
    }

    /// Returns all record bytes of a partition.
    pub(crate) fn log(&mut self, topic: &Topic, partition: i32) -> Vec<u8> {
        let (mut log, mut next) = (Vec::new(), 0);
        loop {
            let answer = self.fetch((topic, partition), next, false);
            assert_eq!(ErrorCode(answer.error_code), ErrorCode::NONE);
            let records = answer.records.unwrap_or_default();
            let last = batches(&records).last().map(|batch| *batch.header().unwrap());
            next = last.map_or(next, |last| last.base_offset + i64::from(last.last_offset_delta) + 1);
            log.extend_from_slice(&records);
            if next == answer.high_watermark {
                return log;
            }
        }
    }
}

pub(crate) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}
