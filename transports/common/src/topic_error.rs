//! The errors of a topic's lookup.

use kafka_batch_core::SendErrorReason;
use kafka_batch_core::error::{NoBrokerCause, TransportError};
use kafka_batch_core::machine::TopicLookupError;
use kafka_batch_core::protocol::ErrorCode;

/// Why a topic's number of partitions is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TopicError {
    /// The lookup failed.
    Lookup(TopicLookupError),
    /// The producer was closed.
    Closed,
    /// The driver has ended before the producer was closed.
    Stopped,
}

impl TopicError {
    /// Returns `true` if the error concerns the topic itself, rather than brokers or the producer.
    pub(crate) const fn concerns_topic(&self) -> bool {
        matches!(self, Self::Lookup(TopicLookupError::Broker(_) | TopicLookupError::InvalidTopic))
    }

    /// Converts the error into one of sending to the topic. `brokers` are the addresses that were tried.
    pub(crate) fn into_reason(self, topic: &str, brokers: &str) -> SendErrorReason {
        let topic = topic.to_owned();
        let error = match self {
            Self::Lookup(error) => error,
            Self::Closed => return SendErrorReason::Closed,
            Self::Stopped => return SendErrorReason::Stopped,
        };
        match error {
            TopicLookupError::Broker(error) if is_unknown_topic(error.code) => SendErrorReason::UnknownTopic { topic },
            TopicLookupError::Broker(error) => SendErrorReason::Broker { topic, error },
            TopicLookupError::InvalidTopic => SendErrorReason::InvalidTopic { topic },
            TopicLookupError::Authentication(error) => SendErrorReason::Authentication(error.into()),
            TopicLookupError::TimedOut { cause } => {
                SendErrorReason::NoBroker { brokers: brokers.to_owned(), cause: NoBrokerCause::TimedOut(cause) }
            }
            error => SendErrorReason::Transport(TransportError::new(error)),
        }
    }
}

/// Returns `true` if brokers respond with this code for a topic that does not exist, or that is being created.
const fn is_unknown_topic(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION | ErrorCode::LEADER_NOT_AVAILABLE)
}
