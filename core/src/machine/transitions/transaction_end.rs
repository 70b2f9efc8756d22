//! The end of transactions: what can only be aborted, committed or aborted, fenced, closed.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::Machine;
use crate::failure::FailureReason;
use crate::machine::entry::{Entry, Origin};
use crate::machine::event::TransactionEvent;
use crate::machine::identity::Identity;
use crate::machine::index::PartitionIndex;
use crate::machine::timers::Timer;
use crate::machine::transactions::final_error::FinalError as _;
use crate::machine::transactions::verdict::{self, Verdict};
use crate::machine::transactions::{EndCommand, NextEpoch, TransactionState, Transactions, Transition};
use crate::protocol::ApiKey;
use crate::transaction::{
    AbortError, BeginError, CommitError, InitTransactionsError, SendOffsetsError, TransactionCause,
};

impl Machine {
    /// Does what the state of the transaction makes possible without a request.
    pub(super) fn drive_transaction(&mut self) {
        let Some(transactions) = self.transactions.as_deref_mut() else { return };
        if let Some((transition, cause)) = transactions.pending_failure.take() {
            self.fail_transactions(transition, cause);
        }
        self.give_up_when_overdue();
        self.give_up_overdue_offsets();
        self.fail_waiting_in_transaction();
        let Some(transactions) = self.transactions.as_deref_mut() else { return };
        if transactions.state() == TransactionState::Committing && transactions.current.abort_cause.is_some() {
            transactions.change(Transition::NotCommitted);
        }
        let is_ending = matches!(transactions.state(), TransactionState::Committing | TransactionState::Aborting);
        if is_ending && !transactions.current.is_known && self.is_transaction_complete() {
            self.transaction_ended(None, false); // no coordinator knows of it
        }
        let Some(transactions) = self.transactions.as_deref_mut() else { return };
        if transactions.begin_requested && transactions.change(Transition::Begin) {
            transactions.begin_requested = false;
            transactions.start();
            self.transaction_event(TransactionEvent::Begun(Ok(())));
        }
    }

    /// Returns `true` if nothing of the transaction is pending any more: it can be ended.
    pub(super) fn is_transaction_complete(&self) -> bool {
        let is_idle =
            |transactions: &Transactions| transactions.offsets.is_empty() && !transactions.query.is_in_flight();
        self.accumulator.oldest().is_none()
            && self.transactions.as_deref().is_none_or(is_idle)
            // A batch that has failed can be in flight still.
            && !self.in_flight_requests.has_produce()
    }

    /// Fails what waits, in a transaction that is aborted: it must not be sent after its end.
    fn fail_waiting_in_transaction(&mut self) {
        let Some(transactions) = self.transactions.as_deref_mut() else { return };
        if !core::mem::take(&mut transactions.current.must_fail_waiting) {
            return;
        }
        let cause = transactions.current.abort_cause.clone().unwrap_or(TransactionCause::Aborted);
        let sees_through = !transactions.state().is_final() && !transactions.is_level_2();
        while let Some(offsets) = self.transactions.as_deref_mut().and_then(|transactions| transactions.offsets.pop()) {
            let result = Err(SendOffsetsError::Aborted(cause.clone()));
            self.transaction_event(TransactionEvent::OffsetsSent { id: offsets.id, result });
        }
        self.fail_waiting_batches(sees_through);
    }

    /// Has what waits failed at the next poll, once the state is final, or the transaction can only be aborted.
    pub(super) fn fail_waiting_unless_committable(&mut self) {
        let Some(transactions) = self.transactions.as_deref_mut() else { return };
        let state = transactions.state();
        let is_aborted = state == TransactionState::Aborting
            || state.has_transaction() && transactions.current.abort_cause.is_some();
        transactions.current.must_fail_waiting |= state.is_final() || is_aborted;
    }

