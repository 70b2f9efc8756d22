//! Messages and the defaults of a call: the values that are turned into records. The module `message` exports them.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::error::Error;
use core::fmt;

use bytes::Bytes;

use crate::field::IntoField;
use crate::headers::{Header, HeaderList};
use crate::record::{AsRecord, Record};
use crate::time::Timestamp;

/// A value that can be published, with its content type.
///
/// | type | value | `content-type` |
/// |---|---|---|
/// | bytes: `[u8]`, `[u8; N]`, `Vec<u8>`, [`Bytes`] | the bytes | none |
/// | text: `str`, `String` | UTF-8 | `text/plain` |
/// | `()` | empty | none |
/// | [`Tombstone`] | null | none |
/// | `Json`, with the feature `json` | JSON | `application/json` |
/// | [`Record`] | the record's | none |
/// | [`OutgoingMessage`] | the inner message's | the inner message's |
///
/// # Examples
///
/// A type of your own writes its value into `scratch`, whose memory is reused from message to message:
///
/// ```
/// use kafka_batch_core::message::{EncodeError, Message, Payload};
///
/// struct Reading { celsius: f32 }
///
/// impl Message for Reading {
///     fn payload<'a>(&'a self, scratch: &'a mut Vec<u8>) -> Result<Payload<'a>, EncodeError> {
///         scratch.extend_from_slice(&self.celsius.to_be_bytes());
///         Ok(Payload::new(scratch).content_type("application/x-reading"))
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a message",
    label = "expected bytes, text, a `Record`, or a type that implements `Message`",
    note = "text and bytes are messages, such as `&str`, `String`, `Vec<u8>` and `Bytes`; a serializable value becomes one by \
            `Json(value)`, with the feature `json`",
    note = "a number needs an encoding: pass its digits, `n.to_string()`, or its big-endian bytes, `n.to_be_bytes()`",
    note = "for a type of your own, implement `kafka_batch::message::Message`"
)]
pub trait Message {
    /// Returns the value and its content type. `scratch` is empty; the value may be written into it.
    ///
    /// # Errors
    /// The value cannot be encoded.
    fn payload<'a>(&'a self, scratch: &'a mut Vec<u8>) -> Result<Payload<'a>, EncodeError>;

    /// Returns the properties that this message sets itself, instead of the call's [`Defaults`]. None by default.
    fn overrides(&self) -> Overrides<'_> {
        Overrides::default()
    }
}

/// The value of a message, and its content type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payload<'a> {
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) content_type: Option<&'a str>,
}

impl<'a> Payload<'a> {
    /// Creates a value without a content type.
    #[must_use]
    pub const fn new(value: &'a [u8]) -> Self {
        Self { value: Some(value), content_type: None }
    }

    /// Creates a null value.
    #[must_use]
    pub const fn null() -> Self {
        Self { value: None, content_type: None }
    }

    /// Sets the content type, which becomes the header `content-type`.
    #[must_use]
    pub const fn content_type(mut self, content_type: &'a str) -> Self {
        self.content_type = Some(content_type);
        self
    }
}

/// Why a message could not be encoded.
#[derive(Debug)]
pub struct EncodeError(Box<dyn Error + Send + Sync>);

impl EncodeError {
    /// Creates an error with this reason.
    pub fn new(reason: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(reason.into())
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the message could not be encoded: {}", self.0)
    }
}

impl Error for EncodeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source() // the reason itself is in the text of this error
    }
}

/// The properties that a message sets itself, instead of the [`Defaults`] of its call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Overrides<'a> {
    /// The key.
    pub key: KeyOverride<'a>,
    /// The timestamp; `None` takes the call's.
    pub timestamp: Option<Timestamp>,
    /// The header `correlation_id`; `None` takes the call's, and an empty one omits the header.
    pub correlation_id: Option<&'a str>,
    /// The header `reply_to`; `None` takes the call's, and an empty one omits the header.
    pub reply_to: Option<&'a str>,
    /// The headers, merged over those of the call.
    pub headers: HeaderList<'a>,
}

