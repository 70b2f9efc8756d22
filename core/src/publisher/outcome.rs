//! The outcome of the messages of a [`PartitionedPublisher`](super::PartitionedPublisher).

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use crate::counted::Counted;
use crate::delivery::Delivery;
use crate::failure::DeliveryError;
use crate::send_error::SendError;
use crate::stream::PartitionedAppendError;

/// The messages of a delivered batch.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Published<M> {
    /// The messages, each at the position of its record.
    pub messages: Vec<M>,
    /// The topic and partition, and the offset of each record.
    pub delivery: Delivery,
}

/// Messages whose delivery is not confirmed: they were not written, or may have been. The reason tells which.
#[derive(Debug, thiserror::Error)]
#[error("publishing {} failed: {reason}", Counted(messages.len(), "message"))]
#[non_exhaustive]
pub struct Undelivered<M> {
    /// The messages. If they were in a batch, each is at the position of its record.
    pub messages: Vec<M>,
    /// The reason.
    pub reason: UndeliveredReason,
}

/// Why the delivery of messages is not confirmed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UndeliveredReason {
    /// A message cannot be in any batch. Nothing of it was sent, and the other messages are not affected.
    #[error("topic {topic:?}: {error}")]
    #[non_exhaustive]
    Rejected {
        /// The topic.
        topic: String,
        /// Why no batch can hold it.
        error: PartitionedAppendError,
    },
    /// The batch was not accepted. Nothing of it was sent. The error has the batch.
    #[error(transparent)]
    Send(Box<SendError>),
    /// The batch was accepted, and its delivery failed. The error has the batch and the fate of each record.
    #[error(transparent)]
    Delivery(Box<DeliveryError>),
}

impl UndeliveredReason {
    /// Returns `true` if sending the same batch again may succeed.
    ///
    /// If the batch may have been written ([`DeliveryError::may_have_been_written`]), that may write records twice.
    #[must_use]
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Rejected { .. } => false,
            Self::Send(error) => error.is_retriable(),
            Self::Delivery(error) => error.is_retriable(),
        }
    }
}
