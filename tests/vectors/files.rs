//! Reads the files of this directory: the bytes of a vector, and the records in its manifest.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

/// Returns the entries of a JSON file.
pub(crate) fn entries<T: DeserializeOwned>(file: &str) -> Vec<T> {
    serde_json::from_slice(&bytes_of(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

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

/// Returns the bytes of a file, which is a file of its own or in `large.zst`.
pub(crate) fn bytes_of(file: &str) -> Vec<u8> {
    match large().get(file) {
        Some(bytes) => bytes.clone(),
        None => fs::read(folder().join(file)).unwrap_or_else(|error| panic!("{file}: {error}")),
    }
}

/// Returns the files in `large.zst`: for each of them a line with name and size, then its bytes.
pub(crate) fn large() -> &'static HashMap<String, Vec<u8>> {
    static LARGE: OnceLock<HashMap<String, Vec<u8>>> = OnceLock::new();
    LARGE.get_or_init(|| {
        let packed = fs::read(folder().join("large.zst")).expect("large.zst");
        let unpacked = zstd::decode_all(&packed[..]).expect("large.zst");
        let mut rest = &unpacked[..];
        let mut files = HashMap::new();
        while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
            let line = std::str::from_utf8(&rest[..end]).expect("a line in large.zst");
            let (name, size) = line.split_once(' ').expect("a name and a size in large.zst");
            let (bytes, next) = rest[end + 1..].split_at(size.parse().expect("a size in large.zst"));
            assert!(files.insert(name.to_owned(), bytes.to_vec()).is_none(), "{name} is twice in large.zst");
            rest = next;
        }
        assert!(rest.is_empty(), "{} bytes are left of large.zst", rest.len());
        files
    })
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
