//! How many partitions a topic has, and which one is next: asked once, and remembered for a while.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kafka_batch_core::{StickyPartitioner, TopicPartition};

use crate::slot::{Slot, lock};

/// The topics that a producer sends to, as far as they are known. `E` is why one is not.
#[derive(Debug)]
pub struct Topics<E> {
    state: Mutex<HashMap<String, Topic<E>>>,
    seed: u64,
    /// How old an answer may be.
    max_age: Duration,
}

/// How many partitions there are.
pub type Count<E> = Result<NonZeroU32, E>;

#[derive(Debug)]
struct Topic<E> {
    known: Option<(NonZeroU32, Instant)>,
    sticky: StickyPartitioner,
    /// Those who wait for the answer; `None` while nobody asks.
    asking: Option<Vec<Arc<Slot<Count<E>>>>>,
}

impl<E: Clone> Topics<E> {
    /// None yet. Partitions are drawn from the seed; an answer is asked for anew after `max_age`.
    #[must_use]
    pub fn new(seed: u64, max_age: Duration) -> Self {
        Self { state: Mutex::default(), seed, max_age }
    }

    /// How many partitions it has, if an answer that is not too old is there.
    pub fn known(&self, topic: &str) -> Option<NonZeroU32> {
        let (partitions, at) = lock(&self.state).get(topic)?.known?;
        (at.elapsed() < self.max_age).then_some(partitions)
    }

    /// Whether it has this partition by what was last heard, however long ago: partitions do not go away.
    pub fn has(&self, to: &TopicPartition) -> bool {
        let state = lock(&self.state);
        let known = state.get(&to.topic).and_then(|topic| topic.known);
        known.is_some_and(|(partitions, _)| has(partitions, to.partition))
    }

    /// Waits with those who ask already; says whether there were none.
    pub fn join(&self, topic: &str) -> (Arc<Slot<Count<E>>>, bool) {
        let slot = Arc::new(Slot::new());
        let mut state = lock(&self.state);
        let seed = self.seed.wrapping_add(state.len() as u64);
        let topic = match state.entry(topic.to_owned()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                entry.insert(Topic { known: None, sticky: StickyPartitioner::new(seed), asking: None })
            }
        };
        let is_first = topic.asking.is_none();
        topic.asking.get_or_insert_default().push(Arc::clone(&slot));
        (slot, is_first)
    }

    /// Tells all that ask for it. An error that is not of the topic makes nothing untrue that was known before: brokers that
    /// do not answer at present, say.
    pub fn answer(&self, topic: &str, answer: &Count<E>, is_of_the_topic: bool) {
        let mut state = lock(&self.state);
        let Some(entry) = state.get_mut(topic) else { return };
        let asking = entry.asking.take();
        match answer {
            Ok(partitions) => entry.known = Some((*partitions, Instant::now())),
            Err(_) if !is_of_the_topic && entry.known.is_some() => {}
            Err(_) => drop(state.remove(topic)),
        }
        drop(state);
        asking.into_iter().flatten().for_each(|slot| slot.fill(answer.clone()));
    }

    /// Nobody will answer any more.
    pub fn give_up(&self, reason: &E) {
        let topics = std::mem::take(&mut *lock(&self.state));
        let asking = topics.into_values().filter_map(|topic| topic.asking).flatten();
        asking.for_each(|slot| slot.fill(Err(reason.clone())));
    }

    /// What was known of a topic turned out to be wrong.
    pub fn forget(&self, topic: &str) {
        if let Some(topic) = lock(&self.state).get_mut(topic) {
            topic.known = None;
        }
    }

    /// The partition that batches without one go to at present.
    pub fn pick(&self, topic: &str, partitions: NonZeroU32) -> i32 {
        lock(&self.state).get_mut(topic).map_or(0, |topic| topic.sticky.partition(partitions))
    }

    /// A batch went there: the next one without a partition goes elsewhere.
    pub fn sent(&self, topic: &str, partition: i32) {
        let mut state = lock(&self.state);
        let Some(topic) = state.get_mut(topic) else { return };
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
