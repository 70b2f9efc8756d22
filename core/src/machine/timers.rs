//! The timers of the machine, each with at most one deadline.

use alloc::collections::{BTreeMap, BTreeSet};

use super::accumulator::PartitionIndex;
use super::io::ConnectionId;
use super::node::Node;
use crate::time::Instant;

/// The identity of a timer: what its deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// A connection was not established in time, or a response did not arrive in time.
    Overdue(ConnectionId),
    /// A connection has been idle for too long, or its session has expired.
    Idle(ConnectionId),
    /// The throttle time of a broker is over.
    Throttle(ConnectionId),
    /// A node may be connected to again.
    Reconnect(Node),
    /// The retry backoff of a partition's next batch is over.
    Retry(PartitionIndex),
    /// The delivery timeout of a partition's oldest batch.
    Delivery(PartitionIndex),
    /// Metadata may be requested again.
    MetadataRetry,
    /// Metadata is too old.
    MetadataAge,
    /// Unused topics and partitions are forgotten.
    MetadataIdle,
    /// The timeout of the lookups of topics.
    LookupTopic,
    /// A producer id may be requested again.
    ProducerId,
}

/// The timers that are set.
#[derive(Debug, Default)]
pub(super) struct Timers {
    deadlines: BTreeMap<Timer, Instant>,
    by_time: BTreeSet<(Instant, Timer)>,
}

impl Timers {
    /// Sets the deadline of a timer, or moves it.
    pub(super) fn set(&mut self, timer: Timer, at: Instant) {
        match self.deadlines.insert(timer, at) {
            Some(before) if before == at => return,
            Some(before) => self.by_time.remove(&(before, timer)),
            None => false,
        };
        self.by_time.insert((at, timer));
    }

    pub(super) fn is_set(&self, timer: Timer) -> bool {
        self.deadlines.contains_key(&timer)
    }

    pub(super) fn clear(&mut self, timer: Timer) {
        if let Some(before) = self.deadlines.remove(&timer) {
            self.by_time.remove(&(before, timer));
        }
    }

    pub(super) fn set_or_clear(&mut self, timer: Timer, at: Option<Instant>) {
        match at {
            Some(at) => self.set(timer, at),
            None => self.clear(timer),
        }
    }

    pub(super) fn clear_all(&mut self) {
        *self = Self::default();
    }

    /// Returns the next deadline.
    pub(super) fn next(&self) -> Option<Instant> {
        self.by_time.first().map(|&(at, _)| at)
    }

    /// Removes a timer that is due and returns it: the earliest first, and those of one moment in the order of
    /// [`Timer`].
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Timer> {
        let &(at, timer) = self.by_time.first()?;
        if at > now {
            return None;
        }
        self.clear(timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    fn at(millis: u64) -> Instant {
        Instant::START + Duration::from_millis(millis)
    }

    #[test]
    fn the_next_deadline_is_the_earliest_and_each_timer_has_one() {
        let mut timers = Timers::default();
        assert_eq!(timers.next(), None);
        timers.set(Timer::MetadataAge, at(30));
        timers.set(Timer::ProducerId, at(20));
        timers.set(Timer::Retry(4), at(20));
        assert_eq!(timers.next(), Some(at(20)));
        timers.set(Timer::ProducerId, at(40));
        timers.set(Timer::ProducerId, at(40));
        assert_eq!(timers.pop_due(at(19)), None);
        assert_eq!(timers.pop_due(at(20)), Some(Timer::Retry(4)));
        assert_eq!(timers.pop_due(at(20)), None);
        timers.clear(Timer::MetadataAge);
        timers.clear(Timer::MetadataAge);
        assert_eq!(timers.next(), Some(at(40)));
        assert_eq!(timers.pop_due(at(99)), Some(Timer::ProducerId));
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn due_timers_are_ordered_by_time_and_then_by_kind() {
        let mut timers = Timers::default();
        timers.set(Timer::ProducerId, at(1));
        timers.set(Timer::Delivery(2), at(1));
        timers.set(Timer::Delivery(1), at(1));
        timers.set_or_clear(Timer::MetadataRetry, Some(at(0)));
        let mut due = alloc::vec::Vec::new();
        while let Some(timer) = timers.pop_due(at(1)) {
            due.push(timer);
        }
        assert_eq!(due, [Timer::MetadataRetry, Timer::Delivery(1), Timer::Delivery(2), Timer::ProducerId]);
        timers.set(Timer::MetadataAge, at(5));
        timers.set_or_clear(Timer::MetadataAge, None);
        assert_eq!(timers.next(), None);
        timers.clear_all();
    }
}
