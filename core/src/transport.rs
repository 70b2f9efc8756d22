//! What every transport does, in one small trait: so that the same lines of an application run over any of them.

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

/// A way to brokers: takes batches, and tells what became of each.
///
/// Handles are cheap to share; every method takes `&self`. Dropping the future of [`send_batch`](Self::send_batch) before it
/// resolves sends nothing, and drops the batch with it; once it has resolved, the batch is on its way, and dropping
/// [`Pending`](Self::Pending) loses only the answer.
pub trait Transport: Sync {
    /// Resolves when it is known what became of a batch that was accepted. Dropping it only loses the answer.
    type Pending: Future<Output = Result<Delivery, DeliveryError>> + Send;

    /// What this transport can promise.
    fn capabilities(&self) -> Capabilities;

    /// An empty batch with this producer's settings, at the present time.
    fn batch(&self) -> KafkaBatch;

    /// The same, tied to one partition of this topic by the keys of its records, as
    /// [`BatchOptions::route_by_key`](crate::BatchOptions::route_by_key) says: published without a partition, it goes there.
    ///
    /// # Errors
    /// As [`partition_count`](Self::partition_count).
    fn keyed_batch(&self, topic: &str) -> impl Future<Output = Result<KafkaBatch, SendErrorReason>> + Send {
        async move {
            let partitions = self.partition_count(topic).await?;
            Ok(self.batch().routed_by_key(partitions))
        }
    }

    /// How many partitions a topic has: what [`BatchOptions::route_by_key`](crate::BatchOptions::route_by_key) asks for.
    ///
    /// # Errors
    /// The topic does not exist, or no broker answers.
    fn partition_count(&self, topic: &str) -> impl Future<Output = Result<NonZeroU32, SendErrorReason>> + Send;

    /// The partition that batches without one go to at present: one is picked, and kept until a batch has gone there.
    ///
    /// # Errors
    /// As [`partition_count`](Self::partition_count).
    fn pick_partition(&self, topic: &str) -> impl Future<Output = Result<i32, SendErrorReason>> + Send;

    /// Hands a batch over, to go to this partition as it is. Resolves as soon as it is accepted, which is where
    /// back-pressure is felt; the answer to the answer is the [`Delivery`].
    ///
    /// # Errors
    /// It was not accepted. Nothing of it was sent, and the batch is in the error.
    fn send_batch(
        &self,
        batch: KafkaBatch,
        to: TopicPartition,
    ) -> impl Future<Output = Result<Self::Pending, SendError>> + Send;

    /// Waits until all that was accepted before this call is through, one way or the other.
    ///
    /// # Errors
    /// Not everything finished in time.
    fn flush(&self) -> impl Future<Output = Result<(), FlushError>> + Send;

    /// Flushes, and takes no further batch.
    ///
    /// # Errors
    /// As [`flush`](Self::flush); closed it is all the same.
    fn close(&self) -> impl Future<Output = Result<(), FlushError>> + Send;

    /// Publishes a batch, messages, or both ([`Publish`] says how), and waits until it is acknowledged.
    ///
    /// # Errors
    /// The messages overflow the batch (then nothing is sent), or the batch was not accepted, or it failed. Whatever was
    /// handed over is in the error.
    fn publish_batch<M: Message + Sync>(
        &self,
        publish: Publish<'_, M>,
    ) -> impl Future<Output = Result<Delivery, PublishError>> + Send {
        async move { self.publish_batch_no_confirm(publish).await?.await.map_err(PublishError::Delivery) }
    }

    /// Publishes as [`publish_batch`](Self::publish_batch), and returns as soon as the batch is accepted: with a handle
    /// that can be awaited later, or dropped.
    ///
    /// # Errors
    /// The messages overflow the batch (then nothing is sent), or the batch was not accepted.
    fn publish_batch_no_confirm<M: Message + Sync>(
        &self,
        publish: Publish<'_, M>,
    ) -> impl Future<Output = Result<Self::Pending, PublishError>> + Send {
        async move {
            let ready = publish.prepare(|| self.batch())?;
            let partition = match ready.partition {
                Some(partition) => partition,
                None => match self.pick_partition(&ready.topic).await {
                    Ok(partition) => partition,
                    Err(reason) => return Err(PublishError::Send(ready.refused(reason))),
                },
            };
            let to = TopicPartition::new(ready.topic, partition);
            self.send_batch(ready.batch, to).await.map_err(PublishError::Send)
        }
    }
}

