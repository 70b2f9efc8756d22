//! How many partitions a topic has, and which one is next: asked once, and remembered for a while.

use std::future::poll_fn;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use kafka_batch_core::SendErrorReason;
use kafka_batch_core::protocol::{ApiKey, BrokerError};
use kafka_batch_transport::waiting::{self, Count};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, Producer};

use crate::context::Context;
use crate::error::LibrdkafkaError;
use crate::verdict;

/// How old an answer may be: as old as librdkafka lets its own get (`topic.metadata.refresh.interval.ms`).
const MAX_AGE: Duration = Duration::from_secs(300);

/// Between two questions about a topic that is not there yet, because a broker that creates topics takes a moment for it
/// and tells nobody when it has. Kafka's `retry.backoff.ms`.
const BACKOFF: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(crate) struct Topics {
    pub(crate) cache: waiting::Topics<TopicError>,
    timeout: Duration,
}

/// How many partitions there are.
type Answer = Count<TopicError>;

/// Why it is not known how many partitions a topic has.
#[derive(Clone, Debug)]
pub(crate) enum TopicError {
    Topic,
    NoBroker(LibrdkafkaError),
    Authentication(LibrdkafkaError),
    Refused(BrokerError),
    Other(LibrdkafkaError),
    Thread(String),
}

impl Topics {
    pub(crate) fn new(seed: u64, timeout: Duration) -> Self {
        let longest = Duration::from_millis(i32::MAX as u64); // that librdkafka can be told
        Self { cache: waiting::Topics::new(seed, MAX_AGE), timeout: timeout.min(longest) }
    }

    /// Asks the brokers, and waits for the answer. Whoever asks for the same topic meanwhile gets the same answer.
    ///
    /// librdkafka's question blocks, so it is asked on a thread of its own; it is asked seldom.
    pub(crate) async fn ask(self: &Arc<Self>, client: &Arc<BaseProducer<Context>>, topic: &str) -> Answer {
        let (slot, is_first) = self.cache.join(topic);
        if is_first {
            let (topics, client, asked) = (Arc::clone(self), Arc::clone(client), topic.to_owned());
            let thread = thread::Builder::new().name("kafka-batch metadata".to_owned()).spawn(move || {
                let answer = fetch_partition_count(&client, &asked, topics.timeout);
                topics.answer(&asked, &answer);
            });
            if let Err(error) = thread {
                self.answer(topic, &Err(TopicError::Thread(error.to_string())));
            }
        }
        poll_fn(|context| slot.poll_take(context)).await
    }

    fn answer(&self, topic: &str, answer: &Answer) {
        let is_of_the_topic = !matches!(answer, Err(TopicError::NoBroker(_) | TopicError::Authentication(_) | TopicError::Thread(_)));
        self.cache.answer(topic, answer, is_of_the_topic);
    }
}

/// Asks until there is an answer or the time is up.
fn fetch_partition_count(client: &BaseProducer<Context>, topic: &str, timeout: Duration) -> Answer {
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
                    (Some(code), _) if !may_be_creating(code) => {
                        return Err(match verdict::broker_code(code) {
                            Some(code) => TopicError::Refused(BrokerError::new(ApiKey::Metadata, code)),
                            None => TopicError::Other(LibrdkafkaError::new(code, None)),
                        });
                    }
                    _ => TopicError::Topic,
                }
            }
            Err(error) => metadata_error(client, &error),
        };
        if start.elapsed() + BACKOFF >= timeout {
            return Err(not_yet);
        }
        thread::sleep(BACKOFF);
    }
}

/// What a broker answers about a topic that it is just creating; and, alas, about one that will never be.
const fn may_be_creating(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::UnknownTopicOrPartition
            | RDKafkaErrorCode::UnknownTopic
            | RDKafkaErrorCode::LeaderNotAvailable
    )
}

fn metadata_error(client: &BaseProducer<Context>, error: &KafkaError) -> TopicError {
    let last = client.context().last_error();
    let details = last.as_ref().map(|(_, reason)| reason.as_str());
    if let Some((code @ RDKafkaErrorCode::Authentication, _)) = last {
        return TopicError::Authentication(LibrdkafkaError::new(code, details));
    }
    let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
    TopicError::NoBroker(LibrdkafkaError::new(code, details))
}

impl TopicError {
    /// The same to whoever wants to send, with the addresses that were tried.
    pub(crate) fn into_reason(self, topic: &str, brokers: &str) -> SendErrorReason {
        match self {
            Self::Topic => SendErrorReason::UnknownTopic { topic: topic.to_owned() },
            Self::NoBroker(error) => SendErrorReason::NoBroker { brokers: brokers.to_owned(), cause: Box::new(error) },
            Self::Authentication(error) => SendErrorReason::Authentication(Box::new(error)),
            Self::Refused(error) => SendErrorReason::Broker { topic: topic.to_owned(), error },
            Self::Other(error) => SendErrorReason::Transport(Box::new(error)),
            Self::Thread(error) => SendErrorReason::Transport(error.into()),
        }
    }
}
