//! What a batch says to a record, in a form that can be compared.

use crate::batch::{Append, AppendError, Full, FullReason};
use crate::magic::Magic;
use crate::time::Timestamp;

/// What a batch answers to a record: the outcome of [`KafkaBatch::append`](crate::KafkaBatch::append), so that what a
/// [`Model`](super::Model) predicted can be compared with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppendOutcome {
    /// [`Append::Taken`].
    Taken {
        /// Its position, or the offset that it was given.
        position: u32,
        /// Its encoded size in bytes.
        size: usize,
        /// The timestamp that it carries.
        timestamp: Timestamp,
        /// Whether it has a checksum of its own.
        has_crc: bool,
    },
    /// [`Append::Full`].
    Full {
        /// Bytes needed.
        needed: usize,
        /// Bytes left.
        available: usize,
        /// The limit that was met.
        reason: FullReason,
    },
    /// [`AppendError::Headers`].
    Headers {
        /// The batch's format.
        magic: Magic,
        /// How many headers the record has.
        headers: usize,
    },
    /// [`AppendError::TooLarge`].
    TooLarge {
        /// Bytes of a batch with the record alone.
        size: usize,
        /// The hard limit.
        limit: usize,
    },
    /// [`AppendError::TooLong`].
    TooLong {
        /// Bytes of the encoded record.
        size: u64,
    },
    /// [`AppendError::RoutesElsewhere`].
    RoutesElsewhere {
        /// The partition of the record's key.
        key: i32,
        /// The partition of the batch.
        batch: i32,
    },
    /// [`AppendError::OffsetTaken`].
    OffsetTaken {
        /// The offset asked for.
        found: u32,
        /// The first offset that is free.
        next: u32,
    },
    /// [`AppendError::Message`], which no record gives.
    Message,
}

impl AppendOutcome {
    /// Whether the record went in.
    #[must_use]
    pub const fn is_taken(&self) -> bool {
        matches!(self, Self::Taken { .. })
    }

    /// Whether the batch had no room for it.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. })
    }

    pub(super) fn from_error(error: &AppendError) -> Self {
        match *error {
            AppendError::Headers { magic, headers } => Self::Headers { magic, headers },
            AppendError::TooLarge { size, limit } => Self::TooLarge { size, limit },
            AppendError::TooLong { size } => Self::TooLong { size },
            AppendError::RoutesElsewhere { key, batch } => Self::RoutesElsewhere { key, batch },
            AppendError::OffsetTaken { found, next } => Self::OffsetTaken { found, next },
            AppendError::Message(_) => Self::Message,
        }
    }
}

impl From<&Result<Append, AppendError>> for AppendOutcome {
    fn from(outcome: &Result<Append, AppendError>) -> Self {
        match outcome {
            Ok(Append::Taken(taken)) => Self::Taken {
                position: taken.position,
                size: taken.size,
                timestamp: taken.timestamp,
                has_crc: taken.crc.is_some(),
            },
            Ok(Append::Full(full)) => Self::from(*full),
            Err(error) => Self::from_error(error),
        }
    }
}

impl From<Full> for AppendOutcome {
    fn from(Full { needed, available, reason }: Full) -> Self {
        Self::Full { needed, available, reason }
    }
}
