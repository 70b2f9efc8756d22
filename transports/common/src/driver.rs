//! The driver: passes commands to the machine and outcomes to futures, and returns what is left to do on sockets.

mod batches;
mod notices;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;
use std::{io, mem, thread};

use bytes::Bytes;
use kafka_batch_core::error::TransportError;
use kafka_batch_core::machine::{
    self as machine, Change, Clock, CloseMode, ConnectionId, Disconnect, Event, Input, MachineConfig, Output,
    SendReason, Stats,
};
use kafka_batch_core::protocol::{Acks, BrokerError, ErrorCode};
use kafka_batch_core::{DeliveryError, FailureReason};

use crate::broker_addresses::BrokerAddresses;
use crate::command_queue::{self, Command, CommandQueue};
use crate::target::Target;
use crate::tls_stream::{Security, TlsConnector, is_distrust, is_no_tls};
use crate::token::{TokenFuture, TokenProvider};
use crate::topic_error::TopicError;
use crate::transaction_waiters::TransactionWaiters;
use crate::waiters::{UnfinishedBatch, Waiter, Waiters};

/// Drives the machine of one producer: passes commands to it, and its events to the futures that wait for them.
/// [`task`](crate::driver_loop::task) runs it.
///
/// A runtime that is shut down drops it before its [`Step::End`]. Then every batch in flight fails, with its fate as far as
/// it is known, and all waiting futures complete.
pub(crate) struct Driver {
    machine: machine::Machine,
    queue: Arc<CommandQueue>,
    waiters: Waiters,
    transactions: TransactionWaiters,
    started: Instant,
    security: Security,
    /// Set if acknowledgements are off (`acks=0`), when a batch is complete once it was sent.
    reports_writes: bool,
    commands: Vec<Command>,
    /// When a batch of messages is due next.
    queue_deadline: Option<Instant>,
    addresses: BrokerAddresses,
    /// The rack whose leaders' partitions are preferred.
    rack: Option<String>,
    token_provider: Option<TokenProvider>,
    /// The token of OAUTHBEARER that the provider was asked for.
    token: Option<TokenFuture>,
    /// The changes that the machine has reported since [`report_changes`](Self::report_changes). Empty without observers.
    changes: Vec<Change>,
    ended: bool,
}

/// The next action of a runtime's loop. Exhaustive on purpose: a new variant must break each loop at compile time. `Debug`
/// does not show the bytes to write, since they may contain a password.
pub(crate) enum Step {
    /// Connect, with `TCP_NODELAY`: [`Connections::open`](crate::connections::Connections::open).
    Connect {
        /// Identifies the attempt, and then the connection.
        connection: ConnectionId,
        /// The broker. The machine abandons the attempt after `socket.connection.setup.timeout.ms`.
        target: Target,
        /// Secures the connection; for [`Connections::open`](crate::connections::Connections::open).
        tls: TlsConnector,
    },
    /// Write these segments: [`Connections::transmit`](crate::connections::Connections::transmit).
    Transmit {
        /// The connection to write to.
        connection: ConnectionId,
        /// One frame.
        bytes: Vec<Bytes>,
    },
    /// Drop the connection: [`Connections::close`](crate::connections::Connections::close).
    Close(ConnectionId),
    /// Wait for a command, an event of a connection, or this deadline, whichever is first.
    Wait(Option<Instant>),
    /// The producer is closed, and all futures are complete: return.
    End,
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect { connection, target, tls } => f
                .debug_struct("Connect")
                .field("connection", connection)
                .field("target", target)
                .field("tls", tls)
                .finish(),
            Self::Transmit { connection, bytes } => {
                let size: usize = bytes.iter().map(Bytes::len).sum();
                let mut shown = f.debug_struct("Transmit");
                shown.field("connection", connection).field("bytes", &format_args!("{size} bytes")).finish()
            }
            Self::Close(connection) => f.debug_tuple("Close").field(connection).finish(),
            Self::Wait(until) => f.debug_tuple("Wait").field(until).finish(),
            Self::End => f.write_str("End"),
        }
    }
}

