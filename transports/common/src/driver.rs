//! The machine with its surroundings: commands go in, answers go to those who wait, and what is left is what sockets do.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime};
use std::{io, thread};

use bytes::Bytes;
use kafka_batch_core::machine::{
    self as machine, Clock, CloseMode, ConnectionId, Disconnect, Event, Input, Output, ProducerConfig,
};
use kafka_batch_core::protocol::{Acks, ErrorCode};
use kafka_batch_core::{DeliveryError, FailureReason, Fate};

use crate::broker_addresses::BrokerAddresses;
use crate::command_queue::{self, Command, CommandQueue};
use crate::error::Stopped;
use crate::tls_stream::{Security, TlsConnector, is_distrust, is_no_tls};
use crate::topic_error::TopicError;
use crate::waiters::{Entry, Waiters};

/// One producer's machine, and who waits for what of it. Whoever has it turns it, as the [crate] says.
///
/// Dropping it before its [`Step::End`] is what happens when a runtime is shut down: every batch that is on its way then
/// fails with what is known of it, and whoever waits is told.
pub struct Driver {
    machine: machine::Machine,
    queue: Arc<CommandQueue>,
    waiters: Waiters,
    started: Instant,
    setup_timeout: Duration,
    security: Security,
    /// Without acknowledgements it is the end of a batch that it was written.
    reports_writes: bool,
    commands: Vec<Command>,
    addresses: BrokerAddresses,
    ended: bool,
}

/// What a runtime is to do next. Exhaustive on purpose: a new kind has to break each loop at compile time. `Debug` shows no
/// bytes that are to be written, since a password can be among them.
pub enum Step {
    /// Connect, with `TCP_NODELAY`: [`Connections::open`](crate::Connections::open).
    Connect {
        /// The name of the attempt.
        connection: ConnectionId,
        /// Host name or address.
        host: String,
        /// Port.
        port: u16,
        /// When the machine gives the attempt up (`socket.connection.setup.timeout.ms`).
        until: Instant,
        /// How many connections to this host and port in a row have ended before it was known what to speak there: for
        /// [`connect_to_any`](crate::connect_to_any), which begins with another address each time.
        failures: usize,
        /// What it is secured with: [`Connections::open`](crate::Connections::open) sees to that.
        tls: TlsConnector,
    },
    /// Write these segments: [`Connections::transmit`](crate::Connections::transmit).
    Transmit {
        /// On which connection.
        connection: ConnectionId,
        /// One frame.
        bytes: Vec<Bytes>,
    },
    /// Drop the connection: [`Connections::close`](crate::Connections::close).
    Close(ConnectionId),
    /// There is nothing to do until there is a command, news from a connection, or this moment.
    Wait(Option<Instant>),
    /// The producer is closed, and everybody knows: return.
    End,
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect { connection, host, port, until, failures, tls } => f
                .debug_struct("Connect")
                .field("connection", connection)
                .field("host", host)
                .field("port", port)
                .field("until", until)
                .field("failures", failures)
                .field("layer", tls)
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
    pub(crate) fn new(config: ProducerConfig, security: Security, seed: u64, queue: Arc<CommandQueue>) -> Self {
        let config = ProducerConfig { over_tls: security.is_tls(), ..config };
        let clock = Clock { now: machine::Instant::START, wall: SystemTime::now().into() };
        Self {
            started: Instant::now(),
            setup_timeout: config.socket_connection_setup_timeout,
            security,
            reports_writes: config.acks == Acks::None,
            machine: machine::Machine::new(config, clock, seed),
            queue,
            waiters: Waiters::default(),
            commands: Vec::new(),
            addresses: BrokerAddresses::new(),
            ended: false,
        }
    }

