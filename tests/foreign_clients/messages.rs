//! What the test and the programs tell each other: a job as one line of JSON to standard input, and lines of JSON from
//! standard output (`README.md`). Bytes are base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use kafka_batch::proptest::OwnedRecord;
use kafka_batch_testing::StoredRecord;
use serde::{Deserialize, Serialize};

/// The codecs, by the names that all clients use.
pub(crate) const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];

/// What to write.
#[derive(Debug, Serialize)]
pub(crate) struct WriteJob {
    pub(crate) topic: String,
    pub(crate) partitions: Vec<Target>,
    /// They are written to each partition, with a producer of its own.
    pub(crate) records: Vec<RecordFields>,
    /// After this many records of each partition have been acknowledged, the program waits for a line.
    pub(crate) pause_after: Option<usize>,
}

impl WriteJob {
    pub(crate) fn new(topic: String, partitions: Vec<Target>, records: &[OwnedRecord]) -> Self {
        Self { topic, partitions, records: records.iter().map(RecordFields::from).collect(), pause_after: None }
    }
}

/// A partition to write to, and how.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Target {
    pub(crate) partition: i32,
    pub(crate) codec: &'static str,
    pub(crate) idempotent: bool,
}

/// What to read, from the first offset on.
#[derive(Debug, Serialize)]
pub(crate) struct ReadJob {
    pub(crate) partitions: Vec<Source>,
    /// The timestamp in ms of which the first record is to be found.
    pub(crate) time: i64,
    /// After this many records of each partition have been read, the program waits for a line.
    pub(crate) pause_after: Option<usize>,
}

/// A partition to read from.
#[derive(Debug, Serialize)]
pub(crate) struct Source {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) count: usize,
}

/// A record, without its place.
#[derive(Clone, Deserialize, Serialize, PartialEq)]
pub(crate) struct RecordFields {
    pub(crate) key: Option<String>,
    pub(crate) value: Option<String>,
    pub(crate) headers: Vec<(String, Option<String>)>,
    /// In milliseconds since the epoch.
    pub(crate) timestamp: i64,
}

/// A line from a program.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Line {
    /// The first one: which client it is.
    Client { name: String, version: String },
    /// A record was acknowledged.
    Sent { partition: i32, position: usize, offset: i64 },
    /// The offsets of a partition.
    Range(Range),
    /// A record was read.
    Record(FetchedRecord),
    /// The program waits for a line.
    Paused,
}

/// A partition.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub(crate) struct Place {
    pub(crate) topic: String,
    pub(crate) partition: i32,
}

/// The offsets of a partition, as returned by ListOffsets.
#[derive(Debug, Deserialize)]
pub(crate) struct Range {
    #[serde(flatten)]
    pub(crate) place: Place,
    pub(crate) earliest: i64,
    pub(crate) latest: i64,
    /// The first record that is not older than the job's time: its offset, and its timestamp if the client returns it.
    pub(crate) from_time: Option<(i64, Option<i64>)>,
}

impl Range {
    /// Checks the offsets. `first` is the first record that is not older than the job's time.
    pub(crate) fn check(&self, earliest: i64, latest: i64, first: Option<(i64, i64)>, reader: &str) {
        assert_eq!((self.earliest, self.latest), (earliest, latest), "{reader}, {:?}", self.place);
        assert_eq!(self.from_time.map(|found| found.0), first.map(|found| found.0), "{reader}, {:?}", self.place);
        if let (Some((_, Some(found))), Some((_, timestamp))) = (self.from_time, first) {
            assert_eq!(found, timestamp, "{reader}, {:?}", self.place);
        }
    }
}

/// A record that was read.
#[derive(Debug, Deserialize)]
pub(crate) struct FetchedRecord {
    #[serde(flatten)]
    pub(crate) place: Place,
    pub(crate) offset: i64,
    #[serde(flatten)]
    pub(crate) fields: RecordFields,
}

pub(crate) fn encoded(bytes: Option<&[u8]>) -> Option<String> {
    bytes.map(|bytes| BASE64.encode(bytes))
}

pub(crate) fn decoded(text: Option<&String>) -> Option<Vec<u8>> {
    text.map(|text| BASE64.decode(text).expect("base64"))
}

impl From<&OwnedRecord> for RecordFields {
    fn from(record: &OwnedRecord) -> Self {
        let headers = record.headers.iter().map(|header| (header.name.clone(), encoded(header.value.as_deref())));
        Self {
            key: encoded(record.key.as_deref()),
            value: encoded(record.value.as_deref()),
            headers: headers.collect(),
            timestamp: record.timestamp.expect("each has a timestamp").millis(),
        }
    }
}

impl From<&StoredRecord> for RecordFields {
    fn from(record: &StoredRecord) -> Self {
        let headers = record.headers.iter().map(|(name, value)| (name.clone(), encoded(value.as_deref())));
        Self {
            key: encoded(record.key.as_deref()),
            value: encoded(record.value.as_deref()),
            headers: headers.collect(),
            timestamp: record.timestamp_ms,
        }
    }
}

/// Short, so that the failure of a comparison is readable.
impl std::fmt::Debug for RecordFields {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = |field: &Option<String>| match decoded(field.as_ref()) {
            Some(bytes) if bytes.len() > 80 => format!("{} bytes", bytes.len()),
            Some(bytes) => format!("\"{}\"", bytes.escape_ascii()),
            None => "null".to_owned(),
        };
        write!(f, "{}: {} = {}", self.timestamp, text(&self.key), text(&self.value))?;
        self.headers.iter().try_for_each(|(name, value)| write!(f, ", {name:?}: {}", text(value)))
    }
}
