//! The errors of a topic's lookup.

use kafka_batch_core::SendErrorReason;
use kafka_batch_core::error::{NoBrokerCause, TransportError};
use kafka_batch_core::machine::TopicLookupError;
use kafka_batch_core::protocol::{BrokerError, ErrorCode};

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
            TopicLookupError::Broker(BrokerError { code: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, .. }) => {
                SendErrorReason::UnknownTopic { topic }
            }
            TopicLookupError::Broker(error) => SendErrorReason::Broker { topic, error },
            TopicLookupError::InvalidTopic => SendErrorReason::InvalidTopic { topic },
            TopicLookupError::Authentication(error) => SendErrorReason::Authentication(error.into()),
            TopicLookupError::TimedOut { limit, cause } => {
                let cause = NoBrokerCause::TimedOut { limit, cause };
                SendErrorReason::NoBroker { brokers: brokers.to_owned(), cause }
            }
            error => SendErrorReason::Transport(TransportError::new(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use kafka_batch_core::protocol::ApiKey;

    use super::*;

    fn reason(code: ErrorCode) -> SendErrorReason {
        let error = BrokerError::new(ApiKey::Metadata, code).with_version(12).with_broker(1);
        TopicError::Lookup(error.into()).into_reason("orders", "a:1")
    }

    #[test]
    fn a_topic_without_a_leader_is_not_called_unknown() {
        let unknown = reason(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        assert!(matches!(&unknown, SendErrorReason::UnknownTopic { topic } if topic == "orders"), "{unknown}");
        let leaderless = reason(ErrorCode::LEADER_NOT_AVAILABLE);
        assert_eq!(leaderless.code(), Some(ErrorCode::LEADER_NOT_AVAILABLE));
        assert!(leaderless.is_retriable());
        assert_eq!(
            leaderless.to_string(),
            "topic \"orders\": broker 1 answered Metadata v12 with LEADER_NOT_AVAILABLE (5); leaders are missing while a \
             topic is created, and while its brokers are down: try again later"
        );
    }
}
