//! The producer handle, and its implementation of [`Transport`].

use std::fmt;
use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::SystemTime;

use kafka_batch_core::machine::{CloseMode, SendErrorKind};
use kafka_batch_core::{
    BatchOptions, Capabilities, Delivery, DeliveryError, FlushError, KafkaBatch, SealError, SealedBatch, SendError,
    SendErrorReason, TopicPartition, Transport,
};

use crate::builder::{ProducerBuilder, Runtime};
use crate::command_queue::{Answer, CommandQueue, Flushed};
use crate::oneshot::Receiver;
use crate::topic_error::TopicError;
use crate::topics;

/// Sends Kafka batches exactly as they were filled: **one batch in the program is one batch on the wire and one in the
/// log**, stored as a whole or not at all.
///
/// A cheap handle: clones share one state machine, its connections, and one task of the runtime `R`. The handle and its
/// futures can be used on any thread and under any runtime; only the task needs `R`.
///
/// - **Making batches** ([`batch`](Transport::batch)) needs no broker. Once a broker has answered, new batches have the
///   newest format that all connected brokers accept (while there is no connection, the format of the last one), and no
///   codec that is too new for one of them (zstd needs Kafka 2.1). A batch that is too new for its broker is converted when
///   it is sent, or fails with a list of what the conversion would lose.
/// - **Sending** first checks that the topic and the partition exist (the first time; a topic counts as unknown after
///   `request.timeout.ms`), then compresses the batch on the caller's task, and then waits for `buffer.memory`, in the order
///   of the calls, so that small batches cannot starve a large one. Then the batch is accepted, and is sent immediately:
///   there is no `linger.ms`.
/// - **Cancelling** is by dropping. Dropping the future of [`send_batch`](Transport::send_batch) before it resolves sends
///   nothing and drops the batch with it. To continue after a timeout, keep the pinned future and poll it again, or send a
///   clone. (A future that is kept and not polled may hold the memory that it waited for, and blocks nothing else.) Once it
///   has resolved, the batch is in flight, and dropping [`Pending`] discards only the outcome.
/// - **Every accepted batch completes** within `delivery.timeout.ms`, delivered or failed. A failure states whether the
///   batch was not written, or may have been.
/// - **Flushing** waits for all batches that were accepted before, so it completes within `delivery.timeout.ms`, too. It
///   fails only if the runtime is shut down meanwhile. Dropping the future has no effect on the batches.
/// - **Closing** refuses later batches and those that wait for memory, and flushes. It continues when its future is dropped.
///   [`close_at_once`](Self::close_at_once) does not wait for responses.
/// - **Dropping** the last handle cancels nothing: accepted batches are still sent while the runtime runs. At the end of a
///   program, call [`close`](Transport::close) to be sure of it.
/// - **If the runtime is shut down** early, or the task panics, no future is left pending: each batch in flight fails with
///   [`Stopped`](crate::Stopped), as not written or unknown, as the case may be, and is returned in the error.
pub struct Producer<R> {
    inner: Arc<Inner>,
    runtime: PhantomData<fn() -> R>,
}

struct Inner {
    queue: Arc<CommandQueue>,
    batch_options: BatchOptions,
    capabilities: Capabilities,
    /// `buffer.memory`.
    limit: usize,
    /// The addresses of `bootstrap.servers`, for error messages and `Debug`.
    brokers: String,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.queue.close_on_drop();
    }
}

impl<R: Runtime> Producer<R> {
    /// Returns a builder with default settings.
    pub fn builder() -> ProducerBuilder<R> {
        ProducerBuilder::new()
    }
}

impl<R> Producer<R> {
    pub(crate) fn new(
        queue: Arc<CommandQueue>,
        batch_options: BatchOptions,
        capabilities: Capabilities,
        limit: usize,
        brokers: String,
    ) -> Self {
        let inner = Arc::new(Inner { queue, batch_options, capabilities, limit, brokers });
        Self { inner, runtime: PhantomData }
    }

    /// Closes the producer without waiting for responses. It accepts no further batch, and each batch that is not complete
    /// fails now and is returned in the error: as not written, or as unknown if any of its bytes may have been sent.
    /// Resolves when all of them have failed.
    ///
    /// # Errors
    /// The runtime was shut down meanwhile. The producer is closed even if this returns an error.
    pub async fn close_at_once(&self) -> Result<(), FlushError> {
        completion(self.inner.queue.close(CloseMode::Immediate)).await
    }
}

/// Waits for a flush or close. `None` is one that had nothing to wait for.
async fn completion(receiver: Option<Receiver<Flushed>>) -> Flushed {
    match receiver {
        Some(receiver) => poll_fn(|context| receiver.poll_take(context)).await,
        None => Ok(()),
    }
}

