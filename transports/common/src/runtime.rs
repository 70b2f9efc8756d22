//! What a transport brings: sockets, a timer and a way to spawn a task of one async runtime.

use std::collections::hash_map::RandomState;
use std::future::Future;
use std::hash::BuildHasher;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::time::{Instant, SystemTime};

use futures_io::{AsyncRead, AsyncWrite};

use crate::error::ConfigError;
use crate::network_config::SocketOptions;
use crate::producer::Producer;

/// The task of a producer. It completes when the producer is closed.
pub type ProducerTask = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The sockets and timers of an async runtime. The [crate] documentation has an example.
pub trait Runtime: 'static {
    /// The producer's type, made by [`runtime_producer!`](crate::runtime_producer).
    type Producer: From<Producer>;
    /// A connected TCP stream.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;
    /// A timer, which completes at a set time.
    type Timer: Future + Send;

    /// Resolves a host name, or the text of an IP address, without blocking the thread.
    fn resolve(host: String, port: u16) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send;

    /// Returns the name of an address by a reverse lookup, without blocking the thread. Default: an error of
    /// [`Unsupported`](io::ErrorKind::Unsupported), which counts like that of an address without a name. For
    /// `client.dns.lookup=resolve_canonical_bootstrap_servers_only`.
    #[must_use]
    fn canonical_name(address: IpAddr) -> impl Future<Output = io::Result<String>> + Send {
        let _ = address;
        async { Err(io::ErrorKind::Unsupported.into()) }
    }

    /// Connects to this address, sets `TCP_NODELAY` and the options that are given, and TCP keep-alive. There is no need for a
    /// timeout: a future that takes too long is dropped. So is one whose address is not the first of a host to accept a connection.
    fn connect(address: SocketAddr, options: &SocketOptions) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// Returns a timer that completes at this time.
    fn timer(at: Instant) -> Self::Timer;

    /// Sets a timer, which may have completed, to another time.
    fn reset(timer: Pin<&mut Self::Timer>, at: Instant);

    /// Returns the current time, by the clock of the timers. Default: [`Instant::now`].
    ///
    /// This method and the two that follow are for runtimes that simulate time: a producer has no other sources of time and
    /// randomness, except for TLS.
    #[must_use]
    fn now() -> Instant {
        Instant::now()
    }

    /// Returns the current time of day, for timestamps. Default: [`SystemTime::now`].
    #[must_use]
    fn system_time() -> SystemTime {
        SystemTime::now()
    }

    /// Returns the seed of a producer that has [none](crate::ProducerBuilder::seed) among its settings. Default: drawn from
    /// the system's source of randomness.
    #[must_use]
    fn seed() -> u64 {
        random_seed()
    }
}

/// Returns a seed from the system's source of randomness.
pub(crate) fn random_seed() -> u64 {
    RandomState::new().hash_one(0)
}

/// A runtime that can spawn the producer's task on its current instance.
pub trait Spawn: Runtime {
    /// Spawns the producer's task on this runtime.
    ///
    /// # Errors
    /// There is no current runtime.
    fn spawn(task: ProducerTask) -> Result<(), ConfigError>;
}

/// Defines the producer type of a runtime: a [`Producer`](crate::Producer), to which it dereferences and converts, with a
/// `builder` for this runtime. The [crate] documentation has an example.
#[macro_export]
macro_rules! runtime_producer {
    ($(#[$attribute:meta])* $name:ident, $runtime:ty) => {
        $(#[$attribute])*
        ///
        /// A cheap handle, which dereferences to [`Producer`]($crate::Producer): that type has the methods and documents
        /// the guarantees. Convert it ([`From`]) to store producers of any runtime as one type.
        #[derive(Clone, Debug)]
        pub struct $name($crate::Producer);

        impl $name {
            /// Returns a builder with default settings.
            pub fn builder() -> $crate::ProducerBuilder<$runtime> {
                $crate::ProducerBuilder::new()
            }

            /// Returns this producer as a transport without a type.
            #[must_use]
            pub fn boxed(self) -> $crate::__core::BoxTransport {
                self.0.boxed()
            }
        }

        impl ::core::ops::Deref for $name {
            type Target = $crate::Producer;

            fn deref(&self) -> &$crate::Producer {
                &self.0
            }
        }

        impl ::core::convert::From<$crate::Producer> for $name {
            fn from(producer: $crate::Producer) -> Self {
                Self(producer)
            }
        }

        impl ::core::convert::From<$name> for $crate::Producer {
            fn from(producer: $name) -> Self {
                producer.0
            }
        }

        impl $crate::__core::Transport for $name {
            type Pending = $crate::Pending;

            fn capabilities(&self) -> $crate::__core::Capabilities {
                self.0.capabilities()
            }

            fn batch(&self) -> $crate::__core::KafkaBatch {
                self.0.batch()
            }

            async fn partition_count(
                &self,
                topic: &str,
            ) -> ::core::result::Result<::core::num::NonZeroU32, $crate::__core::SendErrorReason> {
                self.0.partition_count(topic).await
            }

            async fn pick_partition(
                &self,
                topic: &str,
            ) -> ::core::result::Result<i32, $crate::__core::SendErrorReason> {
                self.0.pick_partition(topic).await
            }

            async fn send_batch(
                &self,
                batch: $crate::__core::KafkaBatch,
                to: $crate::__core::TopicPartition,
            ) -> ::core::result::Result<$crate::Pending, $crate::__core::SendError> {
                self.0.send_batch(batch, to).await
            }

            async fn send_prepared(
                &self,
                prepared: $crate::__core::PreparedBatch,
            ) -> ::core::result::Result<$crate::Pending, $crate::__core::SendError> {
                $crate::__core::Transport::send_prepared(&self.0, prepared).await
            }

            fn injected_headers(&self, topic: &str) -> $crate::__core::record::EncodedHeaders {
                $crate::__core::Transport::injected_headers(&self.0, topic)
            }

            fn channel<'a>(
                &'a self,
                topic: &'a str,
            ) -> ::std::boxed::Box<dyn $crate::__core::publisher::BatchChannel + 'a> {
                $crate::__core::Transport::channel(&self.0, topic)
            }

            async fn flush(&self) -> ::core::result::Result<(), $crate::__core::FlushError> {
                self.0.flush().await
            }

            async fn close(&self) -> ::core::result::Result<(), $crate::__core::FlushError> {
                self.0.close().await
            }

            async fn close_at_once(&self) -> ::core::result::Result<(), $crate::__core::FlushError> {
                self.0.close_at_once().await
            }
        }
    };
}