impl<'a> Overrides<'a> {
    /// Sets the key.
    #[must_use]
    pub const fn key(mut self, key: KeyOverride<'a>) -> Self {
        self.key = key;
        self
    }

    /// Sets the timestamp.
    #[must_use]
    pub fn timestamp(mut self, timestamp: impl Into<Timestamp>) -> Self {
        self.timestamp = Some(timestamp.into());
        self
    }

    /// Sets the header `correlation_id`.
    #[must_use]
    pub const fn correlation_id(mut self, id: &'a str) -> Self {
        self.correlation_id = Some(id);
        self
    }

    /// Sets the header `reply_to`.
    #[must_use]
    pub const fn reply_to(mut self, topic: &'a str) -> Self {
        self.reply_to = Some(topic);
        self
    }

    /// Sets the headers, which are merged over those of the call.
    #[must_use]
    pub fn headers(mut self, headers: impl Into<HeaderList<'a>>) -> Self {
        self.headers = headers.into();
        self
    }
}

/// The key that a message sets itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
// Exhaustive on purpose: a message has a key, has none, or leaves it to the defaults.
pub enum KeyOverride<'a> {
    /// The message takes the key of the call.
    #[default]
    Inherit,
    /// The message has no key.
    Null,
    /// The message has this key, which may be empty.
    Key(&'a [u8]),
}

/// A message whose value is null: it deletes its key from a compacted topic. The key is set by [`OutgoingMessage`] or by the
/// call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tombstone;

/// A message whose value is encoded as JSON (content type `application/json`).
#[cfg(feature = "json")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Json<T>(pub T);

/// A message that sets its own key, timestamp, headers, correlation id or reply address.
///
/// # Examples
///
/// ```
/// use kafka_batch_core::message::{Defaults, OutgoingMessage};
/// use kafka_batch_core::{KafkaBatch, Timestamp};
///
/// let mut batch = KafkaBatch::new(Timestamp::from_millis(0));
/// let defaults = Defaults::default().key("all");
/// batch.messages(&defaults).extend(&[
///     OutgoingMessage::new("first"),
///     OutgoingMessage::new("second").key("mine").header("priority", "high"),
/// ])?;
/// let keys: Vec<_> = batch.records().map(|record| record.key.unwrap()).collect();
/// assert_eq!(keys, [&b"all"[..], b"mine"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct OutgoingMessage<'a, M> {
    message: M,
    key: KeyOverride<'a>,
    timestamp: Option<Timestamp>,
    correlation_id: Option<&'a str>,
    reply_to: Option<&'a str>,
    headers: Vec<Header<'a>>,
}

impl<'a, M: Message> OutgoingMessage<'a, M> {
    /// Creates a message that takes all the defaults of the call.
    #[must_use]
    pub const fn new(message: M) -> Self {
        Self {
            message,
            key: KeyOverride::Inherit,
            timestamp: None,
            correlation_id: None,
            reply_to: None,
            headers: Vec::new(),
        }
    }

    /// Returns the inner message.
    #[must_use]
    pub const fn message(&self) -> &M {
        &self.message
    }

    /// Returns the inner message, for example to acknowledge it at its source once the batch is delivered.
    #[must_use]
    pub fn into_message(self) -> M {
        self.message
    }

    /// Sets the key: borrowed bytes or text, or an [`Option`] of that, of which `None` is as [`no_key`](Self::no_key). The
    /// message only borrows; pass `&key` of an owned one.
    #[must_use]
    pub fn key(mut self, key: impl IntoField<'a, Field = &'a [u8]>) -> Self {
        self.key = key.into_field().map_or(KeyOverride::Null, KeyOverride::Key);
        self
    }

    /// Removes the key, also if the call has one.
    #[must_use]
    pub fn no_key(mut self) -> Self {
        self.key = KeyOverride::Null;
        self
    }

    /// Sets the timestamp.
    #[must_use]
    pub fn timestamp(mut self, timestamp: impl Into<Timestamp>) -> Self {
        self.timestamp = Some(timestamp.into());
        self
    }

