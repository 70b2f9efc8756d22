//! Commands of transactions.

use kafka_batch_core::TopicPartition;
use kafka_batch_core::machine::SendReason;
use kafka_batch_core::transaction::{
    AbortError, BeginError, CommitError, GroupMetadata, InitTransactionsError, OffsetAndMetadata, SendOffsetsError,
    TransactionCause,
};

use super::{Command, CommandQueue, QueueState, unlock_and_wake};
use crate::oneshot::{DropOutcome, Receiver, Sender};
use crate::sync::lock;
use crate::transaction_waiters::{Abort, Begin, Commit, Init, SendOffsets, TransactionCommand};

impl CommandQueue {
    /// Initialises transactions.
    pub(crate) fn init_transactions(&self) -> Receiver<Result<(), InitTransactionsError>> {
        self.push_command(Init, TransactionCommand::Init, InitTransactionsError::Fatal)
    }

    /// Begins a transaction.
    pub(crate) fn begin(&self) -> Receiver<Result<(), BeginError>> {
        self.push_command(Begin, TransactionCommand::Begin, BeginError::Fatal)
    }

    /// Commits offsets of a group in the transaction.
    pub(crate) fn send_offsets(
        &self,
        group: GroupMetadata,
        offsets: Vec<(TopicPartition, OffsetAndMetadata)>,
    ) -> Receiver<Result<(), SendOffsetsError>> {
        let command = |sender| TransactionCommand::SendOffsets(group, offsets, sender);
        self.push_command(SendOffsets, command, SendOffsetsError::Fatal)
    }

    /// Commits the transaction, with the messages that are gathered.
    pub(crate) fn commit(&self) -> Receiver<Result<(), CommitError>> {
        self.push_command(Commit, TransactionCommand::Commit, CommitError::Fatal)
    }

    /// Aborts the transaction, with the messages that are gathered.
    pub(crate) fn abort(&self) -> Receiver<Result<(), AbortError>> {
        self.push_command(Abort, |sender| TransactionCommand::Abort(Some(sender)), AbortError::Fatal)
    }

    /// Aborts the transaction that was dropped, or cancels the begin of one.
    pub(crate) fn abort_on_drop(&self) {
        let mut state = lock(&self.state);
        if !state.has_ended() {
            self.push_all_messages(&mut state, SendReason::Flush);
            state.commands.push(Command::Transaction(TransactionCommand::Abort(None)));
            unlock_and_wake(state);
        }
    }

    /// Pushes a command, after the messages that were accepted before: they belong to the transaction that is open now.
    fn push_command<S, E>(
        &self,
        subject: S,
        command: impl FnOnce(Sender<S>) -> TransactionCommand,
        failed: impl FnOnce(TransactionCause) -> E,
    ) -> Receiver<Result<(), E>>
    where
        S: DropOutcome<Outcome = Result<(), E>>,
    {
        let (sender, receiver) = Sender::new(subject);
        let mut state = lock(&self.state);
        match state.queue_state {
            QueueState::Open | QueueState::Closing => {
                self.push_all_messages(&mut state, SendReason::Flush);
                state.commands.push(Command::Transaction(command(sender)));
                unlock_and_wake(state);
            }
            QueueState::Closed | QueueState::Stopped => {
                let is_closed = state.queue_state == QueueState::Closed;
                drop(state);
                let cause = if is_closed { TransactionCause::Closed } else { TransactionCause::Stopped };
                sender.send(Err(failed(cause)));
            }
        }
        receiver
    }
}
