//! From what an application has to the record that Kafka carries: values, content types, and what a call or a single
//! message says about key, time and headers.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::error::Error;
use core::fmt;

use bytes::Bytes;

use crate::headers::{Header, HeaderList};
use crate::record::Record;
use crate::time::Timestamp;

/// Something that can be published: it knows its value, and perhaps its content type.
///
/// | given | value | `content-type` |
/// |---|---|---|
/// | bytes: `[u8]`, `[u8; N]`, `Vec<u8>`, [`Bytes`] | as it is | none |
/// | text: `str`, `String` | UTF-8 | `text/plain` |
/// | nothing: `()` | empty | none |
/// | [`Tombstone`] | null | none |
/// | `Json`, with the feature `json` | JSON | `application/json` |
/// | [`Record`] | as it is | none |
/// | [`OutgoingMessage`] | its message's | its message's |
///
/// A type of your own writes into `scratch`, which is reused from message to message:
///
/// ```
/// use kafka_batch_core::{EncodeError, Message, Payload};
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
pub trait Message {
    /// The value and its content type. `scratch` is empty, and kept for the next message.
    ///
    /// # Errors
    /// It cannot be turned into bytes.
    fn payload<'a>(&'a self, scratch: &'a mut Vec<u8>) -> Result<Payload<'a>, EncodeError>;

    /// What this message says itself, over the defaults of the call. Nothing, unless it is overridden.
    fn overrides(&self) -> Overrides<'_> {
        Overrides::default()
    }
}

/// A message's value, and what kind of value it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payload<'a> {
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) content_type: Option<&'a str>,
}

impl<'a> Payload<'a> {
    /// A value without a content type.
    #[must_use]
    pub const fn new(value: &'a [u8]) -> Self {
        Self { value: Some(value), content_type: None }
    }

    /// Null.
    #[must_use]
    pub const fn null() -> Self {
        Self { value: None, content_type: None }
    }

    /// With this content type, which becomes the header `content-type`.
    #[must_use]
    pub const fn content_type(mut self, content_type: &'a str) -> Self {
        self.content_type = Some(content_type);
        self
    }
}

/// A message could not be turned into bytes.
#[derive(Debug)]
pub struct EncodeError(Box<dyn Error + Send + Sync>);

impl EncodeError {
    /// For this reason.
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
        self.0.source() // its own text is this one's
    }
}

/// What a single message says over the defaults of its call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overrides<'a> {
    /// Its key, where it does not take the call's.
    pub key: KeyOverride<'a>,
    /// Its timestamp, where it does not take the call's.
    pub timestamp: Option<Timestamp>,
    /// Its correlation id; an empty one leaves the header out.
    pub correlation_id: Option<&'a str>,
    /// Where answers to it go; empty leaves the header out.
    pub reply_to: Option<&'a str>,
    /// Headers, laid over those of the call.
    pub headers: HeaderList<'a>,
}

/// A message's own word on its key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyOverride<'a> {
    /// The key of the call.
    #[default]
    Inherit,
    /// No key, whatever the call says.
    Null,
    /// This key; an empty one is a key too.
    Key(&'a [u8]),
}

/// A null value: deletes its key from a compacted topic. Give it a key, by [`OutgoingMessage`] or by the call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tombstone;

/// A value as JSON (content type `application/json`).
#[cfg(feature = "json")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Json<T>(pub T);

