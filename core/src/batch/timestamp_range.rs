//! From when to when the records of a batch are.

use core::ops::RangeInclusive;

use crate::time::Timestamp;

/// The earliest and the latest timestamp. As long as there is none, the earliest is after the latest: so that to take one
/// in is two comparisons, and no question whether it is the first.
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
