//! An error that came from a broker, with all that makes it of use: who said it, of what, in which words.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

use super::{ApiKey, ErrorCode};

/// What a broker answered instead of doing what it was asked.
///
/// ```
/// use kafka_batch_core::protocol::{ApiKey, BrokerError, ErrorCode};
///
/// let error = BrokerError::new(ApiKey::Produce, ErrorCode::NOT_LEADER_OR_FOLLOWER).in_version(12).from_broker(3);
/// assert_eq!(error.to_string(), "broker 3 answered Produce v12 with NOT_LEADER_OR_FOLLOWER (6)");
/// assert!(error.is_retriable());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BrokerError {
    /// What it was asked.
    pub api: ApiKey,
    /// In which version of the API, where that is known.
    pub version: Option<i16>,
    /// Its node id, where that is known: a bootstrap server has only an address.
    pub broker: Option<i32>,
    /// Its code.
    pub code: ErrorCode,
    /// Its words, if it had any.
    pub message: Option<Box<str>>,
}

impl BrokerError {
    /// Some broker answered this, and said no more.
    #[must_use]
    pub const fn new(api: ApiKey, code: ErrorCode) -> Self {
        Self { api, version: None, broker: None, code, message: None }
    }

    /// It was this one.
    #[must_use]
    pub fn from_broker(mut self, id: impl Into<Option<i32>>) -> Self {
        self.broker = id.into();
        self
    }

    /// It was asked in this version of the API.
    #[must_use]
    pub fn in_version(mut self, version: i16) -> Self {
        self.version = Some(version);
        self
    }

    /// In these words, of which the first 1,024 bytes are kept, in one line: control characters become spaces.
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

    /// What can be done about it, where a code means one thing for those who publish. (IdempotentWrite: KIP-679; the bounds
    /// of timestamps: KIP-937.)
    #[must_use]
    pub const fn remedy(&self) -> Option<&'static str> {
        Some(match self.code {
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => {
                "create the topic, or let the broker create topics (auto.create.topics.enable)"
            }
            ErrorCode::MESSAGE_TOO_LARGE | ErrorCode::RECORD_LIST_TOO_LARGE => {
                "split the batch, or raise the topic's max.message.bytes"
            }
            ErrorCode::NOT_ENOUGH_REPLICAS | ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND => {
                "fewer replicas are in sync than the topic's min.insync.replicas asks for"
            }
            ErrorCode::INVALID_TIMESTAMP => {
                "the topic's message.timestamp.before.max.ms and message.timestamp.after.max.ms say which ones it takes"
            }
            ErrorCode::TOPIC_AUTHORIZATION_FAILED => "this user may not write to the topic: change the broker's ACLs",
            ErrorCode::CLUSTER_AUTHORIZATION_FAILED => {
                "this user lacks IdempotentWrite in the broker's ACLs, which enable.idempotence asks for before 2.8"
            }
            ErrorCode::SASL_AUTHENTICATION_FAILED => "see to sasl.username and sasl.password",
            _ => return None,
        })
    }

    /// Whether the same request can succeed later.
    #[must_use]
    pub const fn is_retriable(&self) -> bool {
        self.code.is_retriable()
    }
}

impl fmt::Display for BrokerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
        match self.remedy() {
            Some(remedy) => write!(f, "; {remedy}"),
            None => Ok(()),
        }
    }
}

impl core::error::Error for BrokerError {}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use super::*;

    #[test]
    fn a_broker_may_say_what_it_likes_and_only_the_beginning_is_kept() {
        let said = "é".repeat(600); // 1,200 bytes
        let error = BrokerError::new(ApiKey::Produce, ErrorCode::INVALID_RECORD).with_message(said.clone());
        assert_eq!(error.message.as_deref(), Some(&said[..1_024]));
        let odd = String::from("x") + &said;
        let error = error.with_message(odd.clone());
        assert_eq!(error.message.as_deref(), Some(&odd[..1_023]), "no character is cut in two");
        let error = error.with_message(String::from("no\r\nWARN all is lost\u{1b}[0m"));
        assert_eq!(error.message.as_deref(), Some("no  WARN all is lost [0m"));
    }
}
