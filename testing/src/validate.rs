//! The checks that a broker makes on a record set before it appends it: `ProduceRequest.validateRecords`,
//! `UnifiedLog.analyzeAndValidateRecords` and `LogValidator` of Apache Kafka 4.4.

use std::fmt;

use bytes::Bytes;
use kafka_batch_core::Magic;
use kafka_batch_core::compression::Codec;
use kafka_batch_core::decode::{DEFAULT_MAX_DECOMPRESSED, DecodeErrorKind, RecordBatches};

use crate::batch::{BatchInfo, ProducerStamp};
use crate::cluster::TopicConfig;

const CORRUPT: i16 = 2;
const UNKNOWN_SERVER_ERROR: i16 = -1;
const TOO_LARGE: i16 = 10;
const INVALID_TIMESTAMP: i16 = 32;
const UNSUPPORTED_COMPRESSION_TYPE: i16 = 76;
const INVALID_RECORD: i16 = 87;

/// Positions in the header of a batch of magic 2.
pub(crate) mod at {
    pub(crate) const LENGTH: usize = 8;
    pub(crate) const LEADER_EPOCH: usize = 12;
    pub(crate) const MAGIC: usize = 16;
    pub(crate) const CRC: usize = 17;
    pub(crate) const ATTRIBUTES: usize = 21;
    pub(crate) const LAST_OFFSET_DELTA: usize = 23;
    pub(crate) const MAX_TIMESTAMP: usize = 35;
    pub(crate) const PRODUCER_ID: usize = 43;
    pub(crate) const PRODUCER_EPOCH: usize = 51;
    pub(crate) const BASE_SEQUENCE: usize = 53;
    pub(crate) const RECORD_COUNT: usize = 57;
    pub(crate) const RECORDS: usize = 61;
}

/// Bits of the attributes of magic 2.
pub(crate) mod attribute {
    pub(crate) const CODEC: i16 = 0x07;
    pub(crate) const LOG_APPEND_TIME: i16 = 0x08;
    pub(crate) const TRANSACTIONAL: i16 = 0x10;
    pub(crate) const CONTROL: i16 = 0x20;
}

/// The reason why a record set is not appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rejection {
    pub(crate) code: i16,
    pub(crate) message: String,
    /// True if the response has the message: only if records are named, or if the whole request is rejected.
    pub(crate) shows_message: bool,
    /// The first offset of the log for the response, or −1.
    pub(crate) log_start: i64,
    /// The positions of the records that are the reason (KIP-467).
    pub(crate) records: Vec<(i32, &'static str)>,
}

impl Rejection {
    pub(crate) const fn new(code: i16) -> Self {
        Self { code, message: String::new(), shows_message: false, log_start: -1, records: Vec::new() }
    }

    fn because(code: i16, message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::new(code) }
    }

    /// Returns Kafka's name of the error code, of those that the checks here return.
    const fn code_name(&self) -> &'static str {
        match self.code {
            UNKNOWN_SERVER_ERROR => "UNKNOWN_SERVER_ERROR",
            CORRUPT => "CORRUPT_MESSAGE",
            INVALID_TIMESTAMP => "INVALID_TIMESTAMP",
            UNSUPPORTED_COMPRESSION_TYPE => "UNSUPPORTED_COMPRESSION_TYPE",
            INVALID_RECORD => "INVALID_RECORD",
            _ => "error code",
        }
    }

    pub(crate) fn of_records(code: i16, records: impl IntoIterator<Item = (i32, &'static str)>) -> Self {
        Self { shows_message: true, records: records.into_iter().collect(), ..Self::new(code) }
    }

    /// Sets the first offset of the log, which Kafka returns if what is wrong was found while appending.
    pub(crate) fn in_log(self, log_start: i64) -> Self {
        if matches!(self.code, CORRUPT | TOO_LARGE) { self } else { Self { log_start, ..self } }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.code_name(), self.code)?;
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        Ok(())
    }
}

/// A valid record set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Validated {
    pub(crate) info: BatchInfo,
    /// The number of bytes that it has.
    pub(crate) size: usize,
    /// The largest timestamp of its records, or −1.
    pub(crate) max_timestamp: i64,
}

/// Returns a big-endian number of the header. The caller has checked that there is a complete header.
pub(crate) fn number<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    *bytes[at..].first_chunk().expect("the header is complete")
}

