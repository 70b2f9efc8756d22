//! A producer whose loop the caller runs, for an event loop that polls no Rust futures, such as that of Python's asyncio. It has
//! its own sockets, TLS and timer; the handle, back-pressure and gathering are those of every transport.
//!
//! ```text
//! loop {
//!     carry out next_step(), until it returns Wait or End
//!     poll the futures of the handle that were woken, and poll_commands(); if either was ready, begin again
//!     return to the event loop, until a command, an event of a connection, or the deadline
//! }
//! ```

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_batch_core::machine::{ConnectionId, Disconnect, Input, Sasl};
use kafka_batch_core::transaction::{
    AbortError, BeginError, CommitError, GroupMetadata, InitTransactionsError, OffsetAndMetadata, SendOffsetsError,
};
use kafka_batch_core::{
    BatchOptions, Destination, EnqueueErrorReason, Record, SealedBatch, SendErrorReason, TopicPartition,
};

use crate::accepted::QueuedBatch;
use crate::builder::{Assembly, assemble};
use crate::clock::RuntimeClock;
use crate::command_queue::{BlockTimer, CommandQueue, EnqueueState};
use crate::completion::PendingRecord;
use crate::driver::{Driver, Step};
use crate::error::ConfigError;
use crate::network_config::{ADDRESS_FAMILY, AddressFamily, RECEIVE_BUFFER, SEND_BUFFER, SocketOptions, USER_TIMEOUT};
use crate::observers::Observation;
use crate::producer::{Pending, Producer};
use crate::semaphore::Permits;
use crate::settings::{self, ProducerConfig, Setting, Settings};
use crate::target::Target;
use crate::tls_stream::Security;
use crate::transactional;

/// The driver of one producer. Dropping it before [`ExternalStep::End`] fails what is in flight, as shutting down a runtime does.
#[derive(Debug)]
pub struct ExternalDriver {
    driver: Driver,
    is_over_tls: bool,
    setup_timeout: Duration,
    address_family: AddressFamily,
    socket_options: SocketOptions,
    transactions: Option<Transactions>,
}

/// The next action of the loop.
pub enum ExternalStep {
    /// Connect, with `TCP_NODELAY`, and with TLS if [`ExternalDriver::is_over_tls`].
    Connect {
        /// Identifies the attempt, and then the connection.
        connection: ConnectionId,
        /// Host name or IP address.
        host: String,
        /// Port.
        port: u16,
        /// The number of consecutive connections to this host and port that ended before the broker's API versions were
        /// known: of a host with several addresses, begin with another one each time.
        failures: usize,
    },
    /// Write these segments.
    Transmit {
        /// The connection to write to.
        connection: ConnectionId,
        /// One frame.
        bytes: Vec<Bytes>,
    },
    /// Drop the connection, or the attempt to connect.
    Close(ConnectionId),
    /// Wait for a command, an event of a connection, or this deadline.
    Wait(Option<Instant>),
    /// The producer is closed, and all futures are complete.
    End,
}

/// Does not show the bytes to write, since they may contain a password.
impl fmt::Debug for ExternalStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect { host, port, .. } => write!(f, "Connect({host}:{port})"),
            Self::Transmit { connection, .. } => write!(f, "Transmit({connection})"),
            Self::Close(connection) => write!(f, "Close({connection})"),
            Self::Wait(deadline) => f.debug_tuple("Wait").field(deadline).finish(),
            Self::End => f.write_str("End"),
        }
    }
}

