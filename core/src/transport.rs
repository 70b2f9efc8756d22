//! The trait of transports, so that the same application code runs over any of them.

use alloc::boxed::Box;
use alloc::string::String;
use core::error::Error;
use core::future::Future;
use core::num::NonZeroU32;

use crate::batch::{KafkaBatch, SealErrorReason};
use crate::delivery::Delivery;
use crate::failure::DeliveryError;
use crate::message::Message;
use crate::protocol::BrokerError;
use crate::publish::{Publish, PublishError};
use crate::record::TopicPartition;

/// Sends batches to brokers and reports the outcome of each.
///
/// Every method takes `&self`, so a handle can be shared.
///
/// # Cancellation safety
///
/// Dropping the future of [`send_batch`](Self::send_batch) before it completes sends nothing, and drops the batch. Once
/// it has completed, the batch is accepted and will be sent; dropping [`Pending`](Self::Pending) only discards its
/// outcome.
pub trait Transport: Sync {
    /// Completes with the outcome of an accepted batch. Dropping it discards the outcome; the batch is still sent.
    type Pending: Future<Output = Result<Delivery, DeliveryError>> + Send;

    /// Returns what this transport guarantees.
    fn capabilities(&self) -> Capabilities;

    /// Creates an empty batch with the settings of this producer, at the current time.
    fn batch(&self) -> KafkaBatch;

    /// Creates an empty batch that the keys of its records route to one partition of `topic`, as with
    /// [`BatchOptions::route_by_key`](crate::BatchOptions::route_by_key). Published without a partition, it is sent
    /// there.
    ///
    /// # Errors
    /// As [`partition_count`](Self::partition_count).
    fn keyed_batch(&self, topic: &str) -> impl Future<Output = Result<KafkaBatch, SendErrorReason>> + Send {
        async move {
            let partitions = self.partition_count(topic).await?;
            Ok(self.batch().routed_by_key(partitions))
        }
    }

    /// Returns the number of partitions of a topic, for
    /// [`BatchOptions::route_by_key`](crate::BatchOptions::route_by_key).
    ///
    /// # Errors
    /// The topic does not exist, or no broker responds.
    fn partition_count(&self, topic: &str) -> impl Future<Output = Result<NonZeroU32, SendErrorReason>> + Send;

    /// Returns the partition to which a batch without one is sent next. It stays the same until a batch was sent there.
    ///
    /// # Errors
    /// As [`partition_count`](Self::partition_count).
    fn pick_partition(&self, topic: &str) -> impl Future<Output = Result<i32, SendErrorReason>> + Send;

    /// Sends a batch to this partition. Completes when the batch is accepted; await the returned handle for the
    /// [`Delivery`].
    ///
    /// Back-pressure applies here: while the buffer of the transport (`buffer.memory`) is full, the future is pending.
    ///
    /// # Errors
    /// The batch was not accepted. Nothing of it was sent, and the error has the batch.
    fn send_batch(
        &self,
        batch: KafkaBatch,
        to: TopicPartition,
    ) -> impl Future<Output = Result<Self::Pending, SendError>> + Send;

    /// Waits until every batch that was accepted before this call is delivered or has failed.
    ///
    /// # Errors
    /// Some batches had no outcome in time.
    fn flush(&self) -> impl Future<Output = Result<(), FlushError>> + Send;

    /// Flushes, and accepts no further batches.
    ///
    /// # Errors
    /// As [`flush`](Self::flush). The producer is closed even if this returns an error.
    fn close(&self) -> impl Future<Output = Result<(), FlushError>> + Send;

    /// Publishes a batch, messages, or both, as [`Publish`] specifies, and waits for the acknowledgement.
    ///
    /// # Errors
    /// The messages overflow the batch (then nothing is sent), the batch was not accepted, or its delivery failed. The
    /// error has the batch.
    fn publish_batch<M: Message + Sync>(
        &self,
        publish: Publish<'_, M>,
    ) -> impl Future<Output = Result<Delivery, PublishError>> + Send {
        async move { self.publish_batch_no_confirm(publish).await?.await.map_err(PublishError::Delivery) }
    }

    /// Publishes as [`publish_batch`](Self::publish_batch), but returns when the batch is accepted. The returned handle
    /// completes with the outcome; it may be dropped.
    ///
    /// # Errors
    /// The messages overflow the batch (then nothing is sent), or the batch was not accepted. The error has the batch.
    fn publish_batch_no_confirm<M: Message + Sync>(
        &self,
        publish: Publish<'_, M>,
    ) -> impl Future<Output = Result<Self::Pending, PublishError>> + Send {
        async move {
            let prepared = publish.prepare(|| self.batch())?;
            let partition = match prepared.partition {
                Some(partition) => partition,
                None => match self.pick_partition(&prepared.topic).await {
                    Ok(partition) => partition,
                    Err(reason) => return Err(PublishError::Send(prepared.refused(reason))),
                },
            };
            let to = TopicPartition::new(prepared.topic, partition);
            self.send_batch(prepared.batch, to).await.map_err(PublishError::Send)
        }
    }
}

