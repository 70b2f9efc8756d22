//! The broker's side of the wire: `kafka-protocol` decodes requests and encodes responses, so that what
//! `kafka-batch-core` encodes is decoded by an independent implementation. Produce v0 to v2, which it lacks, are in [`produce_old`].

pub mod produce;
pub mod produce_old;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};

/// Collects bytes into complete frames.
#[derive(Debug, Default)]
pub struct Frames {
    collected: BytesMut,
}

impl Frames {
    /// Adds bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.collected.extend_from_slice(bytes);
    }

    /// Returns the next complete frame, without its length.
    pub fn next_frame(&mut self) -> Option<Bytes> {
        let length = u32::from_be_bytes(*self.collected.first_chunk()?) as usize;
        if self.collected.len() - 4 < length {
            return None;
        }
        let frame = self.collected.split_to(4 + length).freeze();
        Some(frame.slice(4..))
    }

    /// Returns the number of bytes of a frame that is incomplete, or has an invalid length.
    #[must_use]
    pub fn left(&self) -> &[u8] {
        &self.collected
    }
}

/// A request as received by a broker.
#[derive(Clone, Debug)]
pub struct Request {
    /// The API.
    pub api: ApiKey,
    /// The version.
    pub version: i16,
    /// The correlation id, which the response repeats.
    pub correlation: i32,
    /// The body.
    pub body: Bytes,
}

/// Parses the header of a request. `kafka-protocol` need not know the version.
pub fn open(mut frame: Bytes) -> Result<Request, String> {
    let key = frame.get(..2).and_then(|key| key.try_into().ok()).map(i16::from_be_bytes).ok_or("a short frame")?;
    let version =
        frame.get(2..4).and_then(|version| version.try_into().ok()).map(i16::from_be_bytes).ok_or("a short frame")?;
    let api = ApiKey::try_from(key).map_err(|()| format!("API {key}"))?;
    let header = RequestHeader::decode(&mut frame, header_version(api, version)).map_err(|error| error.to_string())?;
    Ok(Request { api, version, correlation: header.correlation_id, body: frame })
}

/// Returns the header version. `kafka-protocol` knows it only for the versions that it has; Produce v0 to v2 have
/// header v1.
fn header_version(api: ApiKey, version: i16) -> i16 {
    if api == ApiKey::Produce && version < 3 { 1 } else { api.request_header_version(version) }
}

/// Returns the header version of a response.
#[must_use]
pub fn answer_header_version(api: ApiKey, version: i16) -> i16 {
    if api == ApiKey::Produce && version < 3 { 0 } else { api.response_header_version(version) }
}

/// Decodes the body of a request, after which nothing may follow.
pub fn body<T: Decodable>(request: &Request) -> Result<T, String> {
    let mut bytes = request.body.clone();
    let body = T::decode(&mut bytes, request.version).map_err(|error| error.to_string())?;
    if bytes.is_empty() { Ok(body) } else { Err(format!("{} bytes after the request", bytes.len())) }
}

/// Encodes the frame of a response.
///
/// # Panics
/// The response cannot be encoded in its version, which is an error of the simulation.
#[must_use]
pub fn answer<T: Encodable>(request: &Request, version: i16, body: &T) -> Bytes {
    let mut encoded = BytesMut::new();
    body.encode(&mut encoded, version).expect("a response that its version can carry");
    framed(request.api, version, request.correlation, &encoded)
}

/// Encodes a frame: length, header of a response, body.
///
/// # Panics
/// Never: the header of a response can always be encoded.
#[must_use]
pub fn framed(api: ApiKey, version: i16, correlation: i32, body: &[u8]) -> Bytes {
    let mut frame = BytesMut::from(&[0u8; 4][..]);
    let header = ResponseHeader::default().with_correlation_id(correlation);
    header.encode(&mut frame, answer_header_version(api, version)).expect("a header without tagged fields");
    frame.extend_from_slice(body);
    let length = (frame.len() - 4) as u32;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    frame.freeze()
}

/// Returns a string of `kafka-protocol`.
#[must_use]
pub fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}