    /// Fails the batches that wait. `sees_through`: except for those of which an attempt was not answered. They are sent again
    /// until the log has them, or `delivery.timeout.ms` is over, before their transaction is aborted. Otherwise that attempt
    /// could arrive in the next transaction, or after the last one: an older epoch does not exclude this, because brokers learn
    /// a bumped epoch only from the next batch under it, and before Kafka 3.6 do not ask the coordinator. With level 2, the
    /// marker of the abort has the next epoch.
    fn fail_waiting_batches(&mut self, sees_through: bool) {
        let reason = || FailureReason::TransactionAborted;
        let active: Vec<PartitionIndex> = self.accumulator.active().collect();
        for index in active {
            self.transition(index, |partition, context| match sees_through {
                true => partition.fail_waiting_and_answered(reason, context),
                false => partition.fail_waiting(reason, context),
            });
            self.finish_transition(index);
        }
    }

    /// Records that a batch has failed: its transaction can only be aborted.
    pub(super) fn on_batch_failed(&mut self, entry: &Entry, reason: &FailureReason) {
        let Some(transactions) = self.transactions.as_deref_mut() else { return };
        transactions.current.has_gap |= entry.payload.identity().is_some();
        if entry.in_flight.is_some() {
            transactions.unanswered();
        }
        let Origin::Whole(to) = &entry.origin else { return };
        let cause = TransactionCause::batch(to, reason);
        let verdict = match reason {
            FailureReason::TransactionAborted => return,
            FailureReason::Broker(error) => verdict::refused_batch(error.code),
            _ => Verdict::Abort,
        };
        match verdict {
            Verdict::Fenced => drop(transactions.pending_failure.get_or_insert((Transition::Fence, cause))),
            Verdict::Fatal => drop(transactions.pending_failure.get_or_insert((Transition::Fail, cause))),
            _ => transactions.require_abort(cause),
        }
        self.dirty = true;
    }

    /// Records that a batch is in the log: the coordinator knows of its transaction.
    pub(super) fn on_batch_delivered(&mut self) {
        if let Some(transactions) = &mut self.transactions {
            transactions.current.is_confirmed = true;
        }
    }

    /// Records that a Produce request was not answered.
    pub(super) fn on_unanswered_produce(&mut self) {
        if let Some(transactions) = &mut self.transactions {
            transactions.unanswered();
        }
    }

    /// Completes a transaction, which was committed unless it can only be aborted. `next`: the identity of the next one, if EndTxn
    /// has returned it. `can_bump`: the coordinator can bump an epoch.
    pub(super) fn transaction_ended(&mut self, next: Option<Identity>, can_bump: bool) {
        let obtained = next.map_or(Ok(()), |next| self.identities.obtain(next));
        let Some(transactions) = self.transactions.as_deref_mut() else { return };
        let next_epoch = transactions.end(can_bump);
        let transition = if next_epoch == NextEpoch::Bump { Transition::EndedBeforeBump } else { Transition::Ended };
        transactions.change(transition);
        let abort_cause = transactions.current.abort_cause.take();
        match transactions.current.command.take() {
            Some(EndCommand::Commit) => {
                let result = abort_cause.map_or(Ok(()), |cause| Err(CommitError::Aborted(cause)));
                self.transaction_event(TransactionEvent::Committed(result));
            }
            Some(EndCommand::Abort) => self.transaction_event(TransactionEvent::Aborted(Ok(()))),
            None => {}
        }
        if obtained.is_err() {
            self.fail_transactions(Transition::Fail, TransactionCause::Incomplete(ApiKey::EndTxn));
        } else if next_epoch == NextEpoch::CannotBump {
            let what = "after a batch has failed, or a request was not answered, the epoch must be bumped (KIP-360, Kafka 2.5)";
            self.fail_transactions(
                Transition::Fail,
                TransactionCause::Unsupported { api: ApiKey::InitProducerId, what },
            );
        }
        self.dirty = true;
    }