impl Inner {
    /// Seals the batch, and checks everything that can prevent its acceptance, except for available memory.
    async fn prepare(
        &self,
        batch: KafkaBatch,
        to: &TopicPartition,
    ) -> Result<SealedBatch, (SendErrorReason, KafkaBatch)> {
        let refusal = self.queue.refusal().or_else(|| SendErrorReason::of_routing(&batch, to.partition));
        if let Some(reason) = refusal {
            return Err((reason, batch));
        }
        if let Err(reason) = self.check_partition(to).await {
            return Err((reason, batch));
        }
        let sealed = batch.seal().map_err(|SealError { reason, batch, .. }| (SendErrorReason::Seal(reason), *batch))?;
        let (needed, limit) = (sealed.size(), self.limit);
        if needed > limit {
            let reason = SendErrorReason::Transport(Box::new(SendErrorKind::ExceedsBufferMemory { needed, limit }));
            return Err((reason, sealed.into_batch()));
        }
        Ok(sealed)
    }

    /// Checks that the topic and the partition exist, so that a wrong name is an error before anything is sent, not after
    /// `delivery.timeout.ms`.
    async fn check_partition(&self, to: &TopicPartition) -> Result<(), SendErrorReason> {
        if self.queue.topics.has(to) {
            return Ok(());
        }
        let partitions = self.request_partitions(&to.topic).await?;
        if topics::has(partitions, to.partition) {
            return Ok(());
        }
        let TopicPartition { topic, partition } = to.clone();
        Err(SendErrorReason::UnknownPartition { topic, partition, partitions: partitions.get() })
    }

    /// Returns the topic's number of partitions. An expired number is requested again, but is used until there is a
    /// response, so that batches are accepted as before while no broker responds.
    async fn partitions(&self, topic: &str) -> Result<NonZeroU32, SendErrorReason> {
        let topics = &self.queue.topics;
        if let Some(partitions) = topics.known(topic) {
            return Ok(partitions);
        }
        let Some(partitions) = topics.remembered(topic) else { return self.request_partitions(topic).await };
        if topics.begin_asking(topic) {
            self.lookup_topic(topic)?;
        }
        Ok(partitions)
    }

    fn lookup_topic(&self, topic: &str) -> Result<(), SendErrorReason> {
        self.queue.lookup_topic(topic).inspect_err(|_| {
            // Callers that joined this lookup meanwhile would wait for ever.
            self.queue.topics.give_up(&TopicError::Closed);
        })
    }

    /// Waits for the response to a new or a pending lookup of the topic.
    async fn request_partitions(&self, topic: &str) -> Result<NonZeroU32, SendErrorReason> {
        let (receiver, is_first) = self.queue.topics.join(topic);
        if is_first {
            self.lookup_topic(topic)?;
        }
        let result = poll_fn(|context| receiver.poll_take(context)).await;
        result.map_err(|error| error.into_reason(topic, &self.brokers))
    }
}

impl<R> Transport for Producer<R> {
    type Pending = Pending;

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities
    }

    fn batch(&self) -> KafkaBatch {
        let (options, now) = (self.inner.batch_options.clone(), SystemTime::now());
        if let Some(version) = self.inner.queue.produce() {
            // Options that this format does not support are left to the machine, which converts the batch or refuses it.
            if let Ok(batch) = options.clone().for_produce_version(version).build(now) {
                return batch;
            }
        }
        options.build(now).expect("the options were checked when the producer was made")
    }

    async fn partition_count(&self, topic: &str) -> Result<NonZeroU32, SendErrorReason> {
        self.inner.partitions(topic).await
    }

    async fn pick_partition(&self, topic: &str) -> Result<i32, SendErrorReason> {
        let partitions = self.inner.partitions(topic).await?;
        Ok(self.inner.queue.topics.pick(topic, partitions))
    }

    async fn send_batch(&self, batch: KafkaBatch, to: TopicPartition) -> Result<Pending, SendError> {
        let sealed = match self.inner.prepare(batch, &to).await {
            Ok(sealed) => sealed,
            Err((reason, batch)) => return Err(SendError::new(to, reason, batch)),
        };
        let (topic, partition) = (to.topic.clone(), to.partition);
        let mut request = Some((sealed, to));
        match self.inner.queue.send(&mut request).await {
            Ok(receiver) => {
                self.inner.queue.topics.sent(&topic, partition);
                Ok(Pending { receiver })
            }
            Err(reason) => {
                let (sealed, to) = request.expect("a batch that was not accepted is left in place");
                Err(SendError::new(to, reason, sealed.into_batch()))
            }
        }
    }

    async fn flush(&self) -> Result<(), FlushError> {
        completion(self.inner.queue.flush()).await
    }

    async fn close(&self) -> Result<(), FlushError> {
        completion(self.inner.queue.close(CloseMode::Graceful)).await
    }
}

impl<R> Clone for Producer<R> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), runtime: PhantomData }
    }
}

impl<R> fmt::Debug for Producer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer").field("brokers", &self.inner.brokers).finish_non_exhaustive()
    }
}

/// A batch in flight. Resolves to its outcome, under any runtime, also after its producer was dropped.
///
/// The outcome contains the batch. `buffer.memory` counts a batch until its outcome is known, but not an outcome that is not
/// taken yet: to bound memory, await or drop the futures whose batches are complete.
#[derive(Debug)]
#[must_use = "it resolves to the outcome of the batch; drop it where that does not matter"]
pub struct Pending {
    receiver: Receiver<Answer>,
}

impl Future for Pending {
    type Output = Result<Delivery, DeliveryError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.receiver.poll_take(context)
    }
}
