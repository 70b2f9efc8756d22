//! A batch that is too large, taken apart; and a batch without the records that the broker disliked.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::seal::SealErrorReason;
use super::{KafkaBatch, SealedBatch};
use crate::compression::CompressError;
use crate::headers::Repr;
use crate::record::{Record, RecordView};

/// What [`KafkaBatch::split`] made of a batch: together, all its records, in order and each once.
#[derive(Debug)]
#[non_exhaustive]
pub struct Split {
    /// Batches within the limit, each with the position that its first record had in the whole.
    pub parts: Vec<(usize, SealedBatch)>,
    /// Records that are over the limit even alone: for each its position in the whole, and itself.
    pub too_large: Vec<RecordTooLarge>,
}

/// A record that is over the limit even alone in a batch.
#[derive(Debug)]
#[non_exhaustive]
pub struct RecordTooLarge {
    /// Its position in the batch that was split, counted from 0.
    pub position: usize,
    /// Bytes of a batch with it alone, as it would be sent.
    pub size: usize,
    /// That batch.
    pub batch: KafkaBatch,
}

/// A batch that could not be split. It comes back as it was.
#[derive(Debug, thiserror::Error)]
#[error("the batch of {} records could not be split: {reason}", batch.record_count())]
#[non_exhaustive]
pub struct SplitError {
    /// Why: a part could not be compressed.
    pub reason: CompressError,
    /// The batch: to be split with another codec.
    pub batch: Box<KafkaBatch>,
}

impl KafkaBatch {
    /// Takes the batch apart into sealed batches of at most `max_message_bytes` each: for one that was refused as too
    /// large, by [`seal`](Self::seal) or by the broker (MESSAGE_TOO_LARGE, KIP-126).
    ///
    /// Order, headers and timestamps stay. A batch of two records or more comes apart into two parts at least, each
    /// smaller than the whole, so splitting again and again ends. A record that cannot fit even alone keeps none of its
    /// neighbours back: it is named by its position. Offsets are counted anew in each part; a batch of one record stays as
    /// it is.
    ///
    /// # Errors
    /// The codec failed. The batch is in the error.
    pub fn split(self, max_message_bytes: usize) -> Result<Split, SplitError> {
        let mut split = Split { parts: Vec::new(), too_large: Vec::new() };
        // Pieces yet to be sealed, the next one last. Only the whole batch is halved unseen.
        let (mut pending, whole) = match self.record_count() {
            0 | 1 => (Vec::from([(0, self)]), None),
            _ => (Vec::from(self.halves(0)), Some(self)),
        };
        while let Some((position, piece)) = pending.pop() {
            match piece.try_seal(max_message_bytes) {
                Ok((wire, codec)) => split.parts.push((position, piece.sealed_as(wire, codec))),
                Err(SealErrorReason::Empty) => {}
                Err(SealErrorReason::Compression(reason)) => {
                    return Err(SplitError { reason, batch: Box::new(whole.unwrap_or(piece)) });
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

    /// The records that are not at these positions, in order, as a new batch: what is left to send when the broker
    /// disliked some (KIP-467). Positions that the batch does not have are of no effect.
    #[must_use]
    pub fn without(&self, positions: &[usize]) -> Self {
        let mut positions = Vec::from(positions);
        positions.sort_unstable();
        self.only(|position| positions.binary_search(&position).is_err())
    }

    /// Two batches of about the same number of bytes, the second first; at least one record in each.
    fn halves(&self, position: usize) -> [(usize, Self); 2] {
        let mut weight = 0;
        let past_half = self.records().position(|record| {
            weight += weigh(&record);
            weight * 2 > self.payload().len()
        });
        let middle = past_half.unwrap_or(self.record_count() / 2).clamp(1, self.record_count() - 1);
        [(position + middle, self.only(|at| at >= middle)), (position, self.only(|at| at < middle))]
    }

    fn only(&self, keep: impl Fn(usize) -> bool) -> Self {
        let mut batch = Self::empty(self.options.clone(), self.magic, self.now);
        // Timestamps stay counted from where they were counted before: so no record grows, and no part outgrows the
        // whole, however the timestamps jump.
        batch.progress.base_timestamp = self.progress.base_timestamp;
        let kept = self.records().enumerate().filter(|(position, _)| keep(*position));
        for (offset, (_, record)) in kept.enumerate() {
            batch
                .carry_over(&Record::from(record), offset as u32)
                .expect("fewer records, none of them larger than in the batch that they come from");
        }
        if batch.is_empty() {
            batch.progress.base_timestamp = self.options.delete_horizon; // nothing is left to be counted from elsewhere
        }
        batch.closed = self.closed;
        batch
    }
}

/// A record's encoded size, nearly: enough to find the middle of a batch.
fn weigh(record: &RecordView<'_>) -> usize {
    const LENGTHS_AND_DELTAS: usize = 8;
    let headers = match record.headers.0 {
        Repr::Encoded { bytes, .. } => bytes.len(),
        Repr::Slice(_) => 0, // records that are read from a batch have encoded headers
    };
    LENGTHS_AND_DELTAS + headers + record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len)
}

#[cfg(all(test, feature = "zstd"))]
mod tests {
    use crate::batch::{BatchOptions, KafkaBatch};
    use crate::compression::CompressError;
    use crate::magic::{Magic, MagicChoice};
    use crate::record::Record;
    use crate::time::Timestamp;

    #[test]
    fn a_batch_that_cannot_be_compressed_comes_back_whole() {
        for count in [1, 3] {
            let options = BatchOptions::default().magic(MagicChoice::Pinned(Magic::V1));
            let mut batch = KafkaBatch::with_options(options, Timestamp::from_millis(1)).unwrap();
            batch.extend((0..count).map(|_| Record::new("value"))).unwrap();
            // Nothing that options allow makes a codec fail: so one that the format cannot have, behind their back.
            batch.options.compression = "zstd".parse().unwrap();
            let before = batch.clone();
            let error = batch.split(10).unwrap_err();
            assert!(matches!(error.reason, CompressError::NeedsNewerMagic { .. }), "{error}");
            assert_eq!(*error.batch, before);
        }
    }
}