impl Driver {
    pub(crate) fn new(mut config: MachineConfig, security: Security, seed: u64, queue: Arc<CommandQueue>) -> Self {
        config.over_tls |= security.is_tls();
        let clock = Clock { now: machine::Instant::START, wall: queue.clock.system_time().into() };
        Self {
            started: queue.clock.now(),
            security,
            reports_writes: config.acks == Acks::None,
            machine: machine::Machine::new(config, clock, seed),
            queue,
            waiters: Waiters::default(),
            transactions: TransactionWaiters::default(),
            commands: Vec::new(),
            queue_deadline: None,
            addresses: BrokerAddresses::new(),
            rack: None,
            token_provider: None,
            token: None,
            changes: Vec::new(),
            ended: false,
        }
    }

    /// Sets what gets the tokens of OAUTHBEARER.
    pub(crate) fn token_provider(mut self, provider: Option<TokenProvider>) -> Self {
        self.token_provider = provider;
        self
    }

    /// Sets the rack whose leaders' partitions are preferred for batches without a partition (KIP-1123).
    pub(crate) fn rack(mut self, rack: Option<String>) -> Self {
        self.rack = rack;
        self
    }

    /// Returns the next step. Call it until it returns [`Step::Wait`], and again after one of the events that it waits for.
    pub(crate) fn next_step(&mut self) -> Step {
        let now = self.now();
        while !self.ended {
            match self.machine.poll_output(now) {
                Output::Event(event) => self.dispatch(event),
                Output::Connect { connection, host, port } => {
                    let failures = self.addresses.connect(connection, &host, port);
                    let tls = self.security.connector(&host);
                    let is_bootstrap = self.machine.is_bootstrap(connection);
                    return Step::Connect { connection, target: Target { host, port, failures, is_bootstrap }, tls };
                }
                Output::Transmit { connection, bytes } => return Step::Transmit { connection, bytes },
                Output::Close(connection) => {
                    self.remove_address(connection);
                    return Step::Close(connection);
                }
                Output::Wait(deadline) => {
                    self.report_changes();
                    // In debug builds only.
                    while let Some(misuse) = self.machine.take_misuse() {
                        log::warn!("the producer's task runs late: {misuse}");
                    }
                    // A deadline that `Instant` cannot represent is never reached.
                    let deadline = deadline.and_then(|at| self.started.checked_add(at.since_start()));
                    return Step::Wait(deadline.into_iter().chain(self.queue_deadline).min());
                }
            }
        }
        Step::End
    }

    /// Passes queued commands to the machine, and the token that it has asked for. Ready if there was any: then call
    /// [`next_step`](Self::next_step).
    pub(crate) fn poll_commands(&mut self, context: &Context<'_>) -> Poll<()> {
        let polled = self.queue.poll_commands(&mut self.commands, &mut self.queue_deadline, context);
        self.apply_commands();
        if self.poll_token(context).is_ready() { Poll::Ready(()) } else { polled }
    }

    fn poll_token(&mut self, context: &Context<'_>) -> Poll<()> {
        let Some(future) = &mut self.token else { return Poll::Pending };
        let Poll::Ready(token) = future.as_mut().poll(&mut Context::from_waker(context.waker())) else {
            return Poll::Pending;
        };
        self.token = None;
        let now = self.now();
        self.machine.set_token(token, now);
        Poll::Ready(())
    }

    /// Passes an event of a connection to the machine. For the end of a connection, use [`disconnected`](Self::disconnected), which
    /// classifies its error.
    pub(crate) fn handle_input(&mut self, input: Input<'_>) {
        let now = self.now();
        self.machine.handle_input(input, now);
    }

    /// Records that `frames` frames were sent on a connection. Returns whether the machine has to be polled.
    pub(crate) fn transmitted(&mut self, connection: ConnectionId, frames: usize) -> bool {
        if self.reports_writes {
            (0..frames).for_each(|_| self.handle_input(Input::Transmitted(connection)));
        }
        self.reports_writes
    }

    /// Records the end of a connection, or of a failed attempt to connect.
    pub(crate) fn disconnected(&mut self, connection: ConnectionId, how: Disconnect, error: Option<io::Error>) {
        let how = match &error {
            Some(error) if is_distrust(error) => Disconnect::Untrusted,
            Some(error) if is_no_tls(error) => Disconnect::NoTls,
            _ => how,
        };
        self.remove_address(connection);
        let error = error.map(TransportError::new);
        self.handle_input(Input::Closed(connection, how, error.as_ref()));
    }

