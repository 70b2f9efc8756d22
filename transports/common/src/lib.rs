//! What the transports of `kafka-batch` have in common that drive its state machine ([`kafka_batch_core::machine`]): the
//! handles, the settings, the books. No runtime, no socket, no thread.
//!
//! ```text
//!  Producer ──commands──▶ CommandQueue ──▶ Driver ──▶ the machine
//!  Pending  ◀────────── answers ────┘  ▲
//!                                      │ steps, news
//!                       a Runtime's loop ◀──▶ Connections ◀──▶ sockets
//! ```
//! - [`Producer`] is the handle that users hold: it seals on their task, waits for room, and asks at the desk.
//! - [`Driver`] has the machine, and knows who waits for what. It says which [`Step`] is next.
//! - [`Connections`] writes and reads, over whatever streams a runtime has.
//! - [`Runtime`] is what a transport adds: a loop over these two, a way to connect, a clock that wakes it.
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
//! Applications use it through `kafka-batch-tokio` and `kafka-batch-async-std`; for a runtime that neither serves, use it
//! directly.
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
mod producer;
mod promise;
mod security;
mod semaphore;
mod settings;
mod slot;
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

/// What handles of producers wait for: of use also to a transport that does not drive the machine.
pub mod waiting {
    pub use crate::semaphore::{Acquire, Permits, Semaphore, WaiterId};
    pub use crate::slot::{Slot, lock};
    pub use crate::topics::{Count, Topics, has};
}
