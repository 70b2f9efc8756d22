//! Reads batch by batch, on request past damaged ones.

use std::fmt;
use std::io::{self, Read};
use std::ops::Range;

use kafka_batch_core::Timestamp;
use kafka_batch_core::decode::{
    BatchHeader, DecodeError, DecodeErrorKind, DecodeErrorScope, RawRecordView, RecordBatch, RecordBatches, Records,
    Region,
};

use crate::filter::Filter;
use crate::window::Window;

/// How many errors of a batch are kept: in a damaged one every byte can be the length of a record.
const MAX_ERRORS: usize = 100;

/// How many records of a batch are kept as they were decoded. Those of a batch with more are decoded again when they are shown, so that
/// memory is constant: records without key and value take eight bytes in a batch.
const MAX_KEPT: usize = 4_096;

/// The bytes before the end of a length field, which has the same position in every format.
const PREFIX: usize = 12;

/// How to read.
#[derive(Debug)]
pub(crate) struct Options<'a> {
    pub(crate) filter: &'a Filter,
    pub(crate) skips_damaged: bool,
    /// Whether the records that match the filter are shown.
    pub(crate) shows_records: bool,
    /// Whether the input may grow, so that there is no end at which an incomplete batch is reported.
    pub(crate) is_followed: bool,
    pub(crate) max_decompressed: usize,
    pub(crate) max_bytes: usize,
}

/// A batch, or the position of one that cannot be decoded.
#[derive(Debug)]
pub(crate) struct Found<'a> {
    /// The byte range in the file. It extends to the end if the start of the next batch is unknown.
    pub(crate) position: Range<u64>,
    /// `None` if the header is invalid.
    pub(crate) batch: Option<&'a RecordBatch<'a>>,
    /// `None` if they cannot be decompressed.
    pub(crate) records: Option<&'a Records<'a>>,
    /// The records that match the filter, if they are shown and not too many.
    pub(crate) matching: Option<&'a [RawRecordView<'a>]>,
    pub(crate) summary: Summary,
    /// The errors of the batch and its records, including records that only a lenient reader accepts.
    pub(crate) damage: &'a [Damage],
}

/// What all records of a batch have in common, those that do not match the filter excepted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Summary {
    /// The number of records that can be decoded, as leniently as by Java's reader.
    pub(crate) records: u64,
    /// The offsets of the first and the last of them.
    pub(crate) offsets: Option<(i64, i64)>,
    /// The least and the greatest timestamp in ms, without records that have none.
    pub(crate) times: Option<(i64, i64)>,
    /// The size of the records after decompression, in bytes; of all records.
    pub(crate) decompressed: usize,
    /// The number of damaged records, including those that are shown nevertheless.
    pub(crate) damaged_records: u64,
    /// Whether the batch, or the rest of it after some record, cannot be decoded.
    pub(crate) is_damaged: bool,
    /// Whether the records have offsets that no producer or log cleaner writes. Readers accept such offsets.
    pub(crate) has_odd_offsets: bool,
}

/// An error, with its position in the file.
#[derive(Clone, Debug)]
pub(crate) enum Damage {
    Decode(DecodeError),
    TooLarge {
        at: u64,
        size: u64,
        limit: usize,
    },
    /// More errors of the same batch.
    Unlisted {
        at: u64,
        count: u64,
    },
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decode(error) => error.fmt(f),
            Self::TooLarge { at, size, limit } => {
                write!(
                    f,
                    "at byte {at}: the length is that of a batch of {size} bytes, more than {limit} (--max-bytes)"
                )
            }
            Self::Unlisted { at, count } => write!(f, "at byte {at}: {count} more errors in the same batch"),
        }
    }
}

/// An incomplete batch at the end of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tail {
    pub(crate) at: u64,
    pub(crate) present: u64,
    pub(crate) expected: Option<u64>,
}

impl fmt::Display for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, present, expected } = self;
        write!(f, "the batch at byte {at} is incomplete: {present} bytes of ")?;
        match expected {
            Some(expected) => write!(f, "{expected}"),
            None => f.write_str("it are there"),
        }
    }
}

/// Why reading ended.
#[derive(Clone, Debug)]
pub(crate) enum End {
    /// All of the input was read, up to an incomplete batch if there is one.
    Complete(Option<Tail>),
    /// This damage, and damage is not skipped.
    Damaged(Damage),
}

/// What the bytes in memory have after the batches that are complete.
enum Next {
    /// From here on more bytes are needed.
    Needs {
        at: usize,
        least: usize,
        expected: Option<usize>,
    },
    /// The start of the next batch is unknown.
    Lost {
        at: usize,
        damage: Damage,
    },
    Stop(Damage),
}

