//! The outcome of a failed batch: the reason, and the fate of each record.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::error::Error;
use core::fmt;
use core::time::Duration;

use crate::batch::convert::LossyConversion;
use crate::batch::{AppendError, KafkaBatch, SealErrorReason};
use crate::cause::{ConnectionError, Limit, TimeoutCause};
use crate::compression::Codec;
use crate::counted::Counted;
use crate::due_to::DueTo;
use crate::one_line::OneLine;
use crate::protocol::{BrokerError, ErrorCode, RequestEncodeError};
use crate::record::TopicPartition;
use crate::send_error::STOPPED;
use crate::transport_error::TransportError;

/// Whether a record of a failed batch is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
// Exhaustive on purpose: a caller that decides whether to send a record again must handle each fate.
pub enum Fate {
    /// It is not in the log, and will not be.
    NotWritten,
    /// It is in the log.
    Written,
    /// It may be in the log: for example, if the batch timed out after it was sent.
    Unknown,
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotWritten => "not written",
            Self::Written => "written",
            Self::Unknown => "unknown, perhaps written",
        })
    }
}

/// An accepted batch whose delivery failed. The error has the batch, and the fate of each record.
#[derive(Debug)]
#[non_exhaustive]
pub struct DeliveryError {
    /// The topic and partition.
    pub to: TopicPartition,
    /// The reason.
    pub reason: FailureReason,
    /// The records that the broker rejected (KIP-467: Produce v8 and later) or that are too large for any batch, by position.
    /// The batch without them is the
    /// [`remainder`](Self::remainder).
    pub record_errors: Vec<RecordError>,
    /// The batch. `None` if it was lost, which happens only if the producer's task panicked while it was
    /// processing this one. Then send its records again from their source.
    pub batch: Option<Box<KafkaBatch>>,
    record_count: usize,
    fates: Fates,
}

/// A failed batch was lost, because the producer's task panicked while it was processing it. That is a bug in
/// this library, which the panic message describes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the batch of {} for {to} is lost, because the producer's task panicked: \
     send its records again from their source",
    Counted(*record_count, "record")
)]
#[non_exhaustive]
pub struct BatchLost {
    /// The topic and partition.
    pub to: TopicPartition,
    /// The number of records in it.
    pub record_count: usize,
}

#[derive(Debug)]
enum Fates {
    All(Fate),
    /// By position: the batch was split, or the transport formed batches of its own.
    Each(Box<[Fate]>),
}

/// A record that the broker rejected, or that is too large for any batch.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordError {
    /// Its position in the batch.
    pub position: usize,
    /// Why, if it is known: the broker's message, or that the record is too large.
    pub message: Option<String>,
}

impl RecordError {
    /// Creates the error of the record at this position, with the reason, if it is known.
    #[must_use]
    pub const fn new(position: usize, message: Option<String>) -> Self {
        Self { position, message }
    }
}

/// The reason why a batch failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum FailureReason {
    /// A broker responded with an error.
    Broker(BrokerError),
    /// The broker requires an older record format, which cannot represent everything in the batch. Nothing was sent.
    Conversion(Box<LossyConversion>),
    /// The broker does not support the compression codec. Nothing was sent.
    Codec(CodecRefused),
    /// The batch was not acknowledged within `delivery.timeout.ms`.
    TimedOut {
        /// The value of that setting. `None` if it is not known, as with librdkafka.
        limit: Option<Duration>,
        /// What the batch was waiting for when the timeout expired, and the last error before. `None` if that is not
        /// known, as with librdkafka.
        cause: Option<Box<TimeoutCause>>,
    },
    /// The topic had no such partition until `delivery.timeout.ms` expired. Nothing was sent.
    UnknownPartition {
        /// The topic.
        topic: Box<str>,
        /// The partition of the batch.
        partition: i32,
        /// The number of partitions of the topic.
        partitions: u32,
    },
    /// The batch was converted for an older broker, or split, and could not be sealed again. Nothing was sent.
    Seal(Box<SealErrorReason>),
    /// In the older format that the broker requires, the batch would exceed the maximum size. Nothing was sent.
    Append(Box<AppendError>),
    /// No Produce request can carry the batch to this broker.
    Request(RequestEncodeError),
    /// The transaction of the batch was aborted, by the application or because of another failure in it, before the batch was
    /// acknowledged. It is not visible to consumers of committed records, whether it was written or not.
    TransactionAborted,
    /// The producer was closed before the batch was acknowledged.
    Closed,
    /// The producer's task has ended before the producer was closed, because its runtime was shut down, or
    /// because it panicked. Retrying with the same producer always fails.
    Stopped,
    /// An error that is particular to the transport.
    Transport(TransportError),
}

