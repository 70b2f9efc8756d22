//! What waits for the results of transactions' commands, and their way to the machine.

use std::collections::{BTreeMap, VecDeque};

use kafka_batch_core::TopicPartition;
use kafka_batch_core::machine::{Instant, Machine, OffsetsId, TransactionEvent};
use kafka_batch_core::transaction::{
    AbortError, BeginError, CommitError, GroupMetadata, InitTransactionsError, OffsetAndMetadata, SendOffsetsError,
    TransactionCause,
};

use crate::oneshot::{DropOutcome, Sender};

/// A command of transactions. The sender of each is dropped if the driver ends before its result is known.
#[derive(Debug)]
pub(crate) enum TransactionCommand {
    Init(Sender<Init>),
    Begin(Sender<Begin>),
    SendOffsets(GroupMetadata, Vec<(TopicPartition, OffsetAndMetadata)>, Sender<SendOffsets>),
    Commit(Sender<Commit>),
    /// Without a sender if the transaction was dropped.
    Abort(Option<Sender<Abort>>),
}

/// Defines what a sender owns, with the outcome that is sent if the driver ends before.
macro_rules! senders {
    ($($(#[$doc:meta])* $name:ident: $error:ident::$variant:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub(crate) struct $name;

        impl DropOutcome for $name {
            type Outcome = Result<(), $error>;

            fn drop_outcome(self) -> Self::Outcome {
                Err($error::$variant(TransactionCause::Stopped))
            }
        }
    )+};
}

senders! {
    /// Transactions are initialised.
    Init: InitTransactionsError::Fatal;
    /// A transaction is begun.
    Begin: BeginError::Fatal;
    /// Offsets are in the transaction.
    SendOffsets: SendOffsetsError::Fatal;
    /// The transaction is committed: without an answer of the driver that is not known.
    Commit: CommitError::Unknown;
    /// The transaction is aborted.
    Abort: AbortError::Fatal;
}

/// What waits for the machine's events of transactions. One command of each kind waits at a time, except for offsets and aborts.
#[derive(Debug, Default)]
pub(crate) struct TransactionWaiters {
    init: Option<Sender<Init>>,
    begin: Option<Sender<Begin>>,
    offsets: BTreeMap<OffsetsId, Sender<SendOffsets>>,
    commit: Option<Sender<Commit>>,
    aborts: VecDeque<Option<Sender<Abort>>>,
}

impl TransactionWaiters {
    /// Passes a command to the machine. The machine refuses a command only after it was closed, if a transaction that was
    /// dropped has ended already, or if the program does not keep the order of commands, which only
    /// [`external`](crate::external) allows.
    pub(crate) fn apply(&mut self, command: TransactionCommand, machine: &mut Machine, now: Instant) {
        const CLOSED: TransactionCause = TransactionCause::Closed;
        match command {
            TransactionCommand::Init(sender) => match machine.init_transactions(now) {
                Ok(()) => self.init = Some(sender),
                Err(_) => sender.send(Err(InitTransactionsError::Fatal(CLOSED))),
            },
            TransactionCommand::Begin(sender) => match machine.begin_transaction(now) {
                Ok(()) => self.begin = Some(sender),
                Err(_) => sender.send(Err(BeginError::Fatal(CLOSED))),
            },
            TransactionCommand::SendOffsets(group, offsets, sender) => {
                match machine.send_offsets(group, offsets, now) {
                    Ok(id) => drop(self.offsets.insert(id, sender)),
                    Err(_) => sender.send(Err(SendOffsetsError::Fatal(CLOSED))),
                }
            }
            TransactionCommand::Commit(sender) => match machine.commit_transaction(now) {
                Ok(()) => self.commit = Some(sender),
                Err(_) => sender.send(Err(CommitError::Fatal(CLOSED))),
            },
            TransactionCommand::Abort(sender) => match machine.abort_transaction(now) {
                Ok(()) => self.aborts.push_back(sender),
                Err(_) => send(sender, Err(AbortError::Fatal(CLOSED))),
            },
        }
    }

    /// Passes a result to what waits for it.
    pub(crate) fn complete(&mut self, event: TransactionEvent) {
        match event {
            TransactionEvent::Initialized(result) => send(self.init.take(), result),
            TransactionEvent::Begun(result) => {
                if let Err(error) = &result {
                    log::warn!("{error}");
                }
                send(self.begin.take(), result);
            }
            TransactionEvent::OffsetsSent { id, result } => send(self.offsets.remove(&id), result),
            TransactionEvent::Committed(result) => send(self.commit.take(), result),
            TransactionEvent::Aborted(result) => {
                if let Err(error) = &result {
                    log::warn!("{error}");
                }
                send(self.aborts.pop_front().flatten(), result);
            }
            _ => {}
        }
    }
}

fn send<S: DropOutcome>(sender: Option<Sender<S>>, outcome: S::Outcome) {
    if let Some(sender) = sender {
        sender.send(outcome);
    }
}
