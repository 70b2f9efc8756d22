//! The outcome of filling a batch: the record was appended, the batch is full, or no batch can hold the record.

use core::error::Error;
use core::fmt;
use core::ops::Range;

use super::RecordStats;
use crate::counted::Counted;
use crate::magic::Magic;
use crate::outgoing::EncodeError;
use crate::time::Timestamp;

/// Whether [`KafkaBatch::append`](crate::KafkaBatch::append) has appended the record, or the batch is full.
///
/// A full batch is not an error, because it is how every batch ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
// Exhaustive on purpose: a record is appended, or the batch is full.
#[must_use = "the record was not appended if the batch is full"]
pub enum Append {
    /// The record is in the batch.
    Appended(AppendedRecord),
    /// The record does not fit, and the batch is unchanged. A smaller record may still fit.
    Full(Full),
}

impl Append {
    /// Returns the record that was appended, or `None` if the batch is full (as `BatchBuilder.append` of aiokafka).
    #[must_use]
    pub const fn appended(self) -> Option<AppendedRecord> {
        match self {
            Self::Appended(record) => Some(record),
            Self::Full(_) => None,
        }
    }

    /// Returns `true` if the batch is full and the record was not appended.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        matches!(self, Self::Full(_))
    }
}

/// What a batch knows of a record that was appended, before it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AppendedRecord {
    /// The record's offset relative to the batch: its position, counted from 0; after
    /// [`KafkaBatch::append_at`](crate::KafkaBatch::append_at), the offset given to it.
    pub offset: u32,
    /// The record's encoded size in bytes, before compression.
    pub size: usize,
    /// The record's timestamp: its own, or the batch's; [`Timestamp::NO_TIMESTAMP`] in magic 0.
    pub timestamp: Timestamp,
    /// The record's checksum. Only messages of magic 0 and 1 have one.
    pub crc: Option<u32>,
}

/// The records that a call has appended: where they are in the batch, and how many bytes they take.
///
/// [`KafkaBatch::appended_records`](crate::KafkaBatch::appended_records) computes each of them from the batch.
///
/// # Examples
///
/// ```
/// use kafka_batch_core::{KafkaBatch, Record, Timestamp};
///
/// let mut batch = KafkaBatch::new(Timestamp::from_millis(7));
/// let _ = batch.append(Record::new("first"))?;
/// let appended = batch.extend(["second", "third"].map(Record::new))?;
/// assert_eq!((appended.positions(), appended.bytes()), (1..3, 13 + 12));
/// let sizes: Vec<_> = batch.appended_records(appended.positions()).map(|record| record.size).collect();
/// assert_eq!(sizes, [13, 12]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    start: u32,
    end: u32,
    bytes: usize,
}

impl Appended {
    pub(super) const fn between(before: &RecordStats, after: &RecordStats) -> Self {
        Self { start: before.count, end: after.count, bytes: after.len - before.len }
    }

    /// Returns the positions of the records in the batch, counted from 0.
    #[must_use]
    pub const fn positions(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// Returns the number of records.
    #[must_use]
    pub const fn len(&self) -> usize {
        (self.end - self.start) as usize
    }

    /// Returns `true` if no record was appended.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Returns the number of bytes that the records add to the batch, before compression.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }
}

/// Why a record does not fit into a batch: the bytes needed, the bytes left, and the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Full {
    /// The number of bytes that the record would add.
    pub needed: usize,
    /// The number of bytes left: [`KafkaBatch::room`](crate::KafkaBatch::room).
    pub available: usize,
    /// The first limit that was reached.
    pub reason: FullReason,
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { needed, available, reason } = self;
        write!(f, "the record needs {needed} bytes and {available} are left: {reason}")
    }
}

/// The limit that a batch has reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FullReason {
    /// The soft limit, [`BatchOptions::batch_size`](super::BatchOptions::batch_size).
    BatchSize {
        /// The limit in bytes.
        limit: usize,
    },
    /// The hard limit, [`BatchOptions::max_message_bytes`](super::BatchOptions::max_message_bytes).
    MaxMessageBytes {
        /// The limit in bytes.
        limit: usize,
    },
    /// The number of records, [`BatchOptions::max_records`](super::BatchOptions::max_records).
    MaxRecords {
        /// The limit in records.
        limit: u32,
    },
    /// The format itself: the length of a batch is a signed 32-bit number.
    Format {
        /// The limit in bytes.
        limit: usize,
    },
    /// The caller closed the batch ([`KafkaBatch::close`](crate::KafkaBatch::close)).
    Closed,
}

impl fmt::Display for FullReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BatchSize { limit } => write!(f, "a batch may have {limit} bytes (batch.size)"),
            Self::MaxMessageBytes { limit } => {
                write!(
                    f,
                    "a batch is sent with at most {limit} bytes (max_message_bytes, for the broker's message.max.bytes)"
                )
            }
            Self::MaxRecords { limit } => write!(f, "a batch may have {limit} records (max_records)"),
            Self::Format { limit } => write!(f, "the format allows {limit} bytes"),
            Self::Closed => f.write_str("the batch is closed"),
        }
    }
}

