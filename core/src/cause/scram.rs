//! Errors of SCRAM, and the limits that they name.

use alloc::string::String;

use crate::one_line::OneLine;

/// The minimum of SCRAM-SHA-256 (RFC 7677), and of Kafka for each user.
pub(crate) const LEAST_ITERATIONS: u64 = 4_096;
/// The maximum: Kafka stores no more than 16 384, others may, and this many take some tenths of a second of hashing.
pub(crate) const MOST_ITERATIONS: u64 = 131_072;
/// The maximum length of a message in bytes. Nonces and salts have some dozens of bytes.
pub(crate) const LONGEST_MESSAGE: usize = 4_096;

/// Why SCRAM authentication failed, on either side.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScramError {
    /// The broker refused the credentials, with this message.
    #[error("the broker refuses the credentials (sasl.username, sasl.password): {}", OneLine(.0))]
    Refused(String),
    /// A message of the broker is longer than any valid one.
    #[error("the broker sent a message of {0} bytes, where at most {LONGEST_MESSAGE} are accepted")]
    TooLong(usize),
    /// A message of the broker violates RFC 5802.
    #[error("the broker sent a message that violates RFC 5802: {0}")]
    Malformed(&'static str),
    /// The nonce is of another exchange, as in a replay.
    #[error("the broker's nonce does not extend the client's nonce")]
    NonceMismatch,
    /// Fewer iterations would expose the password, and more would take too much time.
    #[error(
        "the broker requires {0} iterations, where {LEAST_ITERATIONS} to {MOST_ITERATIONS} are accepted: set the user's password \
         again on the broker, with as many"
    )]
    Iterations(u64),
    /// The signature is wrong: the server does not know the password, so it may be an impostor.
    #[error(
        "the broker's signature is wrong, so it does not know the password: check bootstrap.servers, it may be an impostor"
    )]
    WrongSignature,
}

impl ScramError {
    /// Applies a function to the broker's message.
    pub(crate) fn map_message(self, map: impl FnOnce(String) -> String) -> Self {
        match self {
            Self::Refused(message) => Self::Refused(map(message)),
            other => other,
        }
    }
}
