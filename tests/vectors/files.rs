//! Reads the files of this directory: the bytes of a vector, and the records in its manifest.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

#[path = "pack.rs"]
mod pack;

pub(crate) use self::pack::{bytes_of, entries, folder, large};

/// Returns the entries of `manifest.json`, with `batches` where they are omitted.
pub(crate) fn good<T: DeserializeOwned>() -> Vec<T> {
    let mut entries: Vec<Value> = entries("manifest.json");
    for entry in entries.iter_mut().filter(|entry| entry["batches"].is_null()) {
        let mut batch = entry.clone();
        batch["pos"] = 0.into();
        entry["batches"] = vec![batch].into();
    }
    let typed = |entry: Value| T::deserialize(&entry).unwrap_or_else(|error| panic!("{error}: {entry}"));
    entries.into_iter().map(typed).collect()
}

pub(crate) fn unbase64(text: Option<&str>) -> Option<Vec<u8>> {
    text.map(|text| BASE64.decode(text).expect("base64"))
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A record as the manifests and `inspect --json` write it; byte strings are base64.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecordEntry {
    pub(crate) offset: i64,
    pub(crate) timestamp: i64,
    pub(crate) key: Option<String>,
    pub(crate) value: Option<String>,
    pub(crate) headers: Vec<(String, Option<String>)>,
}

/// The records of a vector: in full, or their digest.
#[derive(Debug, Deserialize)]
pub(crate) struct Expected {
    record_count: usize,
    records: Option<Vec<RecordEntry>>,
    records_sha256: Option<String>,
}

impl Expected {
    /// Asserts that these are the records.
    #[track_caller]
    pub(crate) fn assert_are(&self, records: &[RecordEntry], file: &str) {
        assert_eq!(records.len(), self.record_count, "{file}");
        match (&self.records, &self.records_sha256) {
            (Some(expected), None) => assert_eq!(records, expected, "{file}"),
            (None, Some(expected)) => assert_eq!(digest(records), *expected, "the digest of the records of {file}"),
            _ => panic!("{file} has both records and records_sha256, or neither"),
        }
    }
}

/// Returns the `records_sha256` of records: `README.md` defines it.
fn digest(records: &[RecordEntry]) -> String {
    fn put(bytes: &mut Vec<u8>, data: Option<&[u8]>) {
        let len = data.map_or(-1, |data| i32::try_from(data.len()).expect("a length that Kafka can carry"));
        bytes.extend(len.to_be_bytes());
        bytes.extend(data.unwrap_or_default());
    }
    let mut bytes = Vec::new();
    for record in records {
        bytes.extend(record.offset.to_be_bytes());
        bytes.extend(record.timestamp.to_be_bytes());
        put(&mut bytes, unbase64(record.key.as_deref()).as_deref());
        put(&mut bytes, unbase64(record.value.as_deref()).as_deref());
        bytes.extend(i32::try_from(record.headers.len()).expect("a count that Kafka can carry").to_be_bytes());
        for (name, value) in &record.headers {
            put(&mut bytes, Some(name.as_bytes()));
            put(&mut bytes, unbase64(value.as_deref()).as_deref());
        }
    }
    sha256(&bytes)
}
