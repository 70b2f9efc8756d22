//! The producer: the handle that users hold, and its side of [`Transport`].

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
use crate::slot::Slot;
use crate::topic_error::TopicError;
use crate::topics;

/// A producer: **the batch that was filled is the batch that lands**, one on the wire and one in the log, all of it or
/// nothing.
///
/// A cheap handle: clones share one state machine, its connections, and one task of the runtime `R`. It can be used, and
/// what it gives out awaited, on any thread and under any runtime; only the task needs `R`.
///
/// - **Making batches** ([`batch`](Transport::batch)) needs no broker; once one was met, they have the newest format that
///   all brokers take to which there is a connection (while there is none, as it was last), and no codec that is too new for
///   one of them (zstd came with 2.1). A batch that turns out to be too new is converted when it is sent, or fails with what
///   would be lost.
/// - **Sending** first makes sure that the topic and the partition exist (the first time; a topic counts as unknown after
///   `request.timeout.ms`), then compresses the batch, on the task that sends it, and then waits until there is room for
///   it (`buffer.memory`): first come, first served, so a large batch is not overtaken for ever by small ones. With that
///   it is accepted. It goes out at once: there is no `linger.ms`.
/// - **Cancelling** is by dropping. Dropping the future of [`send_batch`](Transport::send_batch) before it resolves sends
///   nothing and drops the batch with it. To go on after a timeout, keep the pinned future and poll it on, or send a clone.
///   (One that is kept and not polled may hold the room that it waited for, and nothing more.) Once it has resolved the batch
///   is on its way, and dropping [`Pending`] loses only the answer.
/// - **Every accepted batch ends**, at the latest after `delivery.timeout.ms`, delivered or failed; what failed says
///   whether it was not written, or may have been.
/// - **Flushing** waits for all that was accepted before; so it ends within `delivery.timeout.ms`, too. It fails only if
///   the runtime is shut down meanwhile. A flush that is dropped changes nothing.
/// - **Closing** refuses later batches and those that wait for room, and flushes. It goes on when its future is dropped.
///   [`close_at_once`](Self::close_at_once) does not wait for answers.
/// - **Dropping** the last handle takes nothing back: what was accepted goes its way as long as the runtime runs. To be
///   sure of it at the end of a program, [`close`](Transport::close).
/// - **A runtime that is shut down** in the middle, or whose task panics, leaves nobody waiting: each batch that is on its
///   way fails with [`Stopped`](crate::Stopped), as not written or unknown, whichever is true, and comes back.
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
    /// For people to read.
    brokers: String,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.queue.close_on_drop();
    }
}

impl<R: Runtime> Producer<R> {
    /// Settings for a new producer.
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

    /// Takes no further batch, and gives back what is on its way: each batch that is not through fails now, as not
    /// written, or as unknown if its bytes may have gone out. Resolves when every one of them has been told.
    ///
    /// # Errors
    /// The runtime was shut down meanwhile; closed it is all the same.
    pub async fn close_at_once(&self) -> Result<(), FlushError> {
        end(self.inner.queue.close(CloseMode::Immediate)).await
    }
}

async fn end(slot: Option<Arc<Slot<Flushed>>>) -> Flushed {
    match slot {
        Some(slot) => poll_fn(|context| slot.poll_take(context)).await,
        None => Ok(()),
    }
}

impl Inner {
    /// Everything that can keep a batch from being accepted, but that there is no room.
    async fn prepare(
        &self,
        batch: KafkaBatch,
        to: &TopicPartition,
    ) -> Result<SealedBatch, (SendErrorReason, KafkaBatch)> {
        let refusal = self.queue.refusal().or_else(|| SendErrorReason::of_routing(&batch, to.partition));
        if let Some(reason) = refusal {
            return Err((reason, batch));
        }
        if let Err(reason) = self.find(to).await {
            return Err((reason, batch));
        }
        let sealed = batch.seal().map_err(|SealError { reason, batch, .. }| (SendErrorReason::Seal(reason), *batch))?;
        let (needed, limit) = (sealed.size(), self.limit);
        if needed > limit {
            let reason = SendErrorReason::Transport(Box::new(SendErrorKind::NeverFits { needed, limit }));
            return Err((reason, sealed.into_batch()));
        }
        Ok(sealed)
    }

    /// Makes sure that there is such a topic and partition: so that it is known before anything is sent, and not when
    /// `delivery.timeout.ms` is over.
    async fn find(&self, to: &TopicPartition) -> Result<(), SendErrorReason> {
        if self.queue.topics.has(to) {
            return Ok(());
        }
        let partitions = self.ask(&to.topic).await?;
        if topics::has(partitions, to.partition) {
            return Ok(());
        }
        let TopicPartition { topic, partition } = to.clone();
        Err(SendErrorReason::UnknownPartition { topic, partition, partitions: partitions.get() })
    }

    /// What is too old is asked for anew, and serves until there is an answer: as long as no broker answers, batches are
    /// accepted as before.
    async fn partitions(&self, topic: &str) -> Result<NonZeroU32, SendErrorReason> {
        let topics = &self.queue.topics;
        if let Some(partitions) = topics.known(topic) {
            return Ok(partitions);
        }
        let Some(partitions) = topics.remembered(topic) else { return self.ask(topic).await };
        if topics.begin_asking(topic) {
            self.lookup_topic(topic)?;
        }
        Ok(partitions)
    }

    fn lookup_topic(&self, topic: &str) -> Result<(), SendErrorReason> {
        self.queue.lookup_topic(topic).inspect_err(|_| {
            // Whoever joined meanwhile would wait for ever.
            self.queue.topics.give_up(&TopicError::Closed);
        })
    }

    async fn ask(&self, topic: &str) -> Result<NonZeroU32, SendErrorReason> {
        let (slot, is_first) = self.queue.topics.join(topic);
        if is_first {
            self.lookup_topic(topic)?;
        }
        let answer = poll_fn(|context| slot.poll_take(context)).await;
        answer.map_err(|unknown| unknown.into_reason(topic, &self.brokers))
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
            // What else is too new for this format is the machine's affair, when the batch is sent.
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
        let mut asked = Some((sealed, to));
        match self.inner.queue.send(&mut asked).await {
            Ok(slot) => {
                self.inner.queue.topics.sent(&topic, partition);
                Ok(Pending { slot })
            }
            Err(reason) => {
                let (sealed, to) = asked.expect("what was not accepted stays where it is");
                Err(SendError::new(to, reason, sealed.into_batch()))
            }
        }
    }

    async fn flush(&self) -> Result<(), FlushError> {
        end(self.inner.queue.flush()).await
    }

    async fn close(&self) -> Result<(), FlushError> {
        end(self.inner.queue.close(CloseMode::Graceful)).await
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

/// A batch on its way: resolves when it is known what became of it. Under any runtime, and after its producer is gone.
///
/// The answer has the batch in it. `buffer.memory` counts a batch until it is answered, and not an answer that nobody takes:
/// to bound memory, await or drop what is answered.
#[derive(Debug)]
#[must_use = "it says whether the batch arrived; drop it where that does not matter"]
pub struct Pending {
    slot: Arc<Slot<Answer>>,
}

impl Future for Pending {
    type Output = Result<Delivery, DeliveryError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.slot.poll_take(context)
    }
}