impl fmt::Display for FailureReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broker(error) => error.fmt(f),
            Self::Conversion(error) => error.fmt(f),
            Self::Codec(error) => error.fmt(f),
            Self::TimedOut { limit, cause } => {
                f.write_str("the batch was not acknowledged within ")?;
                match limit {
                    Some(limit) => Limit("delivery.timeout.ms", *limit).fmt(f)?,
                    None => f.write_str("delivery.timeout.ms")?,
                }
                DueTo(cause.as_ref()).fmt(f)
            }
            Self::UnknownPartition { topic, partition, partitions } => {
                let last = partitions.saturating_sub(1);
                write!(
                    f,
                    "topic {topic:?} has partitions 0 to {last}, but partition {partition} was requested: request one of them, or \
                     add partitions"
                )
            }
            Self::Seal(error) => error.fmt(f),
            Self::Append(error) => error.fmt(f),
            Self::Request(error) => error.fmt(f),
            Self::TransactionAborted => {
                f.write_str("the transaction of the batch was aborted: begin another one, and send it again")
            }
            Self::Closed => f.write_str(
                "the producer was closed before the batch was acknowledged: send it with a new producer, unless it may be \
                 written",
            ),
            Self::Stopped => f.write_str(STOPPED),
            Self::Transport(error) => error.fmt(f),
        }
    }
}

/// Displays a reason of which something else than [`BrokerError::remedy`] is to be done if the size is refused.
pub(crate) struct WithRemedy<'a> {
    pub(crate) reason: &'a FailureReason,
    /// What to do if the broker refuses the size.
    pub(crate) too_large: Option<&'static str>,
}

impl fmt::Display for WithRemedy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.reason, self.too_large) {
            (FailureReason::Broker(error), Some(remedy)) if error.is_too_large() => error.fmt_with(Some(remedy), f),
            (reason, _) => reason.fmt(f),
        }
    }
}

impl Error for FailureReason {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Broker(error) => error.source(),
            Self::Conversion(error) => error.source(),
            Self::Codec(error) => error.source(),
            Self::TimedOut { cause, .. } => cause.as_ref()?.source(),
            Self::Seal(error) => error.source(),
            Self::Append(error) => error.source(),
            Self::Request(error) => error.source(),
            Self::UnknownPartition { .. } | Self::TransactionAborted | Self::Closed | Self::Stopped => None,
            Self::Transport(error) => error.source(),
        }
    }
}

impl From<BrokerError> for FailureReason {
    fn from(error: BrokerError) -> Self {
        Self::Broker(error)
    }
}

impl From<CodecRefused> for FailureReason {
    fn from(error: CodecRefused) -> Self {
        Self::Codec(error)
    }
}

impl From<RequestEncodeError> for FailureReason {
    fn from(error: RequestEncodeError) -> Self {
        Self::Request(error)
    }
}

impl From<TransportError> for FailureReason {
    fn from(error: TransportError) -> Self {
        Self::Transport(error)
    }
}

/// The broker does not support the codec of the batch: it would respond UNSUPPORTED_COMPRESSION_TYPE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{codec} requires Produce v7 (Kafka 2.1 or later, KIP-110), but this broker supports at most v{produce}: \
     use another compression.type"
)]
#[non_exhaustive]
pub struct CodecRefused {
    /// The codec.
    pub codec: Codec,
    /// The latest version of Produce that the broker and this client have in common.
    pub produce: i16,
}

