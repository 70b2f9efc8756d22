//! The producer handle, and its implementation of [`Transport`].

mod channel;

use std::fmt;
use std::future::{Future, poll_fn};
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::UNIX_EPOCH;

use kafka_batch_core::error::BlockedOn;
use kafka_batch_core::machine::{CloseMode, Stats};
use kafka_batch_core::message::Message;
use kafka_batch_core::publisher::BatchChannel;
use kafka_batch_core::record::EncodedHeaders;
use kafka_batch_core::{
    BatchOptions, BoxTransport, Capabilities, Delivery, DeliveryError, FlushError, KafkaBatch, PreparedBatch, Publish,
    PublishError, SealError, SealedBatch, SendError, SendErrorReason, TopicPartition, Transport,
};

use self::channel::ProducerChannel;
use crate::accepted::{BatchOutcome, Flushed};
use crate::command_queue::{BlockTimer, CommandQueue, NotAccepted, StatsError, new_batch};
use crate::lookup::Lookup;
use crate::observers::Observation;
use crate::oneshot::Receiver;
use crate::topic_error::TopicError;
use crate::topics::TopicCache;

/// Sends Kafka batches exactly as they were filled: **one batch in the program is one batch on the wire and one in the
/// log**, stored as a whole or not at all.
///
/// A cheap handle: clones share one state machine, its connections, and one task of a runtime. The handle is one type whatever
/// that runtime is: it and its futures can be used on any thread and under any runtime; only the task needs its own. The
/// runtimes' crates make it, as `TokioProducer`, `AsyncStdProducer` and `SmolProducer`, which dereference and convert to it.
///
/// - **Making batches** ([`batch`](Self::batch)) needs no broker. Once a broker has answered, new batches have the
///   newest format that all connected brokers accept (while there is no connection, the format of the last one), and no
///   codec that is too new for one of them (zstd needs Kafka 2.1). A batch that is too new for its broker is converted when
///   it is sent, or fails with a list of what the conversion would lose.
/// - **Sending** first checks that the topic and the partition exist (the first time; a topic counts as unknown after
///   `request.timeout.ms`), then compresses the batch on the caller's task, and then waits for `buffer.memory`, in the order
///   of the calls, so that small batches cannot starve a large one. Then the batch is accepted, and is sent immediately:
///   `linger.ms` concerns single messages only.
/// - **Single messages** ([`send`](Self::send)): messages of any number of tasks are gathered in batches, one for each
///   partition, and each caller gets the offset of its own. What follows holds for these batches, too.
/// - **Cancelling** is by dropping. Dropping the future of [`send_batch`](Self::send_batch) before it resolves sends
///   nothing and drops the batch with it. To continue after a timeout, keep the pinned future and poll it again, or send a
///   clone. (A future that is kept and not polled may hold the memory that it waited for, and blocks nothing else.) Once it
///   has resolved, the batch is in flight, and dropping [`Pending`] discards only the outcome.
/// - **Every accepted batch completes** within `delivery.timeout.ms`, delivered or failed. A failure states whether the
///   batch was not written, or may have been.
/// - **Flushing** waits for all batches that were accepted before, so it completes within `delivery.timeout.ms`, too, while
///   the runtime of the producer's task runs, and at once if nothing was accepted yet. It fails only if that task ends
///   meanwhile: its runtime is shut down, or it panics. Dropping the future has no effect on the batches.
/// - **Closing** refuses later batches and those that wait for memory, and flushes. It ends the producer's task, so it completes
///   only while that runs. It continues when its future is dropped.
///   [`close_at_once`](Self::close_at_once) does not wait for responses.
/// - **Dropping** the last handle cancels nothing: accepted batches are still sent while the runtime runs. At the end of a
///   program, call [`close`](Self::close) to be sure of it.
/// - **If the runtime is shut down** early, or the task panics, no future is left pending: each batch in flight fails with
///   [`FailureReason::Stopped`](kafka_batch_core::FailureReason::Stopped), as not written or unknown, and is returned in the error.
#[derive(Clone)]
pub struct Producer {
    pub(crate) inner: Arc<Inner>,
}

/// Upper bound of the bytes of a record without headers besides its key and value, in any format (32 in magic 2, 34 in magic 1),
/// plus those of a batch header (61).
pub(crate) const RECORD_OVERHEAD: usize = 100;

/// What all clones of a handle share.
pub(crate) struct Inner {
    pub(crate) queue: Arc<CommandQueue>,
    pub(crate) batch_options: BatchOptions,
    /// An empty batch with these options, to measure records.
    pub(crate) template: KafkaBatch,
    /// Key and value of this length together, without headers, are below all limits.
    pub(crate) ample_len: usize,
    capabilities: Capabilities,
    /// `buffer.memory` in bytes.
    pub(crate) buffer_memory: usize,
    /// The addresses of `bootstrap.servers`, for error messages and `Debug`.
    brokers: String,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.queue.close_on_drop();
    }
}

