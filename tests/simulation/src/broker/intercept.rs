//! Faults that a broker applies to one request, once.

use std::fmt;

use kafka_protocol::messages::ApiKey;

use crate::Moment;

/// Waits for a request of this API, and then applies a fault, once.
#[derive(Clone, Debug)]
pub struct Interceptor {
    /// The API.
    pub api: ApiKey,
    /// The number of requests that pass before.
    pub after: u32,
    /// The fault.
    pub what: Intercept,
}

/// A fault that is applied to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Intercept {
    /// The request is not executed, and this error is returned: for one partition or topic, or for all.
    Refuse {
        /// The error code.
        code: i16,
        /// Returned for all of them.
        all: bool,
    },
    /// The request is executed, and this error is returned nevertheless.
    DoAndRefuse {
        /// The error code.
        code: i16,
    },
    /// These records are rejected: nothing is written, and their positions are returned.
    RejectRecords {
        /// The positions.
        positions: Vec<i32>,
    },
    /// The request is executed, and never responded to.
    DropResponse,
    /// The request is neither executed nor responded to.
    DropRequest,
    /// The request is executed late.
    DelayRequest(Moment),
    /// The response is late.
    DelayResponse(Moment),
    /// The response is sent twice.
    RespondTwice,
    /// The connection is closed instead of a response, before or after the request is executed.
    CloseConnection {
        /// True if the request is executed.
        done: bool,
    },
    /// Something else is sent in place of the response; the request is executed.
    Garbage(Garbage),
    /// A quota is exceeded by this many milliseconds.
    Throttle(i32),
    /// The response omits a partition or topic.
    Omit,
    /// A producer id other than a new one with epoch 0.
    AssignedIdentity(AssignedIdentity),
    /// Metadata of an earlier time.
    Stale,
    /// Metadata with wrong leaders.
    FalseMetadata(FalseMetadata),
}

/// What is sent in place of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Garbage {
    /// A frame with the right correlation id and random bytes.
    Body,
    /// A valid response to a request that was not sent.
    Correlation,
    /// The response without its last bytes, in a frame of the right length.
    Short,
    /// The response and further bytes in the same frame.
    Long,
    /// A negative length.
    Negative,
    /// A length of two gigabytes.
    Huge,
    /// An empty frame.
    Empty,
}

/// What InitProducerId returns instead of a new id with epoch 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssignedIdentity {
    /// The identity assigned last.
    Again,
    /// The identity assigned first.
    First,
    /// The id assigned last, with a later epoch.
    LaterEpoch,
    /// A new id with the last epoch but one.
    LateEpoch,
    /// An invalid id, without an error code.
    Invalid,
}

/// How metadata is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FalseMetadata {
    /// Another broker leads each partition.
    WrongLeader,
    /// The leader is a broker that is not listed.
    UnlistedLeader,
    /// There are no brokers.
    NoBrokers,
    /// A partition is missing.
    FewerPartitions,
    /// There are no topics.
    NoTopics,
}

impl fmt::Display for Interceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} (after {}): {:?}", self.api, self.after, self.what)
    }
}

impl Intercept {
    /// Returns the kind, for statistics.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Refuse { .. } => "error code",
            Self::DoAndRefuse { .. } => "executed, and error code",
            Self::RejectRecords { .. } => "rejected records",
            Self::DropResponse => "answer lost",
            Self::DropRequest => "request lost",
            Self::DelayRequest(_) => "request delayed",
            Self::DelayResponse(_) => "answer delayed",
            Self::RespondTwice => "answered twice",
            Self::CloseConnection { .. } => "broker closes the connection",
            Self::Garbage(_) => "garbage",
            Self::Throttle(_) => "throttled",
            Self::Omit => "partial answer",
            Self::AssignedIdentity(AssignedIdentity::Again | AssignedIdentity::First) => "producer id assigned again",
            Self::AssignedIdentity(_) => "unusual producer id",
            Self::Stale => "stale metadata",
            Self::FalseMetadata(_) => "lying metadata",
        }
    }
}
