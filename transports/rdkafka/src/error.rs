//! Errors particular to this transport.

use std::error::Error;
use std::fmt;
use std::io;

use kafka_batch_core::TopicPartition;
use kafka_batch_core::batch::OptionsError;
use kafka_batch_core::transaction::InitTransactionsError;
use rdkafka::error::RDKafkaErrorCode;

/// The error returned when a producer cannot be built.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConfigError {
    /// librdkafka has no setting of this name.
    UnknownSetting {
        /// The name. Not shown if it may be a value in the wrong place.
        setting: String,
        /// The most similar name that exists, if one is similar.
        similar: Option<&'static str>,
    },
    /// A setting of a [`ProducerConfig`](kafka_batch_transport::ProducerConfig) that librdkafka does not have.
    UnsupportedSetting {
        /// Its Kafka name.
        setting: &'static str,
    },
    /// A setting has an invalid value.
    Setting {
        /// Its librdkafka name.
        setting: String,
        /// The value found. Secrets are not shown.
        found: String,
        /// What is wrong and what to do.
        remedy: String,
    },
    /// A [`ProducerConfig`](kafka_batch_transport::ProducerConfig) has an invalid value.
    Typed(kafka_batch_transport::ConfigError),
    /// The batch options are contradictory.
    BatchOptions(OptionsError),
    /// The settings are valid alone but not together, or librdkafka could not start: librdkafka's message.
    Conflict(String),
    /// The delivery report thread could not be started.
    Thread(io::Error),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownSetting { setting, similar } => {
                write!(f, "librdkafka has no setting {setting:?}")?;
                if let Some(similar) = similar {
                    write!(f, "; did you mean {similar:?}?")?;
                }
                f.write_str(" (its CONFIGURATION.md lists all of them)")
            }
            Self::UnsupportedSetting { setting } => write!(
                f,
                "librdkafka has no setting {setting:?}: leave it out of the ProducerConfig, or use another transport"
            ),
            Self::Setting { setting, found, remedy } => write!(f, "{setting} = {found:?}: {remedy}"),
            Self::Typed(error) => error.fmt(f),
            Self::BatchOptions(error) => write!(f, "the batch options contradict each other: {error}"),
            Self::Conflict(message) => write!(f, "librdkafka refuses this combination of settings: {message}"),
            Self::Thread(error) => write!(f, "the delivery report thread could not be started: {error}"),
        }
    }
}

impl Error for ConfigError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Typed(error) => error.source(),
            Self::BatchOptions(error) => error.source(),
            Self::Thread(error) => error.source(),
            Self::UnknownSetting { .. }
            | Self::UnsupportedSetting { .. }
            | Self::Setting { .. }
            | Self::Conflict(_) => None,
        }
    }
}

impl From<OptionsError> for ConfigError {
    fn from(error: OptionsError) -> Self {
        Self::BatchOptions(error)
    }
}

impl From<kafka_batch_transport::ConfigError> for ConfigError {
    fn from(error: kafka_batch_transport::ConfigError) -> Self {
        Self::Typed(error)
    }
}

/// The error returned when a producer of transactions cannot be built.
#[derive(Debug)]
#[non_exhaustive]
pub enum BuildTransactionalError {
    /// A setting is missing, unknown, out of range or in conflict with another one, or a thread could not be started.
    Config(ConfigError),
    /// The coordinator has not assigned a producer id.
    Init(InitTransactionsError),
}

impl fmt::Display for BuildTransactionalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Init(error) => error.fmt(f),
        }
    }
}

impl Error for BuildTransactionalError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Config(error) => error.source(),
            Self::Init(error) => error.source(),
        }
    }
}

impl From<ConfigError> for BuildTransactionalError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<InitTransactionsError> for BuildTransactionalError {
    fn from(error: InitTransactionsError) -> Self {
        Self::Init(error)
    }
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

impl Error for LibrdkafkaError {}

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

/// Error: librdkafka would omit or misinterpret an offset. None of the offsets were sent, and the transaction can only be aborted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnsendableOffsets {
    /// An offset is negative. librdkafka would omit it without an error.
    #[error("the offset {offset} of {to} is negative: send the offset of the next record to read")]
    Negative {
        /// The topic and partition.
        to: TopicPartition,
        /// The offset.
        offset: i64,
    },
    /// There can be no such topic or partition.
    #[error("{to} cannot exist: the name of a topic has 1 to 249 characters, and partitions begin with 0")]
    Partition {
        /// The topic and partition.
        to: TopicPartition,
    },
    /// A name of the group or of its member contains a NUL.
    #[error("a name of the group {group:?} or of its member contains a NUL: no group can have such a name")]
    Group {
        /// The name of the group.
        group: String,
    },
}

#[cfg(test)]
mod tests {
    use kafka_batch_core::Magic;
    use kafka_batch_transport::ProducerConfig;

    use super::*;

    #[test]
    fn each_text_is_one_line_and_has_its_causes() {
        let text = || "x".to_owned();
        for error in [
            ConfigError::UnknownSetting { setting: text(), similar: Some("acks") },
            ConfigError::UnsupportedSetting { setting: "buffer.memory" },
            ConfigError::Setting { setting: text(), found: text(), remedy: text() },
            ProducerConfig::new([("a,b", 1)]).to_settings().unwrap_err().into(),
            OptionsError::DeleteHorizonNeedsMagic2 { magic: Magic::V1 }.into(),
            ConfigError::Conflict(text()),
            ConfigError::Thread(io::ErrorKind::OutOfMemory.into()),
        ] {
            // Without a wildcard, so that a new variant does not compile until it is above.
            match error {
                ConfigError::UnknownSetting { .. }
                | ConfigError::UnsupportedSetting { .. }
                | ConfigError::Setting { .. }
                | ConfigError::Typed(_)
                | ConfigError::BatchOptions(_)
                | ConfigError::Conflict(_)
                | ConfigError::Thread(_) => {}
            }
            assert!(error.source().is_none(), "it is in the text: {error}");
            assert!(!error.to_string().contains('\n'), "{error}");
        }
    }
}
