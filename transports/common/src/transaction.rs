//! An open transaction.

use std::fmt;
use std::future::{Future, poll_fn};
use std::num::NonZeroU32;

use kafka_batch_core::message::Message;
use kafka_batch_core::transaction::{AbortError, CommitError, GroupMetadata, OffsetAndMetadata, SendOffsetsError};
use kafka_batch_core::{
    Delivery, Destination, EnqueueError, KafkaBatch, Publish, PublishError, RecordDelivery, SendError, SendErrorReason,
    SendMessageError, TopicPartition,
};

use crate::completion::PendingRecord;
use crate::oneshot::Receiver;
use crate::producer::{Pending, Producer};

/// An open transaction, from [`TransactionalProducer::begin`](crate::TransactionalProducer::begin).
///
/// What is sent through it is visible to consumers of committed records after [`commit`](Self::commit), and never if that does not
/// succeed. **Dropping it aborts it**, in the background: the next [`begin`](crate::TransactionalProducer::begin) waits for that.
///
/// After a batch or offsets have failed, the transaction can only be aborted: what follows is refused
/// ([`FailureReason::TransactionAborted`](kafka_batch_core::FailureReason::TransactionAborted)), and
/// [`commit`](Self::commit) aborts it and returns [`CommitError::Aborted`] with the first cause. So there is no need to await the
/// outcome of each batch.
#[must_use = "a transaction that is dropped is aborted"]
pub struct Transaction<'p> {
    producer: &'p Producer,
    /// Where the outcome of the commit goes, so that it is known also if the future of the commit is dropped.
    commit: &'p mut Option<Receiver<Result<(), CommitError>>>,
    has_ended: bool,
}

impl<'p> Transaction<'p> {
    pub(crate) fn new(producer: &'p Producer, commit: &'p mut Option<Receiver<Result<(), CommitError>>>) -> Self {
        Self { producer, commit, has_ended: false }
    }

    /// Creates an empty batch with the settings of the producer, at the current time: see [`Producer::batch`](crate::Producer::batch).
    #[must_use]
    pub fn batch(&self) -> KafkaBatch {
        self.producer.batch()
    }

    /// Creates an empty batch for the records of one partition of `topic`: see
    /// [`Producer::keyed_batch`](crate::Producer::keyed_batch).
    ///
    /// # Errors
    /// As [`partition_count`](Self::partition_count).
    pub async fn keyed_batch(&self, topic: &str) -> Result<KafkaBatch, SendErrorReason> {
        self.producer.keyed_batch(topic).await
    }

    /// Returns the number of partitions of a topic.
    ///
    /// # Errors
    /// The topic does not exist, or no broker responds within `request.timeout.ms`.
    pub async fn partition_count(&self, topic: &str) -> Result<NonZeroU32, SendErrorReason> {
        self.producer.partition_count(topic).await
    }

    /// Returns the current sticky partition of a topic: see [`Producer::pick_partition`](crate::Producer::pick_partition).
    ///
    /// # Errors
    /// As [`partition_count`](Self::partition_count).
    pub async fn pick_partition(&self, topic: &str) -> Result<i32, SendErrorReason> {
        self.producer.pick_partition(topic).await
    }

    /// Sends a batch in the transaction: see [`Producer::send_batch`](crate::Producer::send_batch). The returned handle completes
    /// when the batch is in the log, where it is not visible to consumers of committed records yet. It may be dropped:
    /// [`commit`](Self::commit) waits for the batch.
    ///
    /// # Errors
    /// The batch was not accepted. Nothing of it was sent, and the error has the batch. The transaction goes on without it, and
    /// [`commit`](Self::commit) does not know of it: send the batch again, or abort.
    pub async fn send_batch(&self, batch: KafkaBatch, to: TopicPartition) -> Result<Pending, SendError> {
        self.producer.send_batch(batch, to).await
    }

    /// Publishes a batch, messages, or both, as [`Publish`] specifies, and waits for the acknowledgement.
    ///
    /// # Errors
    /// As [`Producer::publish_batch`](crate::Producer::publish_batch).
    pub async fn publish_batch<M: Message + Sync>(&self, publish: Publish<'_, M>) -> Result<Delivery, PublishError> {
        self.producer.publish_batch(publish).await
    }

