//! A Kafka producer as a pure state machine: no socket, no clock, no thread, no chance but from a seed. Whoever has those
//! drives it; a driver knows sockets and no Kafka.
//!
//! There are two doors. [`Machine::handle_input`] takes in what happened, [`Machine::poll_output`] says what to do next,
//! and neither can fail: failures are events. Commands ([`send`](Machine::send), [`flush`](Machine::flush),
//! [`close`](Machine::close)) only queue, at any time and in any number; requests are formed when output is polled, so ten
//! batches that were sent before make one request a broker.
//!
//! # How to drive it
//! ```text
//! loop {
//!     let deadline = loop {                                  // the drain
//!         match producer.poll_output(now()) {
//!             Output::Connect { connection, host, port } => begin to connect,
//!             Output::Transmit { connection, bytes }     => write the segments, in order,
//!             Output::Close(connection)                  => drop the connection,
//!             Output::Event(event)                       => tell the application,
//!             Output::Wait(deadline)                     => break deadline,
//!         }
//!     };
//!     wait for the first of: a command, while producer.has_room(); news from a connection; the deadline
//!     hand it over: producer.send(…), or producer.handle_input(…); for the deadline nothing
//! }
//! ```
//! The deadline comes only at the end of the drain: one cannot sleep while there is something to do. Names of connections
//! are never used twice, so what comes late from one that is gone is ignored.
//!
//! `examples/blocking/driver.rs` is this loop over `std::net`, without any runtime, and with a reason beside each step.
//!
//! # The life of a connection
//! ```text
//!              Connected              answered               (SASL, if wanted)
//! Connecting ────────────▶ AskVersions ────────▶ Mechanism ──▶ Authenticate ──▶ Ready
//!     │                     │  │    ▲                                             │
//!     │                     │  └────┘ UNSUPPORTED_VERSION: in an older one        │ requests, at most
//!     │                     │ hung up, or silent: next time as configured         │ max.in.flight…
//!     ▼                     ▼                                                     ▼
//!    gone ◀── refused, broken, garbled, no answer within request.timeout.ms, idle, its session over, closed
//!      └──▶ again after reconnect.backoff.ms, doubling, with jitter
//! ```
//!
//! # The life of a batch
//! ```text
//!            leader known, connection ready, producer id there, first in line
//!  waiting ─────────────────────────────────────────────────────────────────▶ in flight
//!  (sealed)                                                                    (stamped)
//!     ▲                                                                            │
//!     │   ┌──── Retry: the same bytes, in its old place, after retry.backoff.ms ◀──┤
//!     │   ▼                                                                        │
//!     │ waiting ──▶ in flight again                                                ├─ Done ────▶ Delivered
//!     │ (stamped)                                                                  ├─ Fail ────▶ Failed
//!     │                                                                            ├─ TooLarge ▶ Failed, or split
//!     └── Resequence: certainly in no log; stamped anew under a new epoch ◀───────────┘
//!         (perhaps in the log: waits until a later one proves that it is there, or fails as unknown)
//!
//!  delivery.timeout.ms ends each of them: Failed, not written if that is certain, and unknown if it is not
//! ```
//! What an answer or silence means stands in one table (`verdict.rs`).
//!
//! # What it promises
//! - Each batch that was accepted ends in exactly one event.
//! - A batch is sent as it is, in its own record set; its bytes are not copied after it was stamped.
//! - Batches of a partition go out in the order of acceptance, and stay in it whatever is retried.
//! - Idempotent (the default, where brokers can): written once. What is reported as written is there, what is reported as
//!   not written is not and will not be, and unknown is said where it could be either.
//!   Brokers do the remembering, and one that crashes forgets producers by the timestamps of their records (after
//!   `producer.id.expiration.ms`, a day): a retry of records of the past can then be written twice.
//! - Same clock, seed, commands and inputs: same outputs. How received bytes are cut makes no difference, as long as
//!   output is polled at the same points between the frames.
//!
//! ```
//! use kafka_batch_core::machine::{Clock, Event, Input, Instant, Output, Machine, ProducerConfig};
//! use kafka_batch_core::{KafkaBatch, Record, Timestamp, TopicPartition};
//!
//! let clock = Clock { now: Instant::START, wall: Timestamp::from_millis(1_700_000_000_000) };
//! let mut producer = Machine::new(ProducerConfig::new([("localhost", 9092)]), clock, 42);
//! assert!(matches!(producer.poll_output(clock.now), Output::Wait(None)), "nothing to do yet");
//!
//! let mut batch = KafkaBatch::new(producer.wall_time(clock.now));
//! batch.extend([Record::new("hello")])?;
//! let id = producer.send(batch.seal()?, TopicPartition::new("greetings", 0), clock.now)?;
//!
//! let Output::Connect { connection, port: 9092, .. } = producer.poll_output(clock.now) else { panic!() };
//! let Output::Wait(Some(_until)) = producer.poll_output(clock.now) else { panic!("it waits for the connection") };
//! producer.handle_input(Input::Connected(connection), clock.now);
//! let Output::Transmit { bytes, .. } = producer.poll_output(clock.now) else { panic!("it asks what the broker speaks") };
//! assert_eq!(bytes[0][4..6], [0, 18]); // ApiVersions
//! # drop(bytes);
//!
//! // Nobody answers. When the time for that is over, the batch comes back.
//! let mut now = clock.now;
//! let error = loop {
//!     match producer.poll_output(now) {
//!         Output::Wait(next) => now = next.expect("there is something to wait for"),
//!         Output::Event(Event::Failed { batch, error }) if batch == id => break error,
//!         _ => {}
//!     }
//! };
//! assert!(!error.may_have_been_written());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod accumulator;
mod backoff;
mod cause;
mod cluster;
mod config;
mod connection;
mod event;
mod handshake;
mod identity;
mod io;
mod mismatch;
mod network;
mod sasl;
mod scram;
mod sequence;
#[cfg(test)]
mod tests;
mod timers;
mod transitions;
mod verdict;

pub use self::cause::{BrokerAddress, LastError, LastErrorKind, PendingRequest, TimeoutCause, WaitingFor};
pub use self::config::ProducerConfig;
pub use self::event::{
    BatchId, Clock, CloseMode, ConnectionError, ConnectionErrorKind, Event, FlushId, SendError, SendErrorKind,
    TopicLookupError,
};
pub use self::handshake::Versions;
pub use self::identity::ProducerIdError;
pub use self::io::{ConnectionId, Disconnect, Input, Output};
pub use self::mismatch::{ForeignProtocol, MismatchEvidence, SecurityMismatch, SecurityProtocol};
pub use self::sasl::{Credential, CredentialsError, ParseSaslMechanismError, Sasl, SaslMechanism};
pub use self::scram::ScramError;
pub use self::transitions::Machine;
pub use crate::time::Instant;
