//! What a connection is made to.

/// What to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Host name or IP address.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The number of consecutive connections to this host and port that ended before the broker's API versions were known. Each
    /// moves the start to the next address.
    pub(crate) failures: usize,
    /// Whether it is one of `bootstrap.servers`.
    pub(crate) is_bootstrap: bool,
}
