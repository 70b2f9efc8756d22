//! What is known of a batch that failed: why, and the fate of each record.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::error::Error;
use core::fmt;

use crate::batch::{KafkaBatch, LossyConversion};
use crate::compression::Codec;
use crate::protocol::{BrokerError, ErrorCode};
use crate::record::TopicPartition;

/// What is known of a record whose batch failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It is in no log, and will not be.
    NotWritten,
    /// It is in the log.
    Written,
    /// It may be in the log or not: a time-out, say, after its bytes went out.
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

/// A batch that was accepted for sending, and failed. It is returned, with what is known of each record.
#[derive(Debug)]
#[non_exhaustive]
pub struct DeliveryError {
    /// Where it should have gone.
    pub to: TopicPartition,
    /// Why it failed.
    pub reason: FailureReason,
    /// The records that the broker rejected, by position (KIP-467: Produce 8 and newer). What is left to send without them
    /// is the [`good_remainder`](Self::good_remainder).
    pub record_errors: Vec<RecordError>,
    /// The batch. `None` if it was lost: only if the task that sends batches panicked while it was working on this one.
    /// Then its records are to be sent again from their source.
    pub batch: Option<Box<KafkaBatch>>,
    record_count: usize,
    fates: Fates,
}

/// A failed batch that is not returned: the task that sends batches panicked while it was working on it. That is a bug in
/// this library, which the panic's message describes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the batch of {record_count} records for {to} is lost, because the task that sends batches panicked: \
     send its records again from their source"
)]
#[non_exhaustive]
pub struct BatchLost {
    /// Where it should have gone.
    pub to: TopicPartition,
    /// How many records were in it.
    pub record_count: usize,
}

#[derive(Debug)]
enum Fates {
    All(Fate),
    /// By position: where something else batched the records.
    Each(Box<[Fate]>),
}

/// A record that the broker rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordError {
    /// Its position in the batch.
    pub position: usize,
    /// What the broker said of it.
    pub message: Option<String>,
}

impl RecordError {
    /// What the broker said of the record at this position.
    #[must_use]
    pub const fn new(position: usize, message: Option<String>) -> Self {
        Self { position, message }
    }
}

/// Why a batch failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FailureReason {
    /// A broker said so.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The broker is older than the batch, and its format cannot carry all that is in it. Nothing was sent.
    #[error(transparent)]
    Conversion(Box<LossyConversion>),
    /// The broker is older than the codec. Nothing was sent.
    #[error(transparent)]
    Codec(#[from] CodecRefused),
    /// It was not acknowledged in time (`delivery.timeout.ms`).
    #[error("it was not acknowledged within delivery.timeout.ms{}", DueTo(cause.as_ref()))]
    TimedOut {
        /// What the batch was waiting for when the time was over, and the last error before:
        /// a [`TimeoutCause`](crate::machine::TimeoutCause). `None` if that is not known, as over librdkafka.
        cause: Option<Box<dyn Error + Send + Sync>>,
    },
    /// The producer was closed before the batch was through.
    #[error("the producer was closed before the batch was acknowledged")]
    Closed,
    /// Something else on the way.
    #[error(transparent)]
    Transport(Box<dyn Error + Send + Sync>),
}

/// The broker is older than the codec that the batch is compressed with: it would answer UNSUPPORTED_COMPRESSION_TYPE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{codec} needs a broker that speaks Produce 7 (2.1 or newer, KIP-110), and this one speaks Produce {produce}")]
#[non_exhaustive]
pub struct CodecRefused {
    /// The codec.
    pub codec: Codec,
    /// The newest version of Produce that both sides know.
    pub produce: i16,
}

impl CodecRefused {
    /// This codec, at a broker that speaks no newer version of Produce.
    #[must_use]
    pub const fn new(codec: Codec, produce: i16) -> Self {
        Self { codec, produce }
    }
}

/// The end of a sentence: the cause, if there is one.
pub(crate) struct DueTo<T>(pub(crate) Option<T>);

impl<T: fmt::Display> fmt::Display for DueTo<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |cause| write!(f, ": {cause}"))
    }
}

impl FailureReason {
    /// The broker's code, where a broker said why.
    #[must_use]
    pub const fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Broker(error) => Some(error.code),
            Self::Conversion(_) | Self::Codec(_) | Self::TimedOut { .. } | Self::Closed | Self::Transport(_) => None,
        }
    }

    /// Whether sending the same batch again can help.
    #[must_use]
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Broker(error) => error.is_retriable(),
            Self::TimedOut { .. } => true,
            Self::Conversion(_) | Self::Codec(_) | Self::Closed | Self::Transport(_) => false,
        }
    }
}

impl DeliveryError {
    /// A batch that shares one fate.
    #[must_use]
    pub fn new(to: TopicPartition, reason: FailureReason, fate: Fate, batch: KafkaBatch) -> Self {
        Self::made(to, reason, Some(batch), Fates::All(fate))
    }

