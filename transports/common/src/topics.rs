//! How many partitions a topic has, and which one is next: asked once, and remembered for a while.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kafka_batch_core::TopicPartition;
use kafka_batch_core::partitioner::StickyPartitioner;

use crate::slot::{Slot, lock};

/// The topics that a producer sends to, as far as they are known. `E` is why one is not.
#[derive(Debug)]
pub struct Topics<E> {
    state: Mutex<State<E>>,
    /// How old an answer may be.
    max_age: Duration,
    /// How long a topic is remembered that nobody sends to.
    max_idle: Duration,
}

/// How many partitions there are.
pub type Count<E> = Result<NonZeroU32, E>;

#[derive(Debug)]
struct State<E> {
    each: HashMap<String, Topic<E>>,
    /// When those that nobody sends to were last looked for.
    swept: Instant,
    /// The next topic's partitions are drawn from it.
    seed: u64,
}

#[derive(Debug)]
struct Topic<E> {
    known: Option<(NonZeroU32, Instant)>,
    sticky: StickyPartitioner,
    used: Instant,
    /// Those who wait for the answer; `None` while nobody asks.
    asking: Option<Vec<Arc<Slot<Count<E>>>>>,
}

impl<E> State<E> {
    /// The topic, made if it is not there. This is where others are forgotten: what it costs to look at all of them is
    /// spent once in `max_idle`.
    fn topic(&mut self, name: &str, now: Instant, max_idle: Duration) -> &mut Topic<E> {
        if now.saturating_duration_since(self.swept) >= max_idle {
            self.swept = now;
            self.each.retain(|other, topic| {
                let idle = now.saturating_duration_since(topic.used);
                other == name || topic.asking.is_some() || idle < max_idle
            });
        }
        if !self.each.contains_key(name) {
            self.seed = self.seed.wrapping_add(1);
            let sticky = StickyPartitioner::new(self.seed);
            self.each.insert(name.to_owned(), Topic { known: None, sticky, used: now, asking: None });
        }
        let topic = self.each.get_mut(name).expect("it is there now");
        topic.used = now;
        topic
    }
}

impl<E: Clone> Topics<E> {
    /// None yet. Partitions are drawn from the seed; an answer is asked for anew after `max_age`, and a topic that nobody
    /// sends to is forgotten after twice that.
    #[must_use]
    pub fn new(seed: u64, max_age: Duration) -> Self {
        let state = State { each: HashMap::new(), swept: Instant::now(), seed };
        Self { state: Mutex::new(state), max_age, max_idle: max_age.saturating_mul(2) }
    }

    /// A topic that nobody sends to is forgotten after `max_idle`, or a while later. Kafka's `metadata.max.idle.ms`.
    #[must_use]
    pub fn max_idle(mut self, max_idle: Duration) -> Self {
        self.max_idle = max_idle;
        self
    }

    /// How many partitions it has, if an answer that is not too old is there.
    pub fn known(&self, topic: &str) -> Option<NonZeroU32> {
        let (partitions, at) = lock(&self.state).each.get(topic)?.known?;
        (at.elapsed() < self.max_age).then_some(partitions)
    }

    /// How many it had by what was last heard, however long ago.
    pub fn remembered(&self, topic: &str) -> Option<NonZeroU32> {
        Some(lock(&self.state).each.get(topic)?.known?.0)
    }

    /// Whether it has this partition by what was last heard, however long ago: partitions do not go away.
    pub fn has(&self, to: &TopicPartition) -> bool {
        let state = lock(&self.state);
        let known = state.each.get(&to.topic).and_then(|topic| topic.known);
        known.is_some_and(|(partitions, _)| has(partitions, to.partition))
    }

    /// Makes the caller the one who asks, without waiting for the answer. False if somebody asks already.
    pub fn begin_asking(&self, topic: &str) -> bool {
        let mut state = lock(&self.state);
        let asking = &mut state.topic(topic, Instant::now(), self.max_idle).asking;
        let is_first = asking.is_none();
        asking.get_or_insert_default();
        is_first
    }

    /// Waits with those who ask already; says whether there were none.
    pub fn join(&self, topic: &str) -> (Arc<Slot<Count<E>>>, bool) {
        let slot = Arc::new(Slot::new());
        let mut state = lock(&self.state);
        let topic = state.topic(topic, Instant::now(), self.max_idle);
        let is_first = topic.asking.is_none();
        topic.asking.get_or_insert_default().push(Arc::clone(&slot));
        (slot, is_first)
    }

