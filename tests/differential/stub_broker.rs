//! A broker that does not parse records: it stores the bytes that are produced, and returns them, or those of a test, to Fetch.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use kafka_batch_witnesses::kafka_protocol::messages::*;
use kafka_batch_witnesses::kafka_protocol::protocol::{Decodable, Encodable, StrBytes};

pub(crate) const TOPIC: &str = "topic";

/// The stored record bytes.
#[derive(Clone, Default)]
pub(crate) struct Stored(Arc<Mutex<Vec<u8>>>);

impl Stored {
    pub(crate) fn put(&self, bytes: &[u8]) {
        *self.0.lock().expect("no panic while it is locked") = bytes.to_vec();
    }

    pub(crate) fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().expect("no panic while it is locked"))
    }
}

/// Starts a broker on a free port. It runs until the process ends.
pub(crate) fn start() -> (String, Stored) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("a bound address").port();
    let stored = Stored::default();
    let shared = stored.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let stored = shared.clone();
            std::thread::spawn(move || serve(stream, port, &stored));
        }
    });
    (format!("127.0.0.1:{port}"), stored)
}

/// Responds to requests until the connection is closed.
fn serve(mut stream: TcpStream, port: u16, stored: &Stored) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    loop {
        let mut length = [0; 4];
        stream.read_exact(&mut length).ok()?;
        let mut request = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut request).ok()?;
        let response = response(&request, port, stored);
        let mut frame = (response.len() as u32).to_be_bytes().to_vec();
        frame.extend(response);
        stream.write_all(&frame).ok()?;
    }
}

fn response(request: &[u8], port: u16, stored: &Stored) -> Vec<u8> {
    let [key, version] = [0, 2].map(|at| i16::from_be_bytes([request[at], request[at + 1]]));
    let key = ApiKey::try_from(key).expect("an API of Kafka");
    let mut rest = request;
    let header = RequestHeader::decode(&mut rest, key.request_header_version(version)).expect("a header");
    let mut response = Vec::new();
    ResponseHeader::default()
        .with_correlation_id(header.correlation_id)
        .encode(&mut response, key.response_header_version(version))
        .expect("a header");
    match key {
        ApiKey::ApiVersions => versions().encode(&mut response, version),
        ApiKey::Metadata => metadata(port).encode(&mut response, version),
        ApiKey::Produce => {
            let produce = ProduceRequest::decode(&mut rest, version).expect("a request");
            let records = produce.topic_data[0].partition_data[0].records.clone();
            stored.put(&records.expect("records"));
            produced().encode(&mut response, version)
        }
        ApiKey::Fetch => fetched(stored.take()).encode(&mut response, version),
        other => panic!("unexpected request: {other:?}"),
    }
    .expect("a response");
    response
}

fn versions() -> ApiVersionsResponse {
    let known = [(ApiKey::ApiVersions, 0, 3), (ApiKey::Metadata, 0, 4), (ApiKey::Produce, 3, 7), (ApiKey::Fetch, 4, 4)];
    let known = known.map(|(key, min, max)| {
        api_versions_response::ApiVersion::default()
            .with_api_key(key as i16)
            .with_min_version(min)
            .with_max_version(max)
    });
    ApiVersionsResponse::default().with_api_keys(known.to_vec())
}

fn topic() -> TopicName {
    TopicName(StrBytes::from_static_str(TOPIC))
}

fn metadata(port: u16) -> MetadataResponse {
    use metadata_response::{MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic};
    let broker = MetadataResponseBroker::default()
        .with_node_id(BrokerId(1))
        .with_host(StrBytes::from_static_str("127.0.0.1"))
        .with_port(i32::from(port));
    let partition = MetadataResponsePartition::default().with_partition_index(0).with_leader_id(BrokerId(1));
    let topic = MetadataResponseTopic::default().with_name(Some(topic())).with_partitions(vec![partition]);
    MetadataResponse::default().with_brokers(vec![broker]).with_controller_id(BrokerId(1)).with_topics(vec![topic])
}

fn produced() -> ProduceResponse {
    use produce_response::{PartitionProduceResponse, TopicProduceResponse};
    let partition = PartitionProduceResponse::default().with_index(0).with_base_offset(0);
    let topic = TopicProduceResponse::default().with_name(topic()).with_partition_responses(vec![partition]);
    ProduceResponse::default().with_responses(vec![topic])
}

fn fetched(records: Vec<u8>) -> FetchResponse {
    use fetch_response::{FetchableTopicResponse, PartitionData};
    let partition = PartitionData::default().with_partition_index(0).with_records(Some(records.into()));
    let topic = FetchableTopicResponse::default().with_topic(topic()).with_partitions(vec![partition]);
    FetchResponse::default().with_responses(vec![topic])
}
