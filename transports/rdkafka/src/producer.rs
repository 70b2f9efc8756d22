//! [`RdkafkaProducer`], the handle, and its implementation of [`Transport`].

use std::fmt;
use std::future::Future;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll};
use std::time::SystemTime;

use kafka_batch_core::error::TransportError;
use kafka_batch_core::machine::CloseMode;
use kafka_batch_core::message::Message;
use kafka_batch_core::record::EncodedHeaders;
use kafka_batch_core::transaction::TransactionCause;
use kafka_batch_core::{
    BatchOptions, BoxTransport, Capabilities, Delivery, DeliveryError, FlushError, KafkaBatch, Publish, PublishError,
    SendError, SendErrorReason, TopicPartition, TransactionGuarantee, Transport,
};
use kafka_batch_transport::hooks::{HeaderInjector, Observers};
use kafka_batch_transport::waiting::{self, Lookup, Permits, Slot, lock};
use rdkafka::Statistics;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{BaseProducer, Producer, PurgeConfig};

use crate::builder::ProducerBuilder;
use crate::context::Context;
use crate::error::LibrdkafkaError;
use crate::in_flight::{Accepted, Answer, InFlight};
use crate::produce;
use crate::topics::{TopicError, Topics};
use crate::verdict::Refusal;

/// A producer over librdkafka. The [crate documentation](crate) lists what differs from the other transports.
///
/// A cheap handle: clones share one librdkafka client. It needs no runtime and works under any.
///
/// - **Sending** looks up the topic and the partition (the first time), waits until there is room for the whole batch, and
///   then produces all of its records at once, on the thread that polls the future: about half a microsecond per record.
///   A future that is dropped earlier has produced nothing.
/// - **Flushing** waits for every batch accepted before the call. librdkafka reports each record within
///   `message.timeout.ms` (default 300 000), so a flush does not fail. It does not cut `linger.ms` short.
/// - **Closing** refuses later batches and those waiting for room, and flushes.
///   [`close_at_once`](Self::close_at_once) does not wait for delivery reports.
/// - **Dropping** the last handle cancels nothing: accepted batches are delivered in the background while the process
///   runs. Call [`close`](Self::close) before the process exits.
#[derive(Clone)]
pub struct RdkafkaProducer {
    inner: Arc<Inner>,
}

struct Inner {
    client: Arc<BaseProducer<Context>>,
    in_flight: Arc<InFlight>,
    topics: Arc<Topics>,
    batch_options: BatchOptions,
    /// The bootstrap servers, for error messages and `Debug`.
    brokers: String,
    observers: Observers,
    injector: HeaderInjector,
    /// Held while a batch is produced, so that the records of two batches are not interleaved in the log.
    produce_lock: Mutex<()>,
}

impl RdkafkaProducer {
    /// Returns a builder with default settings.
    pub fn builder() -> ProducerBuilder {
        ProducerBuilder::new()
    }

    pub(crate) fn new(
        client: Arc<BaseProducer<Context>>,
        in_flight: Arc<InFlight>,
        topics: Topics,
        batch_options: BatchOptions,
        brokers: String,
        (observers, injector): (Observers, HeaderInjector),
    ) -> Self {
        let (topics, produce_lock) = (Arc::new(topics), Mutex::new(()));
        let inner = Inner { client, in_flight, topics, batch_options, brokers, observers, injector, produce_lock };
        Self { inner: Arc::new(inner) }
    }