    /// Sets the header `correlation_id`, instead of the call's; an empty one omits the header.
    ///
    /// A header of that name in [`headers`](Self::headers), the message's or the call's, replaces it.
    #[must_use]
    pub fn correlation_id(mut self, id: &'a str) -> Self {
        self.correlation_id = Some(id);
        self
    }

    /// Sets the header `reply_to`, instead of the call's; an empty one omits the header.
    ///
    /// A header of that name in [`headers`](Self::headers), the message's or the call's, replaces it.
    #[must_use]
    pub fn reply_to(mut self, topic: &'a str) -> Self {
        self.reply_to = Some(topic);
        self
    }

    /// Adds a header. Names may repeat. The value is borrowed bytes or text, or an [`Option`] of that.
    #[must_use]
    pub fn header(mut self, name: &'a str, value: impl IntoField<'a, Field = &'a [u8]>) -> Self {
        self.headers.push(Header::new(name, value));
        self
    }

    /// Adds these headers, in order.
    #[must_use]
    pub fn headers(mut self, headers: impl Into<HeaderList<'a>>) -> Self {
        self.headers.extend(headers.into());
        self
    }

    /// Adds a header whose value is null.
    #[must_use]
    pub fn null_header(mut self, name: &'a str) -> Self {
        self.headers.push(Header::null(name));
        self
    }
}

/// The defaults of a call for the messages that do not set their own key, timestamp or headers ([`OutgoingMessage`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Defaults<'a> {
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) timestamp: Option<Timestamp>,
    pub(crate) correlation_id: Option<&'a str>,
    pub(crate) reply_to: Option<&'a str>,
    /// Those that the producer adds, below all others.
    pub(crate) injected_headers: HeaderList<'a>,
    pub(crate) publisher_headers: HeaderList<'a>,
    pub(crate) headers: HeaderList<'a>,
}

impl Defaults<'_> {
    /// Returns `true` if messages without headers of their own get any.
    pub(crate) const fn has_headers(&self) -> bool {
        self.correlation_id.is_some()
            || self.reply_to.is_some()
            || !self.injected_headers.is_empty()
            || !self.publisher_headers.is_empty()
            || !self.headers.is_empty()
    }
}

impl<'a> Defaults<'a> {
    /// Sets the key: borrowed bytes or text, or an [`Option`] of that. The defaults only borrow; pass `&key` of an owned one.
    #[must_use]
    pub fn key(mut self, key: impl IntoField<'a, Field = &'a [u8]>) -> Self {
        self.key = key.into_field();
        self
    }

    /// Sets the timestamp. Default: that of the batch ([`KafkaBatch::now`](crate::KafkaBatch::now)).
    #[must_use]
    pub fn timestamp(mut self, timestamp: impl Into<Timestamp>) -> Self {
        self.timestamp = Some(timestamp.into());
        self
    }

    /// Sets the header `correlation_id`; an empty one omits the header.
    #[must_use]
    pub const fn correlation_id(mut self, id: &'a str) -> Self {
        self.correlation_id = Some(id);
        self
    }

    /// Sets the header `reply_to`; an empty one omits the header.
    #[must_use]
    pub const fn reply_to(mut self, topic: &'a str) -> Self {
        self.reply_to = Some(topic);
        self
    }

    /// Sets the headers that a producer adds to each message, such as those of a trace. All others are merged over them.
    #[must_use]
    pub fn injected_headers(mut self, headers: impl Into<HeaderList<'a>>) -> Self {
        self.injected_headers = headers.into();
        self
    }

    /// Sets the headers of the publisher, which all its calls have in common.
    #[must_use]
    pub fn publisher_headers(mut self, headers: impl Into<HeaderList<'a>>) -> Self {
        self.publisher_headers = headers.into();
        self
    }

    /// Sets the headers of this call, which are merged over the publisher's.
    #[must_use]
    pub fn headers(mut self, headers: impl Into<HeaderList<'a>>) -> Self {
        self.headers = headers.into();
        self
    }
}