impl ExternalDriver {
    /// Builds a producer from settings by their Kafka names.
    ///
    /// # Errors
    /// A setting is unknown, out of range or in conflict with another one, or one of TLS, which is up to the caller.
    pub fn new(
        settings: impl IntoIterator<Item = (String, String)>,
        options: BatchOptions,
        split_too_large: bool,
        seed: u64,
    ) -> Result<(Producer, Self), ConfigError> {
        const HOW: &str = "TLS is configured by the event loop's own object: set that, and leave this setting out";
        const NO_TOKENS: &str = "there is no provider of tokens here: write PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512";
        const NO_NETWORK: &str =
            "the event loop makes the connections, which this setting does not concern: leave it out";
        let settings: Settings = settings.into_iter().collect();
        let parsed = settings::parse(&settings, &ProducerConfig::default(), options)?;
        if let Some(Sasl::OAuthBearer(_)) = parsed.machine.sasl {
            return Setting { name: "sasl.mechanism", found: "OAUTHBEARER" }.wrong(NO_TOKENS);
        }
        if let Some((name, found)) = parsed.tls.as_ref().and_then(|tls| tls.settings().first_key_value()) {
            return Setting { name, found }.wrong(HOW);
        }
        settings::refuse(&parsed.network, &[ADDRESS_FAMILY, SEND_BUFFER, RECEIVE_BUFFER, USER_TIMEOUT], NO_NETWORK)?;
        let (address_family, socket_options) = (parsed.network.family, parsed.network.socket);
        let (is_over_tls, setup_timeout) = (parsed.tls.is_some(), parsed.machine.socket_connection_setup_timeout);
        let mut assembly = Assembly::new(parsed, Security::Plaintext, None, seed, RuntimeClock::SYSTEM)?;
        assembly.machine.over_tls = is_over_tls;
        let is_transactional = assembly.machine.is_transactional();
        assembly.machine.split_too_large = split_too_large;
        let (producer, driver) = assemble(assembly);
        let transactions = is_transactional.then(|| Transactions { queue: Arc::clone(&producer.inner.queue) });
        Ok((producer, Self { driver, is_over_tls, setup_timeout, address_family, socket_options, transactions }))
    }

    /// Returns whether `security.protocol` asks for TLS.
    #[must_use]
    pub const fn is_over_tls(&self) -> bool {
        self.is_over_tls
    }

    /// Returns `socket.connection.setup.timeout.ms`. The machine abandons attempts after it.
    #[must_use]
    pub const fn setup_timeout(&self) -> Duration {
        self.setup_timeout
    }

    /// Returns which addresses of a host are to be tried (`broker.address.family`).
    #[must_use]
    pub const fn address_family(&self) -> AddressFamily {
        self.address_family
    }

    /// Returns the options of sockets.
    #[must_use]
    pub const fn socket_options(&self) -> SocketOptions {
        self.socket_options
    }

    /// Returns the transactions of the producer, if it has a `transactional.id`. Outside of a transaction it sends nothing.
    #[must_use]
    pub const fn transactions(&self) -> Option<&Transactions> {
        self.transactions.as_ref()
    }

    /// Returns the next step.
    pub fn next_step(&mut self) -> ExternalStep {
        match self.driver.next_step() {
            Step::Connect { connection, target: Target { host, port, failures, .. }, .. } => {
                ExternalStep::Connect { connection, host, port, failures }
            }
            Step::Transmit { connection, bytes } => ExternalStep::Transmit { connection, bytes },
            Step::Close(connection) => ExternalStep::Close(connection),
            Step::Wait(deadline) => ExternalStep::Wait(deadline),
            Step::End => ExternalStep::End,
        }
    }

    /// Passes queued commands to the machine. Ready if [`next_step`](Self::next_step) has to be called again. If it is pending
    /// and has woken the context, call it again after other tasks have run.
    pub fn poll_commands(&mut self, context: &Context<'_>) -> Poll<()> {
        self.driver.poll_commands(context)
    }

    /// Passes an event of a connection to the machine, other than its end.
    pub fn handle_input(&mut self, input: Input<'_>) {
        self.driver.handle_input(input);
    }

    /// Records that `frames` frames were sent on a connection. Returns whether the machine has to be polled.
    pub fn transmitted(&mut self, connection: ConnectionId, frames: usize) -> bool {
        self.driver.transmitted(connection, frames)
    }

    /// Records the end of a connection, or of a failed attempt to connect.
    pub fn disconnected(&mut self, connection: ConnectionId, how: Disconnect, error: Option<io::Error>) {
        self.driver.disconnected(connection, how, error);
    }
}

/// The transactions of a producer, for a language without borrows: nothing here keeps the caller from beginning a second
/// transaction beside the first, or from sending after the end, which fails then.
///
/// Each call is a command at once, in the order of the calls, and its future the result. The futures can be dropped: what was begun
/// goes on, but for [`begin`](Self::begin).
#[derive(Clone)]
pub struct Transactions {
    queue: Arc<CommandQueue>,
}

