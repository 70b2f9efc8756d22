//! Writes the batches as one JSON array, with an object for each batch.

use std::borrow::Cow;
use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kafka_batch::decode::{DecodeError, DecodeErrorScope, RawRecordView, RecordBatch, Region, TimestampType};
use serde::{Serialize, Serializer};

use crate::Show;
use crate::batches::Found;

/// Writes the array incrementally. It is complete JSON also if a damaged file ends it early.
pub(crate) struct Array<W: Write> {
    out: W,
    batches: usize,
}

impl<W: Write> Array<W> {
    pub(crate) const fn new(out: W) -> Self {
        Self { out, batches: 0 }
    }
}

impl<W: Write> Show for Array<W> {
    fn begin_file(&mut self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn batch(&mut self, file: &str, found: &Found<'_>) -> io::Result<()> {
        self.out.write_all(if self.batches == 0 { b"[\n" } else { b",\n" })?;
        self.batches += 1;
        serde_json::to_writer(&mut self.out, &Batch::new(file, found)).map_err(io::Error::from)
    }

    fn end_file(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        self.out.write_all(if self.batches == 0 { b"[]\n" } else { b"\n]\n" })?;
        self.out.flush()
    }
}

/// One batch. Fields that the format does not have are `null`: magic 0 and 1 have few of these fields, and a batch with a
/// damaged header has none.
#[derive(Serialize)]
struct Batch<'a> {
    /// Present only if there are several files.
    #[serde(skip_serializing_if = "str::is_empty")]
    file: &'a str,
    pos: usize,
    bytes: usize,
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
    record_count: usize,
    records: Vec<Record<'a>>,
    /// Present only if not empty.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    odd_offsets: bool,
    /// Present only if not empty, and with `--skip-damaged`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    damage: Vec<Damage>,
}

/// An error of a batch or record.
#[derive(Serialize)]
struct Damage {
    /// What cannot be decoded because of it: `record`, `batch` (for a record: the rest of the batch), or `rest` of the file.
    scope: &'static str,
    /// The record's index in its batch.
    record: Option<u32>,
    /// The byte position of the error.
    at: usize,
    /// The start of the next record or batch.
    end: Option<usize>,
    /// For a record, what the two positions refer to: `file`, or `decompressed` records.
    region: &'static str,
    error: String,
}

impl Damage {
    fn new(error: &DecodeError) -> Self {
        let (scope, end) = match error.scope {
            DecodeErrorScope::Record { end, .. } => ("record", Some(end)),
            DecodeErrorScope::Batch { end } => ("batch", Some(end)),
            DecodeErrorScope::Rest => ("rest", None),
        };
        let region = match error.region {
            Region::Buffer => "file",
            Region::Decompressed => "decompressed",
        };
        Self { scope, record: error.record, at: error.at, end, region, error: error.to_string() }
    }
}

#[derive(Serialize)]
struct Record<'a> {
    offset: i64,
    timestamp: i64,
    key: Base64<'a>,
    value: Base64<'a>,
    /// A list of pairs instead of a map, because names may repeat and their order is significant.
    headers: Vec<(Cow<'a, str>, Base64<'a>)>,
    /// The header names as bytes, present only if one of them is not UTF-8: `headers` then has U+FFFD in it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    header_names: Vec<Base64<'a>>,
}

/// Serialises bytes as base64, and null as null, distinct from an empty string.
struct Base64<'a>(Option<&'a [u8]>);

impl Serialize for Base64<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.map(|bytes| STANDARD.encode(bytes)).serialize(serializer)
    }
}

impl<'a> Batch<'a> {
    fn new(file: &'a str, found: &'a Found<'_>) -> Self {
        let (batch, records) = (found.batch, found.records);
        let header = batch.and_then(RecordBatch::header);
        Self {
            file,
            pos: found.position.start,
            bytes: found.position.len(),
            magic: batch.map(|batch| batch.magic().id()),
            compression: batch.map(|batch| batch.codec().name()),
            attributes: batch.map(RecordBatch::attributes),
            timestamp_type: batch.and_then(RecordBatch::timestamp_type).map(|kind| match kind {
                TimestampType::CreateTime => "create",
                TimestampType::LogAppendTime => "append",
            }),
            is_transactional: batch.filter(|_| header.is_some()).map(RecordBatch::is_transactional),
            is_control: batch.filter(|_| header.is_some()).map(RecordBatch::is_control),
            // In magic 2 compaction keeps the header's base offset even if it removes the first record.
            base_offset: batch
                .and_then(RecordBatch::base_offset)
                .or_else(|| records.first().map(|record| record.offset)),
            last_offset_delta: header.map(|header| header.last_offset_delta),
            first_timestamp: header.map(|header| header.base_timestamp),
            max_timestamp: header.map(|header| header.max_timestamp),
            partition_leader_epoch: header.map(|header| header.partition_leader_epoch),
            producer_id: header.map(|header| header.producer_id),
            producer_epoch: header.map(|header| header.producer_epoch),
            base_sequence: header.map(|header| header.base_sequence),
            record_count: records.len(),
            records: records.iter().map(Record::new).collect(),
            odd_offsets: found.has_odd_offsets,
            damage: found.damage.iter().map(Damage::new).collect(),
        }
    }
}

impl<'a> Record<'a> {
    fn new(record: &'a RawRecordView<'_>) -> Self {
        let is_text = |name: &[u8]| std::str::from_utf8(name).is_ok();
        let names: Vec<_> = record.headers.iter().map(|header| header.name).collect();
        Self {
            offset: record.offset,
            timestamp: record.timestamp.millis(),
            key: Base64(record.key),
            value: Base64(record.value),
            headers: record.headers.iter().map(|header| (header.name_lossy(), Base64(header.value))).collect(),
            header_names: match names.iter().all(|name| is_text(name)) {
                true => Vec::new(),
                false => names.into_iter().map(|name| Base64(Some(name))).collect(),
            },
        }
    }
}
