//! Errors of topic lookups.

use alloc::boxed::Box;
use core::error::Error;
use core::fmt;
use core::time::Duration;

use super::connection::ConnectionError;
use super::millis::Limit;
use super::timeout::TimeoutCause;
use crate::due_to::DueTo;
use crate::protocol::BrokerError;

/// Why the number of partitions of a topic is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TopicLookupError {
    /// A broker answered with this error.
    Broker(BrokerError),
    /// No topic can have this name: it is empty, or longer than Kafka's 249 characters.
    InvalidTopic,
    /// The broker refused the credentials, or its certificate is not trusted: a retry with the same settings cannot
    /// help.
    Authentication(Box<ConnectionError>),
    /// No broker answered within `request.timeout.ms`.
    TimedOut {
        /// The value of that setting.
        limit: Duration,
        /// What the lookup was waiting for, and the last error.
        cause: Option<Box<TimeoutCause>>,
    },
}

impl fmt::Display for TopicLookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broker(error) => error.fmt(f),
            Self::InvalidTopic => f.write_str("the name of a topic has 1 to 249 characters"),
            Self::Authentication(error) => error.fmt(f),
            Self::TimedOut { limit, cause } => {
                let limit = Limit("request.timeout.ms", *limit);
                write!(f, "no response arrived within {limit}{}", DueTo(cause.as_ref()))
            }
        }
    }
}

impl Error for TopicLookupError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Broker(error) => error.source(),
            Self::InvalidTopic => None,
            Self::Authentication(error) => error.source(),
            Self::TimedOut { cause, .. } => cause.as_ref()?.source(),
        }
    }
}

impl From<BrokerError> for TopicLookupError {
    fn from(error: BrokerError) -> Self {
        Self::Broker(error)
    }
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