fn i16_at(bytes: &[u8], at: usize) -> i16 {
    i16::from_be_bytes(number(bytes, at))
}

fn i32_at(bytes: &[u8], at: usize) -> i32 {
    i32::from_be_bytes(number(bytes, at))
}

fn i64_at(bytes: &[u8], at: usize) -> i64 {
    i64::from_be_bytes(number(bytes, at))
}

/// Returns the size of the batch or message at the start, if its bytes are complete.
fn first_size(bytes: &[u8]) -> Result<Option<usize>, Rejection> {
    if bytes.len() < at::LEADER_EPOCH {
        return Ok(None);
    }
    let length = i32_at(bytes, at::LENGTH);
    if length < 14 {
        return Err(Rejection::because(CORRUPT, format!("a length of {length}, which no format allows")));
    }
    if length > i32::MAX - 12 {
        // In Kafka the sum overflows.
        return Err(Rejection::because(UNKNOWN_SERVER_ERROR, format!("a length of {length}")));
    }
    if bytes.len() <= at::MAGIC {
        return Ok(None);
    }
    if !(0..=2).contains(&bytes[at::MAGIC]) {
        return Err(Rejection::because(CORRUPT, format!("magic {}", bytes[at::MAGIC])));
    }
    let size = 12 + length as usize;
    Ok((size <= bytes.len()).then_some(size))
}

/// Checks that the first batch or message can be found. Kafka does so for all record sets before anything else, and rejects
/// the whole request otherwise.
pub(crate) fn first_header(records: &[u8]) -> Result<(), Rejection> {
    match first_size(records) {
        Ok(_) => Ok(()),
        Err(rejection) => Err(Rejection { shows_message: rejection.code != UNKNOWN_SERVER_ERROR, ..rejection }),
    }
}

/// Returns the size of the largest batch or message of a record set that has passed [`layout`], in bytes.
pub(crate) fn largest(records: &[u8]) -> usize {
    let (mut largest, mut rest) = (0, records);
    while let Ok(Some(size)) = first_size(rest) {
        largest = largest.max(size);
        rest = &rest[size..];
    }
    largest
}

/// Checks that a record set has the layout that this version of Produce requires.
pub(crate) fn layout(records: &[u8], version: i16) -> Result<(), Rejection> {
    let first = first_size(records)?;
    if version < 3 {
        let newest = if version < 2 { 0 } else { 1 };
        return match first {
            Some(_) if records[at::MAGIC] > newest => {
                Err(Rejection::because(CORRUPT, format!("magic {} in Produce v{version}", records[at::MAGIC])))
            }
            _ => Ok(()),
        };
    }
    let Some(size) = first else {
        return Err(Rejection::because(INVALID_RECORD, format!("no batch in Produce v{version}")));
    };
    if records[at::MAGIC] != 2 {
        return Err(Rejection::because(INVALID_RECORD, format!("magic {} in Produce v{version}", records[at::MAGIC])));
    }
    if version < 7 && size >= at::RECORDS && i16_at(records, at::ATTRIBUTES) & attribute::CODEC == 4 {
        return Err(Rejection::because(UNSUPPORTED_COMPRESSION_TYPE, format!("zstd in Produce v{version}")));
    }
    if first_size(&records[size..])?.is_some() {
        return Err(Rejection::because(INVALID_RECORD, format!("more than one batch in Produce v{version}")));
    }
    Ok(())
}

/// Returns the producer's stamp of a batch of magic 2, which may be invalid otherwise.
pub(crate) fn stamp(records: &[u8]) -> Option<ProducerStamp> {
    if records.len() < at::RECORDS || records[at::MAGIC] != 2 {
        return None;
    }
    let producer = i64_at(records, at::PRODUCER_ID);
    (producer >= 0).then(|| ProducerStamp {
        producer,
        epoch: i16_at(records, at::PRODUCER_EPOCH),
        sequence: i32_at(records, at::BASE_SEQUENCE),
    })
}

/// Checks a record set that has passed [`layout`], and describes it. `now` is the broker's clock, in milliseconds.
pub(crate) fn batch(records: &Bytes, config: &TopicConfig, now: i64) -> Result<Validated, Rejection> {
    match first_size(records)? {
        Some(size) if records[at::MAGIC] == 2 => v2(&records[..size], config, now),
        _ => legacy(records, config),
    }
}

