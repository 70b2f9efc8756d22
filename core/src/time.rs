//! Points in time as Kafka writes them. Nothing here reads a clock.

use core::fmt;

/// Milliseconds since the Unix epoch: the timestamp of a record.
///
/// Any `i64` is a legal timestamp, negative ones included. [`Timestamp::NO_TIMESTAMP`] (−1) is what Kafka itself
/// writes for "none" (`RecordBatch.NO_TIMESTAMP` of the Java client), and what every record of magic 0 has.
///
/// ```
/// use kafka_batch_core::Timestamp;
///
/// assert_eq!(Timestamp::from_millis(1_500).millis(), 1_500);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Kafka's own mark for "no timestamp": −1.
    pub const NO_TIMESTAMP: Self = Self(-1);

    /// The point in time `millis` milliseconds after the Unix epoch (before it, if negative).
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0)
    }
}

impl From<i64> for Timestamp {
    fn from(millis: i64) -> Self {
        Self(millis)
    }
}

/// The whole milliseconds between the Unix epoch and `time`, rounded down; times beyond `i64` milliseconds saturate.
#[cfg(feature = "std")]
impl From<std::time::SystemTime> for Timestamp {
    fn from(time: std::time::SystemTime) -> Self {
        let millis = match time.duration_since(std::time::UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
            Err(before) => {
                let whole = before.duration().as_nanos().div_ceil(1_000_000);
                i64::try_from(whole).map_or(i64::MIN, |millis| -millis)
            }
        };
        Self(millis)
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::Timestamp;
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn system_times_round_down_on_both_sides_of_the_epoch() {
        let micros = Duration::from_micros(1_500);
        assert_eq!(Timestamp::from(UNIX_EPOCH + micros).millis(), 1);
        assert_eq!(Timestamp::from(UNIX_EPOCH - micros).millis(), -2);
    }
}
