//! The errors of transactions.

use super::*;
use crate::transaction::{
    AbortError, BeginError, CommitError, InitTransactionsError, SendOffsetsError, TransactionCause,
};

pub(super) fn all() -> Errors {
    use TransactionCause as Cause;
    let batch = || Cause::batch(&to(), &FailureReason::from(refused(ErrorCode::INVALID_RECORD)));
    let mut errors = every!(Cause:
        Cause::Broker(_) => refused(ErrorCode::INVALID_TXN_STATE).into(),
        Cause::Batch { .. } => batch(),
        Cause::Connection(_) => lost().into(),
        Cause::ProducerId(_) => ProducerIdError::Invalid { id: -1, epoch: 0 }.into(),
        Cause::Request(_) => {
            let (api, version) = (ApiKey::AddOffsetsToTxn, 3);
            protocol::RequestEncodeError::TooLong { api, version, length: 2, limit: 1 }.into()
        },
        Cause::Unsupported { .. } => Cause::Unsupported { api: ApiKey::EndTxn, what: "why" },
        Cause::Incomplete(_) => Cause::Incomplete(ApiKey::EndTxn),
        Cause::OffsetsTimedOut { .. } => Cause::OffsetsTimedOut { limit: LIMIT, last: Some(Box::new(Cause::Closed)) },
        Cause::Aborted => Cause::Aborted,
        Cause::Closed => Cause::Closed,
        Cause::Stopped => Cause::Stopped,
        Cause::Transport(_) => Cause::Transport(foreign()),
    );
    errors.extend(every!(InitTransactionsError:
        InitTransactionsError::TimedOut { .. } => InitTransactionsError::TimedOut { limit: LIMIT, cause: Some(lost().into()) },
        InitTransactionsError::Fatal(_) => InitTransactionsError::Fatal(lost().into()),
    ));
    let interrupted = || Err(Box::new(CommitError::Aborted(lost().into())));
    errors.extend(every!(BeginError:
        BeginError::InterruptedCommit(_) => BeginError::InterruptedCommit(interrupted()),
        BeginError::Fenced(_) => BeginError::Fenced(lost().into()),
        BeginError::Fatal(_) => BeginError::Fatal(batch()),
    ));
    errors.extend(every!(SendOffsetsError:
        SendOffsetsError::Aborted(_) => SendOffsetsError::Aborted(lost().into()),
        SendOffsetsError::Fenced(_) => SendOffsetsError::Fenced(batch()),
        SendOffsetsError::Fatal(_) => SendOffsetsError::Fatal(lost().into()),
    ));
    errors.extend(every!(CommitError:
        CommitError::Aborted(_) => CommitError::Aborted(batch()),
        CommitError::Unknown(_) => CommitError::Unknown(lost().into()),
        CommitError::Fenced(_) => CommitError::Fenced(refused(ErrorCode::PRODUCER_FENCED).into()),
        CommitError::Fatal(_) => CommitError::Fatal(Cause::Transport(foreign())),
    ));
    errors.extend(every!(AbortError:
        AbortError::Fenced(_) => AbortError::Fenced(lost().into()),
        AbortError::Fatal(_) => AbortError::Fatal(Cause::Closed),
    ));
    errors
}
