//! Index files of a segment: `.index`, `.timeindex` and `.txnindex`.

mod check;

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use kafka_batch_core::Timestamp;
use serde::Serialize;

use crate::segment;
use crate::show::{Out, json};
use crate::time::utc;

pub(crate) use check::check;

/// The kind of an index file, by the extension of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Where in the segment an offset is to be searched.
    Offset,
    /// From which offset on a time is to be searched (KIP-33).
    Time,
    /// The aborted transactions of the segment (KIP-98).
    Transaction,
}

impl Kind {
    pub(crate) fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "index" => Some(Self::Offset),
            "timeindex" => Some(Self::Time),
            "txnindex" => Some(Self::Transaction),
            _ => None,
        }
    }

    /// Returns the size of an entry in bytes.
    const fn size(self) -> usize {
        match self {
            Self::Offset => 8,
            Self::Time => 12,
            Self::Transaction => 34,
        }
    }
}

/// An entry of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Entry {
    Offset { offset: i64, position: i32 },
    Time { timestamp: i64, offset: i64 },
    Transaction { version: i16, producer_id: i64, first_offset: i64, last_offset: i64, last_stable_offset: i64 },
}

impl Entry {
    /// Decodes an entry. The file's name has the offset to which its offsets are relative.
    fn decode(kind: Kind, bytes: &[u8], base: i64) -> Self {
        let i32_at = |at: usize| i32::from_be_bytes(*bytes[at..].first_chunk().expect("an entry has its size"));
        let i64_at = |at: usize| i64::from_be_bytes(*bytes[at..].first_chunk().expect("an entry has its size"));
        let absolute = |relative: i32| base.saturating_add(relative.into());
        match kind {
            Kind::Offset => Self::Offset { offset: absolute(i32_at(0)), position: i32_at(4) },
            Kind::Time => Self::Time { timestamp: i64_at(0), offset: absolute(i32_at(8)) },
            Kind::Transaction => Self::Transaction {
                version: i16::from_be_bytes([bytes[0], bytes[1]]),
                producer_id: i64_at(2),
                first_offset: i64_at(10),
                last_offset: i64_at(18),
                last_stable_offset: i64_at(26),
            },
        }
    }
}

/// The entries of an index file, one after the other.
#[derive(Debug)]
pub(crate) struct Entries<R> {
    input: R,
    kind: Kind,
    base: i64,
    count: u64,
    /// The bytes after the last entry: too few for another one.
    left: usize,
    has_ended: bool,
}

impl Entries<BufReader<File>> {
    pub(crate) fn open(path: &Path, kind: Kind) -> io::Result<Self> {
        let base = match (kind, segment::base_offset(path)) {
            (_, Some(base)) => base,
            (Kind::Transaction, None) => 0, // its offsets are absolute
            (_, None) => {
                let text = "its name is not the base offset of a segment, to which its offsets are relative: \
                            20 digits, such as 00000000000000000042.index";
                return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
            }
        };
        Ok(Self::new(BufReader::new(File::open(path)?), kind, base))
    }
}

impl<R: Read> Entries<R> {
    const fn new(input: R, kind: Kind, base: i64) -> Self {
        Self { input, kind, base, count: 0, left: 0, has_ended: false }
    }

    /// Returns the next entry; `None` at the end. Brokers write an index into a file of its largest size and cut it when the
    /// segment is closed: zeros that no entry can have, except the first, are the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Entry>> {
        if self.has_ended {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        let size = self.kind.size();
        self.input.by_ref().take(size as u64).read_to_end(&mut bytes)?;
        if bytes.len() < size {
            (self.left, self.has_ended) = (bytes.len(), true);
            return Ok(None);
        }
        let is_unused = match self.kind {
            Kind::Transaction => false, // it is appended to, so it has no unused end
            Kind::Time | Kind::Offset => bytes.iter().all(|&byte| byte == 0),
        };
        if is_unused {
            self.has_ended = true;
            return Ok(None);
        }
        self.count += 1;
        Ok(Some(Entry::decode(self.kind, &bytes, self.base)))
    }

    pub(crate) const fn left(&self) -> usize {
        self.left
    }
}

/// Shows the entries of an index. Returns whether the file ends within an entry.
pub(crate) fn show(path: &Path, kind: Kind, file: &str, as_json: bool, out: &mut Out) -> io::Result<bool> {
    /// An entry with the file's name, if there are several.
    #[derive(Serialize)]
    struct Line<'a> {
        #[serde(skip_serializing_if = "str::is_empty")]
        file: &'a str,
        #[serde(flatten)]
        entry: Entry,
    }

    let mut entries = Entries::open(path, kind)?;
    if !as_json {
        if !file.is_empty() {
            writeln!(out, "{file}:")?;
        }
        match kind {
            Kind::Offset => writeln!(out, "{:>20}  {:>10}", "offset", "position")?,
            Kind::Time => writeln!(out, "{:25}  {:>20}", "latest time (UTC)", "up to offset")?,
            Kind::Transaction => writeln!(
                out,
                "{:>20}  {:>20}  {:>20}  {:>20}",
                "producer id", "first offset", "aborted by offset", "last stable offset"
            )?,
        }
    }
    while let Some(entry) = entries.next()? {
        if as_json {
            json::line(&Line { file, entry }, out)?;
            continue;
        }
        match entry {
            Entry::Offset { offset, position } => writeln!(out, "{offset:>20}  {position:>10}")?,
            Entry::Time { timestamp, offset } => {
                writeln!(out, "{:25}  {offset:>20}", utc(Timestamp::from_millis(timestamp)))?;
            }
            Entry::Transaction { producer_id, first_offset, last_offset, last_stable_offset, .. } => {
                writeln!(out, "{producer_id:>20}  {first_offset:>20}  {last_offset:>20}  {last_stable_offset:>20}")?;
            }
        }
    }
    if !as_json {
        writeln!(out, "entries: {}", entries.count)?;
    }
    Ok(entries.left() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: Kind, bytes: &[u8]) -> (Vec<Entry>, usize) {
        let mut entries = Entries::new(bytes, kind, 100);
        let mut read = Vec::new();
        while let Some(entry) = entries.next().unwrap() {
            read.push(entry);
        }
        (read, entries.left())
    }

    #[test]
    fn entries_are_decoded_up_to_the_unused_end() {
        let bytes = [[0, 0, 0, 5, 0, 0, 16, 0], [0, 0, 0, 9, 0, 0, 32, 1], [0; 8], [0; 8]].concat();
        let expected = [Entry::Offset { offset: 105, position: 4_096 }, Entry::Offset { offset: 109, position: 8_193 }];
        assert_eq!(read(Kind::Offset, &bytes), (expected.to_vec(), 0));
        assert_eq!(read(Kind::Offset, &bytes[..15]), (expected[..1].to_vec(), 7));

        let bytes = [0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 1];
        assert_eq!(read(Kind::Time, &bytes), (vec![Entry::Time { timestamp: 7, offset: 101 }], 0));

        let mut bytes = vec![0, 0];
        bytes.extend([7_i64, 200, 209, 200].map(i64::to_be_bytes).concat());
        let aborted = Entry::Transaction {
            version: 0,
            producer_id: 7,
            first_offset: 200,
            last_offset: 209,
            last_stable_offset: 200,
        };
        assert_eq!(read(Kind::Transaction, &bytes), (vec![aborted], 0));
    }
}
