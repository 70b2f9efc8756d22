//! What filling a batch answers: taken, full and why, or never.

use alloc::vec::Vec;
use core::fmt;

use crate::magic::Magic;
use crate::message::EncodeError;
use crate::time::Timestamp;

/// What [`KafkaBatch::append`](crate::KafkaBatch::append) answers: being full is not an error, but it is not to be overlooked either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a full batch did not take the record"]
pub enum Append {
    /// The record is in the batch.
    Taken(RecordMetadata),
    /// The batch has no room for this record, and is what it was. A smaller record may still fit.
    Full(Full),
}

impl Append {
    /// The metadata of a record that was taken; `None` where the batch was full, as aiokafka's `BatchBuilder` has it.
    #[must_use]
    pub const fn taken(self) -> Option<RecordMetadata> {
        match self {
            Self::Taken(metadata) => Some(metadata),
            Self::Full(_) => None,
        }
    }

    /// Whether the record was refused for want of room.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        matches!(self, Self::Full(_))
    }
}

/// What is known of a record as soon as it is in a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordMetadata {
    /// Its position in the batch, which is its offset relative to the batch's base offset: 0, 1, 2 …
    pub position: u32,
    /// Its encoded size in bytes, before compression.
    pub size: usize,
    /// The timestamp that it carries: its own, or the batch's; [`Timestamp::NO_TIMESTAMP`] in magic 0.
    pub timestamp: Timestamp,
    /// Its checksum: only messages of magic 0 and 1 have one of their own.
    pub crc: Option<u32>,
}

/// A batch without room for a record: how much was needed, how much there was, and which limit it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Full {
    /// Bytes that the record would have added.
    pub needed: usize,
    /// Bytes that were left: [`KafkaBatch::room`](crate::KafkaBatch::room).
    pub available: usize,
    /// The limit that was met first.
    pub reason: FullReason,
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { needed, available, reason } = self;
        write!(f, "the record needs {needed} bytes and {available} are left: {reason}")
    }
}

/// Why a batch takes no further record.
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
    /// The format itself: a batch's length is a 32-bit number on the wire.
    Format {
        /// The limit in bytes.
        limit: usize,
    },
    /// The caller closed it ([`KafkaBatch::close`](crate::KafkaBatch::close)).
    Closed,
}

impl fmt::Display for FullReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BatchSize { limit } => write!(f, "the batch may have {limit} bytes (batch.size)"),
            Self::MaxMessageBytes { limit } => write!(f, "the broker takes {limit} bytes (message.max.bytes)"),
            Self::MaxRecords { limit } => write!(f, "the batch may have {limit} records"),
            Self::Format { limit } => write!(f, "the format ends at {limit} bytes"),
            Self::Closed => f.write_str("the batch is closed"),
        }
    }
}

/// The batch cannot take a record, and being full is not the reason: a new batch with the same settings would not take it
/// either, unless its key may route it elsewhere. The batch is byte for byte what it was, and still open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// Headers came with magic 2.
    #[error("{magic} cannot carry the record's {headers} headers: drop them, or let the batch be magic 2")]
    Headers {
        /// The batch's format.
        magic: Magic,
        /// How many headers the record has.
        headers: usize,
    },
    /// Even alone in a batch it would be over the broker's limit. Without compression only: with it, sealing tells.
    #[error("the record alone makes a batch of {size} bytes, and the broker takes {limit} (message.max.bytes)")]
    TooLarge {
        /// Bytes of a batch with this record alone, header included.
        size: usize,
        /// The hard limit in bytes.
        limit: usize,
    },
    /// Some length of the record is beyond the 2³¹ − 1 bytes that the format can say.
    #[error("the record has {size} bytes, and the format's lengths end at 2147483647")]
    TooLong {
        /// Bytes of the encoded record.
        size: u64,
    },
    /// Its key routes to another partition than the keys before it ([`route_by_key`](super::BatchOptions::route_by_key)).
    #[error("the record's key routes to partition {key}, and this batch goes to partition {batch}")]
    RoutesElsewhere {
        /// The partition of this record's key.
        key: i32,
        /// The partition of the batch.
        batch: i32,
    },
    /// [`KafkaBatch::append_at`](crate::KafkaBatch::append_at) was given an offset that does not come after the last one, or
    /// is past the last that a batch of 2³¹ − 1 records has.
    #[error("relative offset {found} cannot be given: {next} to 2147483646 are free")]
    OffsetTaken {
        /// The offset asked for.
        found: u32,
        /// The first offset that is free.
        next: u32,
    },
    /// A message could not be turned into a value.
    #[error(transparent)]
    Message(#[from] EncodeError),
}

/// Appending several records stopped at one of them.
///
/// The records themselves were borrowed, so the refused one is still the caller's: at `position`, or, with
/// [`KafkaBatch::fill_from`](crate::KafkaBatch::fill_from), in the iterator.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExtendError {
    /// The batch was full.
    #[error(transparent)]
    Overflow(BatchOverflow),
    /// A record can go into no such batch.
    #[error("at position {position}: {error}")]
    #[non_exhaustive]
    Failed {
        /// Its position among those handed in, counted from 0.
        position: usize,
        /// Why.
        error: AppendError,
        /// Metadata of those before it, which stay in the batch; empty from `try_extend`, where none stays.
        taken: Vec<RecordMetadata>,
    },
}

/// The batch was full in the middle of several records: at which one, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the batch is full at position {position}: {full}")]
#[non_exhaustive]
pub struct BatchOverflow {
    /// The position of the refused record among those handed in, counted from 0: the first of the next batch.
    pub position: usize,
    /// Bytes needed, bytes left, and the limit.
    pub full: Full,
    /// Metadata of those before it, which stay in the batch; empty from `try_extend`, where none stays.
    pub taken: Vec<RecordMetadata>,
}

impl ExtendError {
    /// The position of the refused record among those handed in, counted from 0.
    #[must_use]
    pub const fn position(&self) -> usize {
        match self {
            Self::Overflow(overflow) => overflow.position,
            Self::Failed { position, .. } => *position,
        }
    }
}

/// What [`KafkaBatch::fill_from`](crate::KafkaBatch::fill_from) did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "it tells whether the batch is full or the records are at an end"]
pub struct FillOutcome {
    /// Metadata of the records that were taken.
    pub taken: Vec<RecordMetadata>,
    /// Why the next record was left in the iterator; `None` where the iterator is at its end.
    pub full: Option<Full>,
}
