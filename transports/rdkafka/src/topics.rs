//! How many partitions a topic has, and which one is next: asked once, and remembered for a while.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::future::poll_fn;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use kafka_batch_core::{SendErrorReason, StickyPartitioner, TopicPartition};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, Producer};

use crate::context::Context;
use crate::error::LibrdkafkaError;
use crate::slot::{Slot, lock};

/// How old an answer may be: as old as librdkafka lets its own get (`topic.metadata.refresh.interval.ms`).
const MAX_AGE: Duration = Duration::from_secs(300);

/// Between two questions about a topic that is not there yet, because a broker that creates topics takes a moment for it
/// and tells nobody when it has. Kafka's `retry.backoff.ms`.
const BACKOFF: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(crate) struct Topics {
    state: Mutex<HashMap<String, Topic>>,
    seed: u64,
    timeout: Duration,
}

/// How many partitions there are.
type Answer = Result<NonZeroU32, Unknown>;

#[derive(Debug)]
struct Topic {
    known: Option<(NonZeroU32, Instant)>,
    sticky: StickyPartitioner,
    /// Those who wait for the answer; `None` while nobody asks.
    asking: Option<Vec<Arc<Slot<Answer>>>>,
}

/// Why it is not known how many partitions a topic has.
#[derive(Clone, Debug)]
pub(crate) enum Unknown {
    Topic,
    NoBroker(LibrdkafkaError),
    Other(LibrdkafkaError),
    Thread(String),
}

impl Topics {
    pub(crate) fn new(seed: u64, timeout: Duration) -> Self {
        let longest = Duration::from_millis(i32::MAX as u64); // that librdkafka can be told
        Self { state: Mutex::default(), seed, timeout: timeout.min(longest) }
    }

    /// How many partitions it has, if an answer that is not too old is there.
    pub(crate) fn known(&self, topic: &str) -> Option<NonZeroU32> {
        let state = lock(&self.state);
        let (partitions, at) = state.get(topic)?.known?;
        (at.elapsed() < MAX_AGE).then_some(partitions)
    }

    /// Whether it has this partition by what was last heard, however long ago: partitions do not go away.
    pub(crate) fn has(&self, to: &TopicPartition) -> bool {
        let state = lock(&self.state);
        let known = state.get(&to.topic).and_then(|topic| topic.known);
        known.is_some_and(|(partitions, _)| has(partitions, to.partition))
    }

    /// Asks the brokers, and waits for the answer. Whoever asks for the same topic meanwhile gets the same answer.
    ///
    /// librdkafka's question blocks, so it is asked on a thread of its own; it is asked seldom.
    pub(crate) async fn ask(self: &Arc<Self>, client: &Arc<BaseProducer<Context>>, topic: &str) -> Answer {
        let slot = Arc::new(Slot::new());
        if self.join(topic, &slot) {
            let (topics, client, asked) = (Arc::clone(self), Arc::clone(client), topic.to_owned());
            let thread = thread::Builder::new().name("kafka-batch metadata".to_owned()).spawn(move || {
                let answer = question(&client, &asked, topics.timeout);
                topics.answer(&asked, &answer);
            });
            if let Err(error) = thread {
                self.answer(topic, &Err(Unknown::Thread(error.to_string())));
            }
        }
        poll_fn(|context| slot.poll_take(context)).await
    }

    /// Waits with those who ask already; says whether there were none.
    fn join(&self, topic: &str, slot: &Arc<Slot<Answer>>) -> bool {
        let mut state = lock(&self.state);
        let seed = self.seed.wrapping_add(state.len() as u64);
        let topic = match state.entry(topic.to_owned()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                entry.insert(Topic { known: None, sticky: StickyPartitioner::new(seed), asking: None })
            }
        };
        let is_first = topic.asking.is_none();
        topic.asking.get_or_insert_default().push(Arc::clone(slot));
        is_first
    }

    fn answer(&self, topic: &str, answer: &Answer) {
        let mut state = lock(&self.state);
        let Some(entry) = state.get_mut(topic) else { return };
        let asking = entry.asking.take();
        match answer {
            Ok(partitions) => entry.known = Some((*partitions, Instant::now())),
            // Brokers that do not answer at present make nothing untrue that they said before.
            Err(Unknown::NoBroker(_) | Unknown::Thread(_)) if entry.known.is_some() => {}
            Err(_) => drop(state.remove(topic)),
        }
        drop(state);
        asking.into_iter().flatten().for_each(|slot| slot.fill(answer.clone()));
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
    pub(crate) fn sent(&self, to: &TopicPartition) {
        let mut state = lock(&self.state);
        let Some(topic) = state.get_mut(&to.topic) else { return };
        let Some((partitions, _)) = topic.known else { return };
        if topic.sticky.partition(partitions) == to.partition {
            topic.sticky.batch_sent(partitions);
        }
    }
}

/// Whether a topic with so many partitions has this one.
pub(crate) fn has(partitions: NonZeroU32, partition: i32) -> bool {
    u32::try_from(partition).is_ok_and(|partition| partition < partitions.get())
}

/// Asks until there is an answer or the time is up.
fn question(client: &BaseProducer<Context>, topic: &str, timeout: Duration) -> Answer {
    let start = Instant::now();
    loop {
        let remaining = timeout.saturating_sub(start.elapsed());
        let not_yet = match client.client().fetch_metadata(Some(topic), remaining) {
            Ok(metadata) => {
                let found = metadata.topics().iter().find(|found| found.name() == topic);
                let error = found.and_then(|found| found.error()).map(RDKafkaErrorCode::from);
                let partitions = found.map_or(0, |found| found.partitions().len());
                match (error, u32::try_from(partitions).ok().and_then(NonZeroU32::new)) {
                    (None, Some(partitions)) => return Ok(partitions),
                    (Some(code), _) if !may_be_on_its_way(code) => {
                        return Err(Unknown::Other(LibrdkafkaError::new(code, None)));
                    }
                    _ => Unknown::Topic,
                }
            }
            Err(error) => no_broker(client, &error),
        };
        if start.elapsed() + BACKOFF >= timeout {
            return Err(not_yet);
        }
        thread::sleep(BACKOFF);
    }
}

/// What a broker answers about a topic that it is just creating; and, alas, about one that will never be.
const fn may_be_on_its_way(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::UnknownTopicOrPartition
            | RDKafkaErrorCode::UnknownTopic
            | RDKafkaErrorCode::LeaderNotAvailable
    )
}

fn no_broker(client: &BaseProducer<Context>, error: &KafkaError) -> Unknown {
    let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
    Unknown::NoBroker(LibrdkafkaError::new(code, client.context().last_error().as_deref()))
}

impl Unknown {
    /// The same to whoever wants to send, with the addresses that were tried.
    pub(crate) fn into_reason(self, topic: &str, brokers: &str) -> SendErrorReason {
        match self {
            Self::Topic => SendErrorReason::UnknownTopic { topic: topic.to_owned() },
            Self::NoBroker(error) => SendErrorReason::NoBroker { brokers: brokers.to_owned(), source: Box::new(error) },
            Self::Other(error) => SendErrorReason::Transport(Box::new(error)),
            Self::Thread(error) => SendErrorReason::Transport(error.into()),
        }
    }
}
