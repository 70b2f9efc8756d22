//! Transactions on a thread of their own, because librdkafka's calls for them block: one command after another.

mod commands;

use std::time::{Duration, Instant};

use kafka_batch_core::transaction::{
    AbortError, BeginError, CommitError, InitTransactionsError, SendOffsetsError, TransactionCause,
};
use rdkafka::error::RDKafkaErrorCode;

pub(crate) use self::commands::{Outcome, TransactionThread};
use crate::offsets::Offsets;
use crate::transaction_calls::{CallError, Calls, Remedy};

/// How often a call is repeated that librdkafka does not expect: if one was at its limit, the result of its first phase can be taken
/// for that of the next call's.
const UNEXPECTED: u32 = 3;

/// How long an abort waits for the batches of the transaction. Those that are not delivered then are not sent.
const FLUSH_BEFORE_ABORT: Duration = Duration::from_secs(5);

/// Time limits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Of one call, after which it is checked whether the producer was closed.
    pub(crate) call: Duration,
    /// `delivery.timeout.ms`.
    pub(crate) delivery: Duration,
    /// The time after which librdkafka sends a request again at the earliest: `retry.backoff.ms` less its jitter of 20 %.
    pub(crate) earliest_repetition: Duration,
}

/// The transactions of one producer.
pub(crate) struct Transactions<C> {
    calls: C,
    limits: Limits,
    state: State,
}

#[derive(Debug)]
enum State {
    Uninitialized,
    Ready,
    Open,
    Ended(End),
}

/// Why there can be no further transaction.
#[derive(Clone, Debug)]
enum End {
    Fenced(TransactionCause),
    Fatal(TransactionCause),
}

/// Why a call was not repeated until it succeeded.
#[derive(Debug)]
enum Failed {
    Error(CallError),
    /// The last error.
    OutOfTime(CallError),
}

impl<C: Calls> Transactions<C> {
    pub(crate) const fn new(calls: C, limits: Limits) -> Self {
        Self { calls, limits, state: State::Uninitialized }
    }

    pub(crate) fn init(&mut self) -> Result<(), InitTransactionsError> {
        let limit = self.limits.delivery;
        let until = self.calls.now() + limit;
        match self.repeat(Some(until), self.limits.call, |calls, limit| calls.init(limit)) {
            Ok(()) => {
                self.state = State::Ready;
                Ok(())
            }
            Err(Failed::OutOfTime(last)) => Err(InitTransactionsError::TimedOut { limit, cause: Some(last.into()) }),
            Err(Failed::Error(error)) => Err(InitTransactionsError::Fatal(error.into())),
        }
    }

    pub(crate) fn begin(&mut self) -> Result<(), BeginError> {
        match &self.state {
            State::Ended(end) => return Err(end.clone().into()),
            State::Open => self.abort_open()?,
            State::Uninitialized | State::Ready => {}
        }
        match self.calls.begin() {
            Ok(()) => {
                self.calls.forget_failure();
                self.state = State::Open;
                Ok(())
            }
            Err(error) => Err(self.end(error.into()).into()),
        }
    }

    pub(crate) fn send_offsets(&mut self, offsets: &Offsets) -> Result<(), SendOffsetsError> {
        self.require_open()?;
        if let Some(cause) = self.calls.failure() {
            return Err(SendOffsetsError::Aborted(cause));
        }
        let limit = self.limits.delivery;
        let until = self.calls.now() + limit;
        // The call is not cut short: at its limit librdkafka gives the transaction up.
        let cause = match self.repeat(Some(until), limit, |calls, limit| calls.send_offsets(offsets, limit)) {
            Ok(()) => return Ok(()),
            Err(Failed::OutOfTime(last)) => {
                let last = (!last.is_limit()).then(|| Box::new(last.into()));
                TransactionCause::OffsetsTimedOut { limit, last }
            }
            Err(Failed::Error(error)) => match error.remedy() {
                Remedy::Stop | Remedy::GiveUp => return Err(self.end(error.into()).into()),
                Remedy::Repeat | Remedy::Abort | Remedy::Unexpected => error.into(),
            },
        };
        self.calls.fail(cause.clone());
        Err(SendOffsetsError::Aborted(cause))
    }

    /// Commits, or aborts if a batch or offsets have failed.
    pub(crate) fn commit(&mut self) -> Result<(), CommitError> {
        self.require_open()?;
        while !self.calls.flush(self.limits.call) {
            if self.calls.gives_up() {
                return Err(self.end(End::Fatal(TransactionCause::Closed)).into()); // nothing was sent to the coordinator
            }
        }
        if let Some(cause) = self.calls.failure() {
            self.abort_open()?;
            return Err(CommitError::Aborted(cause));
        }
        let (began, mut attempts) = (self.calls.now(), 0);
        let failed = loop {
            let result = self.repeat(None, self.limits.call, |calls, limit| {
                attempts += 1;
                calls.commit(limit)
            });
            match result {
                Ok(()) => {
                    self.state = State::Ready;
                    return Ok(());
                }
                Err(Failed::Error(error)) if error.remedy() == Remedy::Unexpected && attempts < UNEXPECTED => {}
                Err(failed) => break failed,
            }
        };
        // librdkafka does not tell whether an earlier EndTxn was not answered. A first one, before which nothing was sent, was.
        let is_first = attempts == 1 && self.calls.now() < began + self.limits.earliest_repetition;
        match failed {
            Failed::OutOfTime(_) => {
                self.end(End::Fatal(TransactionCause::Closed));
                Err(CommitError::Unknown(TransactionCause::Closed))
            }
            Failed::Error(error) => match error.remedy() {
                Remedy::Abort => self.abort_after_commit(error, is_first),
                Remedy::Stop | Remedy::GiveUp if is_first => Err(self.end(error.into()).into()),
                Remedy::Stop | Remedy::GiveUp | Remedy::Repeat | Remedy::Unexpected => {
                    self.end(error.clone().into());
                    Err(CommitError::Unknown(error.into()))
                }
            },
        }
    }