impl CodecRefused {
    /// Creates the error for a broker with which this is the latest common version of Produce.
    #[must_use]
    pub const fn new(codec: Codec, produce: i16) -> Self {
        Self { codec, produce }
    }
}

impl FailureReason {
    /// Returns the broker's error code, if a broker responded with an error.
    #[must_use]
    pub const fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Broker(error) => Some(error.code),
            _ => None,
        }
    }

    /// Returns the error of a broker that caused this, if it is known: its response to the batch, or the last error before a
    /// timeout.
    #[must_use]
    pub fn broker_error(&self) -> Option<&BrokerError> {
        match self {
            Self::Broker(error) => Some(error),
            Self::TimedOut { cause, .. } => cause.as_ref()?.broker_error(),
            _ => None,
        }
    }

    /// Returns the error of a connection that caused this, if it is known: the last one before a timeout.
    #[must_use]
    pub fn connection_error(&self) -> Option<&ConnectionError> {
        match self {
            Self::TimedOut { cause, .. } => cause.as_ref()?.connection_error(),
            _ => None,
        }
    }

    /// Returns `true` if sending the same batch again may succeed.
    #[must_use]
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Broker(error) => error.is_retriable(),
            Self::TimedOut { .. } | Self::UnknownPartition { .. } => true,
            _ => false,
        }
    }
}

impl DeliveryError {
    /// Creates the error for a batch whose records all have this fate.
    #[must_use]
    pub fn new(to: TopicPartition, reason: FailureReason, fate: Fate, batch: KafkaBatch) -> Self {
        Self::with_fates(to, reason, Some(batch), Fates::All(fate))
    }

    /// Creates the error for a lost batch of `record_count` records, all with this fate.
    #[must_use]
    pub fn without_batch(to: TopicPartition, reason: FailureReason, fate: Fate, record_count: usize) -> Self {
        Self { record_count, ..Self::with_fates(to, reason, None, Fates::All(fate)) }
    }

    fn with_fates(to: TopicPartition, reason: FailureReason, batch: Option<KafkaBatch>, fates: Fates) -> Self {
        let record_count = batch.as_ref().map_or(0, KafkaBatch::record_count);
        Self { to, reason, record_errors: Vec::new(), batch: batch.map(Box::new), record_count, fates }
    }

    /// Creates the error for a batch whose records have individual fates, by position: it was split, or the transport
    /// formed batches of its own.
    #[must_use]
    pub fn from_fates(to: TopicPartition, reason: FailureReason, fates: Vec<Fate>, batch: KafkaBatch) -> Self {
        Self::with_fates(to, reason, Some(batch), Fates::Each(fates.into_boxed_slice()))
    }

    /// Sets the records that the broker rejected.
    #[must_use]
    pub fn with_record_errors(mut self, errors: Vec<RecordError>) -> Self {
        self.record_errors = errors;
        self
    }

    /// Returns the number of records in the batch, also if the batch itself is lost.
    #[must_use]
    pub const fn record_count(&self) -> usize {
        self.record_count
    }

    /// Returns the fate of all records, or `None` if they have different fates or there are none. Different fates are
    /// possible if the batch was split (`split_too_large`), or the transport does not send a batch as one
    /// ([`Capabilities::one_batch_on_the_wire`](crate::Capabilities)).
    #[must_use]
    pub fn fate(&self) -> Option<Fate> {
        match &self.fates {
            Fates::All(fate) => Some(*fate),
            Fates::Each(fates) => {
                let first = *fates.first()?;
                fates.iter().all(|&fate| fate == first).then_some(first)
            }
        }
    }

    /// Returns the fate of the record at this position; `None` past the last one.
    #[must_use]
    pub fn fate_of(&self, position: usize) -> Option<Fate> {
        match &self.fates {
            Fates::All(fate) => (position < self.record_count).then_some(*fate),
            Fates::Each(fates) => fates.get(position).copied(),
        }
    }

