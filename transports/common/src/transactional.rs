//! The producer of transactions, and how it is built.

use std::fmt;
use std::future::{Future, poll_fn};
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use kafka_batch_core::transaction::{BeginError, CommitError, InitTransactionsError};
use kafka_batch_core::{Capabilities, FlushError, KafkaBatch, SendErrorReason};

use crate::command_queue::CommandQueue;
use crate::error::ConfigError;
use crate::oneshot::Receiver;
use crate::producer::Producer;
use crate::transaction::Transaction;

/// A producer whose batches are written in transactions: consumers with `isolation.level=read_committed` read the batches of a
/// transaction, and the group that it commits offsets of moves on, if and only if it was committed.
///
/// Made by [`ProducerBuilder::build_transactional`](crate::ProducerBuilder::build_transactional). It is not `Clone`, and
/// [`begin`](Self::begin) borrows it, so there is one transaction at a time.
///
/// ```no_run
/// use kafka_batch_core::transaction::{CommitError, GroupMetadata};
/// use kafka_batch_core::{Record, TopicPartition};
/// use kafka_batch_transport::TransactionalProducer;
///
/// # async fn example(mut producer: TransactionalProducer) -> Result<(), Box<dyn std::error::Error>> {
/// let transaction = producer.begin().await?;
/// let mut batch = transaction.batch();
/// batch.append(Record::new("three books"))?;
/// transaction.send_batch(batch, TopicPartition::new("orders", 0)).await?; // its outcome is part of the commit
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
/// Misuse does not compile. No second transaction beside the first:
///
/// ```compile_fail,E0499
/// # async fn example(mut producer: kafka_batch_transport::TransactionalProducer) {
/// let one = producer.begin().await.unwrap();
/// let other = producer.begin().await.unwrap();
/// one.commit().await.unwrap();
/// # }
/// ```
///
/// No commit twice, and nothing is sent after it:
///
/// ```compile_fail,E0382
/// # async fn example(mut producer: kafka_batch_transport::TransactionalProducer) {
/// let transaction = producer.begin().await.unwrap();
/// transaction.commit().await.unwrap();
/// transaction.commit().await.unwrap();
/// # }
/// ```
///
/// ```compile_fail,E0382
/// # async fn example(mut producer: kafka_batch_transport::TransactionalProducer) {
/// let transaction = producer.begin().await.unwrap();
/// transaction.abort().await.unwrap();
/// transaction.send("orders", "late").await.unwrap();
/// # }
/// ```
///
/// No commit while something is being sent:
///
/// ```compile_fail,E0505
/// # async fn example(mut producer: kafka_batch_transport::TransactionalProducer) {
/// let transaction = producer.begin().await.unwrap();
/// let sending = transaction.send("orders", "in the transaction");
/// transaction.commit().await.unwrap();
/// sending.await.unwrap();
/// # }
/// ```
///
/// Nothing is sent outside a transaction, and there is none with a producer that has no `transactional.id`:
///
/// ```compile_fail,E0599
/// # async fn example(producer: kafka_batch_transport::TransactionalProducer) {
/// producer.send("orders", "outside").await.unwrap();
/// # }
/// ```
///
/// ```compile_fail,E0599
/// # async fn example(mut producer: kafka_batch_transport::Producer) {
/// producer.begin().await.unwrap();
/// # }
/// ```
pub struct TransactionalProducer {
    pub(crate) producer: Producer,
    /// The outcome of a commit that is not known yet, or was not taken because its future was dropped.
    pub(crate) commit: Option<Receiver<Result<(), CommitError>>>,
}

impl TransactionalProducer {
    /// Begins a transaction, once the last one has ended: one that was dropped is aborted before, which takes a request.
    ///
    /// Dropping the future begins nothing.
    ///
    /// # Errors
    /// A commit whose future was dropped has ended, and the error says how; or the producer cannot go on.
    pub async fn begin(&mut self) -> Result<Transaction<'_>, BeginError> {
        if let Some(commit) = &self.commit {
            let outcome = poll_fn(|context| commit.poll_take(context)).await;
            self.commit = None;
            return Err(BeginError::InterruptedCommit(outcome.map_err(Box::new)));
        }
        begin(Arc::clone(&self.producer.inner.queue)).await?;
        Ok(Transaction::new(&self.producer, &mut self.commit))
    }

    /// Creates an empty batch with the settings of this producer, at the current time: see [`Producer::batch`].
    #[must_use]
    pub fn batch(&self) -> KafkaBatch {
        self.producer.batch()
    }

    /// Returns the number of partitions of a topic.
    ///
    /// # Errors
    /// As [`Producer::partition_count`].
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
    /// The producer's task has ended meanwhile.
    pub async fn close(self) -> Result<(), FlushError> {
        self.producer.close().await
    }

    /// Closes the producer without waiting for responses.
    ///
    /// # Errors
    /// The producer's task has ended meanwhile.
    pub async fn close_at_once(self) -> Result<(), FlushError> {
        self.producer.close_at_once().await
    }
}

impl fmt::Debug for TransactionalProducer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransactionalProducer").field("producer", &self.producer).finish_non_exhaustive()
    }
}

/// Begins a transaction. Dropping the future begins nothing.
pub(crate) fn begin(queue: Arc<CommandQueue>) -> impl Future<Output = Result<(), BeginError>> + Send {
    let begun = queue.begin();
    let cancel = CancelOnDrop(Some(queue));
    async move {
        let mut cancel = cancel; // all of it belongs to the future
        let result = poll_fn(|context| begun.poll_take(context)).await;
        cancel.0 = None;
        result
    }
}

/// Cancels a begin whose future is dropped.
struct CancelOnDrop(Option<Arc<CommandQueue>>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let Some(queue) = &self.0 {
            queue.abort_on_drop();
        }
    }
}

/// The future of a [`TransactionalProducer`], which resolves once the coordinator has assigned a producer id: made by
/// [`ProducerBuilder::build_transactional_with_task`](crate::ProducerBuilder::build_transactional_with_task). Dropping it closes the
/// producer.
#[must_use = "a future does nothing unless it is awaited"]
pub struct InitTransactions {
    producer: Option<Producer>,
    initialized: Receiver<Result<(), InitTransactionsError>>,
}

impl InitTransactions {
    pub(crate) fn new(producer: Producer) -> Self {
        let initialized = producer.inner.queue.init_transactions();
        Self { producer: Some(producer), initialized }
    }
}

impl Future for InitTransactions {
    type Output = Result<TransactionalProducer, InitTransactionsError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let result = ready!(self.initialized.poll_take(context));
        let producer = self.producer.take();
        Poll::Ready(result.map(|()| TransactionalProducer {
            producer: producer.expect("a future is not polled again after it has resolved"),
            commit: None,
        }))
    }
}

impl fmt::Debug for InitTransactions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InitTransactions").field("producer", &self.producer).finish_non_exhaustive()
    }
}

/// The error of building a transactional producer.
#[derive(Debug)]
#[non_exhaustive]
pub enum BuildTransactionalError {
    /// A setting is missing, unknown, out of range or in conflict with another one, or there is no current runtime.
    Config(ConfigError),
    /// The coordinator has not assigned a producer id.
    Init(InitTransactionsError),
}

impl fmt::Display for BuildTransactionalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Init(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for BuildTransactionalError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Config(error) => error.source(),
            Self::Init(error) => error.source(),
        }
    }
}

impl From<ConfigError> for BuildTransactionalError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<InitTransactionsError> for BuildTransactionalError {
    fn from(error: InitTransactionsError) -> Self {
        Self::Init(error)
    }
}
