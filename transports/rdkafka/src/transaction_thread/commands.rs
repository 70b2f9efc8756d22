//! The commands of the thread, and their outcomes.

use std::future::poll_fn;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};
use std::{io, thread};

use kafka_batch_core::transaction::{
    AbortError, BeginError, CommitError, InitTransactionsError, SendOffsetsError, TransactionCause,
};
use kafka_batch_transport::waiting::Slot;

use super::{Limits, Transactions};
use crate::offsets::Offsets;
use crate::transaction_calls::{Calls, GiveUpAt};

const STOPPED: TransactionCause = TransactionCause::Stopped;

enum Command {
    Init(Reply<Result<(), InitTransactionsError>>),
    Begin(Reply<Result<(), BeginError>>),
    SendOffsets(Box<Offsets>, Reply<Result<(), SendOffsetsError>>),
    Commit(Reply<Result<(), CommitError>>),
    /// Without a reply if the transaction was dropped.
    Abort(Option<Reply<Result<(), AbortError>>>),
    Flush(Reply<()>),
}

/// Where the outcome of a command goes. If it is dropped because the thread has ended, the outcome is the one it was created with.
struct Reply<T> {
    slot: Arc<Slot<T>>,
    if_dropped: Option<T>,
}

impl<T> Reply<T> {
    fn new(if_dropped: T) -> (Self, Outcome<T>) {
        let slot = Arc::new(Slot::new());
        (Self { slot: Arc::clone(&slot), if_dropped: Some(if_dropped) }, Outcome(slot))
    }

    fn send(mut self, outcome: T) {
        self.if_dropped = Some(outcome);
    }
}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        self.if_dropped.take().into_iter().for_each(|outcome| self.slot.fill(outcome));
    }
}

/// The outcome of a command, once it is known. It can be taken once.
#[derive(Debug)]
pub(crate) struct Outcome<T>(Arc<Slot<T>>);

impl<T> Outcome<T> {
    pub(crate) async fn take(&self) -> T {
        poll_fn(|context| self.0.poll_take(context)).await
    }
}

/// A handle of the thread. When it is dropped, the thread ends what it has begun, at the latest after `delivery.timeout.ms`.
#[derive(Debug)]
pub(crate) struct TransactionThread {
    commands: mpsc::Sender<Command>,
    give_up_at: Arc<GiveUpAt>,
    delivery: Duration,
}

impl TransactionThread {
    /// Starts the thread.
    ///
    /// # Errors
    /// The operating system starts no thread.
    pub(crate) fn start<C>(calls: C, limits: Limits, give_up_at: Arc<GiveUpAt>) -> io::Result<Self>
    where
        C: Calls + Send + 'static,
    {
        let (commands, received) = mpsc::channel();
        let transactions = Transactions::new(calls, limits);
        thread::Builder::new()
            .name("kafka-batch transactions".to_owned())
            .spawn(move || run(transactions, &received))?;
        Ok(Self { commands, give_up_at, delivery: limits.delivery })
    }

    pub(crate) fn init(&self) -> Outcome<Result<(), InitTransactionsError>> {
        self.send(Command::Init, Err(InitTransactionsError::Fatal(STOPPED)))
    }

    pub(crate) fn begin(&self) -> Outcome<Result<(), BeginError>> {
        self.send(Command::Begin, Err(BeginError::Fatal(STOPPED)))
    }

    pub(crate) fn send_offsets(&self, offsets: Offsets) -> Outcome<Result<(), SendOffsetsError>> {
        let command = |reply| Command::SendOffsets(Box::new(offsets), reply);
        self.send(command, Err(SendOffsetsError::Fatal(STOPPED)))
    }

    pub(crate) fn commit(&self) -> Outcome<Result<(), CommitError>> {
        self.send(Command::Commit, Err(CommitError::Unknown(STOPPED)))
    }

    pub(crate) fn abort(&self) -> Outcome<Result<(), AbortError>> {
        self.send(|reply| Command::Abort(Some(reply)), Err(AbortError::Fatal(STOPPED)))
    }

    /// Aborts the transaction that was dropped, or cancels the begin of one.
    pub(crate) fn abort_on_drop(&self) {
        let _ = self.commands.send(Command::Abort(None)); // a thread that has ended has no transaction
    }

    /// Waits until all earlier commands have ended, at the latest after `delivery.timeout.ms`.
    pub(crate) fn close(&self) -> Outcome<()> {
        self.set_limit();
        self.send(Command::Flush, ())
    }

    fn set_limit(&self) {
        self.give_up_at.set(Instant::now() + self.delivery);
    }

    /// Sends a command. If the thread has ended, the reply is dropped with the command.
    fn send<T>(&self, command: impl FnOnce(Reply<T>) -> Command, if_dropped: T) -> Outcome<T> {
        let (reply, outcome) = Reply::new(if_dropped);
        let _ = self.commands.send(command(reply));
        outcome
    }
}

impl Drop for TransactionThread {
    fn drop(&mut self) {
        self.set_limit();
    }
}

fn run<C: Calls>(mut transactions: Transactions<C>, commands: &mpsc::Receiver<Command>) {
    for command in commands {
        match command {
            Command::Init(reply) => reply.send(transactions.init()),
            Command::Begin(reply) => reply.send(transactions.begin()),
            Command::SendOffsets(offsets, reply) => reply.send(transactions.send_offsets(&offsets)),
            Command::Commit(reply) => reply.send(transactions.commit()),
            Command::Abort(reply) => {
                let aborted = transactions.abort();
                reply.into_iter().for_each(|reply| reply.send(aborted.clone()));
            }
            Command::Flush(reply) => reply.send(()),
        }
    }
}
