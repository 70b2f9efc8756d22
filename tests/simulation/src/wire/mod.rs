//! The broker's side of the wire: `kafka-protocol` decodes requests and encodes responses, so that what
//! `kafka-batch-core` encodes is decoded by an independent implementation. Produce v0 to v2, which it lacks, are in [`produce_old`].

pub mod produce;
pub mod produce_old;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};

/// Collects bytes until frames are whole.
#[derive(Debug, Default)]
pub struct Frames {
    collected: BytesMut,
}

impl Frames {
    /// Takes bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.collected.extend_from_slice(bytes);
    }

    /// The next whole frame, without its length.
    pub fn next_frame(&mut self) -> Option<Bytes> {
        let length = u32::from_be_bytes(*self.collected.first_chunk()?) as usize;
        if self.collected.len() - 4 < length {
            return None;
        }
        let frame = self.collected.split_to(4 + length).freeze();
        Some(frame.slice(4..))
    }

    /// Bytes of a frame that is not whole yet, or whose length is nonsense.
    #[must_use]
    pub fn left(&self) -> &[u8] {
        &self.collected
    }
}

/// A request as a broker sees it: who asks what, in which version, and the body.
#[derive(Clone, Debug)]
pub struct Request {
    /// The API.
    pub api: ApiKey,
    /// The version.
    pub version: i16,
    /// What comes back in the answer.
    pub correlation: i32,
    /// The rest.
    pub body: Bytes,
}

/// Takes the header off a request. The version need not be one that `kafka-protocol` knows.
pub fn open(mut frame: Bytes) -> Result<Request, String> {
    let key = frame.get(..2).and_then(|key| key.try_into().ok()).map(i16::from_be_bytes).ok_or("a short frame")?;
    let version =
        frame.get(2..4).and_then(|version| version.try_into().ok()).map(i16::from_be_bytes).ok_or("a short frame")?;
    let api = ApiKey::try_from(key).map_err(|()| format!("API {key}"))?;
    let header = RequestHeader::decode(&mut frame, header_version(api, version)).map_err(|error| error.to_string())?;
    Ok(Request { api, version, correlation: header.correlation_id, body: frame })
}

/// `kafka-protocol` can say it only for the versions that it knows; Produce v0 to v2 have header v1.
fn header_version(api: ApiKey, version: i16) -> i16 {
    if api == ApiKey::Produce && version < 3 { 1 } else { api.request_header_version(version) }
}

/// The header version of an answer.
#[must_use]
pub fn answer_header_version(api: ApiKey, version: i16) -> i16 {
    if api == ApiKey::Produce && version < 3 { 0 } else { api.response_header_version(version) }
}

/// A body of a request, and nothing after it.
pub fn body<T: Decodable>(request: &Request) -> Result<T, String> {
    let mut bytes = request.body.clone();
    let body = T::decode(&mut bytes, request.version).map_err(|error| error.to_string())?;
    if bytes.is_empty() { Ok(body) } else { Err(format!("{} bytes after the request", bytes.len())) }
}

/// Puts the frame of an answer together.
///
/// # Panics
/// The broker has made an answer that its version cannot carry: a fault of the simulation.
#[must_use]
pub fn answer<T: Encodable>(request: &Request, version: i16, body: &T) -> Bytes {
    let mut encoded = BytesMut::new();
    body.encode(&mut encoded, version).expect("the broker says only what the version can carry");
    framed(request.api, version, request.correlation, &encoded)
}

/// A frame: length, header of an answer, body.
///
/// # Panics
/// Never: an answer's header can always be encoded.
#[must_use]
pub fn framed(api: ApiKey, version: i16, correlation: i32, body: &[u8]) -> Bytes {
    let mut frame = BytesMut::from(&[0u8; 4][..]);
    let header = ResponseHeader::default().with_correlation_id(correlation);
    header.encode(&mut frame, answer_header_version(api, version)).expect("a number and no tagged fields");
    frame.extend_from_slice(body);
    let length = (frame.len() - 4) as u32;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    frame.freeze()
}

/// A string of `kafka-protocol`.
#[must_use]
pub fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}
