//! The commands of transactions.

use alloc::vec::Vec;

use super::{Lifecycle, Machine};
use crate::failure::FailureReason;
use crate::machine::event::{Event, InvalidTransactionState, MachineSendErrorKind, TransactionEvent};
use crate::machine::io::Output;
use crate::machine::timers::Timer;
use crate::machine::transactions::final_error::FinalError as _;
use crate::machine::transactions::{EndCommand, OffsetsId, TransactionState, Transactions, Transition};
use crate::record::TopicPartition;
use crate::time::Instant;
use crate::transaction::{
    AbortError, BeginError, CommitError, GroupMetadata, InitTransactionsError, OffsetAndMetadata, SendOffsetsError,
    TransactionCause,
};

/// # Transactions
///
/// With a [`transactional_id`](super::MachineConfig::transactional_id), batches are accepted while a transaction is open. Each
/// command that is accepted ends in exactly one [`Event::Transaction`].
///
/// ```text
#[doc = include_str!("../transactions/states.txt")]
/// ```
///
/// In each state the producer can also become `Fenced`, if another one with its `transactional.id` has taken over, or `Fatal`, if it
/// cannot go on.
impl Machine {
    /// Requests a producer id from the transaction coordinator: the first command. It fences the former producer with
    /// this `transactional.id`, and ends what that has left open. Reported as [`TransactionEvent::Initialized`], at the latest
    /// after `delivery.timeout.ms`; may be repeated after [`InitTransactionsError::TimedOut`].
    ///
    /// # Errors
    /// Transactions are initialised already, or the producer has no `transactional.id`.
    pub fn init_transactions(&mut self, now: Instant) -> Result<(), InvalidTransactionState> {
        self.begin_command(now)?;
        let deadline = self.now + self.config.delivery_timeout;
        let is_open = self.lifecycle == Lifecycle::Open;
        let transactions = self.transactions()?;
        if let Some((_, cause)) = failure(transactions) {
            self.transaction_event(TransactionEvent::Initialized(Err(InitTransactionsError::Fatal(cause))));
        } else if !is_open && transactions.state() == TransactionState::Uninitialized {
            let error = InitTransactionsError::Fatal(TransactionCause::Closed);
            self.transaction_event(TransactionEvent::Initialized(Err(error)));
        } else if transactions.change(Transition::Initialize) {
            transactions.deadline = Some(deadline);
            self.timers.set(Timer::TransactionDeadline, deadline);
        } else {
            return Err(transactions.invalid());
        }
        Ok(())
    }

    /// Begins a transaction, once the last one has ended. Reported as [`TransactionEvent::Begun`].
    ///
    /// # Errors
    /// A transaction is open, or transactions are not initialised.
    pub fn begin_transaction(&mut self, now: Instant) -> Result<(), InvalidTransactionState> {
        self.begin_command(now)?;
        let is_open = self.lifecycle == Lifecycle::Open;
        let transactions = self.transactions()?;
        if let Some((state, cause)) = failure(transactions) {
            self.transaction_event(TransactionEvent::Begun(Err(BeginError::in_state(state, cause))));
            return Ok(());
        }
        let can_begin = match transactions.state() {
            TransactionState::Ready
            | TransactionState::Committing
            | TransactionState::Aborting
            | TransactionState::Bumping => !transactions.begin_requested,
            _ => false,
        };
        if !can_begin {
            return Err(transactions.invalid());
        }
        if is_open {
            transactions.begin_requested = true;
        } else {
            self.transaction_event(TransactionEvent::Begun(Err(BeginError::Fatal(TransactionCause::Closed))));
        }
        Ok(())
    }

    /// Commits offsets of a group in the transaction: those of the next records to read. Reported as
    /// [`TransactionEvent::OffsetsSent`], at the latest after `delivery.timeout.ms`: then the transaction can only be aborted, as
    /// after a batch that has failed. The last offset of a partition counts.
    ///
    /// # Errors
    /// No transaction is open.
    pub fn send_offsets(
        &mut self,
        group: GroupMetadata,
        offsets: Vec<(TopicPartition, OffsetAndMetadata)>,
        now: Instant,
    ) -> Result<OffsetsId, InvalidTransactionState> {
        self.begin_command(now)?;
        let deadline = self.now + self.config.delivery_timeout;
        let transactions = self.transactions()?;
        let is_empty = offsets.is_empty();
        let failed = failure(transactions);
        if failed.is_none() && transactions.state() != TransactionState::Open {
            return Err(transactions.invalid());
        }
        let abort_cause = transactions.current.abort_cause.clone();
        let result = match (failed, abort_cause) {
            (Some((state, cause)), _) => Err(SendOffsetsError::in_state(state, cause)),
            (None, Some(cause)) => Err(SendOffsetsError::Aborted(cause)),
            (None, None) if is_empty => Ok(()),
            (None, None) => return Ok(transactions.offsets.push(group, offsets, deadline)),
        };
        let id = transactions.offsets.skip();
        self.transaction_event(TransactionEvent::OffsetsSent { id, result });
        Ok(id)
    }

