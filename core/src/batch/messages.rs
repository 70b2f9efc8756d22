//! Filling a batch with messages: their values are encoded, and the layers of their headers merged.

use alloc::string::String;
use alloc::vec::Vec;
use core::iter::Peekable;

use super::append::AppendTo;
use super::{Append, AppendError, Appended, BatchOptions, ExtendError, FillOutcome, KafkaBatch, OptionsError};
use crate::headers::{EncodedHeaders, Header, HeaderList, HeaderTooLong, merge_headers};
use crate::outgoing::{Defaults, EncodeError, KeyOverride, Message, Overrides};
use crate::record::Record;
use crate::time::Timestamp;

/// Why [`KafkaBatch::from_messages`] failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FromMessagesError {
    /// The pinned format cannot carry one of the settings.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// A message did not fit, or cannot be in the batch: see [`AppendError`].
    #[error(transparent)]
    Extend(#[from] ExtendError),
}

/// Appends messages to a batch with the defaults of one call. Created by [`KafkaBatch::messages`].
///
/// The headers of a message are merged from these layers, each over the ones before it, as [`merge_headers`] specifies:
///
/// 1. `content-type` of the message's [`Payload`](crate::message::Payload),
/// 2. `correlation_id` and `reply_to`,
/// 3. [`Defaults::injected_headers`],
/// 4. [`Defaults::publisher_headers`],
/// 5. [`Defaults::headers`],
/// 6. the message's own headers ([`Overrides::headers`]).
#[derive(Debug)]
pub struct MessageWriter<'b, 'd> {
    batch: &'b mut KafkaBatch,
    composer: RecordComposer<'d>,
}

impl KafkaBatch {
    /// Creates a batch that holds all these messages, with the defaults of one call.
    ///
    /// # Errors
    /// The pinned format cannot carry one of the settings, the messages overflow the batch, or one of them cannot be in it (see
    /// [`AppendError`]). The error has the message's position.
    pub fn from_messages<M: Message>(
        options: BatchOptions,
        now: impl Into<Timestamp>,
        defaults: &Defaults<'_>,
        messages: &[M],
    ) -> Result<Self, FromMessagesError> {
        let mut batch = options.build(now)?;
        batch.messages(defaults).extend(messages)?;
        Ok(batch)
    }

    /// Returns a writer that appends messages to this batch, with the defaults of one call.
    ///
    /// # Examples
    ///
    /// ```
    /// use kafka_batch_core::message::Defaults;
    /// use kafka_batch_core::{Header, KafkaBatch, Timestamp};
    ///
    /// let mut batch = KafkaBatch::new(Timestamp::from_millis(0));
    /// let headers = [Header::new("source", "app")];
    /// let call = Defaults::default().correlation_id("42").headers(&headers);
    /// batch.messages(&call).append("hello")?;
    /// let record = batch.records().next().unwrap();
    /// let names: Vec<_> = record.headers.iter().map(|header| header.name).collect();
    /// assert_eq!(names, ["content-type", "correlation_id", "source"]);
    /// # Ok::<(), kafka_batch_core::AppendError>(())
    /// ```
    pub fn messages<'b, 'd>(&'b mut self, defaults: &'d Defaults<'d>) -> MessageWriter<'b, 'd> {
        MessageWriter { batch: self, composer: RecordComposer::new(*defaults) }
    }
}

impl MessageWriter<'_, '_> {
    /// Returns the batch that is being filled.
    #[must_use]
    pub const fn batch(&self) -> &KafkaBatch {
        self.batch
    }

    /// Appends a message, if it fits. As [`KafkaBatch::append`].
    ///
    /// # Errors
    /// The message cannot be encoded, no batch with these settings can hold it, or its key routes to another partition. The
    /// batch is unchanged.
    pub fn append<M: Message + ?Sized>(&mut self, message: &M) -> Result<Append, AppendError> {
        let record = self.composer.compose(message)?;
        self.batch.append(record)
    }

    /// Appends messages in order, up to the first one that is refused. As [`KafkaBatch::extend`].
    ///
    /// # Errors
    /// The batch is full, or a message cannot be encoded or cannot be in the batch (see [`AppendError`]). The error has the
    /// message's position.
    pub fn extend<M: Message>(&mut self, messages: &[M]) -> Result<Appended, ExtendError> {
        self.batch.append_all(messages, &mut self.composer)
    }

    /// Appends all the messages or none. As [`KafkaBatch::try_extend`].
    ///
    /// # Errors
    /// As [`extend`](Self::extend).
    pub fn try_extend<M: Message>(&mut self, messages: &[M]) -> Result<Appended, ExtendError> {
        let composer = &mut self.composer;
        self.batch.all_or_nothing(|batch| batch.append_all(messages, composer))
    }