    /// What to do next. Call it until it says [`Step::Wait`], and again when what that says has come.
    pub fn next_step(&mut self) -> Step {
        let now = self.now();
        while !self.ended {
            match self.machine.poll_output(now) {
                Output::Event(event) => self.dispatch(event),
                Output::Connect { connection, host, port } => {
                    let failures = self.addresses.connect(connection, &host, port);
                    let until = Instant::now() + self.setup_timeout;
                    let tls = self.security.tls(&host);
                    return Step::Connect { connection, host, port, until, failures, tls };
                }
                Output::Transmit { connection, bytes } => return Step::Transmit { connection, bytes },
                Output::Close(connection) => {
                    self.gone(connection);
                    return Step::Close(connection);
                }
                Output::Wait(deadline) => {
                    // A moment that no clock can show never comes.
                    return Step::Wait(deadline.and_then(|at| self.started.checked_add(at.since_start())));
                }
            }
        }
        Step::End
    }

    /// Takes commands in. Ready when there were any: then ask for the next step.
    pub fn poll_commands(&mut self, context: &Context<'_>) -> Poll<()> {
        let polled = self.queue.poll_commands(&mut self.commands, context);
        self.apply_commands();
        polled
    }

    /// Tells the machine what happened on a connection; of its end, [`lost`](Self::lost) tells more.
    pub fn handle_input(&mut self, input: Input<'_>) {
        let now = self.now();
        self.machine.handle_input(input, now);
    }

    /// So many frames were written on a connection. Says whether that is news.
    pub fn written(&mut self, connection: ConnectionId, frames: usize) -> bool {
        if self.reports_writes {
            (0..frames).for_each(|_| self.handle_input(Input::Written(connection)));
        }
        self.reports_writes
    }

    /// A connection came to its end, or never came about.
    pub fn lost(&mut self, connection: ConnectionId, how: Disconnect, error: Option<&io::Error>) {
        let how = match error {
            Some(error) if is_distrust(error) => Disconnect::Untrusted,
            Some(error) if is_no_tls(error) => Disconnect::NoTls,
            _ => how,
        };
        self.gone(connection);
        let details = error.map(ToString::to_string);
        self.handle_input(Input::Closed(connection, how, details.as_deref()));
    }

    fn gone(&mut self, connection: ConnectionId) {
        if self.addresses.gone(connection) {
            self.queue.set_produce(self.addresses.produce());
        }
    }

    fn now(&self) -> machine::Instant {
        machine::Instant::from_start(self.started.elapsed())
    }

    fn apply_commands(&mut self) {
        let now = self.now();
        for command in self.commands.drain(..) {
            match command {
                Command::Send(mut promise) => {
                    let Some((batch, to)) = promise.take_batch() else { continue };
                    let permits = command_queue::permits(&batch);
                    match self.machine.send(batch, to.clone(), now) {
                        Ok(id) => self.waiters.enter(id, Entry { promise, permits }),
                        Err(error) => {
                            // It was accepted already, so this is how it ends. There was room, so it can only be that
                            // no topic has such a name.
                            self.queue.release(permits);
                            let reason = FailureReason::Transport(Box::new(error.reason));
                            let batch = error.batch.into_batch();
                            promise.keep(Err(DeliveryError::new(to, reason, Fate::NotWritten, batch)));
                        }
                    }
                }
                Command::Flush(promise) => {
                    let id = self.machine.flush(now);
                    self.waiters.enter_flush(id, promise);
                }
                Command::Close(mode, promise) => {
                    self.machine.close(mode, now);
                    promise.into_iter().for_each(|promise| self.waiters.enter_close(promise));
                }
                Command::LookupTopic(topic) => self.machine.lookup_topic(&topic, now),
            }
        }
    }