/// Passes each batch to `show`, including damaged ones. Without `skips_damaged`, only those before the first damage: a
/// batch is passed after all of it was decoded without an error.
///
/// Can be called again if the input has grown since.
pub(crate) fn scan<R: Read>(
    window: &mut Window<R>,
    options: &Options<'_>,
    show: &mut dyn FnMut(&Found<'_>) -> io::Result<()>,
) -> io::Result<End> {
    let mut is_whole = !window.fill(1)?;
    loop {
        let base = window.position();
        match scan_memory(window.unread(), base, is_whole, options, show)? {
            Next::Stop(damage) => return Ok(End::Damaged(damage)),
            Next::Lost { at, damage } => {
                if !options.skips_damaged {
                    return Ok(End::Damaged(damage));
                }
                let position = base + at as u64..window.drain()?;
                show(&Found {
                    position,
                    batch: None,
                    records: None,
                    matching: None,
                    summary: Summary { is_damaged: true, ..Summary::default() },
                    damage: &[damage],
                })?;
                return Ok(End::Complete(None));
            }
            Next::Needs { at, least, expected } => {
                window.consume(at);
                let at = window.position();
                if is_whole {
                    let present = window.unread().len() as u64;
                    let tail = Tail { at, present, expected: expected.map(|size| size as u64) };
                    return Ok(End::Complete((present > 0).then_some(tail)));
                }
                if least <= options.max_bytes {
                    is_whole = !window.fill(least)?;
                    continue;
                }
                let size = least as u64;
                let damage = Damage::TooLarge { at, size, limit: options.max_bytes };
                if options.is_followed && !options.skips_damaged {
                    return Ok(End::Damaged(damage));
                }
                let present = window.skip(size)?;
                // What is not there yet is skipped by later calls.
                if present < size && !options.is_followed {
                    return Ok(End::Complete(Some(Tail { at, present, expected: Some(size) })));
                }
                if !options.skips_damaged {
                    return Ok(End::Damaged(damage));
                }
                let summary = Summary { is_damaged: true, ..Summary::default() };
                show(&Found {
                    position: at..at + size,
                    batch: None,
                    records: None,
                    matching: None,
                    summary,
                    damage: &[damage],
                })?;
                is_whole = !window.fill(1)?;
            }
        }
    }
}

/// Passes the batches that are complete in memory. `is_whole` says that the input ends with these bytes.
fn scan_memory(
    bytes: &[u8],
    base: u64,
    is_whole: bool,
    options: &Options<'_>,
    show: &mut dyn FnMut(&Found<'_>) -> io::Result<()>,
) -> io::Result<Next> {
    let mut batches = RecordBatches::new(bytes);
    for batch in batches.by_ref() {
        match batch {
            Ok(batch) => {
                if let Some(damage) = examine(&batch, base, options, show)? {
                    return Ok(Next::Stop(damage));
                }
            }
            Err(error) => {
                let at = error.batch_at;
                let DecodeErrorScope::Batch { end } = error.scope else {
                    // Perhaps only the part in memory is too short to contain the batch's end.
                    if let (false, Some(size)) = (is_whole, claimed_size(&bytes[at..])) {
                        return Ok(Next::Needs { at, least: size, expected: Some(size) });
                    }
                    return Ok(Next::Lost { at, damage: Damage::Decode(moved(error, base)) });
                };
                let damage = Damage::Decode(moved(error, base));
                if !options.skips_damaged {
                    return Ok(Next::Stop(damage));
                }
                show(&Found {
                    position: base + at as u64..base + end as u64,
                    batch: None,
                    records: None,
                    matching: None,
                    summary: Summary { is_damaged: true, ..Summary::default() },
                    damage: &[damage],
                })?;
            }
        }
    }
    Ok(match batches.tail() {
        Some(tail) => {
            Next::Needs { at: tail.at, least: tail.expected.unwrap_or(tail.present + 1), expected: tail.expected }
        }
        None => Next::Needs { at: bytes.len(), least: 1, expected: None },
    })
}

/// Returns the size of a batch by its length field, if that is one of any format.
fn claimed_size(bytes: &[u8]) -> Option<usize> {
    let field = bytes.get(8..PREFIX)?.first_chunk()?;
    let length = usize::try_from(i32::from_be_bytes(*field)).ok()?;
    (length >= 14).then_some(PREFIX + length)
}

/// Decodes the records of a batch, and passes it on. Returns the first error if damage is not skipped.
fn examine(
    batch: &RecordBatch<'_>,
    base: u64,
    options: &Options<'_>,
    show: &mut dyn FnMut(&Found<'_>) -> io::Result<()>,
) -> io::Result<Option<Damage>> {
    if !options.filter.admits(Some(batch)) {
        return Ok(None);
    }
    let position = batch.position();
    let position = base + position.start as u64..base + position.end as u64;
    let decompressed = batch.records(options.max_decompressed);
    let mut kept = KeptRecords { records: options.shows_records.then(Vec::new) };
    let (records, summary, errors) = match &decompressed {
        Ok(records) => {
            let (summary, errors) = summarize(records, batch.header(), options.filter, &mut kept);
            (Some(records), summary, errors)
        }
        Err(error) => {
            (None, Summary { is_damaged: true, ..Summary::default() }, Errors { kept: vec![error.clone()], count: 1 })
        }
    };
    let count = errors.count - errors.kept.len() as u64;
    let mut damage: Vec<_> = errors.kept.into_iter().map(|error| Damage::Decode(moved(error, base))).collect();
    if count > 0 {
        damage.push(Damage::Unlisted { at: position.start, count });
    }
    if !options.skips_damaged && !damage.is_empty() {
        return Ok(Some(damage.swap_remove(0)));
    }
    if options.filter.examines_records() && summary.records == 0 && damage.is_empty() {
        return Ok(None);
    }
    let matching = kept.records.as_deref();
    show(&Found { position, batch: Some(batch), records, matching, summary, damage: &damage })?;
    Ok(None)
}

/// The first errors of a batch, and the number of all.
#[derive(Default)]
struct Errors {
    kept: Vec<DecodeError>,
    count: u64,
}

/// Records as they were decoded; `None` if there are more than [`MAX_KEPT`], or they are not shown.
struct KeptRecords<'r> {
    records: Option<Vec<RawRecordView<'r>>>,
}

impl<'r> KeptRecords<'r> {
    #[inline(always)]
    fn push(&mut self, record: impl Into<RawRecordView<'r>>) {
        match &mut self.records {
            Some(records) if records.len() < MAX_KEPT => records.push(record.into()),
            _ => self.records = None,
        }
    }
}

/// Decodes all records once; a second time only if some are damaged or have to match a filter.
fn summarize<'r>(
    records: &'r Records<'_>,
    header: Option<&BatchHeader>,
    filter: &Filter,
    kept: &mut KeptRecords<'r>,
) -> (Summary, Errors) {
    let mut errors = Errors::default();
    let mut summary = Summary::default();
    let (base, last) = header.map_or((0, i64::MAX), |header| (header.base_offset, header.last_offset_delta.into()));
    let mut least = if header.is_some() { 0 } else { i64::MIN };
    for record in records {
        match record {
            Ok(record) => {
                if header.is_some() {
                    // Cannot wrap: the offset is the base plus an `i32` delta.
                    let delta = record.offset - base;
                    summary.has_odd_offsets |= errors.count == 0 && (delta < least || delta > last);
                    least = delta + 1;
                }
                summary.add(record.offset, record.timestamp);
                kept.push(record);
            }
            Err(error) => {
                summary.has_odd_offsets |=
                    errors.count == 0 && matches!(error.kind, DecodeErrorKind::OffsetRange { .. });
                match error.scope {
                    DecodeErrorScope::Record { .. } => summary.damaged_records += 1,
                    _ => summary.is_damaged = true,
                }
                errors.count += 1;
                if errors.kept.len() < MAX_ERRORS {
                    errors.kept.push(error);
                }
            }
        }
    }
    summary.decompressed = records.size();
    if errors.count > 0 || filter.examines_records() {
        (summary.records, summary.offsets, summary.times) = (0, None, None);
        if let Some(records) = &mut kept.records {
            records.clear();
        }
        for record in records.iter_lenient().flatten().filter(|record| filter.matches(record)) {
            summary.add(record.offset, record.timestamp);
            kept.push(record);
        }
    }
    (summary, errors)
}

impl Summary {
    #[inline(always)]
    fn add(&mut self, offset: i64, time: Timestamp) {
        self.records += 1;
        self.offsets = Some((self.offsets.map_or(offset, |(first, _)| first), offset));
        if time != Timestamp::NO_TIMESTAMP {
            let millis = time.millis();
            self.times = Some(self.times.map_or((millis, millis), |(min, max)| (min.min(millis), max.max(millis))));
        }
    }
}

/// Returns the error with its positions counted from the start of the file.
fn moved(mut error: DecodeError, base: u64) -> DecodeError {
    let base = usize::try_from(base).unwrap_or(usize::MAX);
    let add = |position: &mut usize| *position = position.saturating_add(base);
    add(&mut error.batch_at);
    if error.region == Region::Buffer {
        add(&mut error.at);
        if let DecodeErrorScope::Record { start, end } = &mut error.scope {
            add(start);
            add(end);
        }
    }
    if let DecodeErrorScope::Batch { end } = &mut error.scope {
        add(end);
    }
    error
}
