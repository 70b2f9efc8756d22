//! The outcome of an append, in a form that can be compared.

use crate::batch::{Append, AppendError, Full, FullReason};
use crate::magic::Magic;
use crate::time::Timestamp;

/// The outcome of [`KafkaBatch::append`](crate::KafkaBatch::append), to be compared with the prediction of a
/// [`Model`](super::Model).
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppendOutcome {
    /// [`Append::Appended`].
    Appended {
        /// The record's offset relative to the batch.
        offset: u32,
        /// The record's encoded size in bytes.
        size: usize,
        /// The record's timestamp in the batch.
        timestamp: Timestamp,
        /// Whether the record has a checksum of its own.
        has_crc: bool,
    },
    /// [`Append::Full`].
    Full {
        /// The number of bytes needed.
        needed: usize,
        /// The number of bytes left.
        available: usize,
        /// The limit that was reached.
        reason: FullReason,
    },
    /// [`AppendError::Headers`].
    Headers {
        /// The batch's format.
        magic: Magic,
        /// The number of headers of the record.
        headers: usize,
    },
    /// [`AppendError::TooLarge`].
    TooLarge {
        /// The size in bytes of a batch with the record alone.
        size: usize,
        /// The hard limit in bytes.
        limit: usize,
    },
    /// [`AppendError::TooLong`].
    TooLong {
        /// The size of the encoded record in bytes.
        size: u64,
    },
    /// [`AppendError::BatchTooLong`].
    BatchTooLong {
        /// The size in bytes that the batch would have.
        size: u64,
    },
    /// [`AppendError::RoutesElsewhere`].
    RoutesElsewhere {
        /// The partition of the record's key.
        key: i32,
        /// The partition of the batch.
        batch: i32,
    },
    /// [`AppendError::InvalidOffset`].
    InvalidOffset {
        /// The offset given.
        found: u32,
        /// The lowest offset that is free.
        next: u32,
    },
    /// [`AppendError::Message`], which only messages cause.
    Message,
}

impl AppendOutcome {
    /// Returns `true` if the record is in the batch.
    #[must_use]
    pub const fn is_taken(&self) -> bool {
        matches!(self, Self::Appended { .. })
    }

    /// Returns `true` if the batch was full.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. })
    }

    pub(super) fn from_error(error: &AppendError) -> Self {
        match *error {
            AppendError::Headers { magic, headers } => Self::Headers { magic, headers },
            AppendError::TooLarge { size, limit } => Self::TooLarge { size, limit },
            AppendError::TooLong { size } => Self::TooLong { size },
            AppendError::BatchTooLong { size } => Self::BatchTooLong { size },
            AppendError::RoutesElsewhere { key, batch } => Self::RoutesElsewhere { key, batch },
            AppendError::InvalidOffset { found, next } => Self::InvalidOffset { found, next },
            AppendError::Message(_) => Self::Message,
        }
    }
}

impl From<&Result<Append, AppendError>> for AppendOutcome {
    fn from(outcome: &Result<Append, AppendError>) -> Self {
        match outcome {
            Ok(Append::Appended(appended)) => Self::Appended {
                offset: appended.offset,
                size: appended.size,
                timestamp: appended.timestamp,
                has_crc: appended.crc.is_some(),
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
