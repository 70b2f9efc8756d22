//! Why it is not known how many partitions a topic has.

use kafka_batch_core::SendErrorReason;
use kafka_batch_core::machine::TopicLookupError;
use kafka_batch_core::protocol::ErrorCode;

use crate::error::{Stopped, Unreachable};

/// What the machine has to say, or that it says nothing any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TopicError {
    Topic,
    NoBroker(Unreachable),
    NotLetIn(Unreachable),
    Refused(TopicLookupError),
    Closed,
    Stopped,
}

impl TopicError {
    /// What the machine said of a topic that it was to look up.
    pub(crate) fn new(error: TopicLookupError) -> Self {
        match error {
            TopicLookupError::Broker(error) if is_not_there(error.code) => Self::Topic,
            TopicLookupError::TimedOut { .. } => Self::NoBroker(Unreachable { last: error.to_string() }),
            TopicLookupError::NotLetIn(kind) => Self::NotLetIn(Unreachable { last: kind.to_string() }),
            error => Self::Refused(error),
        }
    }

    /// Whether it says something of the topic.
    pub(crate) const fn is_of_the_topic(&self) -> bool {
        matches!(self, Self::Topic | Self::Refused(TopicLookupError::Broker(_) | TopicLookupError::InvalidName))
    }

    /// The same to whoever wants to send, with the addresses that were tried.
    pub(crate) fn into_reason(self, topic: &str, brokers: &str) -> SendErrorReason {
        let topic = topic.to_owned();
        match self {
            Self::Topic => SendErrorReason::UnknownTopic { topic },
            Self::NoBroker(error) => SendErrorReason::NoBroker { brokers: brokers.to_owned(), cause: Box::new(error) },
            Self::Refused(TopicLookupError::Broker(error)) => SendErrorReason::Broker { topic, error },
            Self::NotLetIn(error) => SendErrorReason::Authentication(Box::new(error)),
            Self::Refused(error) => SendErrorReason::Transport(Box::new(error)),
            Self::Closed => SendErrorReason::Closed,
            Self::Stopped => SendErrorReason::Transport(Box::new(Stopped)),
        }
    }
}

/// What brokers answer about a topic that does not exist, or that they are just creating.
const fn is_not_there(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION | ErrorCode::LEADER_NOT_AVAILABLE)
}
