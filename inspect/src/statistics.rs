//! Statistics of the batches of a file.

use std::collections::BTreeMap;
use std::fmt;

use kafka_batch_core::Timestamp;
use kafka_batch_core::decode::{ControlType, RecordBatch, RecordView};
use serde::Serialize;

use crate::scan::Found;
use crate::time::utc;

/// How many open transactions are remembered. A log has few, but its bytes may be damaged or hostile.
const MAX_OPEN: usize = 65_536;

/// Sums over the batches of a file.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Statistics {
    pub(crate) batches: u64,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    /// The records after decompression.
    decompressed_bytes: u64,
    pub(crate) damaged_batches: u64,
    pub(crate) damaged_records: u64,
    first_offset: Option<i64>,
    last_offset: Option<i64>,
    /// Ranges of offsets between batches or in a batch that no record has.
    gaps: u64,
    missing_offsets: u64,
    first_timestamp: Option<i64>,
    last_timestamp: Option<i64>,
    /// By the name of the codec.
    codecs: BTreeMap<&'static str, Sums>,
    /// By the format's magic byte.
    magics: BTreeMap<i8, u64>,
    largest_batch_bytes: u64,
    largest_batch_records: u64,
    /// How many batches have so many bytes before compression: at the key 16384, from 16384 to 32767.
    fill: BTreeMap<u64, u64>,
    idempotent_batches: u64,
    transactional_batches: u64,
    commits: u64,
    aborts: u64,
    /// Producer ids with a transaction that has not ended, and the first offset of each.
    open_transactions: BTreeMap<i64, i64>,
    /// Whether only some of the records are counted: what the others have is not missing then.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    is_filtered: bool,
}

/// Sums over the batches of a codec.
#[derive(Debug, Default, Serialize)]
struct Sums {
    batches: u64,
    records: u64,
    bytes: u64,
    decompressed_bytes: u64,
}

impl Statistics {
    pub(crate) fn new(is_filtered: bool) -> Self {
        Self { is_filtered, ..Self::default() }
    }

    pub(crate) fn add(&mut self, found: &Found<'_>) {
        let summary = &found.summary;
        let size = found.position.end - found.position.start;
        self.batches += 1;
        self.bytes += size;
        self.records += summary.records;
        self.damaged_batches += u64::from(summary.is_damaged);
        self.damaged_records += summary.damaged_records;
        let Some(batch) = found.batch else { return };
        let decompressed = summary.decompressed as u64;
        self.decompressed_bytes += decompressed;
        let codec = self.codecs.entry(batch.codec().name()).or_default();
        codec.batches += 1;
        codec.records += summary.records;
        codec.bytes += size;
        codec.decompressed_bytes += decompressed;
        *self.magics.entry(batch.magic().id()).or_default() += 1;
        self.largest_batch_bytes = self.largest_batch_bytes.max(size);
        self.largest_batch_records = self.largest_batch_records.max(summary.records);
        if !batch.is_control() {
            *self.fill.entry(decompressed.checked_ilog2().map_or(0, |log| 1 << log)).or_default() += 1;
        }
        if let Some((first, last)) = summary.times {
            self.first_timestamp = Some(self.first_timestamp.map_or(first, |time| time.min(first)));
            self.last_timestamp = Some(self.last_timestamp.map_or(last, |time| time.max(last)));
        }
        self.offsets(batch, found);
        self.producer(batch, found);
    }

    fn offsets(&mut self, batch: &RecordBatch<'_>, found: &Found<'_>) {
        let decoded = found.summary.offsets;
        let first = batch.base_offset().or(decoded.map(|(first, _)| first));
        let last = batch.next_offset().map(|next| next.saturating_sub(1)).or(decoded.map(|(_, last)| last));
        let (Some(first), Some(last)) = (first, last) else { return };
        self.first_offset = self.first_offset.or(Some(first));
        // The first batch of a file is after no gap.
        let before = self.last_offset.map_or(0, |before| i128::from(first) - i128::from(before) - 1);
        let within = i128::from(last) - i128::from(first) + 1 - i128::from(found.summary.records);
        self.last_offset = Some(last);
        if self.is_filtered {
            return;
        }
        for missing in [before, if found.damage.is_empty() { within } else { 0 }] {
            if missing > 0 {
                self.gaps += 1;
                self.missing_offsets = self.missing_offsets.saturating_add(u64::try_from(missing).unwrap_or(u64::MAX));
            }
        }
    }

