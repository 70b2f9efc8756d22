//! Kafka's protocol from the broker's side, also usable by an observer of a connection: frames, headers, and the messages
//! of each API as tables of fields, which can be read and written.

pub mod add_offsets_to_txn;
pub mod add_partitions_to_txn;
pub mod api_versions;
pub mod create_topics;
pub mod describe_transactions;
pub mod end_txn;
pub mod fetch;
pub mod find_coordinator;
pub mod init_producer_id;
pub mod list_offsets;
pub mod metadata;
pub mod offset_commit;
pub mod offset_fetch;
pub mod offset_for_leader_epoch;
mod primitives;
pub mod produce;
pub mod sasl;
mod schema;
pub mod txn_offset_commit;

use bytes::{Bytes, BytesMut};

pub use self::primitives::{Field, Malformed, Reader, Writer};
use crate::api_key::ApiKey;

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
        let length = self.next_length()?;
        if self.collected.len() - 4 < length {
            return None;
        }
        let frame = self.collected.split_to(4 + length).freeze();
        Some(frame.slice(4..))
    }

    /// Returns the length of the next frame, which may be incomplete. A negative length is returned as more than 2³¹ − 1.
    #[must_use]
    pub fn next_length(&self) -> Option<usize> {
        Some(u32::from_be_bytes(*self.collected.first_chunk()?) as usize)
    }

    /// Returns the bytes of a frame that is incomplete, or has an invalid length.
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
    /// The client's name for itself.
    pub client_id: Option<String>,
    /// The body.
    pub body: Bytes,
}

/// Parses the header of a request, of any version.
pub fn open(frame: Bytes) -> Result<Request, Malformed> {
    let mut start = Reader::new(frame, 0, false);
    let (key, version) = (i16::read(&mut start)?, i16::read(&mut start)?);
    let api = ApiKey::from_code(key).ok_or(Malformed::UnknownApi(key))?;
    let correlation = i32::read(&mut start)?;
    // Its length is never compact.
    let client_id = Option::<String>::read(&mut start)?;
    let mut tags = Reader::new(start.into_rest(), version, api.is_flexible(version));
    tags.tagged(|_, _| Ok(false))?;
    Ok(Request { api, version, correlation, client_id, body: tags.into_rest() })
}

/// Encodes a request, as a client does.
#[must_use]
pub fn request(api: ApiKey, version: i16, correlation: i32, client_id: Option<&str>, body: &impl Field) -> Bytes {
    let mut header = Writer::new(BytesMut::from(&[0; 4][..]), version, false);
    api.code().write(&mut header);
    version.write(&mut header);
    correlation.write(&mut header);
    client_id.map(str::to_owned).write(&mut header);
    let mut writer = Writer::new(header.into_bytes(), version, api.is_flexible(version));
    writer.tagged(&[]);
    body.write(&mut writer);
    with_length(writer.into_bytes())
}

/// Decodes the body of a request, after which nothing may follow.
pub fn body<T: Field>(request: &Request) -> Result<T, Malformed> {
    read(request.api, request.version, request.body.clone())
}

/// Decodes the body of a message, after which nothing may follow.
pub fn read<T: Field>(api: ApiKey, version: i16, body: Bytes) -> Result<T, Malformed> {
    let (body, left) = read_first(api, version, body)?;
    if left == 0 { Ok(body) } else { Err(Malformed::LeftOver(left)) }
}

/// Decodes the body of a message, and returns it with the number of bytes after it.
pub fn read_first<T: Field>(api: ApiKey, version: i16, body: Bytes) -> Result<(T, usize), Malformed> {
    let mut reader = Reader::new(body, version, api.is_flexible(version));
    let body = T::read(&mut reader)?;
    Ok((body, reader.into_rest().len()))
}

/// Returns the length of the header of a response, which has no tagged fields.
#[must_use]
pub const fn response_header_len(api: ApiKey, version: i16) -> usize {
    // ApiVersions has no tagged fields there, so that any client can read the response.
    if api.is_flexible(version) && !matches!(api, ApiKey::ApiVersions) { 5 } else { 4 }
}

/// Encodes the frame of a response.
#[must_use]
pub fn answer(request: &Request, version: i16, body: &impl Field) -> Bytes {
    let mut writer = Writer::new(BytesMut::new(), version, request.api.is_flexible(version));
    body.write(&mut writer);
    framed(request.api, version, request.correlation, &writer.into_bytes())
}

/// Encodes a frame: length, header of a response, body.
#[must_use]
pub fn framed(api: ApiKey, version: i16, correlation: i32, body: &[u8]) -> Bytes {
    let header = response_header_len(api, version);
    let mut frame = BytesMut::with_capacity(4 + header + body.len());
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(&correlation.to_be_bytes());
    frame.extend_from_slice(&[0][..header - 4]);
    frame.extend_from_slice(body);
    with_length(frame)
}

fn with_length(mut frame: BytesMut) -> Bytes {
    let length = (frame.len() - 4) as u32;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    frame.freeze()
}
