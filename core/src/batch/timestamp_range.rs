//! The range of the timestamps of a batch.

use core::ops::RangeInclusive;

use crate::time::Timestamp;

/// The earliest and the latest timestamp so far, in milliseconds.
///
/// Without any timestamp, `earliest` is greater than `latest`, so that including the first one is the same two comparisons
/// as any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimestampRange {
    earliest: i64,
    latest: i64,
}

impl Default for TimestampRange {
    fn default() -> Self {
        Self { earliest: i64::MAX, latest: i64::MIN }
    }
}

impl TimestampRange {
    #[inline(always)]
    pub(crate) fn include(&mut self, timestamp: Timestamp) {
        self.earliest = self.earliest.min(timestamp.millis());
        self.latest = self.latest.max(timestamp.millis());
    }

    pub(crate) fn range(self) -> Option<RangeInclusive<Timestamp>> {
        let [earliest, latest] = [self.earliest, self.latest].map(Timestamp::from_millis);
        (earliest <= latest).then_some(earliest..=latest)
    }

    pub(crate) fn latest(self) -> Option<Timestamp> {
        self.range().map(|range| *range.end())
    }
}