impl fmt::Debug for Transactions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transactions").finish_non_exhaustive()
    }
}

impl Transactions {
    /// Gets a producer id, which fences a former producer with the same `transactional.id`, and ends what that has left open.
    ///
    /// # Errors
    /// The coordinator has not assigned one.
    pub fn init(&self) -> impl Future<Output = Result<(), InitTransactionsError>> + Send + use<> {
        let receiver = self.queue.init_transactions();
        poll_fn(move |context| receiver.poll_take(context))
    }

    /// Begins a transaction, once the last one has ended. Dropping the future begins nothing.
    ///
    /// # Errors
    /// The producer cannot go on.
    pub fn begin(&self) -> impl Future<Output = Result<(), BeginError>> + Send + use<> {
        transactional::begin(Arc::clone(&self.queue))
    }

    /// Commits offsets of a group in the transaction: see [`Transaction::send_offsets`](crate::Transaction::send_offsets).
    ///
    /// # Errors
    /// The transaction will not be committed.
    pub fn send_offsets(
        &self,
        group: GroupMetadata,
        offsets: Vec<(TopicPartition, OffsetAndMetadata)>,
    ) -> impl Future<Output = Result<(), SendOffsetsError>> + Send + use<> {
        let receiver = self.queue.send_offsets(group, offsets);
        poll_fn(move |context| receiver.poll_take(context))
    }

    /// Commits the transaction: see [`Transaction::commit`](crate::Transaction::commit).
    ///
    /// # Errors
    /// The variants of [`CommitError`] say what to do next.
    pub fn commit(&self) -> impl Future<Output = Result<(), CommitError>> + Send + use<> {
        let receiver = self.queue.commit();
        poll_fn(move |context| receiver.poll_take(context))
    }

    /// Aborts the transaction: see [`Transaction::abort`](crate::Transaction::abort).
    ///
    /// # Errors
    /// The abort is not confirmed, or another producer has taken over. The transaction is not committed in any case.
    pub fn abort(&self) -> impl Future<Output = Result<(), AbortError>> + Send + use<> {
        let receiver = self.queue.abort();
        poll_fn(move |context| receiver.poll_take(context))
    }
}

/// Sends a sealed batch, to a partition that the producer chooses if there is none. `take` returns the batch at the moment of its
/// acceptance, which has these permits, so the caller keeps it if the future fails or is dropped before.
///
/// # Errors
/// The batch was not accepted, and was not taken.
pub async fn send_sealed(
    producer: Producer,
    topic: String,
    partition: Option<i32>,
    needed: Permits,
    take: impl FnOnce() -> Option<SealedBatch> + Send,
) -> Result<Pending, SendErrorReason> {
    let inner = &*producer.inner;
    if let Some(reason) = inner.queue.refusal() {
        return Err(reason);
    }
    if needed.bytes > inner.buffer_memory {
        return Err(SendErrorReason::ExceedsBufferMemory { size: needed.bytes, limit: inner.buffer_memory });
    }
    let mut timer = BlockTimer::new(&inner.queue);
    let partition = match partition {
        Some(partition) => partition,
        None => inner.pick_partition(&topic, &mut timer).await?,
    };
    let to = TopicPartition::new(topic, partition);
    inner.check_partition_within(&to, &mut timer).await?;
    let take = || take().map(|batch| QueuedBatch::new(batch, to.clone(), Observation::default()));
    let receiver = inner.queue.enqueue_batch_from(needed, &mut timer, take).await?.ok_or(SendErrorReason::Closed)?;
    inner.queue.topics.on_batch_accepted(&to.topic, to.partition);
    Ok(Pending { receiver })
}

/// Accepts a record without waiting, or returns `None`: then [`Producer::enqueue`] waits for what is missing. `waker` is called
/// once the outcome is known, if the record is accepted.
///
/// # Errors
/// As [`Producer::enqueue`].
pub fn try_send(
    producer: &Producer,
    to: Destination<'_>,
    record: &Record<'_>,
    waker: Waker,
) -> Result<Option<PendingRecord>, EnqueueErrorReason> {
    producer.inner.try_enqueue(to, record, &mut EnqueueState::default(), Some(waker)).map(Result::ok)
}

