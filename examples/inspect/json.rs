//! The batches as one JSON array: an object for each.

use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kafka_batch::{RecordBatch, RecordView, TimestampType};
use serde::{Serialize, Serializer};

use crate::Show;

/// Writes the array as it goes: it is whole whenever it ends, also behind the last sound batch of a damaged file.
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

    fn batch(&mut self, file: &str, batch: &RecordBatch<'_>, records: &[RecordView<'_>]) -> io::Result<()> {
        self.out.write_all(if self.batches == 0 { b"[\n" } else { b",\n" })?;
        self.batches += 1;
        serde_json::to_writer(&mut self.out, &Batch::new(file, batch, records)).map_err(io::Error::from)
    }

    fn end_file(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        self.out.write_all(if self.batches == 0 { b"[]\n" } else { b"\n]\n" })?;
        self.out.flush()
    }
}

/// One batch. What a format does not have is `null`: magic 0 and 1 have few of these.
#[derive(Serialize)]
struct Batch<'a> {
    /// Only where several files were asked for.
    #[serde(skip_serializing_if = "str::is_empty")]
    file: &'a str,
    pos: usize,
    bytes: usize,
    magic: i8,
    compression: &'static str,
    attributes: i16,
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
}

#[derive(Serialize)]
struct Record<'a> {
    offset: i64,
    timestamp: i64,
    key: Base64<'a>,
    value: Base64<'a>,
    /// Pairs in a list, and no map: names may repeat, and their order counts.
    headers: Vec<(&'a str, Base64<'a>)>,
}

/// Bytes as base64, and null as null: an empty string is something else.
struct Base64<'a>(Option<&'a [u8]>);

impl Serialize for Base64<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.map(|bytes| STANDARD.encode(bytes)).serialize(serializer)
    }
}

impl<'a> Batch<'a> {
    fn new(file: &'a str, batch: &RecordBatch<'_>, records: &'a [RecordView<'_>]) -> Self {
        let header = batch.header();
        Self {
            file,
            pos: batch.position().start,
            bytes: batch.bytes().len(),
            magic: batch.magic().id(),
            compression: batch.codec().name(),
            attributes: batch.attributes(),
            timestamp_type: batch.timestamp_type().map(|kind| match kind {
                TimestampType::CreateTime => "create",
                TimestampType::LogAppendTime => "append",
            }),
            is_transactional: header.map(|_| batch.is_transactional()),
            is_control: header.map(|_| batch.is_control()),
            // The header of magic 2 keeps its base offset when compaction has taken the first record away.
            base_offset: batch.base_offset().or_else(|| records.first().map(|record| record.offset)),
            last_offset_delta: header.map(|header| header.last_offset_delta),
            first_timestamp: header.map(|header| header.base_timestamp),
            max_timestamp: header.map(|header| header.max_timestamp),
            partition_leader_epoch: header.map(|header| header.partition_leader_epoch),
            producer_id: header.map(|header| header.producer_id),
            producer_epoch: header.map(|header| header.producer_epoch),
            base_sequence: header.map(|header| header.base_sequence),
            record_count: records.len(),
            records: records.iter().map(Record::new).collect(),
        }
    }
}

impl<'a> Record<'a> {
    fn new(record: &'a RecordView<'_>) -> Self {
        Self {
            offset: record.offset,
            timestamp: record.timestamp.millis(),
            key: Base64(record.key),
            value: Base64(record.value),
            headers: record.headers.iter().map(|header| (header.name, Base64(header.value))).collect(),
        }
    }
}
