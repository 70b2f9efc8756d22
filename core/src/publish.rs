//! The part of publishing that needs no I/O: the batch is filled, and its partition determined by its keys.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use core::error::Error;
use core::fmt;

use crate::batch::{AppendError, BatchOverflow, ExtendError, Full, KafkaBatch, SealErrorReason};
use crate::failure::DeliveryError;
use crate::field::IntoField;
use crate::headers::{EncodedHeaders, HeaderList};
use crate::outgoing::{Defaults, Message};
use crate::record::TopicPartition;
use crate::send_error::{SendError, SendErrorReason};
use crate::time::Timestamp;

/// What to publish, and to which topic: the argument of [`Transport::publish_batch`](crate::Transport::publish_batch).
///
/// There are three cases:
/// 1. A batch: it is sent as it is.
/// 2. Messages: they are appended to a new batch. If they overflow it, **nothing is sent**, and the error has the
///    position of the first message that did not fit.
/// 3. A batch and messages: the messages are appended to the batch. If they overflow it, nothing is sent, and the error
///    has the position of the message and the batch, unchanged.
///
/// # Examples
///
/// ```
/// use kafka_batch_core::{KafkaBatch, Publish, Timestamp};
///
/// let batch = KafkaBatch::new(Timestamp::from_millis(0));
/// let publish = Publish::to("orders").batch(batch).messages(&["one", "two"]).correlation_id("42");
/// let prepared = publish.prepare(|| unreachable!("there is a batch"))?;
/// assert_eq!(prepared.batch.record_count(), 2);
/// # Ok::<(), kafka_batch_core::PublishError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Publish<'a, M = ()> {
    topic: String,
    partition: Option<i32>,
    batch: Option<KafkaBatch>,
    messages: &'a [M],
    /// The key of the defaults, which only borrow.
    key: Option<Cow<'a, [u8]>>,
    defaults: Defaults<'a>,
}

impl Publish<'_> {
    /// Creates a request to publish to this topic, without a batch or messages.
    #[must_use]
    pub fn to(topic: impl Into<String>) -> Self {
        let defaults = Defaults::default();
        Self { topic: topic.into(), partition: None, batch: None, messages: &[], key: None, defaults }
    }
}

impl<'a, M> Publish<'a, M> {
    /// Sets the partition. Default: the one that the batch's keys route to, or else one that the producer chooses.
    #[must_use]
    pub fn partition(mut self, partition: impl Into<Option<i32>>) -> Self {
        self.partition = partition.into();
        self
    }

    /// Sets the batch. Messages are appended to it.
    #[must_use]
    pub fn batch(mut self, batch: KafkaBatch) -> Self {
        self.batch = Some(batch);
        self
    }

    /// Sets the messages, of which all are sent or none. Messages of different types are passed as `&dyn Message`.
    #[must_use]
    pub fn messages<'b, N: Message>(self, messages: &'b [N]) -> Publish<'b, N>
    where
        'a: 'b,
    {
        let Self { topic, partition, batch, messages: _, key, defaults } = self;
        Publish { topic, partition, batch, messages, key, defaults }
    }

    /// Sets the key of messages that do not set their own: bytes or text, borrowed or owned, or an [`Option`] of that, as for
    /// [`Record::key`](crate::Record::key).
    ///
    /// ```
    /// use kafka_batch_core::Publish;
    ///
    /// let publish = Publish::to("orders").messages(&["paid"]).key(format!("customer-{}", 7));
    /// # let _ = publish;
    /// ```
    #[must_use]
    pub fn key(mut self, key: impl IntoField<'a>) -> Self {
        self.key = key.into_cow();
        self
    }

    /// Sets the timestamp of messages without one. Default: that of the batch ([`KafkaBatch::now`]).
    #[must_use]
    pub fn timestamp(mut self, timestamp: impl Into<Timestamp>) -> Self {
        self.defaults = self.defaults.timestamp(timestamp);
        self
    }

    /// Sets the header `correlation_id` of messages that do not set their own ([`message`](crate::message)).
    #[must_use]
    pub fn correlation_id(mut self, id: &'a str) -> Self {
        self.defaults = self.defaults.correlation_id(id);
        self
    }

    /// Sets the header `reply_to` of messages that do not set their own ([`message`](crate::message)).
    #[must_use]
    pub fn reply_to(mut self, topic: &'a str) -> Self {
        self.defaults = self.defaults.reply_to(topic);
        self
    }

    /// Sets headers of all the messages. They are merged over the publisher's, and a message's own are merged over
    /// them.
    #[must_use]
    pub fn headers(mut self, headers: impl Into<HeaderList<'a>>) -> Self {
        self.defaults = self.defaults.headers(headers);
        self
    }

    /// Sets the headers of the publisher, which all its calls have in common ([`message`](crate::message)).
    #[must_use]
    pub fn publisher_headers(mut self, headers: impl Into<HeaderList<'a>>) -> Self {
        self.defaults = self.defaults.publisher_headers(headers);
        self
    }
}