    fn remove_address(&mut self, connection: ConnectionId) {
        if self.addresses.remove(connection) {
            self.queue.set_produce_version(self.addresses.produce_version());
        }
    }

    fn now(&self) -> machine::Instant {
        self.instant(self.queue.clock.now())
    }

    /// Returns this time on the machine's clock.
    fn instant(&self, at: Instant) -> machine::Instant {
        machine::Instant::from_start(at.saturating_duration_since(self.started))
    }

    fn stats(&self) -> Stats {
        let mut stats = self.machine.stats(self.now());
        self.queue.add_to_stats(&mut stats.buffer);
        stats
    }

    fn apply_commands(&mut self) {
        let now = self.now();
        let mut commands = mem::take(&mut self.commands);
        for command in commands.drain(..) {
            match command {
                Command::Send(sender) => {
                    let (sender, Some((batch, to, observation))) = sender.take_batch() else { continue };
                    let (waiter, permits) = (Waiter::Batch(sender), command_queue::permits(&batch));
                    let unfinished = UnfinishedBatch { waiter, permits, observation };
                    self.send(batch, to, (SendReason::Explicit, now), unfinished, now);
                }
                Command::SendFromChannel(queued) => {
                    let Some((batch, to, taken, observation)) = queued.take() else { continue };
                    let (waiter, permits) = (Waiter::Channel(taken), command_queue::permits(&batch));
                    let unfinished = UnfinishedBatch { waiter, permits, observation };
                    self.send(batch, to, (SendReason::Explicit, now), unfinished, now);
                }
                Command::SendMessages(gathered) => self.send_messages(gathered, now),
                Command::Flush(sender) => {
                    let id = self.machine.flush(now);
                    self.waiters.insert_flush(id, sender);
                }
                Command::Close(mode, sender) => {
                    self.machine.close(mode, now);
                    sender.into_iter().for_each(|sender| self.waiters.insert_close(sender));
                }
                Command::LookupTopic(topic) => self.machine.lookup_topic(&topic, now),
                Command::Transaction(command) => self.transactions.apply(command, &mut self.machine, now),
                Command::Stats(sender) => sender.send(Ok(Box::new(self.stats()))),
            }
        }
        self.commands = commands; // for its memory
    }

    /// Passes an event of the machine to the futures that wait for it.
    fn dispatch(&mut self, event: Event) {
        match event {
            Event::Delivered { id, delivery } => {
                if let Some(unfinished) = self.waiters.take(id) {
                    let delivery = delivery.with_buffer_pool(self.queue.buffers());
                    self.complete(unfinished, Ok(delivery));
                }
            }
            Event::Failed { id, error } => {
                if let Some(unfinished) = self.waiters.take(id) {
                    self.forget_topic_if_gone(&error);
                    self.complete(unfinished, Err(error));
                }
            }
            Event::Flushed(flush) => self.waiters.flushed(flush),
            Event::Topic { topic, partitions } => {
                let result = partitions.map_err(TopicError::Lookup);
                let concerns_topic = result.as_ref().err().is_none_or(TopicError::concerns_topic);
                if let Some(rack) = self.rack.as_deref().filter(|_| result.is_ok()) {
                    self.queue.topics.prefer(&topic, self.machine.partitions_led_in_rack(&topic, rack));
                }
                self.queue.topics.complete_lookup(&topic, &result, concerns_topic);
            }
            Event::Ready { host, port, versions } => {
                log::debug!("{host}:{port} is ready, and accepts {}", versions.magic());
                self.addresses.ready(host, port, versions.produce);
                self.queue.set_produce_version(self.addresses.produce_version());
            }
            Event::TokenRequired => self.token = self.token_provider.as_ref().map(TokenProvider::token),
            Event::Reauthenticated { host, port } => log::debug!("{host}:{port} has authenticated this client again"),
            Event::ConnectionError(error) if error.kind.is_authentication() => log::warn!("{error}"),
            Event::ConnectionError(error) => log::warn!("{error}; the producer retries"),
            Event::ClosedIdle { error, idle } => log::debug!("{error}, after it was idle for {} ms", idle.as_millis()),
            Event::Transaction(event) => self.transactions.complete(event),
            Event::Notice(notice) => self.on_notice(notice),
            Event::TelemetryRefused(error) => log::warn!("no telemetry is pushed any more: {error}"),
            Event::Closed => self.end(true),
            _ => {}
        }
    }

