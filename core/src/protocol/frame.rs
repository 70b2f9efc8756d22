//! Frames: four bytes of length, then a message. The same for Kafka messages and for bare SASL tokens.

use alloc::vec::Vec;
use core::mem;

use bytes::{BufMut as _, Bytes, BytesMut};

use super::{ApiKey, EncodeError, FrameError};

/// The ceiling for received frames that librdkafka has as default, too (`receive.message.max.bytes`).
///
/// A producer's largest response is the metadata of a large cluster: some megabytes.
pub const DEFAULT_FRAME_CEILING: usize = 100_000_000;

/// Who asks, and which answer is this one's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RequestHeader<'a> {
    /// Comes back in the response. Any number; it should be unique among the requests in flight on its
    /// connection.
    pub correlation_id: i32,
    /// Kafka's `client.id`: a name for logs, metrics and quotas on the broker.
    pub client_id: Option<&'a str>,
}

/// Which request a received frame answers: every response begins with the correlation id, in header v0 and v1.
///
/// A broker answers the requests of one connection in their order.
pub fn correlation_id(frame: &[u8]) -> Result<i32, FrameError> {
    match frame.first_chunk() {
        Some(id) => Ok(i32::from_be_bytes(*id)),
        None => Err(FrameError::NoCorrelationId(frame.len())),
    }
}

/// A SASL token in a frame of its own, without any Kafka header.
///
/// So tokens travel, in both directions, after a SaslHandshake in v0 (KIP-43). After v1 they travel in
/// [`SaslAuthenticateRequest`](super::SaslAuthenticateRequest) instead (KIP-152).
pub fn sasl_token_frame(token: &[u8]) -> Result<Bytes, EncodeError> {
    let limit = i32::MAX as usize;
    if token.len() > limit {
        return Err(EncodeError::TooLong { api: ApiKey::SaslHandshake, version: 0, length: token.len(), limit });
    }
    let mut frame = BytesMut::with_capacity(4 + token.len());
    frame.put_u32(token.len() as u32);
    frame.put_slice(token);
    Ok(frame.freeze())
}

/// Puts received bytes, cut anywhere, together to whole frames.
///
/// It keeps at most one unfinished frame, which is never longer than the ceiling, and it allocates by the
/// bytes that have come, not by the length that was claimed.
///
/// ```
/// # use kafka_batch_core::protocol::{FrameReader, FrameError};
/// let mut reader = FrameReader::new(1_000);
/// let mut received: &[u8] = b"\0\0\0\x02hi\0\0\0\x05wor";
/// assert_eq!(reader.next_frame(&mut received)?.as_deref(), Some(&b"hi"[..]));
/// assert_eq!(reader.next_frame(&mut received)?, None);
/// let mut received: &[u8] = b"ld";
/// assert_eq!(reader.next_frame(&mut received)?.as_deref(), Some(&b"world"[..]));
/// # Ok::<(), FrameError>(())
/// ```
#[derive(Debug)]
pub struct FrameReader {
    ceiling: usize,
    prefix: [u8; 4],
    /// How many bytes of the prefix have come.
    prefixed: usize,
    payload: Vec<u8>,
}

impl FrameReader {
    /// A reader for one connection, which refuses frames of more than `ceiling` bytes (the four bytes of the
    /// length itself not counted).
    #[must_use]
    pub const fn new(ceiling: usize) -> Self {
        Self { ceiling, prefix: [0; 4], prefixed: 0, payload: Vec::new() }
    }

    /// Takes bytes off the front of `received` until a frame is whole, and gives it without its length.
    ///
    /// Call it until it gives `None`: then all of `received` has been taken. After an error the connection
    /// must be closed; the reader gives the same error for ever.
    pub fn next_frame(&mut self, received: &mut &[u8]) -> Result<Option<Bytes>, FrameError> {
        while self.prefixed < self.prefix.len() {
            let Some((&byte, rest)) = received.split_first() else {
                return Ok(None);
            };
            self.prefix[self.prefixed] = byte;
            self.prefixed += 1;
            *received = rest;
        }
        let length = self.length()?;
        let missing = length - self.payload.len();
        let (taken, rest) = received.split_at(missing.min(received.len()));
        self.payload.extend_from_slice(taken);
        *received = rest;
        if taken.len() < missing {
            return Ok(None);
        }
        self.prefixed = 0;
        Ok(Some(Bytes::from(mem::take(&mut self.payload))))
    }

    /// Returns the four bytes of the length of the frame that is being received, once they have come.
    #[must_use]
    pub const fn length_prefix(&self) -> Option<[u8; 4]> {
        if self.prefixed == self.prefix.len() { Some(self.prefix) } else { None }
    }

    /// Returns how many bytes of an unfinished frame have come, and how many it is to have, both without the four bytes of
    /// the length. `None` between frames, and after an error.
    #[must_use]
    pub fn unfinished(&self) -> Option<(usize, usize)> {
        self.length_prefix()?;
        Some((self.payload.len(), self.length().ok()?))
    }

    fn length(&self) -> Result<usize, FrameError> {
        let claimed = i32::from_be_bytes(self.prefix);
        let length = usize::try_from(claimed).map_err(|_| FrameError::NegativeLength(claimed))?;
        if length > self.ceiling {
            let ceiling = self.ceiling;
            return Err(FrameError::TooLong { length, ceiling });
        }
        Ok(length)
    }
}
