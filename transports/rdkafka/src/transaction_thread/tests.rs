//! Transactions without librdkafka: scripted results of its calls.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use kafka_batch_core::transaction::GroupMetadata;
use rdkafka::error::RDKafkaErrorCode as Code;

use super::*;
use crate::offsets::Group;

const LIMITS: Limits = Limits {
    call: Duration::from_secs(2),
    delivery: Duration::from_secs(30),
    earliest_repetition: Duration::from_millis(80),
};

/// The result of one call, and how long it takes.
type Scripted = (Duration, Result<(), CallError>);

/// Returns the results of a script, and records the calls.
struct Script {
    results: RefCell<VecDeque<Scripted>>,
    calls: RefCell<Vec<&'static str>>,
    failure: RefCell<Option<TransactionCause>>,
    closed: Cell<bool>,
    flushes: Cell<u32>,
    now: Cell<Instant>,
}

impl Script {
    fn new() -> Self {
        Self {
            results: RefCell::default(),
            calls: RefCell::default(),
            failure: RefCell::default(),
            closed: Cell::new(false),
            flushes: Cell::new(0),
            now: Cell::new(Instant::now()),
        }
    }

    /// Makes a call. Without a scripted result, it succeeds at once.
    fn call(&self, name: &'static str, limit: Duration) -> Result<(), CallError> {
        self.calls.borrow_mut().push(name);
        let (duration, result) = self.results.borrow_mut().pop_front().unwrap_or((Duration::ZERO, Ok(())));
        assert!(duration <= limit, "{name} takes {duration:?}, more than {limit:?}");
        self.now.set(self.now.get() + duration);
        result
    }
}

impl Calls for Script {
    fn init(&self, limit: Duration) -> Result<(), CallError> {
        self.call("init", limit)
    }

    fn begin(&self) -> Result<(), CallError> {
        self.call("begin", Duration::ZERO)
    }

    fn send_offsets(&self, _: &Offsets, limit: Duration) -> Result<(), CallError> {
        self.call("send_offsets", limit)
    }

    fn flush(&self, _: Duration) -> bool {
        self.flushes.set(self.flushes.get() + 1);
        true
    }

    fn commit(&self, limit: Duration) -> Result<(), CallError> {
        self.call("commit", limit)
    }

    fn abort(&self, limit: Duration) -> Result<(), CallError> {
        self.call("abort", limit)
    }

    fn failure(&self) -> Option<TransactionCause> {
        self.failure.borrow().clone()
    }

    fn fail(&self, cause: TransactionCause) {
        self.failure.borrow_mut().get_or_insert(cause);
    }

    fn forget_failure(&self) {
        *self.failure.borrow_mut() = None;
    }

    fn gives_up(&self) -> bool {
        self.closed.get()
    }

    fn now(&self) -> Instant {
        self.now.get()
    }

    fn pause(&self) {
        self.now.set(self.now.get() + Duration::from_millis(100));
    }
}

fn error(code: Code) -> CallError {
    CallError { code, message: "m".to_owned(), is_fatal: false, is_retriable: false, requires_abort: false }
}

fn fatal(code: Code) -> CallError {
    CallError { is_fatal: true, ..error(code) }
}

fn abortable(code: Code) -> CallError {
    CallError { requires_abort: true, ..error(code) }
}

fn retriable(code: Code) -> CallError {
    CallError { is_retriable: true, ..error(code) }
}

/// The error of a call at its limit.
fn limit() -> Scripted {
    (LIMITS.call, Err(retriable(Code::OperationTimedOut)))
}

fn at_once(error: CallError) -> Scripted {
    (Duration::ZERO, Err(error))
}

fn late(error: CallError) -> Scripted {
    (LIMITS.earliest_repetition, Err(error))
}

/// Returns a producer with an open transaction, whose further calls have these results.
fn open(results: impl IntoIterator<Item = Scripted>) -> Transactions<Script> {
    let mut transactions = Transactions::new(Script::new(), LIMITS);
    transactions.init().unwrap();
    transactions.begin().unwrap();
    transactions.calls.calls.borrow_mut().clear();
    transactions.calls.results.borrow_mut().extend(results);
    transactions
}

#[track_caller]
fn expect_calls(transactions: &Transactions<Script>, expected: &[&str]) {
    assert_eq!(*transactions.calls.calls.borrow(), expected);
}

fn offsets() -> Offsets {
    Offsets::new(Group::from_values(&GroupMetadata::unfenced("g")).unwrap(), []).unwrap()
}

