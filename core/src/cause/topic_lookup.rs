//! Errors of topic lookups.

use alloc::boxed::Box;

use super::connection::ConnectionError;
use super::timeout::TimeoutCause;
use crate::due_to::DueTo;
use crate::protocol::BrokerError;

/// Why the number of partitions of a topic is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TopicLookupError {
    /// A broker answered with this error.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// No topic can have this name: it is empty, or longer than Kafka's 249 characters.
    #[error("no topic has a name that is empty or longer than 249 characters")]
    InvalidTopic,
    /// The broker refused the credentials, or its certificate is not trusted: a retry with the same settings cannot
    /// help.
    #[error("{0}")]
    Authentication(Box<ConnectionError>),
    /// No broker answered within `request.timeout.ms`.
    #[error("no response arrived within request.timeout.ms{}", DueTo(cause.as_ref()))]
    TimedOut {
        /// What the lookup was waiting for, and the last error.
        cause: Option<Box<TimeoutCause>>,
    },
}

impl TopicLookupError {
    /// Returns `true` if another lookup may succeed.
    #[must_use]
    pub const fn is_retriable(&self) -> bool {
        match self {
            Self::Broker(error) => error.is_retriable(),
            Self::InvalidTopic | Self::Authentication(_) => false,
            Self::TimedOut { .. } => true,
        }
    }
}