    /// Returns what this transport guarantees.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        Capabilities::new(false).with_transactions(TransactionGuarantee::LateRequestsAccepted)
    }

    /// Creates an empty batch with the [batch options](ProducerBuilder::batch_options), at the current time.
    #[must_use]
    pub fn batch(&self) -> KafkaBatch {
        let options = self.inner.batch_options.clone();
        options.build(SystemTime::now()).expect("the options were checked when the producer was built")
    }

    /// Creates an empty batch for the records of one partition of `topic`: the first key chooses the partition, and keys of
    /// other partitions are refused, as with [`BatchOptions::route_by_key`]. Published without
    /// a partition, it is sent there.
    ///
    /// # Errors
    /// As [`partition_count`](Self::partition_count).
    pub async fn keyed_batch(&self, topic: &str) -> Result<KafkaBatch, SendErrorReason> {
        Transport::keyed_batch(self, topic).await
    }

    /// Returns the number of partitions of a topic, for [`BatchOptions::route_by_key`].
    ///
    /// # Errors
    /// The topic does not exist, or no broker responds within [`ProducerBuilder::metadata_timeout`].
    pub async fn partition_count(&self, topic: &str) -> Result<NonZeroU32, SendErrorReason> {
        self.inner.partitions(topic).await
    }

    /// Returns the current sticky partition of a topic: the one that a batch without a partition is sent to next. It stays
    /// the same until a batch was sent there.
    ///
    /// # Errors
    /// As [`partition_count`](Self::partition_count).
    pub async fn pick_partition(&self, topic: &str) -> Result<i32, SendErrorReason> {
        let partitions = self.inner.partitions(topic).await?;
        Ok(self.inner.topics.cache.pick(topic, partitions))
    }

    /// Sends the records of a batch to this partition. Completes when librdkafka has taken them; await the returned handle
    /// for the [`Delivery`].
    ///
    /// Back-pressure applies here: while there is no room for the whole batch, the future is pending.
    ///
    /// # Errors
    /// The batch was not accepted. Nothing of it was sent, and the error has the batch.
    pub async fn send_batch(&self, batch: KafkaBatch, to: TopicPartition) -> Result<Pending, SendError> {
        match self.inner.accept(&batch, &to).await {
            Ok(accepted) => self.inner.produce(batch, to, accepted),
            Err(reason) => Err(SendError::new(to, reason, batch)),
        }
    }

    /// Publishes a batch, messages, or both, as [`Publish`] specifies, and waits for the acknowledgement.
    ///
    /// # Errors
    /// The messages overflow the batch (then nothing is sent), the batch was not accepted, or its delivery failed. The
    /// error has the batch.
    pub async fn publish_batch<M: Message + Sync>(&self, publish: Publish<'_, M>) -> Result<Delivery, PublishError> {
        Transport::publish_batch(self, publish).await
    }

    /// Publishes as [`publish_batch`](Self::publish_batch), but returns when the batch is accepted. The returned handle
    /// completes with the outcome; it may be dropped.
    ///
    /// # Errors
    /// The messages overflow the batch (then nothing is sent), or the batch was not accepted. The error has the batch.
    pub async fn publish_batch_no_confirm<M: Message + Sync>(
        &self,
        publish: Publish<'_, M>,
    ) -> Result<Pending, PublishError> {
        Transport::publish_batch_no_confirm(self, publish).await
    }

    /// Returns this producer as a transport without a type: see [`Transport::boxed`].
    #[must_use]
    pub fn boxed(self) -> BoxTransport {
        Transport::boxed(self)
    }

    /// Returns the last statistics of librdkafka, which emits them every `statistics.interval.ms`: `None` before the first, and
    /// if that setting is 0, its default.
    ///
    /// They are librdkafka's own ([STATISTICS.md]): it counts other things than the state machine of the other transports, so
    /// they are not a `Stats` of which parts are missing.
    ///
    /// [STATISTICS.md]: https://github.com/confluentinc/librdkafka/blob/v2.12.1/STATISTICS.md
    #[must_use]
    pub fn statistics(&self) -> Option<Arc<Statistics>> {
        self.inner.client.context().statistics()
    }

    /// Waits until every batch that was accepted before this call is delivered or has failed.
    ///
    /// # Errors
    /// None at present: librdkafka reports each record within `message.timeout.ms`.
    pub async fn flush(&self) -> Result<(), FlushError> {
        self.inner.in_flight.flush().await;
        Ok(())
    }

    /// Closes the producer: accepts no further batches, and waits for those that were accepted.
    ///
    /// # Errors
    /// As [`flush`](Self::flush). The producer is closed even if this returns an error.
    pub async fn close(&self) -> Result<(), FlushError> {
        self.inner.in_flight.close(CloseMode::Graceful);
        self.flush().await
    }

    /// Closes the producer without waiting for acknowledgements.
    ///
    /// Each record without a delivery report fails with [`FailureReason::Closed`]: with fate *not written* if it was still in
    /// librdkafka's queue, *unknown* if it may have been sent. Resolves when every batch has completed.
    ///
    /// # Errors
    /// None at present. The producer is closed even if this returns an error.
    ///
    /// [`FailureReason::Closed`]: kafka_batch_core::FailureReason::Closed
    pub async fn close_at_once(&self) -> Result<(), FlushError> {
        self.inner.in_flight.close(CloseMode::Immediate);
        let between_batches = lock(&self.inner.produce_lock); // a batch produced after this sees the close
        purge(&self.inner.client);
        drop(between_batches);
        self.flush().await
    }
}

/// For transactions.
impl RdkafkaProducer {
    /// Records that the transaction can only be aborted.
    pub(crate) fn fail_transaction(&self, cause: TransactionCause) {
        self.inner.in_flight.fail_transaction(cause);
    }
}

/// Purges librdkafka's queues and in-flight requests. Each purged record gets a delivery report.
///
/// The purge is asynchronous, and a record that moves between librdkafka's threads may escape it. The delivery report thread
/// therefore repeats it until no batch is in flight.
pub(crate) fn purge(client: &BaseProducer<Context>) {
    client.purge(PurgeConfig::default().queue().inflight().non_blocking());
}

