//! The ids of connections.

use core::fmt;

/// The id of one attempt to connect, and of the connection that results. The machine assigns it with
/// [`Output::Connect`](super::Output::Connect) and never reuses it, so late input from a connection that was dropped is ignored.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(u64);

impl ConnectionId {
    /// Returns the connection with this number. Input for a number that the machine has not assigned is ignored.
    #[must_use]
    pub const fn from_u64(number: u64) -> Self {
        Self(number)
    }

    /// Returns the number of this connection, for event loops that know sockets by a number. Numbers count up from 0.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
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
