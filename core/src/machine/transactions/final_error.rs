//! The errors of commands whose producer cannot go on.

use crate::machine::transactions::TransactionState;
use crate::transaction::{AbortError, BeginError, CommitError, SendOffsetsError, TransactionCause};

/// An error of a command that says why the producer cannot go on.
pub(in crate::machine) trait FinalError: Sized {
    /// Makes the error for a producer that was fenced.
    const FENCED: fn(TransactionCause) -> Self;
    /// Makes the error for a producer that has failed.
    const FATAL: fn(TransactionCause) -> Self;

    /// Makes the error for a producer in this state, which is final.
    fn in_state(state: TransactionState, cause: TransactionCause) -> Self {
        let error = if state == TransactionState::Fenced { Self::FENCED } else { Self::FATAL };
        error(cause)
    }
}

macro_rules! final_errors {
    ($($error:ident)*) => {
        $(impl FinalError for $error {
            const FENCED: fn(TransactionCause) -> Self = Self::Fenced;
            const FATAL: fn(TransactionCause) -> Self = Self::Fatal;
        })*
    };
}

final_errors! { BeginError SendOffsetsError CommitError AbortError }
