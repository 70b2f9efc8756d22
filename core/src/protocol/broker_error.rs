//! An error returned by a broker, with its context: broker, API, version, code and message.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

use super::{ApiKey, ErrorCode};

/// An error that a broker returned for a request.
///
/// ```
/// use kafka_batch_core::protocol::{ApiKey, BrokerError, ErrorCode};
///
/// let error = BrokerError::new(ApiKey::Produce, ErrorCode::NOT_LEADER_OR_FOLLOWER).with_version(12).with_broker(3);
/// assert_eq!(error.to_string(), "broker 3 answered Produce v12 with NOT_LEADER_OR_FOLLOWER (6)");
/// assert!(error.is_retriable());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BrokerError {
    /// The API of the request.
    pub api: ApiKey,
    /// The version of the request, if known.
    pub version: Option<i16>,
    /// The broker's node id, if known: for a bootstrap server only the address is.
    pub broker: Option<i32>,
    /// The error code.
    pub code: ErrorCode,
    /// The broker's error message, if the response has one.
    pub message: Option<Box<str>>,
}

impl BrokerError {
    /// Creates an error without version, broker and message.
    #[must_use]
    pub const fn new(api: ApiKey, code: ErrorCode) -> Self {
        Self { api, version: None, broker: None, code, message: None }
    }

    /// Sets the node id of the broker.
    #[must_use]
    pub fn with_broker(mut self, id: impl Into<Option<i32>>) -> Self {
        self.broker = id.into();
        self
    }

    /// Sets the version of the request.
    #[must_use]
    pub fn with_version(mut self, version: i16) -> Self {
        self.version = Some(version);
        self
    }

    /// Sets the broker's message: at most its first 1,024 bytes, with control characters replaced by spaces, so that it is
    /// one line.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<Option<String>>) -> Self {
        const MOST: usize = 1_024;
        self.message = message.into().map(|mut message| {
            let end = (0..=MOST.min(message.len())).rev().find(|&at| message.is_char_boundary(at));
            message.truncate(end.unwrap_or(0));
            message.replace(char::is_control, " ").into_boxed_str()
        });
        self
    }

    /// Returns what to do about the error, for codes with an unambiguous meaning for producers. (IdempotentWrite: KIP-679;
    /// timestamp bounds: KIP-937.)
    #[must_use]
    pub const fn remedy(&self) -> Option<&'static str> {
        Some(match self.code {
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => {
                "create the topic, or let the broker create topics (auto.create.topics.enable)"
            }
            ErrorCode::LEADER_NOT_AVAILABLE => {
                "leaders are missing while a topic is created, and while its brokers are down: try again later"
            }
            ErrorCode::MESSAGE_TOO_LARGE | ErrorCode::RECORD_LIST_TOO_LARGE => {
                "split the batch, or raise the topic's max.message.bytes"
            }
            ErrorCode::NOT_ENOUGH_REPLICAS | ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND => {
                "fewer replicas are in sync than the topic's min.insync.replicas requires: wait for replicas, or lower it"
            }
            ErrorCode::INVALID_TIMESTAMP => {
                "the topic's message.timestamp.before.max.ms and message.timestamp.after.max.ms limit which ones it accepts"
            }
            ErrorCode::TOPIC_AUTHORIZATION_FAILED => "this user may not write to the topic: change the broker's ACLs",
            ErrorCode::CLUSTER_AUTHORIZATION_FAILED => {
                "this user lacks IdempotentWrite in the broker's ACLs, which enable.idempotence requires before 2.8"
            }
            ErrorCode::SASL_AUTHENTICATION_FAILED => "check sasl.username and sasl.password",
            _ => return None,
        })
    }

    /// Returns `true` if the same request can succeed later.
    #[must_use]
    pub const fn is_retriable(&self) -> bool {
        self.code.is_retriable()
    }
}

impl BrokerError {
    /// Returns `true` if the broker refused what it was sent because of its size.
    pub(crate) const fn is_too_large(&self) -> bool {
        matches!(self.code, ErrorCode::MESSAGE_TOO_LARGE | ErrorCode::RECORD_LIST_TOO_LARGE)
    }

    /// Writes the error with this remedy.
    pub(crate) fn fmt_with(&self, remedy: Option<&str>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { api, version, broker, code, message } = self;
        match broker {
            Some(id) => write!(f, "broker {id}")?,
            None => f.write_str("the broker")?,
        }
        write!(f, " answered {}", api.name())?;
        if let Some(version) = version {
            write!(f, " v{version}")?;
        }
        write!(f, " with {code}")?;
        if let Some(message) = message {
            write!(f, ": {message}")?;
        }
        match remedy {
            Some(remedy) => write!(f, "; {remedy}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for BrokerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_with(self.remedy(), f)
    }
}

impl core::error::Error for BrokerError {}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use super::*;

    #[test]
    fn long_broker_messages_are_truncated_to_one_line() {
        let long = "é".repeat(600); // 1,200 bytes
        let error = BrokerError::new(ApiKey::Produce, ErrorCode::INVALID_RECORD).with_message(long.clone());
        assert_eq!(error.message.as_deref(), Some(&long[..1_024]));
        let odd = String::from("x") + &long;
        let error = error.with_message(odd.clone());
        assert_eq!(error.message.as_deref(), Some(&odd[..1_023]), "truncated at a character boundary");
        let error = error.with_message(String::from("no\r\nWARN all is lost\u{1b}[0m"));
        assert_eq!(error.message.as_deref(), Some("no  WARN all is lost [0m"));
    }
}