/// A message with a word of its own on key, time, headers, correlation id or reply address.
///
/// ```
/// use kafka_batch_core::{Defaults, KafkaBatch, OutgoingMessage, Timestamp};
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
    /// `message`, saying nothing over the call's defaults yet.
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

    /// The message.
    #[must_use]
    pub const fn message(&self) -> &M {
        &self.message
    }

    /// Hands the message back: what an application acknowledges once the batch is delivered, say.
    #[must_use]
    pub fn into_message(self) -> M {
        self.message
    }

    /// With this key.
    #[must_use]
    pub fn key<K: AsRef<[u8]> + ?Sized>(mut self, key: &'a K) -> Self {
        self.key = KeyOverride::Key(key.as_ref());
        self
    }

    /// Without a key, whatever the call says.
    #[must_use]
    pub fn no_key(mut self) -> Self {
        self.key = KeyOverride::Null;
        self
    }

    /// With this timestamp.
    #[must_use]
    pub fn timestamp(mut self, timestamp: impl Into<Timestamp>) -> Self {
        self.timestamp = Some(timestamp.into());
        self
    }

    /// With this correlation id (header `correlation_id`); an empty one leaves the header out. It takes the place of the
    /// call's own id; *headers* of that name, the call's or this message's, are laid over it.
    #[must_use]
    pub fn correlation_id(mut self, id: &'a str) -> Self {
        self.correlation_id = Some(id);
        self
    }

    /// With this reply address (header `reply_to`); an empty one leaves the header out. Headers of that name are laid over
    /// it, as over the [`correlation_id`](Self::correlation_id).
    #[must_use]
    pub fn reply_to(mut self, topic: &'a str) -> Self {
        self.reply_to = Some(topic);
        self
    }

    /// With one more header. Names may repeat: all are kept.
    #[must_use]
    pub fn header<V: AsRef<[u8]> + ?Sized>(mut self, name: &'a str, value: &'a V) -> Self {
        self.headers.push(Header::new(name, value));
        self
    }

    /// With these headers too, in their order.
    #[must_use]
    pub fn headers(mut self, headers: impl Into<HeaderList<'a>>) -> Self {
        self.headers.extend(headers.into());
        self
    }

    /// With one more header, whose value is null.
    #[must_use]
    pub fn null_header(mut self, name: &'a str) -> Self {
        self.headers.push(Header::null(name));
        self
    }
}

/// What a call says for all its messages; each message can say otherwise ([`OutgoingMessage`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Defaults<'a> {
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) timestamp: Option<Timestamp>,
    pub(crate) correlation_id: Option<&'a str>,
    pub(crate) reply_to: Option<&'a str>,
    pub(crate) publisher_headers: HeaderList<'a>,
    pub(crate) headers: HeaderList<'a>,
}

impl<'a> Defaults<'a> {
    /// The key of messages that say nothing of theirs.
    #[must_use]
    pub fn key<K: AsRef<[u8]> + ?Sized>(mut self, key: &'a K) -> Self {
        self.key = Some(key.as_ref());
        self
    }

    /// The timestamp of messages without one. Default: the batch's time.
    #[must_use]
    pub fn timestamp(mut self, timestamp: impl Into<Timestamp>) -> Self {
        self.timestamp = Some(timestamp.into());
        self
    }

    /// The header `correlation_id`; an empty one leaves the header out.
    #[must_use]
    pub const fn correlation_id(mut self, id: &'a str) -> Self {
        self.correlation_id = Some(id);
        self
    }

    /// The header `reply_to`; empty leaves the header out.
    #[must_use]
    pub const fn reply_to(mut self, topic: &'a str) -> Self {
        self.reply_to = Some(topic);
        self
    }

    /// Headers of the publisher: those that every call of it has.
    #[must_use]
    pub fn publisher_headers(mut self, headers: impl Into<HeaderList<'a>>) -> Self {
        self.publisher_headers = headers.into();
        self
    }

    /// Headers of this call, laid over the publisher's.
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

/// A record is a message that says all of itself; where it has no key or timestamp, those of the call are taken.
impl Message for Record<'_> {
    fn payload<'a>(&'a self, _: &'a mut Vec<u8>) -> Result<Payload<'a>, EncodeError> {
        Ok(self.value.map_or(Payload::null(), Payload::new))
    }

    fn overrides(&self) -> Overrides<'_> {
        Overrides {
            key: self.key.map_or(KeyOverride::Inherit, KeyOverride::Key),
            timestamp: self.timestamp,
            headers: self.headers,
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