    /// Aborts a transaction whose commit has failed.
    fn abort_after_commit(&mut self, error: CallError, is_first: bool) -> Result<(), CommitError> {
        // Then librdkafka asks for another epoch in place of an abort, which the coordinator grants also after a commit.
        let is_by_epoch =
            matches!(error.code, RDKafkaErrorCode::UnknownProducerId | RDKafkaErrorCode::InvalidProducerIdMapping);
        let cause = self.calls.failure().unwrap_or_else(|| error.into());
        match self.abort_open() {
            Ok(()) if is_first || !is_by_epoch => Err(CommitError::Aborted(cause)),
            Ok(()) => {
                self.end(End::Fatal(cause.clone()));
                Err(CommitError::Unknown(cause))
            }
            Err(end) if is_first => Err(end.into()),
            Err(End::Fenced(cause) | End::Fatal(cause)) => Err(CommitError::Unknown(cause)),
        }
    }

    /// Aborts the transaction, if one is open.
    pub(crate) fn abort(&mut self) -> Result<(), AbortError> {
        match &self.state {
            State::Open => Ok(self.abort_open()?),
            State::Ended(end) => Err(end.clone().into()),
            State::Uninitialized | State::Ready => Ok(()), // it was never begun
        }
    }

    fn abort_open(&mut self) -> Result<(), End> {
        // If AddPartitionsToTxn was answered with CONCURRENT_TRANSACTIONS only, librdkafka 2.12.1 aborts what the coordinator does not
        // have, which answers INVALID_TXN_STATE, and that is a fatal error. What is delivered has been added.
        if !self.calls.gives_up() {
            self.calls.flush(FLUSH_BEFORE_ABORT);
        }
        let until = self.calls.now() + self.limits.delivery;
        let end = loop {
            match self.repeat(None, self.limits.call, |calls, limit| calls.abort(limit)) {
                Ok(()) => {
                    self.state = State::Ready;
                    return Ok(());
                }
                Err(Failed::OutOfTime(_)) => break End::Fatal(TransactionCause::Closed),
                // librdkafka begins the abort anew after an error that is not fatal.
                Err(Failed::Error(error)) => match error.remedy() {
                    Remedy::Stop | Remedy::GiveUp => break error.into(),
                    _ if self.calls.gives_up() || self.calls.now() >= until => break End::Fatal(error.into()),
                    _ => self.calls.pause(),
                },
            }
        };
        Err(self.end(end))
    }

    /// Makes a call again while that may help: until a time, or until the producer was closed.
    fn repeat(
        &self,
        until: Option<Instant>,
        limit: Duration,
        mut call: impl FnMut(&C, Duration) -> Result<(), CallError>,
    ) -> Result<(), Failed> {
        loop {
            let left = until.map_or(limit, |until| until.saturating_duration_since(self.calls.now()));
            let Err(error) = call(&self.calls, left.min(limit)) else { return Ok(()) };
            if error.remedy() != Remedy::Repeat {
                return Err(Failed::Error(error));
            }
            if self.calls.gives_up() || until.is_some_and(|until| self.calls.now() >= until) {
                return Err(Failed::OutOfTime(error));
            }
            if !error.is_limit() {
                self.calls.pause();
            }
        }
    }

    fn require_open(&self) -> Result<(), End> {
        match &self.state {
            State::Open => Ok(()),
            State::Ended(end) => Err(end.clone()),
            State::Uninitialized | State::Ready => Err(End::Fatal(TransactionCause::Aborted)),
        }
    }

    /// Records that there can be no further transaction.
    fn end(&mut self, end: End) -> End {
        self.state = State::Ended(end.clone());
        end
    }
}

impl From<CallError> for End {
    fn from(error: CallError) -> Self {
        match error.remedy() {
            Remedy::Stop => Self::Fenced(error.into()),
            _ => Self::Fatal(error.into()),
        }
    }
}

/// Converts to the error of each operation.
macro_rules! from_end {
    ($($error:ident)+) => {$(
        impl From<End> for $error {
            fn from(end: End) -> Self {
                match end {
                    End::Fenced(cause) => Self::Fenced(cause),
                    End::Fatal(cause) => Self::Fatal(cause),
                }
            }
        }
    )+};
}

from_end! { AbortError BeginError CommitError SendOffsetsError }

#[cfg(test)]
mod tests;