/// What a transport can promise, for programs that depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// The batch that was filled is the batch that lands: one on the wire, one in the log, all of it or nothing. Where
    /// this is false the transport batches by itself, and a failure can be partial.
    pub one_batch_on_the_wire: bool,
}

impl Capabilities {
    /// Whether a batch goes out as the one batch that it is.
    #[must_use]
    pub const fn new(one_batch_on_the_wire: bool) -> Self {
        Self { one_batch_on_the_wire }
    }
}

/// A batch that was not accepted. Nothing of it was sent; it comes back.
#[derive(Debug, thiserror::Error)]
#[error("the batch for {to} was not accepted: {reason}")]
#[non_exhaustive]
pub struct SendError {
    /// Where it should have gone.
    pub to: TopicPartition,
    /// Why it was not accepted.
    pub reason: SendErrorReason,
    /// The batch.
    pub batch: Box<KafkaBatch>,
}

impl SendError {
    /// This batch was not accepted, for this reason.
    #[must_use]
    pub fn new(to: TopicPartition, reason: SendErrorReason, batch: KafkaBatch) -> Self {
        Self { to, reason, batch: Box::new(batch) }
    }

    /// Whether handing the same batch over again can help.
    #[must_use]
    pub const fn is_retriable(&self) -> bool {
        self.reason.is_retriable()
    }
}

/// Why a batch was not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendErrorReason {
    /// It could not be sealed: it is empty, or too large, or the codec failed.
    #[error(transparent)]
    Seal(#[from] SealErrorReason),
    /// The keys in it route to another partition than the one that was asked for.
    #[error("its keys route to partition {routed}, and partition {asked} was asked for")]
    RoutedElsewhere {
        /// Where its keys route to.
        routed: i32,
        /// What was asked for.
        asked: i32,
    },
    /// There is no such topic.
    #[error("topic {topic:?} does not exist; create it, or let the broker create topics (auto.create.topics.enable)")]
    UnknownTopic {
        /// The topic asked for.
        topic: String,
    },
    /// The topic has no such partition.
    #[error("topic {topic:?} has partitions 0 to {}, and {partition} was asked for", partitions.saturating_sub(1))]
    UnknownPartition {
        /// The topic.
        topic: String,
        /// The partition asked for.
        partition: i32,
        /// How many it has.
        partitions: u32,
    },
    /// No broker answers.
    #[error("no broker answers ({brokers}): {cause}")]
    NoBroker {
        /// The addresses tried.
        brokers: String,
        /// What happened.
        cause: Box<dyn Error + Send + Sync>,
    },
    /// A broker said why: it does not let us write there, say.
    #[error("topic {topic:?}: {error}")]
    Broker {
        /// The topic.
        topic: String,
        /// What the broker answered, and to what.
        error: BrokerError,
    },
    /// The brokers do not let us in, or are not to be trusted: with the same credentials and certificates no retry can help.
    #[error("authentication failed: {0}")]
    Authentication(Box<dyn Error + Send + Sync>),
    /// The producer was closed.
    #[error("the producer is closed")]
    Closed,
    /// Something else on the way.
    #[error(transparent)]
    Transport(Box<dyn Error + Send + Sync>),
}

impl SendErrorReason {
    /// Why this batch may not go to this partition, if the keys in it [route](crate::BatchOptions::route_by_key) to another:
    /// what every transport asks first.
    #[must_use]
    pub const fn of_routing(batch: &KafkaBatch, asked: i32) -> Option<Self> {
        match batch.routed_partition() {
            Some(routed) if routed != asked => Some(Self::RoutedElsewhere { routed, asked }),
            _ => None,
        }
    }

    /// Whether handing the same batch over again can help.
    #[must_use]
    pub const fn is_retriable(&self) -> bool {
        match self {
            Self::NoBroker { .. } | Self::UnknownTopic { .. } | Self::UnknownPartition { .. } => true,
            Self::Broker { error, .. } => error.is_retriable(),
            _ => false,
        }
    }
}

/// Not everything finished in time.
#[derive(Debug, thiserror::Error)]
#[error("{outstanding} records were still on their way when the flush ended: {reason}")]
#[non_exhaustive]
pub struct FlushError {
    /// Records without an answer yet.
    pub outstanding: usize,
    /// Why it ended.
    pub reason: Box<dyn Error + Send + Sync>,
}

impl FlushError {
    /// So many records were without an answer when the flush ended for this reason.
    pub fn new(outstanding: usize, reason: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { outstanding, reason: reason.into() }
    }
}
