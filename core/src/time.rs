//! Points in time: a record's [`Timestamp`], and the [`Instant`] of the producer machine. Nothing here reads a clock.

use core::fmt;
use core::ops::Add;
use core::time::Duration;

/// A point in time on a monotonic clock, as the duration since the driver of the machine started.
///
/// A driver passes the time elapsed since its start; a test passes any time.
///
/// # Examples
///
/// ```
/// use core::time::Duration;
/// use kafka_batch_core::machine::Instant;
///
/// let later = Instant::START + Duration::from_millis(30);
/// assert_eq!(later.since(Instant::START), Duration::from_millis(30));
/// assert_eq!(Instant::START.since(later), Duration::ZERO); // never negative
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(Duration);

impl Instant {
    /// The start of the driver.
    pub const START: Self = Self(Duration::ZERO);

    /// Creates the instant at `elapsed` after the driver's start.
    #[must_use]
    pub const fn from_start(elapsed: Duration) -> Self {
        Self(elapsed)
    }

    /// Returns the duration since the driver's start.
    #[must_use]
    pub const fn since_start(self) -> Duration {
        self.0
    }

    /// Returns the duration since `earlier`, or zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// Returns the nanoseconds since `earlier`, or 0 if `earlier` is later. Saturates after 570 years. In fewer instructions than
    /// through a [`Duration`].
    pub(crate) const fn nanos_since(self, earlier: Self) -> u64 {
        const LONGEST: u64 = 18_000_000_000;
        let (later_nanos, earlier_nanos) = (self.0.subsec_nanos() as u64, earlier.0.subsec_nanos() as u64);
        let seconds = self.0.as_secs().saturating_sub(earlier.0.as_secs());
        let seconds = if seconds < LONGEST { seconds } else { LONGEST };
        (seconds * 1_000_000_000 + later_nanos).saturating_sub(earlier_nanos)
    }
}

/// Saturates at the latest instant.
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

/// The timestamp of a record, in milliseconds since the Unix epoch.
///
/// Any `i64` is valid, including negative ones. [`Timestamp::NO_TIMESTAMP`] (−1) stands for no timestamp
/// (`RecordBatch.NO_TIMESTAMP` of the Java client), and is that of every record of magic 0.
///
/// # Examples
///
/// ```
/// use kafka_batch_core::Timestamp;
///
/// assert_eq!(Timestamp::from_millis(1_500).millis(), 1_500);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Kafka's value for no timestamp: −1.
    pub const NO_TIMESTAMP: Self = Self(-1);

    /// Creates the timestamp `millis` milliseconds after the Unix epoch (before it, if negative).
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Returns the milliseconds since the Unix epoch.
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

/// Rounds down to whole milliseconds. Times beyond the range of `i64` saturate.
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
