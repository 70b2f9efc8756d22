//! Splitting a batch that is too large, and removing records that the broker rejected.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::seal::SealErrorReason;
use super::{KafkaBatch, SealedBatch};
use crate::compression::CompressError;
use crate::counted::Counted;
use crate::headers::Repr;
use crate::record::{Record, RecordView};

/// The result of [`KafkaBatch::split`]. Parts and records that are too large together have every record exactly once.
#[derive(Debug)]
#[non_exhaustive]
pub struct Split {
    /// The batches within the limit, each with the position of its first record in the original batch.
    pub parts: Vec<(usize, SealedBatch)>,
    /// The records that exceed the limit even alone.
    pub too_large: Vec<RecordTooLarge>,
}

/// A record that exceeds the limit even alone in a batch.
#[derive(Debug)]
#[non_exhaustive]
pub struct RecordTooLarge {
    /// The record's position in the original batch, counted from 0.
    pub position: usize,
    /// The size in bytes of a batch with this record alone, as it would be sent.
    pub size: usize,
    /// A batch with this record alone.
    pub batch: KafkaBatch,
}

/// Why a batch could not be split: a part could not be compressed. The error has the batch, unchanged.
#[derive(Debug, thiserror::Error)]
#[error("the batch of {} could not be split: {reason}", Counted(batch.record_count(), "record"))]
#[non_exhaustive]
pub struct SplitError {
    /// The reason.
    pub reason: CompressError,
    /// The batch.
    pub batch: Box<KafkaBatch>,
}

impl KafkaBatch {
    /// Splits the batch into sealed batches of at most `max_message_bytes` each.
    ///
    /// For a batch that [`seal`](Self::seal) or the broker (MESSAGE_TOO_LARGE, KIP-126) refused as too large. Order, headers
    /// and timestamps are kept; offsets begin at 0 in each part. A batch of two or more records is split into at least two
    /// parts, each smaller than the original, so repeated splitting ends. A record that does not fit even alone is listed in
    /// [`Split::too_large`], and the others are sealed without it.
    ///
    /// # Errors
    /// The codec failed. The error has the batch.
    pub fn split(self, max_message_bytes: usize) -> Result<Split, SplitError> {
        let mut split = Split { parts: Vec::new(), too_large: Vec::new() };
        // A stack of pieces to seal. The original batch is halved without an attempt to seal it: the broker may have refused
        // it although it is within the limit that this producer knows (KAFKA-8350).
        let (mut pending, original) = match self.record_count() {
            0 | 1 => (Vec::from([(0, self)]), None),
            _ => (Vec::from(self.halves(0)), Some(self)),
        };
        while let Some((position, piece)) = pending.pop() {
            match piece.try_seal(max_message_bytes) {
                Ok((wire, codec)) => split.parts.push((position, piece.sealed_as(wire, codec))),
                Err(SealErrorReason::Empty) => {}
                Err(SealErrorReason::Compression(reason)) => {
                    return Err(SplitError { reason, batch: Box::new(original.unwrap_or(piece)) });
                }
                Err(SealErrorReason::TooLarge { .. }) if piece.record_count() > 1 => {
                    pending.extend(piece.halves(position));
                }
                Err(SealErrorReason::TooLarge { sealed: size, .. }) => {
                    split.too_large.push(RecordTooLarge { position, size, batch: piece });
                }
            }
        }
        Ok(split)
    }

    /// Returns a batch of the records that are not at these positions, in order: to send the others after a broker has
    /// rejected some (KIP-467). Positions beyond the end are ignored.
    #[must_use]
    pub fn without(&self, positions: &[usize]) -> Self {
        let mut positions = Vec::from(positions);
        positions.sort_unstable();
        self.filtered(|position| positions.binary_search(&position).is_err())
    }

    /// Returns two batches of about the same number of bytes, the second one first. Each has at least one record, if this
    /// batch has two.
    fn halves(&self, position: usize) -> [(usize, Self); 2] {
        let mut size = 0;
        let past_half = self.records().position(|record| {
            size += approximate_size(&record);
            size * 2 > self.payload().len()
        });
        let middle = past_half.unwrap_or(self.record_count() / 2).max(1);
        [(position + middle, self.filtered(|at| at >= middle)), (position, self.filtered(|at| at < middle))]
    }

