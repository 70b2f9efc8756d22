//! Writes each record with its bytes in hexadecimal.

use std::io::{self, Write};

use super::batches::producer;
use super::text::{append_hex, append_quoted, put};
use super::{Out, Show, control, heading, matching};
use crate::filter::Filter;
use crate::scan::Found;
use crate::time::Clock;

#[derive(Debug, Default)]
pub(super) struct Dump {
    files: usize,
    clock: Clock,
}

impl Show for Dump {
    fn begin_file(&mut self, file: &str, out: &mut Out) -> io::Result<()> {
        heading(file, self.files == 0, out)?;
        self.files += 1;
        Ok(())
    }

    fn batch(&mut self, _: &str, found: &Found<'_>, filter: &Filter, out: &mut Out) -> io::Result<()> {
        let Some(batch) = found.batch else { return Ok(()) };
        let producer = producer(batch).map_or_else(String::new, |producer| format!("  producer {producer}"));
        let mut lines = Vec::new();
        for record in matching(found, filter) {
            put(&mut lines, format_args!("offset {}  ", record.offset));
            self.clock.append(record.timestamp, &mut lines);
            put(&mut lines, &producer);
            if batch.is_control() {
                put(&mut lines, format_args!("  control: {}", control(&record)));
            }
            lines.push(b'\n');
            field(format_args!("key"), record.key, &mut lines);
            field(format_args!("value"), record.value, &mut lines);
            for header in record.headers.iter() {
                let mut name = Vec::new();
                append_quoted(Some(header.name), &mut name);
                field(format_args!("header {}", String::from_utf8_lossy(&name)), header.value, &mut lines);
            }
            out.write_all(&lines)?;
            lines.clear();
        }
        Ok(())
    }
}

fn field(name: std::fmt::Arguments<'_>, bytes: Option<&[u8]>, lines: &mut Vec<u8>) {
    match bytes {
        Some(bytes) => {
            let plural = if bytes.len() == 1 { "" } else { "s" };
            put(lines, format_args!("  {name}, {} byte{plural}\n", bytes.len()));
            append_hex(bytes, lines);
        }
        None => put(lines, format_args!("  {name}, null\n")),
    }
}
