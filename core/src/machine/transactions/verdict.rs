//! Maps the error codes of the requests of transactions to what happens next, as Java's client does (its
//! `TransactionManager`, 4.3.1), except where a comment says so. Pure functions, without state.

use crate::protocol::ErrorCode;

/// What an error code means for a transaction, by ascending effect: of the codes of several partitions, that with the largest
/// decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::machine) enum Verdict {
    /// Success.
    Done,
    /// Send the request again, after a backoff.
    Retry,
    /// Look for the coordinator, and send the request again to it.
    Coordinator,
    /// The transaction can only be aborted. To EndTxn: it is certainly not committed.
    Abort,
    /// Another producer with the transactional id has taken over.
    Fenced,
    /// The producer cannot go on.
    Fatal,
    /// To EndTxn: it is not known whether the transaction is committed, and the producer cannot go on.
    Unknown,
}

use Verdict::{Abort, Coordinator, Done, Fatal, Fenced, Retry, Unknown};

/// Returns what an error code of FindCoordinator means.
pub(in crate::machine) fn find_coordinator(code: ErrorCode) -> Verdict {
    match code {
        ErrorCode::NONE => Done,
        ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
        | ErrorCode::CONCURRENT_TRANSACTIONS
        | ErrorCode::COORDINATOR_NOT_AVAILABLE
        | ErrorCode::NOT_COORDINATOR
        | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
        | ErrorCode::REQUEST_TIMED_OUT => Retry,
        ErrorCode::GROUP_AUTHORIZATION_FAILED | ErrorCode::TRANSACTION_ABORTABLE => Abort,
        _ => Fatal,
    }
}

/// Returns what an error code of InitProducerId means. `is_bump`: the request has the current id and epoch.
///
/// Without permission (TRANSACTIONAL_ID_AUTHORIZATION_FAILED, CLUSTER_AUTHORIZATION_FAILED) it is final. With Java's client
/// `initTransactions()` may be called again on the same producer then. Here there is no producer before it is initialised, so
/// the application builds one, which is the same call again; and if the permission was withdrawn later, no transaction is open
/// when an epoch is bumped, so a new producer continues without a loss.
pub(in crate::machine) fn init_producer_id(code: ErrorCode, is_bump: bool) -> Verdict {
    match code {
        ErrorCode::NONE => Done,
        // There is no transaction that TRANSACTION_ABORTABLE could ask to abort, so the request is repeated.
        ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
        | ErrorCode::CONCURRENT_TRANSACTIONS
        | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
        | ErrorCode::REQUEST_TIMED_OUT
        | ErrorCode::TRANSACTION_ABORTABLE => Retry,
        ErrorCode::COORDINATOR_NOT_AVAILABLE | ErrorCode::NOT_COORDINATOR => Coordinator,
        ErrorCode::INVALID_PRODUCER_EPOCH | ErrorCode::PRODUCER_FENCED if is_bump => Fenced,
        _ => Fatal,
    }
}

/// Returns what an error code of AddPartitionsToTxn means, for one partition. Those that only say that another partition
/// has a fault are no error.
pub(in crate::machine) fn add_partitions(code: ErrorCode) -> Verdict {
    match code {
        ErrorCode::NONE | ErrorCode::OPERATION_NOT_ATTEMPTED => Done,
        ErrorCode::INVALID_TXN_STATE
        | ErrorCode::INVALID_PRODUCER_ID_MAPPING
        | ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED => Fatal,
        code => coordinated(code).unwrap_or(Abort),
    }
}

/// Returns what an error code of AddOffsetsToTxn means.
pub(in crate::machine) fn add_offsets(code: ErrorCode) -> Verdict {
    match code {
        ErrorCode::NONE => Done,
        ErrorCode::UNKNOWN_PRODUCER_ID | ErrorCode::GROUP_AUTHORIZATION_FAILED | ErrorCode::TRANSACTION_ABORTABLE => {
            Abort
        }
        code => coordinated(code).unwrap_or(Fatal),
    }
}

