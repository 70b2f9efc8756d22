//! The producer of transactions.

use std::fmt;
use std::num::NonZeroU32;

use kafka_batch_core::transaction::{BeginError, CommitError, InitTransactionsError};
use kafka_batch_core::{Capabilities, FlushError, KafkaBatch, SendErrorReason};

use crate::producer::RdkafkaProducer;
use crate::transaction::Transaction;
use crate::transaction_thread::{Outcome, TransactionThread};

/// A producer whose batches are written in transactions, over librdkafka: consumers with `isolation.level=read_committed` read the
/// batches of a transaction, and the group that it commits offsets of moves on, if and only if it was committed.
///
/// Made by [`ProducerBuilder::build_transactional`](crate::ProducerBuilder::build_transactional). It is not `Clone`, and
/// [`begin`](Self::begin) borrows it, so there is one transaction at a time. librdkafka's calls block, and are made by a thread of
/// the producer.
///
/// **What librdkafka does not exclude** ([`TransactionGuarantee::LateRequestsAccepted`]): it uses the protocol of
/// `transaction.version` 0 with every broker, and never has the epoch bumped after a request that was not answered. So such a request,
/// if a broker receives it during a later transaction, can end or extend that one. And while the coordinator is asked to commit, this
/// transport cannot know whether librdkafka has asked before without an answer: if the coordinator answers that the producer was
/// fenced, or with another fatal error, only later than librdkafka repeats requests (0.8 × `retry.backoff.ms`, 80 ms by default), the
/// error is [`CommitError::Unknown`], though the transaction is nearly always aborted.
///
/// The cause of an error that librdkafka reports is a [`LibrdkafkaError`](crate::LibrdkafkaError), with its code, in
/// [`TransactionCause::Transport`](kafka_batch_core::transaction::TransactionCause::Transport).
///
/// ```no_run
/// use kafka_batch_core::transaction::{CommitError, GroupMetadata};
/// use kafka_batch_core::{Record, TopicPartition};
/// use kafka_batch_rdkafka::RdkafkaProducer;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let builder = RdkafkaProducer::builder().set("bootstrap.servers", "localhost:9092").transactional_id("orders-7");
/// let mut producer = builder.build_transactional().await?;
/// let transaction = producer.begin().await?;
/// let mut batch = transaction.batch();
/// batch.append(Record::new("three books"))?;
/// let pending = transaction.send_batch(batch, TopicPartition::new("orders", 0)).await?;
/// drop(pending); // its outcome is part of the commit
/// let next_to_read = (TopicPartition::new("requests", 0), 42);
/// transaction.send_offsets(&GroupMetadata::member("shop", 3, "member-1"), [next_to_read]).await?;
/// match transaction.commit().await {
///     Ok(()) => {}
///     Err(CommitError::Aborted(_)) => {} // begin again, from the offsets that the group has committed
///     Err(error) => return Err(error.into()),
/// }
/// # Ok(())
/// # }
/// ```
///
/// Misuse does not compile. No second transaction beside the first, no commit twice, nothing is sent outside a transaction, and there
/// is none with a producer that has no `transactional.id`:
///
/// ```compile_fail,E0499
/// # async fn example(mut producer: kafka_batch_rdkafka::TransactionalProducer) {
/// let one = producer.begin().await.unwrap();
/// let other = producer.begin().await.unwrap();
/// one.commit().await.unwrap();
/// # }
/// ```
///
/// ```compile_fail,E0382
/// # async fn example(mut producer: kafka_batch_rdkafka::TransactionalProducer) {
/// let transaction = producer.begin().await.unwrap();
/// transaction.commit().await.unwrap();
/// transaction.commit().await.unwrap();
/// # }
/// ```
///
/// ```compile_fail,E0599
/// # async fn example(producer: kafka_batch_rdkafka::TransactionalProducer, batch: kafka_batch_core::KafkaBatch) {
/// producer.send_batch(batch, kafka_batch_core::TopicPartition::new("orders", 0)).await.unwrap();
/// # }
/// ```
///
/// ```compile_fail,E0599
/// # async fn example(mut producer: kafka_batch_rdkafka::RdkafkaProducer) {
/// producer.begin().await.unwrap();
/// # }
/// ```
///
/// [`TransactionGuarantee::LateRequestsAccepted`]: kafka_batch_core::TransactionGuarantee::LateRequestsAccepted
pub struct TransactionalProducer {
    producer: RdkafkaProducer,
    thread: TransactionThread,
    /// The outcome of a commit that is not known yet, or was not taken because its future was dropped.
    commit: Option<Outcome<Result<(), CommitError>>>,
}

impl TransactionalProducer {
    pub(crate) const fn new(producer: RdkafkaProducer, thread: TransactionThread) -> Self {
        Self { producer, thread, commit: None }
    }

    /// Gets a producer id from the coordinator.
    pub(crate) async fn init(&self) -> Result<(), InitTransactionsError> {
        self.thread.init().take().await
    }

    /// Begins a transaction, once the last one has ended: one that was dropped is aborted before, which takes a request.
    ///
    /// Dropping the future begins nothing.
    ///
    /// # Errors
    /// A commit whose future was dropped has ended, and the error says how; or the producer cannot go on.
    pub async fn begin(&mut self) -> Result<Transaction<'_>, BeginError> {
        if let Some(commit) = &self.commit {
            let outcome = commit.take().await;
            self.commit = None;
            return Err(BeginError::InterruptedCommit(outcome.map_err(Box::new)));
        }
        let cancel = CancelOnDrop(Some(&self.thread));
        let begun = self.thread.begin().take().await;
        cancel.disarm();
        begun?;
        Ok(Transaction::new(&self.producer, &self.thread, &mut self.commit))
    }

    /// Creates an empty batch with the settings of this producer, at the current time: see [`RdkafkaProducer::batch`].
    #[must_use]
    pub fn batch(&self) -> KafkaBatch {
        self.producer.batch()
    }

    /// Returns the number of partitions of a topic.
    ///
    /// # Errors
    /// As [`RdkafkaProducer::partition_count`].
    pub async fn partition_count(&self, topic: &str) -> Result<NonZeroU32, SendErrorReason> {
        self.producer.partition_count(topic).await
    }

    /// Returns what this transport guarantees.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        self.producer.capabilities()
    }

    /// Closes the producer, once a transaction that was dropped is aborted, and a commit whose future was dropped has ended; at the
    /// latest after `delivery.timeout.ms`.
    ///
    /// # Errors
    /// As [`RdkafkaProducer::close`].
    pub async fn close(self) -> Result<(), FlushError> {
        self.thread.close().take().await;
        self.producer.close().await
    }

    /// Closes the producer without waiting for responses.
    ///
    /// # Errors
    /// As [`RdkafkaProducer::close_at_once`].
    pub async fn close_at_once(self) -> Result<(), FlushError> {
        self.producer.close_at_once().await
    }
}

impl fmt::Debug for TransactionalProducer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransactionalProducer").field("producer", &self.producer).finish_non_exhaustive()
    }
}

/// Cancels a begin whose future is dropped.
struct CancelOnDrop<'p>(Option<&'p TransactionThread>);

impl CancelOnDrop<'_> {
    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for CancelOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(thread) = self.0 {
            thread.abort_on_drop();
        }
    }
}
