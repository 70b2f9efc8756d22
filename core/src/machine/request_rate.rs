//! A limit of the rate of requests to one broker.

use core::num::NonZeroU32;
use core::time::Duration;

use crate::time::Instant;

/// A rate of requests, which a [`RequestBucket`] enforces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RequestRate {
    /// The time for one request.
    interval: Duration,
    /// How long the unused time of requests is kept.
    burst: Duration,
}

/// A bucket has the requests of this time, or one.
const BURST: Duration = Duration::from_millis(100);

impl RequestRate {
    pub(super) fn per_second(requests: NonZeroU32) -> Self {
        let interval = Duration::from_secs(1) / requests.get();
        Self { interval, burst: BURST.max(interval) }
    }
}

/// A token bucket, as the time at which it is full again: a request moves that by its interval, and may be sent if the bucket has the
/// time for it (the generic cell rate algorithm).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RequestBucket {
    full_at: Instant,
}

impl RequestBucket {
    /// Returns when the next request may be sent, if not now.
    pub(super) fn blocked_until(self, rate: RequestRate, now: Instant) -> Option<Instant> {
        let missing = self.full_at.max(now).since(now).saturating_add(rate.interval);
        let wait = missing.checked_sub(rate.burst)?;
        (!wait.is_zero()).then(|| now + wait)
    }

    /// Records that a request is sent.
    pub(super) fn sent(&mut self, rate: RequestRate, now: Instant) {
        self.full_at = self.full_at.max(now) + rate.interval;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends as many requests as it may for this time, and returns when.
    fn send(per_second: u32, millis: u64) -> alloc::vec::Vec<u64> {
        let rate = RequestRate::per_second(NonZeroU32::new(per_second).unwrap());
        let (mut bucket, mut sent) = (RequestBucket::default(), alloc::vec::Vec::new());
        let mut now = Instant::START + Duration::from_secs(7);
        let (start, end) = (now, now + Duration::from_millis(millis));
        while now < end {
            match bucket.blocked_until(rate, now) {
                Some(until) => {
                    assert!(until > now);
                    now = until;
                }
                None => {
                    bucket.sent(rate, now);
                    sent.push(now.since(start).as_millis() as u64);
                }
            }
        }
        sent
    }

    #[test]
    fn after_a_burst_of_100_ms_requests_are_sent_at_the_rate() {
        let sent = send(50, 1_000);
        assert_eq!(sent[..8], [0, 0, 0, 0, 0, 20, 40, 60]);
        assert_eq!(sent.len(), 5 + 49);
        assert_eq!(send(2, 2_000), [0, 500, 1_000, 1_500], "a bucket has one request at least");
        assert_eq!(send(10, 300), [0, 100, 200]);
    }

    #[test]
    fn unused_time_is_not_kept_for_longer() {
        let rate = RequestRate::per_second(NonZeroU32::new(20).unwrap());
        let mut bucket = RequestBucket::default();
        let late = Instant::START + Duration::from_secs(3_600);
        assert_eq!(bucket.blocked_until(rate, late), None);
        bucket.sent(rate, late);
        assert_eq!(bucket.blocked_until(rate, late), None);
        bucket.sent(rate, late);
        assert_eq!(bucket.blocked_until(rate, late), Some(late + Duration::from_millis(50)));
    }

    #[test]
    fn nothing_overflows() {
        let rate = RequestRate::per_second(NonZeroU32::MAX);
        let mut bucket = RequestBucket::default();
        let end = Instant::START + Duration::MAX;
        bucket.sent(rate, end);
        assert_eq!(bucket.blocked_until(rate, end), None);
    }
}