/// Returns the names of all settings.
pub fn setting_names() -> impl Iterator<Item = &'static str> {
    settings::table::names()
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use kafka_batch_core::{KafkaBatch, Record};

    use super::*;

    fn new(settings: &[(&str, &str)]) -> Result<(Producer, ExternalDriver), ConfigError> {
        let settings = settings.iter().map(|(name, value)| (String::from(*name), String::from(*value)));
        ExternalDriver::new(settings, BatchOptions::default(), false, 1)
    }

    #[test]
    fn tls_is_up_to_the_event_loop() {
        let brokers = ("bootstrap.servers", "broker:1");
        assert!(!new(&[brokers]).unwrap().1.is_over_tls());
        assert!(new(&[brokers, ("security.protocol", "ssl")]).unwrap().1.is_over_tls());
        let error = new(&[brokers, ("security.protocol", "ssl"), ("ssl.key.pem", "secret")]).unwrap_err().to_string();
        assert!(error.contains("ssl.key.pem") && error.contains("event loop") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn the_event_loop_applies_some_settings_of_connecting_and_the_others_are_refused() {
        let brokers = ("bootstrap.servers", "broker:1");
        let set =
            [brokers, ("broker.address.family", "v6"), ("send.buffer.bytes", "5000"), ("receive.buffer.bytes", "-1")];
        let (_producer, driver) = new(&set).unwrap();
        assert_eq!((driver.address_family(), driver.socket_options().send_buffer), (AddressFamily::V6, Some(5_000)));
        assert_eq!(driver.socket_options().receive_buffer, None);
        let canonical = "resolve_canonical_bootstrap_servers_only";
        for (name, value) in
            [("client.dns.lookup", canonical), ("connection.attempt.delay.ms", "100"), ("socks5.proxy", "proxy:1080")]
        {
            let error = new(&[brokers, (name, value)]).unwrap_err().to_string();
            assert!(error.starts_with(name) && error.contains("event loop"), "{error}");
        }
    }

    #[test]
    fn transactions_take_a_name() {
        let brokers = ("bootstrap.servers", "broker:1");
        assert!(new(&[brokers]).unwrap().1.transactions().is_none());
        let (_producer, mut driver) = new(&[brokers, ("transactional.id", "name")]).unwrap();
        let transactions = driver.transactions().expect("there is a name").clone();
        let mut context = Context::from_waker(Waker::noop());
        let mut initialized = pin!(transactions.init());
        assert!(initialized.as_mut().poll(&mut context).is_pending());
        assert!(driver.poll_commands(&context).is_ready());
        assert!(matches!(driver.next_step(), ExternalStep::Connect { .. }), "a coordinator is looked for");
        drop(driver);
        assert!(matches!(initialized.poll(&mut context), Poll::Ready(Err(InitTransactionsError::Fatal(_)))));
    }

    #[test]
    fn a_batch_that_is_not_accepted_stays_with_the_caller() {
        let (producer, mut driver) = new(&[("bootstrap.servers", "broker:1")]).unwrap();
        let mut batch = KafkaBatch::new(0);
        batch.extend([Record::new("x")]).unwrap();
        let sealed = batch.seal().unwrap();
        let needed = Permits { records: 1, bytes: sealed.size() };
        let mut held = Some(sealed);
        let mut context = Context::from_waker(Waker::noop());
        {
            let sending = send_sealed(producer.clone(), "t".into(), None, needed, || held.take());
            assert!(pin!(sending).poll(&mut context).is_pending(), "the topic is looked up");
        }
        assert!(driver.poll_commands(&context).is_ready());
        assert!(matches!(driver.next_step(), ExternalStep::Connect { ref host, port: 1, .. } if host == "broker"));
        let excessive = Permits { bytes: usize::MAX, ..needed };
        let sending = send_sealed(producer, "t".into(), None, excessive, || held.take());
        let Poll::Ready(Err(refused)) = pin!(sending).poll(&mut context) else { panic!("it is not refused") };
        assert!(matches!(refused, SendErrorReason::ExceedsBufferMemory { .. }), "{refused}");
        assert!(held.is_some());
    }
}