    /// Publishes as [`publish_batch`](Self::publish_batch), but returns when the batch is accepted.
    ///
    /// # Errors
    /// As [`Producer::publish_batch_no_confirm`](crate::Producer::publish_batch_no_confirm).
    pub async fn publish_batch_no_confirm<M: Message + Sync>(
        &self,
        publish: Publish<'_, M>,
    ) -> Result<Pending, PublishError> {
        self.producer.publish_batch_no_confirm(publish).await
    }

    /// Sends a message in the transaction, and waits for its acknowledgement: see [`Producer::send`](crate::Producer::send).
    ///
    /// # Errors
    /// As [`Producer::send`](crate::Producer::send).
    pub fn send<'t, M: Message>(
        &self,
        to: impl Into<Destination<'t>>,
        message: M,
    ) -> impl Future<Output = Result<RecordDelivery, SendMessageError>> {
        self.producer.send(to, message)
    }

    /// Sends a message in the transaction, and returns when it is accepted: see [`Producer::enqueue`](crate::Producer::enqueue).
    ///
    /// # Errors
    /// As [`Producer::enqueue`](crate::Producer::enqueue).
    pub async fn enqueue<'t, M: Message>(
        &self,
        to: impl Into<Destination<'t>>,
        message: M,
    ) -> Result<PendingRecord, EnqueueError> {
        self.producer.enqueue(to, message).await
    }

    /// Commits offsets of a consumer group in the transaction (KIP-447): those of the **next** records to read. The group continues
    /// from them if and only if the transaction is committed. Completes once the group's coordinator has them. If the future is
    /// dropped, they stay part of the transaction.
    ///
    /// If they are not accepted within `delivery.timeout.ms`, for example because the topic does not exist, the transaction can only
    /// be aborted.
    ///
    /// # Errors
    /// The transaction will not be committed.
    pub async fn send_offsets<O: Into<OffsetAndMetadata>>(
        &self,
        group: &GroupMetadata,
        offsets: impl IntoIterator<Item = (TopicPartition, O)>,
    ) -> Result<(), SendOffsetsError> {
        let offsets = offsets.into_iter().map(|(to, offset)| (to, offset.into())).collect();
        let sent = self.producer.inner.queue.send_offsets(group.clone(), offsets);
        poll_fn(|context| sent.poll_take(context)).await
    }

    /// Commits the transaction, once every batch, message and offset of it was acknowledged. If one of them has failed, aborts it
    /// instead.
    ///
    /// It waits for the coordinator as long as that takes. Once the future was polled, it can be dropped: the commit goes on,
    /// and the next [`begin`](crate::TransactionalProducer::begin) returns how it has ended. If it is dropped before, the transaction
    /// is aborted.
    ///
    /// # Errors
    /// The variants of [`CommitError`] say what to do next.
    pub async fn commit(mut self) -> Result<(), CommitError> {
        self.has_ended = true;
        let committed = self.producer.inner.queue.commit();
        let committed = &*self.commit.insert(committed);
        let outcome = poll_fn(|context| committed.poll_take(context)).await;
        *self.commit = None;
        outcome
    }

    /// Aborts the transaction. Batches that were not sent fail with
    /// [`FailureReason::TransactionAborted`](kafka_batch_core::FailureReason::TransactionAborted). With `transaction.version` 0 or 1, one
    /// that was sent without a response is sent again until it is answered, at the latest until `delivery.timeout.ms` is over.
    ///
    /// # Errors
    /// The abort is not confirmed, or another producer has taken over. The transaction is not committed in any case.
    pub async fn abort(mut self) -> Result<(), AbortError> {
        self.has_ended = true;
        let aborted = self.producer.inner.queue.abort();
        poll_fn(|context| aborted.poll_take(context)).await
    }
}

/// Aborts the transaction, unless it was committed or aborted.
impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if !self.has_ended {
            self.producer.inner.queue.abort_on_drop();
        }
    }
}

impl fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").field("producer", &self.producer).finish_non_exhaustive()
    }
}
