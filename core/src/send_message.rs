//! Sending one message: its destination, the record that it became, and why it failed.

use alloc::string::String;
use alloc::sync::Arc;
use core::error::Error;
use core::fmt;

use crate::batch::AppendError;
use crate::failure::{FailureReason, Fate, WithRemedy};
use crate::one_line::OneLine;
use crate::outgoing::EncodeError;
use crate::record::TopicPartition;
use crate::send_error::SendErrorReason;
use crate::time::Timestamp;

/// Where a message is sent: a topic, and possibly one of its partitions.
///
/// Converted from a topic's name, or from a topic and a partition: `"orders"`, `("orders", 3)`, `&TopicPartition`.
///
/// ```
/// use kafka_batch_core::{Destination, TopicPartition};
///
/// assert_eq!(Destination::from("orders"), Destination::from(("orders", None)));
/// assert_eq!(Destination::from(&TopicPartition::new("orders", 3)), Destination::from(("orders", 3)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Destination<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition; `None` for that of the message's key, or, without a key, one that the producer chooses.
    pub partition: Option<i32>,
}

impl<'a> From<&'a str> for Destination<'a> {
    fn from(topic: &'a str) -> Self {
        Self { topic, partition: None }
    }
}

impl<'a> From<&'a String> for Destination<'a> {
    fn from(topic: &'a String) -> Self {
        Self { topic, partition: None }
    }
}

impl<'a> From<&'a TopicPartition> for Destination<'a> {
    fn from(to: &'a TopicPartition) -> Self {
        Self { topic: &to.topic, partition: Some(to.partition) }
    }
}

impl<'a> From<(&'a str, i32)> for Destination<'a> {
    fn from((topic, partition): (&'a str, i32)) -> Self {
        Self { topic, partition: Some(partition) }
    }
}

impl<'a> From<(&'a str, Option<i32>)> for Destination<'a> {
    fn from((topic, partition): (&'a str, Option<i32>)) -> Self {
        Self { topic, partition }
    }
}

/// Displays `topic`, or `topic-partition`.
impl fmt::Display for Destination<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        shown(self.topic, self.partition, f)
    }
}

fn shown(topic: &str, partition: Option<i32>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let topic = topic.escape_debug(); // an invalid name may contain line ends
    match partition {
        Some(partition) => write!(f, "{topic}-{partition}"),
        None => write!(f, "{topic}"),
    }
}

/// A delivered message (with `acks=0`, one that was sent): the place and the timestamp of its record. Kafka's `RecordMetadata`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordDelivery {
    /// The partition that has the record.
    pub partition: i32,
    /// The record's offset; `None` if it is not known: with `acks=0`, or if its batch was split and another part failed.
    pub offset: Option<i64>,
    /// The record's timestamp: the broker's append time if the topic has `message.timestamp.type=LogAppendTime`,
    /// otherwise the record's own; [`Timestamp::NO_TIMESTAMP`] in magic 0.
    pub timestamp: Timestamp,
}

impl RecordDelivery {
    /// Creates the outcome of a delivered record. An offset below 0 is unknown.
    #[must_use]
    pub fn new(partition: i32, offset: Option<i64>, timestamp: Timestamp) -> Self {
        Self { partition, offset: offset.filter(|&offset| offset >= 0), timestamp }
    }
}

/// Why sending a message failed.
///
/// The message itself is not in the error: to keep it for another attempt, pass a reference to it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendMessageError {
    /// The message was not accepted. Nothing was sent.
    #[error(transparent)]
    NotAccepted(#[from] EnqueueError),
    /// The message was accepted, and its delivery failed.
    #[error(transparent)]
    Delivery(#[from] RecordDeliveryError),
}

impl SendMessageError {
    /// Returns the fate of the record: whether it is in the log.
    #[must_use]
    pub const fn fate(&self) -> Fate {
        match self {
            Self::NotAccepted(_) => Fate::NotWritten,
            Self::Delivery(error) => error.fate,
        }
    }

    /// Returns `true` if sending the message again with the same producer may succeed.
    ///
    /// Unless its [`fate`](Self::fate) is [`Fate::NotWritten`], that may write the record twice.
    #[must_use]
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::NotAccepted(error) => error.is_retriable(),
            Self::Delivery(error) => error.is_retriable(),
        }
    }
}

/// A message was not accepted. Nothing was sent.
#[derive(Debug)]
#[non_exhaustive]
pub struct EnqueueError {
    /// The topic.
    pub topic: String,
    /// The partition that was requested, if one was.
    pub partition: Option<i32>,
    /// The reason.
    pub reason: EnqueueErrorReason,
}

impl EnqueueError {
    /// Creates the error.
    #[must_use]
    pub fn new(to: Destination<'_>, reason: EnqueueErrorReason) -> Self {
        Self { topic: to.topic.into(), partition: to.partition, reason }
    }

    /// Returns `true` if sending the same message again may succeed.
    #[must_use]
    pub const fn is_retriable(&self) -> bool {
        match &self.reason {
            EnqueueErrorReason::Append(_) => false,
            EnqueueErrorReason::Send(reason) => reason.is_retriable(),
        }
    }
}

impl fmt::Display for EnqueueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the message for ")?;
        shown(&self.topic, self.partition, f)?;
        write!(f, " was not accepted: {}", self.reason)
    }
}

impl Error for EnqueueError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.reason.source()
    }
}

/// Why a message was not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnqueueErrorReason {
    /// The message could not be encoded, or no batch of this producer can hold its record.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// There is no such topic or partition, no broker responds, or the producer is closed.
    #[error(transparent)]
    Send(#[from] SendErrorReason),
}

