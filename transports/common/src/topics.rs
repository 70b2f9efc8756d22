//! How many partitions a topic has, and which one is next: asked once, and remembered for a while.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kafka_batch_core::protocol::ErrorCode;
use kafka_batch_core::{SendErrorReason, StickyPartitioner, TopicPartition};

use crate::error::{Refused, Stopped, Unreachable};
use crate::slot::{Slot, lock};

#[derive(Debug)]
pub(crate) struct Topics {
    state: Mutex<HashMap<String, Topic>>,
    seed: u64,
    /// How old an answer may be.
    max_age: Duration,
}

/// How many partitions there are.
pub(crate) type Count = Result<NonZeroU32, Unknown>;

#[derive(Debug)]
struct Topic {
    known: Option<(NonZeroU32, Instant)>,
    sticky: StickyPartitioner,
    /// Those who wait for the answer; `None` while nobody asks.
    asking: Option<Vec<Arc<Slot<Count>>>>,
}

/// Why it is not known how many partitions a topic has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unknown {
    Topic,
    NoBroker(Unreachable),
    Refused(ErrorCode),
    Closed,
    Stopped,
}

impl Topics {
    pub(crate) fn new(seed: u64, max_age: Duration) -> Self {
        Self { state: Mutex::default(), seed, max_age }
    }

    /// How many partitions it has, if an answer that is not too old is there.
    pub(crate) fn known(&self, topic: &str) -> Option<NonZeroU32> {
        let (partitions, at) = lock(&self.state).get(topic)?.known?;
        (at.elapsed() < self.max_age).then_some(partitions)
    }

    /// Waits with those who ask already; says whether there were none.
    pub(crate) fn join(&self, topic: &str) -> (Arc<Slot<Count>>, bool) {
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

    /// Tells all that ask for it.
    pub(crate) fn answer(&self, topic: &str, answer: &Count) {
        let mut state = lock(&self.state);
        let Some(entry) = state.get_mut(topic) else { return };
        let asking = entry.asking.take();
        match answer {
            Ok(partitions) => entry.known = Some((*partitions, Instant::now())),
            Err(_) => drop(state.remove(topic)),
        }
        drop(state);
        asking.into_iter().flatten().for_each(|slot| slot.fill(answer.clone()));
    }

    /// Nobody will answer any more.
    pub(crate) fn give_up(&self, reason: &Unknown) {
        let topics = std::mem::take(&mut *lock(&self.state));
        let asking = topics.into_values().filter_map(|topic| topic.asking).flatten();
        asking.for_each(|slot| slot.fill(Err(reason.clone())));
    }

    /// What was known of a topic turned out to be wrong.
    pub(crate) fn forget(&self, topic: &str) {
        if let Some(topic) = lock(&self.state).get_mut(topic) {
            topic.known = None;
        }
    }

    /// The partition that batches without one go to at present.
    pub(crate) fn pick(&self, topic: &str, partitions: NonZeroU32) -> i32 {
        lock(&self.state).get_mut(topic).map_or(0, |topic| topic.sticky.partition(partitions))
    }

    /// A batch went there: the next one without a partition goes elsewhere.
    pub(crate) fn sent(&self, topic: &str, partition: i32) {
        let mut state = lock(&self.state);
        let Some(topic) = state.get_mut(topic) else { return };
        let Some((partitions, _)) = topic.known else { return };
        if topic.sticky.partition(partitions) == partition {
            topic.sticky.batch_sent(partitions);
        }
    }
}

/// Whether a topic with so many partitions has this one.
pub(crate) fn has(partitions: NonZeroU32, to: &TopicPartition) -> bool {
    u32::try_from(to.partition).is_ok_and(|partition| partition < partitions.get())
}

impl Unknown {
    /// What the machine said of a topic that it was to look up, and what it last heard of brokers.
    pub(crate) fn new(code: ErrorCode, last_trouble: Option<&str>) -> Self {
        match code {
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION | ErrorCode::LEADER_NOT_AVAILABLE => Self::Topic,
            ErrorCode::REQUEST_TIMED_OUT => {
                let last = last_trouble.unwrap_or("no answer came within request.timeout.ms").to_owned();
                Self::NoBroker(Unreachable { last })
            }
            code => Self::Refused(code),
        }
    }

    /// The same to whoever wants to send, with the addresses that were tried.
    pub(crate) fn into_reason(self, topic: &str, brokers: &str) -> SendErrorReason {
        let topic = topic.to_owned();
        match self {
            Self::Topic => SendErrorReason::UnknownTopic { topic },
            Self::NoBroker(error) => SendErrorReason::NoBroker { brokers: brokers.to_owned(), source: Box::new(error) },
            Self::Refused(code) => SendErrorReason::Transport(Box::new(Refused { topic, code })),
            Self::Closed => SendErrorReason::Closed,
            Self::Stopped => SendErrorReason::Transport(Box::new(Stopped)),
        }
    }
}
