//! Publishing, as far as it is pure: a batch filled beforehand, messages alone, or both; and which partition.

use alloc::boxed::Box;
use alloc::string::String;

use crate::batch::{AppendError, BatchOverflow, ExtendError, Full, KafkaBatch};
use crate::failure::DeliveryError;
use crate::headers::HeaderList;
use crate::message::{Defaults, Message};
use crate::record::TopicPartition;
use crate::time::Timestamp;
use crate::transport::{SendError, SendErrorReason};

/// What to publish, and where: the argument of [`Transport::publish_batch`](crate::Transport::publish_batch).
///
/// It has three shapes, and one flow:
/// 1. a batch filled beforehand: its overflow was met before this call;
/// 2. messages alone: they go into a batch made for this call, and if they overflow it, **nothing is sent** and the
///    error names the position;
/// 3. a batch and messages: they go in behind what is there; if they overflow it, nothing is sent, the error names the
///    position in the messages passed, and the batch comes back as it was.
///
/// ```
/// use kafka_batch_core::{Header, KafkaBatch, Publish, Timestamp};
///
/// let batch = KafkaBatch::new(Timestamp::from_millis(0));
/// let publish = Publish::to("orders").batch(batch).messages(&["one", "two"]).correlation_id("42");
/// let ready = publish.prepare(|| unreachable!("there is a batch"))?;
/// assert_eq!(ready.batch.record_count(), 2);
/// # Ok::<(), kafka_batch_core::PublishError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Publish<'a, M = ()> {
    topic: String,
    partition: Option<i32>,
    batch: Option<KafkaBatch>,
    messages: &'a [M],
    defaults: Defaults<'a>,
}

impl Publish<'_> {
    /// To this topic; nothing to publish yet.
    #[must_use]
    pub fn to(topic: impl Into<String>) -> Self {
        Self { topic: topic.into(), partition: None, batch: None, messages: &[], defaults: Defaults::default() }
    }
}

impl<'a, M> Publish<'a, M> {
    /// To this partition. Without it: the one that the batch's keys route to, or else one that the producer picks.
    #[must_use]
    pub fn partition(mut self, partition: impl Into<Option<i32>>) -> Self {
        self.partition = partition.into();
        self
    }

    /// This batch; messages go in behind what is there.
    #[must_use]
    pub fn batch(mut self, batch: KafkaBatch) -> Self {
        self.batch = Some(batch);
        self
    }

    /// These messages: all of them, or nothing is sent. Those of different types go as `&dyn Message`.
    #[must_use]
    pub fn messages<'b, N: Message>(self, messages: &'b [N]) -> Publish<'b, N>
    where
        'a: 'b,
    {
        let Self { topic, partition, batch, messages: _, defaults } = self;
        Publish { topic, partition, batch, messages, defaults }
    }

    /// The key of messages that say nothing of theirs.
    #[must_use]
    pub fn key<K: AsRef<[u8]> + ?Sized>(mut self, key: &'a K) -> Self {
        self.defaults = self.defaults.key(key);
        self
    }

    /// The timestamp of messages without one. Default: the batch's time.
    #[must_use]
    pub fn timestamp(mut self, timestamp: impl Into<Timestamp>) -> Self {
        self.defaults = self.defaults.timestamp(timestamp);
        self
    }

    /// The header `correlation_id` of messages that say nothing of theirs.
    #[must_use]
    pub fn correlation_id(mut self, id: &'a str) -> Self {
        self.defaults = self.defaults.correlation_id(id);
        self
    }

    /// The header `reply_to` of messages that say nothing of theirs.
    #[must_use]
    pub fn reply_to(mut self, topic: &'a str) -> Self {
        self.defaults = self.defaults.reply_to(topic);
        self
    }

    /// Headers of all the messages, laid over the publisher's; a message's own are laid over these.
    #[must_use]
    pub fn headers(mut self, headers: impl Into<HeaderList<'a>>) -> Self {
        self.defaults = self.defaults.headers(headers);
        self
    }

    /// Headers of the publisher: those that every call of it has.
    #[must_use]
    pub fn publisher_headers(mut self, headers: impl Into<HeaderList<'a>>) -> Self {
        self.defaults = self.defaults.publisher_headers(headers);
        self
    }
}

