//! The trait of transports, so that the same application code runs over any of them.

mod boxed;
mod channel;

use alloc::boxed::Box;
use core::future::Future;
use core::num::NonZeroU32;

pub use self::boxed::{BoxPending, BoxTransport};
use self::channel::FutureChannel;
pub use self::channel::{BatchChannel, ChannelBatch, ChannelError, ChannelOutcome};
use crate::batch::KafkaBatch;
use crate::delivery::Delivery;
use crate::failure::DeliveryError;
use crate::headers::EncodedHeaders;
use crate::outgoing::Message;
use crate::publish::{PreparedBatch, Publish, PublishError};
use crate::record::TopicPartition;
use crate::send_error::{FlushError, SendError, SendErrorReason};

/// Sends batches to brokers and reports the outcome of each: what all transports have in common, for generic code.
///
/// Producers have these methods also as inherent ones, so that an application that names its producer needs no trait in
/// scope. Where the type of the transport must not appear, as in a struct that holds any of them, use
/// [`boxed`](Self::boxed).
///
/// Every method takes `&self`, so a handle can be shared.
///
/// # Cancellation safety
///
/// Dropping the future of [`send_batch`](Self::send_batch) before it completes sends nothing, and drops the batch. Once
/// it has completed, the batch is accepted and will be sent; dropping [`Pending`](Self::Pending) only discards its
/// outcome.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a transport",
    label = "expected a producer, such as `TokioProducer`, or a `BoxTransport`",
    note = "a builder becomes a producer by `build()?`",
    note = "instead of a reference to a producer, or an `Arc` of one, pass the producer or a clone: it is a cheap handle",
    note = "where the type must not appear, as in a struct that holds any producer, use `BoxTransport`, from `.boxed()`"
)]
pub trait Transport: Sync {
    /// Completes with the outcome of an accepted batch. Dropping it discards the outcome; the batch is still sent.
    type Pending: Future<Output = Result<Delivery, DeliveryError>> + Send;

    /// Returns what this transport guarantees.
    fn capabilities(&self) -> Capabilities;

    /// Creates an empty batch with the settings of this producer, at the current time.
    fn batch(&self) -> KafkaBatch;

    /// Creates an empty batch for the records of one partition of `topic`: the first key chooses the partition, and keys of
    /// other partitions are refused, as with [`BatchOptions::route_by_key`](crate::BatchOptions::route_by_key). Published without
    /// a partition, it is sent there.
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

    /// Returns the current sticky partition of a topic: the one that a batch without a partition is sent to next. It stays
    /// the same until a batch was sent there.
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

    /// Sends a batch to its partition, or without one to the [current sticky one](Self::pick_partition). Completes when the batch
    /// is accepted, as [`send_batch`](Self::send_batch).
    ///
    /// By default it calls these two methods. Transports that bound how long one call waits (`max.block.ms`) bound both together.
    ///
    /// # Errors
    /// The batch was not accepted. Nothing of it was sent, and the error has the batch.
    fn send_prepared(&self, prepared: PreparedBatch) -> impl Future<Output = Result<Self::Pending, SendError>> + Send {
        async move {
            let partition = match prepared.partition {
                Some(partition) => partition,
                None => match self.pick_partition(&prepared.topic).await {
                    Ok(partition) => partition,
                    Err(reason) => return Err(prepared.into_send_error(reason)),
                },
            };
            self.send_batch(prepared.batch, TopicPartition::new(prepared.topic, partition)).await
        }
    }

    /// Returns the headers that this producer adds to a message for this topic now, such as those of a trace: see
    /// `ProducerBuilder::inject_headers`. [`publish_batch`](Self::publish_batch) adds them to the messages that it is given. Default: none.
    fn injected_headers(&self, topic: &str) -> EncodedHeaders {
        let _ = topic;
        EncodedHeaders::default()
    }

