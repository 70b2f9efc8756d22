//! A question to the cluster: it is asked, fails, waits, and is asked again. Metadata and the producer id are such.

use super::backoff::Backoff;
use crate::splitmix64::SplitMix64;
use crate::time::Instant;

/// The state of a question that is asked by one request at a time.
#[derive(Clone, Debug, Default)]
pub(super) struct Query {
    is_in_flight: bool,
    /// Consecutive failures.
    failures: u32,
    not_before: Instant,
}

/// Whether a question may be asked now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    Now,
    /// Its request is in flight.
    Asked,
    /// It has failed, and may be asked again at this moment.
    At(Instant),
}

impl Query {
    /// Returns whether it may be asked.
    pub(super) fn ask(&self, now: Instant) -> Ask {
        match self.is_in_flight {
            true => Ask::Asked,
            false if self.not_before > now => Ask::At(self.not_before),
            false => Ask::Now,
        }
    }

    pub(super) const fn is_in_flight(&self) -> bool {
        self.is_in_flight
    }

    /// Records that its request is sent.
    pub(super) fn asked(&mut self) {
        self.is_in_flight = true;
    }

    /// Records that its request was answered, whatever the answer.
    pub(super) fn answered(&mut self) {
        self.is_in_flight = false;
    }

    /// Records that there is no answer, or none that helps: the next request waits, longer with each failure.
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

    /// Records that an answer has helped: the next failure is the first.
    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// Records that an answer has helped, and allows the next request at once.
    pub(super) fn settle(&mut self, now: Instant) {
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
        let Ask::At(moment) = query.ask(now) else { panic!("{:?}", query.ask(now)) };
        moment.since(now).as_millis() as u64
    }

    #[test]
    fn it_is_asked_once_at_a_time_and_waits_longer_after_each_failure() {
        let (mut query, mut random) = (Query::default(), SplitMix64::new(1));
        assert_eq!(query.ask(at(0)), Ask::Now);
        query.asked();
        assert!(query.is_in_flight());
        assert_eq!(query.ask(at(9_000)), Ask::Asked);
        for (failures, range) in [(1, 80..=120), (2, 160..=240), (3, 320..=480)] {
            query.failed(at(0), BACKOFF, &mut random);
            assert_eq!(query.failures(), failures);
            assert!(range.contains(&wait(&query, at(0))));
            assert_eq!(query.ask(at(500)), Ask::Now);
        }
        query.settle(at(10));
        assert_eq!((query.ask(at(10)), query.failures()), (Ask::Now, 0));
    }

    #[test]
    fn a_failure_that_is_counted_meanwhile_leaves_the_request_in_flight() {
        let (mut query, mut random) = (Query::default(), SplitMix64::new(1));
        query.asked();
        query.postpone(at(0), BACKOFF, &mut random);
        assert_eq!(query.ask(at(0)), Ask::Asked);
        query.answered();
        assert!((80..=120).contains(&wait(&query, at(0))), "the wait counts after an answer, too");
        query.wait_until(at(50));
        assert!(wait(&query, at(0)) >= 80);
        query.wait_until(at(500));
        assert_eq!(wait(&query, at(0)), 500);
    }
}
