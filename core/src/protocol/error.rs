//! Errors of encoding requests, and of decoding frames and responses.

use super::{ApiKey, VersionRange};

/// An error for a response that violates the definition of its API and version. The peer is at fault, and
/// the connection must be closed, since later bytes cannot be interpreted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{api} v{version} response, byte {position}: {kind}")]
#[non_exhaustive]
pub struct ProtocolError {
    /// The API of the request.
    pub api: ApiKey,
    /// The version in which the response was decoded.
    pub version: i16,
    /// The position of the error in bytes, counted from the first byte after the frame's length.
    pub position: usize,
    /// The kind of violation.
    pub kind: ProtocolErrorKind,
}

/// The kind of violation in a [`ProtocolError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolErrorKind {
    /// The frame, or the tagged field, ends before the value.
    #[error("a value of {needed} bytes where {available} are left")]
    Truncated {
        /// Size of the value in bytes, from its type or its length prefix.
        needed: usize,
        /// Bytes that are left.
        available: usize,
    },
    /// A length below −1. (−1 itself is null.)
    #[error("a length of {0}, which is negative")]
    NegativeLength(i32),
    /// A null in a field that is not nullable in this version.
    #[error("a null in a field that is not nullable")]
    UnexpectedNull,
    /// An array that exceeds the bytes left even if every element had its minimum size.
    #[error("an array of {count} elements where {available} bytes are left")]
    TooManyElements {
        /// Number of elements that the peer claims.
        count: usize,
        /// Bytes that are left.
        available: usize,
    },
    /// An unsigned varint of more than 32 bits.
    #[error("a varint of more than 32 bits")]
    VarintTooLong,
    /// A string that is not UTF-8.
    #[error("a string that is not UTF-8")]
    NotUtf8,
    /// Bytes after the end of the message.
    #[error("bytes after the end of the message: {0}")]
    TrailingBytes(usize),
    /// The version is outside [`ApiKey::versions`]; nothing was decoded.
    #[error("a version that this client does not support")]
    UnsupportedVersion,
}

/// An error for a frame with an invalid length. The peer is at fault, or is not a Kafka broker (`HTTP` read as
/// a length is 1,213,486,160), and the connection must be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The length is negative.
    #[error("a frame of {0} bytes, which is negative: the peer may not be a Kafka broker")]
    NegativeLength(i32),
    /// The length exceeds the limit of the [`FrameReader`](super::FrameReader).
    #[error("a frame of {length} bytes exceeds the limit of {limit} (receive.message.max.bytes)")]
    TooLong {
        /// The length that the peer sent, in bytes, excluding the length field itself.
        length: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The response is too short for a correlation id.
    #[error("a response of {0} bytes, which is too short for a correlation id")]
    NoCorrelationId(usize),
}

/// An error for a request that cannot be encoded in the chosen version. The caller is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestEncodeError {
    /// The version is outside [`ApiKey::versions`].
    #[error("{api} v{version} is not among {supported}, which this client supports")]
    UnsupportedVersion {
        /// The API of the request.
        api: ApiKey,
        /// The version that was chosen.
        version: i16,
        /// The supported versions.
        supported: VersionRange,
    },
    /// The request has a value for which this version has no field.
    #[error("{api} v{version} cannot carry {value}")]
    Unrepresentable {
        /// The API of the request.
        api: ApiKey,
        /// The version that was chosen.
        version: i16,
        /// The value that would be lost.
        value: &'static str,
    },
    /// A string, an array, a record set or the whole request is longer than its length field allows.
    #[error("{api} v{version} request: a length of {length} exceeds {limit}, the maximum of its field")]
    TooLong {
        /// The API of the request.
        api: ApiKey,
        /// The version that was chosen.
        version: i16,
        /// The length, in bytes, or in elements for an array.
        length: usize,
        /// The maximum length.
        limit: usize,
    },
}
