//! The timers of the machine, each with at most one deadline.

use alloc::collections::{BTreeMap, BinaryHeap};
use core::cmp::Reverse;

use super::index::PartitionIndex;
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
    /// The throttle time of a broker has ended.
    Throttle(ConnectionId),
    /// A node may be connected to again.
    Reconnect(Node),
    /// The retry backoff of a partition's next batch has ended.
    Retry(PartitionIndex),
    /// The delivery timeout of the oldest batch.
    Delivery,
    /// Metadata may be requested again.
    MetadataRetry,
    /// Metadata has been needed, and not been obtained, for `metadata.recovery.rebootstrap.trigger.ms`.
    Rebootstrap,
    /// Another Produce request may be sent to a node, by the limit of their rate.
    Rate(Node),
    /// Metadata is too old.
    MetadataAge,
    /// Unused topics and partitions are forgotten.
    MetadataIdle,
    /// The timeout of the lookups of topics.
    LookupTopic,
    /// A producer id may be requested again.
    ProducerId,
    /// Another token of OAUTHBEARER is to be asked for.
    Token,
    /// A request of a transaction may be sent again.
    Transaction,
    /// Initialising transactions, or closing while one is being ended, is given up.
    TransactionDeadline,
    /// Telemetry is due, or its last push is given up.
    Telemetry,
}

/// The timers that are set.
///
/// Most deadlines move later before they are due, once for each request. So the heap has a time for each timer at which
/// it is to be looked at, which is its deadline or earlier: moving a deadline later changes a number, and the heap is
/// corrected when that time is the first of all.
#[derive(Debug, Default)]
pub(super) struct Timers {
    /// Timers of one kind each, by [`Timer::single`].
    singles: [Option<Set>; SINGLES],
    /// The other ones.
    others: BTreeMap<Timer, Set>,
    /// How many timers there are.
    count: usize,
    /// With each timer's [`Set::queued`], and others, which are obsolete.
    heap: BinaryHeap<Reverse<(Instant, Timer)>>,
    /// Whether the first time in the heap is known to be a deadline.
    is_first_known: bool,
}

#[derive(Clone, Copy, Debug)]
struct Set {
    /// `None`: the timer was set before.
    deadline: Option<Instant>,
    /// The time in the heap: no later than the deadline.
    queued: Instant,
}

/// The heap may have this many obsolete times more than there are timers.
const OBSOLETE: usize = 32;

/// How many kinds of timers exist once.
const SINGLES: usize = 11;

impl Timer {
    /// Returns the place of a timer that exists once. These are set for each batch, and are not to be searched for.
    const fn single(self) -> Option<usize> {
        Some(match self {
            Self::Overdue(_)
            | Self::Idle(_)
            | Self::Throttle(_)
            | Self::Reconnect(_)
            | Self::Retry(_)
            | Self::Rate(_) => {
                return None;
            }
            Self::Delivery => 0,
            Self::MetadataRetry => 1,
            Self::Rebootstrap => 2,
            Self::MetadataAge => 3,
            Self::MetadataIdle => 4,
            Self::LookupTopic => 5,
            Self::ProducerId => 6,
            Self::Token => 7,
            Self::Transaction => 8,
            Self::TransactionDeadline => 9,
            Self::Telemetry => 10,
        })
    }
}

impl Timers {
    /// Sets the deadline of a timer, or moves it.
    pub(super) fn set(&mut self, timer: Timer, at: Instant) {
        self.forget_first(timer);
        match self.get_mut(timer) {
            Some(set) => {
                set.deadline = Some(at);
                if set.queued <= at {
                    return;
                }
                set.queued = at;
            }
            None => self.insert(timer, Set { deadline: Some(at), queued: at }),
        }
        self.is_first_known = false;
        self.heap.push(Reverse((at, timer)));
        if self.heap.len() > 2 * self.count + OBSOLETE {
            self.discard_obsolete();
        }
    }

    fn get(&self, timer: Timer) -> Option<&Set> {
        match timer.single() {
            Some(place) => self.singles[place].as_ref(),
            None => self.others.get(&timer),
        }
    }

    fn get_mut(&mut self, timer: Timer) -> Option<&mut Set> {
        match timer.single() {
            Some(place) => self.singles[place].as_mut(),
            None => self.others.get_mut(&timer),
        }
    }

    fn insert(&mut self, timer: Timer, set: Set) {
        let earlier = match timer.single() {
            Some(place) => self.singles[place].replace(set),
            None => self.others.insert(timer, set),
        };
        self.count += usize::from(earlier.is_none());
    }

    fn discard_obsolete(&mut self) {
        let mut times = core::mem::take(&mut self.heap).into_vec();
        times.retain(|Reverse((at, timer))| self.get(*timer).is_some_and(|set| set.queued == *at));
        times.sort_unstable();
        times.dedup();
        self.heap = times.into();
    }

