//! Goes through the batches of a file, and past what is damaged in it if that is asked for.

use std::io;
use std::ops::Range;

use kafka_batch::{
    DecodeError, DecodeErrorKind, DecodeErrorScope, IncompleteTail, RawRecordView, RecordBatch, RecordBatches, Records,
};

use crate::{Args, Show};

/// A batch, or the place of one that cannot be read.
pub(crate) struct Found<'a> {
    /// Where it is in the file. All that follows is in it if it is not known where the next batch begins.
    pub(crate) position: Range<usize>,
    /// `None` if not even its header is sound.
    pub(crate) batch: Option<&'a RecordBatch<'a>>,
    /// The records that can be read, as leniently as Java reads them.
    pub(crate) records: &'a [RawRecordView<'a>],
    /// What is wrong with it, and with its records, those included that only a lenient reader reads.
    pub(crate) damage: &'a [DecodeError],
    /// Whether its records have offsets that a producer or log cleaner would not give them. Readers take them as they are.
    pub(crate) has_odd_offsets: bool,
}

impl Found<'_> {
    /// How many of its records are damaged, those included that are shown all the same.
    pub(crate) fn damaged_records(&self) -> usize {
        self.damage.iter().filter(|error| matches!(error.scope, DecodeErrorScope::Record { .. })).count()
    }

    /// Whether the batch cannot be read, or not to its end.
    pub(crate) fn is_damaged(&self) -> bool {
        self.damaged_records() < self.damage.len()
    }
}

/// What is to be reported of a file.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) damage: Vec<DecodeError>,
    pub(crate) tail: Option<IncompleteTail>,
}

/// Shows the batches, and what is damaged among them. Without `--skip-damaged`, those before the first damage: a batch is
/// shown once all of it is known to be sound.
pub(crate) fn show_batches(bytes: &[u8], args: &Args, file: &str, show: &mut impl Show) -> io::Result<Outcome> {
    let mut outcome = Outcome::default();
    let mut batches = RecordBatches::new(bytes);
    for batch in &mut batches {
        // Three things can be wrong, each found no earlier than it has to be: the header or the checksum, then the
        // compressed bytes, then a record.
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

/// Views of the records that can be read: nothing of their keys and values is copied.
fn views<'r>(records: &'r Option<Records<'_>>) -> Vec<RawRecordView<'r>> {
    records.iter().flat_map(Records::iter_lenient).flatten().collect()
}

fn has_odd_offsets(records: &Records<'_>) -> bool {
    let valid = records.validate();
    valid.is_err_and(|error| matches!(error.kind, DecodeErrorKind::OffsetDelta { .. } | DecodeErrorKind::OffsetRange))
}