    /// Returns a batch of the records whose position `keep` accepts.
    fn filtered(&self, keep: impl Fn(usize) -> bool) -> Self {
        let mut batch = Self::empty(self.options.clone(), self.magic, self.now);
        // The base timestamp is kept, so timestamp deltas and therefore records do not grow, whatever the timestamps are.
        batch.stats.base_timestamp = self.stats.base_timestamp;
        let kept = self.records().enumerate().filter(|(position, _)| keep(*position));
        for (offset, (_, record)) in kept.enumerate() {
            batch
                .append_unlimited(&Record::from(record), offset as u32)
                .expect("the records fitted into the original batch, and none is larger here");
        }
        if batch.is_empty() {
            batch.stats.base_timestamp = self.options.delete_horizon; // as in a new batch
        }
        batch.closed = self.closed;
        batch
    }
}

/// Returns roughly the encoded size of a record in bytes, to find the middle of a batch.
fn approximate_size(record: &RecordView<'_>) -> usize {
    const LENGTHS_AND_DELTAS: usize = 8;
    let headers = match record.headers.0 {
        Repr::Encoded { bytes, .. } => bytes.len(),
        Repr::Slice(_) => 0, // does not occur: headers read from a batch are encoded
    };
    LENGTHS_AND_DELTAS + headers + record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len)
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use crate::batch::{BatchOptions, KafkaBatch};
    #[cfg(feature = "zstd")]
    use crate::compression::CompressError;
    use crate::headers::Header;
    use crate::magic::{Magic, MagicChoice};
    use crate::record::Record;
    use crate::time::Timestamp;

    /// Returns the number of records of each part into which a batch of values with these lengths is split.
    fn parts(magic: Magic, lens: &[usize]) -> Vec<usize> {
        let options = BatchOptions::default().magic(MagicChoice::Pinned(magic));
        let mut batch = options.build(Timestamp::from_millis(1)).unwrap();
        batch.extend(lens.iter().map(|&len| Record::new(vec![7; len]))).unwrap();
        let split = batch.split(usize::MAX).unwrap();
        let mut position = 0;
        for (at, part) in &split.parts {
            assert_eq!(*at, position);
            position += part.record_count();
        }
        split.parts.iter().map(|(_, part)| part.record_count()).collect()
    }

    #[test]
    fn a_batch_is_split_in_the_middle_of_its_bytes() {
        assert_eq!(parts(Magic::V2, &[100; 6]), [3, 3]);
        assert_eq!(parts(Magic::V2, &[1, 1, 3, 3]), [2, 2], "half of the bytes are in the first part");
        assert_eq!(parts(Magic::V2, &[1_000, 10, 10, 10, 10]), [1, 4]);
        assert_eq!(parts(Magic::V2, &[10, 10, 10, 10, 1_000]), [4, 1]);
        assert_eq!(parts(Magic::V2, &[1, 1, 1, 1, 1, 30]), [4, 2]);
        // Fields around the value take most of these messages.
        assert_eq!(parts(Magic::V1, &[0; 10]), [5, 5]);
        assert_eq!(parts(Magic::V1, &[0; 3]), [1, 2]);
    }

    #[test]
    fn keys_and_headers_count_as_values_do() {
        let headers = [Header::new("name", "value of a header")];
        let mut batch = KafkaBatch::new(0);
        batch.extend([Record::new("").key("a key of 30 bytes, all letters").headers(&headers)]).unwrap();
        batch.extend([(); 3].map(|()| Record::new([7; 100]))).unwrap();
        let split = batch.split(usize::MAX).unwrap();
        assert_eq!(split.parts.iter().map(|(_, part)| part.record_count()).collect::<Vec<_>>(), [2, 2]);
    }

    #[cfg(feature = "zstd")]
    #[test]
    fn a_batch_that_cannot_be_compressed_is_returned_whole() {
        for count in [1, 3] {
            let options = BatchOptions::default().magic(MagicChoice::Pinned(Magic::V1));
            let mut batch = options.build(Timestamp::from_millis(1)).unwrap();
            batch.extend((0..count).map(|_| Record::new("value"))).unwrap();
            // No codec that the options accept fails. So set one that the format cannot carry, past their check.
            batch.options.compression = "zstd".parse().unwrap();
            let before = batch.clone();
            let error = batch.split(10).unwrap_err();
            assert!(matches!(error.reason, CompressError::NeedsNewerMagic { .. }), "{error}");
            assert_eq!(*error.batch, before);
        }
    }
}
