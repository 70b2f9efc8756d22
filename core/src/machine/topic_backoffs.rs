//! When metadata of topics may be requested. Each topic has a backoff of its own, so that one that does not exist does not
//! delay the lookup of another.

use alloc::collections::BTreeMap;
use alloc::string::String;

use super::backoff::Backoff;
use crate::splitmix64::SplitMix64;
use crate::time::Instant;

/// The topics whose metadata is missing, and when it may be requested.
#[derive(Debug, Default)]
pub(super) struct TopicBackoffs {
    topics: BTreeMap<String, TopicBackoff>,
    /// The earliest moment at which one of the topics may be requested that were wanted since the last request.
    next: Option<Instant>,
}

#[derive(Clone, Copy, Debug, Default)]
struct TopicBackoff {
    /// Consecutive responses without the metadata.
    failures: u32,
    not_before: Instant,
}

impl TopicBackoffs {
    /// Returns when the first of the topics may be requested that were wanted since the last request.
    pub(super) const fn next(&self) -> Option<Instant> {
        self.next
    }

    /// Records that metadata of this topic is wanted: at once, or after its backoff.
    pub(super) fn want(&mut self, topic: &str, now: Instant) {
        let at = self.topics.get(topic).map_or(now, |backoff| backoff.not_before.max(now));
        self.next = Some(self.next.map_or(at, |next| next.min(at)));
    }

    /// Records that a request is sent for every wanted topic, also for those in their backoff.
    pub(super) fn sent(&mut self) {
        self.next = None;
    }

    /// Makes requests for a topic wait until this moment at least.
    pub(super) fn wait_until(&mut self, topic: &str, moment: Instant) {
        let backoff = self.topics.entry(topic.into()).or_default();
        backoff.not_before = backoff.not_before.max(moment);
    }

    /// Records that a response lacks the metadata of this topic, which is still wanted. The topic waits longer with each
    /// such response, except for those that arrive during its backoff, because the requests were for other topics.
    pub(super) fn missing(&mut self, topic: &str, now: Instant, backoff: Backoff, random: &mut SplitMix64) {
        let missing = self.topics.entry(topic.into()).or_default();
        if missing.not_before <= now {
            missing.failures = missing.failures.saturating_add(1);
            missing.not_before = now + backoff.after(missing.failures, random);
        }
        self.want(topic, now);
    }

    /// Records that the metadata of this topic is known: its next failure counts as the first.
    pub(super) fn found(&mut self, topic: &str) {
        self.topics.remove(topic);
    }

    /// Forgets the topics that are not in use.
    pub(super) fn forget_unused(&mut self, is_used: impl Fn(&str) -> bool) {
        self.topics.retain(|topic, _| is_used(topic));
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    const BACKOFF: Backoff = Backoff { first: Duration::from_millis(100), most: Duration::from_secs(1) };

    fn at(millis: u64) -> Instant {
        Instant::START + Duration::from_millis(millis)
    }

    fn wait(backoffs: &TopicBackoffs, now: Instant) -> u64 {
        backoffs.next().expect("a topic is wanted").since(now).as_millis() as u64
    }

    #[test]
    fn each_topic_waits_longer_with_each_failure_and_no_other_does() {
        let (mut backoffs, mut random) = (TopicBackoffs::default(), SplitMix64::new(1));
        assert_eq!(backoffs.next(), None);
        let mut now = at(0);
        for range in [80..=120, 160..=240, 320..=480] {
            backoffs.sent();
            backoffs.missing("lost", now, BACKOFF, &mut random);
            let time = wait(&backoffs, now);
            assert!(range.contains(&time), "{time}");
            now = backoffs.next().unwrap();
        }
        backoffs.sent();
        backoffs.missing("lost", now, BACKOFF, &mut random);
        backoffs.want("new", now);
        assert_eq!(wait(&backoffs, now), 0, "it has not failed");
        backoffs.sent();
        assert_eq!(backoffs.next(), None, "the request is for all");
    }

    #[test]
    fn responses_during_the_backoff_do_not_extend_it() {
        let (mut backoffs, mut random) = (TopicBackoffs::default(), SplitMix64::new(1));
        backoffs.missing("lost", at(0), BACKOFF, &mut random);
        let next = backoffs.next();
        for millis in [1, 20, 60] {
            backoffs.sent(); // for another topic
            backoffs.missing("lost", at(millis), BACKOFF, &mut random);
            assert_eq!(backoffs.next(), next);
        }
        let now = next.unwrap();
        backoffs.sent();
        backoffs.missing("lost", now, BACKOFF, &mut random);
        assert!((160..=240).contains(&wait(&backoffs, now)), "this is the second failure");
    }

    #[test]
    fn a_topic_that_is_found_or_not_used_is_forgotten() {
        let (mut backoffs, mut random) = (TopicBackoffs::default(), SplitMix64::new(1));
        for topic in ["found", "unused", "used"] {
            backoffs.missing(topic, at(0), BACKOFF, &mut random);
        }
        backoffs.found("found");
        backoffs.forget_unused(|topic| topic == "used");
        for (topic, is_known) in [("found", false), ("unused", false), ("used", true)] {
            backoffs.sent();
            backoffs.want(topic, at(0));
            assert_eq!(wait(&backoffs, at(0)) > 0, is_known, "{topic}");
        }
    }

    #[test]
    fn a_topic_can_be_made_to_wait_and_never_for_less() {
        let mut backoffs = TopicBackoffs::default();
        backoffs.wait_until("known", at(70));
        backoffs.wait_until("known", at(50));
        backoffs.want("known", at(10));
        assert_eq!(wait(&backoffs, at(10)), 60);
        backoffs.want("known", at(90));
        assert_eq!(backoffs.next(), Some(at(70)), "the earliest counts");
        backoffs.sent();
        backoffs.want("known", at(90));
        assert_eq!(backoffs.next(), Some(at(90)));
    }
}