/// Returns what an error code of TxnOffsetCommit means, for one partition.
pub(in crate::machine) fn offset_commit(code: ErrorCode) -> Verdict {
    match code {
        ErrorCode::NONE => Done,
        ErrorCode::REQUEST_TIMED_OUT => Coordinator,
        // A group coordinator answers so also if the transaction coordinator has aborted the transaction, after which the
        // producer can go on (with `transaction.version` 2). EndTxn decides. Java's client gives up here.
        ErrorCode::INVALID_PRODUCER_EPOCH => Abort,
        ErrorCode::ILLEGAL_GENERATION
        | ErrorCode::UNKNOWN_MEMBER_ID
        | ErrorCode::GROUP_ID_NOT_FOUND
        | ErrorCode::FENCED_INSTANCE_ID
        | ErrorCode::STALE_MEMBER_EPOCH
        | ErrorCode::GROUP_AUTHORIZATION_FAILED
        | ErrorCode::TRANSACTION_ABORTABLE => Abort,
        code => coordinated(code).unwrap_or(Fatal),
    }
}

/// Returns what an error code of EndTxn means. `is_level_2`: the request is of `transaction.version` 2.
///
/// At that level, INVALID_TXN_STATE and PRODUCER_FENCED to a commit can mean that the coordinator has aborted the transaction
/// after `transaction.timeout.ms`: the answer to an abort with the same epoch decides. Java's client gives up here.
///
/// GROUP_AUTHORIZATION_FAILED is no code of EndTxn: as for Java's client, it is an unexpected one, after which nothing is certain.
pub(in crate::machine) fn end_txn(code: ErrorCode, is_commit: bool, is_level_2: bool) -> Verdict {
    match code {
        ErrorCode::NONE => Done,
        ErrorCode::INVALID_TXN_STATE | ErrorCode::INVALID_PRODUCER_EPOCH | ErrorCode::PRODUCER_FENCED
            if is_commit && is_level_2 =>
        {
            Abort
        }
        ErrorCode::TRANSACTION_ABORTABLE | ErrorCode::UNKNOWN_PRODUCER_ID if is_commit => Abort,
        ErrorCode::INVALID_TXN_STATE
        | ErrorCode::INVALID_PRODUCER_ID_MAPPING
        | ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED
        | ErrorCode::UNSUPPORTED_VERSION => Fatal,
        code => coordinated(code).unwrap_or(if is_commit { Unknown } else { Fatal }),
    }
}

/// Returns what the error code with which a leader refused a batch means for its transaction.
pub(in crate::machine) fn refused_batch(code: ErrorCode) -> Verdict {
    match code {
        ErrorCode::PRODUCER_FENCED => Fenced,
        ErrorCode::INVALID_PRODUCER_ID_MAPPING
        | ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED
        | ErrorCode::CLUSTER_AUTHORIZATION_FAILED
        | ErrorCode::UNSUPPORTED_VERSION => Fatal,
        // INVALID_PRODUCER_EPOCH, too: leaders answer so whether the producer is fenced or the coordinator has aborted the
        // transaction. EndTxn decides.
        _ => Abort,
    }
}

