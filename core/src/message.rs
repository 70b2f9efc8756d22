//! Encodes values of an application as records, with defaults for a whole call.
//!
//! A [`Record`] is what Kafka stores: bytes, a key, headers. A [`Message`] is a level above: text, JSON, or a type of your
//! own, which is encoded when it is appended. [`Publish`](crate::Publish), [`KafkaBatch::messages`] and
//! [`BatchStream`](crate::stream::BatchStream) take messages, together with [`Defaults`] for those that do not set their own
//! key, timestamp or headers.
//!
//! | to … | see |
//! |---|---|
//! | publish text, bytes or JSON | [`Message`], which lists the types that implement it |
//! | give one message a key, a timestamp or headers of its own | [`OutgoingMessage`] |
//! | set them for all messages of a call | [`Defaults`] |
//! | append messages to a batch | [`KafkaBatch::messages`], [`MessageWriter`] |
//! | make a batch of messages | [`KafkaBatch::from_messages`], [`FromMessagesError`] |
//! | publish a type of your own | implement [`Message`] |
//! | write a transport that sends single messages | [`RecordComposer`] |
//!
//! # Headers that are not Kafka's
//!
//! Kafka gives no meaning to any header. The three that this module writes are conventions of FastStream, a Python framework,
//! so that its consumers understand the messages:
//!
//! - `content-type`, from the message's [`Payload`],
//! - `correlation_id`, to match a reply with its request,
//! - `reply_to`, the topic for the reply.
//!
//! *Publisher headers* ([`Defaults::publisher_headers`]) are FastStream's as well: headers that all calls of one publisher
//! have in common. [`merge_headers`] specifies how headers of several origins are merged.
//!
//! An application that needs none of this appends [`Record`]s.
//!
//! [`KafkaBatch::messages`]: crate::KafkaBatch::messages
//! [`KafkaBatch::from_messages`]: crate::KafkaBatch::from_messages
//! [`Record`]: crate::Record

pub use crate::batch::messages::{FromMessagesError, MessageWriter, RecordComposer};
pub use crate::headers::merge_headers;
#[cfg(feature = "json")]
pub use crate::outgoing::Json;
pub use crate::outgoing::{
    Defaults, EncodeError, KeyOverride, Message, OutgoingMessage, Overrides, Payload, Tombstone,
};
