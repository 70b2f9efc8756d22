//! Whether an index agrees with its segment.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::Path;

use kafka_batch_core::decode::RecordBatch;

use super::{Entries, Entry, Kind};
use crate::filter::Filter;
use crate::scan::{Found, Options, scan};
use crate::window::Window;

/// What a valid index does not contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    NotAscending { entry: Entry, before: Entry },
    CutOff { bytes: usize },
    NoBatchThere { offset: i64, position: i32 },
    OffsetBefore { offset: i64, position: i32, base: i64 },
    AfterTheEnd { entry: Entry, end: i64 },
    LaterTimestamp { timestamp: i64, offset: i64, found: i64 },
    NoTransaction { entry: Entry },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAscending { entry, before } => write!(f, "the entry {entry} is not after {before}"),
            Self::CutOff { bytes } => write!(f, "it ends with {bytes} bytes of another entry"),
            Self::NoBatchThere { offset, position } => {
                write!(f, "no batch of the segment begins at byte {position}, where offset {offset} is to be searched")
            }
            Self::OffsetBefore { offset, position, base } => write!(
                f,
                "offset {offset} is to be searched from byte {position} on, but the batch there begins with offset {base}"
            ),
            Self::AfterTheEnd { entry, end } => write!(f, "the entry {entry} is after the segment's last offset {end}"),
            Self::LaterTimestamp { timestamp, offset, found } => write!(
                f,
                "{timestamp} is not the latest timestamp up to offset {offset}: a batch that begins before has {found}"
            ),
            Self::NoTransaction { entry } => write!(f, "the entry {entry} ends before it begins"),
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Offset { offset, position } => write!(f, "offset {offset} at byte {position}"),
            Self::Time { timestamp, offset } => write!(f, "time {timestamp} up to offset {offset}"),
            Self::Transaction { producer_id, first_offset, last_offset, .. } => {
                write!(f, "producer {producer_id} from offset {first_offset} to {last_offset}")
            }
        }
    }
}

/// Checks an index, beside its segment if that is in the same directory. Returns the number of its entries.
///
/// Readers rely on two facts: records from an entry's offset on are not before its position, and records up to an entry's
/// offset are not later than its timestamp. Followers append several batches at a time, with one entry for all of them, so
/// the offset need not be in the batch at the position.
pub(crate) fn check(path: &Path, kind: Kind, max_bytes: usize, report: &mut dyn FnMut(Problem)) -> io::Result<u64> {
    let mut entries = Entries::open(path, kind)?;
    let mut pending = Pending { before: None, next: None, report };
    let segment = path.with_extension("log");
    if kind == Kind::Transaction || !segment.exists() {
        while let Some(entry) = pending.take(&mut entries)? {
            if let Entry::Transaction { first_offset, last_offset, .. } = entry {
                if first_offset > last_offset {
                    (pending.report)(Problem::NoTransaction { entry });
                }
            }
        }
    } else {
        let filter = Filter::default();
        // Compressed records are not decoded.
        let options = Options {
            filter: &filter,
            skips_damaged: true,
            shows_records: false,
            is_followed: false,
            max_decompressed: 0,
            max_bytes,
        };
        let mut latest = i64::MIN;
        let mut end = -1;
        scan(&mut Window::new(File::open(segment)?), &options, &mut |found| {
            let Some(first) = found.batch.and_then(RecordBatch::base_offset) else { return Ok(()) };
            while let Some(entry) = pending.peek(&mut entries)? {
                match entry {
                    Entry::Offset { offset, position } => {
                        let position_u64 = u64::try_from(position).unwrap_or(0);
                        if position_u64 >= found.position.end {
                            break;
                        }
                        let is_start = position_u64 == found.position.start || is_run(found);
                        if position < 0 || !is_start {
                            (pending.report)(Problem::NoBatchThere { offset, position });
                        } else if offset < first {
                            (pending.report)(Problem::OffsetBefore { offset, position, base: first });
                        }
                    }
                    Entry::Time { timestamp, offset } => {
                        if offset >= first {
                            break;
                        }
                        if latest > timestamp {
                            (pending.report)(Problem::LaterTimestamp { timestamp, offset, found: latest });
                        }
                    }
                    Entry::Transaction { .. } => {}
                }
                pending.take(&mut entries)?;
            }
            latest =
                latest.max(found.batch.and_then(RecordBatch::header).map_or(i64::MIN, |header| header.max_timestamp));
            end = end.max(found.batch.and_then(RecordBatch::next_offset).map_or(first, |next| next.saturating_sub(1)));
            Ok(())
        })?;
        // What is left refers to the last batch, or to nothing.
        while let Some(entry) = pending.take(&mut entries)? {
            match entry {
                Entry::Time { timestamp, offset } if offset <= end => {
                    if latest > timestamp {
                        (pending.report)(Problem::LaterTimestamp { timestamp, offset, found: latest });
                    }
                }
                entry => (pending.report)(Problem::AfterTheEnd { entry, end }),
            }
        }
    }
    if entries.left() > 0 {
        (pending.report)(Problem::CutOff { bytes: entries.left() });
    }
    Ok(entries.count)
}

/// Returns whether this is a run of messages of an old format, each of which begins somewhere within.
fn is_run(found: &Found<'_>) -> bool {
    found.batch.is_some_and(|batch| batch.header().is_none())
}

/// The entry that is to be compared next.
struct Pending<'a> {
    before: Option<Entry>,
    next: Option<Entry>,
    report: &'a mut dyn FnMut(Problem),
}

impl Pending<'_> {
    fn peek<R: io::Read>(&mut self, entries: &mut Entries<R>) -> io::Result<Option<Entry>> {
        if self.next.is_none() {
            self.next = entries.next()?;
            if let Some((entry, before)) = self.next.zip(self.before) {
                if !is_ascending(before, entry) {
                    (self.report)(Problem::NotAscending { entry, before });
                }
            }
        }
        Ok(self.next)
    }

    fn take<R: io::Read>(&mut self, entries: &mut Entries<R>) -> io::Result<Option<Entry>> {
        let entry = self.peek(entries)?;
        self.before = entry.or(self.before);
        self.next = None;
        Ok(entry)
    }
}

fn is_ascending(before: Entry, entry: Entry) -> bool {
    match (before, entry) {
        (Entry::Offset { offset: o1, position: p1 }, Entry::Offset { offset: o2, position: p2 }) => o1 < o2 && p1 < p2,
        (Entry::Time { timestamp: t1, offset: o1 }, Entry::Time { timestamp: t2, offset: o2 }) => t1 < t2 && o1 <= o2,
        (Entry::Transaction { last_offset: l1, .. }, Entry::Transaction { last_offset: l2, .. }) => l1 < l2,
        _ => false,
    }
}
