//! librdkafka's calls for transactions, which block, and their errors.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use kafka_batch_core::error::TransportError;
use kafka_batch_core::transaction::TransactionCause;
use kafka_batch_transport::waiting::lock;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, Producer};

use crate::context::Context;
use crate::error::LibrdkafkaError;
use crate::ffi;
use crate::in_flight::InFlight;
use crate::offsets::{Group, Offsets};
use crate::secrets::Secrets;

/// What [`TransactionThread`](crate::transaction_thread::TransactionThread) needs of librdkafka. Each call takes no longer than its
/// limit.
pub(crate) trait Calls {
    /// Gets a producer id from the coordinator. Continues where an earlier call was at its limit.
    fn init(&self, limit: Duration) -> Result<(), CallError>;
    fn begin(&self) -> Result<(), CallError>;
    fn send_offsets(&self, offsets: &Offsets, limit: Duration) -> Result<(), CallError>;
    /// Waits until the outcome of every batch is known. Returns false at the limit.
    fn flush(&self, limit: Duration) -> bool;
    /// Commits. Continues where an earlier call was at its limit.
    fn commit(&self, limit: Duration) -> Result<(), CallError>;
    /// Aborts. Continues where an earlier call was at its limit.
    fn abort(&self, limit: Duration) -> Result<(), CallError>;
    /// Returns the first failure of the transaction, which can only be aborted then.
    fn failure(&self) -> Option<TransactionCause>;
    /// Records a failure of the transaction.
    fn fail(&self, cause: TransactionCause);
    /// Forgets the failure of the last transaction.
    fn forget_failure(&self);
    /// Returns true if the producer was closed, and the time for what is left is over.
    fn gives_up(&self) -> bool;
    fn now(&self) -> Instant;
    /// Waits a moment before a call is repeated.
    fn pause(&self);
}

/// An error of such a call, with librdkafka's flags.
#[derive(Clone, Debug)]
pub(crate) struct CallError {
    pub(crate) code: RDKafkaErrorCode,
    pub(crate) message: String,
    /// The producer cannot be used any more.
    pub(crate) is_fatal: bool,
    /// The same call may succeed later.
    pub(crate) is_retriable: bool,
    /// The transaction can only be aborted.
    pub(crate) requires_abort: bool,
}

/// What an error asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// Make the same call again.
    Repeat,
    /// Abort the transaction.
    Abort,
    /// Stop: another producer with this `transactional.id` has taken over.
    Stop,
    /// Give up: this producer cannot be used any more.
    GiveUp,
    /// None of them: librdkafka expects another call in its present state.
    Unexpected,
}

impl CallError {
    pub(crate) const fn remedy(&self) -> Remedy {
        match self.code {
            // librdkafka's name for INVALID_PRODUCER_EPOCH and PRODUCER_FENCED.
            RDKafkaErrorCode::Fenced if self.is_fatal => Remedy::Stop,
            _ if self.is_fatal => Remedy::GiveUp,
            _ if self.requires_abort => Remedy::Abort,
            _ if self.is_retriable => Remedy::Repeat,
            _ => Remedy::Unexpected,
        }
    }

    /// Returns true if the call was at its limit, which says nothing of the cause.
    pub(crate) const fn is_limit(&self) -> bool {
        matches!(self.code, RDKafkaErrorCode::OperationTimedOut)
    }
}

impl From<CallError> for TransactionCause {
    fn from(error: CallError) -> Self {
        Self::Transport(TransportError::new(LibrdkafkaError::new(error.code, Some(&error.message))))
    }
}

impl From<&KafkaError> for CallError {
    fn from(error: &KafkaError) -> Self {
        match error {
            KafkaError::Transaction(error) => Self {
                code: error.code(),
                message: error.string(),
                is_fatal: error.is_fatal(),
                is_retriable: error.is_retriable(),
                requires_abort: error.txn_requires_abort(),
            },
            // Of the flush before a commit, which is at its limit.
            other => Self {
                code: other.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail),
                message: other.to_string(),
                is_fatal: false,
                is_retriable: true,
                requires_abort: false,
            },
        }
    }
}

/// When the thread of transactions gives up what is left.
#[derive(Debug, Default)]
pub(crate) struct GiveUpAt(Mutex<Option<Instant>>);

impl GiveUpAt {
    /// Sets the time, unless an earlier one is set.
    pub(crate) fn set(&self, time: Instant) {
        let mut current = lock(&self.0);
        *current = Some(current.map_or(time, |current| current.min(time)));
    }

    fn is_over(&self) -> bool {
        lock(&self.0).is_some_and(|time| time <= Instant::now())
    }
}

/// The calls of a librdkafka client.
pub(crate) struct Native {
    pub(crate) client: Arc<BaseProducer<Context>>,
    pub(crate) in_flight: Arc<InFlight>,
    pub(crate) secrets: Arc<Secrets>,
    pub(crate) give_up_at: Arc<GiveUpAt>,
}

impl Native {
    /// Returns the error as it may be shown. One that says only that the time is over gets librdkafka's last error.
    fn shown(&self, mut error: CallError) -> CallError {
        if let (true, Some((_, reason))) = (error.is_limit(), self.client.context().last_error()) {
            error.message = format!("{}; {reason}", error.message);
        }
        error.message = self.secrets.hide(&error.message).to_owned();
        error
    }

    fn result(&self, result: Result<(), KafkaError>) -> Result<(), CallError> {
        result.map_err(|error| self.shown(CallError::from(&error)))
    }
}

impl Calls for Native {
    fn init(&self, limit: Duration) -> Result<(), CallError> {
        self.result(self.client.init_transactions(limit))
    }

    fn begin(&self) -> Result<(), CallError> {
        self.result(self.client.begin_transaction())
    }

    fn send_offsets(&self, offsets: &Offsets, limit: Duration) -> Result<(), CallError> {
        match &offsets.group {
            Group::Values(group) => {
                ffi::send_offsets(&self.client, &offsets.list, group, limit).map_err(|error| self.shown(error))
            }
            Group::OfConsumer(group) => {
                self.result(self.client.send_offsets_to_transaction(&offsets.list, group, limit))
            }
        }
    }

    fn flush(&self, limit: Duration) -> bool {
        ffi::flush(&self.client, limit)
    }

    fn commit(&self, limit: Duration) -> Result<(), CallError> {
        self.result(self.client.commit_transaction(limit))
    }

    fn abort(&self, limit: Duration) -> Result<(), CallError> {
        self.result(self.client.abort_transaction(limit))
    }

    fn failure(&self) -> Option<TransactionCause> {
        self.in_flight.transaction_failure()
    }

    fn fail(&self, cause: TransactionCause) {
        self.in_flight.fail_transaction(cause);
    }

    fn forget_failure(&self) {
        self.in_flight.begin_transaction();
    }

    fn gives_up(&self) -> bool {
        self.in_flight.is_closed_at_once() || self.give_up_at.is_over()
    }

    fn now(&self) -> Instant {
        Instant::now()
    }

    fn pause(&self) {
        const PAUSE: Duration = Duration::from_millis(100); // Kafka's default `retry.backoff.ms`
        thread::sleep(PAUSE);
    }
}
