//! The errors of transactions: one enum for each operation, whose variants say what to do next.

use alloc::boxed::Box;
use core::error::Error;
use core::fmt;
use core::time::Duration;

use super::TransactionCause;
use crate::cause::Limit;
use crate::due_to::DueTo;

/// Why a transactional producer could not be initialised.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum InitTransactionsError {
    /// The coordinator has not assigned a producer id in time. Try again: this happens while brokers start, and while an
    /// earlier transaction with this `transactional.id` is being ended.
    TimedOut {
        /// `delivery.timeout.ms`.
        limit: Duration,
        /// The last error, if there was one.
        cause: Option<TransactionCause>,
    },
    /// Without a change it fails again, for example for want of a permission: correct the cause, and build a new producer.
    Fatal(TransactionCause),
}

/// Why a transaction was not begun.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum BeginError {
    /// The future of an earlier commit was dropped. This is how that commit has ended, which is reported once: the next
    /// call begins a transaction, if the producer can go on.
    InterruptedCommit(Result<(), Box<CommitError>>),
    /// Another producer with this `transactional.id` has taken over: stop. (If a response to InitProducerId was lost while
    /// the coordinator moved, the other one can be this one itself, KAFKA-20357.)
    Fenced(TransactionCause),
    /// This producer cannot go on: correct the cause, and build a new one.
    Fatal(TransactionCause),
}

/// Why offsets were not added to a transaction, which can only be aborted now.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SendOffsetsError {
    /// The transaction will not be committed: abort it, and begin again from the offsets that the group has committed. If
    /// the group has a new generation, read its partitions first.
    Aborted(TransactionCause),
    /// Another producer with this `transactional.id` has taken over: stop. (With `transaction.version` 0
    /// or 1, the coordinator answers in the same way after `transaction.timeout.ms`: then build a new producer.)
    Fenced(TransactionCause),
    /// This producer cannot go on: correct the cause, and build a new one.
    Fatal(TransactionCause),
}

/// Why a transaction was not committed, or is not known to be.
#[derive(Clone, Debug)]
// Exhaustive on purpose: an application must have an answer to each of them.
pub enum CommitError {
    /// It is not committed, and will not be. The producer goes on: begin again from the offsets that the group has committed.
    Aborted(TransactionCause),
    /// It may be committed, or not: no response says so. Build a new producer with the same `transactional.id`, which ends the
    /// transaction either way, and then read the offsets that the group has committed: they show it.
    Unknown(TransactionCause),
    /// It is not committed. Another producer with this `transactional.id` has taken over: stop. (With `transaction.version` 0
    /// or 1, the coordinator answers in the same way after `transaction.timeout.ms`: then build a new producer.)
    Fenced(TransactionCause),
    /// It is not committed, and this producer cannot go on: correct the cause, and build a new one.
    Fatal(TransactionCause),
}

/// Why the abort of a transaction was not confirmed. It is not committed in any case: what the coordinator still has of it
/// ends after `transaction.timeout.ms`, or when the next producer with this `transactional.id` is built.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AbortError {
    /// Another producer with this `transactional.id` has taken over: stop. (With `transaction.version` 0
    /// or 1, the coordinator answers in the same way after `transaction.timeout.ms`: then build a new producer.)
    Fenced(TransactionCause),
    /// This producer cannot go on: correct the cause, and build a new one.
    Fatal(TransactionCause),
}

impl InitTransactionsError {
    /// Returns the cause, if it is known.
    #[must_use]
    pub const fn cause(&self) -> Option<&TransactionCause> {
        match self {
            Self::TimedOut { cause, .. } => cause.as_ref(),
            Self::Fatal(cause) => Some(cause),
        }
    }
}

impl BeginError {
    /// Returns the cause; `None` if a commit has succeeded whose future was dropped.
    #[must_use]
    pub fn cause(&self) -> Option<&TransactionCause> {
        match self {
            Self::InterruptedCommit(Ok(())) => None,
            Self::InterruptedCommit(Err(error)) => Some(CommitError::cause(error)),
            Self::Fenced(cause) | Self::Fatal(cause) => Some(cause),
        }
    }
}

impl SendOffsetsError {
    /// Returns the cause.
    #[must_use]
    pub const fn cause(&self) -> &TransactionCause {
        match self {
            Self::Aborted(cause) | Self::Fenced(cause) | Self::Fatal(cause) => cause,
        }
    }
}

impl CommitError {
    /// Returns the cause.
    #[must_use]
    pub const fn cause(&self) -> &TransactionCause {
        match self {
            Self::Aborted(cause) | Self::Unknown(cause) | Self::Fenced(cause) | Self::Fatal(cause) => cause,
        }
    }
}

impl AbortError {
    /// Returns the cause.
    #[must_use]
    pub const fn cause(&self) -> &TransactionCause {
        match self {
            Self::Fenced(cause) | Self::Fatal(cause) => cause,
        }
    }
}

// The text contains the cause, so the source is the first one that the text does not have.

impl fmt::Display for InitTransactionsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut { limit, cause } => {
                let (limit, cause) = (Limit("delivery.timeout.ms", *limit), DueTo(cause.as_ref()));
                write!(f, "transactions were not initialised within {limit}{cause}; try again")
            }
            Self::Fatal(cause) => write!(f, "transactions cannot be initialised: {cause}"),
        }
    }
}

impl Error for InitTransactionsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause()?.source()
    }
}

impl fmt::Display for BeginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InterruptedCommit(outcome) => {
                write!(f, "a commit whose future was dropped {}; begin again", CommitOutcome(outcome))
            }
            Self::Fenced(cause) => write!(f, "another producer with this transactional.id has taken over: {cause}"),
            Self::Fatal(cause) => {
                write!(f, "the producer cannot begin another transaction: {cause}; build a new producer")
            }
        }
    }
}

impl Error for BeginError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause()?.source()
    }
}

impl fmt::Display for SendOffsetsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aborted(cause) => write!(
                f,
                "the offsets were not sent: {cause}; abort the transaction, and begin again from the committed offsets"
            ),
            Self::Fenced(cause) => write!(
                f,
                "the offsets were not sent, as another producer with this transactional.id has taken over: {cause}"
            ),
            Self::Fatal(cause) => write!(f, "the offsets were not sent: {cause}; build a new producer"),
        }
    }
}

impl Error for SendOffsetsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause().source()
    }
}

impl fmt::Display for CommitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aborted(cause) => {
                write!(f, "the transaction was aborted: {cause}; begin again from the committed offsets")
            }
            Self::Unknown(cause) => write!(
                f,
                "it is not known whether the transaction was committed: {cause}; build a new producer, and then read the group's committed \
                 offsets"
            ),
            Self::Fenced(cause) => write!(
                f,
                "the transaction was not committed, as another producer with this transactional.id has taken over: {cause}"
            ),
            Self::Fatal(cause) => write!(f, "the transaction was not committed: {cause}; build a new producer"),
        }
    }
}

impl Error for CommitError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause().source()
    }
}

impl fmt::Display for AbortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fenced(cause) => write!(f, "another producer with this transactional.id has taken over: {cause}"),
            Self::Fatal(cause) => write!(f, "the abort was not confirmed: {cause}; build a new producer"),
        }
    }
}

impl Error for AbortError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause().source()
    }
}

/// Displays how a commit has ended.
struct CommitOutcome<'a>(&'a Result<(), Box<CommitError>>);

impl fmt::Display for CommitOutcome<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Ok(()) => f.write_str("has succeeded: its transaction is committed"),
            Err(error) => write!(f, "has failed: {error}"),
        }
    }
}
