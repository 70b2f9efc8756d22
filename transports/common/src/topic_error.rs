//! The errors of a topic's lookup.

use kafka_batch_core::SendErrorReason;
use kafka_batch_core::machine::TopicLookupError;
use kafka_batch_core::protocol::ErrorCode;

use crate::error::{Stopped, Unreachable};

/// Why a topic's number of partitions is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TopicError {
    /// The topic does not exist.
    UnknownTopic,
    /// No broker could be reached.
    NoBroker(Unreachable),
    /// Authentication failed.
    Authentication(Unreachable),
    /// The lookup failed for another reason.
    Lookup(TopicLookupError),
    /// The producer was closed.
    Closed,
    /// The driver has ended before the producer was closed.
    Stopped,
}

impl TopicError {
    /// Classifies an error of the machine.
    pub(crate) fn new(error: TopicLookupError) -> Self {
        match error {
            TopicLookupError::Broker(error) if is_unknown_topic(error.code) => Self::UnknownTopic,
            TopicLookupError::TimedOut { .. } => Self::NoBroker(Unreachable { last: error.to_string() }),
            TopicLookupError::Authentication(kind) => Self::Authentication(Unreachable { last: kind.to_string() }),
            error => Self::Lookup(error),
        }
    }

    /// Returns whether the error concerns the topic itself, rather than brokers or the producer.
    pub(crate) const fn concerns_topic(&self) -> bool {
        matches!(self, Self::UnknownTopic | Self::Lookup(TopicLookupError::Broker(_) | TopicLookupError::InvalidTopic))
    }

    /// Converts the error into one of sending to the topic. `brokers` are the addresses that were tried.
    pub(crate) fn into_reason(self, topic: &str, brokers: &str) -> SendErrorReason {
        let topic = topic.to_owned();
        match self {
            Self::UnknownTopic => SendErrorReason::UnknownTopic { topic },
            Self::NoBroker(error) => SendErrorReason::NoBroker { brokers: brokers.to_owned(), cause: Box::new(error) },
            Self::Lookup(TopicLookupError::Broker(error)) => SendErrorReason::Broker { topic, error },
            Self::Authentication(error) => SendErrorReason::Authentication(Box::new(error)),
            Self::Lookup(error) => SendErrorReason::Transport(Box::new(error)),
            Self::Closed => SendErrorReason::Closed,
            Self::Stopped => SendErrorReason::Transport(Box::new(Stopped)),
        }
    }
}

/// Returns whether brokers respond with this code for a topic that does not exist, or that is being created.
const fn is_unknown_topic(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION | ErrorCode::LEADER_NOT_AVAILABLE)
}