/// What a transport guarantees, for programs that depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// `true` if a batch is sent as the one batch that it is: the broker appends all of it or nothing. `false` if the
    /// transport forms batches of its own, so that a failure can be partial.
    pub one_batch_on_the_wire: bool,
}

impl Capabilities {
    /// Creates the capabilities of a transport.
    #[must_use]
    pub const fn new(one_batch_on_the_wire: bool) -> Self {
        Self { one_batch_on_the_wire }
    }
}

/// Why a batch was not accepted. Nothing of it was sent, and the error has the batch.
#[derive(Debug, thiserror::Error)]
#[error("the batch for {to} was not accepted: {reason}")]
#[non_exhaustive]
pub struct SendError {
    /// The topic and partition.
    pub to: TopicPartition,
    /// The reason.
    pub reason: SendErrorReason,
    /// The batch.
    pub batch: Box<KafkaBatch>,
}

impl SendError {
    /// Creates the error.
    #[must_use]
    pub fn new(to: TopicPartition, reason: SendErrorReason, batch: KafkaBatch) -> Self {
        Self { to, reason, batch: Box::new(batch) }
    }

    /// Returns `true` if sending the same batch again may succeed.
    #[must_use]
    pub const fn is_retriable(&self) -> bool {
        self.reason.is_retriable()
    }
}

/// Why a batch was not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendErrorReason {
    /// The batch could not be sealed: it is empty or too large, or the codec failed.
    #[error(transparent)]
    Seal(#[from] SealErrorReason),
    /// The keys in the batch route to another partition than the requested one.
    #[error("the keys in the batch route to partition {routed}, but partition {requested} was requested")]
    RoutedElsewhere {
        /// The partition of its keys.
        routed: i32,
        /// The requested partition.
        requested: i32,
    },
    /// The topic does not exist.
    #[error("topic {topic:?} does not exist; create it, or let the broker create topics (auto.create.topics.enable)")]
    UnknownTopic {
        /// The topic.
        topic: String,
    },
    /// The topic has no such partition.
    #[error(
        "topic {topic:?} has partitions 0 to {}, but partition {partition} was requested",
        partitions.saturating_sub(1)
    )]
    UnknownPartition {
        /// The topic.
        topic: String,
        /// The requested partition.
        partition: i32,
        /// The number of partitions of the topic.
        partitions: u32,
    },
    /// No broker responds.
    #[error("no broker responds ({brokers}): {cause}")]
    NoBroker {
        /// The addresses that were tried.
        brokers: String,
        /// The last failure.
        cause: Box<dyn Error + Send + Sync>,
    },
    /// A broker refused, for example because the producer is not authorized to write to the topic.
    #[error("topic {topic:?}: {error}")]
    Broker {
        /// The topic.
        topic: String,
        /// The broker's error, and the API that returned it.
        error: BrokerError,
    },
    /// Authentication failed, on either side. Retrying with the same credentials and certificates fails again.
    #[error("authentication failed: {0}")]
    Authentication(Box<dyn Error + Send + Sync>),
    /// The producer is closed.
    #[error("the producer is closed")]
    Closed,
    /// Another failure of the transport.
    #[error(transparent)]
    Transport(Box<dyn Error + Send + Sync>),
}

impl SendErrorReason {
    /// Returns the reason to refuse a batch whose keys [route](crate::BatchOptions::route_by_key) to another partition
    /// than `requested`. Every transport checks this first.
    #[must_use]
    pub const fn of_routing(batch: &KafkaBatch, requested: i32) -> Option<Self> {
        match batch.routed_partition() {
            Some(routed) if routed != requested => Some(Self::RoutedElsewhere { routed, requested }),
            _ => None,
        }
    }

    /// Returns `true` if sending the same batch again may succeed.
    #[must_use]
    pub const fn is_retriable(&self) -> bool {
        match self {
            Self::NoBroker { .. } | Self::UnknownTopic { .. } | Self::UnknownPartition { .. } => true,
            Self::Broker { error, .. } => error.is_retriable(),
            _ => false,
        }
    }
}

/// Why a flush ended before every batch had an outcome.
#[derive(Debug, thiserror::Error)]
#[error("{outstanding} records were still in flight when the flush ended: {reason}")]
#[non_exhaustive]
pub struct FlushError {
    /// The number of records without an outcome.
    pub outstanding: usize,
    /// The reason.
    pub reason: Box<dyn Error + Send + Sync>,
}

impl FlushError {
    /// Creates the error.
    pub fn new(outstanding: usize, reason: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { outstanding, reason: reason.into() }
    }
}