#[test]
fn each_flag_asks_for_one_thing() {
    assert_eq!(fatal(Code::Fenced).remedy(), Remedy::Stop);
    assert_eq!(fatal(Code::InvalidTransactionalState).remedy(), Remedy::GiveUp);
    assert_eq!(abortable(Code::IllegalGeneration).remedy(), Remedy::Abort);
    assert_eq!(retriable(Code::OperationTimedOut).remedy(), Remedy::Repeat);
    assert_eq!(error(Code::State).remedy(), Remedy::Unexpected);
    assert_eq!(error(Code::Fenced).remedy(), Remedy::Unexpected, "a producer that librdkafka can use is not fenced");
}

#[test]
fn initialising_is_repeated_until_the_delivery_timeout() {
    let mut transactions = Transactions::new(Script::new(), LIMITS);
    transactions.calls.results.borrow_mut().extend([limit(), at_once(retriable(Code::CoordinatorNotAvailable))]);
    transactions.init().unwrap();
    expect_calls(&transactions, &["init", "init", "init"]);

    let mut transactions = Transactions::new(Script::new(), LIMITS);
    transactions.calls.results.borrow_mut().extend((0..15).map(|_| limit()));
    let error = transactions.init().unwrap_err();
    assert!(matches!(error, InitTransactionsError::TimedOut { limit, cause: Some(_) } if limit == LIMITS.delivery));
    assert_eq!(transactions.calls.calls.borrow().len(), 15);

    let mut transactions = Transactions::new(Script::new(), LIMITS);
    let refused = fatal(Code::TransactionalIdAuthorizationFailed);
    transactions.calls.results.borrow_mut().push_back(at_once(refused));
    assert!(matches!(transactions.init(), Err(InitTransactionsError::Fatal(_))));
}

#[test]
fn a_commit_continues_after_its_limit() {
    let mut transactions = open([limit(), limit()]);
    transactions.commit().unwrap();
    expect_calls(&transactions, &["commit", "commit", "commit"]);
    transactions.begin().unwrap();
}

#[test]
fn a_failed_batch_aborts_in_place_of_a_commit() {
    let mut transactions = open([]);
    transactions.calls.fail(TransactionCause::Incomplete(kafka_batch_core::protocol::ApiKey::Produce));
    let error = transactions.commit().unwrap_err();
    assert!(matches!(error, CommitError::Aborted(TransactionCause::Incomplete(_))), "{error}");
    expect_calls(&transactions, &["abort"]);
    transactions.begin().unwrap();
    assert!(transactions.calls.failure().is_none(), "the next transaction has not failed");
}

#[test]
fn an_abortable_error_of_a_commit_aborts() {
    let mut transactions = open([at_once(abortable(Code::Inconsistent))]);
    let error = transactions.commit().unwrap_err();
    assert!(matches!(error, CommitError::Aborted(_)), "{error}");
    expect_calls(&transactions, &["commit", "abort"]);
    transactions.begin().unwrap();
}

/// What is certain after an error depends on whether it can be that of a repeated request.
#[test]
fn a_commit_is_unknown_unless_its_error_answers_the_first_request() {
    let unknown = |result: Result<(), CommitError>| matches!(result, Err(CommitError::Unknown(_)));
    let commit = |results: &[Scripted]| open(results.to_vec()).commit();
    let fenced = fatal(Code::Fenced);
    assert!(matches!(commit(&[at_once(fenced.clone())]), Err(CommitError::Fenced(_))));
    assert!(unknown(commit(&[late(fenced.clone())])), "librdkafka may have sent a request before");
    assert!(unknown(commit(&[at_once(retriable(Code::BrokerTransportFailure)), at_once(fenced)])), "and here we did");
    let refused = fatal(Code::InvalidTransactionalState);
    assert!(matches!(commit(&[at_once(refused.clone())]), Err(CommitError::Fatal(_))));
    assert!(unknown(commit(&[late(refused.clone())])));

    // An abort that succeeds proves that nothing was committed, unless another epoch was asked for in its place.
    let failed = abortable(Code::RequestTimedOut);
    assert!(matches!(commit(&[late(failed.clone())]), Err(CommitError::Aborted(_))));
    assert!(unknown(commit(&[late(failed.clone()), at_once(refused.clone())])), "the abort is refused");
    assert!(matches!(commit(&[at_once(failed), at_once(refused)]), Err(CommitError::Fatal(_))));
    for code in [Code::UnknownProducerId, Code::InvalidProducerIdMapping] {
        assert!(matches!(commit(&[at_once(abortable(code))]), Err(CommitError::Aborted(_))));
        assert!(unknown(commit(&[late(abortable(code))])));
    }
}

