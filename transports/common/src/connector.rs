//! How a producer's connections are made, if not by TCP of its runtime.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use futures_io::{AsyncRead, AsyncWrite};

/// Makes the connections of a producer, in place of its runtime's TCP: through a proxy or a tunnel, over Unix sockets, or over the
/// network of a simulator. [`ProducerBuilder::connector`](crate::ProducerBuilder::connector) sets it.
///
/// The names in `bootstrap.servers` and those that brokers advertise are passed as they are, so a proxy can resolve them. TLS, if
/// `security.protocol` asks for it, is spoken over the streams, and the broker's certificate must be for that name.
///
/// ```
/// use std::io;
///
/// use async_io::Async;
/// use kafka_batch_transport::Connector;
///
/// /// Connects to all brokers through one forwarded port, as that of `ssh -L`.
/// struct Forwarded {
///     port: u16,
/// }
///
/// impl Connector for Forwarded {
///     type Stream = Async<std::net::TcpStream>;
///
///     async fn connect(&self, _host: &str, _port: u16) -> io::Result<Self::Stream> {
///         let stream = Async::<std::net::TcpStream>::connect(([127, 0, 0, 1], self.port)).await?;
///         stream.get_ref().set_nodelay(true)?;
///         Ok(stream)
///     }
/// }
/// ```
pub trait Connector: Send + Sync + 'static {
    /// A connected stream of bytes.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Connects to this broker, and disables Nagle's algorithm if the stream has it. There is no need for a timeout: after
    /// `socket.connection.setup.timeout.ms` the future is dropped.
    ///
    /// # Errors
    /// The error is reported as that of the broker, and the producer tries again, or another broker.
    fn connect(&self, host: &str, port: u16) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

/// A stream of any type.
pub(crate) trait AnyStream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> AnyStream for S {}

/// An attempt to connect.
pub(crate) type BoxAttempt = Pin<Box<dyn Future<Output = io::Result<Box<dyn AnyStream>>> + Send>>;

/// A [`Connector`] without its type, so that the builder's type does not depend on it.
pub(crate) trait AnyConnector: Send + Sync {
    /// Connects to this broker.
    fn connect(self: Arc<Self>, host: String, port: u16) -> BoxAttempt;
}

impl<C: Connector> AnyConnector for C {
    fn connect(self: Arc<Self>, host: String, port: u16) -> BoxAttempt {
        Box::pin(async move {
            let stream = Connector::connect(&*self, &host, port).await?;
            Ok(Box::new(stream) as Box<dyn AnyStream>)
        })
    }
}