    /// Returns the error for a batch of `record_count` records that is lost, and of which no more than this fate is known.
    #[must_use]
    pub fn without_batch(to: TopicPartition, reason: FailureReason, fate: Fate, record_count: usize) -> Self {
        Self { record_count, ..Self::made(to, reason, None, Fates::All(fate)) }
    }

    fn made(to: TopicPartition, reason: FailureReason, batch: Option<KafkaBatch>, fates: Fates) -> Self {
        let record_count = batch.as_ref().map_or(0, KafkaBatch::record_count);
        Self { to, reason, record_errors: Vec::new(), batch: batch.map(Box::new), record_count, fates }
    }

    /// A batch whose records have fates of their own, by position: where it was split, or something else batched them.
    #[must_use]
    pub fn one_by_one(to: TopicPartition, reason: FailureReason, fates: Vec<Fate>, batch: KafkaBatch) -> Self {
        Self::made(to, reason, Some(batch), Fates::Each(fates.into_boxed_slice()))
    }

    /// With the records that the broker rejected.
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

    /// What is known of the batch; `None` where its records have different fates: where it was split (`split_too_large`), or
    /// the transport cannot send a batch as one ([`Capabilities::one_batch_on_the_wire`](crate::Capabilities)).
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

    /// What is known of the record at this position; `None` past the last one.
    #[must_use]
    pub fn fate_of(&self, position: usize) -> Option<Fate> {
        match &self.fates {
            Fates::All(fate) => (position < self.record_count).then_some(*fate),
            Fates::Each(fates) => fates.get(position).copied(),
        }
    }

    /// The positions of the records with this fate, in order.
    pub fn positions(&self, fate: Fate) -> impl Iterator<Item = usize> + '_ {
        (0..self.record_count).filter(move |&position| self.fate_of(position) == Some(fate))
    }

    /// Whether any record may be in the log: sending the batch again could then write it twice.
    #[must_use]
    pub fn may_have_been_written(&self) -> bool {
        match &self.fates {
            Fates::All(fate) => *fate != Fate::NotWritten,
            Fates::Each(fates) => fates.iter().any(|&fate| fate != Fate::NotWritten),
        }
    }

    /// Whether sending the same batch again, by the same producer, can help. Where it cannot, something else may: the
    /// [`good_remainder`](Self::good_remainder) without records that were rejected, a new producer after
    /// [`Closed`](FailureReason::Closed).
    #[must_use]
    pub fn is_retriable(&self) -> bool {
        self.reason.is_retriable()
    }

    /// What is left to send: the batch without the records that are [written](Fate::Written), and without those that the
    /// broker rejected. It may be empty. Records whose fate is [unknown](Fate::Unknown) are in it: sent again, they may be
    /// in the log twice.
    ///
    /// # Errors
    /// The [batch](Self::batch) is lost. That is not the same as nothing left to send.
    pub fn good_remainder(&self) -> Result<KafkaBatch, BatchLost> {
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
        write!(f, "the batch of {record_count} records for {to} failed: {reason} (")?;
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
            write!(f, "; record {}: {message}", first.position)?;
            let others = self.record_errors.len() - 1;
            if others > 0 {
                write!(f, " (and {others} more)")?;
            }
        }
        Ok(())
    }
}

impl Error for DeliveryError {}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;
    use crate::batch::BatchOptions;

    #[test]
    fn a_batch_that_is_lost_is_not_an_empty_one() {
        let to = TopicPartition::new("t", 3);
        let lost = DeliveryError::without_batch(to, FailureReason::Closed, Fate::Unknown, 2);
        assert!(lost.batch.is_none());
        assert_eq!((lost.record_count(), lost.fate_of(1), lost.fate_of(2)), (2, Some(Fate::Unknown), None));
        assert_eq!(lost.positions(Fate::Unknown).count(), 2);
        assert_eq!(
            lost.to_string(),
            "the batch of 2 records for t-3 failed: the producer was closed before the batch was acknowledged \
             (unknown, perhaps written); the batch is lost: send its records again from their source"
        );
        assert_eq!(
            lost.good_remainder().unwrap_err().to_string(),
            "the batch of 2 records for t-3 is lost, because the task that sends batches panicked: send its records again \
             from their source"
        );
    }

    #[test]
    fn an_error_says_its_cause_once_however_it_is_printed() {
        let to = TopicPartition::new("t", 0);
        let batch = BatchOptions::default().build(0).unwrap();
        let broker = BrokerError::new(crate::protocol::ApiKey::Produce, ErrorCode::TOPIC_AUTHORIZATION_FAILED);
        let empty = batch.clone().seal().unwrap_err();
        let errors: [Box<dyn Error>; 3] = [
            Box::new(crate::SendError::new(to.clone(), empty.reason.into(), (*empty.batch).clone())),
            Box::new(DeliveryError::new(to, broker.into(), Fate::NotWritten, batch)),
            Box::new(crate::AppendError::from(crate::message::EncodeError::new("no bytes"))),
        ];
        for error in errors {
            let text = error.to_string();
            let mut cause = error.source();
            while let Some(error) = cause {
                assert!(!text.contains(&error.to_string()), "{text}: {error}");
                cause = error.source();
            }
        }
    }
}
