//! The retries of a request that no batch belongs to, such as Metadata: sent, failed, sent again after a backoff.

use super::backoff::Backoff;
use crate::splitmix64::SplitMix64;
use crate::time::Instant;

/// The state of a query that is sent in one request at a time.
#[derive(Clone, Debug, Default)]
pub(super) struct Query {
    is_in_flight: bool,
    /// Consecutive failures.
    failures: u32,
    not_before: Instant,
}

/// Whether a query may be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QueryState {
    Due,
    /// Its request is in flight.
    InFlight,
    /// It has failed, and may be sent again at this moment.
    BackingOff(Instant),
}

impl Query {
    /// Returns whether it may be sent.
    pub(super) fn state(&self, now: Instant) -> QueryState {
        match self.is_in_flight {
            true => QueryState::InFlight,
            false if self.not_before > now => QueryState::BackingOff(self.not_before),
            false => QueryState::Due,
        }
    }

    pub(super) const fn is_in_flight(&self) -> bool {
        self.is_in_flight
    }

    /// Records that its request is sent.
    pub(super) fn sent(&mut self) {
        self.is_in_flight = true;
    }

    /// Records that a response has arrived, whatever it contains.
    pub(super) fn on_response(&mut self) {
        self.is_in_flight = false;
    }

    /// Records that there is no response, or one with an error: the next request waits, longer with each failure.
    pub(super) fn failed(&mut self, now: Instant, backoff: Backoff, random: &mut SplitMix64) {
        self.is_in_flight = false;
        self.postpone(now, backoff, random);
    }

    /// Counts a failure, and makes the next request wait. The one in flight, if there is one, remains so.
    pub(super) fn postpone(&mut self, now: Instant, backoff: Backoff, random: &mut SplitMix64) {
        self.failures = self.failures.saturating_add(1);
        self.not_before = now + backoff.after(self.failures, random);
    }

    /// Makes the next request wait until this moment at least.
    pub(super) fn wait_until(&mut self, moment: Instant) {
        self.not_before = self.not_before.max(moment);
    }

    /// Records success: the next failure counts as the first.
    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// Records success, and allows the next request at once.
    pub(super) fn reset(&mut self, now: Instant) {
        self.failures = 0;
        self.not_before = now;
    }

    #[cfg(test)]
    pub(super) const fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    const BACKOFF: Backoff = Backoff { first: Duration::from_millis(100), most: Duration::from_secs(1) };

    fn at(millis: u64) -> Instant {
        Instant::START + Duration::from_millis(millis)
    }

    fn wait(query: &Query, now: Instant) -> u64 {
        let QueryState::BackingOff(moment) = query.state(now) else { panic!("{:?}", query.state(now)) };
        moment.since(now).as_millis() as u64
    }

    #[test]
    fn it_is_sent_once_at_a_time_and_waits_longer_after_each_failure() {
        let (mut query, mut random) = (Query::default(), SplitMix64::new(1));
        assert_eq!(query.state(at(0)), QueryState::Due);
        query.sent();
        assert!(query.is_in_flight());
        assert_eq!(query.state(at(9_000)), QueryState::InFlight);
        for (failures, range) in [(1, 80..=120), (2, 160..=240), (3, 320..=480)] {
            query.failed(at(0), BACKOFF, &mut random);
            assert_eq!(query.failures(), failures);
            assert!(range.contains(&wait(&query, at(0))));
            assert_eq!(query.state(at(500)), QueryState::Due);
        }
        query.reset(at(10));
        assert_eq!((query.state(at(10)), query.failures()), (QueryState::Due, 0));
    }

    #[test]
    fn a_failure_that_is_counted_meanwhile_leaves_the_request_in_flight() {
        let (mut query, mut random) = (Query::default(), SplitMix64::new(1));
        query.sent();
        query.postpone(at(0), BACKOFF, &mut random);
        assert_eq!(query.state(at(0)), QueryState::InFlight);
        query.on_response();
        assert!((80..=120).contains(&wait(&query, at(0))), "the wait counts after a response, too");
        query.wait_until(at(50));
        assert!(wait(&query, at(0)) >= 80);
        query.wait_until(at(500));
        assert_eq!(wait(&query, at(0)), 500);
    }
}
