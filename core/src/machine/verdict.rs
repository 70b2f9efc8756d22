//! What a broker's answer, or its silence, means. All of it is here, and all of it is pure.

use crate::protocol::{Acks, ErrorCode};

/// What happened to one batch that was sent, or waited to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The broker answered.
    Answered(ErrorCode),
    /// Its bytes went out, and the connection ended, or nobody answered in time, or the answer left it out.
    NoAnswer,
    /// With `acks=0`: its bytes are written.
    Written,
    /// `delivery.timeout.ms` is over, or the producer is closed at once. `out`: some attempt of it may have been written.
    GivenUp { out: bool },
}

/// What to do with the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is in the log.
    Done,
    /// The same bytes again. `refresh`: ask who leads first. `maybe_written`: this attempt may have been written, or still be.
    Retry { refresh: bool, maybe_written: bool },
    /// It failed for good. `maybe_written`: this attempt may have been written, or still be.
    Fail { maybe_written: bool },
    /// It was refused for its size.
    TooLarge,
    /// It was refused, for our counting is not the broker's: if it is the next in line, count anew under a new epoch;
    /// if not, an earlier one has to go first.
    Resequence,
    /// It was refused, for the broker does not take our producer id or epoch, whatever the sequence: no partition uses them
    /// any more, and a new producer id is asked for.
    IdentityRefused,
}

/// A batch's fate. The table of section "Produce", one row a code; a code of the future fails, and we know nothing of it.
pub(super) fn produce(outcome: Outcome, acks: Acks, idempotent: bool) -> Verdict {
    use Verdict::{Done, Fail, IdentityRefused, Resequence, Retry, TooLarge};
    // After its own write a leader waits for its followers only with acks=all. It can lose the partition while it waits,
    // and says so with the very codes with which it would refuse beforehand. The next leader may have the records.
    let waited = acks == Acks::All;
    let code = match outcome {
        Outcome::Answered(code) => code,
        Outcome::NoAnswer => return Retry { refresh: true, maybe_written: true },
        Outcome::Written => return Done,
        Outcome::GivenUp { out } => return Fail { maybe_written: out },
    };
    match code {
        ErrorCode::NONE => Done,
        // The log has it, too far back for the broker to tell the offset.
        ErrorCode::DUPLICATE_SEQUENCE_NUMBER if idempotent => Done,

        ErrorCode::NOT_LEADER_OR_FOLLOWER
        | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
        | ErrorCode::REPLICA_NOT_AVAILABLE
        | ErrorCode::FENCED_LEADER_EPOCH => Retry { refresh: true, maybe_written: waited },
        ErrorCode::LEADER_NOT_AVAILABLE | ErrorCode::UNKNOWN_TOPIC_ID | ErrorCode::INCONSISTENT_TOPIC_ID => {
            Retry { refresh: true, maybe_written: false }
        }
        // The last three are no codes of Produce's: who knows what such a broker has done.
        ErrorCode::KAFKA_STORAGE_ERROR
        | ErrorCode::NETWORK_EXCEPTION
        | ErrorCode::LISTENER_NOT_FOUND
        | ErrorCode::PREFERRED_LEADER_NOT_AVAILABLE
        | ErrorCode::ELIGIBLE_LEADERS_NOT_AVAILABLE => Retry { refresh: true, maybe_written: true },

        ErrorCode::REQUEST_TIMED_OUT
        | ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND
        | ErrorCode::THROTTLING_QUOTA_EXCEEDED => Retry { refresh: false, maybe_written: true },
        ErrorCode::NOT_ENOUGH_REPLICAS
        | ErrorCode::CORRUPT_MESSAGE
        | ErrorCode::UNKNOWN_LEADER_EPOCH
        | ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
        | ErrorCode::COORDINATOR_NOT_AVAILABLE
        | ErrorCode::NOT_COORDINATOR
        | ErrorCode::CONCURRENT_TRANSACTIONS => Retry { refresh: false, maybe_written: false },

        ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER | ErrorCode::UNKNOWN_PRODUCER_ID if idempotent => Resequence,
        // All before anything is appended. The first three mean that our id or epoch is unknown, or another's by now. The
        // last two are about transactions, of which we have none: the broker has one open under our id (Kafka's
        // `ProducerAppendInfo`), and we cannot end it.
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

        // UNKNOWN_SERVER_ERROR among them: the broker failed at it, at some point.
        _ => Fail { maybe_written: true },
    }
}

/// What metadata says of a topic, or of everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TopicVerdict {
    /// It is known.
    Known,
    /// Not yet: ask again.
    AskAgain,
    /// It will not be: its batches fail.
    Fail,
    /// What we know of the cluster is void: begin anew with the bootstrap servers (KIP-1102).
    Rebootstrap,
}

