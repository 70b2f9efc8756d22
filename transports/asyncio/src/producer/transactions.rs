//! Arguments and errors of transactions.

use std::fmt::Display;

use kafka_batch_core::TopicPartition;
use kafka_batch_core::transaction::{
    AbortError, BeginError, CommitError, GroupMetadata, InitTransactionsError, OffsetAndMetadata, SendOffsetsError,
};
use pyo3::prelude::*;

use crate::errors::exception;

/// Group, generation, member, and the name of a static member.
pub(super) type Member = (String, i32, String, Option<String>);

/// Topic, partition, offset and metadata.
pub(super) type Offset = (String, i32, i64, String);

/// Returns the member of a group, or the group alone if there is neither generation nor member.
pub(super) fn group((group, generation, member, instance): Member) -> GroupMetadata {
    if generation < 0 && member.is_empty() {
        return GroupMetadata::unfenced(group);
    }
    let metadata = GroupMetadata::member(group, generation, member);
    match instance {
        Some(instance) => metadata.instance(instance),
        None => metadata,
    }
}

pub(super) fn offsets(offsets: Vec<Offset>) -> Vec<(TopicPartition, OffsetAndMetadata)> {
    offsets
        .into_iter()
        .map(|(topic, partition, offset, metadata)| {
            (TopicPartition::new(topic, partition), OffsetAndMetadata::from(offset).metadata(metadata))
        })
        .collect()
}

/// An error of a transaction: the name of its exception, which says what to do next, and its text.
pub(super) struct TransactionFailure {
    exception: &'static str,
    text: String,
}

impl TransactionFailure {
    fn new(exception: &'static str, error: &dyn Display) -> Self {
        Self { exception, text: error.to_string() }
    }

    pub(super) fn into_exception(self, py: Python<'_>) -> PyErr {
        exception(py, self.exception, (self.text,))
    }
}

const ABORTED: &str = "TransactionAbortedError";
const FENCED: &str = "ProducerFencedError";
const FATAL: &str = "TransactionFatalError";

impl From<InitTransactionsError> for TransactionFailure {
    fn from(error: InitTransactionsError) -> Self {
        let name = match error {
            InitTransactionsError::TimedOut { .. } => "InitTransactionsTimeoutError",
            _ => FATAL,
        };
        Self::new(name, &error)
    }
}

impl From<BeginError> for TransactionFailure {
    fn from(error: BeginError) -> Self {
        let name = match error {
            BeginError::Fenced(_) => FENCED,
            _ => FATAL,
        };
        Self::new(name, &error)
    }
}

impl From<SendOffsetsError> for TransactionFailure {
    fn from(error: SendOffsetsError) -> Self {
        let name = match error {
            SendOffsetsError::Aborted(_) => ABORTED,
            SendOffsetsError::Fenced(_) => FENCED,
            _ => FATAL,
        };
        Self::new(name, &error)
    }
}

impl From<CommitError> for TransactionFailure {
    fn from(error: CommitError) -> Self {
        let name = match error {
            CommitError::Aborted(_) => ABORTED,
            CommitError::Unknown(_) => "CommitUnknownError",
            CommitError::Fenced(_) => FENCED,
            CommitError::Fatal(_) => FATAL,
        };
        Self::new(name, &error)
    }
}

impl From<AbortError> for TransactionFailure {
    fn from(error: AbortError) -> Self {
        let name = match error {
            AbortError::Fenced(_) => FENCED,
            _ => FATAL,
        };
        Self::new(name, &error)
    }
}