impl From<EncodeError> for EnqueueErrorReason {
    fn from(error: EncodeError) -> Self {
        Self::Append(AppendError::Message(error))
    }
}

/// An accepted message whose delivery failed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RecordDeliveryError {
    /// The topic and partition.
    pub to: TopicPartition,
    /// Why the batch of the record failed. All records of the batch share it.
    pub reason: Arc<FailureReason>,
    /// Whether this record is in the log.
    pub fate: Fate,
    /// Whether the broker rejected this record, and thus its whole batch (KIP-467: Produce v8 and later).
    pub rejection: Rejection,
}

/// Which record of a failed batch the broker rejected, as far as it is known (KIP-467: Produce v8 and later).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// The broker named no record.
    Unnamed,
    /// This record, with the broker's message, if it returned one.
    This(Option<String>),
    /// Only other records of the batch. Sending this record again may succeed.
    Others,
}

impl RecordDeliveryError {
    /// Creates the error of one record.
    #[must_use]
    pub const fn new(to: TopicPartition, reason: Arc<FailureReason>, fate: Fate, rejection: Rejection) -> Self {
        Self { to, reason, fate, rejection }
    }

    /// Returns `true` if sending the message again with the same producer may succeed.
    #[must_use]
    pub fn is_retriable(&self) -> bool {
        match self.rejection {
            _ if self.fate == Fate::Written => false,
            Rejection::Unnamed => self.reason.is_retriable(),
            Rejection::This(_) => false,
            Rejection::Others => true,
        }
    }
}

impl fmt::Display for RecordDeliveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { to, reason, fate, rejection } = self;
        // The batch is the producer's: its messages cannot be split, and its size is that of `batch.size`.
        let remedy = "shorten the message, lower batch.size, or raise the topic's max.message.bytes";
        let reason = WithRemedy { reason, too_large: Some(remedy) };
        write!(f, "the message for {to} failed: {reason} ({fate})")?;
        match rejection {
            Rejection::Unnamed => Ok(()),
            Rejection::This(message) => {
                let message = message.as_deref().unwrap_or("the broker gave no reason");
                write!(f, "; its record was rejected: {}", OneLine(message))
            }
            Rejection::Others => f.write_str("; other records of its batch were rejected: send this one again"),
        }
    }
}

impl Error for RecordDeliveryError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.reason.source()
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;
    use crate::protocol::{ApiKey, BrokerError, ErrorCode};
    use crate::{DeliveryError, KafkaBatch, Record};

    #[test]
    fn errors_name_the_destination_the_reason_and_the_fate() {
        let not_accepted = EnqueueError::new(("orders", 3).into(), SendErrorReason::Closed.into());
        assert_eq!(
            not_accepted.to_string(),
            "the message for orders-3 was not accepted: the producer is closed; build a new one"
        );
        let keyed = EnqueueError::new("orders".into(), EncodeError::new("no number").into());
        assert_eq!(
            keyed.to_string(),
            "the message for orders was not accepted: the message could not be encoded: no number"
        );
        let failed = |rejection| {
            let reason = Arc::new(FailureReason::Closed);
            RecordDeliveryError::new(TopicPartition::new("orders", 3), reason, Fate::Unknown, rejection)
        };
        let plain = failed(Rejection::Unnamed);
        assert_eq!(
            plain.to_string(),
            "the message for orders-3 failed: the producer was closed before the batch was acknowledged: send it with a new \
             producer, unless it may be written (unknown, perhaps \
             written)"
        );
        assert!(
            failed(Rejection::This(Some("no key".into()))).to_string().ends_with("; its record was rejected: no key")
        );
        assert_eq!(SendMessageError::from(not_accepted).fate(), Fate::NotWritten);
        assert_eq!(SendMessageError::from(plain).fate(), Fate::Unknown);
    }

    #[test]
    fn a_message_that_is_too_large_cannot_be_split() {
        let refused = || FailureReason::from(BrokerError::new(ApiKey::Produce, ErrorCode::MESSAGE_TOO_LARGE));
        let to = TopicPartition::new("orders", 3);
        let error = RecordDeliveryError::new(to.clone(), Arc::new(refused()), Fate::NotWritten, Rejection::Unnamed);
        assert_eq!(
            error.to_string(),
            "the message for orders-3 failed: the broker answered Produce with MESSAGE_TOO_LARGE (10); shorten the \
             message, lower batch.size, or raise the topic's max.message.bytes (not written)"
        );
        let batch = |records| {
            let mut batch = KafkaBatch::new(Timestamp::from_millis(0));
            batch.extend((0..records).map(|_| Record::new("x"))).unwrap();
            DeliveryError::new(to.clone(), refused(), Fate::NotWritten, batch).to_string()
        };
        let remedy = "; shorten the record, or raise the topic's max.message.bytes (not written)";
        assert!(batch(1).ends_with(remedy), "{}", batch(1));
        let remedy = "; split the batch, or raise the topic's max.message.bytes (not written)";
        assert!(batch(2).ends_with(remedy), "{}", batch(2));
    }

    #[test]
    fn a_record_can_be_sent_again_if_only_others_of_its_batch_were_rejected() {
        let reason = Arc::new(BrokerError::new(ApiKey::Produce, ErrorCode::INVALID_RECORD).into());
        let error = |rejection| {
            let to = TopicPartition::new("t", 0);
            RecordDeliveryError::new(to, Arc::clone(&reason), Fate::NotWritten, rejection)
        };
        assert!(error(Rejection::Others).is_retriable());
        assert!(!error(Rejection::This(None)).is_retriable() && !error(Rejection::Unnamed).is_retriable());
    }
}