    /// Records that the deadline of a timer changes.
    fn forget_first(&mut self, timer: Timer) {
        if self.is_first_known && self.heap.peek().is_some_and(|first| first.0.1 == timer) {
            self.is_first_known = false;
        }
    }

    pub(super) fn is_set(&self, timer: Timer) -> bool {
        self.get(timer).is_some_and(|set| set.deadline.is_some())
    }

    /// Returns the deadline of a timer, if it is set.
    pub(super) fn deadline(&self, timer: Timer) -> Option<Instant> {
        self.get(timer)?.deadline
    }

    /// Clears a timer that will be set again soon.
    pub(super) fn clear(&mut self, timer: Timer) {
        self.forget_first(timer);
        if let Some(set) = self.get_mut(timer) {
            set.deadline = None;
        }
    }

    /// Clears a timer that will not be set again, or not soon.
    pub(super) fn remove(&mut self, timer: Timer) {
        self.forget_first(timer);
        let removed = match timer.single() {
            Some(place) => self.singles[place].take(),
            None => self.others.remove(&timer),
        };
        self.count -= usize::from(removed.is_some());
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
    pub(super) fn next(&mut self) -> Option<Instant> {
        self.first().map(|(at, _)| at)
    }

    /// Removes a timer that is due and returns it: the earliest first, and those of one moment in the order of
    /// [`Timer`].
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Timer> {
        // No deadline is earlier than the first time in the heap.
        self.heap.peek().filter(|first| first.0.0 <= now)?;
        let (_, timer) = self.first().filter(|&(at, _)| at <= now)?;
        self.remove(timer);
        self.heap.pop();
        Some(timer)
    }

    /// Returns the timer with the first deadline. It is then the first in the heap.
    fn first(&mut self) -> Option<(Instant, Timer)> {
        loop {
            let &Reverse((at, timer)) = self.heap.peek()?;
            if self.is_first_known {
                return Some((at, timer));
            }
            let set = self.get_mut(timer).filter(|set| set.queued == at);
            match set.map(|set| (set.deadline, set)) {
                Some((Some(deadline), _)) if deadline == at => self.is_first_known = true,
                Some((Some(later), set)) => {
                    set.queued = later;
                    if let Some(mut first) = self.heap.peek_mut() {
                        *first = Reverse((later, timer));
                    }
                }
                Some((None, _)) => {
                    self.remove(timer);
                    self.heap.pop();
                }
                None => {
                    self.heap.pop();
                }
            }
        }
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
        timers.set(Timer::Retry(2), at(1));
        timers.set(Timer::Retry(1), at(1));
        timers.set_or_clear(Timer::MetadataRetry, Some(at(0)));
        let mut due = alloc::vec::Vec::new();
        while let Some(timer) = timers.pop_due(at(1)) {
            due.push(timer);
        }
        assert_eq!(due, [Timer::MetadataRetry, Timer::Retry(1), Timer::Retry(2), Timer::ProducerId]);
        timers.set(Timer::MetadataAge, at(5));
        timers.set_or_clear(Timer::MetadataAge, None);
        assert_eq!(timers.next(), None);
        timers.clear_all();
    }

    #[test]
    fn a_deadline_moves_in_both_directions() {
        let mut timers = Timers::default();
        for (deadline, next) in [(20, 20), (30, 30), (10, 10), (40, 40), (15, 15)] {
            timers.set(Timer::Delivery, at(deadline));
            assert_eq!(timers.next(), Some(at(next)));
        }
        timers.set(Timer::Delivery, at(50));
        timers.set(Timer::MetadataAge, at(45));
        assert_eq!(timers.pop_due(at(44)), None);
        assert_eq!([timers.pop_due(at(60)), timers.pop_due(at(60))], [Timer::MetadataAge, Timer::Delivery].map(Some));
        assert_eq!(timers.pop_due(at(60)), None);
    }

    #[test]
    fn a_cleared_timer_is_not_due_and_can_be_set_again() {
        let mut timers = Timers::default();
        timers.set(Timer::Delivery, at(10));
        timers.clear(Timer::Delivery);
        assert!(!timers.is_set(Timer::Delivery));
        timers.set(Timer::Delivery, at(20));
        assert_eq!(timers.pop_due(at(10)), None);
        timers.remove(Timer::Delivery);
        timers.set(Timer::Delivery, at(10));
        assert_eq!(timers.pop_due(at(10)), Some(Timer::Delivery));
        assert_eq!(timers.pop_due(at(30)), None, "once for each time that it is set");
    }

    #[test]
    fn obsolete_times_are_discarded() {
        let mut timers = Timers::default();
        for step in 0..10_000 {
            timers.set(Timer::Delivery, at(20_000 - step));
            timers.set(Timer::Retry(step as usize), at(5));
            timers.remove(Timer::Retry(step as usize));
        }
        assert!(timers.heap.len() <= 2 + OBSOLETE + 1, "{}", timers.heap.len());
        assert_eq!(timers.count, 1);
        assert_eq!(timers.next(), Some(at(10_001)));
    }
}
