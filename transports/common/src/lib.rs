//! What the transports over tokio, async-std and smol have in common: they drive the state machine of `kafka-batch`
//! ([`kafka_batch_core::machine`]). Producer handles, settings, back-pressure, the driver loop, TLS. This crate depends on no
//! runtime, opens no socket and starts no thread.
//!
//! ```text
//!  Producer ──commands──▶ command queue ──▶ driver ──▶ the machine
//!  Pending  ◀──────────── outcomes ───────────┘ ▲
//!                                               │ steps, events
//!                                 the driver loop ◀──▶ connections ◀──▶ sockets of a Runtime
//! ```
//! - [`Producer`] is the handle that users hold. It seals batches on the caller's task, waits for buffer memory, and queues
//!   commands. It gathers single messages in batches ([`Producer::send`]).
//! - [`ProducerBuilder`] takes the settings and starts the producer's task, which drives the machine and its sockets.
//! - [`Runtime`] is what a transport implements: connecting, and a timer. [`LocalRuntime`] is the same for runtimes whose futures
//!   are not `Send` and whose operations own their buffers, such as those over io_uring.
//! - [`Connector`] is for applications: it makes the connections of one producer in another way, as through a proxy.
//!
//! Applications use this crate through `kafka-batch-tokio` and `kafka-batch-async-std`.
//!
//! # How to support another runtime
//! ```
//! use std::io;
//! use std::net::{SocketAddr, TcpStream};
//! use std::pin::Pin;
//! use std::time::Instant;
//!
//! use async_io::{Async, Timer};
//! use kafka_batch_transport::{ConfigError, ProducerTask, Runtime, SocketOptions, Spawn, runtime_producer};
//!
//! runtime_producer! {
//!     /// A producer whose task runs on a thread of its own.
//!     ThreadProducer, Threads
//! }
//!
//! /// Sockets and timers of the crate `async-io`, and one thread for each producer.
//! #[derive(Debug)]
//! pub enum Threads {}
//!
//! impl Runtime for Threads {
//!     type Producer = ThreadProducer;
//!     type Stream = Async<TcpStream>;
//!     type Timer = Timer;
//!
//!     async fn resolve(host: String, port: u16) -> io::Result<Vec<SocketAddr>> {
//!         use std::net::ToSocketAddrs; // a real transport does this without blocking the thread
//!         Ok((host, port).to_socket_addrs()?.collect())
//!     }
//!
//!     async fn connect(address: SocketAddr, _: &SocketOptions) -> io::Result<Self::Stream> {
//!         let stream = Async::<TcpStream>::connect(address).await?;
//!         stream.get_ref().set_nodelay(true)?;
//!         Ok(stream)
//!     }
//!
//!     fn timer(at: Instant) -> Timer {
//!         Timer::at(at)
//!     }
//!
//!     fn reset(mut timer: Pin<&mut Timer>, at: Instant) {
//!         timer.set_at(at);
//!     }
//! }
//!
//! impl Spawn for Threads {
//!     fn spawn(task: ProducerTask) -> Result<(), ConfigError> {
//!         std::thread::spawn(|| async_io::block_on(task));
//!         Ok(())
//!     }
//! }
//!
//! let producer = ThreadProducer::builder().set("bootstrap.servers", "localhost:9092").build()?;
//! assert!(producer.batch().is_empty()); // nothing connects before the first batch is sent
//! # Ok::<(), ConfigError>(())
//! ```
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod accepted;
mod alarm;
mod broker_addresses;
mod buffers;
mod builder;
mod channel_batch;
mod clock;
mod command_queue;
mod completion;
mod connect;
mod connections;
mod connector;
mod driver;
mod driver_loop;
mod error;
#[cfg(all(test, kafka_batch_shuttle))]
mod exploration;
#[doc(hidden)]
pub mod external;
mod gathering;
mod happy_eyeballs;
mod injector;
mod local;
mod local_runtime;
mod lookup;
#[cfg(feature = "metrics")]
mod metrics;
mod network_config;
mod observers;
mod oneshot;
mod producer;
mod runtime;
mod secrets;
mod security;
mod semaphore;
mod send;
mod settings;
mod socks5;
mod sync;
mod target;
#[cfg(feature = "tls")]
mod tls;
mod tls_stream;
mod token;
mod topic_error;
mod topics;
#[cfg(feature = "tracing")]
mod tracing_observer;
mod transaction;
mod transaction_waiters;
mod transactional;
mod waiters;
mod wake_flag;

pub use builder::ProducerBuilder;
pub use command_queue::StatsError;
pub use completion::PendingRecord;
pub use connector::Connector;
pub use error::{ConfigError, SettingErrorReason, SettingValue};
/// For the expansion of [`runtime_producer!`].
#[doc(hidden)]
pub use kafka_batch_core as __core;
pub use kafka_batch_core::machine::SecurityProtocol;
pub use local_runtime::{LocalProducerTask, LocalRuntime};
#[cfg(feature = "metrics")]
pub use metrics::StatsRecorder;
pub use network_config::{AddressFamily, DnsLookup, SocketOptions};
pub use producer::{Pending, Producer};
pub use runtime::{ProducerTask, Runtime, Spawn};
pub use settings::{ProducerConfig, ProxyAddress};
pub use socks5::{Socks5Error, Socks5ErrorKind, Socks5Reply};
#[cfg(feature = "oauth")]
pub use token::{ClientCredentials, ClientCredentialsError, ClientCredentialsRequest};
pub use token::{TokenFileError, token_file};
#[cfg(feature = "tracing")]
pub use tracing_observer::{BatchSpan, TracingObserver};
pub use transaction::Transaction;
pub use transactional::{BuildTransactionalError, InitTransactions, TransactionalProducer};

/// Redaction of settings in logs and errors, and the correction of their names, also for transports with settings of their own.
pub mod redaction {
    pub use crate::secrets::{is_pasted, shown_servers};
    pub use crate::settings::similar_setting;
}

/// Calls of observers and of the function that adds headers, also for transports that do not drive the machine.
pub mod hooks {
    pub use crate::injector::HeaderInjector;
    pub use crate::observers::{Observation, Observers};
}

/// The synchronization primitives of producer handles, also for transports that do not drive the machine.
pub mod waiting {
    pub use crate::lookup::Lookup;
    pub use crate::oneshot::Slot;
    pub use crate::semaphore::{Acquire, Acquisition, HasSemaphore, Permits, Semaphore, WaiterId};
    pub use crate::sync::{lock, wake};
    pub use crate::topics::{LookupResult, TopicCache};
}
