//! Writes JSON lines: an object for each batch or each record.

use std::io::{self, Write};

use kafka_batch_core::decode::{DecodeErrorScope, RawRecordView, RecordBatch, Region, TimestampType};
use serde::Serialize;

use super::text::{append_base64, append_escaped};
use super::{Out, Show, control, matching, sequences};
use crate::filter::Filter;
use crate::scan::{Damage, Found};

/// The size in bytes of the parts of a long key or value, after each of which the buffer is written if it is large.
const PART: usize = 64 << 10;

#[derive(Debug)]
pub(super) struct Lines {
    /// Whether each record has a line.
    records: bool,
    /// Whether bytes are text in place of base64.
    text: bool,
}

impl Lines {
    pub(super) const fn new(records: bool, text: bool) -> Self {
        Self { records, text }
    }
}

impl Show for Lines {
    fn batch(&mut self, file: &str, found: &Found<'_>, filter: &Filter, out: &mut Out) -> io::Result<()> {
        let mut json = Writer { text: self.text, out };
        if self.records { json.records(file, found, filter) } else { json.batch(file, found, filter) }
    }
}

/// Writes records with no other memory than the buffer of the output, whatever their size.
///
/// The members of records are appended one by one, since there are millions of them; the rest is serialised by `serde`.
struct Writer<'a> {
    text: bool,
    out: &'a mut Out,
}

