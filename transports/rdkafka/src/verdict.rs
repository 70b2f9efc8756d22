//! Maps librdkafka's delivery reports to failure reasons and record fates. Pure functions.
//!
//! # Failure reason of a batch
//! | librdkafka | [`FailureReason`] |
//! |---|---|
//! | a code of 0 or more in a delivery report | [`Broker`](FailureReason::Broker), with that code |
//! | `_MSG_TIMED_OUT` | [`TimedOut`](FailureReason::TimedOut) |
//! | `_PURGE_QUEUE`, `_PURGE_INFLIGHT` | [`Closed`](FailureReason::Closed) after an immediate close; else, with a `transactional.id`, [`TransactionAborted`](FailureReason::TransactionAborted), and without one as `_FATAL`, because librdkafka itself purges only then |
//! | `_STATE`, refused by `produce()` | [`TransactionAborted`](FailureReason::TransactionAborted): the transaction has failed meanwhile |
//! | any other code, and every refusal by `produce()` | [`Transport`](FailureReason::Transport) with a [`LibrdkafkaError`] |
//!
//! If records of a batch fail for different reasons, the batch reports that of the first, except
//! `_INVALID_DIFFERENT_RECORD`, which means only that another record was invalid.
//!
//! # Fate of a record
//! | the record | [`Fate`] |
//! |---|---|
//! | was acknowledged | [`Written`](Fate::Written) |
//! | was sent with `acks=0`, without acknowledgement | [`Unknown`](Fate::Unknown) |
//! | failed and was never sent, or was refused by the broker (`MSG_STATUS_NOT_PERSISTED`) | [`NotWritten`](Fate::NotWritten) |
//! | failed after it was sent (`MSG_STATUS_POSSIBLY_PERSISTED`) | [`Unknown`](Fate::Unknown) |
//! | failed, but is in the log (`MSG_STATUS_PERSISTED`) | [`Written`](Fate::Written) |
//! | was refused by `produce()`, or follows one that was | [`NotWritten`](Fate::NotWritten) |

use std::time::Duration;

use kafka_batch_core::error::TransportError;
use kafka_batch_core::protocol::{ApiKey, BrokerError, ErrorCode};
use kafka_batch_core::{FailureReason, Fate, RecordError};
use rdkafka::error::RDKafkaErrorCode;

use crate::error::LibrdkafkaError;

/// A failed delivery report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) position: usize,
    pub(crate) code: RDKafkaErrorCode,
    /// The broker that reported the error, if known.
    pub(crate) broker: Option<i32>,
    pub(crate) fate: Fate,
}

/// A record refused by `produce()`. It and the records after it were not handed to librdkafka.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) position: usize,
    /// librdkafka's own error, even where its code is one that brokers use.
    pub(crate) error: LibrdkafkaError,
}

impl Refusal {
    /// Returns true if the transaction does not allow to produce any more.
    pub(crate) const fn is_of_transaction(&self) -> bool {
        self.error.code == RDKafkaErrorCode::State as i32
    }
}

/// Why librdkafka's queue was purged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purge {
    /// By an immediate close.
    Close,
    /// Because the transaction is aborted, or can only be aborted.
    Abort,
}

/// Returns the reason for a batch with these failures or this refusal.
pub(crate) fn reason(
    failures: &[Failure],
    refusal: Option<Refusal>,
    delivery_timeout: Duration,
    purge: Purge,
) -> FailureReason {
    let is_secondary = |failure: &Failure| failure.code == RDKafkaErrorCode::InvalidDifferentRecord;
    let first = failures.iter().min_by_key(|failure| (is_secondary(failure), failure.position));
    // The refused record follows every record that was produced.
    match (first, refusal) {
        (Some(first), None) => reason_of(first, delivery_timeout, purge),
        (Some(first), Some(_)) if !is_secondary(first) => reason_of(first, delivery_timeout, purge),
        (_, Some(refusal)) if refusal.is_of_transaction() => FailureReason::TransactionAborted,
        (_, Some(refusal)) => FailureReason::Transport(TransportError::new(refusal.error)),
        (None, None) => unreachable!("a failed batch has a failed or refused record"),
    }
}

