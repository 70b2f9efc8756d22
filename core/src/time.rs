//! Points in time as Kafka writes them. Nothing here reads a clock.

use core::fmt;
use core::ops::Add;
use core::time::Duration;

/// A moment as the machine counts it: the time since its driver started, on a clock that only goes forward.
///
/// A driver keeps the moment at which it began and hands over what has passed since; a test hands over what it likes.
///
/// ```
/// use core::time::Duration;
/// use kafka_batch_core::producer::Instant;
///
/// let later = Instant::START + Duration::from_millis(30);
/// assert_eq!(later.since(Instant::START), Duration::from_millis(30));
/// assert_eq!(Instant::START.since(later), Duration::ZERO); // never negative
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(Duration);

impl Instant {
    /// The moment at which the driver started.
    pub const START: Self = Self(Duration::ZERO);

    /// The moment this long after the driver's start.
    #[must_use]
    pub const fn from_start(elapsed: Duration) -> Self {
        Self(elapsed)
    }

    /// How long after the driver's start it is.
    #[must_use]
    pub const fn since_start(self) -> Duration {
        self.0
    }

    /// How much time has passed since `earlier`; zero if it is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// Saturates: a duration that is too long leads to the last moment that there is.
impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} after the start", self.0)
    }
}

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