impl Inner {
    /// Validates the batch and waits for room. When this resolves, the batch is registered as in flight, so
    /// [`produce`](Self::produce) must follow without an await.
    async fn accept(&self, batch: &KafkaBatch, to: &TopicPartition) -> Result<Accepted, SendErrorReason> {
        if self.in_flight.is_closed() {
            return Err(SendErrorReason::Closed);
        }
        SendErrorReason::check(batch, to)?;
        produce::check(batch).map_err(|error| SendErrorReason::Transport(TransportError::new(error)))?;
        produce::check_topic(&to.topic)?;
        // librdkafka itself would report an unknown topic only after `topic.metadata.propagation.max.ms` (default 30 000), and
        // would treat partition −1 as "any partition", per record.
        self.check_partition(to).await?;
        let permits = Permits { records: batch.record_count(), bytes: batch.size() };
        self.in_flight.acquire(to, permits).await.map_err(|_closed| SendErrorReason::Closed)
    }

    fn produce(
        &self,
        batch: KafkaBatch,
        to: TopicPartition,
        Accepted { first, slot }: Accepted,
    ) -> Result<Pending, SendError> {
        let observation = self.observers.before_seal(&to.topic, to.partition, &batch);
        let order = lock(&self.produce_lock);
        if self.in_flight.is_closed_at_once() {
            drop(order);
            self.in_flight.withdraw(first);
            return Err(SendError::new(to, SendErrorReason::Closed, batch));
        }
        if self.in_flight.transaction_failure().is_some() {
            drop(order);
            self.in_flight.refuse(first, batch, observation);
            return Ok(Pending { slot });
        }
        let refusal = produce::produce(&self.client, &to, first, &batch);
        drop(order);
        match refusal {
            Some(refusal) if refusal.position == 0 && refusal.is_of_transaction() => {
                self.in_flight.refuse(first, batch, observation);
                Ok(Pending { slot })
            }
            Some(Refusal { position: 0, error }) => {
                self.in_flight.withdraw(first);
                self.topics.cache.forget(&to.topic); // the topic may have been deleted: look it up again
                let reason = refused(&to, error);
                Err(SendError::new(to, reason, batch))
            }
            refusal => {
                self.in_flight.finish_produce(first, batch, refusal, observation);
                self.topics.cache.on_batch_accepted(&to.topic, to.partition);
                Ok(Pending { slot })
            }
        }
    }
}

/// Returns the reason for a batch of which librdkafka took no record.
fn refused(to: &TopicPartition, error: LibrdkafkaError) -> SendErrorReason {
    if error.code == RDKafkaErrorCode::UnknownTopic as i32 {
        SendErrorReason::UnknownTopic { topic: to.topic.clone() }
    } else {
        SendErrorReason::Transport(TransportError::new(error))
    }
}

impl Lookup for Inner {
    type Error = TopicError;

    fn topics(&self) -> &waiting::TopicCache<TopicError> {
        &self.topics.cache
    }

    fn request(&self, topic: &str) -> Result<(), SendErrorReason> {
        self.topics.request(&self.client, topic);
        Ok(())
    }

    fn send_error_reason(&self, topic: &str, error: TopicError) -> SendErrorReason {
        error.into_reason(topic, &self.brokers)
    }
}

impl Transport for RdkafkaProducer {
    type Pending = Pending;

    fn capabilities(&self) -> Capabilities {
        self.capabilities()
    }

    fn batch(&self) -> KafkaBatch {
        self.batch()
    }

    async fn partition_count(&self, topic: &str) -> Result<NonZeroU32, SendErrorReason> {
        self.partition_count(topic).await
    }

    async fn pick_partition(&self, topic: &str) -> Result<i32, SendErrorReason> {
        self.pick_partition(topic).await
    }

    async fn send_batch(&self, batch: KafkaBatch, to: TopicPartition) -> Result<Pending, SendError> {
        self.send_batch(batch, to).await
    }

    fn injected_headers(&self, topic: &str) -> EncodedHeaders {
        self.inner.injector.headers(topic)
    }

    async fn flush(&self) -> Result<(), FlushError> {
        self.flush().await
    }

    async fn close(&self) -> Result<(), FlushError> {
        self.close().await
    }

    async fn close_at_once(&self) -> Result<(), FlushError> {
        self.close_at_once().await
    }
}

impl fmt::Debug for RdkafkaProducer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RdkafkaProducer").field("brokers", &self.inner.brokers).finish_non_exhaustive()
    }
}

/// A batch in flight. Resolves when librdkafka has reported the last of its records.
#[derive(Debug)]
#[must_use = "await it to learn whether the batch was delivered, or drop it explicitly"]
pub struct Pending {
    slot: Arc<Slot<Answer>>,
}

impl Future for Pending {
    type Output = Result<Delivery, DeliveryError>;

    fn poll(self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<Self::Output> {
        self.slot.poll_take(context)
    }
}
