//! What can be wrong with a request before it goes out, with a frame, and with a response.

use super::{ApiKey, VersionRange};

/// A response that is not what its API and version prescribe. The fault is the peer's, and the connection
/// is of no more use: nobody knows what the bytes after it mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{api} v{version} response, byte {at}: {found}")]
#[non_exhaustive]
pub struct ProtocolError {
    /// The API that was asked.
    pub api: ApiKey,
    /// The version in which the response was read.
    pub version: i16,
    /// Where it went wrong, counted from the first byte after the frame's length.
    pub at: usize,
    /// What was found there.
    pub found: Malformed,
}

/// What was found in a response instead of what belongs there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// The frame (or the tagged field) ends before the value does.
    #[error("a value of {needed} bytes where {available} are left")]
    Truncated {
        /// Size of the value in bytes, as its type or its length prefix says.
        needed: usize,
        /// Bytes that are left.
        available: usize,
    },
    /// A length below −1, which stands for null.
    #[error("the length {0}")]
    NegativeLength(i32),
    /// A null where this version allows none.
    #[error("a null where there must be a value")]
    UnexpectedNull,
    /// An array that cannot fit into what is left, even if each element were as small as can be.
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
    /// The message is complete, and bytes follow it.
    #[error("{0} bytes after the end")]
    TrailingBytes(usize),
    /// Nothing was read: [`ApiKey::versions`] does not have this version.
    #[error("a version that this client does not speak")]
    UnsupportedVersion,
}

/// A frame whose length cannot be. The fault is the peer's (or it is not a Kafka broker: `HTTP` read as a
/// length is 1,213,486,160), and the connection must be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The length is below zero.
    #[error("a frame of {0} bytes")]
    NegativeLength(i32),
    /// The length is over the ceiling that the [`FrameReader`](super::FrameReader) was made with.
    #[error("a frame of {length} bytes, over the ceiling of {ceiling}")]
    TooLong {
        /// Length that the peer claims, in bytes, the length field itself not counted.
        length: usize,
        /// The ceiling in bytes.
        ceiling: usize,
    },
    /// A response too short for its correlation id.
    #[error("a response of {0} bytes, which is too short for a correlation id")]
    NoCorrelationId(usize),
}

/// A request that cannot be put into the chosen version. The fault is the caller's; nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// [`ApiKey::versions`] does not have this version.
    #[error("{api} v{version} is not among {spoken}, which this client speaks")]
    UnsupportedVersion {
        /// The API to be asked.
        api: ApiKey,
        /// The version that was chosen.
        version: i16,
        /// The versions that could have been.
        spoken: VersionRange,
    },
    /// The request says something for which this version has no field.
    #[error("{api} v{version} cannot carry {what}")]
    Unrepresentable {
        /// The API to be asked.
        api: ApiKey,
        /// The version that was chosen.
        version: i16,
        /// What would be lost.
        what: &'static str,
    },
    /// A string, an array, a record set or the whole request is longer than its length field can say.
    #[error("{api} v{version}: a length of {length}, where {limit} is the most")]
    TooLong {
        /// The API to be asked.
        api: ApiKey,
        /// The version that was chosen.
        version: i16,
        /// The length, in bytes, or in elements for an array.
        length: usize,
        /// The greatest length that can be said.
        limit: usize,
    },
}
