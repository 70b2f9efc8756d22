//! A request that is not complete.

use core::fmt;
use core::time::Duration;

use crate::protocol::ApiKey;

/// A request that is not complete: not answered yet or, if it has no response (`acks=0`), not written yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PendingRequest {
    /// The API.
    pub api: ApiKey,
    /// The version of the API.
    pub version: i16,
    /// Whether the broker responds to it. With `acks=0` there is no response to Produce.
    pub expects_response: bool,
    /// How long it has been pending.
    pub elapsed: Duration,
}

impl fmt::Display for PendingRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} v{}", self.api.name(), self.version)
    }
}
