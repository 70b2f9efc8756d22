//! A cache of the topics' numbers of partitions, and the choice of a partition for batches without one.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kafka_batch_core::TopicPartition;
use kafka_batch_core::partitioner::StickyPartitioner;

use crate::clock::RuntimeClock;
use crate::oneshot::Slot;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Mutex, lock};

/// A cache of the topics that a producer sends to. `E` is the error of a failed lookup.
#[derive(Debug)]
pub struct TopicCache<E> {
    state: Mutex<State<E>>,
    /// Counts the topics that were removed or forgotten, and new numbers of partitions.
    generation: AtomicU64,
    /// The age at which a response expires.
    max_age: Duration,
    /// The time without use after which a topic is removed.
    max_idle: Duration,
    clock: RuntimeClock,
}

/// A topic's number of partitions, or the error of its lookup.
pub type LookupResult<E> = Result<NonZeroU32, E>;

#[derive(Debug)]
struct State<E> {
    by_name: HashMap<String, Topic<E>>,
    /// When unused topics were last removed, or the first topic was inserted.
    last_cleanup: Option<Instant>,
    /// Incremented for each topic, so that each has its own seed.
    seed: u64,
}

#[derive(Debug)]
struct Topic<E> {
    /// The last known number of partitions, and when it was learnt.
    partition_count: Option<(NonZeroU32, Instant)>,
    sticky: StickyPartitioner,
    used: Instant,
    /// The futures that wait for the pending lookup, or `None` if no lookup is pending.
    lookup: Option<Vec<Arc<Slot<LookupResult<E>>>>>,
}

impl<E> State<E> {
    /// Returns the topic, and inserts it if it is missing. Removes unused topics first, at most once per `max_idle`, because
    /// it iterates over all topics.
    fn topic(&mut self, name: &str, now: Instant, max_idle: Duration) -> &mut Topic<E> {
        let last_cleanup = *self.last_cleanup.get_or_insert(now);
        if now.saturating_duration_since(last_cleanup) >= max_idle {
            self.last_cleanup = Some(now);
            self.by_name.retain(|other, topic| {
                let idle = now.saturating_duration_since(topic.used);
                other == name || topic.lookup.is_some() || idle < max_idle
            });
        }
        if !self.by_name.contains_key(name) {
            self.seed = self.seed.wrapping_add(1);
            let sticky = StickyPartitioner::new(self.seed);
            self.by_name.insert(name.to_owned(), Topic { partition_count: None, sticky, used: now, lookup: None });
        }
        let topic = self.by_name.get_mut(name).expect("it was just inserted");
        topic.used = now;
        topic
    }
}

impl<E: Clone> TopicCache<E> {
    /// Returns an empty cache. The choice of partitions depends on `seed`. Responses expire after `max_age`, and unused topics
    /// are removed after twice that, unless [`max_idle`](Self::max_idle) is set.
    #[must_use]
    pub fn new(seed: u64, max_age: Duration) -> Self {
        let state = State { by_name: HashMap::new(), last_cleanup: None, seed };
        let (generation, max_idle) = (AtomicU64::new(0), max_age.saturating_mul(2));
        Self { state: Mutex::new(state), generation, max_age, max_idle, clock: RuntimeClock::SYSTEM }
    }

    /// Sets the time without use after which a topic is removed, at the earliest (Kafka's `metadata.max.idle.ms`).
    #[must_use]
    pub fn max_idle(mut self, max_idle: Duration) -> Self {
        self.max_idle = max_idle;
        self
    }

    /// Sets the clock, which is the system's by default.
    pub(crate) const fn clock(mut self, clock: RuntimeClock) -> Self {
        self.clock = clock;
        self
    }

    /// Returns the number of partitions, unless it is unknown or expired.
    pub(crate) fn fresh_partition_count(&self, topic: &str) -> Option<NonZeroU32> {
        let (partitions, at) = lock(&self.state).by_name.get(topic)?.partition_count?;
        (self.clock.now().saturating_duration_since(at) < self.max_age).then_some(partitions)
    }

