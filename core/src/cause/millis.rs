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