/// Returns what an error code means that the coordinators' APIs have in common.
fn coordinated(code: ErrorCode) -> Option<Verdict> {
    Some(match code {
        ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
        | ErrorCode::CONCURRENT_TRANSACTIONS
        | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
        | ErrorCode::REQUEST_TIMED_OUT => Retry,
        ErrorCode::COORDINATOR_NOT_AVAILABLE | ErrorCode::NOT_COORDINATOR => Coordinator,
        ErrorCode::INVALID_PRODUCER_EPOCH | ErrorCode::PRODUCER_FENCED => Fenced,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows: an error code, and its meaning for FindCoordinator, InitProducerId without and with the current epoch,
    /// AddPartitionsToTxn, AddOffsetsToTxn, TxnOffsetCommit, EndTxn to commit at level 0 and 2, and to abort at level 0 and 2.
    #[test]
    fn the_table() {
        let table = [
            (-1, [Fatal, Fatal, Fatal, Abort, Fatal, Fatal, Unknown, Unknown, Fatal, Fatal]),
            (0, [Done; 10]),
            (3, [Retry; 10]),
            (7, [Retry, Retry, Retry, Retry, Retry, Coordinator, Retry, Retry, Retry, Retry]),
            (14, [Retry; 10]),
            (
                15,
                [
                    Retry,
                    Coordinator,
                    Coordinator,
                    Coordinator,
                    Coordinator,
                    Coordinator,
                    Coordinator,
                    Coordinator,
                    Coordinator,
                    Coordinator,
                ],
            ),
            (
                16,
                [
                    Retry,
                    Coordinator,
                    Coordinator,
                    Coordinator,
                    Coordinator,
                    Coordinator,
                    Coordinator,
                    Coordinator,
                    Coordinator,
                    Coordinator,
                ],
            ),
            (22, [Fatal, Fatal, Fatal, Abort, Fatal, Abort, Unknown, Unknown, Fatal, Fatal]),
            (25, [Fatal, Fatal, Fatal, Abort, Fatal, Abort, Unknown, Unknown, Fatal, Fatal]),
            (29, [Fatal, Fatal, Fatal, Abort, Fatal, Fatal, Unknown, Unknown, Fatal, Fatal]),
            (30, [Abort, Fatal, Fatal, Abort, Abort, Abort, Unknown, Unknown, Fatal, Fatal]),
            (47, [Fatal, Fatal, Fenced, Fenced, Fenced, Abort, Fenced, Abort, Fenced, Fenced]),
            (48, [Fatal, Fatal, Fatal, Fatal, Fatal, Fatal, Fatal, Abort, Fatal, Fatal]),
            (49, [Fatal, Fatal, Fatal, Fatal, Fatal, Fatal, Fatal, Fatal, Fatal, Fatal]),
            (50, [Fatal, Fatal, Fatal, Abort, Fatal, Fatal, Unknown, Unknown, Fatal, Fatal]),
            (51, [Retry; 10]),
            (53, [Fatal; 10]),
            (55, [Fatal, Fatal, Fatal, Done, Fatal, Fatal, Unknown, Unknown, Fatal, Fatal]),
            (59, [Fatal, Fatal, Fatal, Abort, Abort, Fatal, Abort, Abort, Fatal, Fatal]),
            (69, [Fatal, Fatal, Fatal, Abort, Fatal, Abort, Unknown, Unknown, Fatal, Fatal]),
            (82, [Fatal, Fatal, Fatal, Abort, Fatal, Abort, Unknown, Unknown, Fatal, Fatal]),
            (90, [Fatal, Fatal, Fenced, Fenced, Fenced, Fenced, Fenced, Abort, Fenced, Fenced]),
            (113, [Fatal, Fatal, Fatal, Abort, Fatal, Abort, Unknown, Unknown, Fatal, Fatal]),
            (120, [Abort, Retry, Retry, Abort, Abort, Abort, Abort, Abort, Fatal, Fatal]),
        ];
        for (code, expected) in table {
            let code = ErrorCode(code);
            let found = [
                find_coordinator(code),
                init_producer_id(code, false),
                init_producer_id(code, true),
                add_partitions(code),
                add_offsets(code),
                offset_commit(code),
                end_txn(code, true, false),
                end_txn(code, true, true),
                end_txn(code, false, false),
                end_txn(code, false, true),
            ];
            assert_eq!(found, expected, "{code}");
        }
    }

    #[test]
    fn refused_batches() {
        for (code, expected) in [
            (10, Abort),
            (29, Abort),
            (31, Fatal),
            (35, Fatal),
            (45, Abort),
            (47, Abort),
            (49, Fatal),
            (53, Fatal),
            (90, Fenced),
        ] {
            assert_eq!(refused_batch(ErrorCode(code)), expected, "{code}");
        }
    }
}
