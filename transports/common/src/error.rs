//! Errors beside those of [`Transport`](kafka_batch_core::Transport).

use kafka_batch_core::OptionsError;

/// Why a producer could not be made.
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

/// The producer's task has ended, because its runtime was shut down or the task was dropped, before the producer was closed.
/// The source of [`FailureReason::Transport`](kafka_batch_core::FailureReason::Transport) and
/// [`SendErrorReason::Transport`](kafka_batch_core::SendErrorReason::Transport). Retries with the same producer always fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the runtime was shut down before the producer was closed; make a new producer on a running one")]
#[non_exhaustive]
pub struct Stopped;

/// No broker could be reached. The cause in [`SendErrorReason::NoBroker`](kafka_batch_core::SendErrorReason::NoBroker) and
/// in [`SendErrorReason::Authentication`](kafka_batch_core::SendErrorReason::Authentication).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{last}")]
#[non_exhaustive]
pub struct Unreachable {
    /// The error of the last attempt, with the broker's address.
    pub last: String,
}