fn reason_of(failure: &Failure, delivery_timeout: Duration, purge: Purge) -> FailureReason {
    match failure.code {
        RDKafkaErrorCode::MessageTimedOut => FailureReason::TimedOut { limit: Some(delivery_timeout), cause: None },
        RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight => match purge {
            Purge::Close => FailureReason::Closed,
            Purge::Abort => FailureReason::TransactionAborted,
        },
        code => match broker_code(code) {
            Some(code) => BrokerError::new(ApiKey::Produce, code).with_broker(failure.broker).into(),
            None => FailureReason::Transport(TransportError::new(LibrdkafkaError::new(code, None))),
        },
    }
}

/// Returns the records that the broker rejected (KIP-467), as far as librdkafka reports them.
///
/// If the broker rejects several records of a message set, librdkafka reports `INVALID_RECORD` for them and
/// `_INVALID_DIFFERENT_RECORD` for the others. If it rejects one record, or all, librdkafka 2.12.1 reports the broker's code
/// for every record of the set, so the rejected record cannot be identified.
pub(crate) fn record_errors(failures: &[Failure]) -> Vec<RecordError> {
    let told_apart = failures.iter().any(|failure| failure.code == RDKafkaErrorCode::InvalidDifferentRecord);
    let rejected = failures.iter().filter(|failure| told_apart && failure.code == RDKafkaErrorCode::InvalidRecord);
    let mut positions: Vec<usize> = rejected.map(|failure| failure.position).collect();
    positions.sort_unstable();
    positions.into_iter().map(|position| RecordError::new(position, None)).collect()
}

/// Returns the fate of each record by position. The first `handed_over` of `records` were produced; `failures` of them failed.
pub(crate) fn fates(records: usize, handed_over: usize, failures: &[Failure], acknowledged: bool) -> Vec<Fate> {
    let mut fates = vec![if acknowledged { Fate::Written } else { Fate::Unknown }; handed_over];
    for failure in failures {
        fates[failure.position] = failure.fate;
    }
    fates.resize(records, Fate::NotWritten);
    fates
}

/// Returns the broker's error code, or `None` for a code of librdkafka's own.
pub(crate) fn broker_code(code: RDKafkaErrorCode) -> Option<ErrorCode> {
    i16::try_from(code as i32).ok().filter(|&code| code >= 0).map(ErrorCode)
}

/// Discards offsets that librdkafka invents.
///
/// If a response has no offset (`acks=0`, or a retry that the broker recognised as a duplicate), librdkafka numbers the
/// records of the message set from its invalid offset, −1001, upwards, so that the 1002nd record seems to have offset 0. The
/// records of a set are reported in sequence: an offset that continues an invented one is invented too.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct OffsetFilter {
    next_invented: Option<i64>,
}