    /// Appends messages from the front of an iterator until one does not fit. As [`KafkaBatch::fill_from`].
    ///
    /// # Errors
    /// A message cannot be encoded, or cannot be in the batch (see [`AppendError`]). It stays at the front of the iterator:
    /// remove it to continue.
    pub fn fill_from<M: Message>(
        &mut self,
        messages: &mut Peekable<impl Iterator<Item = M>>,
    ) -> Result<FillOutcome, ExtendError> {
        self.batch.append_from(messages, &mut self.composer)
    }

    /// Returns the number of bytes that this message would add now. As [`KafkaBatch::cost`].
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn cost<M: Message + ?Sized>(&mut self, message: &M) -> Result<usize, AppendError> {
        let record = self.composer.compose(message)?;
        self.batch.cost(record)
    }
}

/// Turns messages into records.
///
/// The memory of values and headers is reused from message to message. The merged headers themselves are reused too, for
/// messages that have no headers of their own and the content type of the message before: they are encoded only once.
///
/// [`MessageWriter`] appends the records to a batch. This type is for transports that choose the batch by the record.
///
/// ```
/// use kafka_batch_core::message::{Defaults, OutgoingMessage, RecordComposer};
///
/// let message = OutgoingMessage::new("21.5").key("sensor-7");
/// let mut composer = RecordComposer::new(Defaults::default());
/// let record = composer.compose(&message)?;
/// assert_eq!((record.key, record.value), (Some(&b"sensor-7"[..]), Some(&b"21.5"[..])));
/// # Ok::<(), kafka_batch_core::message::EncodeError>(())
/// ```
#[derive(Debug)]
pub struct RecordComposer<'d> {
    defaults: Defaults<'d>,
    value: Vec<u8>,
    headers: EncodedHeaders,
    /// The content type whose merged headers `headers` holds; `None` if it holds the headers of one message.
    shared_for: Option<Option<String>>,
}

impl<'d> RecordComposer<'d> {
    /// Creates a composer for messages with these defaults.
    #[must_use]
    pub const fn new(defaults: Defaults<'d>) -> Self {
        Self { defaults, value: Vec::new(), headers: EncodedHeaders::EMPTY, shared_for: None }
    }

    /// Returns the record of a message.
    ///
    /// # Errors
    /// The message cannot be encoded.
    pub fn compose<'a, M: Message + ?Sized>(&'a mut self, message: &'a M) -> Result<Record<'a>, EncodeError> {
        let Self { defaults, value, headers, shared_for } = self;
        value.clear();
        let payload = message.payload(value)?;
        let own = message.overrides();
        let shareable = own.headers.is_empty() && own.correlation_id.is_none() && own.reply_to.is_none();
        let encoded = matches!(shared_for, Some(shared) if shared.as_deref() == payload.content_type);
        if !(shareable && encoded) {
            *shared_for = None;
            if shareable && payload.content_type.is_none() && !defaults.has_headers() {
                headers.clear();
            } else {
                encode_layers(headers, defaults, payload.content_type, &own).map_err(EncodeError::new)?;
            }
            if shareable {
                *shared_for = Some(payload.content_type.map(String::from));
            }
        }
        Ok(Record {
            key: match own.key {
                KeyOverride::Inherit => defaults.key,
                KeyOverride::Null => None,
                KeyOverride::Key(key) => Some(key),
            },
            value: payload.value,
            headers: HeaderList::from(&*headers),
            timestamp: own.timestamp.or(defaults.timestamp),
        })
    }
}

impl<M: Message> AppendTo<M> for RecordComposer<'_> {
    #[inline]
    fn append_to(&mut self, batch: &mut KafkaBatch, message: &M) -> Result<Append, AppendError> {
        batch.append(self.compose(message)?)
    }
}

/// Merges the layers of one message's headers, in the order that [`MessageWriter`] documents, and encodes the result.
fn encode_layers(
    out: &mut EncodedHeaders,
    defaults: &Defaults<'_>,
    content_type: Option<&str>,
    own: &Overrides<'_>,
) -> Result<(), HeaderTooLong> {
    let mut merged = Vec::new();
    let correlation_id = own.correlation_id.or(defaults.correlation_id);
    let reply_to = own.reply_to.or(defaults.reply_to);
    let lowest = [("content-type", content_type), ("correlation_id", correlation_id), ("reply_to", reply_to)];
    for (name, text) in lowest {
        merged.extend(text.filter(|text| !text.is_empty()).map(|text| Header::new(name, text)));
    }
    merge_headers(&mut merged, defaults.injected_headers);
    merge_headers(&mut merged, defaults.publisher_headers);
    merge_headers(&mut merged, defaults.headers);
    merge_headers(&mut merged, own.headers);
    out.clear();
    merged.into_iter().try_for_each(|header| out.push(header))
}
