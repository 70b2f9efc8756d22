//! The cause of an error of a transaction.

use alloc::boxed::Box;
use core::time::Duration;

use crate::cause::{ConnectionError, Limit, ProducerIdError};
use crate::due_to::DueTo;
use crate::failure::FailureReason;
use crate::protocol::{ApiKey, BrokerError, RequestEncodeError};
use crate::record::TopicPartition;
use crate::send_error::STOPPED;
use crate::transport_error::TransportError;

/// Why a transaction failed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransactionCause {
    /// A broker responded with an error.
    #[error(transparent)]
    Broker(BrokerError),
    /// A batch of the transaction failed.
    #[error("the batch for {to} failed: {reason}")]
    Batch {
        /// The partition that it was for.
        to: TopicPartition,
        /// The reason, in words. [`DeliveryError`](crate::DeliveryError) has it as a value.
        reason: Box<str>,
        /// The error with which a broker refused the batch, if one did.
        error: Option<Box<BrokerError>>,
    },
    /// The coordinator cannot be reached.
    #[error(transparent)]
    Connection(Box<ConnectionError>),
    /// The coordinator assigned a producer id or epoch that cannot be used.
    #[error(transparent)]
    ProducerId(ProducerIdError),
    /// No request can carry this, as the brokers' version of it has no field for it.
    #[error(transparent)]
    Request(RequestEncodeError),
    /// The brokers do not support this API in the version that is needed.
    #[error("the brokers do not support {} in the version that is needed: {what}", api.name())]
    Unsupported {
        /// The API.
        api: ApiKey,
        /// What needs it.
        what: &'static str,
    },
    /// The broker's response lacks what was asked for.
    #[error("the response to {} does not answer the request", .0.name())]
    Incomplete(ApiKey),
    /// Offsets were not committed in time.
    #[error("the offsets were not committed within {}{}", Limit("delivery.timeout.ms", *limit), DueTo(last.as_deref()))]
    OffsetsTimedOut {
        /// `delivery.timeout.ms`.
        limit: Duration,
        /// The last error, after which the request was sent again.
        last: Option<Box<TransactionCause>>,
    },
    /// The application has aborted the transaction before this was done.
    #[error("the transaction was aborted before")]
    Aborted,
    /// The producer was closed.
    #[error("the producer was closed")]
    Closed,
    /// The producer's task has ended before the producer was closed.
    #[error("{STOPPED}")]
    Stopped,
    /// An error that is particular to the transport.
    #[error(transparent)]
    Transport(TransportError),
}

impl TransactionCause {
    /// Creates the cause for a batch that failed.
    pub(crate) fn batch(to: &TopicPartition, reason: &FailureReason) -> Self {
        let text = alloc::format!("{reason}");
        let error = reason.broker_error().cloned().map(Box::new);
        Self::Batch { to: to.clone(), reason: text.into_boxed_str(), error }
    }

    /// Returns the error of the broker, if a broker's response is the cause.
    #[must_use]
    pub fn broker_error(&self) -> Option<&BrokerError> {
        match self {
            Self::Broker(error) => Some(error),
            Self::Batch { error, .. } => error.as_deref(),
            _ => None,
        }
    }
}

impl From<BrokerError> for TransactionCause {
    fn from(error: BrokerError) -> Self {
        Self::Broker(error)
    }
}

impl From<ConnectionError> for TransactionCause {
    fn from(error: ConnectionError) -> Self {
        Self::Connection(Box::new(error))
    }
}

impl From<ProducerIdError> for TransactionCause {
    fn from(error: ProducerIdError) -> Self {
        Self::ProducerId(error)
    }
}

impl From<RequestEncodeError> for TransactionCause {
    fn from(error: RequestEncodeError) -> Self {
        Self::Request(error)
    }
}
