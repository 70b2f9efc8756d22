//! Topic metadata: partition counts, looked up through librdkafka and cached.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{io, thread};

use kafka_batch_core::SendErrorReason;
use kafka_batch_core::error::{NoBrokerCause, TransportError};
use kafka_batch_core::protocol::{ApiKey, BrokerError, ErrorCode};
use kafka_batch_transport::waiting::{self, LookupResult};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, Producer};

use crate::context::Context;
use crate::error::LibrdkafkaError;
use crate::produce;
use crate::verdict;

/// Maximum age of a cached partition count: librdkafka's own refresh interval (`topic.metadata.refresh.interval.ms`).
const MAX_AGE: Duration = Duration::from_secs(300);

/// Delay between lookups of a topic that may be being created (Kafka's default `retry.backoff.ms`).
const BACKOFF: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(crate) struct Topics {
    pub(crate) cache: waiting::TopicCache<TopicError>,
    timeout: Duration,
}

/// A partition count, or why it is not known.
type Answer = LookupResult<TopicError>;

/// Error: the partition count of a topic is not known.
#[derive(Clone, Debug)]
pub(crate) enum TopicError {
    Topic,
    NoBroker(LibrdkafkaError),
    Authentication(LibrdkafkaError),
    Refused(BrokerError),
    Other(LibrdkafkaError),
    Invalid,
    /// The thread of the lookup could not be started.
    Thread(io::ErrorKind, String),
}

impl Topics {
    pub(crate) fn new(seed: u64, timeout: Duration) -> Self {
        let longest = Duration::from_millis(i32::MAX as u64); // librdkafka's timeouts are i32 ms
        Self { cache: waiting::TopicCache::new(seed, MAX_AGE), timeout: timeout.min(longest) }
    }

    /// Begins to look up a topic. librdkafka's metadata call blocks, so it runs on a thread of its own; lookups are rare.
    pub(crate) fn request(self: &Arc<Self>, client: &Arc<BaseProducer<Context>>, topic: &str) {
        if produce::check_topic(topic).is_err() {
            return self.answer(topic, &Err(TopicError::Invalid));
        }
        let (topics, client, requested) = (Arc::clone(self), Arc::clone(client), topic.to_owned());
        let thread = thread::Builder::new().name("kafka-batch metadata".to_owned()).spawn(move || {
            let answer = fetch_partition_count(&client, &requested, topics.timeout);
            topics.answer(&requested, &answer);
        });
        if let Err(error) = thread {
            self.answer(topic, &Err(TopicError::Thread(error.kind(), error.to_string())));
        }
    }

    fn answer(&self, topic: &str, answer: &Answer) {
        let is_topic_error =
            !matches!(answer, Err(TopicError::NoBroker(_) | TopicError::Authentication(_) | TopicError::Thread(..)));
        self.cache.complete_lookup(topic, answer, is_topic_error);
    }
}

/// Looks the topic up until it is found, an error is final, or `timeout` has passed.
fn fetch_partition_count(client: &BaseProducer<Context>, topic: &str, timeout: Duration) -> Answer {
    let start = Instant::now();
    loop {
        let remaining = timeout.saturating_sub(start.elapsed());
        let last_error = match client.client().fetch_metadata(Some(topic), remaining) {
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
                    (Some(RDKafkaErrorCode::LeaderNotAvailable), _) => {
                        TopicError::Refused(BrokerError::new(ApiKey::Metadata, ErrorCode::LEADER_NOT_AVAILABLE))
                    }
                    _ => TopicError::Topic,
                }
            }
            Err(error) => metadata_error(client, &error),
        };
        if start.elapsed() + BACKOFF >= timeout {
            return Err(last_error);
        }
        thread::sleep(BACKOFF);
    }
}

/// Returns true for error codes that a broker returns both for a topic being created and for one that does not exist.
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
    /// Converts into the error of a send, with the bootstrap servers.
    pub(crate) fn into_reason(self, topic: &str, brokers: &str) -> SendErrorReason {
        match self {
            Self::Topic => SendErrorReason::UnknownTopic { topic: topic.to_owned() },
            Self::NoBroker(error) => {
                let cause = NoBrokerCause::Transport(TransportError::new(error));
                SendErrorReason::NoBroker { brokers: brokers.to_owned(), cause }
            }
            Self::Authentication(error) => SendErrorReason::Authentication(TransportError::new(error).into()),
            Self::Refused(error) => SendErrorReason::Broker { topic: topic.to_owned(), error },
            Self::Other(error) => SendErrorReason::Transport(TransportError::new(error)),
            Self::Invalid => SendErrorReason::InvalidTopic { topic: topic.to_owned() },
            Self::Thread(kind, error) => {
                let text = format!("no thread could be started to look up topic {topic:?}: {error}");
                SendErrorReason::Transport(TransportError::new(io::Error::new(kind, text)))
            }
        }
    }
}