    /// Tells those whom it concerns.
    fn dispatch(&mut self, event: Event) {
        match event {
            Event::Delivered { batch, delivery } => {
                if let Some(Entry { promise, permits }) = self.waiters.take(batch) {
                    self.queue.release(permits);
                    promise.keep(Ok(delivery));
                }
            }
            Event::Failed { batch, error } => {
                if let Some(Entry { promise, permits }) = self.waiters.take(batch) {
                    self.queue.release(permits);
                    self.forget_topic_if_gone(&error);
                    promise.keep(Err(error));
                }
            }
            Event::Flushed(flush) => self.waiters.flushed(flush),
            Event::Topic { topic, partitions } => {
                let answer = partitions.map_err(TopicError::new);
                let is_of_the_topic = answer.as_ref().err().is_none_or(TopicError::is_of_the_topic);
                self.queue.topics.answer(&topic, &answer, is_of_the_topic);
            }
            Event::Ready { host, port, versions } => {
                log::debug!("{host}:{port} is ready, and takes {}", versions.magic());
                self.addresses.ready(host, port, versions.produce);
                self.queue.set_produce(self.addresses.produce());
            }
            Event::ConnectionErrorKind(kind) => log::warn!("{kind}"),
            Event::ClosedIdle { end, idle } => log::debug!("{end}, after it was idle for {} ms", idle.as_millis()),
            Event::Closed => self.end(true),
            _ => {}
        }
    }

    /// The next batch for such a topic asks anew, and hears it before anything is sent.
    fn forget_topic_if_gone(&self, error: &DeliveryError) {
        if error.reason.code() == Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION) {
            self.queue.topics.forget(&error.to.topic);
        }
    }

    fn end(&mut self, in_order: bool) {
        self.ended = true;
        self.commands.extend(self.queue.end(in_order));
        self.queue.topics.give_up(if in_order { &TopicError::Closed } else { &TopicError::Stopped });
        if in_order {
            // The last commands came too late to change anything.
            for command in self.commands.drain(..) {
                match command {
                    Command::Flush(promise) | Command::Close(_, Some(promise)) => self.waiters.enter_close(promise),
                    Command::Close(_, None) | Command::LookupTopic(_) => {}
                    Command::Send(_) => unreachable!("nothing is accepted once the machine was told to close"),
                }
            }
            self.waiters.closed();
        }
    }

    /// Nobody turns it any more: everything fails now, with what is known of it.
    fn stop(&mut self) {
        self.end(false);
        self.apply_commands();
        self.waiters.stop_waiting();
        let now = self.now();
        self.machine.close(CloseMode::Immediate, now);
        loop {
            match self.machine.poll_output(now) {
                Output::Event(event @ Event::Failed { .. }) => self.settle_stopped(event),
                Output::Event(Event::Closed) | Output::Wait(_) => break,
                Output::Event(event) => self.dispatch(event),
                Output::Connect { .. } | Output::Transmit { .. } | Output::Close(_) => {}
            }
        }
    }

    /// As [`dispatch`](Self::dispatch), where the producer was closed because nobody turns it any more.
    fn settle_stopped(&mut self, mut event: Event) {
        if let Event::Failed { error, .. } = &mut event {
            if let FailureReason::Closed = error.reason {
                error.reason = FailureReason::Transport(Box::new(Stopped));
            }
        }
        self.dispatch(event);
    }

    /// The machine has panicked while it was stopped: returns the batches that it still has.
    fn return_unfinished(&mut self) {
        loop {
            match catch_unwind(AssertUnwindSafe(|| self.machine.take_unfinished())) {
                Ok(Some(event)) => self.settle_stopped(event),
                Ok(None) => return,
                Err(_) => {} // that one is lost, and was taken out
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
            // It may be the machine that panicked, so it may again. Of a batch that is lost with it nothing is known, as the
            // promise says that is dropped with the books.
            if catch_unwind(AssertUnwindSafe(|| self.stop())).is_err() {
                self.return_unfinished();
            }
            self.waiters.stop_waiting();
        } else {
            self.stop();
        }
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("peers", &self.addresses).field("ended", &self.ended).finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod log_capture;
#[cfg(test)]
mod tests;
