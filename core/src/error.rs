//! Errors that are rarely named: parts of the errors in the crate's root, and errors of single conversions.
//!
//! The error of each frequent operation is in the root, such as [`AppendError`](crate::AppendError),
//! [`SendError`](crate::SendError) and [`DeliveryError`](crate::DeliveryError).
//!
//! | type | where it occurs |
//! |---|---|
//! | [`BatchLost`] | [`DeliveryError::remainder`](crate::DeliveryError::remainder) returns it if the batch is lost |
//! | [`CodecRefused`] | in [`FailureReason::Codec`](crate::FailureReason::Codec): the broker does not support the codec |
//! | [`NoBrokerCause`] | in [`SendErrorReason::NoBroker`](crate::SendErrorReason::NoBroker): why no broker responds |
//! | [`AuthenticationError`] | in [`SendErrorReason::Authentication`](crate::SendErrorReason::Authentication): which side refused, and why |
//! | [`TransportError`] | in variants `Transport`: an error that is particular to one transport |
//! | [`Rejection`] | in [`RecordDeliveryError`](crate::RecordDeliveryError): which record of the batch the broker rejected |
//! | [`InvalidBrokerVersion`] | parsing text as a [`BrokerVersion`](crate::BrokerVersion) returns it |

pub use crate::failure::{BatchLost, CodecRefused};
pub use crate::magic::InvalidBrokerVersion;
pub use crate::send_error::{AuthenticationError, NoBrokerCause};
pub use crate::send_message::Rejection;
pub use crate::transport_error::TransportError;
