//! An open transaction.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

use kafka_batch_core::error::{Rejection, TransportError};
use kafka_batch_core::message::{Defaults, Message};
use kafka_batch_core::transaction::{
    AbortError, CommitError, GroupMetadata, OffsetAndMetadata, SendOffsetsError, TransactionCause,
};
use kafka_batch_core::{
    Append, AppendError, Delivery, DeliveryError, Destination, EnqueueError, EnqueueErrorReason, Fate, KafkaBatch,
    Publish, PublishError, RecordDelivery, RecordDeliveryError, SendError, SendErrorReason, SendMessageError,
    Timestamp, TopicPartition, Transport,
};
use rdkafka::consumer::ConsumerGroupMetadata;

use crate::error::UnsendableOffsets;
use crate::offsets::{Group, Offsets};
use crate::producer::{Pending, RdkafkaProducer};
use crate::transaction_thread::{Outcome, TransactionThread};

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
    producer: &'p RdkafkaProducer,
    thread: &'p TransactionThread,
    /// Where the outcome of the commit goes, so that it is known also if the future of the commit is dropped.
    commit: &'p mut Option<Outcome<Result<(), CommitError>>>,
    has_ended: bool,
}

impl<'p> Transaction<'p> {
    pub(crate) fn new(
        producer: &'p RdkafkaProducer,
        thread: &'p TransactionThread,
        commit: &'p mut Option<Outcome<Result<(), CommitError>>>,
    ) -> Self {
        Self { producer, thread, commit, has_ended: false }
    }

    /// Creates an empty batch with the settings of the producer, at the current time: see [`RdkafkaProducer::batch`].
    #[must_use]
    pub fn batch(&self) -> KafkaBatch {
        self.producer.batch()
    }

    /// Creates an empty batch for the records of one partition of `topic`: see [`RdkafkaProducer::keyed_batch`].
    ///
    /// # Errors
    /// As [`partition_count`](Self::partition_count).
    pub async fn keyed_batch(&self, topic: &str) -> Result<KafkaBatch, SendErrorReason> {
        self.producer.keyed_batch(topic).await
    }

    /// Returns the number of partitions of a topic.
    ///
    /// # Errors
    /// As [`RdkafkaProducer::partition_count`].
    pub async fn partition_count(&self, topic: &str) -> Result<NonZeroU32, SendErrorReason> {
        self.producer.partition_count(topic).await
    }

    /// Returns the current sticky partition of a topic: see [`RdkafkaProducer::pick_partition`].
    ///
    /// # Errors
    /// As [`partition_count`](Self::partition_count).
    pub async fn pick_partition(&self, topic: &str) -> Result<i32, SendErrorReason> {
        self.producer.pick_partition(topic).await
    }

    /// Sends the records of a batch in the transaction: see [`RdkafkaProducer::send_batch`]. The returned handle completes when they
    /// are in the log, where they are not visible to consumers of committed records yet. It may be dropped:
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
    /// As [`RdkafkaProducer::publish_batch`].
    pub async fn publish_batch<M: Message + Sync>(&self, publish: Publish<'_, M>) -> Result<Delivery, PublishError> {
        self.producer.publish_batch(publish).await
    }

    /// Publishes as [`publish_batch`](Self::publish_batch), but returns when the batch is accepted.
    ///
    /// # Errors
    /// As [`RdkafkaProducer::publish_batch_no_confirm`].
    pub async fn publish_batch_no_confirm<M: Message + Sync>(
        &self,
        publish: Publish<'_, M>,
    ) -> Result<Pending, PublishError> {
        self.producer.publish_batch_no_confirm(publish).await
    }

