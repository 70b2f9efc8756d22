//! Writes JSON lines: an object for each batch or each record.

use std::borrow::Cow;
use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kafka_batch_core::decode::{DecodeErrorScope, RawHeader, RawRecordView, RecordBatch, Region, TimestampType};
use serde::{Serialize, Serializer};

use super::{Out, Show, control, matching, sequence};
use crate::filter::Filter;
use crate::scan::{Damage, Found};

#[derive(Debug)]
pub(super) struct Lines {
    /// Whether each record has a line.
    pub(super) records: bool,
    /// Whether bytes are text in place of base64.
    pub(super) text: bool,
}

impl Show for Lines {
    fn batch(&mut self, file: &str, found: &Found<'_>, filter: &Filter, out: &mut Out) -> io::Result<()> {
        if !self.records {
            return line(&Batch::new(file, found, filter, self.text), out);
        }
        let batch = found.batch;
        for record in matching(found, filter) {
            let header = batch.and_then(RecordBatch::header).filter(|header| header.producer_id >= 0);
            line(
                &Line {
                    file,
                    record: Record::new(record, self.text),
                    timestamp_type: batch.and_then(timestamp_type),
                    producer_id: header.map(|header| header.producer_id),
                    producer_epoch: header.map(|header| header.producer_epoch),
                    sequence: sequence(found, record.offset),
                    is_transactional: batch.is_some_and(RecordBatch::is_transactional),
                    control: batch.filter(|batch| batch.is_control()).map(|_| control(&record)),
                },
                out,
            )?;
        }
        for damage in found.damage {
            line(&DamageLine { file, damage: DamageEntry::new(damage) }, out)?;
        }
        Ok(())
    }
}

/// Writes a value as one line of JSON.
pub(crate) fn line(value: &impl Serialize, out: &mut Out) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value).map_err(io::Error::from)?;
    out.write_all(b"\n")
}

/// One batch. Fields that the format does not have are `null`: magic 0 and 1 have few of these fields, and a batch with a
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
    records: RecordsOf<'a>,
    /// Present only if not empty.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    odd_offsets: bool,
    /// Present only if not empty, and with `--skip-damaged`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    damage: Vec<DamageEntry>,
}

/// The records of a batch, which are written one by one.
struct RecordsOf<'a> {
    found: &'a Found<'a>,
    filter: &'a Filter,
    text: bool,
}

impl Serialize for RecordsOf<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(matching(self.found, self.filter).map(|record| Record::new(record, self.text)))
    }
}

/// One record, with what its batch says of it.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    file: &'a str,
    #[serde(flatten)]
    record: Record<'a>,
    timestamp_type: Option<&'static str>,
    producer_id: Option<i64>,
    producer_epoch: Option<i16>,
    sequence: Option<i32>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    is_transactional: bool,
    /// Present only in a control record: `commit`, `abort` or another type.
    #[serde(skip_serializing_if = "Option::is_none")]
    control: Option<String>,
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

#[derive(Serialize)]
struct Record<'a> {
    offset: i64,
    timestamp: i64,
    key: Bytes<'a>,
    value: Bytes<'a>,
    /// A list of pairs instead of a map, because names may repeat and their order is significant.
    headers: Vec<(Cow<'a, str>, Bytes<'a>)>,
    /// The header names as bytes, present only if one of them is not UTF-8: `headers` then has U+FFFD in it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    header_names: Vec<Bytes<'a>>,
}

/// Serialises bytes as base64 or as text, and null as null, distinct from an empty string.
struct Bytes<'a> {
    bytes: Option<&'a [u8]>,
    text: bool,
}

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.bytes {
            None => serializer.serialize_none(),
            Some(bytes) if self.text => serializer.serialize_str(&String::from_utf8_lossy(bytes)),
            Some(bytes) => serializer.serialize_str(&STANDARD.encode(bytes)),
        }
    }
}

fn timestamp_type(batch: &RecordBatch<'_>) -> Option<&'static str> {
    batch.timestamp_type().map(|kind| match kind {
        TimestampType::CreateTime => "create",
        TimestampType::LogAppendTime => "append",
    })
}

impl<'a> Batch<'a> {
    fn new(file: &'a str, found: &'a Found<'a>, filter: &'a Filter, text: bool) -> Self {
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
            records: RecordsOf { found, filter, text },
            odd_offsets: summary.has_odd_offsets,
            damage: found.damage.iter().map(DamageEntry::new).collect(),
        }
    }
}

impl<'a> Record<'a> {
    fn new(record: RawRecordView<'a>, text: bool) -> Self {
        let bytes = |bytes| Bytes { bytes, text };
        let is_text = |header: RawHeader<'_>| std::str::from_utf8(header.name).is_ok();
        Self {
            offset: record.offset,
            timestamp: record.timestamp.millis(),
            key: bytes(record.key),
            value: bytes(record.value),
            headers: record.headers.iter().map(|header| (header.name_lossy(), bytes(header.value))).collect(),
            header_names: match record.headers.iter().all(is_text) {
                true => Vec::new(),
                // As base64 with --text, too: that they are not text is why they are here.
                false => record.headers.iter().map(|header| Bytes { bytes: Some(header.name), text: false }).collect(),
            },
        }
    }
}
