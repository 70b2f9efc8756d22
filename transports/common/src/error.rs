//! What can go wrong here beside what every transport can have go wrong.

use kafka_batch_core::OptionsError;

/// A producer could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A setting is not as it must be.
    #[error("{setting} = {found:?}: {remedy}")]
    Setting {
        /// Its Kafka name.
        setting: String,
        /// What it was set to. Not shown: secrets, and the value of a setting that is not known.
        found: String,
        /// What is wrong with it, and what to do.
        remedy: String,
    },
    /// The batch options contradict each other.
    #[error("batch options: {0}")]
    BatchOptions(#[from] OptionsError),
    /// Each setting by itself is fine, and together they are not.
    #[error("{0}")]
    Together(String),
    /// There is no runtime to run on.
    #[error("there is no runtime here to run on: {0}")]
    NoRuntime(String),
}

/// Nobody turns the machine any more: its runtime was shut down, or its task was dropped, before the producer was closed.
/// The source of [`FailureReason::Transport`](kafka_batch_core::FailureReason::Transport) and
/// [`SendErrorReason::Transport`](kafka_batch_core::SendErrorReason::Transport). With the same producer no retry can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the runtime was shut down before the producer was closed; make a new producer on one that runs")]
#[non_exhaustive]
pub struct Stopped;

/// No broker could be asked: the cause in [`SendErrorReason::NoBroker`](kafka_batch_core::SendErrorReason::NoBroker) and of
/// [`SendErrorReason::Authentication`](kafka_batch_core::SendErrorReason::Authentication).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{last}")]
#[non_exhaustive]
pub struct Unreachable {
    /// What happened at the last attempt, and to which broker.
    pub last: String,
}
