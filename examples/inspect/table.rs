//! Writes the batches as a table, with a line for each batch.

use std::io::{self, Write};

use kafka_batch::Timestamp;
use kafka_batch::decode::{ControlType, RawRecordView, RecordBatch, RecordView, TimestampType};

use crate::Show;
use crate::batches::Found;

pub(crate) struct Table<W: Write> {
    out: W,
    files: usize,
    batches: usize,
    records: usize,
    bytes: usize,
    damaged_batches: usize,
    damaged_records: usize,
}

impl<W: Write> Table<W> {
    pub(crate) const fn new(out: W) -> Self {
        Self { out, files: 0, batches: 0, records: 0, bytes: 0, damaged_batches: 0, damaged_records: 0 }
    }
}

impl<W: Write> Show for Table<W> {
    fn begin_file(&mut self, file: &str) -> io::Result<()> {
        if self.files > 0 {
            writeln!(self.out)?;
        }
        if !file.is_empty() {
            writeln!(self.out, "{file}:")?;
        }
        self.files += 1;
        (self.batches, self.records, self.bytes) = (0, 0, 0);
        (self.damaged_batches, self.damaged_records) = (0, 0);
        let [position, magic, codec, offsets, records, bytes] =
            ["position", "magic", "codec", "offsets", "records", "bytes"];
        writeln!(
            self.out,
            "{position:>10}  {magic:>5}  {codec:6}  {offsets:>19}  {records:>7}  {bytes:>9}  {:18}  {:23}  {:>10}  kind",
            "id/epoch/sequence", "first time (UTC)", "last time",
        )
    }

    fn batch(&mut self, _: &str, found: &Found<'_>) -> io::Result<()> {
        let (batch, records) = (found.batch, found.records);
        self.batches += 1;
        self.records += records.len();
        self.bytes += found.position.len();
        self.damaged_batches += usize::from(found.is_damaged());
        self.damaged_records += found.damaged_records();
        let (first, last) = times(records);
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".into());
        let row = format!(
            "{:>10}  {:>5}  {:6}  {:>19}  {:>7}  {:>9}  {:18}  {first:23}  {last:>10}  {}",
            found.position.start,
            or_none(batch.map(|batch| batch.magic().id().to_string())),
            or_none(batch.map(|batch| batch.codec().to_string())),
            or_none(batch.and_then(|batch| offsets(batch, records))),
            records.len(),
            found.position.len(),
            or_none(batch.and_then(producer)),
            kind(found),
        );
        writeln!(self.out, "{}", row.trim_end())
    }

    fn end_file(&mut self) -> io::Result<()> {
        write!(self.out, "batches: {}, records: {}, bytes: {}", self.batches, self.records, self.bytes)?;
        if self.damaged_batches + self.damaged_records > 0 {
            write!(self.out, ", damaged batches: {}, damaged records: {}", self.damaged_batches, self.damaged_records)?;
        }
        writeln!(self.out)?;
        // Errors of this file are written to standard error next; the table should precede them.
        self.out.flush()
    }

    fn end(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Returns the first and last offset: those of the header if there is one, since compaction keeps them.
fn offsets(batch: &RecordBatch<'_>, records: &[RawRecordView<'_>]) -> Option<String> {
    let first_and_last = match batch.header() {
        Some(header) => Some((header.base_offset, header.base_offset.saturating_add(header.last_offset_delta.into()))),
        None => records.first().zip(records.last()).map(|(first, last)| (first.offset, last.offset)),
    };
    first_and_last.map(|(first, last)| format!("{first}..{last}"))
}

fn producer(batch: &RecordBatch<'_>) -> Option<String> {
    let header = batch.header().filter(|header| header.producer_id >= 0)?;
    Some(format!("{}/{}/{}", header.producer_id, header.producer_epoch, header.base_sequence))
}

/// Returns the unusual properties of a batch.
fn kind(found: &Found<'_>) -> String {
    let mut kinds = Vec::new();
    if found.is_damaged() {
        kinds.push("damaged".into());
    }
    if found.damaged_records() > 0 {
        kinds.push(format!("damaged records: {}", found.damaged_records()));
    }
    if found.has_odd_offsets {
        kinds.push("odd offsets".into());
    }
    let Some(batch) = found.batch else { return kinds.join(", ") };
    if batch.is_transactional() {
        kinds.push("transactional".into());
    }
    if batch.is_control() {
        kinds.extend(found.records.iter().filter_map(|record| RecordView::try_from(*record).ok()).map(control));
    }
    if batch.timestamp_type() == Some(TimestampType::LogAppendTime) {
        kinds.push("append time".into());
    }
    if let Some(horizon) = batch.delete_horizon() {
        kinds.push(format!("deletable after {}", utc(horizon)));
    }
    kinds.join(", ")
}

fn control(record: RecordView<'_>) -> String {
    match record.control() {
        Ok(control) => match control.control_type {
            ControlType::Abort => "control: abort".into(),
            ControlType::Commit => "control: commit".into(),
            other => format!("control: {other:?}"),
        },
        Err(error) => format!("control: {error}"),
    }
}

/// Returns the earliest timestamp, and the latest one relative to it: records need not be in the order of timestamps.
fn times(records: &[RawRecordView<'_>]) -> (String, String) {
    let timed = || records.iter().map(|record| record.timestamp).filter(|&time| time != Timestamp::NO_TIMESTAMP);
    match timed().min().zip(timed().max()) {
        Some((first, last)) if first == last => (utc(first), "the same".into()),
        Some((first, last)) => {
            let later = i128::from(last.millis()) - i128::from(first.millis());
            (utc(first), format!("+{}.{:03} s", later / 1_000, later % 1_000))
        }
        None => ("-".into(), "-".into()),
    }
}

/// Returns date and time of day in UTC. Timestamps outside of the years 0 to 9999 are shown in milliseconds, since a
/// timestamp can have any value.
fn utc(time: Timestamp) -> String {
    const DAY: i64 = 24 * 60 * 60 * 1_000;
    const YEARS_0_TO_9999: std::ops::Range<i64> = -719_528 * DAY..2_932_897 * DAY;
    let millis = time.millis();
    if !YEARS_0_TO_9999.contains(&millis) {
        return time.to_string();
    }
    let (year, month, day) = date(millis.div_euclid(DAY));
    let of_day = millis.rem_euclid(DAY);
    let [hours, minutes, seconds] = [of_day / 3_600_000, of_day / 60_000 % 60, of_day / 1_000 % 60];
    format!("{year:04}-{month:02}-{day:02} {hours:02}:{minutes:02}:{seconds:02}.{:03}", of_day % 1_000)
}

/// Returns the date `days` after 1970-01-01, in the Gregorian calendar. Computes with years that begin in March, so that a
/// leap day is the last day of its year, and with cycles of 400 years, which all have the same number of days.
fn date(days: i64) -> (i64, i64, i64) {
    const CYCLE: i64 = 146_097;
    let days = days + 719_468; // since 1 March of the year 0
    let (cycle, in_cycle) = (days.div_euclid(CYCLE), days.rem_euclid(CYCLE));
    let leap_days = in_cycle / 1_460 - in_cycle / 36_524 + in_cycle / 146_096;
    let year = (in_cycle - leap_days) / 365;
    let in_year = in_cycle - (365 * year + year / 4 - year / 100);
    let month = (5 * in_year + 2) / 153; // 0 is March; from March on the lengths of months repeat 31 30 31 30 31
    let day = in_year - (153 * month + 2) / 5 + 1;
    let january_or_february = i64::from(month >= 10);
    (400 * cycle + year + january_or_february, month + 3 - 12 * january_or_february, day)
}
