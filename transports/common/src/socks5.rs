//! Connections through a SOCKS5 proxy (RFC 1928), which may ask for a user name and a password (RFC 1929).

mod error;
mod handshake;

use std::future::poll_fn;
use std::io;
use std::pin::Pin;

use bytes::Bytes;
use futures_io::{AsyncRead, AsyncWrite};
use kafka_batch_core::machine::Secret;

pub use self::error::{Socks5Error, Socks5ErrorKind, Socks5Reply};
pub(crate) use self::handshake::{Handshake, MAX_FIELD};
use crate::local_runtime::LocalRuntime;
use crate::target::Target;

/// A proxy. It resolves the names of brokers.
#[derive(Clone, Debug)]
pub(crate) struct Proxy {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) login: Option<Login>,
}

/// A user name and a password, each of 1 to [`MAX_FIELD`] bytes.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    pub(crate) username: Secret,
    pub(crate) password: Secret,
}

impl Proxy {
    /// Returns host and port as a text.
    pub(crate) fn address(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }

    /// Returns the proxy as something to connect to.
    pub(crate) fn target(&self, failures: usize) -> Target {
        Target { host: self.host.clone(), port: self.port, failures, is_bootstrap: false }
    }

    /// Returns an error of this proxy.
    pub(crate) fn error(&self, kind: Socks5ErrorKind) -> io::Error {
        io::Error::new(kind.io_kind(), Socks5Error { proxy: self.address(), kind })
    }

    /// Begins the handshake that connects to this host.
    ///
    /// # Errors
    /// The host name is too long.
    pub(crate) fn handshake(&self, host: &str, port: u16) -> io::Result<Handshake> {
        Handshake::new(self.login.as_ref(), host, port).map_err(|kind| self.error(kind))
    }
}

/// Performs a handshake over a stream.
///
/// # Errors
/// The connection has ended, or the proxy refuses.
pub(crate) async fn run<S: AsyncRead + AsyncWrite + Unpin>(
    handshake: &mut Handshake,
    stream: &mut S,
) -> Result<(), Socks5ErrorKind> {
    let mut buffer = [0; Handshake::MAX_READ];
    while let Some(needed) = handshake.needed() {
        let mut output = &handshake.take_output()[..];
        while !output.is_empty() {
            match poll_fn(|context| Pin::new(&mut *stream).poll_write(context, output)).await? {
                0 => return Err(Socks5ErrorKind::Closed),
                written => output = &output[written..],
            }
        }
        poll_fn(|context| Pin::new(&mut *stream).poll_flush(context)).await?;
        let buffer = &mut buffer[..needed];
        match poll_fn(|context| Pin::new(&mut *stream).poll_read(context, buffer)).await? {
            0 => return Err(Socks5ErrorKind::Closed),
            count => handshake.on_received(&buffer[..count])?,
        }
    }
    Ok(())
}

/// As [`run`], over a stream whose operations own their buffers.
pub(crate) async fn run_local<R: LocalRuntime>(
    handshake: &mut Handshake,
    reader: &mut R::Reader,
    writer: &mut R::Writer,
) -> Result<(), Socks5ErrorKind> {
    while let Some(needed) = handshake.needed() {
        let output = handshake.take_output();
        if !output.is_empty() {
            R::write(writer, vec![Bytes::from(output)]).await?;
        }
        let (count, buffer) = R::read(reader, Vec::with_capacity(needed)).await;
        match count? {
            0 => return Err(Socks5ErrorKind::Closed),
            count => handshake.on_received(buffer.get(..count).unwrap_or_default())?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
