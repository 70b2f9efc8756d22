//! What is printed of batches and their records.

mod batches;
mod hex;
pub(crate) mod json;
mod out;
mod records;
pub(crate) mod text;

use std::io::{self, Write};

use kafka_batch_core::decode::{BatchHeader, ControlType, RawRecordView, RecordBatch, RecordView};

use crate::args::{Args, Format};
use crate::filter::Filter;
use crate::scan::Found;
use crate::statistics::Statistics;

pub(crate) use out::Out;

/// An output format. `file` is empty if the program has only one file to show.
pub(crate) trait Show {
    fn begin_file(&mut self, _file: &str, _out: &mut Out) -> io::Result<()> {
        Ok(())
    }

    fn batch(&mut self, file: &str, found: &Found<'_>, filter: &Filter, out: &mut Out) -> io::Result<()>;

    fn end_file(&mut self, _statistics: &Statistics, _out: &mut Out) -> io::Result<()> {
        Ok(())
    }
}

/// Returns the output format of the command line.
pub(crate) fn format(args: &Args) -> Box<dyn Show> {
    match args.format() {
        Format::Batches => Box::new(batches::Table::default()),
        Format::Records => Box::new(records::Lines::new(args.text)),
        Format::Hex => Box::new(hex::Dump::default()),
        Format::Json => Box::new(json::Lines::new(false, args.text)),
        Format::JsonRecords => Box::new(json::Lines::new(true, args.text)),
        Format::Nothing => Box::new(Nothing),
    }
}

struct Nothing;

impl Show for Nothing {
    fn batch(&mut self, _: &str, _: &Found<'_>, _: &Filter, _: &mut Out) -> io::Result<()> {
        Ok(())
    }
}

/// Separates the output of files, and names the file if there are several.
fn heading(file: &str, is_first: bool, out: &mut Out) -> io::Result<()> {
    if !is_first {
        writeln!(out)?;
    }
    if !file.is_empty() {
        writeln!(out, "{file}:")?;
    }
    Ok(())
}

/// Returns the records of a batch that match the filter, as leniently as Java's reader.
fn matching<'f>(found: &'f Found<'_>, filter: &'f Filter) -> impl Iterator<Item = RawRecordView<'f>> {
    let (kept, others) = match found.matching {
        Some(kept) => (kept, None),
        None => (&[][..], found.records),
    };
    let others = others.into_iter().flat_map(|records| records.iter_lenient()).flatten();
    kept.iter().copied().chain(others.filter(|record| filter.matches(record)))
}

/// Returns what a control record is, such as `commit`.
fn control(record: &RawRecordView<'_>) -> String {
    let Ok(record) = RecordView::try_from(*record) else { return "unreadable".into() };
    match record.control() {
        Ok(control) => match control.control_type {
            ControlType::Abort => "abort".into(),
            ControlType::Commit => "commit".into(),
            other => format!("{other:?}"),
        },
        Err(error) => error.to_string(),
    }
}

/// Returns a function from the offset of a record to its sequence number; `None` if the batch has none.
fn sequences(found: &Found<'_>) -> impl Fn(i64) -> Option<i32> + use<> {
    let has_sequence = |header: &&BatchHeader| header.producer_id >= 0 && header.base_sequence >= 0;
    let batch = found.batch.filter(|batch| !batch.is_control());
    let header = batch.and_then(RecordBatch::header).filter(has_sequence);
    let first = header.map(|header| (i64::from(header.base_sequence), header.base_offset));
    move |offset| {
        let (sequence, base_offset) = first?;
        // After 2147483647 sequence numbers continue with 0.
        i32::try_from((sequence + (offset - base_offset)) & i64::from(i32::MAX)).ok()
    }
}
