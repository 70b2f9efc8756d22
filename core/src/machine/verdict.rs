//! Maps each response of a broker, and the lack of one, to what happens next. Pure functions, without state.

use crate::protocol::{Acks, ErrorCode};

/// The outcome of one attempt to send a batch, or of waiting for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AttemptResult {
    /// The broker answered with this code.
    Answered(ErrorCode),
    /// The batch was sent, and the connection ended, no response arrived in time, or the response does not contain it.
    NoResponse,
    /// With `acks=0`: the batch was transmitted.
    Transmitted,
    /// `delivery.timeout.ms` has passed, or the producer is closed immediately.
    Abandoned { in_flight: bool },
}

/// What to do with the batch: `Done`, `Retry` and `Fail`; or why the broker refused it, where the partition decides what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is in the log (with `acks=0`: it was sent).
    Done,
    /// Send the same bytes again. `leader_in_doubt`: the leader may have changed, so it is forgotten until the next
    /// metadata. `maybe_written`: this attempt may have been written, or may yet be.
    Retry { leader_in_doubt: bool, maybe_written: bool },
    /// It failed. `maybe_written`: this attempt may have been written, or may yet be.
    Fail { maybe_written: bool },
    /// The broker refused it for its size.
    TooLarge,
    /// The broker refused it because its sequence number is not the one that the broker expects, or because it does not know
    /// the producer id. It is retried after an earlier batch; or gets a new sequence number under a new epoch; or the producer
    /// id is refused, if it is the first batch under it; or, if it may be in the log already, it waits for proof or fails with
    /// an unknown fate.
    OutOfOrderSequence,
    /// The broker refused it because of its producer id or epoch, whatever the sequence number: no partition uses them
    /// any more, and a new producer id is requested.
    IdentityRefused,
}

/// Returns what to do with a batch after a Produce attempt. An unknown error code fails it, with an unknown fate.
pub(super) fn produce(outcome: AttemptResult, acks: Acks, idempotent: bool) -> Verdict {
    use Verdict::{Done, Fail, IdentityRefused, OutOfOrderSequence, Retry, TooLarge};
    // Only with acks=all does a leader wait for its followers after its own write. It can lose leadership while it
    // waits, and answers then with the same codes as for a refusal before the write. The next leader may have the
    // records.
    let appended_first = acks == Acks::All;
    let code = match outcome {
        AttemptResult::Answered(code) => code,
        AttemptResult::NoResponse => return Retry { leader_in_doubt: true, maybe_written: true },
        AttemptResult::Transmitted => return Done,
        AttemptResult::Abandoned { in_flight } => return Fail { maybe_written: in_flight },
    };
    match code {
        ErrorCode::NONE => Done,
        // The batch is in the log, but the broker no longer remembers its offset.
        ErrorCode::DUPLICATE_SEQUENCE_NUMBER if idempotent => Done,

        ErrorCode::NOT_LEADER_OR_FOLLOWER
        | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
        | ErrorCode::REPLICA_NOT_AVAILABLE
        | ErrorCode::FENCED_LEADER_EPOCH => Retry { leader_in_doubt: true, maybe_written: appended_first },
        ErrorCode::LEADER_NOT_AVAILABLE | ErrorCode::UNKNOWN_TOPIC_ID | ErrorCode::INCONSISTENT_TOPIC_ID => {
            Retry { leader_in_doubt: true, maybe_written: false }
        }
        // The last three are not error codes of Produce, so nothing is known of what such a broker has done.
        ErrorCode::KAFKA_STORAGE_ERROR
        | ErrorCode::NETWORK_EXCEPTION
        | ErrorCode::LISTENER_NOT_FOUND
        | ErrorCode::PREFERRED_LEADER_NOT_AVAILABLE
        | ErrorCode::ELIGIBLE_LEADERS_NOT_AVAILABLE => Retry { leader_in_doubt: true, maybe_written: true },

        ErrorCode::REQUEST_TIMED_OUT
        | ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND
        | ErrorCode::THROTTLING_QUOTA_EXCEEDED => Retry { leader_in_doubt: false, maybe_written: true },
        ErrorCode::NOT_ENOUGH_REPLICAS
        | ErrorCode::CORRUPT_MESSAGE
        | ErrorCode::UNKNOWN_LEADER_EPOCH
        | ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
        | ErrorCode::COORDINATOR_NOT_AVAILABLE
        | ErrorCode::NOT_COORDINATOR
        | ErrorCode::CONCURRENT_TRANSACTIONS => Retry { leader_in_doubt: false, maybe_written: false },

        ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER | ErrorCode::UNKNOWN_PRODUCER_ID if idempotent => OutOfOrderSequence,
        // Brokers answer with all of these before they append anything. The first three mean that the producer id or
        // epoch is unknown, or is used by another producer by now. The last two are about transactions, which this
        // producer does not use: the broker has one open under this producer id (Kafka's `ProducerAppendInfo`), and this
        // client cannot end it.
        ErrorCode::INVALID_PRODUCER_EPOCH
        | ErrorCode::INVALID_PRODUCER_ID_MAPPING
        | ErrorCode::PRODUCER_FENCED
        | ErrorCode::INVALID_TXN_STATE
        | ErrorCode::TRANSACTION_ABORTABLE
            if idempotent =>
        {
            IdentityRefused
        }

        ErrorCode::MESSAGE_TOO_LARGE | ErrorCode::RECORD_LIST_TOO_LARGE => TooLarge,

        ErrorCode::INVALID_TOPIC_EXCEPTION
        | ErrorCode::INVALID_REQUIRED_ACKS
        | ErrorCode::TOPIC_AUTHORIZATION_FAILED
        | ErrorCode::CLUSTER_AUTHORIZATION_FAILED
        | ErrorCode::INVALID_TIMESTAMP
        | ErrorCode::UNSUPPORTED_VERSION
        | ErrorCode::INVALID_REQUEST
        | ErrorCode::UNSUPPORTED_FOR_MESSAGE_FORMAT
        | ErrorCode::POLICY_VIOLATION
        | ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER
        | ErrorCode::INVALID_PRODUCER_EPOCH
        | ErrorCode::UNKNOWN_PRODUCER_ID
        | ErrorCode::INVALID_TXN_STATE
        | ErrorCode::INVALID_PRODUCER_ID_MAPPING
        | ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED
        | ErrorCode::UNSUPPORTED_COMPRESSION_TYPE
        | ErrorCode::INVALID_RECORD
        | ErrorCode::PRODUCER_FENCED
        | ErrorCode::TRANSACTION_ABORTABLE => Fail { maybe_written: false },

        // Includes UNKNOWN_SERVER_ERROR: the broker failed at an unknown point.
        _ => Fail { maybe_written: true },
    }
}

