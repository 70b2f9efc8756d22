//! A Kafka producer as a sans-IO state machine: it has no socket, no clock and no thread, and draws random numbers from
//! a seed only. A driver owns sockets and clock and calls the machine; it needs no knowledge of Kafka.
//!
//! There are two entry points. [`Machine::handle_input`] takes what happened, [`Machine::poll_output`] returns what to
//! do next, and neither can fail: failures are events. Commands ([`send`](Machine::send), [`flush`](Machine::flush),
//! [`close`](Machine::close), [`lookup_topic`](Machine::lookup_topic)) only queue, at any time and in any number. Requests
//! are formed when output is polled, so ten batches that were sent before a poll make one request per broker.
//!
//! # How to drive it
//! ```text
//! loop {
//!     let deadline = loop {                                  // drain the outputs
//!         match machine.poll_output(now()) {
//!             Output::Connect { connection, host, port } => start to connect,
//!             Output::Transmit { connection, bytes }     => write the segments, in order,
//!             Output::Close(connection)                  => drop the connection,
//!             Output::Event(event)                       => pass it to the application,
//!             Output::Wait(deadline)                     => break deadline,
//!         }
//!     };
//!     debug_assert_eq!(machine.take_misuse(), None)          // optional: mistakes of this driver, in words
//!     wait for the first of: a command, while machine.has_room(); input from a connection; the deadline
//!     call machine.send(…) or machine.handle_input(…); after the deadline, poll again
//! }
//! ```
//! [`Output::Wait`] is the last output of each drain, because a driver must not sleep while there is something to do.
//! Connection ids are never reused, so late input from a connection that was dropped is ignored.
//!
//! [Embedding](https://docs.rs/kafka-batch/latest/kafka_batch/embedding/) describes each output and input, clocks and seeds,
//! and has a checklist. `docs/blocking_driver.rs` is this loop over `std::net`, with threads.
//!
//! # The states of a connection
//! ```text
//!              Connected              answered               (SASL, if configured)
//! Connecting ────────────▶ ApiVersions ────────▶ Mechanism ──▶ Authenticate ──▶ Ready
//!     │                     │  │    ▲                                             │
//!     │                     │  └────┘ UNSUPPORTED_VERSION: in an older version    │ requests, at most
//!     │                     │ closed, or no response: next time the fallback      │ max.in.flight…
//!     ▼                     ▼                                                     ▼
//!   closed ◀── refused, reset, malformed, no response within request.timeout.ms, idle, session expired, closed
//!      └──▶ again after reconnect.backoff.ms, doubling, with jitter
//! ```
//!
//! # The states of a batch
//! ```text
//!            leader known, connection ready, producer id known, next in the queue
//!  waiting ─────────────────────────────────────────────────────────────────▶ in flight
//!  (sealed)                                                                    (stamped)
//!     ▲                                                                            │
//!     │   ┌──── Retry: the same bytes, in its old place, after retry.backoff.ms ◀──┤
//!     │   ▼                                                                        │
//!     │ waiting ──▶ in flight again                                                ├─ Done ────▶ Delivered
//!     │ (stamped)                                                                  ├─ Fail ────▶ Failed
//!     │                                                                            ├─ TooLarge ▶ Failed, or split
//!     └── OutOfOrderSequence, IdentityRefused: certainly in no log; stamped ◀──────┘
//!         again, under a new epoch or a new producer id
//!         (possibly in the log: waits for a later batch to prove that it is, or fails as unknown)
//!
//!  delivery.timeout.ms ends each state: Failed, as not written if that is certain, otherwise as unknown
//! ```
//! `verdict.rs` maps each response, and the lack of one, to one of these transitions.
//!
//! # Guarantees
//! - Each accepted batch ends in exactly one event.
//! - A batch is sent unchanged, in its own record set; its bytes are not copied after they are stamped.
//! - Batches of a partition are sent in the order of acceptance, and retries keep that order.
//! - Idempotent (the default, if the brokers support it): each batch is written once. A batch reported as written is in
//!   the log, one reported as not written is not and will not be, and unknown is reported if either is possible.
//!   Brokers do the bookkeeping, and one that crashes expires producers by the timestamps of their records (after
//!   `producer.id.expiration.ms`, one day): a retry of records with old timestamps can then be written twice.
//! - Deterministic: the same clock, seed, commands and inputs give the same outputs. How received bytes are cut makes
//!   no difference, provided that output is polled at the same points between the frames.
//!
//! ```
//! use kafka_batch_core::machine::{Clock, Event, Input, Instant, Output, Machine, MachineConfig};
//! use kafka_batch_core::{KafkaBatch, Record, Timestamp, TopicPartition};
//!
//! let clock = Clock { now: Instant::START, wall: Timestamp::from_millis(1_700_000_000_000) };
//! let mut machine = Machine::new(MachineConfig::new([("localhost", 9092)]), clock, 42);
//! assert!(matches!(machine.poll_output(clock.now), Output::Wait(None)), "nothing is to be done yet");
//!
//! let mut batch = KafkaBatch::new(machine.wall_time(clock.now));
//! batch.extend([Record::new("hello")])?;
//! let id = machine.send(batch.seal()?, TopicPartition::new("greetings", 0), clock.now)?;
//!
//! let Output::Connect { connection, port: 9092, .. } = machine.poll_output(clock.now) else { panic!() };
//! let Output::Wait(Some(_deadline)) = machine.poll_output(clock.now) else { panic!("the connection is pending") };
//! machine.handle_input(Input::Connected(connection), clock.now);
//! let Output::Transmit { bytes, .. } = machine.poll_output(clock.now) else { panic!("ApiVersions is sent") };
//! assert_eq!(bytes[0][4..6], [0, 18]); // ApiVersions
//! # drop(bytes);
//!
//! // There is no response. After `delivery.timeout.ms` the batch fails, and the event returns it.
//! let mut now = clock.now;
//! let error = loop {
//!     match machine.poll_output(now) {
//!         Output::Wait(next) => now = next.expect("a timer is set"),
//!         Output::Event(Event::Failed { id: failed, error }) if failed == id => break error,
//!         _ => {}
//!     }
//! };
//! assert!(!error.may_have_been_written());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod accumulator;
mod backoff;
mod cluster;
mod config;
mod connection;
mod connection_id;
mod credentials;
mod entry;
mod event;
mod handshake;
mod identity;
mod identity_manager;
mod index;
mod io;
mod jwt;
mod misuse;
mod network;
mod node;
#[cfg(feature = "std")]
mod non_blocking;
mod notice;
mod oauth;
mod output_queue;
mod partition;
mod partition_numbers;
mod query;
mod queue;
mod request_rate;
mod sasl;
mod schedule;
mod scram;
mod sequence;
mod stats;
mod telemetry;
#[cfg(test)]
mod tests;
mod timers;
mod token;
mod topic_backoffs;
mod topics;
mod transactions;
mod transitions;
mod unfinished;
mod verdict;
mod versions;
mod write_queue;

