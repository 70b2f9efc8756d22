//! Frames: a length of four bytes, then a message. Kafka messages and raw SASL tokens have the same framing.

use alloc::vec::Vec;
use core::{fmt, mem};

use bytes::{BufMut as _, Bytes, BytesMut};

use super::{ApiKey, FrameError, RequestEncodeError};

/// The default limit for received frames, in bytes: that of librdkafka (`receive.message.max.bytes`).
///
/// A producer's largest response is the metadata of a large cluster: some megabytes.
pub const DEFAULT_MAX_FRAME_SIZE: usize = 100_000_000;

/// The caller's part of a request header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
// Exhaustive on purpose: see the module's documentation.
pub struct RequestHeader<'a> {
    /// The broker copies it into the response. Any number; it should be unique among the requests in flight on
    /// the connection.
    pub correlation_id: i32,
    /// Kafka's `client.id`: a name for logs, metrics and quotas on the broker.
    pub client_id: Option<&'a str>,
}

/// Returns the correlation id of a received frame. Every response begins with it, in header v0 and v1.
///
/// A broker answers the requests of one connection in order.
///
/// # Errors
/// Returns [`FrameError::NoCorrelationId`] if the frame has fewer than four bytes.
pub fn correlation_id(frame: &[u8]) -> Result<i32, FrameError> {
    match frame.first_chunk() {
        Some(id) => Ok(i32::from_be_bytes(*id)),
        None => Err(FrameError::NoCorrelationId(frame.len())),
    }
}

/// Returns the size of a frame in bytes, its length included, which is its beginning: it may have many segments.
pub(crate) fn frame_size(segments: &[Bytes]) -> usize {
    let length = segments.first().and_then(|first| first.first_chunk()).map_or(0, |length| u32::from_be_bytes(*length));
    let size = size_of::<u32>() + length as usize;
    debug_assert_eq!(size, segments.iter().map(Bytes::len).sum::<usize>(), "it is one frame");
    size
}

/// Encodes a SASL token as a frame without a Kafka header.
///
/// After a SaslHandshake in v0, tokens are exchanged like this in both directions (KIP-43). After v1 they are
/// exchanged in [`SaslAuthenticateRequest`](super::SaslAuthenticateRequest)s instead (KIP-152).
///
/// # Errors
/// Returns [`RequestEncodeError::TooLong`] if the token exceeds `i32::MAX` bytes.
pub fn sasl_token_frame(token: &[u8]) -> Result<Bytes, RequestEncodeError> {
    let limit = i32::MAX as usize;
    if token.len() > limit {
        return Err(RequestEncodeError::TooLong { api: ApiKey::SaslHandshake, version: 0, length: token.len(), limit });
    }
    let mut frame = BytesMut::with_capacity(4 + token.len());
    frame.put_u32(token.len() as u32);
    frame.put_slice(token);
    Ok(frame.freeze())
}

/// Assembles frames from received bytes, however these are fragmented.
///
/// It buffers at most one incomplete frame, never longer than the limit, and allocates for the bytes
/// received, not for the length that the peer claims.
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
pub struct FrameReader {
    limit: usize,
    prefix: [u8; 4],
    /// The number of bytes of the prefix received.
    prefixed: usize,
    payload: Vec<u8>,
}

/// Omits the bytes: a frame can contain SASL tokens.
impl fmt::Debug for FrameReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limit, prefixed, payload, .. } = self;
        f.debug_struct("FrameReader")
            .field("limit", limit)
            .field("prefixed", prefixed)
            .field("payload", &format_args!("{} bytes", payload.len()))
            .finish_non_exhaustive()
    }
}

impl FrameReader {
    /// Creates a reader for one connection, which rejects frames of more than `limit` bytes (excluding the
    /// four bytes of the length itself).
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self { limit, prefix: [0; 4], prefixed: 0, payload: Vec::new() }
    }

    /// Consumes bytes from the front of `received` until a frame is complete, and returns it without its length.
    ///
    /// Call it until it returns `None`: then all of `received` has been consumed.
    ///
    /// # Errors
    /// Returns [`FrameError`] if a length is negative or exceeds the limit. The connection must be closed;
    /// every later call returns the same error.
    pub fn next_frame(&mut self, received: &mut &[u8]) -> Result<Option<Bytes>, FrameError> {
        // Mostly, a whole frame arrives at once.
        if let (0, Some((prefix, rest))) = (self.prefixed, received.split_first_chunk()) {
            (self.prefix, self.prefixed, *received) = (*prefix, prefix.len(), rest);
        }
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
        if let (true, Some((frame, rest))) = (self.payload.is_empty(), received.split_at_checked(length)) {
            (self.prefixed, *received) = (0, rest);
            return Ok(Some(Bytes::copy_from_slice(frame)));
        }
        let (taken, rest) = received.split_at(missing.min(received.len()));
        self.payload.extend_from_slice(taken);
        *received = rest;
        if taken.len() < missing {
            return Ok(None);
        }
        self.prefixed = 0;
        Ok(Some(Bytes::from(mem::take(&mut self.payload))))
    }

    /// Returns the four bytes of the length of the frame being received; `None` until all four are received.
    #[must_use]
    pub const fn length_prefix(&self) -> Option<[u8; 4]> {
        if self.prefixed == self.prefix.len() { Some(self.prefix) } else { None }
    }

    /// Returns the number of bytes received of the incomplete frame, and its size, both excluding the four bytes of the
    /// length. `None` between frames, and after an error.
    #[must_use]
    pub fn partial_frame(&self) -> Option<(usize, usize)> {
        self.length_prefix()?;
        Some((self.payload.len(), self.length().ok()?))
    }

    fn length(&self) -> Result<usize, FrameError> {
        let claimed = i32::from_be_bytes(self.prefix);
        let length = usize::try_from(claimed).map_err(|_| FrameError::NegativeLength(claimed))?;
        if length > self.limit {
            let limit = self.limit;
            return Err(FrameError::TooLong { length, limit });
        }
        Ok(length)
    }
}