impl OffsetFilter {
    /// Returns the offset of the next reported record, or `None` if it is invented.
    pub(crate) fn filter(&mut self, offset: i64) -> Option<i64> {
        if offset < 0 || self.next_invented == Some(offset) {
            self.next_invented = Some(offset + 1);
            None
        } else {
            self.next_invented = None;
            Some(offset)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(300_000);
    use RDKafkaErrorCode as Code;

    fn failed(position: usize, code: Code, fate: Fate) -> Failure {
        Failure { position, code, broker: Some(7), fate }
    }

    fn refused(position: usize, code: Code) -> Option<Refusal> {
        Some(Refusal { position, error: LibrdkafkaError::new(code, None) })
    }

    fn because(failure: Failure) -> FailureReason {
        reason(&[failure], None, LIMIT, Purge::Close)
    }

    #[test]
    fn a_broker_code_is_a_broker_error() {
        let reason = because(failed(0, Code::MessageSizeTooLarge, Fate::NotWritten));
        assert!(reason.to_string().starts_with("broker 7 answered Produce with MESSAGE_TOO_LARGE (10)"), "{reason}");
    }

    #[test]
    fn a_message_timeout_is_a_timeout() {
        let reason = because(failed(0, Code::MessageTimedOut, Fate::Unknown));
        assert!(
            matches!(reason, FailureReason::TimedOut { limit: Some(LIMIT), cause: None }) && reason.is_retriable(),
            "{reason:?}"
        );
    }

    #[test]
    fn a_purge_means_closed_or_aborted() {
        for code in [Code::PurgeQueue, Code::PurgeInflight] {
            let failure = failed(0, code, Fate::NotWritten);
            assert!(matches!(because(failure.clone()), FailureReason::Closed));
            let aborted = reason(&[failure], None, LIMIT, Purge::Abort);
            assert!(matches!(aborted, FailureReason::TransactionAborted));
        }
    }

    #[test]
    fn a_record_that_the_state_of_the_transaction_refuses_was_aborted() {
        let reason = reason(&[], refused(3, Code::State), LIMIT, Purge::Abort);
        assert!(matches!(reason, FailureReason::TransactionAborted), "{reason:?}");
    }

    #[test]
    fn any_other_code_is_a_librdkafka_error() {
        let reason = because(failed(0, Code::UnknownPartition, Fate::NotWritten));
        let FailureReason::Transport(error) = reason else { panic!("{reason:?}") };
        let error = error.downcast_ref::<LibrdkafkaError>().unwrap();
        assert_eq!(error.code, -190);
        assert!(error.to_string().contains("the topic has fewer partitions"), "{error}");
    }

    #[test]
    fn a_broker_code_returned_by_produce_is_a_librdkafka_error() {
        let reason = reason(&[], refused(0, Code::MessageSizeTooLarge), LIMIT, Purge::Close);
        assert!(matches!(reason, FailureReason::Transport(_)), "{reason:?}");
    }

    #[test]
    fn the_first_primary_failure_is_the_reason() {
        let failures = [
            failed(7, Code::MessageTimedOut, Fate::Unknown),
            failed(2, Code::InvalidTimestamp, Fate::NotWritten),
            failed(1, Code::InvalidDifferentRecord, Fate::NotWritten),
        ];
        for refusal in [None, refused(8, Code::MessageSizeTooLarge)] {
            assert!(
                matches!(reason(&failures, refusal, LIMIT, Purge::Close), FailureReason::Broker(error) if error.code == ErrorCode(32))
            );
        }
        let secondary = &failures[2..];
        assert!(matches!(reason(secondary, refused(8, Code::Fatal), LIMIT, Purge::Close), FailureReason::Transport(_)));
    }

    #[test]
    fn rejected_records_are_identified_if_librdkafka_distinguishes_them() {
        let bad = |position| failed(position, Code::InvalidRecord, Fate::NotWritten);
        let other = |position| failed(position, Code::InvalidDifferentRecord, Fate::NotWritten);
        let several = [bad(5), other(4), bad(1)];
        assert_eq!(record_errors(&several), [RecordError::new(1, None), RecordError::new(5, None)]);
        assert_eq!(
            record_errors(&[bad(0), bad(1)]),
            [],
            "librdkafka reports the code for all records if one was rejected"
        );
    }

    #[test]
    fn fates_combine_persistence_status_and_acks() {
        let failures = [
            failed(1, Code::MessageTimedOut, Fate::Unknown),
            failed(2, Code::MessageTimedOut, Fate::NotWritten),
            failed(3, Code::BrokerTransportFailure, Fate::Written),
        ];
        let [written, unknown, not] = [Fate::Written, Fate::Unknown, Fate::NotWritten];
        assert_eq!(fates(6, 4, &failures, true), [written, unknown, not, written, not, not]);
        assert_eq!(fates(6, 4, &failures, false), [unknown, unknown, not, written, not, not]);
    }

    #[test]
    fn offsets_that_continue_an_invalid_one_are_discarded() {
        let mut offsets = OffsetFilter::default();
        assert_eq!(offsets.filter(41), Some(41));
        assert!((-1001..2_000).all(|invented| offsets.filter(invented).is_none()));
        assert_eq!(offsets.filter(42), Some(42));
        assert_eq!(offsets.filter(-1001), None);
        assert_eq!(offsets.filter(0), Some(0));
    }
}