#[test]
fn a_producer_that_is_fenced_begins_nothing_more() {
    let mut transactions = open([at_once(fatal(Code::Fenced))]);
    assert!(matches!(transactions.commit(), Err(CommitError::Fenced(_))));
    assert!(matches!(transactions.begin(), Err(BeginError::Fenced(_))));
    assert!(matches!(transactions.abort(), Err(AbortError::Fenced(_))));
    expect_calls(&transactions, &["commit"]);

    let mut transactions = open([late(fatal(Code::Fenced))]);
    assert!(matches!(transactions.commit(), Err(CommitError::Unknown(_))));
    assert!(matches!(transactions.begin(), Err(BeginError::Fenced(_))), "that is certain");
}

#[test]
fn an_unexpected_state_is_tried_again_a_few_times() {
    let unexpected = || at_once(error(Code::State));
    let mut transactions = open([unexpected(), unexpected()]);
    transactions.commit().unwrap();
    let mut transactions = open([unexpected(), unexpected(), unexpected()]);
    assert!(matches!(transactions.commit(), Err(CommitError::Unknown(_))));
    assert!(matches!(transactions.begin(), Err(BeginError::Fatal(_))));
}

#[test]
fn a_producer_that_is_closed_gives_up_what_is_not_answered() {
    let mut transactions = open([limit()]);
    transactions.calls.closed.set(true);
    assert!(matches!(transactions.commit(), Err(CommitError::Unknown(TransactionCause::Closed))));
    let mut transactions = open([limit()]);
    transactions.calls.closed.set(true);
    assert!(matches!(transactions.abort(), Err(AbortError::Fatal(TransactionCause::Closed))));
}

#[test]
fn an_abort_is_repeated_until_it_is_confirmed_or_refused() {
    let again = || at_once(abortable(Code::RequestTimedOut));
    let mut transactions = open([again(), limit(), again()]);
    transactions.abort().unwrap();
    expect_calls(&transactions, &["abort"; 4]);
    assert_eq!(transactions.calls.flushes.get(), 1, "it waits for batches first");

    let mut transactions = open((0..).map(|_| again()).take(400));
    assert!(matches!(transactions.abort(), Err(AbortError::Fatal(_))), "after delivery.timeout.ms");

    let mut transactions = open([at_once(fatal(Code::Fenced))]);
    assert!(matches!(transactions.abort(), Err(AbortError::Fenced(_))));
}

#[test]
fn a_transaction_whose_offsets_fail_can_only_be_aborted() {
    let mut transactions = open([at_once(abortable(Code::IllegalGeneration))]);
    assert!(matches!(transactions.send_offsets(&offsets()), Err(SendOffsetsError::Aborted(_))));
    assert!(matches!(transactions.send_offsets(&offsets()), Err(SendOffsetsError::Aborted(_))), "without a call");
    assert!(matches!(transactions.commit(), Err(CommitError::Aborted(_))));
    expect_calls(&transactions, &["send_offsets", "abort"]);

    let mut transactions = open([at_once(fatal(Code::Fenced))]);
    assert!(matches!(transactions.send_offsets(&offsets()), Err(SendOffsetsError::Fenced(_))));

    let slow = (LIMITS.delivery, Err(retriable(Code::CoordinatorNotAvailable)));
    let mut transactions = open([slow]);
    let error = transactions.send_offsets(&offsets()).unwrap_err();
    let SendOffsetsError::Aborted(TransactionCause::OffsetsTimedOut { limit, last: Some(_) }) = error else {
        panic!("{error}");
    };
    assert_eq!(limit, LIMITS.delivery);
}

#[test]
fn nothing_is_aborted_that_was_not_begun() {
    let mut transactions = Transactions::new(Script::new(), LIMITS);
    transactions.init().unwrap();
    transactions.abort().unwrap();
    expect_calls(&transactions, &["init"]);
}

#[test]
fn a_begin_that_is_cancelled_is_aborted() {
    let mut transactions = open([]);
    transactions.abort().unwrap();
    transactions.begin().unwrap();
    expect_calls(&transactions, &["abort", "begin"]);
}
