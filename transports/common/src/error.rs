//! The error of building a producer.

use kafka_batch_core::batch::OptionsError;

/// The error returned when a producer cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A setting is unknown or has an invalid value.
    #[error("{setting} = {found:?}: {remedy}")]
    Setting {
        /// The Kafka name of the setting.
        setting: String,
        /// The value. Secrets, and the values of unknown settings, are not shown.
        found: String,
        /// What is wrong with the value, and what to do.
        remedy: String,
    },
    /// The batch options contradict each other.
    #[error("batch options: {0}")]
    BatchOptions(#[from] OptionsError),
    /// Settings are valid each by itself, but in conflict with each other.
    #[error("{0}")]
    Together(String),
    /// There is no current runtime to spawn the producer's task on.
    #[error("no async runtime to spawn the producer's task on: {0}")]
    NoRuntime(String),
}