    /// Returns a channel that sends batches to the partitions of one topic and collects their outcomes, as
    /// [`send_batch`](Self::send_batch) with each of them would.
    ///
    /// By default it calls `send_batch`. Transports that can accept batches without a future for each have a channel of their own.
    fn channel<'a>(&'a self, topic: &'a str) -> Box<dyn BatchChannel + 'a>
    where
        Self: Sized,
    {
        Box::new(FutureChannel::new(self, topic))
    }

    /// Waits until every batch that was accepted before this call is delivered or has failed.
    ///
    /// # Errors
    /// The producer's task has ended before every batch had an outcome.
    fn flush(&self) -> impl Future<Output = Result<(), FlushError>> + Send;

    /// Closes the producer: accepts no further batches, and waits for those that were accepted.
    ///
    /// # Errors
    /// As [`flush`](Self::flush). The producer is closed even if this returns an error.
    fn close(&self) -> impl Future<Output = Result<(), FlushError>> + Send;

    /// Closes the producer without waiting for responses. It accepts no further batch, and each batch without an outcome
    /// fails now and is returned in its error: as not written, or as unknown if any of its bytes may have been sent.
    /// Completes when all of them have failed.
    ///
    /// # Errors
    /// As [`flush`](Self::flush). The producer is closed even if this returns an error.
    fn close_at_once(&self) -> impl Future<Output = Result<(), FlushError>> + Send;

    /// Returns this transport without its type: every future is allocated, at about the cost of one allocation for each
    /// batch.
    ///
    /// ```
    /// use kafka_batch_core::{BoxTransport, Transport};
    ///
    /// struct Service {
    ///     transport: BoxTransport, // of any producer, or of a fake one in tests
    /// }
    ///
    /// fn service(transport: impl Transport + Send + 'static) -> Service {
    ///     Service { transport: transport.boxed() }
    /// }
    /// ```
    fn boxed(self) -> BoxTransport
    where
        Self: Sized + Send + 'static,
        Self::Pending: 'static,
    {
        BoxTransport::new(self)
    }

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
            let prepared = if publish.has_messages() {
                let headers = self.injected_headers(publish.topic());
                publish.injected_headers(&headers).prepare(|| self.batch())?
            } else {
                publish.prepare(|| self.batch())?
            };
            self.send_prepared(prepared).await.map_err(PublishError::Send)
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
    /// What holds for its transactions.
    pub transactions: TransactionGuarantee,
}

impl Capabilities {
    /// Creates the capabilities of a transport without transactions.
    #[must_use]
    pub const fn new(one_batch_on_the_wire: bool) -> Self {
        Self { one_batch_on_the_wire, transactions: TransactionGuarantee::Unsupported }
    }

    /// Sets what holds for its transactions.
    #[must_use]
    pub const fn with_transactions(mut self, transactions: TransactionGuarantee) -> Self {
        self.transactions = transactions;
        self
    }
}

/// What a transport guarantees of transactions while requests are lost or late.
///
/// With each of them, a transaction that is committed is visible as a whole, and one that is aborted is not visible to consumers of
/// committed records, if every request is answered or none of it reaches a broker later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransactionGuarantee {
    /// The transport has no transactions.
    Unsupported,
    /// A request that was not answered, and that a broker receives later, during another transaction of the producer, is refused.
    /// With `transaction.version` 2 each transaction has an epoch of its own (KIP-890), and below it the producer has the epoch
    /// bumped before the next transaction. Below it, partition leaders and group coordinators learn the new epoch only from the
    /// first request with it: until then they accept a Produce or TxnOffsetCommit request that was given up after
    /// `delivery.timeout.ms` and arrives late; an EndTxn they never do.
    LateRequestsRefused,
    /// Transactions share an epoch, as in `transaction.version` 0, which the transport uses with every broker. It does not exclude
    /// that a broker receives a request that was not answered during a later transaction of the producer: an EndTxn then ends that
    /// one, with only a part of it committed, and records of a Produce request become part of it. This needs a request that the
    /// network delays for longer than its repetition takes.
    LateRequestsAccepted,
}