impl<'a, M> Publish<'a, M> {
    /// Returns the topic.
    pub(crate) fn topic(&self) -> &str {
        &self.topic
    }

    /// Returns `true` if there are messages.
    pub(crate) const fn has_messages(&self) -> bool {
        !self.messages.is_empty()
    }

    /// Sets the headers that the producer adds to messages.
    pub(crate) fn injected_headers<'b>(self, headers: &'b EncodedHeaders) -> Publish<'b, M>
    where
        'a: 'b,
    {
        let Self { topic, partition, batch, messages, key, defaults } = self;
        let defaults: Defaults<'b> = defaults;
        Publish { topic, partition, batch, messages, key, defaults: defaults.injected_headers(headers) }
    }
}

impl<M: Message> Publish<'_, M> {
    /// Appends the messages to the batch, or to the one that `new_batch` returns. A transport does the rest.
    ///
    /// # Errors
    /// The messages overflow the batch, or one of them cannot be in it (see [`AppendError`]): the error has the batch as
    /// it was before the call. Or there is neither a record nor a message, or the partition set is negative or not the one
    /// that the batch's keys route to: the error has the batch with the messages.
    pub fn prepare(self, new_batch: impl FnOnce() -> KafkaBatch) -> Result<PreparedBatch, PublishError> {
        let Self { topic, partition, batch, messages, key, defaults } = self;
        let defaults = defaults.key(key.as_deref());
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
        let prepared = PreparedBatch { topic, partition, batch };
        match prepared.check() {
            Ok(()) => Ok(prepared),
            Err(reason) => Err(PublishError::Send(prepared.into_send_error(reason))),
        }
    }
}

/// A filled batch, with its topic and partition.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PreparedBatch {
    /// The topic.
    pub topic: String,
    /// The partition that was set, or that the batch's keys route to; `None` lets the producer choose.
    pub partition: Option<i32>,
    /// The batch.
    pub batch: KafkaBatch,
}

impl PreparedBatch {
    /// Checks what needs no broker, so that it is not found only after a lookup of the topic.
    fn check(&self) -> Result<(), SendErrorReason> {
        if self.batch.is_empty() {
            return Err(SealErrorReason::Empty.into());
        }
        let Some(requested) = self.partition else { return Ok(()) };
        SendErrorReason::check_partition(&self.topic, requested)?;
        SendErrorReason::check_routing(&self.batch, requested)
    }

    /// Returns the error of sending this batch, with partition −1 if none was chosen yet. For transports.
    #[must_use]
    pub fn into_send_error(self, reason: SendErrorReason) -> SendError {
        SendError::new(TopicPartition::new(self.topic, self.partition.unwrap_or(-1)), reason, self.batch)
    }
}

/// Why publishing failed. The error has the batch.
///
/// After [`Overflow`](Self::Overflow) and [`Message`](Self::Message) the batch is as it was before the call. After
/// [`Send`](Self::Send) and [`Delivery`](Self::Delivery) it has the messages, so publish it again by itself: with the
/// same messages they would be in it twice.
#[derive(Debug)]
#[non_exhaustive]
pub enum PublishError {
    /// The messages overflow the batch. Nothing was sent.
    Overflow {
        /// The topic.
        topic: String,
        /// The position of the first message that did not fit, among those passed, counted from 0.
        position: usize,
        /// The bytes needed, the bytes left, and the limit.
        full: Full,
        /// The batch, as it was before the call.
        batch: Box<KafkaBatch>,
    },
    /// A message cannot be in the batch: it cannot be encoded, no batch with these settings can hold it, or its key routes to
    /// another partition. Nothing was sent.
    Message {
        /// The topic.
        topic: String,
        /// The position of the message among those passed, counted from 0.
        position: usize,
        /// The reason.
        error: AppendError,
        /// The batch, as it was before the call.
        batch: Box<KafkaBatch>,
    },
    /// The batch was not accepted. Nothing was sent. The batch in the error has the messages.
    Send(SendError),
    /// The batch was accepted, and its delivery failed. The batch in the error has the messages.
    Delivery(DeliveryError),
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overflow { topic, position, full, .. } => {
                write!(f, "nothing was sent to topic {topic:?}: the batch is full at message {position}: {full}")
            }
            Self::Message { topic, position, error, .. } => {
                write!(f, "nothing was sent to topic {topic:?}: message {position}: {error}")
            }
            Self::Send(error) => error.fmt(f),
            Self::Delivery(error) => error.fmt(f),
        }
    }
}

impl Error for PublishError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Overflow { .. } => None,
            Self::Message { error, .. } => error.source(),
            Self::Send(error) => error.source(),
            Self::Delivery(error) => error.source(),
        }
    }
}

impl PublishError {
    /// Returns `true` if sending the batch again may succeed.
    ///
    /// If the batch may have been written ([`DeliveryError::may_have_been_written`]), that may write records twice.
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
