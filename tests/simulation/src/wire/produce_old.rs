//! Produce v0 to v2, implemented here because `kafka-protocol` starts at v3. Layouts as in the protocol guide of Kafka
//! 0.10.

use bytes::{BufMut as _, Bytes, BytesMut};

use super::produce::{DecodedRequest, DecodedResponse, Set, SetResponse, TopicRef};
use super::{Request, framed};

/// Reads numbers and strings, big-endian.
struct Cursor(Bytes);

impl Cursor {
    fn take(&mut self, count: usize) -> Result<Bytes, String> {
        if self.0.len() < count { Err("a short message".into()) } else { Ok(self.0.split_to(count)) }
    }

    fn number<const N: usize>(&mut self) -> Result<i64, String> {
        let bytes = self.take(N)?;
        let negative = bytes[0] & 0x80 != 0;
        Ok(bytes.iter().fold(if negative { -1 } else { 0 }, |number, &byte| number << 8 | i64::from(byte)))
    }

    fn string(&mut self) -> Result<String, String> {
        let length = usize::try_from(self.number::<2>()?).map_err(|_| "a null string")?;
        String::from_utf8(self.take(length)?.to_vec()).map_err(|error| error.to_string())
    }

    fn end(&self) -> Result<(), String> {
        if self.0.is_empty() { Ok(()) } else { Err(format!("{} bytes after the message", self.0.len())) }
    }
}

/// Decodes a request.
pub fn decode_request(request: &Request) -> Result<DecodedRequest, String> {
    let mut bytes = Cursor(request.body.clone());
    let acks = bytes.number::<2>()? as i16;
    let timeout_ms = bytes.number::<4>()? as i32;
    let mut sets = Vec::new();
    for _ in 0..bytes.number::<4>()? {
        let topic = TopicRef::Name(bytes.string()?);
        for _ in 0..bytes.number::<4>()? {
            let partition = bytes.number::<4>()? as i32;
            let length = usize::try_from(bytes.number::<4>()?).map_err(|_| "a null record set")?;
            sets.push(Set { topic: topic.clone(), partition, records: bytes.take(length)? });
        }
    }
    bytes.end()?;
    Ok(DecodedRequest { acks, timeout_ms, sets })
}

/// Encodes a response. Each set is in a separate topic entry, which is permitted and rarely used.
#[must_use]
pub fn encode_response(request: &Request, answers: &DecodedResponse) -> Bytes {
    let mut body = BytesMut::new();
    body.put_i32(answers.sets.len() as i32);
    for set in &answers.sets {
        if let TopicRef::Name(name) = &set.topic {
            body.put_i16(name.len() as i16);
            body.put_slice(name.as_bytes());
        }
        body.put_i32(1);
        body.put_i32(set.partition);
        body.put_i16(set.code);
        body.put_i64(set.base_offset);
        if request.version >= 2 {
            body.put_i64(set.append_time);
        }
    }
    if request.version >= 1 {
        body.put_i32(answers.throttle_ms);
    }
    framed(request.api, request.version, request.correlation, &body)
}

/// Decodes a response.
pub fn decode_response(version: i16, bytes: &Bytes) -> Result<DecodedResponse, String> {
    let mut bytes = Cursor(bytes.clone());
    let mut answers = DecodedResponse::default();
    for _ in 0..bytes.number::<4>()? {
        let topic = TopicRef::Name(bytes.string()?);
        for _ in 0..bytes.number::<4>()? {
            answers.sets.push(SetResponse {
                topic: topic.clone(),
                partition: bytes.number::<4>()? as i32,
                code: bytes.number::<2>()? as i16,
                base_offset: bytes.number::<8>()?,
                append_time: if version >= 2 { bytes.number::<8>()? } else { -1 },
                log_start: -1,
                rejected_records: Vec::new(),
                leader: None,
            });
        }
    }
    if version >= 1 {
        answers.throttle_ms = bytes.number::<4>()? as i32;
    }
    bytes.end()?;
    Ok(answers)
}
