//! Requests without a producer.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use bytes::Bytes;
use kafka_batch::protocol::{
    Acks, ApiKey, ApiVersionsRequest, ApiVersionsResponse, ErrorCode, FrameReader, PartitionProduceData,
    ProduceRequest, ProduceResponse, RequestHeader, TopicProduceData, Uuid,
};

/// How long to wait for a response.
const PATIENCE: Duration = Duration::from_secs(5);

const HEADER: RequestHeader<'static> = RequestHeader { correlation_id: 1, client_id: Some("kafka-batch") };

/// Sends a request, and returns the response.
fn exchange(stream: &mut TcpStream, request: &[Bytes]) -> Result<Bytes, String> {
    stream.write_all(&request.concat()).map_err(|error| error.to_string())?;
    let (mut frames, mut buffer) = (FrameReader::new(1 << 20), [0; 4096]);
    loop {
        let length = match stream.read(&mut buffer) {
            Ok(0) => return Err("closes the connection".into()),
            Ok(length) => length,
            Err(_) => return Err("does not answer".into()),
        };
        if let Some(frame) = frames.next_frame(&mut &buffer[..length]).map_err(|error| error.to_string())? {
            return Ok(frame);
        }
    }
}

fn connect(address: &str) -> Result<TcpStream, String> {
    let stream = TcpStream::connect(address).map_err(|error| error.to_string())?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(|error| error.to_string())?;
    Ok(stream)
}

/// Returns the versions that the server lists.
pub(crate) fn versions(address: &str) -> Result<ApiVersionsResponse, String> {
    let request = ApiVersionsRequest {
        client_software_name: "kafka-batch",
        client_software_version: "0",
        cluster_id: None,
        node_id: -1,
    };
    let request = request.encode(0, HEADER).map_err(|error| error.to_string())?;
    let frame = exchange(&mut connect(address)?, &request)?;
    ApiVersionsResponse::decode(&frame, 0).map_err(|error| error.to_string())
}

/// Sends a record set to partition 0 of a topic, as its leader's client would. Returns the error code of the response.
///
/// # Errors
/// How there is no response.
pub(crate) fn produce(address: &str, topic: &str, records: Bytes) -> Result<ErrorCode, String> {
    // Up to v12 the topic has a name.
    let version = versions(address)?.choose(ApiKey::Produce).ok_or("lists no Produce")?.min(12);
    let data = PartitionProduceData { index: 0, records };
    let topic = TopicProduceData { name: topic, topic_id: Uuid::ZERO, partition_data: vec![data] };
    let request =
        ProduceRequest { transactional_id: None, acks: Acks::All, timeout_ms: 5_000, topic_data: vec![topic] };
    let request = request.encode(version, HEADER).map_err(|error| error.to_string())?;
    let frame = exchange(&mut connect(address)?, &request)?;
    let response = ProduceResponse::decode(&frame, version).map_err(|error| error.to_string())?;
    let partition = response.responses.first().and_then(|topic| topic.partition_responses.first());
    Ok(partition.ok_or("answers for no partition")?.error_code)
}