    /// Returns a number that changes whenever [`partition_count`](Self::partition_count) may return another number for a topic,
    /// unless the topic was not used for a while.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    fn changed(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    /// Returns the last known number of partitions, also if it is expired.
    pub(crate) fn partition_count(&self, topic: &str) -> Option<NonZeroU32> {
        Some(lock(&self.state).by_name.get(topic)?.partition_count?.0)
    }

    /// Returns `true` if the partition is known to exist, also if that is expired: Kafka never removes partitions of a topic.
    pub(crate) fn has(&self, to: &TopicPartition) -> bool {
        let state = lock(&self.state);
        let known = state.by_name.get(&to.topic).and_then(|topic| topic.partition_count);
        known.is_some_and(|(partitions, _)| has_partition(partitions, to.partition))
    }

    /// Begins a lookup without waiting for its result. Returns `false` if one is pending already; otherwise the caller has to
    /// request the topic's metadata.
    pub(crate) fn begin_lookup(&self, topic: &str) -> bool {
        let mut state = lock(&self.state);
        let lookup = &mut state.topic(topic, self.clock.now(), self.max_idle).lookup;
        let is_first = lookup.is_none();
        lookup.get_or_insert_default();
        is_first
    }

    /// Joins the pending lookup, or begins one. Returns where its result will be, and whether it was begun, in which case the
    /// caller has to request the topic's metadata.
    pub(crate) fn join_lookup(&self, topic: &str) -> (Arc<Slot<LookupResult<E>>>, bool) {
        let slot = Arc::new(Slot::new());
        let mut state = lock(&self.state);
        let topic = state.topic(topic, self.clock.now(), self.max_idle);
        let is_first = topic.lookup.is_none();
        topic.lookup.get_or_insert_default().push(Arc::clone(&slot));
        (slot, is_first)
    }

    /// Completes the pending lookup. An error removes the topic if it concerns the topic itself, or if nothing was known; other
    /// errors, such as brokers that do not respond, leave the last known number in place.
    pub fn complete_lookup(&self, topic: &str, result: &LookupResult<E>, concerns_topic: bool) {
        let mut state = lock(&self.state);
        let Some(entry) = state.by_name.get_mut(topic) else { return };
        let slots = entry.lookup.take();
        match result {
            Ok(partitions) => entry.partition_count = Some((*partitions, self.clock.now())),
            Err(_) if !concerns_topic && entry.partition_count.is_some() => {}
            Err(_) => drop(state.by_name.remove(topic)),
        }
        drop(state);
        self.changed();
        slots.into_iter().flatten().for_each(|slot| slot.fill(result.clone()));
    }

    /// Fails all pending lookups, and removes all topics.
    pub fn fail_lookups(&self, reason: &E) {
        let topics = std::mem::take(&mut lock(&self.state).by_name);
        self.changed();
        // In the order of their names: with simulated time, the order of wake-ups is the same in each run.
        let slots = BTreeMap::from_iter(topics).into_values().filter_map(|topic| topic.lookup).flatten();
        slots.for_each(|slot| slot.fill(Err(reason.clone())));
    }

    /// Discards the known number of partitions of a topic.
    pub fn forget(&self, topic: &str) {
        if let Some(topic) = lock(&self.state).by_name.get_mut(topic) {
            topic.partition_count = None;
        }
        self.changed();
    }

    /// Returns the current sticky partition, for batches without a partition.
    pub fn pick(&self, topic: &str, partitions: NonZeroU32) -> i32 {
        lock(&self.state).topic(topic, self.clock.now(), self.max_idle).sticky.partition(partitions)
    }

    /// Sets the partitions among which those for batches without one are chosen.
    pub(crate) fn prefer(&self, topic: &str, partitions: impl IntoIterator<Item = i32>) {
        if let Some(topic) = lock(&self.state).by_name.get_mut(topic) {
            topic.sticky.prefer(partitions);
        }
    }

