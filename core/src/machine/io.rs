//! The inputs and outputs of the machine. A driver is a `match` over [`Output`] and a source of [`Input`].

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

pub use super::connection_id::ConnectionId;
use super::event::Event;
use crate::cause::Disconnect;
use crate::time::Instant;
use crate::transport_error::TransportError;

/// An input from the driver. Exhaustive on purpose. `Debug` shows no bytes of a connection, since they can be secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Input<'a> {
    /// The connection is established, TLS included.
    Connected(ConnectionId),
    /// Bytes were received. They may be cut anywhere.
    Received(ConnectionId, &'a [u8]),
    /// All bytes of the oldest unreported [`Output::Transmit`] on this connection were sent, that is, written and
    /// flushed: one report for each, in their order. With `acks=0` this is the only confirmation; otherwise it has no
    /// effect, and a driver that cannot report it may omit it.
    Transmitted(ConnectionId),
    /// The connection ended, or could not be established. Not to be reported after [`Output::Close`] of the connection.
    /// The error is that of the operating system or the TLS library; errors of the machine contain it.
    Closed(ConnectionId, Disconnect, Option<&'a TransportError>),
}

impl Input<'_> {
    /// Returns the connection that it is about.
    #[cfg(debug_assertions)]
    pub(super) const fn connection(&self) -> ConnectionId {
        match self {
            Self::Connected(id) | Self::Received(id, _) | Self::Transmitted(id) | Self::Closed(id, ..) => *id,
        }
    }
}

impl fmt::Debug for Input<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected(id) => f.debug_tuple("Connected").field(id).finish(),
            Self::Received(id, bytes) => {
                f.debug_tuple("Received").field(id).field(&format_args!("{} bytes", bytes.len())).finish()
            }
            Self::Transmitted(id) => f.debug_tuple("Transmitted").field(id).finish(),
            Self::Closed(id, how, error) => f.debug_tuple("Closed").field(id).field(how).field(error).finish(),
        }
    }
}

/// An action for the driver. Exhaustive on purpose: a new kind must break each driver at compile time. `Debug` shows no
/// bytes to write, since they can contain a password.
#[expect(clippy::large_enum_variant, reason = "it is matched where it is returned, and never stored in a collection")]
pub enum Output {
    /// Connect to this address; report [`Input::Connected`] or [`Input::Closed`].
    Connect {
        /// The id of the attempt.
        connection: ConnectionId,
        /// Host name or address, as configured or as the cluster advertises it.
        host: String,
        /// Port.
        port: u16,
    },
    /// Write these segments, in order, after those of earlier outputs.
    Transmit {
        /// The connection.
        connection: ConnectionId,
        /// One frame: envelope, batch, envelope, … The segments of batches are the batches' own bytes, not copies.
        bytes: Vec<Bytes>,
    },
    /// Drop the connection, or the attempt to make it, with all unsent bytes. Needs no report.
    Close(ConnectionId),
    /// Pass this event to the application.
    Event(Event),
    /// Wait for input, a command, or this deadline; `None`: no deadline. Always the last output of a drain. There may be nothing
    /// to do at the deadline: that of a request is not cleared when its response arrives.
    Wait(Option<Instant>),
}

/// Formats [`Output::Transmit`] without its bytes.
pub(super) fn debug_transmit(f: &mut fmt::Formatter<'_>, connection: ConnectionId, bytes: &[Bytes]) -> fmt::Result {
    let size: usize = bytes.iter().map(Bytes::len).sum();
    f.debug_struct("Transmit").field("connection", &connection).field("bytes", &format_args!("{size} bytes")).finish()
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect { connection, host, port } => f
                .debug_struct("Connect")
                .field("connection", connection)
                .field("host", host)
                .field("port", port)
                .finish(),
            Self::Transmit { connection, bytes } => debug_transmit(f, *connection, bytes),
            Self::Close(id) => f.debug_tuple("Close").field(id).finish(),
            Self::Event(event) => f.debug_tuple("Event").field(event).finish(),
            Self::Wait(until) => f.debug_tuple("Wait").field(until).finish(),
        }
    }
}