impl Producer {
    pub(crate) fn new(
        queue: Arc<CommandQueue>,
        batch_options: BatchOptions,
        capabilities: Capabilities,
        buffer_memory: usize,
        brokers: String,
    ) -> Self {
        let template = new_batch(&batch_options, None, UNIX_EPOCH, Vec::new());
        let ample_len = template.room().min(buffer_memory).saturating_sub(RECORD_OVERHEAD);
        Self {
            inner: Arc::new(Inner { queue, batch_options, template, ample_len, capabilities, buffer_memory, brokers }),
        }
    }

    /// Returns what this transport guarantees.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        self.inner.capabilities
    }

    /// Creates an empty batch with the settings of this producer, at the current time. It uses the memory of an earlier batch
    /// that was compressed, or whose [`Delivery`] was dropped, if there is some. At most 4 MiB, or a quarter of `buffer.memory`, are kept for this.
    #[must_use]
    pub fn batch(&self) -> KafkaBatch {
        self.inner.queue.new_batch(&self.inner.batch_options)
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
    /// The topic does not exist, or no broker responds within `request.timeout.ms`.
    pub async fn partition_count(&self, topic: &str) -> Result<NonZeroU32, SendErrorReason> {
        self.inner.partitions_within(topic, &mut BlockTimer::new(&self.inner.queue)).await
    }

    /// Returns the current sticky partition of a topic: the one that a batch without a partition is sent to next. It stays
    /// the same until a batch was sent there.
    ///
    /// # Errors
    /// As [`partition_count`](Self::partition_count).
    pub async fn pick_partition(&self, topic: &str) -> Result<i32, SendErrorReason> {
        self.inner.pick_partition(topic, &mut BlockTimer::new(&self.inner.queue)).await
    }

    /// Sends a batch to this partition. Completes when the batch is accepted; await the returned handle for the
    /// [`Delivery`].
    ///
    /// Back-pressure applies here: while `buffer.memory` is full, the future is pending.
    ///
    /// # Errors
    /// The batch was not accepted. Nothing of it was sent, and the error has the batch.
    pub async fn send_batch(&self, batch: KafkaBatch, to: TopicPartition) -> Result<Pending, SendError> {
        self.inner.send_batch(batch, to, &mut BlockTimer::new(&self.inner.queue)).await
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

    /// Returns the statistics of this producer at this time: what was sent to each topic, how each broker responds, the use of
    /// `buffer.memory`. Names are those of the Java client's metrics; the
    /// [guide](https://docs.rs/kafka-batch/latest/kafka_batch/metrics/) has a table.
    ///
    /// The producer's task makes the snapshot, so this completes only while that runs. After the producer was closed, or its
    /// runtime was shut down, it returns the last statistics.
    ///
    /// # Errors
    /// The producer's task has panicked.
    pub async fn stats(&self) -> Result<Stats, StatsError> {
        match self.inner.queue.request_stats() {
            Ok(receiver) => poll_fn(|context| receiver.poll_take(context)).await,
            Err(last) => last,
        }
        .map(|stats| *stats)
    }

    /// Waits until every batch that was accepted before this call is delivered or has failed.
    ///
    /// # Errors
    /// The producer's task has ended meanwhile.
    pub async fn flush(&self) -> Result<(), FlushError> {
        wait_for_flush(self.inner.queue.flush()).await
    }

    /// Closes the producer: accepts no further batches, and waits for those that were accepted.
    ///
    /// # Errors
    /// As [`flush`](Self::flush). The producer is closed even if this returns an error.
    pub async fn close(&self) -> Result<(), FlushError> {
        wait_for_flush(self.inner.queue.close(CloseMode::Graceful)).await
    }

    /// Closes the producer without waiting for responses. It accepts no further batch, and each batch without an outcome
    /// fails now and is returned in its error: as not written, or as unknown if any of its bytes may have been sent.
    /// Completes when all of them have failed.
    ///
    /// # Errors
    /// As [`flush`](Self::flush). The producer is closed even if this returns an error.
    pub async fn close_at_once(&self) -> Result<(), FlushError> {
        wait_for_flush(self.inner.queue.close(CloseMode::Immediate)).await
    }
}

/// Waits for a flush or close. `None` is one that had nothing to wait for.
async fn wait_for_flush(receiver: Option<Receiver<Flushed>>) -> Flushed {
    match receiver {
        Some(receiver) => poll_fn(|context| receiver.poll_take(context)).await,
        None => Ok(()),
    }
}

impl Inner {
    /// Returns the number of partitions, within the time of a call.
    pub(crate) async fn partitions_within(
        &self,
        topic: &str,
        timer: &mut BlockTimer<'_>,
    ) -> Result<NonZeroU32, SendErrorReason> {
        timer.bound(BlockedOn::Metadata, self.partitions(topic)).await
    }

    /// Returns the sticky partition, within the time of a call.
    pub(crate) async fn pick_partition(&self, topic: &str, timer: &mut BlockTimer<'_>) -> Result<i32, SendErrorReason> {
        let partitions = self.partitions_within(topic, timer).await?;
        Ok(self.queue.topics.pick(topic, partitions))
    }

    /// Checks that the partition exists, within the time of a call.
    pub(crate) async fn check_partition_within(
        &self,
        to: &TopicPartition,
        timer: &mut BlockTimer<'_>,
    ) -> Result<(), SendErrorReason> {
        timer.bound(BlockedOn::Metadata, self.check_partition(to)).await
    }

    /// Sends a batch, within the time of a call.
    async fn send_batch(
        &self,
        batch: KafkaBatch,
        to: TopicPartition,
        timer: &mut BlockTimer<'_>,
    ) -> Result<Pending, SendError> {
        let (sealed, observation) = match self.check_and_seal(batch, &to, timer).await {
            Ok(sealed) => sealed,
            Err((reason, batch)) => return Err(SendError::new(to, reason, batch)),
        };
        let (topic, partition) = (to.topic.clone(), to.partition);
        match self.queue.enqueue_batch(sealed, to, observation, timer).await {
            Ok(receiver) => {
                self.queue.topics.on_batch_accepted(&topic, partition);
                Ok(Pending { receiver })
            }
            Err(NotAccepted { reason, batch, to }) => Err(SendError::new(to, reason, batch.into_batch())),
        }
    }

    /// Seals the batch, and checks everything that can prevent its acceptance, except for available memory.
    async fn check_and_seal(
        &self,
        batch: KafkaBatch,
        to: &TopicPartition,
        timer: &mut BlockTimer<'_>,
    ) -> Result<(SealedBatch, Observation), (SendErrorReason, KafkaBatch)> {
        let open = self.queue.refusal().map_or(Ok(()), Err);
        if let Err(reason) = open.and_then(|()| SendErrorReason::check(&batch, to)) {
            return Err((reason, batch));
        }
        if let Err(reason) = self.check_partition_within(to, timer).await {
            return Err((reason, batch));
        }
        self.seal(batch, &to.topic, to.partition).map_err(|refused| *refused)
    }

    /// Seals the batch for a partition that exists. Returns it with what observes it.
    fn seal(
        &self,
        batch: KafkaBatch,
        topic: &str,
        partition: i32,
    ) -> Result<(SealedBatch, Observation), Box<(SendErrorReason, KafkaBatch)>> {
        if let Err(reason) = SendErrorReason::check_routing(&batch, partition) {
            return Err(Box::new((reason, batch)));
        }
        let observation = self.queue.observers.before_seal(topic, partition, &batch);
        let sealed = batch
            .seal_with_pool(&*self.queue.buffers())
            .map_err(|SealError { reason, batch, .. }| Box::new((SendErrorReason::Seal(reason), *batch)))?;
        let (size, limit) = (sealed.size(), self.buffer_memory);
        if size > limit {
            return Err(Box::new((SendErrorReason::ExceedsBufferMemory { size, limit }, sealed.into_batch())));
        }
        Ok((sealed, observation))
    }
}

impl Lookup for Inner {
    type Error = TopicError;

    fn topics(&self) -> &TopicCache<TopicError> {
        &self.queue.topics
    }

    fn request(&self, topic: &str) -> Result<(), SendErrorReason> {
        self.queue.lookup_topic(topic).inspect_err(|_| {
            // Callers that joined this lookup meanwhile would wait for ever.
            self.queue.topics.fail_lookups(&TopicError::Closed);
        })
    }

    fn send_error_reason(&self, topic: &str, error: TopicError) -> SendErrorReason {
        error.into_reason(topic, &self.brokers)
    }
}

impl Transport for Producer {
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

    async fn send_prepared(&self, prepared: PreparedBatch) -> Result<Pending, SendError> {
        let mut timer = BlockTimer::new(&self.inner.queue);
        let partition = match prepared.partition {
            Some(partition) => partition,
            None => match self.inner.pick_partition(&prepared.topic, &mut timer).await {
                Ok(partition) => partition,
                Err(reason) => return Err(prepared.into_send_error(reason)),
            },
        };
        self.inner.send_batch(prepared.batch, TopicPartition::new(prepared.topic, partition), &mut timer).await
    }

    fn injected_headers(&self, topic: &str) -> EncodedHeaders {
        self.inner.queue.injector.headers(topic)
    }

    fn channel<'a>(&'a self, topic: &'a str) -> Box<dyn BatchChannel + 'a> {
        Box::new(ProducerChannel::new(&self.inner, topic))
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

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer").field("brokers", &self.inner.brokers).finish_non_exhaustive()
    }
}

/// The future of an accepted batch's outcome. It resolves under any runtime, also after its producer was dropped. Do not poll
/// it again after that: it would be pending for ever.
///
/// The outcome contains the batch. `buffer.memory` counts a batch until its outcome is known, but not an outcome that is not
/// taken yet: to bound memory, await or drop the futures whose batches are complete.
#[derive(Debug)]
#[must_use = "it resolves to the outcome of the batch; drop it where that does not matter"]
pub struct Pending {
    pub(crate) receiver: Receiver<BatchOutcome>,
}

impl Future for Pending {
    type Output = Result<Delivery, DeliveryError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.receiver.poll_take(context)
    }
}