/// Returns what to do with a batch of a transaction after a Produce attempt. The transaction fails with the batch, so it never
/// gets another producer id or epoch.
pub(super) fn produce_in_transaction(outcome: AttemptResult) -> Verdict {
    match produce(outcome, Acks::All, true) {
        Verdict::IdentityRefused => Verdict::Fail { maybe_written: false },
        verdict => verdict,
    }
}

/// What an error code of Metadata, of a topic or of the response, means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TopicVerdict {
    /// The topic is known.
    Known,
    /// Retriable: request metadata again.
    Retry,
    /// Not retriable: the batches of the topic fail.
    Fail,
    /// Discard all metadata, and start again from the bootstrap servers (KIP-1102).
    Rebootstrap,
}

/// Returns what an error code of Metadata means.
pub(super) fn metadata(code: ErrorCode) -> TopicVerdict {
    match code {
        ErrorCode::NONE => TopicVerdict::Known,
        ErrorCode::INVALID_TOPIC_EXCEPTION
        | ErrorCode::TOPIC_AUTHORIZATION_FAILED
        | ErrorCode::CLUSTER_AUTHORIZATION_FAILED
        | ErrorCode::UNSUPPORTED_VERSION
        | ErrorCode::INVALID_REQUEST => TopicVerdict::Fail,
        ErrorCode::REBOOTSTRAP_REQUIRED => TopicVerdict::Rebootstrap,
        // UNKNOWN_TOPIC_OR_PARTITION, LEADER_NOT_AVAILABLE, UNKNOWN_TOPIC_ID, and unknown codes: a missing topic may
        // exist at the next attempt, and the delivery timeout of the batch ends the retries.
        _ => TopicVerdict::Retry,
    }
}

/// What an error code of InitProducerId means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IdentityVerdict {
    /// The response has a producer id.
    Obtained,
    /// Retriable: request a producer id again.
    Retry,
    /// Not retriable: the batches that need a producer id fail.
    Fail,
}