    /// Tells all that ask for it. An error that is not of the topic makes nothing untrue that was known before: brokers that
    /// do not answer at present, say.
    pub fn answer(&self, topic: &str, answer: &Count<E>, is_of_the_topic: bool) {
        let mut state = lock(&self.state);
        let Some(entry) = state.each.get_mut(topic) else { return };
        let asking = entry.asking.take();
        match answer {
            Ok(partitions) => entry.known = Some((*partitions, Instant::now())),
            Err(_) if !is_of_the_topic && entry.known.is_some() => {}
            Err(_) => drop(state.each.remove(topic)),
        }
        drop(state);
        asking.into_iter().flatten().for_each(|slot| slot.fill(answer.clone()));
    }

    /// Nobody will answer any more.
    pub fn give_up(&self, reason: &E) {
        let topics = std::mem::take(&mut lock(&self.state).each);
        let asking = topics.into_values().filter_map(|topic| topic.asking).flatten();
        asking.for_each(|slot| slot.fill(Err(reason.clone())));
    }

    /// What was known of a topic turned out to be wrong.
    pub fn forget(&self, topic: &str) {
        if let Some(topic) = lock(&self.state).each.get_mut(topic) {
            topic.known = None;
        }
    }

    /// The partition that batches without one go to at present.
    pub fn pick(&self, topic: &str, partitions: NonZeroU32) -> i32 {
        lock(&self.state).topic(topic, Instant::now(), self.max_idle).sticky.partition(partitions)
    }

    /// A batch went there: the next one without a partition goes elsewhere.
    pub fn sent(&self, topic: &str, partition: i32) {
        let mut state = lock(&self.state);
        let topic = state.topic(topic, Instant::now(), self.max_idle);
        let Some((partitions, _)) = topic.known else { return };
        if topic.sticky.partition(partitions) == partition {
            topic.sticky.batch_sent(partitions);
        }
    }
}

/// Whether a topic with so many partitions has this one.
#[must_use]
pub fn has(partitions: NonZeroU32, partition: i32) -> bool {
    u32::try_from(partition).is_ok_and(|partition| partition < partitions.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(300);

    fn state() -> (State<()>, Instant) {
        let start = Instant::now();
        (State { each: HashMap::new(), swept: start, seed: 0 }, start)
    }

    #[test]
    fn a_topic_that_nobody_sends_to_is_forgotten_and_the_others_are_not() {
        let (mut state, start) = state();
        let names: Vec<String> = (0..1_000).map(|number| format!("once {number}")).collect();
        for name in &names {
            state.topic(name, start, IDLE).known = Some((NonZeroU32::MIN, start));
        }
        state.topic("asked for", start, IDLE).asking = Some(Vec::new());
        for seconds in (0..600).step_by(10) {
            state.topic("steady", start + Duration::from_secs(seconds), IDLE).known = Some((NonZeroU32::MIN, start));
        }
        let mut left: Vec<_> = state.each.keys().map(String::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["asked for", "steady"], "those who ask are waited for");
        assert!(state.each["steady"].known.is_some());
    }

    #[test]
    fn however_many_topics_come_and_go_only_those_of_late_are_remembered() {
        let (mut state, start) = state();
        for second in 0..10_000_u64 {
            state.topic(&second.to_string(), start + Duration::from_secs(second), IDLE);
            assert!(state.each.len() <= 601);
        }
    }

    #[test]
    fn what_is_old_is_asked_for_once_and_remembered_until_there_is_an_answer() {
        let topics = Topics::<()>::new(7, Duration::ZERO);
        let (one, two) = (NonZeroU32::MIN, NonZeroU32::new(2).unwrap());
        let (_slot, is_first) = topics.join("t");
        assert!(is_first && !topics.begin_asking("t"));
        topics.answer("t", &Ok(one), true);
        assert_eq!((topics.known("t"), topics.remembered("t")), (None, Some(one)), "it is old at once");
        assert!(topics.begin_asking("t") && !topics.begin_asking("t"));
        topics.answer("t", &Err(()), false);
        assert_eq!(topics.remembered("t"), Some(one), "nobody answers at present");
        assert!(topics.begin_asking("t"));
        topics.answer("t", &Ok(two), true);
        assert_eq!(topics.remembered("t"), Some(two));
    }

    #[test]
    fn a_topic_that_was_forgotten_in_between_has_a_partition_all_the_same() {
        let topics = Topics::<()>::new(7, Duration::ZERO);
        let three = NonZeroU32::new(3).unwrap();
        let picked: Vec<_> = (0..50).map(|number| topics.pick(&number.to_string(), three)).collect();
        assert!((0..3).all(|partition| picked.contains(&partition)), "{picked:?}");
        assert_eq!(lock(&topics.state).each.len(), 1, "nothing may be idle at all");
    }
}
