//! Late magic: a batch that was filled before its broker was known, re-encoded for what the broker speaks.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::error::Error;
use core::fmt;

use super::{AppendError, KafkaBatch};
use crate::compression::{Codec, Compression};
use crate::headers::HeaderList;
use crate::magic::Magic;
use crate::record::Record;
use crate::time::Timestamp;

/// Something of a batch that an older format cannot carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Loss {
    /// The codec: zstd came with magic 2. The records would go uncompressed.
    Compression {
        /// The batch's codec.
        codec: Codec,
    },
    /// The delete horizon (KIP-534): it came with magic 2.
    DeleteHorizon {
        /// The batch's.
        horizon: Timestamp,
    },
    /// The headers of one record: they came with magic 2.
    Headers {
        /// The record's position in the batch.
        position: usize,
        /// How many headers it has.
        count: usize,
    },
    /// The timestamp of one record: they came with magic 1.
    Timestamp {
        /// The record's position in the batch.
        position: usize,
        /// Its timestamp.
        timestamp: Timestamp,
    },
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compression { codec } => write!(f, "the codec {codec}"),
            Self::DeleteHorizon { horizon } => write!(f, "the delete horizon ({horizon})"),
            Self::Headers { position, count: 1 } => write!(f, "the header of record {position}"),
            Self::Headers { position, count } => write!(f, "the {count} headers of record {position}"),
            Self::Timestamp { position, timestamp } => write!(f, "the timestamp of record {position} ({timestamp})"),
        }
    }
}

/// What a conversion to an older format may lose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DownConversion {
    /// Nothing at all.
    Lossless,
    /// Timestamps, which magic 0 has not: as every client that writes it does.
    #[default]
    DropTimestamps,
    /// Whatever the format cannot carry, headers included.
    DropAll,
}

impl DownConversion {
    const fn allows(self, loss: &Loss) -> bool {
        match self {
            Self::Lossless => false,
            Self::DropTimestamps => matches!(loss, Loss::Timestamp { .. }),
            Self::DropAll => true,
        }
    }
}

/// What an older format cannot carry of a batch, and may not be lost ([`DownConversion`]).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LossyConversion {
    /// The older format.
    pub magic: Magic,
    /// All that would be lost and may not be; never empty.
    pub losses: Vec<Loss>,
}

impl fmt::Display for LossyConversion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot carry ", self.magic)?;
        match &self.losses[..] {
            [] => f.write_str("what is in this batch")?,
            [loss] => write!(f, "{loss}")?,
            [first, others @ ..] => write!(f, "{first} (and {} more)", others.len())?,
        }
        f.write_str("; the broker is too old for it")
    }
}

impl Error for LossyConversion {}

/// A batch that could not be converted. It comes back as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConvertError {
    /// More would be lost than is allowed.
    #[error("{refused}")]
    Losses {
        /// What would be lost.
        refused: LossyConversion,
        /// The batch.
        batch: Box<KafkaBatch>,
    },
    /// In this format the batch would be longer than the format can say (2³¹ − 1 bytes): split it first.
    #[error("the batch has no room in {magic}: {reason}; split it first")]
    TooLong {
        /// The format asked for.
        magic: Magic,
        /// Why.
        reason: AppendError,
        /// The batch.
        batch: Box<KafkaBatch>,
    },
}

impl KafkaBatch {
    /// All that would be lost if this batch were written in `magic`, and where. Nothing, towards magic 2.
    pub fn losses_at(&self, magic: Magic) -> impl Iterator<Item = Loss> + '_ {
        let codec = self.options.compression.codec();
        let compression = (!codec.fits_magic(magic)).then_some(Loss::Compression { codec });
        let records = self.records().enumerate().flat_map(move |(position, record)| {
            let count = record.headers.len();
            let headers = (count > 0 && !magic.has_headers()).then_some(Loss::Headers { position, count });
            let timestamp = record.timestamp;
            let lost = timestamp != Timestamp::NO_TIMESTAMP && !magic.has_timestamps();
            headers.into_iter().chain(lost.then_some(Loss::Timestamp { position, timestamp }))
        });
        let horizon = self.options.delete_horizon.filter(|_| magic != Magic::V2);
        let horizon = horizon.map(|horizon| Loss::DeleteHorizon { horizon });
        compression.into_iter().chain(horizon).chain(records)
    }

    /// The same records in another format, order and offsets kept. For a batch that is in this format already, itself.
    ///
    /// The limits are not looked at: records take more room in an older format, and sealing tells whether the broker
    /// will have them.
    ///
    /// # Errors
    /// More would be lost than `allowed`; or the result could not be said in that format. The batch is in the error.
    pub fn convert(self, magic: Magic, allowed: DownConversion) -> Result<Self, ConvertError> {
        if magic == self.magic {
            return Ok(self);
        }
        let losses: Vec<Loss> = self.losses_at(magic).filter(|loss| !allowed.allows(loss)).collect();
        if !losses.is_empty() {
            let refused = LossyConversion { magic, losses };
            return Err(ConvertError::Losses { refused, batch: Box::new(self) });
        }
        let mut options = self.options.clone();
        if !options.compression.codec().fits_magic(magic) {
            options.compression = Compression::None;
        }
        options.delete_horizon = options.delete_horizon.filter(|_| magic == Magic::V2);
        let mut converted = Self::empty(options, magic, self.now);
        let carried = self.records().try_for_each(|view| {
            let headers = if magic.has_headers() { view.headers } else { HeaderList::EMPTY };
            converted.carry_over(&Record { headers, ..Record::from(view) }, view.offset as u32)
        });
        if let Err(reason) = carried {
            return Err(ConvertError::TooLong { magic, reason, batch: Box::new(self) });
        }
        converted.closed = self.closed;
        Ok(converted)
    }
}
