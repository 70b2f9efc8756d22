//! The producer: the handle that users hold, and its side of [`Transport`].

use std::fmt;
use std::future::Future;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll};
use std::time::SystemTime;

use kafka_batch_core::producer::CloseMode;
use kafka_batch_core::{
    BatchOptions, Capabilities, Delivery, DeliveryError, FlushError, KafkaBatch, SealErrorReason, SendError,
    SendErrorReason, TopicPartition, Transport,
};
use kafka_batch_transport::waiting::{Load, Slot, has, lock};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{BaseProducer, Producer, PurgeConfig};

use crate::builder::ProducerBuilder;
use crate::context::Context;
use crate::error::{LibrdkafkaError, Unsendable};
use crate::produce;
use crate::in_flight::{Accepted, Answer, InFlight};
use crate::topics::Topics;
use crate::verdict::Refusal;

/// A producer over librdkafka: the crate's front page says what that means.
///
/// A cheap handle: clones share one librdkafka client. It works under any runtime, and needs none.
///
/// - **Sending** first makes sure that the topic and the partition exist (the first time), waits until there is room for
///   the whole batch, and then hands all of its records to librdkafka in one go, on the thread that polls the future:
///   about half a microsecond a record. A future that is dropped before has sent nothing; there is no halfway.
/// - **Flushing** waits for all that was accepted before; librdkafka answers for each record within
///   `message.timeout.ms` (5 minutes by default), so it never fails. It does not cut `linger.ms` short.
/// - **Closing** refuses later batches and those that wait for room, and flushes.
///   [`close_at_once`](Self::close_at_once) does not wait for answers.
/// - **Dropping** the last handle takes nothing back: what was accepted goes its way in the background, as long as the
///   program runs. To be sure of it at the end of a program, [`close`](Transport::close).
#[derive(Clone)]
pub struct RdkafkaProducer {
    inner: Arc<Inner>,
}

struct Inner {
    client: Arc<BaseProducer<Context>>,
    in_flight: Arc<InFlight>,
    topics: Arc<Topics>,
    batch_options: BatchOptions,
    /// For people to read.
    brokers: String,
    /// One batch is handed over at a time, so that the records of two do not mingle in the log.
    produce_lock: Mutex<()>,
}

impl RdkafkaProducer {
    /// Settings for a new producer.
    pub fn builder() -> ProducerBuilder {
        ProducerBuilder::new()
    }

    pub(crate) fn new(
        client: Arc<BaseProducer<Context>>,
        in_flight: Arc<InFlight>,
        topics: Topics,
        batch_options: BatchOptions,
        brokers: String,
    ) -> Self {
        let produce_lock = Mutex::new(());
        let inner = Inner { client, in_flight, topics: Arc::new(topics), batch_options, brokers, produce_lock };
        Self { inner: Arc::new(inner) }
    }

    /// Takes no further batch, and gives back what is on its way: each record that is not through fails now with
    /// [`FailureReason::Closed`], as not written where it was still in librdkafka's queue, and as unknown where it may have
    /// gone out, whose acknowledgement nobody waits for any more. Resolves when every batch has been told.
    ///
    /// # Errors
    /// None at present; closed it is in any case.
    ///
    /// [`FailureReason::Closed`]: kafka_batch_core::FailureReason::Closed
    pub async fn close_at_once(&self) -> Result<(), FlushError> {
        self.inner.in_flight.close(CloseMode::AtOnce);
        let between_batches = lock(&self.inner.produce_lock); // whoever comes behind sees that it is closed
        purge(&self.inner.client);
        drop(between_batches);
        self.flush().await
    }
}

/// Has librdkafka give up all that it was handed and has not answered for; reports say so of each record.
///
/// It does not wait until librdkafka's threads have done so, and a record that passes from one of them to another may
/// escape them. So the thread for reports does it again, until nothing is on its way.
pub(crate) fn purge(client: &BaseProducer<Context>) {
    client.purge(PurgeConfig::default().queue().inflight().non_blocking());
}

impl Inner {
    /// Everything that can keep a batch from being accepted, and the wait for room. From the moment this resolves the
    /// batch is in the books, so [`produce`](Self::produce) follows at once.
    async fn accept(&self, batch: &KafkaBatch, to: &TopicPartition) -> Result<Accepted, SendErrorReason> {
        if self.in_flight.is_closed() {
            return Err(SendErrorReason::Closed);
        }
        if let Some(reason) = SendErrorReason::of_routing(batch, to.partition) {
            return Err(reason);
        }
        if batch.is_empty() {
            return Err(SendErrorReason::Seal(SealErrorReason::Empty));
        }
        produce::check(batch).map_err(unsendable)?;
        self.find(to).await?;
        let load = Load { records: batch.record_count(), bytes: batch.size() };
        self.in_flight.acquire(to, load).await.map_err(|_closed| SendErrorReason::Closed)
    }