fn v2(batch: &[u8], config: &TopicConfig, now: i64) -> Result<Validated, Rejection> {
    if batch.len() < at::RECORDS {
        return Err(Rejection::because(CORRUPT, format!("a batch of {} bytes", batch.len())));
    }
    if i64_at(batch, 0) != 0 {
        return Err(Rejection::because(INVALID_RECORD, "a base offset other than 0"));
    }
    let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, &batch[at::ATTRIBUTES..]) as u32;
    if crc != u32::from_be_bytes(number(batch, at::CRC)) {
        return Err(Rejection::because(CORRUPT, "the checksum does not match the bytes"));
    }
    let attributes = i16_at(batch, at::ATTRIBUTES);
    let codec = codec(attributes)?;
    let (last_delta, count) = (i32_at(batch, at::LAST_OFFSET_DELTA), i32_at(batch, at::RECORD_COUNT));
    // As in Java, the sum is of 64 bits and the delta is not negative.
    let range = i64::from(last_delta) + 1;
    if range <= 0 {
        return Err(Rejection::because(INVALID_RECORD, format!("a last offset delta of {last_delta}")));
    }
    if count <= 0 {
        return Err(Rejection::because(INVALID_RECORD, format!("a record count of {count}")));
    }
    if range != i64::from(count) {
        return Err(Rejection::because(INVALID_RECORD, format!("{count} records, but {range} offsets")));
    }
    if attributes & attribute::CONTROL != 0 {
        return Err(Rejection::because(INVALID_RECORD, "a control batch"));
    }
    let stamp = stamp(batch);
    if stamp.is_some_and(|stamp| stamp.sequence < 0) {
        return Err(Rejection::because(INVALID_RECORD, "a producer id without a sequence number"));
    }
    let max_timestamp = checked_records(batch, codec, config, now)?.unwrap_or(i64_at(batch, at::MAX_TIMESTAMP));
    let is_transactional = attributes & attribute::TRANSACTIONAL != 0;
    let info = BatchInfo { records: count as u32, magic: Magic::V2, codec, stamp, is_transactional, control: None };
    Ok(Validated { info, size: batch.len(), max_timestamp })
}

fn codec(attributes: i16) -> Result<Codec, Rejection> {
    match attributes & attribute::CODEC {
        0 => Ok(Codec::None),
        1 => Ok(Codec::Gzip),
        2 => Ok(Codec::Snappy),
        3 => Ok(Codec::Lz4),
        4 => Ok(Codec::Zstd),
        id => Err(Rejection::because(UNKNOWN_SERVER_ERROR, format!("compression type {id}"))),
    }
}

/// Checks the records of a batch of magic 2. Returns the largest timestamp; `None` if they cannot be read because the codec
/// is not built in.
fn checked_records(batch: &[u8], codec: Codec, config: &TopicConfig, now: i64) -> Result<Option<i64>, Rejection> {
    let unreadable = |error: &dyn fmt::Display| Rejection::because(INVALID_RECORD, error.to_string());
    let decoded = RecordBatches::new(batch).next().ok_or_else(|| Rejection::new(CORRUPT))?;
    let decoded = decoded.map_err(|error| unreadable(&error))?;
    let records = match decoded.records(DEFAULT_MAX_DECOMPRESSED) {
        Ok(records) => records,
        Err(error) if is_not_built_in(&error.kind) => return Ok(None),
        // In Java, zstd of no bytes is no data, and anything else that cannot be decompressed is an unexpected exception.
        Err(error)
            if matches!(error.kind, DecodeErrorKind::Decompression(_))
                && (codec != Codec::Zstd || batch.len() > at::RECORDS) =>
        {
            return Err(Rejection::because(UNKNOWN_SERVER_ERROR, error.to_string()));
        }
        Err(error) => return Err(unreadable(&error)),
    };
    let mut max_timestamp = -1;
    let mut errors = Vec::new();
    let mut are_consecutive = true;
    let has_append_time = i16_at(batch, at::ATTRIBUTES) & attribute::LOG_APPEND_TIME != 0;
    for (position, record) in records.iter_lenient().enumerate() {
        let record = record.map_err(|error| unreadable(&error))?;
        let position = position as i32;
        are_consecutive &= record.offset == i64::from(position);
        max_timestamp = max_timestamp.max(record.timestamp.millis());
        if config.compacted && record.key.is_none() {
            errors.push((position, INVALID_RECORD, "a record without a key in a compacted topic"));
        } else if !config.log_append_time && !config.allows_timestamp(record.timestamp.millis(), now) {
            errors.push((position, INVALID_TIMESTAMP, "a timestamp out of range"));
        } else if has_append_time && (config.log_append_time || record.timestamp.millis() == -1) {
            errors.push((position, INVALID_TIMESTAMP, "a kind of timestamp that only brokers assign"));
        }
    }
    if !errors.is_empty() {
        let is_of_time = errors.iter().any(|(_, code, _)| *code == INVALID_TIMESTAMP);
        let code = if is_of_time { INVALID_TIMESTAMP } else { INVALID_RECORD };
        let named = errors.into_iter().map(|(position, _, message)| (position, message));
        return Err(Rejection { message: "some records are rejected".into(), ..Rejection::of_records(code, named) });
    }
    if codec != Codec::None && !are_consecutive {
        // Kafka would have to compress it again, and fails.
        return Err(Rejection::because(UNKNOWN_SERVER_ERROR, "the offsets of the records are not consecutive"));
    }
    Ok(Some(max_timestamp))
}

