//! Parts of the errors in the crate's root, and errors of single conversions.
//!
//! The error of each frequent operation is in the root, such as [`AppendError`](crate::AppendError),
//! [`SendError`](crate::SendError) and [`DeliveryError`](crate::DeliveryError).
//!
//! | type | where it occurs |
//! |---|---|
//! | [`BatchLost`] | [`DeliveryError::remainder`](crate::DeliveryError::remainder) returns it if the batch is lost |
//! | [`CodecRefused`] | in [`FailureReason::Codec`](crate::FailureReason::Codec): the broker does not support the codec |
//! | [`BlockedOn`] | in [`SendErrorReason::Blocked`](crate::SendErrorReason::Blocked): what the call has waited for |
//! | [`NoBrokerCause`] | in [`SendErrorReason::NoBroker`](crate::SendErrorReason::NoBroker): why no broker responds |
//! | [`AuthenticationError`] | in [`SendErrorReason::Authentication`](crate::SendErrorReason::Authentication): which side refused, and why |
//! | [`TransportError`] | in variants `Transport`, and as the error of a connection: an error that is particular to one transport |
//! | [`Rejection`] | in [`RecordDeliveryError`](crate::RecordDeliveryError): which record of the batch the broker rejected |
//! | [`InvalidBrokerVersion`] | parsing text as a [`BrokerVersion`](crate::BrokerVersion) returns it |
//!
//! # Text and sources
//!
//! The text of each error of this library is one line that contains the text of its cause, and the cause of that, so that
//! `{error}` in a log is complete. [`source`](core::error::Error::source) does not return what is in the text already: it
//! returns the first cause that is not, such as the source of an error of your own that a
//! [`Message`](crate::message::Message) returned, or rustls's error, which the text describes in other words. Programs that
//! print a chain of errors thus print nothing twice.
//!
//! Causes that a program may want to tell apart are fields and variants. For the error of a socket:
//!
//! ```
//! # #[cfg(feature = "std")] {
//! use std::io;
//!
//! use kafka_batch_core::SendError;
//! use kafka_batch_core::machine::ConnectionErrorKind;
//!
//! /// Returns the kind of the socket's error because of which no broker could be reached.
//! fn io_error_kind(error: &SendError) -> Option<io::ErrorKind> {
//!     match &error.reason.connection_error()?.kind {
//!         ConnectionErrorKind::Disconnected { error, .. } => error.as_ref()?.io_error_kind(),
//!         _ => None,
//!     }
//! }
//! # let _ = io_error_kind;
//! # }
//! ```
//!
//! [`FailureReason::connection_error`](crate::FailureReason::connection_error) does the same for batches that were accepted,
//! and `code` of both returns a broker's error code.

pub use crate::failure::{BatchLost, CodecRefused};
pub use crate::magic::InvalidBrokerVersion;
pub use crate::send_error::{AuthenticationError, BlockedOn, NoBrokerCause};
pub use crate::send_message::Rejection;
pub use crate::transport_error::TransportError;
