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
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant {
    /// Since the start of the driver. A [`Duration`] is twice as large, and takes more instructions to compare.
    nanos: u64,
}

impl Instant {
    /// The start of the driver.
    pub const START: Self = Self { nanos: 0 };

    /// Creates the instant at `elapsed` after the driver's start. Saturates at the latest instant, 584 years after the start.
    #[must_use]
    pub const fn from_start(elapsed: Duration) -> Self {
        Self { nanos: nanos(elapsed) }
    }

    /// Returns the duration since the driver's start.
    #[must_use]
    pub const fn since_start(self) -> Duration {
        Duration::from_nanos(self.nanos)
    }

    /// Returns the duration since `earlier`, or zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.nanos_since(earlier))
    }

    /// Returns the nanoseconds since `earlier`, or 0 if `earlier` is later.
    pub(crate) const fn nanos_since(self, earlier: Self) -> u64 {
        self.nanos.saturating_sub(earlier.nanos)
    }
}

/// Returns the nanoseconds of a duration. Saturates after 584 years.
const fn nanos(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1_000_000_000).saturating_add(duration.subsec_nanos() as u64)
}

/// Saturates at the latest instant.
impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self { nanos: self.nanos.saturating_add(nanos(duration)) }
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Instant").field(&self.since_start()).finish()
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} after the start", self.since_start())
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