    /// Records that a batch for a partition was accepted. If it is the current sticky partition, another one is chosen.
    pub fn on_batch_accepted(&self, topic: &str, partition: i32) {
        self.on_batches_accepted(topic, [partition]);
    }

    /// Records that batches for these partitions were accepted, as [`on_batch_accepted`](Self::on_batch_accepted) for each.
    pub(crate) fn on_batches_accepted(&self, topic: &str, each: impl IntoIterator<Item = i32>) {
        let mut state = lock(&self.state);
        let topic = state.topic(topic, self.clock.now(), self.max_idle);
        let Some((partitions, _)) = topic.partition_count else { return };
        for partition in each {
            if topic.sticky.partition(partitions) == partition {
                topic.sticky.batch_sent(partitions);
            }
        }
    }
}

/// Returns `true` if `partition` is one of a topic's `partitions`, which are numbered from 0.
pub(crate) fn has_partition(partitions: NonZeroU32, partition: i32) -> bool {
    u32::try_from(partition).is_ok_and(|partition| partition < partitions.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(300);

    fn state() -> (State<()>, Instant) {
        let start = Instant::now();
        (State { by_name: HashMap::new(), last_cleanup: Some(start), seed: 0 }, start)
    }

    #[test]
    fn unused_topics_are_removed_and_the_others_are_not() {
        let (mut state, start) = state();
        let names: Vec<String> = (0..1_000).map(|number| format!("once {number}")).collect();
        for name in &names {
            state.topic(name, start, IDLE).partition_count = Some((NonZeroU32::MIN, start));
        }
        state.topic("looked up", start, IDLE).lookup = Some(Vec::new());
        for seconds in (0..600).step_by(10) {
            state.topic("steady", start + Duration::from_secs(seconds), IDLE).partition_count =
                Some((NonZeroU32::MIN, start));
        }
        let mut left: Vec<_> = state.by_name.keys().map(String::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["looked up", "steady"], "a topic with a pending lookup is kept");
        assert!(state.by_name["steady"].partition_count.is_some());
    }

    #[test]
    fn only_recently_used_topics_are_kept() {
        let (mut state, start) = state();
        for second in 0..10_000_u64 {
            state.topic(&second.to_string(), start + Duration::from_secs(second), IDLE);
            assert!(state.by_name.len() <= 601);
        }
    }

    #[test]
    fn an_expired_number_is_looked_up_once_and_kept_until_there_is_a_response() {
        let topics = TopicCache::<()>::new(7, Duration::ZERO);
        let (one, two) = (NonZeroU32::MIN, NonZeroU32::new(2).unwrap());
        let (_slot, is_first) = topics.join_lookup("t");
        assert!(is_first && !topics.begin_lookup("t"));
        topics.complete_lookup("t", &Ok(one), true);
        assert_eq!(
            (topics.fresh_partition_count("t"), topics.partition_count("t")),
            (None, Some(one)),
            "it expires immediately"
        );
        assert!(topics.begin_lookup("t") && !topics.begin_lookup("t"));
        topics.complete_lookup("t", &Err(()), false);
        assert_eq!(topics.partition_count("t"), Some(one), "no broker responds at present");
        assert!(topics.begin_lookup("t"));
        topics.complete_lookup("t", &Ok(two), true);
        assert_eq!(topics.partition_count("t"), Some(two));
    }

    #[test]
    fn a_topic_that_was_removed_meanwhile_still_has_a_partition() {
        let topics = TopicCache::<()>::new(7, Duration::ZERO);
        let three = NonZeroU32::new(3).unwrap();
        let picked: Vec<_> = (0..50).map(|number| topics.pick(&number.to_string(), three)).collect();
        assert!((0..3).all(|partition| picked.contains(&partition)), "{picked:?}");
        assert_eq!(lock(&topics.state).by_name.len(), 1, "max_idle is zero");
    }
}