    /// Forgets a topic that no longer exists, so that the next batch for it looks it up, and fails before it is sent.
    fn forget_topic_if_gone(&self, error: &DeliveryError) {
        let is_unknown = |error: &BrokerError| error.code == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
        let is_gone = match &error.reason {
            FailureReason::UnknownPartition { .. } => true,
            reason => reason.broker_error().is_some_and(is_unknown),
        };
        if is_gone {
            self.queue.topics.forget(&error.to.topic);
        }
    }

    fn end(&mut self, was_closed: bool) {
        self.ended = true;
        if !thread::panicking() {
            self.queue.set_last_stats(self.stats());
        }
        self.commands.extend(self.queue.end(was_closed));
        self.queue.topics.fail_lookups(if was_closed { &TopicError::Closed } else { &TopicError::Stopped });
        if was_closed {
            // Commands that were queued after the machine was closed have no effect, but their futures must complete.
            let (now, stats) = (self.now(), Box::new(self.stats()));
            for command in self.commands.drain(..) {
                match command {
                    Command::Flush(sender) | Command::Close(_, Some(sender)) => self.waiters.insert_close(sender),
                    Command::Close(_, None) | Command::LookupTopic(_) => {}
                    Command::Stats(sender) => sender.send(Ok(stats.clone())),
                    // The machine refuses it.
                    Command::Transaction(command) => self.transactions.apply(command, &mut self.machine, now),
                    Command::Send(_) | Command::SendFromChannel(_) | Command::SendMessages(_) => {
                        unreachable!("a batch was accepted after the machine was closed")
                    }
                }
            }
            self.waiters.closed();
        }
    }

    /// Stops early, because the task has ended: every batch fails now, with its fate as far as it is known.
    fn stop(&mut self) {
        self.end(false);
        self.apply_commands();
        self.waiters.fail_flushes();
        let now = self.now();
        self.machine.close(CloseMode::Immediate, now);
        loop {
            match self.machine.poll_output(now) {
                Output::Event(event @ Event::Failed { .. }) => self.dispatch_stopped(event),
                Output::Event(Event::Closed) | Output::Wait(_) => break,
                Output::Event(Event::TokenRequired) => {} // nothing will connect: the application is not asked
                Output::Event(event) => self.dispatch(event),
                Output::Connect { .. } | Output::Transmit { .. } | Output::Close(_) => {}
            }
        }
        self.queue.set_last_stats(self.stats()); // with the batches that have failed now
    }

    /// As [`dispatch`](Self::dispatch), but with the reason `Stopped` in place of `Closed`, since the application has not
    /// closed the producer.
    fn dispatch_stopped(&mut self, mut event: Event) {
        if let Event::Failed { error, .. } = &mut event {
            if let FailureReason::Closed = error.reason {
                error.reason = FailureReason::Stopped;
            }
        }
        self.dispatch(event);
    }

    /// Fails the batches that the machine still has, after it has panicked while it was being stopped.
    fn return_unfinished(&mut self) {
        loop {
            match catch_unwind(AssertUnwindSafe(|| self.machine.take_unfinished())) {
                Ok(Some(event)) => self.dispatch_stopped(event),
                Ok(None) => return,
                Err(_) => {} // this batch is lost; it was taken out, so the loop ends
            }
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        if thread::panicking() {
            // The panic may come from the machine, so it may panic again. The fate of a batch that is lost with it is
            // unknown: its sender reports that when it is dropped with `waiters`.
            if catch_unwind(AssertUnwindSafe(|| self.stop())).is_err() {
                self.return_unfinished();
            }
            self.waiters.fail_flushes();
        } else {
            self.stop();
        }
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("addresses", &self.addresses).field("ended", &self.ended).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
