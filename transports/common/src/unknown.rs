//! Why it is not known how many partitions a topic has.

use kafka_batch_core::SendErrorReason;
use kafka_batch_core::protocol::ErrorCode;

use crate::error::{Refused, Stopped, Unreachable};

/// What the machine has to say, or that it says nothing any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unknown {
    Topic,
    NoBroker(Unreachable),
    Refused(ErrorCode),
    Closed,
    Stopped,
}

impl Unknown {
    /// What the machine said of a topic that it was to look up, and what it last heard of brokers.
    pub(crate) fn new(code: ErrorCode, last_trouble: Option<&str>) -> Self {
        match code {
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION | ErrorCode::LEADER_NOT_AVAILABLE => Self::Topic,
            ErrorCode::REQUEST_TIMED_OUT => {
                let last = last_trouble.unwrap_or("no answer came within request.timeout.ms").to_owned();
                Self::NoBroker(Unreachable { last })
            }
            code => Self::Refused(code),
        }
    }

    /// Whether it says something of the topic.
    pub(crate) const fn is_of_the_topic(&self) -> bool {
        matches!(self, Self::Topic | Self::Refused(_))
    }

    /// The same to whoever wants to send, with the addresses that were tried.
    pub(crate) fn into_reason(self, topic: &str, brokers: &str) -> SendErrorReason {
        let topic = topic.to_owned();
        match self {
            Self::Topic => SendErrorReason::UnknownTopic { topic },
            Self::NoBroker(error) => SendErrorReason::NoBroker { brokers: brokers.to_owned(), source: Box::new(error) },
            Self::Refused(code) => SendErrorReason::Transport(Box::new(Refused { topic, code })),
            Self::Closed => SendErrorReason::Closed,
            Self::Stopped => SendErrorReason::Transport(Box::new(Stopped)),
        }
    }
}
