//! Writes the batches as a table, with a line for each batch.

use std::io::{self, Write};

use kafka_batch_core::Timestamp;
use kafka_batch_core::decode::{RecordBatch, TimestampType};

use super::{Out, Show, control, heading};
use crate::filter::Filter;
use crate::scan::{Found, Summary};
use crate::statistics::Statistics;
use crate::time::utc;

#[derive(Debug, Default)]
pub(super) struct Table {
    files: usize,
}

impl Show for Table {
    fn begin_file(&mut self, file: &str, out: &mut Out) -> io::Result<()> {
        heading(file, self.files == 0, out)?;
        self.files += 1;
        let [position, magic, codec, offsets, records, bytes] =
            ["position", "magic", "codec", "offsets", "records", "bytes"];
        writeln!(
            out,
            "{position:>10}  {magic:>5}  {codec:6}  {offsets:>19}  {records:>7}  {bytes:>9}  {:18}  {:23}  {:>10}  kind",
            "id/epoch/sequence", "first time (UTC)", "last time",
        )
    }

    fn batch(&mut self, _: &str, found: &Found<'_>, _: &Filter, out: &mut Out) -> io::Result<()> {
        let Found { batch, position, summary, .. } = found;
        let size = position.end - position.start;
        let (first, last) = times(summary);
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".into());
        let row = format!(
            "{:>10}  {:>5}  {:6}  {:>19}  {:>7}  {:>9}  {:18}  {first:23}  {last:>10}  {}",
            position.start,
            or_none(batch.map(|batch| batch.magic().id().to_string())),
            or_none(batch.map(|batch| batch.codec().to_string())),
            or_none(batch.and_then(|batch| offsets(batch, summary))),
            summary.records,
            size,
            or_none(batch.and_then(producer)),
            kind(found),
        );
        writeln!(out, "{}", row.trim_end())
    }

    fn end_file(&mut self, statistics: &Statistics, out: &mut Out) -> io::Result<()> {
        let Statistics { batches, records, bytes, damaged_batches, damaged_records, .. } = statistics;
        write!(out, "batches: {batches}, records: {records}, bytes: {bytes}")?;
        if *damaged_batches > 0 || *damaged_records > 0 {
            write!(out, ", damaged batches: {damaged_batches}, damaged records: {damaged_records}")?;
        }
        writeln!(out)
    }
}

/// Returns the first and last offset: those of the header if there is one, since compaction keeps them.
fn offsets(batch: &RecordBatch<'_>, summary: &Summary) -> Option<String> {
    let first_and_last = match batch.header() {
        Some(header) => Some((header.base_offset, header.base_offset.saturating_add(header.last_offset_delta.into()))),
        None => summary.offsets,
    };
    first_and_last.map(|(first, last)| format!("{first}..{last}"))
}

/// Returns producer id, epoch and first sequence number.
pub(super) fn producer(batch: &RecordBatch<'_>) -> Option<String> {
    let header = batch.header().filter(|header| header.producer_id >= 0)?;
    Some(format!("{}/{}/{}", header.producer_id, header.producer_epoch, header.base_sequence))
}

/// Returns the unusual properties of a batch.
fn kind(found: &Found<'_>) -> String {
    let mut kinds = Vec::new();
    if found.summary.is_damaged {
        kinds.push("damaged".into());
    }
    if found.summary.damaged_records > 0 {
        kinds.push(format!("damaged records: {}", found.summary.damaged_records));
    }
    if found.summary.has_odd_offsets {
        kinds.push("odd offsets".into());
    }
    let Some(batch) = found.batch else { return kinds.join(", ") };
    if batch.is_transactional() {
        kinds.push("transactional".into());
    }
    if batch.is_control() {
        // A broker writes one marker in a batch.
        let markers = found.records.into_iter().flat_map(|records| records.iter_lenient()).flatten().take(10);
        kinds.extend(markers.map(|record| format!("control: {}", control(&record))));
    }
    if batch.timestamp_type() == Some(TimestampType::LogAppendTime) {
        kinds.push("append time".into());
    }
    if let Some(horizon) = batch.delete_horizon() {
        kinds.push(format!("deletable after {}", utc(horizon)));
    }
    kinds.join(", ")
}

/// Returns the earliest timestamp, and the latest one relative to it: records need not be in the order of timestamps.
fn times(summary: &Summary) -> (String, String) {
    let shown = |millis| utc(Timestamp::from_millis(millis));
    match summary.times {
        Some((first, last)) if first == last => (shown(first), "the same".into()),
        Some((first, last)) => {
            let later = i128::from(last) - i128::from(first);
            (shown(first), format!("+{}.{:03} s", later / 1_000, later % 1_000))
        }
        None => ("-".into(), "-".into()),
    }
}