    /// Ends transactions: the state becomes final.
    pub(super) fn fail_transactions(&mut self, transition: Transition, cause: TransactionCause) {
        let Some(transactions) = self.transactions.as_deref_mut() else { return };
        let was_initializing = transactions.state() == TransactionState::Initializing;
        if !transactions.change(transition) {
            return;
        }
        let state = transactions.state();
        transactions.failure = Some(cause.clone());
        transactions.deadline = None;
        let current = &mut transactions.current;
        let is_maybe_committed = current.is_maybe_committed || current.is_commit_in_flight;
        let command = current.command.take();
        current.must_fail_waiting = false;
        let begin_requested = core::mem::take(&mut transactions.begin_requested);
        if was_initializing {
            self.transaction_event(TransactionEvent::Initialized(Err(InitTransactionsError::Fatal(cause.clone()))));
        }
        while let Some(offsets) = self.transactions.as_deref_mut().and_then(|transactions| transactions.offsets.pop()) {
            let result = Err(SendOffsetsError::in_state(state, cause.clone()));
            self.transaction_event(TransactionEvent::OffsetsSent { id: offsets.id, result });
        }
        self.fail_waiting_batches(false);
        match command {
            Some(EndCommand::Commit) => {
                let error = match is_maybe_committed {
                    true => CommitError::Unknown(cause.clone()),
                    false => CommitError::in_state(state, cause.clone()),
                };
                self.transaction_event(TransactionEvent::Committed(Err(error)));
            }
            Some(EndCommand::Abort) => {
                let error = AbortError::in_state(state, cause.clone());
                self.transaction_event(TransactionEvent::Aborted(Err(error)));
            }
            None => {}
        }
        if begin_requested {
            self.transaction_event(TransactionEvent::Begun(Err(BeginError::in_state(state, cause))));
        }
        self.timers.clear(Timer::TransactionDeadline);
    }

    /// Gives up initialising, or ending a transaction while the producer is closed, when the time for it is over.
    fn give_up_when_overdue(&mut self) {
        let Some(transactions) = self.transactions.as_deref_mut() else { return };
        if transactions.deadline.is_none_or(|deadline| deadline > self.now) {
            return;
        }
        transactions.deadline = None;
        if !transactions.change(Transition::TimedOut) {
            return self.fail_transactions(Transition::Fail, TransactionCause::Closed);
        }
        let limit = self.config.delivery_timeout;
        let begun = crate::time::Instant::from_start(self.now.since_start().saturating_sub(limit));
        let connection = || self.network.last_error(None, begun).map(|last| last.error.clone().into());
        let cause = transactions.last_error.take().or_else(connection);
        self.transaction_event(TransactionEvent::Initialized(Err(InitTransactionsError::TimedOut { limit, cause })));
    }

    /// Gives up the transaction when its first offsets were not committed within `delivery.timeout.ms`.
    fn give_up_overdue_offsets(&mut self) {
        let Some(transactions) = self.transactions.as_deref_mut() else { return };
        let Some(deadline) = transactions.offsets.first().map(|first| first.deadline) else { return };
        if deadline > self.now {
            return self.set_transaction_timer(deadline);
        }
        let last = transactions.last_error.take().map(Box::new);
        self.require_abort(TransactionCause::OffsetsTimedOut { limit: self.config.delivery_timeout, last });
    }

    /// Aborts an open transaction, because the producer is closed, and begins no other.
    pub(super) fn close_transactions(&mut self) {
        let deadline = self.now + self.config.delivery_timeout;
        let Some(transactions) = self.transactions.as_deref_mut() else { return };
        if transactions.change(Transition::Abort) {
            transactions.current.must_fail_waiting = true;
        }
        let begin_requested = core::mem::take(&mut transactions.begin_requested);
        match transactions.state() {
            TransactionState::Initializing => self.fail_transactions(Transition::Fail, TransactionCause::Closed),
            TransactionState::Committing | TransactionState::Aborting if transactions.deadline.is_none() => {
                transactions.deadline = Some(deadline);
                self.timers.set(Timer::TransactionDeadline, deadline);
            }
            _ => {}
        }
        if begin_requested {
            self.transaction_event(TransactionEvent::Begun(Err(BeginError::Fatal(TransactionCause::Closed))));
        }
    }

    /// Ends transactions at once, because the producer is closed immediately.
    pub(super) fn abandon_transaction(&mut self) {
        if self.transactions.is_some() {
            self.fail_transactions(Transition::Fail, TransactionCause::Closed);
        }
    }

    /// Returns `true` if no transaction is being ended.
    pub(super) fn is_transaction_settled(&self) -> bool {
        self.transactions.as_deref().is_none_or(|transactions| !transactions.state().has_transaction())
    }
}
