//! Durations in messages.

use core::fmt;
use core::time::Duration;

/// A duration in whole milliseconds, the unit of Kafka's settings.
pub(crate) struct Millis(pub(crate) Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0.as_millis())
    }
}

/// A timeout that expired, by the name of its setting, with the value of that.
pub(crate) struct Limit(pub(crate) &'static str, pub(crate) Duration);

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.0, self.1.as_millis())
    }
}
