//! How fast due batches are sent while the source has messages.

use crate::time::Timestamp;

/// How much longer than `linger` a batch waits at most while the source has messages without a pause, in milliseconds.
pub(super) const MAX_DELAY: i64 = 100;

/// What came from the source.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum SourcePoll {
    /// Messages, and there may be more.
    Some,
    /// None for the moment, and the source wakes the task; or it has ended.
    None,
    /// The source was not polled, because batches have to be sent first.
    Blocked,
}

/// How many due batches are sent while the source has messages without a pause, when sending takes time from taking messages.
/// Otherwise, with many partitions, batches of a record or two would take all of it. Batches that are full are sent in any case.
pub(super) struct Pace {
    /// In messages.
    credit: u32,
    /// When the time was last credited.
    last: Timestamp,
}

impl Pace {
    /// The messages for each of which a batch may be sent.
    const MESSAGES_PER_BATCH: u32 = 16;
    /// The batches that may be sent each millisecond in any case, so that a slow source delays none.
    const BATCHES_PER_MILLISECOND: u32 = 32;
    const MAX_CREDIT: u32 = 512 * Self::MESSAGES_PER_BATCH;

    pub(super) const fn new(now: Timestamp) -> Self {
        Self { credit: Self::MAX_CREDIT, last: now }
    }

    pub(super) fn took_message(&mut self) {
        self.credit = (self.credit + 1).min(Self::MAX_CREDIT);
    }

    /// Returns `true` if a batch may be sent now.
    pub(super) fn take_batch(&mut self, now: Timestamp) -> bool {
        if now != self.last {
            let passed = now.millis().wrapping_sub(self.last.millis());
            let passed = u32::try_from(passed).unwrap_or(u32::MAX); // a clock that was set back delays none
            let earned = passed.saturating_mul(Self::BATCHES_PER_MILLISECOND * Self::MESSAGES_PER_BATCH);
            self.credit = self.credit.saturating_add(earned).min(Self::MAX_CREDIT);
            self.last = now;
        }
        let left = self.credit.checked_sub(Self::MESSAGES_PER_BATCH);
        self.credit = left.unwrap_or(self.credit);
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(pace: &mut Pace, millis: i64) -> u32 {
        (0..).take_while(|_| pace.take_batch(Timestamp::from_millis(millis))).count() as u32
    }

    #[test]
    fn messages_and_time_earn_batches() {
        let mut pace = Pace::new(Timestamp::from_millis(0));
        assert_eq!(taken(&mut pace, 0), 512);
        (0..47).for_each(|_| pace.took_message());
        assert_eq!(taken(&mut pace, 0), 2);
        pace.took_message();
        assert_eq!(taken(&mut pace, 0), 1);
        assert_eq!([taken(&mut pace, 1), taken(&mut pace, 3), taken(&mut pace, 3)], [32, 64, 0]);
        assert_eq!(taken(&mut pace, i64::MAX), 512, "no more than at the beginning");
        (0..100_000).for_each(|_| pace.took_message());
        assert_eq!(taken(&mut pace, i64::MAX), 512);
        assert_eq!(taken(&mut pace, 0), 512, "the clock was set back");
    }
}