    /// Returns an iterator over the positions of the records with this fate, in order.
    pub fn positions(&self, fate: Fate) -> impl Iterator<Item = usize> + '_ {
        (0..self.record_count).filter(move |&position| self.fate_of(position) == Some(fate))
    }

    /// Returns `true` if any record may be in the log, so that sending the batch again could write it twice.
    #[must_use]
    pub fn may_have_been_written(&self) -> bool {
        match &self.fates {
            Fates::All(fate) => *fate != Fate::NotWritten,
            Fates::Each(fates) => fates.iter().any(|&fate| fate != Fate::NotWritten),
        }
    }

    /// Returns `true` if sending the same batch again with the same producer may succeed. If not, another remedy may
    /// apply: send the [`remainder`](Self::remainder) without the rejected records, or create a new producer
    /// after [`Closed`](FailureReason::Closed).
    #[must_use]
    pub fn is_retriable(&self) -> bool {
        self.reason.is_retriable()
    }

    /// Returns a copy of the batch without the records that are [written](Fate::Written) and those that the broker
    /// rejected. It may be empty. Records whose fate is [unknown](Fate::Unknown) are included: if they are sent again,
    /// they may be in the log twice.
    ///
    /// # Errors
    /// The [batch](Self::batch) is lost, which is not the same as an empty remainder.
    pub fn remainder(&self) -> Result<KafkaBatch, BatchLost> {
        let Some(batch) = &self.batch else {
            return Err(BatchLost { to: self.to.clone(), record_count: self.record_count });
        };
        let rejected = self.record_errors.iter().map(|error| error.position);
        Ok(batch.without(&self.positions(Fate::Written).chain(rejected).collect::<Vec<_>>()))
    }
}

impl fmt::Display for DeliveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { to, reason, record_count, .. } = self;
        let is_single = *record_count == 1;
        let too_large = is_single.then_some("shorten the record, or raise the topic's max.message.bytes");
        let reason = WithRemedy { reason, too_large };
        write!(f, "the batch of {} for {to} failed: {reason} (", Counted(*record_count, "record"))?;
        match self.fate() {
            Some(fate) => write!(f, "{fate})")?,
            None => {
                let count = |fate| self.positions(fate).count();
                let [written, not, unknown] = [Fate::Written, Fate::NotWritten, Fate::Unknown].map(count);
                write!(f, "{written} written, {not} not written, {unknown} unknown)")?;
            }
        }
        if self.batch.is_none() {
            f.write_str("; the batch is lost: send its records again from their source")?;
        }
        if let Some(first) = self.record_errors.first() {
            let message = first.message.as_deref().unwrap_or("the broker gave no reason");
            write!(f, "; record {}: {}", first.position, OneLine(message))?;
            let others = self.record_errors.len() - 1;
            if others > 0 {
                write!(f, " (and {others} more)")?;
            }
        }
        Ok(())
    }
}

impl Error for DeliveryError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.reason.source()
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn a_lost_batch_is_not_an_empty_one() {
        let to = TopicPartition::new("t", 3);
        let lost = DeliveryError::without_batch(to, FailureReason::Closed, Fate::Unknown, 2);
        assert!(lost.batch.is_none());
        assert_eq!((lost.record_count(), lost.fate_of(1), lost.fate_of(2)), (2, Some(Fate::Unknown), None));
        assert_eq!(lost.positions(Fate::Unknown).count(), 2);
        assert_eq!(
            lost.to_string(),
            "the batch of 2 records for t-3 failed: the producer was closed before the batch was acknowledged: send it with a \
             new producer, unless it may be written \
             (unknown, perhaps written); the batch is lost: send its records again from their source"
        );
        assert_eq!(
            lost.remainder().unwrap_err().to_string(),
            "the batch of 2 records for t-3 is lost, because the producer's task panicked: send its records again \
             from their source"
        );
    }
}