/// Why a batch cannot take a record at all.
///
/// Being full is not among the reasons ([`Append::Full`]): a new batch with the same settings would not take the record
/// either, except after [`RoutesElsewhere`](Self::RoutesElsewhere) and [`InvalidOffset`](Self::InvalidOffset). The batch is
/// unchanged and still open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The record has headers, which need magic 2.
    #[error("{magic} cannot carry the record's {}: remove them, or do not pin the format", Counted(*headers, "header"))]
    Headers {
        /// The batch's format.
        magic: Magic,
        /// The number of headers of the record.
        headers: usize,
    },
    /// The record exceeds the broker's limit even alone in a batch.
    ///
    /// Reported without compression only; with compression, [`KafkaBatch::seal`](crate::KafkaBatch::seal) reports it.
    #[error(
        "the record alone makes a batch of {size} bytes, and max_message_bytes is {limit}: shorten it, compress the batch, or \
         raise max_message_bytes and the broker's message.max.bytes"
    )]
    TooLarge {
        /// The size in bytes of a batch with this record alone, header included.
        size: usize,
        /// The hard limit in bytes.
        limit: usize,
    },
    /// The record exceeds what a batch of 2³¹ − 1 bytes, which is the most that the format allows, has room for.
    #[error("the record has {size} bytes, and a batch has room for 2147483586: shorten it")]
    TooLong {
        /// The size of the encoded record in bytes.
        size: u64,
    },
    /// The batch would exceed the 2³¹ − 1 bytes that the format allows. Only a [conversion](crate::KafkaBatch::convert) reports
    /// it: a batch to which records are appended is [full](Append::Full).
    #[error("the batch would have {size} bytes in this format, which allows 2147483647: split it")]
    BatchTooLong {
        /// The size in bytes that the batch would have at this record.
        size: u64,
    },
    /// The record's key routes to another partition than the keys before it
    /// ([`route_by_key`](super::BatchOptions::route_by_key)).
    #[error(
        "the record's key routes to partition {key}, and this batch to partition {batch}: use one batch per partition"
    )]
    RoutesElsewhere {
        /// The partition of the record's key.
        key: i32,
        /// The partition of the batch.
        batch: i32,
    },
    /// The offset given to [`KafkaBatch::append_at`](crate::KafkaBatch::append_at) is not greater than the last one, or is
    /// greater than 2³¹ − 2.
    #[error("relative offset {found} cannot be used: choose one from {next} to 2147483646")]
    InvalidOffset {
        /// The offset given.
        found: u32,
        /// The lowest offset that is free.
        next: u32,
    },
    /// A message could not be encoded.
    #[error(transparent)]
    Message(#[from] EncodeError),
}

/// Why appending several records stopped at one of them.
///
/// The caller still has the refused record: at `position`, or, after [`KafkaBatch::fill_from`](crate::KafkaBatch::fill_from),
/// in the iterator.
#[derive(Debug)]
#[non_exhaustive]
pub enum ExtendError {
    /// The batch is full.
    Overflow(BatchOverflow),
    /// A record cannot be in the batch: no batch with these settings can hold it, or its key routes to another partition.
    #[non_exhaustive]
    Failed {
        /// The position of the record among those passed, counted from 0.
        position: usize,
        /// The reason.
        error: AppendError,
        /// The records before it, which stay in the batch; empty after `try_extend`, which keeps none.
        appended: Appended,
    },
}

/// The batch was full before all the records were appended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the batch is full at position {position}: {full}")]
#[non_exhaustive]
pub struct BatchOverflow {
    /// The position of the refused record among those passed, counted from 0.
    pub position: usize,
    /// The bytes needed, the bytes left, and the limit.
    pub full: Full,
    /// The records before it, which stay in the batch; empty after `try_extend`, which keeps none.
    pub appended: Appended,
}

impl fmt::Display for ExtendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overflow(overflow) => overflow.fmt(f),
            Self::Failed { position, error, .. } => write!(f, "record {position} cannot be appended: {error}"),
        }
    }
}

impl Error for ExtendError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Overflow(overflow) => overflow.source(),
            Self::Failed { error, .. } => error.source(),
        }
    }
}

impl ExtendError {
    /// Returns the position of the refused record among those passed, counted from 0.
    #[must_use]
    pub const fn position(&self) -> usize {
        match self {
            Self::Overflow(overflow) => overflow.position,
            Self::Failed { position, .. } => *position,
        }
    }
}

/// How many records [`KafkaBatch::fill_from`](crate::KafkaBatch::fill_from) has appended, and whether the batch is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "it says whether the batch is full or the iterator has ended"]
pub struct FillOutcome {
    /// The records that were appended.
    pub appended: Appended,
    /// Why the next record is still in the iterator; `None` if the iterator has ended.
    pub full: Option<Full>,
}

impl FillOutcome {
    /// Returns the records that were appended, or an error if there was another one, which was not.
    pub(super) fn all_appended(self) -> Result<Appended, ExtendError> {
        let Self { appended, full } = self;
        match full {
            None => Ok(appended),
            Some(full) => Err(ExtendError::Overflow(BatchOverflow { position: appended.len(), full, appended })),
        }
    }
}
