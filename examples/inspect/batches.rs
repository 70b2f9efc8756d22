//! Iterates over the batches of a file, with `--skip-damaged` past damaged ones.

use std::io;
use std::ops::Range;

use kafka_batch::decode::{
    DecodeError, DecodeErrorKind, DecodeErrorScope, IncompleteTail, RawRecordView, RecordBatch, RecordBatches, Records,
};

use crate::{Args, Show};

/// A batch, or the position of one that cannot be decoded.
pub(crate) struct Found<'a> {
    /// The byte range in the file. It extends to the end if the start of the next batch is unknown.
    pub(crate) position: Range<usize>,
    /// `None` if the header is invalid.
    pub(crate) batch: Option<&'a RecordBatch<'a>>,
    /// The records that can be decoded, as leniently as by Java's reader.
    pub(crate) records: &'a [RawRecordView<'a>],
    /// The errors of the batch and its records, including records that only a lenient reader accepts.
    pub(crate) damage: &'a [DecodeError],
    /// Whether the records have offsets that no producer or log cleaner writes. Readers accept such offsets.
    pub(crate) has_odd_offsets: bool,
}

impl Found<'_> {
    /// Returns the number of damaged records, including those that are shown nevertheless.
    pub(crate) fn damaged_records(&self) -> usize {
        self.damage.iter().filter(|error| matches!(error.scope, DecodeErrorScope::Record { .. })).count()
    }

    /// Returns whether the batch, or the rest of it after some record, cannot be decoded.
    pub(crate) fn is_damaged(&self) -> bool {
        self.damaged_records() < self.damage.len()
    }
}

/// What to report about a file.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) damage: Vec<DecodeError>,
    pub(crate) tail: Option<IncompleteTail>,
}

/// Shows the batches, including damaged ones. Without `--skip-damaged`, shows only those before the first damage: a batch
/// is shown after all of it was decoded without an error.
pub(crate) fn show_batches(bytes: &[u8], args: &Args, file: &str, show: &mut impl Show) -> io::Result<Outcome> {
    let mut outcome = Outcome::default();
    let mut batches = RecordBatches::new(bytes);
    for batch in &mut batches {
        // Decoding is lazy and has three stages with errors: header and checksum, then decompression, then the
        // records.
        let mut damage = Vec::new();
        let (batch, records) = match batch {
            Ok(batch) => match batch.records(args.max_decompressed) {
                Ok(records) => (Some(batch), Some(records)),
                Err(error) => {
                    damage.push(error);
                    (Some(batch), None)
                }
            },
            Err(error) => {
                damage.push(error);
                (None, None)
            }
        };
        damage.extend(records.iter().flatten().filter_map(Result::err));
        if !damage.is_empty() && !args.skip_damaged {
            outcome.damage.extend(damage.into_iter().next());
            return Ok(outcome);
        }
        let position = match (&batch, damage.first()) {
            (Some(batch), _) => batch.position(),
            (None, Some(DecodeError { batch_at, scope: DecodeErrorScope::Batch { end }, .. })) => *batch_at..*end,
            (None, error) => error.map_or(0, |error| error.batch_at)..bytes.len(),
        };
        show.batch(
            file,
            &Found {
                position,
                batch: batch.as_ref(),
                records: &views(&records),
                damage: &damage,
                has_odd_offsets: records.as_ref().is_some_and(has_odd_offsets),
            },
        )?;
        outcome.damage.append(&mut damage);
    }
    outcome.tail = batches.tail();
    Ok(outcome)
}

/// Returns views of the records that can be decoded, without copying keys and values.
fn views<'r>(records: &'r Option<Records<'_>>) -> Vec<RawRecordView<'r>> {
    records.iter().flat_map(Records::iter_lenient).flatten().collect()
}

fn has_odd_offsets(records: &Records<'_>) -> bool {
    let valid = records.validate();
    valid.is_err_and(|error| {
        matches!(error.kind, DecodeErrorKind::OffsetDelta { .. } | DecodeErrorKind::OffsetRange { .. })
    })
}