impl Message for [u8] {
    fn payload<'a>(&'a self, _: &'a mut Vec<u8>) -> Result<Payload<'a>, EncodeError> {
        Ok(Payload::new(self))
    }
}

impl<const N: usize> Message for [u8; N] {
    fn payload<'a>(&'a self, _: &'a mut Vec<u8>) -> Result<Payload<'a>, EncodeError> {
        Ok(Payload::new(self))
    }
}

impl Message for Vec<u8> {
    fn payload<'a>(&'a self, _: &'a mut Vec<u8>) -> Result<Payload<'a>, EncodeError> {
        Ok(Payload::new(self))
    }
}

impl Message for Bytes {
    fn payload<'a>(&'a self, _: &'a mut Vec<u8>) -> Result<Payload<'a>, EncodeError> {
        Ok(Payload::new(self))
    }
}

impl Message for str {
    fn payload<'a>(&'a self, _: &'a mut Vec<u8>) -> Result<Payload<'a>, EncodeError> {
        Ok(Payload::new(self.as_bytes()).content_type("text/plain"))
    }
}

impl Message for String {
    fn payload<'a>(&'a self, scratch: &'a mut Vec<u8>) -> Result<Payload<'a>, EncodeError> {
        self.as_str().payload(scratch)
    }
}

impl Message for () {
    fn payload<'a>(&'a self, _: &'a mut Vec<u8>) -> Result<Payload<'a>, EncodeError> {
        Ok(Payload::new(&[]))
    }
}

impl Message for Tombstone {
    fn payload<'a>(&'a self, _: &'a mut Vec<u8>) -> Result<Payload<'a>, EncodeError> {
        Ok(Payload::null())
    }
}

#[cfg(feature = "json")]
impl<T: serde::Serialize> Message for Json<T> {
    fn payload<'a>(&'a self, scratch: &'a mut Vec<u8>) -> Result<Payload<'a>, EncodeError> {
        #[cfg(feature = "std")]
        serde_json::to_writer(&mut *scratch, &self.0).map_err(EncodeError::new)?;
        #[cfg(not(feature = "std"))]
        scratch.extend_from_slice(&serde_json::to_vec(&self.0).map_err(EncodeError::new)?);
        Ok(Payload::new(scratch).content_type("application/json"))
    }
}

/// The record's key and timestamp replace the call's, if it has them, and its headers are merged over the call's.
impl<K: AsRef<[u8]>, V: AsRef<[u8]>> Message for Record<'_, K, V> {
    fn payload<'a>(&'a self, _: &'a mut Vec<u8>) -> Result<Payload<'a>, EncodeError> {
        Ok(self.as_record().value.map_or(Payload::null(), Payload::new))
    }

    fn overrides(&self) -> Overrides<'_> {
        let record = self.as_record();
        Overrides {
            key: record.key.map_or(KeyOverride::Inherit, KeyOverride::Key),
            timestamp: record.timestamp,
            headers: record.headers,
            ..Overrides::default()
        }
    }
}

impl<M: Message> Message for OutgoingMessage<'_, M> {
    fn payload<'a>(&'a self, scratch: &'a mut Vec<u8>) -> Result<Payload<'a>, EncodeError> {
        self.message.payload(scratch)
    }

    fn overrides(&self) -> Overrides<'_> {
        Overrides {
            key: self.key,
            timestamp: self.timestamp,
            correlation_id: self.correlation_id,
            reply_to: self.reply_to,
            headers: HeaderList::from(&self.headers),
        }
    }
}

impl<M: Message + ?Sized> Message for &M {
    fn payload<'a>(&'a self, scratch: &'a mut Vec<u8>) -> Result<Payload<'a>, EncodeError> {
        (**self).payload(scratch)
    }

    fn overrides(&self) -> Overrides<'_> {
        (**self).overrides()
    }
}

impl<M: Message + ?Sized> Message for Box<M> {
    fn payload<'a>(&'a self, scratch: &'a mut Vec<u8>) -> Result<Payload<'a>, EncodeError> {
        (**self).payload(scratch)
    }

    fn overrides(&self) -> Overrides<'_> {
        (**self).overrides()
    }
}