/// The table of section "Metadata".
pub(super) fn metadata(code: ErrorCode) -> TopicVerdict {
    match code {
        ErrorCode::NONE => TopicVerdict::Known,
        ErrorCode::INVALID_TOPIC_EXCEPTION
        | ErrorCode::TOPIC_AUTHORIZATION_FAILED
        | ErrorCode::CLUSTER_AUTHORIZATION_FAILED
        | ErrorCode::UNSUPPORTED_VERSION
        | ErrorCode::INVALID_REQUEST => TopicVerdict::Fail,
        ErrorCode::REBOOTSTRAP_REQUIRED => TopicVerdict::Rebootstrap,
        // UNKNOWN_TOPIC_OR_PARTITION, LEADER_NOT_AVAILABLE, UNKNOWN_TOPIC_ID, and whatever may come: a topic that is not
        // there can be there at the next try, and the batch's own time-out ends the waiting.
        _ => TopicVerdict::AskAgain,
    }
}

/// What the answer to InitProducerId means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IdentityVerdict {
    /// There it is.
    Obtained,
    /// Not yet: ask again.
    AskAgain,
    /// There will be none: what waits for it fails.
    Fail,
}

/// The table of section "InitProducerId".
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
        _ => IdentityVerdict::AskAgain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED: Verdict = Verdict::Fail { maybe_written: false };
    const AGAIN: Verdict = Verdict::Retry { refresh: false, maybe_written: false };
    const AGAIN_UNSURE: Verdict = Verdict::Retry { refresh: false, maybe_written: true };
    const ELSEWHERE: Verdict = Verdict::Retry { refresh: true, maybe_written: false };
    const ELSEWHERE_UNSURE: Verdict = Verdict::Retry { refresh: true, maybe_written: true };

    /// One test a row: name, code, then the verdicts for acks=all idempotent, acks=all, acks=1.
    macro_rules! produce_rows {
        ($($name:ident $code:ident $idempotent:expr, $all:expr, $leader:expr;)*) => {
            mod produce_row {
                use super::*;
                $(#[test]
                fn $name() {
                    let outcome = Outcome::Answered(ErrorCode::$code);
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
        not_leader_or_follower NOT_LEADER_OR_FOLLOWER ELSEWHERE_UNSURE, ELSEWHERE_UNSURE, ELSEWHERE;
        unknown_topic_or_partition UNKNOWN_TOPIC_OR_PARTITION ELSEWHERE_UNSURE, ELSEWHERE_UNSURE, ELSEWHERE;
        replica_not_available REPLICA_NOT_AVAILABLE ELSEWHERE_UNSURE, ELSEWHERE_UNSURE, ELSEWHERE;
        fenced_leader_epoch FENCED_LEADER_EPOCH ELSEWHERE_UNSURE, ELSEWHERE_UNSURE, ELSEWHERE;
        leader_not_available LEADER_NOT_AVAILABLE ELSEWHERE, ELSEWHERE, ELSEWHERE;
        listener_not_found LISTENER_NOT_FOUND ELSEWHERE_UNSURE, ELSEWHERE_UNSURE, ELSEWHERE_UNSURE;
        preferred_leader_not_available PREFERRED_LEADER_NOT_AVAILABLE ELSEWHERE_UNSURE, ELSEWHERE_UNSURE, ELSEWHERE_UNSURE;
        eligible_leaders_not_available ELIGIBLE_LEADERS_NOT_AVAILABLE ELSEWHERE_UNSURE, ELSEWHERE_UNSURE, ELSEWHERE_UNSURE;
        unknown_topic_id UNKNOWN_TOPIC_ID ELSEWHERE, ELSEWHERE, ELSEWHERE;
        inconsistent_topic_id INCONSISTENT_TOPIC_ID ELSEWHERE, ELSEWHERE, ELSEWHERE;
        kafka_storage_error KAFKA_STORAGE_ERROR ELSEWHERE_UNSURE, ELSEWHERE_UNSURE, ELSEWHERE_UNSURE;
        network_exception NETWORK_EXCEPTION ELSEWHERE_UNSURE, ELSEWHERE_UNSURE, ELSEWHERE_UNSURE;
        request_timed_out REQUEST_TIMED_OUT AGAIN_UNSURE, AGAIN_UNSURE, AGAIN_UNSURE;
        not_enough_replicas_after_append NOT_ENOUGH_REPLICAS_AFTER_APPEND AGAIN_UNSURE, AGAIN_UNSURE, AGAIN_UNSURE;
        not_enough_replicas NOT_ENOUGH_REPLICAS AGAIN, AGAIN, AGAIN;
        corrupt_message CORRUPT_MESSAGE AGAIN, AGAIN, AGAIN;
        unknown_leader_epoch UNKNOWN_LEADER_EPOCH AGAIN, AGAIN, AGAIN;
        coordinator_load_in_progress COORDINATOR_LOAD_IN_PROGRESS AGAIN, AGAIN, AGAIN;
        coordinator_not_available COORDINATOR_NOT_AVAILABLE AGAIN, AGAIN, AGAIN;
        not_coordinator NOT_COORDINATOR AGAIN, AGAIN, AGAIN;
        concurrent_transactions CONCURRENT_TRANSACTIONS AGAIN, AGAIN, AGAIN;
        throttling_quota_exceeded THROTTLING_QUOTA_EXCEEDED AGAIN_UNSURE, AGAIN_UNSURE, AGAIN_UNSURE;
        out_of_order_sequence_number OUT_OF_ORDER_SEQUENCE_NUMBER Verdict::Resequence, REFUSED, REFUSED;
        unknown_producer_id UNKNOWN_PRODUCER_ID Verdict::Resequence, REFUSED, REFUSED;
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
    fn silence_is_retried_and_may_have_been_written() {
        for acks in [Acks::None, Acks::Leader, Acks::All] {
            assert_eq!(produce(Outcome::NoAnswer, acks, false), ELSEWHERE_UNSURE);
        }
    }

    #[test]
    fn without_acks_written_is_done() {
        assert_eq!(produce(Outcome::Written, Acks::None, false), Verdict::Done);
    }

    #[test]
    fn given_up_is_as_sure_as_the_bytes_are() {
        for out in [false, true] {
            assert_eq!(produce(Outcome::GivenUp { out }, Acks::All, true), Verdict::Fail { maybe_written: out });
        }
    }

    #[test]
    fn of_a_code_of_the_future_we_know_nothing() {
        let outcome = Outcome::Answered(ErrorCode(9999));
        assert_eq!(produce(outcome, Acks::All, true), Verdict::Fail { maybe_written: true });
        assert_eq!(metadata(ErrorCode(9999)), TopicVerdict::AskAgain);
        assert_eq!(identity(ErrorCode(9999)), IdentityVerdict::AskAgain);
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
        unknown_topic_or_partition UNKNOWN_TOPIC_OR_PARTITION TopicVerdict::AskAgain;
        unknown_topic_id UNKNOWN_TOPIC_ID TopicVerdict::AskAgain;
        leader_not_available LEADER_NOT_AVAILABLE TopicVerdict::AskAgain;
        listener_not_found LISTENER_NOT_FOUND TopicVerdict::AskAgain;
        invalid_replication_factor INVALID_REPLICATION_FACTOR TopicVerdict::AskAgain;
        unknown_server_error UNKNOWN_SERVER_ERROR TopicVerdict::AskAgain;
        invalid_topic_exception INVALID_TOPIC_EXCEPTION TopicVerdict::Fail;
        topic_authorization_failed TOPIC_AUTHORIZATION_FAILED TopicVerdict::Fail;
        cluster_authorization_failed CLUSTER_AUTHORIZATION_FAILED TopicVerdict::Fail;
        unsupported_version UNSUPPORTED_VERSION TopicVerdict::Fail;
        invalid_request INVALID_REQUEST TopicVerdict::Fail;
        rebootstrap_required REBOOTSTRAP_REQUIRED TopicVerdict::Rebootstrap;
    }

    rows! { identity_row identity
        none NONE IdentityVerdict::Obtained;
        coordinator_load_in_progress COORDINATOR_LOAD_IN_PROGRESS IdentityVerdict::AskAgain;
        coordinator_not_available COORDINATOR_NOT_AVAILABLE IdentityVerdict::AskAgain;
        not_coordinator NOT_COORDINATOR IdentityVerdict::AskAgain;
        request_timed_out REQUEST_TIMED_OUT IdentityVerdict::AskAgain;
        concurrent_transactions CONCURRENT_TRANSACTIONS IdentityVerdict::AskAgain;
        unknown_server_error UNKNOWN_SERVER_ERROR IdentityVerdict::AskAgain;
        invalid_producer_epoch INVALID_PRODUCER_EPOCH IdentityVerdict::AskAgain;
        producer_fenced PRODUCER_FENCED IdentityVerdict::AskAgain;
        unknown_producer_id UNKNOWN_PRODUCER_ID IdentityVerdict::AskAgain;
        invalid_producer_id_mapping INVALID_PRODUCER_ID_MAPPING IdentityVerdict::AskAgain;
        cluster_authorization_failed CLUSTER_AUTHORIZATION_FAILED IdentityVerdict::Fail;
        transactional_id_authorization_failed TRANSACTIONAL_ID_AUTHORIZATION_FAILED IdentityVerdict::Fail;
        unsupported_version UNSUPPORTED_VERSION IdentityVerdict::Fail;
        invalid_request INVALID_REQUEST IdentityVerdict::Fail;
        invalid_transaction_timeout INVALID_TRANSACTION_TIMEOUT IdentityVerdict::Fail;
        transaction_abortable TRANSACTION_ABORTABLE IdentityVerdict::Fail;
    }
}