    /// Commits the transaction, once every batch of it was delivered, and its offsets were sent. If one of them has failed, it is
    /// aborted instead. Reported as [`TransactionEvent::Committed`].
    ///
    /// # Errors
    /// No transaction is open.
    pub fn commit_transaction(&mut self, now: Instant) -> Result<(), InvalidTransactionState> {
        self.begin_command(now)?;
        let transactions = self.transactions()?;
        if let Some((state, cause)) = failure(transactions) {
            self.transaction_event(TransactionEvent::Committed(Err(CommitError::in_state(state, cause))));
        } else if transactions.change(Transition::Commit) {
            transactions.current.command = Some(EndCommand::Commit);
        } else {
            return Err(transactions.invalid());
        }
        Ok(())
    }

    /// Aborts the transaction: batches that are not in flight fail with
    /// [`FailureReason::TransactionAborted`](crate::FailureReason::TransactionAborted). (With `transaction.version` 0 or 1, one
    /// that was sent without a response is sent again until it is answered, at the latest until `delivery.timeout.ms` is over, so
    /// that nothing of it arrives later.) While
    /// [`begin_transaction`](Self::begin_transaction) waits for the end of the last transaction, cancels that instead of its
    /// event. Reported as [`TransactionEvent::Aborted`].
    ///
    /// # Errors
    /// No transaction is open, and none was begun.
    pub fn abort_transaction(&mut self, now: Instant) -> Result<(), InvalidTransactionState> {
        self.begin_command(now)?;
        let transactions = self.transactions()?;
        if let Some((state, cause)) = failure(transactions) {
            self.transaction_event(TransactionEvent::Aborted(Err(AbortError::in_state(state, cause))));
        } else if core::mem::take(&mut transactions.begin_requested) {
            self.transaction_event(TransactionEvent::Aborted(Ok(())));
        } else if transactions.change(Transition::Abort) {
            transactions.current.command = Some(EndCommand::Abort);
            transactions.current.must_fail_waiting = true;
        } else {
            return Err(transactions.invalid());
        }
        Ok(())
    }

    /// Records that a batch of the open transaction cannot be passed to [`send`](Self::send), for example because it cannot be
    /// sealed: the transaction can only be aborted. Has no effect if none is open.
    pub fn fail_transaction(&mut self, to: &TopicPartition, reason: &FailureReason, now: Instant) {
        self.advance(now);
        self.misuse.on_change(self.now);
        if self.transaction_state() == Some(TransactionState::Open) {
            self.require_abort(TransactionCause::batch(to, reason));
        }
    }

    /// Returns the state of transactions; `None` without a `transactional.id`.
    #[must_use]
    pub fn transaction_state(&self) -> Option<TransactionState> {
        self.transactions.as_ref().map(|transactions| transactions.state())
    }

    /// Returns why no batch is accepted, if transactions are the reason.
    pub(super) fn transaction_refusal(&self) -> Option<MachineSendErrorKind> {
        let transactions = self.transactions.as_ref()?;
        match transactions.state() {
            _ if transactions.accepts() => None,
            TransactionState::Open => Some(MachineSendErrorKind::TransactionAborted),
            _ => Some(MachineSendErrorKind::NoTransaction),
        }
    }

    pub(super) fn transaction_event(&mut self, event: TransactionEvent) {
        self.outputs.push_back(Output::Event(Event::Transaction(event)));
        self.dirty = true;
    }

    fn begin_command(&mut self, now: Instant) -> Result<(), InvalidTransactionState> {
        self.advance(now);
        if self.lifecycle == Lifecycle::Closed {
            return Err(InvalidTransactionState { state: self.transaction_state() }); // its last event was reported
        }
        self.dirty = true;
        self.misuse.on_change(self.now);
        Ok(())
    }

    fn transactions(&mut self) -> Result<&mut Transactions, InvalidTransactionState> {
        self.transactions.as_deref_mut().ok_or(InvalidTransactionState { state: None })
    }
}

impl Transactions {
    fn invalid(&self) -> InvalidTransactionState {
        InvalidTransactionState { state: Some(self.state()) }
    }
}

/// Returns the state and the cause, if the state is final.
fn failure(transactions: &Transactions) -> Option<(TransactionState, TransactionCause)> {
    let state = transactions.state();
    state.is_final().then(|| (state, transactions.failure.clone().unwrap_or(TransactionCause::Closed)))
}
