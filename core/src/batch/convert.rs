//! Conversion to an older format: for a batch that was filled before the broker's version was known.

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

/// A property of a batch that an older format cannot carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Loss {
    /// The codec: zstd needs magic 2 (KIP-110). The records are sent uncompressed.
    Compression {
        /// The batch's codec.
        codec: Codec,
    },
    /// The delete horizon, which needs magic 2 (KIP-534).
    DeleteHorizon {
        /// The delete horizon of the batch.
        horizon: Timestamp,
    },
    /// The headers of one record, which need magic 2 (KIP-82).
    Headers {
        /// The record's position in the batch.
        position: usize,
        /// The number of headers.
        count: usize,
    },
    /// The timestamp of one record, which needs magic 1 (KIP-32).
    Timestamp {
        /// The record's position in the batch.
        position: usize,
        /// The timestamp.
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
#[non_exhaustive]
pub enum DownConversion {
    /// Nothing.
    Lossless,
    /// Timestamps, which magic 0 cannot carry. Every client that writes magic 0 drops them.
    #[default]
    DropTimestamps,
    /// Everything that the format cannot carry, headers included.
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

/// The properties that a conversion to an older format would lose, against [`DownConversion`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LossyConversion {
    /// The older format.
    pub magic: Magic,
    /// The properties that would be lost although that is not allowed; never empty.
    pub losses: Vec<Loss>,
}

impl fmt::Display for LossyConversion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot carry ", self.magic)?;
        match &self.losses[..] {
            [] => f.write_str("this batch")?,
            [loss] => write!(f, "{loss}")?,
            [first, others @ ..] => write!(f, "{first} (and {} more)", others.len())?,
        }
        f.write_str("; remove it, allow the loss (DownConversion), or send to a newer broker")
    }
}

impl Error for LossyConversion {}

/// Why a batch could not be converted. The error has the batch, unchanged.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConvertError {
    /// The conversion would lose more than is allowed.
    Losses {
        /// The properties that would be lost.
        refused: LossyConversion,
        /// The batch.
        batch: Box<KafkaBatch>,
    },
    /// In this format the batch would exceed the 2³¹ − 1 bytes that the format allows.
    TooLong {
        /// The format to convert to.
        magic: Magic,
        /// The reason.
        reason: AppendError,
        /// The batch.
        batch: Box<KafkaBatch>,
    },
}

impl fmt::Display for ConvertError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Losses { refused, .. } => refused.fmt(f),
            Self::TooLong { magic, reason, .. } => {
                write!(f, "the batch cannot be converted to {magic}: {reason}")
            }
        }
    }
}

impl Error for ConvertError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Losses { refused, .. } => refused.source(),
            Self::TooLong { reason, .. } => reason.source(),
        }
    }
}

impl KafkaBatch {
    /// Returns everything that this batch would lose if it were converted to `magic`. Nothing is lost by magic 2.
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

    /// Converts the batch to another format. Order and offsets are kept; a batch in this format is returned unchanged.
    ///
    /// The configured limits are not checked, although records take more bytes in an older format:
    /// [`seal`](Self::seal) checks the broker's limit.
    ///
    /// # Errors
    /// The conversion would lose more than `allowed`, or the result exceeds the format's limit. The error has the batch.
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
        options.delete_horizon = None; // from magic 2 it is lost, and the older formats cannot have one
        let mut converted = Self::empty(options, magic, self.now);
        let appended = self.records().try_for_each(|view| {
            let headers = if magic.has_headers() { view.headers } else { HeaderList::EMPTY };
            converted.append_unlimited(&Record { headers, ..Record::from(view) }, view.offset as u32)
        });
        if let Err(reason) = appended {
            return Err(ConvertError::TooLong { magic, reason, batch: Box::new(self) });
        }
        converted.closed = self.closed;
        Ok(converted)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec;

    use super::*;
    use crate::batch::BatchOptions;
    use crate::batch::options::MAX_BATCH_LEN;
    use crate::magic::MagicChoice;

    /// The memory of the large values is never touched, so this costs nothing.
    #[test]
    #[cfg(target_pointer_width = "64")]
    fn a_batch_that_is_too_long_for_the_format_is_to_be_split_and_a_record_to_be_shortened() {
        let options = BatchOptions::default().magic(MagicChoice::Pinned(Magic::V2));
        let batch = || options.clone().build(0).unwrap();
        let overhead = batch().cost(Record::new("")).unwrap() + 4; // the length and that of the value have 5 bytes, not 1
        let value = vec![0; MAX_BATCH_LEN];
        let alone = |len: usize| Record::new(&value[..len - overhead - 4]);
        let most = MAX_BATCH_LEN - 61;

        let mut large = batch();
        assert_eq!(large.cost(alone(most)).unwrap(), most);
        assert!(large.append(Record::new("x")).unwrap().appended().is_some());
        let error = large.append_unlimited(&alone(most), 1).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the batch would have 2147483655 bytes in this format, which allows 2147483647: split it"
        );
        let error = batch().append(alone(most + 1)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the record has 2147483587 bytes, and a batch has room for 2147483586: shorten it"
        );
    }

    #[test]
    fn a_delete_horizon_is_lost_by_older_formats_and_reported() {
        let horizon = Timestamp::from_millis(9);
        let mut batch = BatchOptions::default().delete_horizon(horizon).build(0).unwrap();
        batch.extend([Record::new("value").timestamp(7)]).unwrap();
        assert_eq!(batch.losses_at(Magic::V2).count(), 0);
        assert_eq!(batch.losses_at(Magic::V1).collect::<Vec<_>>(), [Loss::DeleteHorizon { horizon }]);
        let allowed = DownConversion::DropAll;
        let converted = batch.convert(Magic::V1, allowed).unwrap();
        assert_eq!(converted.records().map(|record| record.timestamp.millis()).collect::<Vec<_>>(), [7]);
        // Its settings fit its format again, so that the next batch can be built from them.
        assert!(converted.options().clone().build(0).is_ok());
        let back = converted.convert(Magic::V2, allowed).unwrap();
        let sealed = back.seal().unwrap().without_producer_id();
        let read = crate::batch::decode::RecordBatches::new(sealed.bytes()).next().unwrap().unwrap();
        assert_eq!(read.delete_horizon(), None);
    }
}