pub use self::config::{MachineConfig, MetadataRecoveryStrategy};
pub use self::credentials::{
    Credential, CredentialsError, ParseSaslMechanismError, PlainCredentials, Sasl, SaslMechanism, ScramCredentials,
    ScramHash,
};
pub use self::event::{
    BatchId, Clock, CloseMode, Event, FlushId, InvalidTransactionState, MachineSendError, MachineSendErrorKind, Notice,
    TransactionEvent,
};
pub use self::io::{ConnectionId, Input, Output};
pub use self::misuse::Misuse;
#[cfg(feature = "std")]
pub use self::non_blocking::{NonBlocking, NonBlockingConnections, PolledOutput};
pub use self::notice::{Change, ProducerIdAndEpoch, Retry};
pub use self::oauth::{OAuthBearer, OAuthToken, OAuthTokenError};
pub use self::stats::{
    AcceptedByReason, AcceptedStats, BatchStats, BrokerStats, BufferStats, SendReason, Stats, Timing, TopicStats,
};
pub use self::transactions::{OffsetsId, TransactionState};
pub use self::transitions::Machine;
pub use self::versions::{TelemetryVersions, TransactionVersions, Versions};
pub use self::write_queue::WriteQueue;
pub use crate::cause::{
    BrokerAddress, ConnectionError, ConnectionErrorKind, Disconnect, ForeignProtocol, LastError, LastErrorKind,
    MismatchEvidence, OAuthError, OAuthRefusal, PendingRequest, ProducerIdError, ScramError, SecurityMismatch,
    SecurityProtocol, TimeoutCause, TopicLookupError, WaitingFor,
};
pub use crate::secret::Secret;
pub use crate::time::Instant;