/// Returns what an error code of InitProducerId means.
pub(super) fn identity(code: ErrorCode) -> IdentityVerdict {
    match code {
        ErrorCode::NONE => IdentityVerdict::Obtained,
        ErrorCode::CLUSTER_AUTHORIZATION_FAILED
        | ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED
        | ErrorCode::UNSUPPORTED_VERSION
        | ErrorCode::INVALID_REQUEST
        | ErrorCode::INVALID_TRANSACTION_TIMEOUT
        | ErrorCode::TRANSACTION_ABORTABLE => IdentityVerdict::Fail,
        // COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR, REQUEST_TIMED_OUT,
        // CONCURRENT_TRANSACTIONS, UNKNOWN_SERVER_ERROR …
        _ => IdentityVerdict::Retry,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED: Verdict = Verdict::Fail { maybe_written: false };
    const RETRY: Verdict = Verdict::Retry { leader_in_doubt: false, maybe_written: false };
    const RETRY_MAYBE_WRITTEN: Verdict = Verdict::Retry { leader_in_doubt: false, maybe_written: true };
    const RETRY_LEADER_IN_DOUBT: Verdict = Verdict::Retry { leader_in_doubt: true, maybe_written: false };
    const RETRY_LEADER_IN_DOUBT_MAYBE_WRITTEN: Verdict = Verdict::Retry { leader_in_doubt: true, maybe_written: true };

    /// One test per row: name, code, then the verdicts for acks=all idempotent, acks=all, acks=1.
    macro_rules! produce_rows {
        ($($name:ident $code:ident $idempotent:expr, $all:expr, $leader:expr;)*) => {
            mod produce_row {
                use super::*;
                $(#[test]
                fn $name() {
                    let outcome = AttemptResult::Answered(ErrorCode::$code);
                    assert_eq!(produce(outcome, Acks::All, true), $idempotent);
                    assert_eq!(produce(outcome, Acks::All, false), $all);
                    assert_eq!(produce(outcome, Acks::Leader, false), $leader);
                })*
            }
        };
    }

    produce_rows! {
        none NONE Verdict::Done, Verdict::Done, Verdict::Done;
        duplicate_sequence_number DUPLICATE_SEQUENCE_NUMBER Verdict::Done, Verdict::Fail { maybe_written: true }, Verdict::Fail { maybe_written: true };
        not_leader_or_follower NOT_LEADER_OR_FOLLOWER RETRY_LEADER_IN_DOUBT_MAYBE_WRITTEN, RETRY_LEADER_IN_DOUBT_MAYBE_WRITTEN, RETRY_LEADER_IN_DOUBT;
        unknown_topic_or_partition UNKNOWN_TOPIC_OR_PARTITION RETRY_LEADER_IN_DOUBT_MAYBE_WRITTEN, RETRY_LEADER_IN_DOUBT_MAYBE_WRITTEN, RETRY_LEADER_IN_DOUBT;
        replica_not_available REPLICA_NOT_AVAILABLE RETRY_LEADER_IN_DOUBT_MAYBE_WRITTEN, RETRY_LEADER_IN_DOUBT_MAYBE_WRITTEN, RETRY_LEADER_IN_DOUBT;
        fenced_leader_epoch FENCED_LEADER_EPOCH RETRY_LEADER_IN_DOUBT_MAYBE_WRITTEN, RETRY_LEADER_IN_DOUBT_MAYBE_WRITTEN, RETRY_LEADER_IN_DOUBT;
        leader_not_available LEADER_NOT_AVAILABLE RETRY_LEADER_IN_DOUBT, RETRY_LEADER_IN_DOUBT, RETRY_LEADER_IN_DOUBT;
        listener_not_found LISTENER_NOT_FOUND RETRY_LEADER_IN_DOUBT_MAYBE_WRITTEN, RETRY_LEADER_IN_DOUBT_MAYBE_WRITTEN, RETRY_LEADER_IN_DOUBT_MAYBE_WRITTEN;
        preferred_leader_not_available PREFERRED_LEADER_NOT_AVAILABLE RETRY_LEADER_IN_DOUBT_MAYBE_WRITTEN, RETRY_LEADER_IN_DOUBT_MAYBE_WRITTEN, RETRY_LEADER_IN_DOUBT_MAYBE_WRITTEN;
        eligible_leaders_not_available ELIGIBLE_LEADERS_NOT_AVAILABLE RETRY_LEADER_IN_DOUBT_MAYBE_WRITTEN, RETRY_LEADER_IN_DOUBT_MAYBE_WRITTEN, RETRY_LEADER_IN_DOUBT_MAYBE_WRITTEN;
        unknown_topic_id UNKNOWN_TOPIC_ID RETRY_LEADER_IN_DOUBT, RETRY_LEADER_IN_DOUBT, RETRY_LEADER_IN_DOUBT;
        inconsistent_topic_id INCONSISTENT_TOPIC_ID RETRY_LEADER_IN_DOUBT, RETRY_LEADER_IN_DOUBT, RETRY_LEADER_IN_DOUBT;
        kafka_storage_error KAFKA_STORAGE_ERROR RETRY_LEADER_IN_DOUBT_MAYBE_WRITTEN, RETRY_LEADER_IN_DOUBT_MAYBE_WRITTEN, RETRY_LEADER_IN_DOUBT_MAYBE_WRITTEN;
        network_exception NETWORK_EXCEPTION RETRY_LEADER_IN_DOUBT_MAYBE_WRITTEN, RETRY_LEADER_IN_DOUBT_MAYBE_WRITTEN, RETRY_LEADER_IN_DOUBT_MAYBE_WRITTEN;
        request_timed_out REQUEST_TIMED_OUT RETRY_MAYBE_WRITTEN, RETRY_MAYBE_WRITTEN, RETRY_MAYBE_WRITTEN;
        not_enough_replicas_after_append NOT_ENOUGH_REPLICAS_AFTER_APPEND RETRY_MAYBE_WRITTEN, RETRY_MAYBE_WRITTEN, RETRY_MAYBE_WRITTEN;
        not_enough_replicas NOT_ENOUGH_REPLICAS RETRY, RETRY, RETRY;
        corrupt_message CORRUPT_MESSAGE RETRY, RETRY, RETRY;
        unknown_leader_epoch UNKNOWN_LEADER_EPOCH RETRY, RETRY, RETRY;
        coordinator_load_in_progress COORDINATOR_LOAD_IN_PROGRESS RETRY, RETRY, RETRY;
        coordinator_not_available COORDINATOR_NOT_AVAILABLE RETRY, RETRY, RETRY;
        not_coordinator NOT_COORDINATOR RETRY, RETRY, RETRY;
        concurrent_transactions CONCURRENT_TRANSACTIONS RETRY, RETRY, RETRY;
        throttling_quota_exceeded THROTTLING_QUOTA_EXCEEDED RETRY_MAYBE_WRITTEN, RETRY_MAYBE_WRITTEN, RETRY_MAYBE_WRITTEN;
        out_of_order_sequence_number OUT_OF_ORDER_SEQUENCE_NUMBER Verdict::OutOfOrderSequence, REFUSED, REFUSED;
        unknown_producer_id UNKNOWN_PRODUCER_ID Verdict::OutOfOrderSequence, REFUSED, REFUSED;
        invalid_producer_epoch INVALID_PRODUCER_EPOCH Verdict::IdentityRefused, REFUSED, REFUSED;
        message_too_large MESSAGE_TOO_LARGE Verdict::TooLarge, Verdict::TooLarge, Verdict::TooLarge;
        record_list_too_large RECORD_LIST_TOO_LARGE Verdict::TooLarge, Verdict::TooLarge, Verdict::TooLarge;
        invalid_topic_exception INVALID_TOPIC_EXCEPTION REFUSED, REFUSED, REFUSED;
        invalid_required_acks INVALID_REQUIRED_ACKS REFUSED, REFUSED, REFUSED;
        topic_authorization_failed TOPIC_AUTHORIZATION_FAILED REFUSED, REFUSED, REFUSED;
        cluster_authorization_failed CLUSTER_AUTHORIZATION_FAILED REFUSED, REFUSED, REFUSED;
        invalid_timestamp INVALID_TIMESTAMP REFUSED, REFUSED, REFUSED;
        unsupported_version UNSUPPORTED_VERSION REFUSED, REFUSED, REFUSED;
        invalid_request INVALID_REQUEST REFUSED, REFUSED, REFUSED;
        unsupported_for_message_format UNSUPPORTED_FOR_MESSAGE_FORMAT REFUSED, REFUSED, REFUSED;
        policy_violation POLICY_VIOLATION REFUSED, REFUSED, REFUSED;
        invalid_txn_state INVALID_TXN_STATE Verdict::IdentityRefused, REFUSED, REFUSED;
        invalid_producer_id_mapping INVALID_PRODUCER_ID_MAPPING Verdict::IdentityRefused, REFUSED, REFUSED;
        transactional_id_authorization_failed TRANSACTIONAL_ID_AUTHORIZATION_FAILED REFUSED, REFUSED, REFUSED;
        unsupported_compression_type UNSUPPORTED_COMPRESSION_TYPE REFUSED, REFUSED, REFUSED;
        invalid_record INVALID_RECORD REFUSED, REFUSED, REFUSED;
        producer_fenced PRODUCER_FENCED Verdict::IdentityRefused, REFUSED, REFUSED;
        transaction_abortable TRANSACTION_ABORTABLE Verdict::IdentityRefused, REFUSED, REFUSED;
        unknown_server_error UNKNOWN_SERVER_ERROR Verdict::Fail { maybe_written: true }, Verdict::Fail { maybe_written: true }, Verdict::Fail { maybe_written: true };
    }

    #[test]
    fn no_response_is_retried_and_may_have_been_written() {
        for acks in [Acks::None, Acks::Leader, Acks::All] {
            assert_eq!(produce(AttemptResult::NoResponse, acks, false), RETRY_LEADER_IN_DOUBT_MAYBE_WRITTEN);
        }
    }

    #[test]
    fn without_acks_transmitted_is_done() {
        assert_eq!(produce(AttemptResult::Transmitted, Acks::None, false), Verdict::Done);
    }

    #[test]
    fn a_batch_abandoned_in_flight_may_have_been_written() {
        for in_flight in [false, true] {
            assert_eq!(
                produce(AttemptResult::Abandoned { in_flight }, Acks::All, true),
                Verdict::Fail { maybe_written: in_flight }
            );
        }
    }

    #[test]
    fn an_unknown_code_fails_a_batch_as_unknown_and_is_retried_elsewhere() {
        let outcome = AttemptResult::Answered(ErrorCode(9999));
        assert_eq!(produce(outcome, Acks::All, true), Verdict::Fail { maybe_written: true });
        assert_eq!(metadata(ErrorCode(9999)), TopicVerdict::Retry);
        assert_eq!(identity(ErrorCode(9999)), IdentityVerdict::Retry);
    }

    macro_rules! rows {
        ($module:ident $function:ident $($name:ident $code:ident $verdict:expr;)*) => {
            mod $module {
                use super::*;
                $(#[test]
                fn $name() {
                    assert_eq!($function(ErrorCode::$code), $verdict);
                })*
            }
        };
    }

    rows! { metadata_row metadata
        none NONE TopicVerdict::Known;
        unknown_topic_or_partition UNKNOWN_TOPIC_OR_PARTITION TopicVerdict::Retry;
        unknown_topic_id UNKNOWN_TOPIC_ID TopicVerdict::Retry;
        leader_not_available LEADER_NOT_AVAILABLE TopicVerdict::Retry;
        listener_not_found LISTENER_NOT_FOUND TopicVerdict::Retry;
        invalid_replication_factor INVALID_REPLICATION_FACTOR TopicVerdict::Retry;
        unknown_server_error UNKNOWN_SERVER_ERROR TopicVerdict::Retry;
        invalid_topic_exception INVALID_TOPIC_EXCEPTION TopicVerdict::Fail;
        topic_authorization_failed TOPIC_AUTHORIZATION_FAILED TopicVerdict::Fail;
        cluster_authorization_failed CLUSTER_AUTHORIZATION_FAILED TopicVerdict::Fail;
        unsupported_version UNSUPPORTED_VERSION TopicVerdict::Fail;
        invalid_request INVALID_REQUEST TopicVerdict::Fail;
        rebootstrap_required REBOOTSTRAP_REQUIRED TopicVerdict::Rebootstrap;
    }

    rows! { identity_row identity
        none NONE IdentityVerdict::Obtained;
        coordinator_load_in_progress COORDINATOR_LOAD_IN_PROGRESS IdentityVerdict::Retry;
        coordinator_not_available COORDINATOR_NOT_AVAILABLE IdentityVerdict::Retry;
        not_coordinator NOT_COORDINATOR IdentityVerdict::Retry;
        request_timed_out REQUEST_TIMED_OUT IdentityVerdict::Retry;
        concurrent_transactions CONCURRENT_TRANSACTIONS IdentityVerdict::Retry;
        unknown_server_error UNKNOWN_SERVER_ERROR IdentityVerdict::Retry;
        invalid_producer_epoch INVALID_PRODUCER_EPOCH IdentityVerdict::Retry;
        producer_fenced PRODUCER_FENCED IdentityVerdict::Retry;
        unknown_producer_id UNKNOWN_PRODUCER_ID IdentityVerdict::Retry;
        invalid_producer_id_mapping INVALID_PRODUCER_ID_MAPPING IdentityVerdict::Retry;
        cluster_authorization_failed CLUSTER_AUTHORIZATION_FAILED IdentityVerdict::Fail;
        transactional_id_authorization_failed TRANSACTIONAL_ID_AUTHORIZATION_FAILED IdentityVerdict::Fail;
        unsupported_version UNSUPPORTED_VERSION IdentityVerdict::Fail;
        invalid_request INVALID_REQUEST IdentityVerdict::Fail;
        invalid_transaction_timeout INVALID_TRANSACTION_TIMEOUT IdentityVerdict::Fail;
        transaction_abortable TRANSACTION_ABORTABLE IdentityVerdict::Fail;
    }
}
