//! The servers that the machine connects to.

/// A server to connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Node {
    /// A bootstrap server, by its index in the list. Its broker id is not known.
    Bootstrap(u32),
    /// A broker, by its id.
    Broker(i32),
}