    /// Makes sure that there is such a topic and partition: so that it is known before anything is sent, and not half a
    /// minute later from librdkafka (`topic.metadata.propagation.max.ms`). It also keeps negative numbers from
    /// librdkafka, which takes −1 for "any partition", record by record.
    async fn find(&self, to: &TopicPartition) -> Result<(), SendErrorReason> {
        if self.topics.cache.has(to) {
            return Ok(());
        }
        let partitions = self.ask(&to.topic).await?;
        if has(partitions, to.partition) {
            return Ok(());
        }
        let TopicPartition { topic, partition } = to.clone();
        Err(SendErrorReason::UnknownPartition { topic, partition, partitions: partitions.get() })
    }

    async fn partitions(&self, topic: &str) -> Result<NonZeroU32, SendErrorReason> {
        match self.topics.cache.known(topic) {
            Some(partitions) => Ok(partitions),
            None => self.ask(topic).await,
        }
    }

    async fn ask(&self, topic: &str) -> Result<NonZeroU32, SendErrorReason> {
        produce::check_topic(topic).map_err(unsendable)?;
        let answer = self.topics.ask(&self.client, topic).await;
        answer.map_err(|error| error.into_reason(topic, &self.brokers))
    }

    fn produce(
        &self,
        batch: KafkaBatch,
        to: TopicPartition,
        Accepted { first, slot }: Accepted,
    ) -> Result<Pending, SendError> {
        let order = lock(&self.produce_lock);
        if self.in_flight.is_closed_at_once() {
            drop(order);
            self.in_flight.withdraw(first);
            return Err(SendError::new(to, SendErrorReason::Closed, batch));
        }
        let refusal = produce::produce(&self.client, &to, first, &batch);
        drop(order);
        match refusal {
            Some(Refusal { position: 0, error }) => {
                self.in_flight.withdraw(first);
                self.topics.cache.forget(&to.topic); // if it is gone, the next batch will say so
                let reason = refused(&to, error);
                Err(SendError::new(to, reason, batch))
            }
            refusal => {
                self.in_flight.finish_produce(first, batch, refusal);
                self.topics.cache.sent(&to.topic, to.partition);
                Ok(Pending { slot })
            }
        }
    }
}

/// Why librdkafka took nothing of a batch.
fn refused(to: &TopicPartition, error: LibrdkafkaError) -> SendErrorReason {
    if error.code == RDKafkaErrorCode::UnknownTopic as i32 {
        SendErrorReason::UnknownTopic { topic: to.topic.clone() }
    } else {
        SendErrorReason::Transport(Box::new(error))
    }
}

fn unsendable(what: Unsendable) -> SendErrorReason {
    SendErrorReason::Transport(Box::new(what))
}

impl Transport for RdkafkaProducer {
    type Pending = Pending;

    fn capabilities(&self) -> Capabilities {
        Capabilities::new(false)
    }

    fn batch(&self) -> KafkaBatch {
        let options = self.inner.batch_options.clone();
        options.build(SystemTime::now()).expect("the options were checked when the producer was made")
    }

    async fn partition_count(&self, topic: &str) -> Result<NonZeroU32, SendErrorReason> {
        self.inner.partitions(topic).await
    }

    async fn pick_partition(&self, topic: &str) -> Result<i32, SendErrorReason> {
        let partitions = self.inner.partitions(topic).await?;
        Ok(self.inner.topics.cache.pick(topic, partitions))
    }

    async fn send_batch(&self, batch: KafkaBatch, to: TopicPartition) -> Result<Pending, SendError> {
        match self.inner.accept(&batch, &to).await {
            Ok(accepted) => self.inner.produce(batch, to, accepted),
            Err(reason) => Err(SendError::new(to, reason, batch)),
        }
    }

    async fn flush(&self) -> Result<(), FlushError> {
        self.inner.in_flight.flush().await;
        Ok(())
    }

    async fn close(&self) -> Result<(), FlushError> {
        self.inner.in_flight.close(CloseMode::Flushing);
        self.flush().await
    }
}

impl fmt::Debug for RdkafkaProducer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RdkafkaProducer").field("brokers", &self.inner.brokers).finish_non_exhaustive()
    }
}

/// A batch on its way: resolves when librdkafka has answered for the last of its records.
#[derive(Debug)]
#[must_use = "it says whether the batch arrived; drop it where that does not matter"]
pub struct Pending {
    slot: Arc<Slot<Answer>>,
}

impl Future for Pending {
    type Output = Result<Delivery, DeliveryError>;

    fn poll(self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<Self::Output> {
        self.slot.poll_take(context)
    }
}