fn is_not_built_in(kind: &DecodeErrorKind) -> bool {
    use kafka_batch_core::compression::DecompressError;
    matches!(kind, DecodeErrorKind::Decompression(error) if matches!(**error, DecompressError::NotCompiled { .. }))
}

const fn no_records(magic: Magic, codec: Codec) -> BatchInfo {
    BatchInfo { records: 0, magic, codec, stamp: None, is_transactional: false, control: None }
}

/// Returns true if the first batch of a record set is part of a transaction.
pub(crate) fn is_transactional(records: &[u8]) -> bool {
    let size = first_size(records).ok().flatten().unwrap_or(0);
    let has_attributes = size >= at::LAST_OFFSET_DELTA && records[at::MAGIC] == 2;
    has_attributes && i16_at(records, at::ATTRIBUTES) & attribute::TRANSACTIONAL != 0
}

/// Returns the stamp of the first batch, if it is part of a transaction. It may be invalid otherwise.
pub(crate) fn transactional_stamp(records: &[u8]) -> Option<ProducerStamp> {
    let size = first_size(records).ok().flatten()?;
    stamp(&records[..size]).filter(|_| is_transactional(records))
}

/// Checks messages of magic 0 and 1.
fn legacy(records: &[u8], config: &TopicConfig) -> Result<Validated, Rejection> {
    let corrupt = |error: &dyn fmt::Display| Rejection::because(CORRUPT, error.to_string());
    let mut info: Option<BatchInfo> = None;
    let mut max_timestamp = -1;
    let mut errors = Vec::new();
    for batch in RecordBatches::new(records) {
        let batch = batch.map_err(|error| corrupt(&error))?;
        let so_far = info.get_or_insert(no_records(batch.magic(), batch.codec()));
        if so_far.magic != batch.magic() {
            return Err(Rejection::because(INVALID_RECORD, "messages of several formats"));
        }
        let decoded = match batch.records(DEFAULT_MAX_DECOMPRESSED) {
            Ok(decoded) => decoded,
            Err(error) if is_not_built_in(&error.kind) => {
                so_far.records += 1;
                continue;
            }
            Err(error) => return Err(corrupt(&error)),
        };
        for record in decoded.iter_lenient() {
            let record = record.map_err(|error| corrupt(&error))?;
            if config.compacted && record.key.is_none() {
                errors.push((so_far.records as i32, "a record without a key in a compacted topic"));
            }
            max_timestamp = max_timestamp.max(record.timestamp.millis());
            so_far.records += 1;
        }
    }
    if !errors.is_empty() {
        return Err(Rejection::of_records(INVALID_RECORD, errors));
    }
    let info = info.filter(|info| info.records > 0).ok_or_else(|| Rejection::because(CORRUPT, "no message"))?;
    Ok(Validated { info, size: records.len(), max_timestamp })
}