impl<M: Message> Publish<'_, M> {
    /// Puts the messages into the batch, or into the one that `new_batch` makes. Pure: a transport does the rest.
    ///
    /// # Errors
    /// The messages overflow the batch, or one of them can go into no batch: it is in the error, as it was before the call.
    /// Or the partition asked for is not the one that the batch's keys route to: it is in the error, with the messages.
    pub fn prepare(self, new_batch: impl FnOnce() -> KafkaBatch) -> Result<ReadyToSend, PublishError> {
        let Self { topic, partition, batch, messages, defaults } = self;
        let mut batch = batch.unwrap_or_else(new_batch);
        match batch.messages(&defaults).try_extend(messages) {
            Ok(_) => {}
            Err(ExtendError::Overflow(BatchOverflow { position, full, .. })) => {
                return Err(PublishError::Overflow { topic, position, full, batch: Box::new(batch) });
            }
            Err(ExtendError::Failed { position, error, .. }) => {
                return Err(PublishError::Message { topic, position, error, batch: Box::new(batch) });
            }
        }
        let partition = partition.or(batch.routed_partition());
        let ready = ReadyToSend { topic, partition, batch };
        match partition.and_then(|asked| SendErrorReason::of_routing(&ready.batch, asked)) {
            Some(reason) => Err(PublishError::Send(ready.refused(reason))),
            None => Ok(ready),
        }
    }
}

/// A batch that is filled as asked, and where it goes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReadyToSend {
    /// The topic.
    pub topic: String,
    /// The partition that was asked for, or that the batch's keys route to; `None` leaves it to the producer.
    pub partition: Option<i32>,
    /// The batch.
    pub batch: KafkaBatch,
}

impl ReadyToSend {
    /// It cannot go there, or it could not even be said where.
    pub(crate) fn refused(self, reason: SendErrorReason) -> SendError {
        SendError::new(TopicPartition::new(self.topic, self.partition.unwrap_or(-1)), reason, self.batch)
    }
}

/// Publishing failed. What was handed over is in the error; the messages were borrowed.
///
/// Where they did not go into the batch, it is as it was before the call. Where they did, they are in it, and the batch can
/// be sent again by itself: the same call with the same messages would put them in twice.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The messages overflow the batch. Nothing was sent.
    #[error("nothing was sent to {topic:?}: the batch is full at message {position}: {full}")]
    Overflow {
        /// The topic.
        topic: String,
        /// The position of the message that did not fit, among those passed, counted from 0.
        position: usize,
        /// Bytes needed, bytes left, and the limit.
        full: Full,
        /// The batch, as it was before the call.
        batch: Box<KafkaBatch>,
    },
    /// A message can go into no such batch. Nothing was sent.
    #[error("nothing was sent to {topic:?}: message {position}: {error}")]
    Message {
        /// The topic.
        topic: String,
        /// The position of the message among those passed, counted from 0.
        position: usize,
        /// Why.
        error: AppendError,
        /// The batch, as it was before the call.
        batch: Box<KafkaBatch>,
    },
    /// The batch was not accepted. Nothing was sent, and the batch comes back with the messages in it.
    #[error(transparent)]
    Send(SendError),
    /// The batch was sent, and failed; it says what is known of it, and comes back with the messages in it.
    #[error(transparent)]
    Delivery(DeliveryError),
}

impl PublishError {
    /// Whether sending the batch in it again can help. If it may have been written
    /// ([`DeliveryError::may_have_been_written`]), that may also write records twice.
    #[must_use]
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Send(error) => error.is_retriable(),
            Self::Delivery(error) => error.is_retriable(),
            _ => false,
        }
    }

    /// Returns the batch; `None` if it is [lost](DeliveryError::batch).
    #[must_use]
    pub fn into_batch(self) -> Option<KafkaBatch> {
        match self {
            Self::Overflow { batch, .. } | Self::Message { batch, .. } => Some(*batch),
            Self::Send(error) => Some(*error.batch),
            Self::Delivery(error) => error.batch.map(|batch| *batch),
        }
    }
}
