//! What went wrong between the machine and the brokers, as values: the errors of connections, lookups and timeouts. They
//! are below the outcome of a batch, so that a failed batch can contain its cause. Public as part of
//! [`machine`](crate::machine).

mod broker_address;
mod connection;
mod millis;
mod oauth;
mod pending_request;
mod producer_id;
mod scram;
mod security;
mod timeout;
mod topic_lookup;

pub use self::broker_address::BrokerAddress;
pub use self::connection::{ConnectionError, ConnectionErrorKind, Disconnect};
pub(crate) use self::millis::Limit;
pub use self::oauth::{OAuthError, OAuthRefusal};
pub use self::pending_request::PendingRequest;
pub use self::producer_id::ProducerIdError;
pub use self::scram::ScramError;
pub(crate) use self::scram::{LEAST_ITERATIONS, LONGEST_MESSAGE, MOST_ITERATIONS};
pub use self::security::{ForeignProtocol, MismatchEvidence, SecurityMismatch, SecurityProtocol};
pub use self::timeout::{LastError, LastErrorKind, TimeoutCause, WaitingFor};
pub use self::topic_lookup::TopicLookupError;