    fn producer(&mut self, batch: &RecordBatch<'_>, found: &Found<'_>) {
        let Some(header) = batch.header().filter(|header| header.producer_id >= 0) else { return };
        if batch.is_control() {
            let records = found.records.into_iter().flat_map(|records| records.iter_lenient()).flatten();
            for record in records.filter_map(|record| RecordView::try_from(record).ok()) {
                match record.control().map(|control| control.control_type) {
                    Ok(ControlType::Commit) => self.commits += 1,
                    Ok(ControlType::Abort) => self.aborts += 1,
                    _ => continue,
                }
                self.open_transactions.remove(&header.producer_id);
            }
            return;
        }
        self.idempotent_batches += 1;
        if batch.is_transactional() {
            self.transactional_batches += 1;
            if self.open_transactions.len() < MAX_OPEN {
                self.open_transactions.entry(header.producer_id).or_insert(header.base_offset);
            }
        }
    }
}

impl fmt::Display for Statistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let range = |first: Option<i64>, last: Option<i64>, shown: &dyn Fn(i64) -> String| match first.zip(last) {
            Some((first, last)) => format!("{} to {}", shown(first), shown(last)),
            None => "-".into(),
        };
        let average = |sum: u64, count: u64| if count == 0 { 0.0 } else { sum as f64 / count as f64 };
        let Self { batches, records, bytes, decompressed_bytes, .. } = self;
        writeln!(f, "batches       {batches}")?;
        writeln!(f, "records       {records}")?;
        writeln!(f, "bytes         {bytes}")?;
        let missing = match (self.gaps, self.missing_offsets) {
            (0, _) => String::new(),
            (gaps, missing) => format!(", {missing} of them missing in {gaps} gaps"),
        };
        writeln!(
            f,
            "offsets       {}{missing}",
            range(self.first_offset, self.last_offset, &|offset| offset.to_string())
        )?;
        let time = |millis| utc(Timestamp::from_millis(millis));
        writeln!(f, "times (UTC)   {}", range(self.first_timestamp, self.last_timestamp, &time))?;
        writeln!(
            f,
            "a batch       {:.1} records (largest {}), {:.0} bytes (largest {}), {:.0} before compression",
            average(*records, *batches),
            self.largest_batch_records,
            average(*bytes, *batches),
            self.largest_batch_bytes,
            average(*decompressed_bytes, *batches),
        )?;
        for (codec, sums) in &self.codecs {
            let Sums { batches, records, bytes, decompressed_bytes } = sums;
            writeln!(
                f,
                "codec {codec:7} {batches} batches, {records} records, {bytes} bytes of {decompressed_bytes} (ratio {:.3})",
                average(*bytes, *decompressed_bytes),
            )?;
        }
        for (magic, batches) in &self.magics {
            writeln!(f, "magic {magic}       {batches} batches")?;
        }
        writeln!(f, "fill, in bytes before compression")?;
        for (&least, count) in &self.fill {
            let most = if least == 0 { 0 } else { least * 2 - 1 };
            writeln!(f, "{least:>12} to {most:<10} {count} batches")?;
        }
        writeln!(f, "idempotent    {} batches", self.idempotent_batches)?;
        writeln!(
            f,
            "transactions  {} batches, {} committed, {} aborted, {} open at the end",
            self.transactional_batches,
            self.commits,
            self.aborts,
            self.open_transactions.len()
        )?;
        for (producer_id, offset) in self.open_transactions.iter().take(20) {
            writeln!(f, "              producer {producer_id} from offset {offset}")?;
        }
        if self.damaged_batches > 0 || self.damaged_records > 0 {
            writeln!(f, "damaged       {} batches, {} records", self.damaged_batches, self.damaged_records)?;
        }
        Ok(())
    }
}