impl Writer<'_> {
    /// Writes an object for a batch.
    fn batch(&mut self, file: &str, found: &Found<'_>, filter: &Filter) -> io::Result<()> {
        self.members(&Batch::new(file, found), b"{")?;
        self.append(b",\"records\":[");
        for (n, record) in matching(found, filter).enumerate() {
            self.append(if n == 0 { b"{" } else { b",{" });
            self.record(&record)?;
            self.append(b"}");
        }
        self.append(b"]");
        if found.summary.has_odd_offsets {
            self.append(b",\"odd_offsets\":true");
        }
        if !found.damage.is_empty() {
            let damage: Vec<_> = found.damage.iter().map(DamageEntry::new).collect();
            self.append(b",\"damage\":");
            serde_json::to_writer(self.out.buffer(), &damage)?;
        }
        self.append(b"}\n");
        Ok(())
    }

    /// Writes an object for each record, and for each damage.
    fn records(&mut self, file: &str, found: &Found<'_>, filter: &Filter) -> io::Result<()> {
        if let Some(batch) = found.batch {
            let (before, after) = (Self::file(file)?, Self::common(batch)?);
            let sequence = sequences(found);
            let (is_transactional, is_control) = (batch.is_transactional(), batch.is_control());
            matching(found, filter).try_for_each(|record| {
                self.append(&before);
                self.record(&record)?;
                self.append(&after);
                match sequence(record.offset) {
                    Some(sequence) => self.number(sequence),
                    None => self.append(b"null"),
                }
                if is_transactional {
                    self.append(b",\"is_transactional\":true");
                }
                if is_control {
                    self.append(b",\"control\":");
                    serde_json::to_writer(self.out.buffer(), &control(&record))?;
                }
                self.append(b"}\n");
                io::Result::Ok(())
            })?;
        }
        for damage in found.damage {
            self.members(&DamageLine { file, damage: DamageEntry::new(damage) }, b"{")?;
            self.append(b"}\n");
        }
        Ok(())
    }

    /// Returns the start of the object of a record.
    fn file(file: &str) -> io::Result<Vec<u8>> {
        let mut start = b"{".to_vec();
        if !file.is_empty() {
            start.extend_from_slice(b"\"file\":");
            serde_json::to_writer(&mut start, file)?;
            start.push(b',');
        }
        Ok(start)
    }

    /// Returns the members that all records of a batch have in common, up to the value of `sequence`.
    fn common(batch: &RecordBatch<'_>) -> io::Result<Vec<u8>> {
        let header = batch.header().filter(|header| header.producer_id >= 0);
        let common = Common {
            timestamp_type: timestamp_type(batch),
            producer_id: header.map(|header| header.producer_id),
            producer_epoch: header.map(|header| header.producer_epoch),
        };
        let mut members = b",".to_vec();
        members.extend_from_slice(without_braces(&serde_json::to_vec(&common)?));
        members.extend_from_slice(b",\"sequence\":");
        Ok(members)
    }

    /// Appends the members of an object.
    fn members(&mut self, object: &impl Serialize, before: &[u8]) -> io::Result<()> {
        let object = serde_json::to_vec(object)?;
        self.append(before);
        self.append(without_braces(&object));
        Ok(())
    }

    /// Appends the members of a record. `headers` is a list of pairs instead of a map, because names may repeat and their order
    /// is significant. `header_names` has the names as bytes, if one of them is not UTF-8: `headers` then has U+FFFD in it.
    fn record(&mut self, record: &RawRecordView<'_>) -> io::Result<()> {
        self.write_if_full()?;
        self.append(b"\"offset\":");
        self.number(record.offset);
        self.append(b",\"timestamp\":");
        self.number(record.timestamp.millis());
        self.append(b",\"key\":");
        self.bytes(record.key)?;
        self.append(b",\"value\":");
        self.bytes(record.value)?;
        self.append(b",\"headers\":[");
        let mut are_text = true;
        for (n, header) in record.headers.iter().enumerate() {
            self.append(if n == 0 { b"[" } else { b",[" });
            are_text &= self.lossy(header.name)?;
            self.append(b",");
            self.bytes(header.value)?;
            self.append(b"]");
        }
        self.append(b"]");
        if !are_text {
            self.append(b",\"header_names\":");
            for (n, header) in record.headers.iter().enumerate() {
                self.append(if n == 0 { b"[" } else { b"," });
                // As base64 with --text, too: that they are not text is why they are here.
                self.base64(header.name)?;
            }
            self.append(b"]");
        }
        Ok(())
    }

    /// Appends bytes as base64 or as text, and null as null, distinct from an empty string.
    fn bytes(&mut self, bytes: Option<&[u8]>) -> io::Result<()> {
        match bytes {
            None => {
                self.append(b"null");
                Ok(())
            }
            Some(bytes) if self.text => self.lossy(bytes).map(drop),
            Some(bytes) => self.base64(bytes),
        }
    }

    /// Appends text in which U+FFFD stands for what is not UTF-8. Returns whether all of it is.
    fn lossy(&mut self, bytes: &[u8]) -> io::Result<bool> {
        if bytes.len() > PART {
            return self.long_lossy(bytes);
        }
        let buffer = self.out.buffer();
        buffer.push(b'"');
        let start = buffer.len();
        if append_escaped(bytes, buffer) || std::str::from_utf8(bytes).is_ok() {
            buffer.push(b'"');
            self.write_if_full()?;
            return Ok(true);
        }
        buffer.truncate(start - 1);
        self.long_lossy(bytes)
    }

    #[cold]
    fn long_lossy(&mut self, bytes: &[u8]) -> io::Result<bool> {
        self.append(b"\"");
        let is_text = self.lossy_utf8(bytes)?;
        self.append(b"\"");
        self.write_if_full()?;
        Ok(is_text)
    }

    /// Appends text of any size, and text that is not UTF-8.
    fn lossy_utf8(&mut self, bytes: &[u8]) -> io::Result<bool> {
        let mut is_text = true;
        for chunk in bytes.utf8_chunks() {
            for part in chunk.valid().as_bytes().chunks(PART) {
                append_escaped(part, self.out.buffer());
                self.write_if_full()?;
            }
            if !chunk.invalid().is_empty() {
                is_text = false;
                self.append("\u{fffd}".as_bytes());
                self.write_if_full()?;
            }
        }
        Ok(is_text)
    }

    fn base64(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.append(b"\"");
        // Parts of a multiple of three bytes have no padding.
        for part in bytes.chunks(PART / 4 * 3) {
            self.write_if_full()?;
            append_base64(part, self.out.buffer());
        }
        self.append(b"\"");
        Ok(())
    }

    #[inline(always)]
    fn append(&mut self, text: &[u8]) {
        self.out.buffer().extend_from_slice(text);
    }

    #[inline(always)]
    fn number(&mut self, number: impl itoa::Integer) {
        self.append(itoa::Buffer::new().format(number).as_bytes());
    }

    #[inline(always)]
    fn write_if_full(&mut self) -> io::Result<()> {
        self.out.write_if_full()
    }
}

/// Returns the members of an object that is serialised.
fn without_braces(object: &[u8]) -> &[u8] {
    object.strip_prefix(b"{").and_then(|object| object.strip_suffix(b"}")).expect("it is an object")
}

/// Writes a value as one line of JSON.
pub(crate) fn line(value: &impl Serialize, out: &mut Out) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value).map_err(io::Error::from)?;
    out.write_all(b"\n")
}

