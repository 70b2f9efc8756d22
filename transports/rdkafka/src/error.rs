//! Errors particular to this transport.

use std::fmt;
use std::io;

use kafka_batch_core::batch::OptionsError;
use rdkafka::error::RDKafkaErrorCode;

/// The error returned when a producer cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A setting is unknown or has an invalid value.
    #[error("{setting} = {found:?}: {remedy}")]
    Setting {
        /// Its librdkafka name.
        setting: String,
        /// The value found. Secrets are not shown.
        found: String,
        /// What is wrong and what to do.
        remedy: String,
    },
    /// The batch options are contradictory.
    #[error("batch options: {0}")]
    BatchOptions(#[from] OptionsError),
    /// The settings are valid alone but not together, or librdkafka could not start.
    #[error("librdkafka refuses this combination of settings: {0}")]
    Together(String),
    /// The delivery report thread could not be started.
    #[error("the delivery report thread could not be started: {0}")]
    Thread(#[source] io::Error),
}

/// An error reported by librdkafka, with its code and message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LibrdkafkaError {
    /// The code, `RD_KAFKA_RESP_ERR_…`: negative for librdkafka's own errors, otherwise the broker's error code.
    pub code: i32,
    /// The message, with a remedy where there is one.
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

/// Returns the remedy for errors that have one.
const fn remedy(code: RDKafkaErrorCode) -> Option<&'static str> {
    Some(match code {
        RDKafkaErrorCode::UnknownTopic | RDKafkaErrorCode::UnknownTopicOrPartition => {
            "create the topic, or let the broker create topics (auto.create.topics.enable)"
        }
        RDKafkaErrorCode::UnknownPartition => "the topic has fewer partitions: send to one that it has, or add some",
        RDKafkaErrorCode::MessageSizeTooLarge => {
            "raise message.max.bytes of the producer and of the broker, or make the record smaller"
        }
        RDKafkaErrorCode::TopicAuthorizationFailed => {
            "this user is not authorized to write to the topic: change the broker's ACLs"
        }
        RDKafkaErrorCode::Fatal => "this producer can send no more: create a new one",
        _ => return None,
    })
}

/// Error: librdkafka would change or misinterpret this batch. Nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unsendable {
    /// A record has the timestamp 0, which librdkafka replaces with the current time.
    #[error(
        "record {position} has timestamp 0, which librdkafka replaces with the current time: \
         set another timestamp, or use a transport that sends batches unchanged"
    )]
    TimestampZero {
        /// The record's position in the batch.
        position: usize,
    },
}
