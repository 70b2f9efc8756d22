//! Faults that a broker applies to one request, once.

use std::fmt;

use kafka_protocol::messages::ApiKey;

use crate::Moment;

/// Waits for a request of this API, and then happens, once.
#[derive(Clone, Debug)]
pub struct Interceptor {
    /// The API.
    pub api: ApiKey,
    /// How many requests pass before.
    pub after: u32,
    /// What happens.
    pub what: Intercept,
}

/// What is done to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Intercept {
    /// Nothing is done, and this error is the answer: for one partition or topic, or for all.
    Refuse {
        /// The error code.
        code: i16,
        /// For all.
        all: bool,
    },
    /// What is asked is done, and this error is the answer nevertheless.
    DoAndRefuse {
        /// The error code.
        code: i16,
    },
    /// These records are disliked: nothing is done, and their positions are the answer.
    Dislike {
        /// The positions.
        positions: Vec<i32>,
    },
    /// What is asked is done, and nothing is answered, ever.
    DropAnswer,
    /// Nothing is done, nothing is answered.
    DropRequest,
    /// It is done late.
    DelayRequest(Moment),
    /// It is answered late.
    DelayAnswer(Moment),
    /// It is answered twice.
    AnswerTwice,
    /// The connection is closed instead; what is asked is done or not.
    HangUp {
        /// Whether it is done.
        done: bool,
    },
    /// Something else comes in place of the answer; what is asked is done.
    Garbage(Garbage),
    /// A quota is exceeded by so many milliseconds.
    Throttle(i32),
    /// The answer leaves out a partition or topic.
    Omit,
    /// A producer id other than a new one with epoch 0.
    HandOut(HandOut),
    /// Metadata as it was some time ago.
    Stale,
    /// Metadata with wrong leaders.
    Lie(Lie),
}

/// What comes in place of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Garbage {
    /// A frame with the right correlation id and random bytes.
    Body,
    /// The right answer to a question that nobody asked.
    Correlation,
    /// The answer without its last bytes, in a frame of the right length.
    Short,
    /// The answer and more in the same frame.
    Long,
    /// A negative length.
    Negative,
    /// A length of two gigabytes.
    Endless,
    /// An empty frame.
    Empty,
}

/// What InitProducerId is answered instead of a new id with epoch 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandOut {
    /// What was handed out last.
    Again,
    /// What was handed out first.
    First,
    /// The id that was handed out last, with a later epoch.
    LaterEpoch,
    /// A new id, whose epoch is the last but one.
    LateEpoch,
    /// An id that is none, without an error code.
    Invalid,
}

/// How metadata is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// Another broker leads each partition.
    WrongLeader,
    /// A broker leads that is not listed.
    UnlistedLeader,
    /// There are no brokers.
    NoBrokers,
    /// A partition is not there.
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
    /// The kind, for statistics.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Refuse { .. } => "error code",
            Self::DoAndRefuse { .. } => "done, and error code",
            Self::Dislike { .. } => "disliked records",
            Self::DropAnswer => "answer lost",
            Self::DropRequest => "request lost",
            Self::DelayRequest(_) => "request delayed",
            Self::DelayAnswer(_) => "answer delayed",
            Self::AnswerTwice => "answered twice",
            Self::HangUp { .. } => "broker hangs up",
            Self::Garbage(_) => "garbage",
            Self::Throttle(_) => "throttled",
            Self::Omit => "partial answer",
            Self::HandOut(HandOut::Again | HandOut::First) => "producer id handed out again",
            Self::HandOut(_) => "unusual producer id",
            Self::Stale => "stale metadata",
            Self::Lie(_) => "lying metadata",
        }
    }
}
