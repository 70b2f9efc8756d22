//! What librdkafka's answers mean: the tables, as pure functions.
//!
//! # Why a batch failed
//! | librdkafka | [`FailureReason`] |
//! |---|---|
//! | a code of 0 or more in a delivery report | [`Broker`](FailureReason::Broker), with that code |
//! | `_MSG_TIMED_OUT` | [`TimedOut`](FailureReason::TimedOut) |
//! | `_PURGE_QUEUE`, `_PURGE_INFLIGHT` | [`Closed`](FailureReason::Closed) if the producer was closed at once; else as `_FATAL`, for that is when librdkafka purges by itself |
//! | any other code, and whatever `produce()` itself refuses | [`Transport`](FailureReason::Transport) with a [`LibrdkafkaError`] |
//!
//! Where the records of a batch failed for different reasons, the batch fails for that of the first of them; but not for
//! `_INVALID_DIFFERENT_RECORD`, which only says that another record was the bad one.
//!
//! # What is known of a record
//! | the record | [`Fate`] |
//! |---|---|
//! | was acknowledged | [`Written`](Fate::Written) |
//! | was sent with `acks=0`, which nobody acknowledges | [`Unknown`](Fate::Unknown) |
//! | failed, and was never on its way to a broker (`MSG_STATUS_NOT_PERSISTED`), or the broker refused it | [`NotWritten`](Fate::NotWritten) |
//! | failed, and was on its way when it did (`MSG_STATUS_POSSIBLY_PERSISTED`) | [`Unknown`](Fate::Unknown) |
//! | failed, and is in the log all the same (`MSG_STATUS_PERSISTED`) | [`Written`](Fate::Written) |
//! | was refused by `produce()`, or came after one that was | [`NotWritten`](Fate::NotWritten) |

use kafka_batch_core::protocol::{ApiKey, BrokerError, ErrorCode};
use kafka_batch_core::{FailureReason, Fate, RecordError};
use rdkafka::error::RDKafkaErrorCode;

use crate::error::LibrdkafkaError;

/// A record that librdkafka took, and reported as failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) position: usize,
    pub(crate) code: RDKafkaErrorCode,
    /// Who said so, where librdkafka knows it.
    pub(crate) broker: Option<i32>,
    pub(crate) fate: Fate,
}

/// `produce()` refused a record, so that it and those behind it were never librdkafka's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) position: usize,
    /// Even a code of the broker's is librdkafka's word here.
    pub(crate) error: LibrdkafkaError,
}

/// Why a batch failed of which these records failed, or were refused.
pub(crate) fn reason(failures: &[Failure], refusal: Option<Refusal>) -> FailureReason {
    let is_anothers_fault = |failure: &Failure| failure.code == RDKafkaErrorCode::InvalidDifferentRecord;
    let first = failures.iter().min_by_key(|failure| (is_anothers_fault(failure), failure.position));
    // What was refused comes behind all that was not.
    match (first, refusal) {
        (Some(first), None) => reason_of(first),
        (Some(first), Some(_)) if !is_anothers_fault(first) => reason_of(first),
        (_, Some(refusal)) => FailureReason::Transport(Box::new(refusal.error)),
        (None, None) => unreachable!("a batch fails by a record"),
    }
}

fn reason_of(failure: &Failure) -> FailureReason {
    match failure.code {
        RDKafkaErrorCode::MessageTimedOut => FailureReason::TimedOut { cause: None },
        RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight => FailureReason::Closed,
        code => match broker_code(code) {
            Some(code) => BrokerError::new(ApiKey::Produce, code).from_broker(failure.broker).into(),
            None => FailureReason::Transport(Box::new(LibrdkafkaError::new(code, None))),
        },
    }
}

/// The records that the broker itself rejected (KIP-467), as far as librdkafka tells.
///
/// In a set of which it rejected several, those have `INVALID_RECORD`, and the others `_INVALID_DIFFERENT_RECORD`. Where
/// it rejected just one, or all, every record of the set has the broker's code (librdkafka overwrites what it had told
/// apart, when it calls its interceptors), and none can be named.
pub(crate) fn record_errors(failures: &[Failure]) -> Vec<RecordError> {
    let told_apart = failures.iter().any(|failure| failure.code == RDKafkaErrorCode::InvalidDifferentRecord);
    let rejected = failures.iter().filter(|failure| told_apart && failure.code == RDKafkaErrorCode::InvalidRecord);
    let mut positions: Vec<usize> = rejected.map(|failure| failure.position).collect();
    positions.sort_unstable();
    positions.into_iter().map(|position| RecordError::new(position, None)).collect()
}

/// Each record's fate by position, where `handed_over` of `records` came to librdkafka and these failed.
pub(crate) fn fates(records: usize, handed_over: usize, failures: &[Failure], acknowledged: bool) -> Vec<Fate> {
    let mut fates = vec![if acknowledged { Fate::Written } else { Fate::Unknown }; handed_over];
    for failure in failures {
        fates[failure.position] = failure.fate;
    }
    fates.resize(records, Fate::NotWritten);
    fates
}

