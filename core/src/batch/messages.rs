//! Filling a batch with messages: their values encoded, the layers of their headers merged.

use alloc::string::String;
use alloc::vec::Vec;
use core::iter::Peekable;

use super::{Append, AppendError, BatchOptions, ExtendError, FillOutcome, KafkaBatch, OptionsError, RecordMetadata};
use crate::headers::{EncodedHeaders, Header, HeaderList, HeaderTooLong, merge_headers};
use crate::message::{Defaults, EncodeError, KeyOverride, Message, Overrides};
use crate::record::Record;
use crate::time::Timestamp;

/// A batch of messages could not be made. The messages were borrowed, so nothing is lost.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FromMessagesError {
    /// The settings contradict each other.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// A message did not go in.
    #[error(transparent)]
    Extend(#[from] ExtendError),
}

/// Fills a batch with messages under the defaults of one call: made by [`KafkaBatch::messages`].
///
/// Headers merge by layers, lowest first: the message's `content-type` → `correlation_id` and `reply_to` → the
/// publisher's headers → the call's → the message's own ([`merge_headers`] is the law of each step).
#[derive(Debug)]
pub struct MessageWriter<'b, 'd> {
    batch: &'b mut KafkaBatch,
    composer: Composer<'d>,
}

impl KafkaBatch {
    /// A batch with these messages in it from the start, under the defaults of one call: all of them, or none.
    ///
    /// # Errors
    /// The settings contradict each other, or the messages overflow the batch, or one of them can go into no batch: with
    /// the position.
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

    /// Fills this batch with messages, under the defaults of one call.
    ///
    /// ```
    /// use kafka_batch_core::{Defaults, Header, KafkaBatch, Timestamp};
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
        MessageWriter { batch: self, composer: Composer::new(*defaults) }
    }
}

impl MessageWriter<'_, '_> {
    /// The batch that is being filled.
    #[must_use]
    pub const fn batch(&self) -> &KafkaBatch {
        self.batch
    }

    /// Appends a message, if it fits. As [`KafkaBatch::append`].
    ///
    /// # Errors
    /// The message cannot be encoded, or can go into no such batch. The batch is what it was.
    pub fn append<M: Message + ?Sized>(&mut self, message: &M) -> Result<Append, AppendError> {
        let record = self.composer.compose(message)?;
        self.batch.append(record)
    }

    /// Appends messages in order, until one is refused: those before it stay. As [`KafkaBatch::extend`].
    ///
    /// # Errors
    /// The batch is full, or a message cannot go in: with the position.
    pub fn extend<M: Message>(&mut self, messages: &[M]) -> Result<Vec<RecordMetadata>, ExtendError> {
        let composer = &mut self.composer;
        self.batch.append_all(messages, |batch, message| batch.append(composer.compose(message)?))
    }

    /// Appends all the messages or none. As [`KafkaBatch::try_extend`].
    ///
    /// # Errors
    /// As [`extend`](Self::extend).
    pub fn try_extend<M: Message>(&mut self, messages: &[M]) -> Result<Vec<RecordMetadata>, ExtendError> {
        let composer = &mut self.composer;
        self.batch.all_or_nothing(|batch| {
            batch.append_all(messages, |batch, message| batch.append(composer.compose(message)?))
        })
    }

    /// Takes messages from the front of an iterator as long as they fit. As [`KafkaBatch::fill_from`].
    ///
    /// # Errors
    /// A message cannot go in. It stays at the front of the iterator: take it out to go on.
    pub fn fill_from<M: Message>(
        &mut self,
        messages: &mut Peekable<impl Iterator<Item = M>>,
    ) -> Result<FillOutcome, ExtendError> {
        let composer = &mut self.composer;
        self.batch.append_from(messages, |batch, message| batch.append(composer.compose(message)?))
    }

    /// The bytes that this message would add now. As [`KafkaBatch::cost`].
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn cost<M: Message + ?Sized>(&mut self, message: &M) -> Result<usize, AppendError> {
        let record = self.composer.compose(message)?;
        self.batch.cost(record)
    }
}

/// Turns messages into records. Keeps the memory of values and headers from one to the next, and the merged headers
/// too, as long as messages have none of their own and the same content type: then they are encoded once for all.
#[derive(Debug)]
pub(super) struct Composer<'d> {
    defaults: Defaults<'d>,
    value: Vec<u8>,
    headers: EncodedHeaders,
    /// The content type for which `headers` holds the call's headers; `None` where they hold something else.
    shared_for: Option<Option<String>>,
}

impl<'d> Composer<'d> {
    pub(super) const fn new(defaults: Defaults<'d>) -> Self {
        Self { defaults, value: Vec::new(), headers: EncodedHeaders::EMPTY, shared_for: None }
    }

    pub(super) fn compose<'a, M: Message + ?Sized>(&'a mut self, message: &'a M) -> Result<Record<'a>, EncodeError> {
        let Self { defaults, value, headers, shared_for } = self;
        value.clear();
        let payload = message.payload(value)?;
        let own = message.overrides();
        let plain = own.headers.is_empty() && own.correlation_id.is_none() && own.reply_to.is_none();
        let known = matches!(shared_for, Some(known) if known.as_deref() == payload.content_type);
        if !(plain && known) {
            *shared_for = None;
            encode_layers(headers, defaults, payload.content_type, &own).map_err(EncodeError::new)?;
            if plain {
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

/// Merges the layers of one message's headers, lowest first.
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
    merge_headers(&mut merged, defaults.publisher_headers);
    merge_headers(&mut merged, defaults.headers);
    merge_headers(&mut merged, own.headers);
    out.clear();
    merged.into_iter().try_for_each(|header| out.push(header))
}
