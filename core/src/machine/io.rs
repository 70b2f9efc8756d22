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

/// What a driver tells the machine. Exhaustive on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// What the machine wants done. Exhaustive on purpose: a new kind has to break each driver at compile time.
#[derive(Debug)]
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