/// A code that came from a broker.
pub(crate) fn broker_code(code: RDKafkaErrorCode) -> Option<ErrorCode> {
    i16::try_from(code as i32).ok().filter(|&code| code >= 0).map(ErrorCode)
}

/// Tells true offsets from those that librdkafka makes up.
///
/// Where no offset came back (`acks=0`, or a retry that the broker knew already), librdkafka counts the records of the
/// set up from its "invalid", −1001: so that the 1002nd record of such a set says that it has offset 0. The records of a
/// set are reported one after another; whatever goes on from a made-up offset is made up too.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Offsets {
    next_made_up: Option<i64>,
}

impl Offsets {
    /// The offset of the next record that was reported, if it is one.
    pub(crate) fn believe(&mut self, offset: i64) -> Option<i64> {
        if offset < 0 || self.next_made_up == Some(offset) {
            self.next_made_up = Some(offset + 1);
            None
        } else {
            self.next_made_up = None;
            Some(offset)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use RDKafkaErrorCode as Code;

    fn failed(position: usize, code: Code, fate: Fate) -> Failure {
        Failure { position, code, broker: Some(7), fate }
    }

    fn refused(position: usize, code: Code) -> Option<Refusal> {
        Some(Refusal { position, error: LibrdkafkaError::new(code, None) })
    }

    fn because(failure: Failure) -> FailureReason {
        reason(&[failure], None)
    }

    #[test]
    fn a_code_of_the_brokers_is_the_brokers_word() {
        let reason = because(failed(0, Code::MessageSizeTooLarge, Fate::NotWritten));
        assert!(reason.to_string().starts_with("broker 7 answered Produce with MESSAGE_TOO_LARGE (10)"), "{reason}");
    }

    #[test]
    fn a_message_time_out_is_a_time_out() {
        let reason = because(failed(0, Code::MessageTimedOut, Fate::Unknown));
        assert!(matches!(reason, FailureReason::TimedOut { cause: None }) && reason.is_retriable(), "{reason:?}");
    }

    #[test]
    fn what_was_purged_was_closed() {
        for code in [Code::PurgeQueue, Code::PurgeInflight] {
            assert!(matches!(because(failed(0, code, Fate::NotWritten)), FailureReason::Closed));
        }
    }

    #[test]
    fn any_other_code_is_librdkafkas() {
        let reason = because(failed(0, Code::UnknownPartition, Fate::NotWritten));
        let FailureReason::Transport(error) = reason else { panic!("{reason:?}") };
        let error = error.downcast::<LibrdkafkaError>().unwrap();
        assert_eq!(error.code, -190);
        assert!(error.to_string().contains("the topic has fewer partitions"), "{error}");
    }

    #[test]
    fn a_code_of_the_brokers_that_produce_gives_is_librdkafkas() {
        let reason = reason(&[], refused(0, Code::MessageSizeTooLarge));
        assert!(matches!(reason, FailureReason::Transport(_)), "{reason:?}");
    }

    #[test]
    fn the_first_record_that_failed_by_itself_says_why() {
        let failures = [
            failed(7, Code::MessageTimedOut, Fate::Unknown),
            failed(2, Code::InvalidTimestamp, Fate::NotWritten),
            failed(1, Code::InvalidDifferentRecord, Fate::NotWritten),
        ];
        for refusal in [None, refused(8, Code::MessageSizeTooLarge)] {
            assert!(matches!(reason(&failures, refusal), FailureReason::Broker(error) if error.code == ErrorCode(32)));
        }
        let anothers_fault = &failures[2..];
        assert!(matches!(reason(anothers_fault, refused(8, Code::Fatal)), FailureReason::Transport(_)));
    }

    #[test]
    fn records_that_the_broker_rejected_are_named_where_librdkafka_tells_them_apart() {
        let bad = |position| failed(position, Code::InvalidRecord, Fate::NotWritten);
        let other = |position| failed(position, Code::InvalidDifferentRecord, Fate::NotWritten);
        let several = [bad(5), other(4), bad(1)];
        assert_eq!(record_errors(&several), [RecordError::new(1, None), RecordError::new(5, None)]);
        assert_eq!(record_errors(&[bad(0), bad(1)]), [], "librdkafka says so of all where it is but one");
    }

    #[test]
    fn fates_are_what_librdkafka_knows_of_the_failed_and_what_acks_promise_of_the_rest() {
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
    fn offsets_counted_up_from_invalid_are_not_believed() {
        let mut offsets = Offsets::default();
        assert_eq!(offsets.believe(41), Some(41));
        assert!((-1001..2_000).all(|made_up| offsets.believe(made_up).is_none()));
        assert_eq!(offsets.believe(42), Some(42));
        assert_eq!(offsets.believe(-1001), None);
        assert_eq!(offsets.believe(0), Some(0));
    }
}
