//! The two doors: what goes in, what comes out. A driver is a `match` over [`Output`] and a source of [`Input`].

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

use super::event::Event;
use crate::time::Instant;

/// One attempt to reach one address. The machine mints it with [`Output::Connect`] and never uses it again, so what comes
/// late from a connection that is gone names nobody, and is ignored.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(u64);

impl ConnectionId {
    pub(super) const fn new(number: u64) -> Self {
        Self(number)
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connection {}", self.0)
    }
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnectionId({})", self.0)
    }
}

/// What a driver tells the machine. Exhaustive on purpose. `Debug` shows no bytes of a connection, since they can be secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Input<'a> {
    /// The connection stands, TLS included: bytes can go both ways.
    Connected(ConnectionId),
    /// Bytes have come, cut anywhere.
    Received(ConnectionId, &'a [u8]),
    /// All bytes of the oldest [`Output::Transmit`] on this connection that has not been reported yet are written: one
    /// report for each, in their order. With `acks=0` that is all the confirmation there is; otherwise it changes nothing,
    /// and a driver that cannot tell may leave it out.
    Written(ConnectionId),
    /// The connection came to its end, or never came about. Not to be said of one that [`Output::Close`] has named. The text
    /// says why, in the words of the system or the TLS library; errors pass it on to people.
    Closed(ConnectionId, Disconnect, Option<&'a str>),
}

impl fmt::Debug for Input<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected(id) => f.debug_tuple("Connected").field(id).finish(),
            Self::Received(id, bytes) => {
                f.debug_tuple("Received").field(id).field(&format_args!("{} bytes", bytes.len())).finish()
            }
            Self::Written(id) => f.debug_tuple("Written").field(id).finish(),
            Self::Closed(id, how, details) => f.debug_tuple("Closed").field(id).field(how).field(details).finish(),
        }
    }
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Disconnect {
    /// It never came about: nobody listens, the name is unknown, TLS failed.
    NotConnected,
    /// One side does not trust the other: a certificate is not to be believed, or ours is refused. Whoever
    /// [asks for a topic](super::Machine::lookup_topic) hears it at once, for trying again does not help.
    Untrusted,
    /// The other side does not take part in a TLS handshake: it answers with something else, or closes the connection.
    NoTls,
    /// The peer ended it in order: end of stream.
    ByPeer,
    /// It broke: reset, unreachable, an error of the socket.
    Broken,
}

impl fmt::Display for Disconnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotConnected => "could not connect",
            Self::Untrusted => "one side does not trust the other's certificate",
            Self::NoTls => "the TLS handshake failed",
            Self::ByPeer => "the broker closed the connection",
            Self::Broken => "the connection broke",
        })
    }
}

/// What the machine wants done. Exhaustive on purpose: a new kind has to break each driver at compile time. `Debug` shows no
/// bytes that are to be written, since a password can be among them.
#[expect(clippy::large_enum_variant, reason = "it is matched where it is returned, and nobody keeps a row of them")]
pub enum Output {
    /// Connect to this address; answer with [`Input::Connected`] or [`Input::Closed`].
    Connect {
        /// The name of the attempt.
        connection: ConnectionId,
        /// Host name or address, as configured or as the cluster advertises it.
        host: String,
        /// Port.
        port: u16,
    },
    /// Write these segments, one after the other, behind what was to be written before.
    Transmit {
        /// On which connection.
        connection: ConnectionId,
        /// One frame: envelope, batch, envelope, … The segments of batches are the batches' own bytes, not copies.
        bytes: Vec<Bytes>,
    },
    /// Drop the connection, or the attempt to make it, with all that is still to be written. Needs no answer.
    Close(ConnectionId),
    /// Something happened that the application wants to know.
    Event(Event),
    /// There is nothing to do until there is input, a command, or this moment; `None`: no such moment. Only ever at the
    /// end of the drain.
    Wait(Option<Instant>),
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
            Self::Transmit { connection, bytes } => {
                let size: usize = bytes.iter().map(Bytes::len).sum();
                f.debug_struct("Transmit")
                    .field("connection", connection)
                    .field("bytes", &format_args!("{size} bytes"))
                    .finish()
            }
            Self::Close(id) => f.debug_tuple("Close").field(id).finish(),
            Self::Event(event) => f.debug_tuple("Event").field(event).finish(),
            Self::Wait(until) => f.debug_tuple("Wait").field(until).finish(),
        }
    }
}
