//! The parts that all transports of `kafka-batch` share which drive its state machine ([`kafka_batch_core::machine`]):
//! producer handles, settings, back-pressure, TLS. This crate depends on no runtime, opens no socket and starts no thread.
//!
//! ```text
//!  Producer ──commands──▶ CommandQueue ──▶ Driver ──▶ the machine
//!  Pending  ◀───────── outcomes ────┘  ▲
//!                                      │ steps, events
//!                       a Runtime's loop ◀──▶ Connections ◀──▶ sockets
//! ```
//! - [`Producer`] is the handle that users hold. It seals batches on the caller's task, waits for buffer memory, and queues
//!   commands.
//! - [`Driver`] owns the machine and the futures' result slots. It returns the next [`Step`].
//! - [`Connections`] writes and reads, over any stream that implements the traits of `futures-io`.
//! - [`Runtime`] is implemented by a transport: a loop over these two, a way to connect, and a timer.
//!
//! # How to write a loop
//! ```text
//! loop {
//!     let deadline = loop {                                               // the drain
//!         match driver.next_step() {
//!             Step::Connect { connection, host, port, until, failures, tls } => {
//!                 connections.open(connection, tls, connect(host, port, until, failures))
//!             }
//!             Step::Transmit { connection, bytes } => connections.transmit(connection, bytes),
//!             Step::Close(connection)              => connections.close(connection),
//!             Step::Wait(deadline)                 => break deadline,
//!             Step::End                            => return,
//!         }
//!     };
//!     wait for the first of: driver.poll_commands(…), connections.poll(&mut driver, …), the deadline
//! }
//! ```
//! Applications use this crate through `kafka-batch-tokio` and `kafka-batch-async-std`. Use it directly to support another
//! runtime.
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod alarm;
mod broker_addresses;
mod builder;
mod command_queue;
mod connections;
mod driver;
mod error;
mod oneshot;
mod producer;
mod secrets;
mod security;
mod semaphore;
mod settings;
#[cfg(feature = "tls")]
mod tls;
mod tls_stream;
mod topic_error;
mod topics;
mod waiters;
mod wake_flag;
mod write_queue;

pub use alarm::Alarm;
pub use builder::{ProducerBuilder, ProducerTask, Runtime, Spawn};
pub use connections::{Connections, connect_to_any};
pub use driver::{Driver, Step};
pub use error::{ConfigError, Stopped, Unreachable};
pub use producer::{Pending, Producer};
pub use settings::{ProducerConfig, SecurityProtocol};
pub use tls_stream::TlsConnector;

/// Redaction of settings in logs and errors, also for transports with settings of their own.
pub mod redaction {
    pub use crate::secrets::{is_pasted, shown_servers};
}

/// The synchronization primitives of producer handles, also for transports that do not drive the machine.
pub mod waiting {
    pub use crate::oneshot::{Slot, lock};
    pub use crate::semaphore::{Acquire, Permits, Semaphore, WaiterId};
    pub use crate::topics::{Count, Topics, has};
}
