//! Transactions: the offsets that can be committed in one, and the errors of each operation, of every transport.
//!
//! An error is named for what the application has to do next:
//!
//! | error | what is certain | next |
//! |---|---|---|
//! | `Aborted` | the transaction is not committed, and will not be | begin again, from the offsets that the group has committed |
//! | `Unknown` | nothing: it may be committed, or not | build a new producer, then read the offsets that the group has committed |
//! | `Fenced` | not committed; another producer with this `transactional.id` is alive | stop |
//! | `Fatal` | not committed; this producer cannot go on | correct the cause, and build a new producer |
//!
//! With `transaction.version` 0 or 1, coordinators answer after `transaction.timeout.ms` as if the producer were fenced: then build a
//! new producer.

mod cause;
mod error;
mod group;

pub use self::cause::TransactionCause;
pub use self::error::{AbortError, BeginError, CommitError, InitTransactionsError, SendOffsetsError};
pub use self::group::{GroupMetadata, OffsetAndMetadata};
