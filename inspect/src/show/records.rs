//! Writes the records as a table, with a line for each record.

use std::io::{self, Write};

use super::text::append_quoted;
use super::{Out, Show, control, heading, matching, sequences};
use crate::filter::Filter;
use crate::scan::Found;
use crate::time::Clock;

#[derive(Debug)]
pub(super) struct Lines {
    text: bool,
    files: usize,
    clock: Clock,
}

impl Lines {
    pub(super) fn new(text: bool) -> Self {
        Self { text, files: 0, clock: Clock::default() }
    }
}

/// The width of the columns before the last one.
const WIDTHS: [usize; 6] = [12, 25, 9, 9, 9, 12];

impl Show for Lines {
    fn begin_file(&mut self, file: &str, out: &mut Out) -> io::Result<()> {
        heading(file, self.files == 0, out)?;
        self.files += 1;
        for (name, width) in ["offset", "time (UTC)", "key", "value", "headers", "sequence"].iter().zip(WIDTHS) {
            write!(out, "{name:>width$}")?;
        }
        writeln!(out, "  kind{}", if self.text { ", key: value {headers}" } else { "" })
    }

    fn batch(&mut self, _: &str, found: &Found<'_>, filter: &Filter, out: &mut Out) -> io::Result<()> {
        let Some(batch) = found.batch else { return Ok(()) };
        let kind = if batch.is_transactional() { "transactional" } else { "" };
        let sequence = sequences(found);
        for record in matching(found, filter) {
            let line = out.buffer();
            let start = line.len();
            let mut numbers = itoa::Buffer::new();
            let length = |bytes: Option<&[u8]>| bytes.map_or(-1, |bytes| bytes.len() as i64);
            column(numbers.format(record.offset), start + WIDTHS[0], line);
            line.extend_from_slice(b"  ");
            self.clock.append(record.timestamp, line);
            for (number, end) in
                [(length(record.key), 46), (length(record.value), 55), (record.headers.len() as i64, 64)]
            {
                column(numbers.format(number), start + end, line);
            }
            match sequence(record.offset) {
                Some(sequence) => column(numbers.format(sequence), start + 76, line),
                None => column("-", start + 76, line),
            }
            if batch.is_control() {
                line.extend_from_slice(b"  ");
                line.extend_from_slice(control(&record).as_bytes());
            } else if !kind.is_empty() {
                line.extend_from_slice(b"  ");
                line.extend_from_slice(kind.as_bytes());
            }
            if self.text && !batch.is_control() {
                line.extend_from_slice(b"  ");
                append_quoted(record.key, line);
                line.extend_from_slice(b": ");
                append_quoted(record.value, line);
                if !record.headers.is_empty() {
                    line.extend_from_slice(b" {");
                    for (n, header) in record.headers.iter().enumerate() {
                        line.extend_from_slice(if n == 0 { b"" } else { b", " });
                        append_quoted(Some(header.name), line);
                        line.extend_from_slice(b": ");
                        append_quoted(header.value, line);
                    }
                    line.push(b'}');
                }
            }
            line.push(b'\n');
            out.write_if_full()?;
        }
        Ok(())
    }
}

/// Appends text that ends at this column, after two spaces at least.
fn column(text: &str, end: usize, line: &mut Vec<u8>) {
    const SPACES: [u8; 80] = [b' '; 80];
    let spaces = end.saturating_sub(line.len() + text.len()).clamp(2, SPACES.len());
    line.extend_from_slice(&SPACES[..spaces]);
    line.extend_from_slice(text.as_bytes());
}