    /// Sends a message in the transaction, and waits for its acknowledgement. Its key chooses the partition, unless `to` names one.
    /// librdkafka gathers messages that are sent at the same time into message sets.
    ///
    /// # Errors
    /// The message was not accepted, and nothing was sent; or its delivery failed, and the error has the fate of its record.
    pub async fn send<'t, M: Message>(
        &self,
        to: impl Into<Destination<'t>>,
        message: M,
    ) -> Result<RecordDelivery, SendMessageError> {
        let to = to.into();
        let (batch, to) = self.one_message(to, &message).await.map_err(|reason| EnqueueError::new(to, reason))?;
        drop(message);
        let pending = match self.send_batch(batch, to.clone()).await {
            Ok(pending) => pending,
            Err(SendError { reason, .. }) => return Err(EnqueueError::new((&to).into(), reason.into()).into()),
        };
        match pending.await {
            Ok(delivery) => {
                let timestamp = delivery.timestamp(0).unwrap_or(Timestamp::NO_TIMESTAMP);
                Ok(RecordDelivery::new(to.partition, delivery.offset(0), timestamp))
            }
            Err(error) => Err(record_error(error).into()),
        }
    }

    /// Makes a batch of one message. Returns it with its partition.
    async fn one_message<M: Message>(
        &self,
        to: Destination<'_>,
        message: &M,
    ) -> Result<(KafkaBatch, TopicPartition), EnqueueErrorReason> {
        let mut batch = match to.partition {
            Some(_) => self.batch(),
            None => self.keyed_batch(to.topic).await?,
        };
        let injected = Transport::injected_headers(self.producer, to.topic);
        let defaults = Defaults::default().injected_headers(&injected);
        if let Append::Full(full) = batch.messages(&defaults).append(message)? {
            return Err(AppendError::TooLong { size: full.needed as u64 }.into());
        }
        let partition = match to.partition.or(batch.routed_partition()) {
            Some(partition) => partition,
            None => self.pick_partition(to.topic).await?,
        };
        Ok((batch, TopicPartition::new(to.topic, partition)))
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
        let group = Group::from_values(group);
        self.send_checked(group.and_then(|group| offsets_of(group, offsets))).await
    }

    /// Commits offsets as [`send_offsets`](Self::send_offsets), of the group of one of `rdkafka`'s consumers: from
    /// [`Consumer::group_metadata`](rdkafka::consumer::Consumer::group_metadata), which includes the member and its generation.
    ///
    /// # Errors
    /// The transaction will not be committed.
    pub async fn send_offsets_of_consumer<O: Into<OffsetAndMetadata>>(
        &self,
        group: ConsumerGroupMetadata,
        offsets: impl IntoIterator<Item = (TopicPartition, O)>,
    ) -> Result<(), SendOffsetsError> {
        self.send_checked(offsets_of(Group::OfConsumer(group), offsets)).await
    }

    async fn send_checked(&self, offsets: Result<Offsets, UnsendableOffsets>) -> Result<(), SendOffsetsError> {
        match offsets {
            Ok(offsets) => self.thread.send_offsets(offsets).take().await,
            Err(error) => {
                let cause = TransactionCause::Transport(TransportError::new(error));
                self.producer.fail_transaction(cause.clone());
                Err(SendOffsetsError::Aborted(cause))
            }
        }
    }

    /// Commits the transaction, once every batch, message and offset of it was acknowledged. If one of them has failed, aborts it
    /// instead.
    ///
    /// It waits for the coordinator as long as that takes. Once the future was polled, it can be dropped: the commit goes on,
    /// and the next [`begin`](crate::TransactionalProducer::begin) returns how it has ended. If it is dropped before, the transaction
    /// is aborted.
    ///
    /// # Errors
    /// The variants of [`CommitError`] say what to do next. [`TransactionalProducer`](crate::TransactionalProducer) says when the
    /// outcome is unknown with librdkafka.
    pub async fn commit(mut self) -> Result<(), CommitError> {
        self.has_ended = true;
        let committed = &*self.commit.insert(self.thread.commit());
        let outcome = committed.take().await;
        *self.commit = None;
        outcome
    }

    /// Aborts the transaction. Waits up to 5 s for its batches, because librdkafka 2.12.1 can fail for good if it aborts before the
    /// coordinator has added their partitions. Those that are not delivered then fail with
    /// [`FailureReason::TransactionAborted`](kafka_batch_core::FailureReason::TransactionAborted).
    ///
    /// # Errors
    /// The abort is not confirmed, or another producer has taken over. The transaction is not committed in any case.
    pub async fn abort(mut self) -> Result<(), AbortError> {
        self.has_ended = true;
        let aborted = self.thread.abort();
        aborted.take().await
    }
}

fn offsets_of<O: Into<OffsetAndMetadata>>(
    group: Group,
    offsets: impl IntoIterator<Item = (TopicPartition, O)>,
) -> Result<Offsets, UnsendableOffsets> {
    Offsets::new(group, offsets.into_iter().map(|(of, offset)| (of, offset.into())))
}

/// Returns the error of the only record of a batch.
fn record_error(error: DeliveryError) -> RecordDeliveryError {
    let fate = error.fate_of(0).unwrap_or(Fate::Unknown);
    let rejection = match error.record_errors.into_iter().next() {
        Some(rejected) => Rejection::This(rejected.message),
        None => Rejection::Unnamed,
    };
    RecordDeliveryError::new(error.to, Arc::new(error.reason), fate, rejection)
}

/// Aborts the transaction, unless it was committed or aborted.
impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if !self.has_ended {
            self.thread.abort_on_drop();
        }
    }
}

impl fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").field("producer", &self.producer).finish_non_exhaustive()
    }
}
