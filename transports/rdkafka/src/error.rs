//! What can go wrong here beside what every transport can have go wrong.

use std::fmt;
use std::io;

use kafka_batch_core::OptionsError;
use rdkafka::error::RDKafkaErrorCode;

/// A producer could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A setting is not as it must be.
    #[error("{setting} = {found:?}: {remedy}")]
    Setting {
        /// Its librdkafka name.
        setting: String,
        /// What it was set to; passwords, keys and tokens are left out.
        found: String,
        /// What is wrong with it, and what to do.
        remedy: String,
    },
    /// The batch options contradict each other.
    #[error("batch options: {0}")]
    BatchOptions(#[from] OptionsError),
    /// Each setting by itself is fine, and together they are not; or librdkafka could not start.
    #[error("librdkafka does not take these settings together: {0}")]
    Together(String),
    /// The thread that waits for delivery reports could not be started.
    #[error("the thread for delivery reports could not be started: {0}")]
    Thread(#[source] io::Error),
}

/// An error in librdkafka's own words and numbers: the cause in
/// [`SendErrorReason::Transport`](kafka_batch_core::SendErrorReason::Transport) and
/// [`FailureReason::Transport`](kafka_batch_core::FailureReason::Transport), among others.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LibrdkafkaError {
    /// Its number, `RD_KAFKA_RESP_ERR_…` of librdkafka: below zero where the error is librdkafka's own, the broker's
    /// error code otherwise.
    pub code: i32,
    /// What happened, and what can be done about it.
    pub message: String,
}

impl LibrdkafkaError {
    pub(crate) fn new(code: RDKafkaErrorCode, details: Option<&str>) -> Self {
        let mut message = code.to_string();
        for more in [details, remedy(code)].into_iter().flatten() {
            message.push_str("; ");
            message.push_str(more);
        }
        Self { code: code as i32, message }
    }
}

impl fmt::Display for LibrdkafkaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "librdkafka: {}", self.message)
    }
}

impl std::error::Error for LibrdkafkaError {}

/// What helps against the errors that have a remedy.
const fn remedy(code: RDKafkaErrorCode) -> Option<&'static str> {
    Some(match code {
        RDKafkaErrorCode::UnknownTopic | RDKafkaErrorCode::UnknownTopicOrPartition => {
            "create the topic, or let the broker create topics (auto.create.topics.enable)"
        }
        RDKafkaErrorCode::UnknownPartition => "the topic has fewer partitions: send to one that it has, or add some",
        RDKafkaErrorCode::MessageSizeTooLarge => {
            "raise message.max.bytes of the producer and of the broker, or make the record smaller"
        }
        RDKafkaErrorCode::TopicAuthorizationFailed => "this user may not write to the topic: change the broker's ACLs",
        RDKafkaErrorCode::Fatal => "this producer can send no more: make a new one",
        _ => return None,
    })
}

/// Something that librdkafka cannot be handed as it is. Nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unsendable {
    /// librdkafka writes the present time in place of the timestamp 0, so the record would not be what it says.
    #[error(
        "record {position} has the timestamp 0, in place of which librdkafka writes the present time: \
         give it another one, or use a transport that sends the batch as it is"
    )]
    TimestampZero {
        /// The record's position in the batch.
        position: usize,
    },
    /// No topic can have such a name.
    #[error("no topic can be called {topic:?}: a name has 1 to 249 bytes, and no NUL among them")]
    TopicName {
        /// The name.
        topic: String,
    },
}