/// What an object for a batch has before its records. Fields that the format does not have are `null`: magic 0 and 1 have few of these fields, and a batch with a
/// damaged header has none.
#[derive(Serialize)]
struct Batch<'a> {
    /// Present only if there are several files.
    #[serde(skip_serializing_if = "str::is_empty")]
    file: &'a str,
    pos: u64,
    bytes: u64,
    magic: Option<i8>,
    compression: Option<&'static str>,
    attributes: Option<i16>,
    timestamp_type: Option<&'static str>,
    is_transactional: Option<bool>,
    is_control: Option<bool>,
    base_offset: Option<i64>,
    last_offset_delta: Option<i32>,
    first_timestamp: Option<i64>,
    max_timestamp: Option<i64>,
    partition_leader_epoch: Option<i32>,
    producer_id: Option<i64>,
    producer_epoch: Option<i16>,
    base_sequence: Option<i32>,
    record_count: u64,
    /// The size of all records after decompression; `null` if they cannot be decompressed.
    decompressed_bytes: Option<u64>,
}

/// What the objects of a batch's records have in common.
#[derive(Serialize)]
struct Common {
    timestamp_type: Option<&'static str>,
    producer_id: Option<i64>,
    producer_epoch: Option<i16>,
}

/// Damage, among the lines of records.
#[derive(Serialize)]
struct DamageLine<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    file: &'a str,
    damage: DamageEntry,
}

/// An error of a batch or record.
#[derive(Serialize)]
struct DamageEntry {
    /// What cannot be decoded because of it: `record`, `batch` (for a record: the rest of the batch), or `rest` of the file.
    scope: &'static str,
    /// The record's index in its batch.
    record: Option<u32>,
    /// The byte position of the error.
    at: u64,
    /// The start of the next record or batch.
    end: Option<u64>,
    /// For a record, what the two positions refer to: `file`, or `decompressed` records.
    region: &'static str,
    error: String,
}

impl DamageEntry {
    fn new(damage: &Damage) -> Self {
        let text = damage.to_string();
        let (scope, record, at, end, region) = match damage {
            Damage::Decode(error) => {
                let (scope, end) = match error.scope {
                    DecodeErrorScope::Record { end, .. } => ("record", Some(end as u64)),
                    DecodeErrorScope::Batch { end } => ("batch", Some(end as u64)),
                    DecodeErrorScope::Rest => ("rest", None),
                };
                let region = match error.region {
                    Region::Buffer => "file",
                    Region::Decompressed => "decompressed",
                };
                (scope, error.record, error.at as u64, end, region)
            }
            Damage::TooLarge { at, size, .. } => ("batch", None, *at, Some(at + size), "file"),
            Damage::Unlisted { at, .. } => ("record", None, *at, None, "file"),
        };
        Self { scope, record, at, end, region, error: text }
    }
}

fn timestamp_type(batch: &RecordBatch<'_>) -> Option<&'static str> {
    batch.timestamp_type().map(|kind| match kind {
        TimestampType::CreateTime => "create",
        TimestampType::LogAppendTime => "append",
    })
}

impl<'a> Batch<'a> {
    fn new(file: &'a str, found: &Found<'_>) -> Self {
        let Found { batch, position, summary, .. } = found;
        let header = batch.and_then(RecordBatch::header);
        Self {
            file,
            pos: position.start,
            bytes: position.end - position.start,
            magic: batch.map(|batch| batch.magic().id()),
            compression: batch.map(|batch| batch.codec().name()),
            attributes: batch.map(RecordBatch::attributes),
            timestamp_type: batch.and_then(timestamp_type),
            is_transactional: batch.filter(|_| header.is_some()).map(RecordBatch::is_transactional),
            is_control: batch.filter(|_| header.is_some()).map(RecordBatch::is_control),
            // In magic 2 compaction keeps the header's base offset even if it removes the first record.
            base_offset: batch.and_then(RecordBatch::base_offset).or_else(|| summary.offsets.map(|(first, _)| first)),
            last_offset_delta: header.map(|header| header.last_offset_delta),
            first_timestamp: header.map(|header| header.base_timestamp),
            max_timestamp: header.map(|header| header.max_timestamp),
            partition_leader_epoch: header.map(|header| header.partition_leader_epoch),
            producer_id: header.map(|header| header.producer_id),
            producer_epoch: header.map(|header| header.producer_epoch),
            base_sequence: header.map(|header| header.base_sequence),
            record_count: summary.records,
            decompressed_bytes: found.records.map(|_| summary.decompressed as u64),
        }
    }
}
