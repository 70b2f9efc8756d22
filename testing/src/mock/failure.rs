//! What a mock transport responds.

use kafka_batch_core::protocol::{ApiKey, BrokerError, ErrorCode};
use kafka_batch_core::{FailureReason, Fate, RecordError, SendErrorReason};

/// The response of a [`MockTransport`](super::MockTransport) to a batch. Exhaustive on purpose: there is no other.
#[derive(Debug)]
pub enum Response {
    /// The batch is delivered.
    Deliver,
    /// The batch is accepted, and its delivery fails.
    Fail(Failure),
    /// The batch is accepted, and in flight until [`complete_next`](super::MockTransport::complete_next) or
    /// [`error_next`](super::MockTransport::error_next).
    Hold,
    /// The batch is not accepted: `send_batch` returns this error.
    Refuse(SendErrorReason),
}

impl From<Failure> for Response {
    fn from(failure: Failure) -> Self {
        Self::Fail(failure)
    }
}

impl From<SendErrorReason> for Response {
    fn from(reason: SendErrorReason) -> Self {
        Self::Refuse(reason)
    }
}

/// How the delivery of a batch fails, and whether the batch is in the log.
#[derive(Debug)]
pub struct Failure {
    pub(super) reason: FailureReason,
    pub(super) fate: Fate,
    pub(super) record_errors: Vec<RecordError>,
    pub(super) is_written: bool,
}

impl Failure {
    /// Creates a failure. The batch is in the log if its fate is [`Fate::Written`].
    #[must_use]
    pub const fn new(reason: FailureReason, fate: Fate) -> Self {
        Self { reason, fate, record_errors: Vec::new(), is_written: matches!(fate, Fate::Written) }
    }

    /// Creates the failure of a batch that the broker refused with this error: it is not written.
    #[must_use]
    pub fn not_written(code: ErrorCode) -> Self {
        Self::new(BrokerError::new(ApiKey::Produce, code).into(), Fate::NotWritten)
    }

    /// Creates the failure of a batch that was not acknowledged within `delivery.timeout.ms` because the response was lost:
    /// its fate is unknown, and it is in the log.
    #[must_use]
    pub fn lost_response() -> Self {
        Self { is_written: true, ..Self::lost_request() }
    }

    /// Creates the failure of a batch that was not acknowledged within `delivery.timeout.ms` because the request was lost:
    /// its fate is unknown, and it is not in the log.
    #[must_use]
    pub const fn lost_request() -> Self {
        Self::new(FailureReason::TimedOut { limit: None, cause: None }, Fate::Unknown)
    }

    /// Creates the failure of a batch that exceeds the topic's `max.message.bytes` (MESSAGE_TOO_LARGE): it is not written.
    #[must_use]
    pub fn too_large() -> Self {
        Self::not_written(ErrorCode::MESSAGE_TOO_LARGE)
    }

    /// Creates the failure of a batch of which the broker rejected these records (INVALID_RECORD): positions, and the
    /// broker's messages. The batch is not written.
    #[must_use]
    pub fn record_errors<'m>(rejected: impl IntoIterator<Item = (usize, &'m str)>) -> Self {
        let error = |(position, message): (usize, &str)| RecordError::new(position, Some(message.to_owned()));
        let record_errors = rejected.into_iter().map(error).collect();
        Self { record_errors, ..Self::not_written(ErrorCode::INVALID_RECORD) }
    }
}
