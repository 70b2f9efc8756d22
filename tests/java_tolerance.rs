//! Batches that a writer encoded incorrectly or that were damaged: what Java's reader returns, as measured
//! (`tests/vectors/java-tolerance`), and what this library returns.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use kafka_batch::compression::Codec;
use kafka_batch::decode::{
    DEFAULT_MAX_DECOMPRESSED, DecodeError, DecodeErrorKind, DecodeErrorScope, RawRecordView, RecordBatches, Records,
};
use serde::Deserialize;

#[path = "vectors/pack.rs"]
mod pack;

#[derive(Debug, Deserialize, PartialEq)]
struct Vector {
    file: String,
    bytes: usize,
    sha256: String,
    /// The reader's name and version.
    reader: String,
    /// From memory, as a consumer reads a Fetch response.
    java: Java,
    /// From a log segment, if that is different.
    java_file: Option<Java>,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Java {
    batches: Vec<JavaBatch>,
    /// The error that ended reading early.
    error: Option<String>,
}

#[derive(Debug, Deserialize, PartialEq)]
struct JavaBatch {
    bytes: usize,
    next_offset: Option<i64>,
    records: Vec<Entry>,
    error: Option<String>,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
struct Entry {
    offset: i64,
    timestamp: i64,
    key: Option<String>,
    value: Option<String>,
    headers: Vec<(String, Option<String>)>,
}

impl Java {
    fn records(&self) -> Vec<Entry> {
        self.batches.iter().flat_map(|batch| batch.records.clone()).collect()
    }

    fn is_sound(&self) -> bool {
        self.error.is_none() && self.batches.iter().all(|batch| batch.error.is_none())
    }
}

fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "vectors", "java-tolerance"].iter().collect()
}

fn bytes_of(name: &str) -> Vec<u8> {
    fs::read(folder().join(name).with_extension("bin")).expect(name)
}

fn manifest() -> Vec<Vector> {
    pack::entries("java-tolerance/manifest.json")
}

fn entry(record: &RawRecordView<'_>) -> Entry {
    let base64 = |bytes: Option<&[u8]>| bytes.map(|bytes| BASE64.encode(bytes));
    Entry {
        offset: record.offset,
        timestamp: record.timestamp.millis(),
        key: base64(record.key),
        value: base64(record.value),
        headers: record.headers.iter().map(|it| (it.name_lossy().into_owned(), base64(it.value))).collect(),
    }
}

/// The readable contents of a buffer: the records, and the errors.
#[derive(Debug, Default)]
struct Read {
    records: Vec<Entry>,
    errors: Vec<DecodeError>,
}

impl Read {
    fn new(bytes: &[u8], mut records: impl FnMut(&Records<'_>, &mut Self)) -> Self {
        let mut read = Self::default();
        for batch in RecordBatches::new(bytes) {
            match batch.and_then(|batch| batch.records(DEFAULT_MAX_DECOMPRESSED)) {
                Ok(found) => records(&found, &mut read),
                Err(error) => read.errors.push(error),
            }
        }
        read
    }

    fn lenient(bytes: &[u8]) -> Self {
        Self::new(bytes, |records, read| {
            for record in records.iter_lenient() {
                match record {
                    Ok(record) => read.records.push(entry(&record)),
                    Err(error) => read.errors.push(error),
                }
            }
        })
    }

    fn strict(bytes: &[u8]) -> Self {
        Self::new(bytes, |records, read| {
            for record in records {
                match record {
                    Ok(record) => read.records.push(entry(&record.into())),
                    Err(error) => read.errors.push(error),
                }
            }
        })
    }

    fn offsets(&self) -> Vec<i64> {
        self.records.iter().map(|record| record.offset).collect()
    }

    /// Formats `record 1 at 75..86`, `batch 104..208`, `rest from 207`; and the rest of a batch from a record on.
    fn scopes(&self) -> Vec<String> {
        let scope = |error: &DecodeError| match (error.record, error.scope) {
            (Some(record), DecodeErrorScope::Record { start, end }) => format!("record {record} at {start}..{end}"),
            (Some(record), DecodeErrorScope::Batch { .. }) => format!("batch from record {record}"),
            (None, DecodeErrorScope::Batch { end }) => format!("batch {}..{end}", error.batch_at),
            (None, DecodeErrorScope::Rest) => format!("rest from {}", error.batch_at),
            impossible => panic!("{impossible:?}"),
        };
        self.errors.iter().map(scope).collect()
    }
}

/// Differences between the lenient reading and Java's: the offsets that are read here, the scopes of the errors, and
/// the reason.
const DIFFERENCES: &[(&str, &[i64], &[&str], &str)] = &[
    // Java ends a batch at the first record that it cannot read; here the next one follows.
    ("header-name-null", &[100, 102], &["record 1 at 75..86"], "after the record"),
    ("header-count-minus-1", &[100, 102], &["record 1 at 75..83"], "after the record"),
    ("header-count-too-large", &[100, 102], &["record 1 at 75..87"], "after the record"),
    ("value-too-long", &[100, 102], &["record 1 at 75..85"], "after the record"),
    ("record-left-over", &[100, 102], &["record 1 at 75..87"], "after the record"),
    ("record-empty", &[100, 102], &["record 1 at 75..76"], "after the record"),
    ("v1-inner-checksum", &[100, 102], &["record 1 at 39..79"], "after the record"),
    ("v1-inner-compressed", &[100, 102], &["record 1 at 39..123"], "after the record"),
    // Java also loses valid records before the fault.
    ("count-one-less", &[100, 101], &["batch 0..104"], "Java drops the last record that is counted"),
    ("v0-inner-length", &[100], &["batch from record 1"], "Java drops the messages before it"),
    // Java ends without an error, and here there is one.
    ("count-0", &[], &["batch 0..104"], "Java ignores three records"),
    ("v0-inner-cut", &[100, 101], &["batch from record 2"], "Java ignores a message that is cut"),
    ("v1-inner-cut-wrapper-0", &[0, 1], &["batch from record 2"], "Java ignores a message that is cut"),
    ("v1-inner-cut", &[], &["batch 0..114"], "Java gives the records wrong offsets: 101, 102 for 100, 101"),
    ("offset-overflow", &[i64::MAX - 1, i64::MAX], &["record 2 at 90..104"], "Java's offset is negative"),
    // The framing is the same for every magic byte, so reading continues (in Java, for log segments).
    ("segment-magic-3", &[0, 1, 2, 6, 7, 8], &["batch 104..208"], "after the batch"),
    ("segment-magic-minus-1", &[0, 1, 2, 6, 7, 8], &["batch 104..208"], "after the batch"),
    // More is decompressed.
    ("lz4-two-frames", &[100, 101, 102], &[], "Java reads one frame"),
    ("zstd-zeros-1", &[100, 101, 102], &[], "padding is skipped as after gzip and LZ4"),
    ("zstd-zeros-40", &[100, 101, 102], &[], "padding is skipped as after gzip and LZ4"),
    ("zstd-garbage", &[100, 101, 102], &[], "padding is skipped as after gzip and LZ4"),
    // Less is decompressed.
    ("gzip-second-cut", &[], &["batch 0..132"], "Java hands out what it has before it finds the damage"),
    ("gzip-second-sum", &[], &["batch 0..144"], "Java hands out what it has before it finds the damage"),
    ("gzip-cut", &[], &["batch 0..120"], "Java hands out what it has before it finds the damage"),
    ("lz4-no-end", &[], &["batch 0..115"], "Java hands out what it has before it finds the damage"),
    ("zstd-second-cut", &[], &["batch 0..119"], "Java hands out what it has before it finds the damage"),
    ("zstd-no-end", &[], &["batch 0..112"], "Java hands out what it has before it finds the damage"),
    ("snappy-second-magic", &[], &["batch 0..148"], "Java compares half of the magic bytes"),
    ("v1-gzip-garbage", &[], &["batch 0..152"], "magic 1 has no count that shows that nothing is missing"),
    // As many records, with a different text.
    ("header-not-utf8", &[100, 101, 102], &[], "Java has one U+FFFD for an encoded surrogate, and Rust three"),
];

/// Scopes of the errors where Java reads the same records and also has an error.
const SCOPES: &[(&str, &[&str])] = &[
    ("record-length-negative", &["batch from record 1"]),
    ("record-length-too-long", &["batch from record 1"]),
    ("count-one-more", &["batch from record 3"]),
    ("count-one-more-gzip", &["batch from record 3"]),
    ("count-negative", &["batch 0..104"]),
    ("segment-checksum", &["batch 104..208"]),
    ("segment-magic-1", &["batch 104..208"]),
    ("segment-short", &["batch 104..136"]),
    ("segment-length-13", &["rest from 104"]),
    ("segment-length-negative", &["rest from 104"]),
    ("segment-length-one-short", &["batch 104..207", "rest from 207"]),
    ("segment-codec-5", &["batch 104..208"]),
    ("segment-gzip-damaged", &["batch 104..208"]),
    ("segment-count-negative", &["batch 104..208"]),
    ("segment-record-length", &["batch from record 1"]),
    ("segment-v1-checksum", &["batch 39..79"]),
    ("segment-v0-field", &["record 1 at 31..63"]),
    ("gzip-zeros-between", &["batch from record 0"]),
    ("gzip-second-method-7", &["batch from record 0"]),
    ("snappy-second-header-cut", &["batch 0..136"]),
    ("snappy-second-version-0", &["batch 0..148"]),
    ("snappy-block-0", &["batch 0..136"]),
    ("snappy-zeros-4", &["batch 0..130"]),
    ("snappy-zeros-40", &["batch 0..166"]),
    ("snappy-garbage", &["batch 0..136"]),
    ("snappy-raw-zeros", &["batch 0..110"]),
    ("snappy-raw-twice", &["batch 0..108"]),
    ("snappy-raw-then-xerial", &["batch 0..128"]),
    ("lz4-skippable-first", &["batch 0..130"]),
    ("lz4-second-cut", &["batch 0..125"]),
    ("v1-wrapper-too-small", &["batch 0..116"]),
    ("v1-wrapper-null", &["batch 0..34"]),
    ("v1-wrapper-no-messages", &["batch 0..54"]),
    ("v0-then-damaged-wrapper", &["batch 31..72"]),
];

fn row<'t, T>(table: &'t [T], name: impl Fn(&T) -> &str, file: &str) -> Option<&'t T> {
    table.iter().find(|row| Some(name(row)) == file.strip_suffix(".bin"))
}

/// Returns whether the codec of a vector is compiled in: zstd is not, without its feature.
fn is_readable(name: &str) -> bool {
    Codec::Zstd.is_compiled() || !name.starts_with("zstd-")
}

#[test]
fn java_s_records_are_read_and_every_difference_is_listed() {
    let manifest = manifest();
    assert_eq!(manifest.len(), 129);
    let mut listed = 0;
    for vector in manifest.iter().filter(|vector| is_readable(&vector.file)) {
        let file = &vector.file;
        let bytes = bytes_of(file);
        assert_eq!((bytes.len(), vector.reader.as_str()), (vector.bytes, "kafka-clients 4.4.0"), "{file}");
        let crate_reading = Read::lenient(&bytes);
        let java = vector.java.records();
        if let Some((_, offsets, scopes, why)) = row(DIFFERENCES, |row| row.0, file) {
            listed += 1;
            assert_eq!(crate_reading.offsets(), *offsets, "{file}: {why}");
            assert_eq!(crate_reading.scopes(), *scopes, "{file}: {why}");
            let same = crate_reading.records == java && crate_reading.errors.is_empty() == vector.java.is_sound();
            assert!(!same, "{file} is read as Java reads it, and is on the list of differences");
        } else {
            let scopes = row(SCOPES, |row| row.0, file).map_or(&[][..], |row| row.1);
            listed += usize::from(!scopes.is_empty());
            assert_eq!(crate_reading.records, java, "{file}: {:?}", crate_reading.errors);
            assert_eq!(crate_reading.scopes(), scopes, "{file}");
            // At a length beyond the end, Java ends without an error, and here there is a tail.
            assert_eq!(crate_reading.errors.is_empty(), vector.java.is_sound(), "{file}");
        }
    }
    let differences = DIFFERENCES.iter().filter(|row| is_readable(row.0)).count();
    assert_eq!(listed, differences + SCOPES.len(), "a row without a vector");
}

/// What only the lenient reading accepts: the record is an error in the other one, and the records around it are not.
#[test]
fn what_may_hide_damage_is_read_only_on_request() {
    const ONLY_LENIENT: [(&str, &[i64], &str); 12] = [
        ("header-latin1", &[100, 102], "record 1 at 75..108"),
        ("header-latin1-gzip", &[100, 102], "record 1 at 14..34"),
        ("header-not-utf8", &[100, 102], "record 1 at 75..131"),
        ("header-value-minus-2", &[100, 102], "record 1 at 75..86"),
        ("key-minus-2", &[100, 102], "record 1 at 75..83"),
        ("value-minus-2", &[100, 102], "record 1 at 75..83"),
        ("segment-v0-left-over", &[0, 2], "record 1 at 31..63"),
        ("v0-key-minus-2", &[0, 2], "record 1 at 31..63"),
        ("v1-value-minus-2", &[], "record 0 at 0..34"),
        ("v1-left-over", &[], "record 0 at 0..39"),
        ("v1-inner-magic-0", &[100, 102], "record 1 at 39..71"),
        ("v0-inner-magic-1", &[100, 102], "record 1 at 31..71"),
    ];
    for (name, offsets, scope) in ONLY_LENIENT {
        let read = Read::strict(&bytes_of(name));
        assert_eq!((&read.offsets()[..], read.scopes()), (offsets, vec![scope.to_owned()]), "{name}");
    }
    for vector in manifest() {
        let name = vector.file.strip_suffix(".bin").expect("a vector");
        if !ONLY_LENIENT.iter().any(|(only_lenient, ..)| *only_lenient == name) {
            let bytes = bytes_of(name);
            let (strict, lenient) = (Read::strict(&bytes), Read::lenient(&bytes));
            assert_eq!((&strict.records, &strict.errors), (&lenient.records, &lenient.errors), "{name}");
        }
    }
}

/// The names of a record's headers as bytes.
#[test]
fn header_names_are_available_as_bytes() {
    let bytes = bytes_of("header-latin1");
    let batch = RecordBatches::new(&bytes).next().unwrap().unwrap();
    let records = batch.records(DEFAULT_MAX_DECOMPRESSED).unwrap();
    let record = records.iter_lenient().nth(1).unwrap().unwrap();
    assert!(record.headers.iter().map(|header| header.name).eq([&b"good"[..], b"caf\xe9", b"last"]));
    let error = records.iter().nth(1).unwrap().unwrap_err();
    assert_eq!(error.kind, DecodeErrorKind::HeaderNameNotUtf8);
    let text = error.to_string();
    assert!(text.contains("in record 1 (75..108) of the batch at byte 0"), "{text}");
    assert!(text.contains("iter_lenient"), "{text}");
}

/// What `validate` reports and iteration accepts: offsets that no producer assigns.
#[test]
fn odd_offsets_are_read_and_do_not_validate() {
    const ODD: [(&str, u32); 10] = [
        ("offset-last-delta-0", 1),
        ("offset-last-delta-0-gzip", 1),
        ("offset-last-delta-negative", 0),
        ("offset-all-0", 1),
        ("offset-all-0-last-0", 1),
        ("offset-backwards", 1),
        ("offset-twice", 2),
        ("offset-from-1", 2),
        ("offset-negative", 0),
        ("offset-overflow", 2),
    ];
    for vector in manifest().iter().filter(|vector| vector.file.starts_with("offset-")) {
        let name = vector.file.strip_suffix(".bin").expect("a vector");
        let bytes = bytes_of(name);
        let batch = RecordBatches::new(&bytes).next().unwrap().unwrap();
        // As in Java, the header determines where the next batch starts. Java's can overflow.
        assert_eq!(batch.next_offset(), vector.java.batches[0].next_offset.filter(|&next| next >= 0), "{name}");
        let valid = batch.records(DEFAULT_MAX_DECOMPRESSED).unwrap().validate();
        match ODD.iter().find(|(odd, _)| *odd == name) {
            Some((_, record)) => {
                let error = valid.expect_err(name);
                assert_eq!(error.record, Some(*record), "{name}: {error}");
                assert!(matches!(error.scope, DecodeErrorScope::Record { start, end } if start < end), "{name}");
            }
            None => assert_eq!(valid, Ok(()), "{name}"),
        }
    }
}

/// The manifest describes what Java does: the program that wrote it is run again.
#[test]
#[ignore = "needs Java and the jars of Kafka 4.4.0: cargo with-kafka --kafka 4 -- cargo test --test java_tolerance -- --ignored"]
fn java_reads_the_vectors_as_the_manifest_describes() {
    let variable = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    let output = Command::new(variable("KAFKA_BATCH_JAVA"))
        .arg("-cp")
        .arg(variable("KAFKA_BATCH_KAFKA_BROKER_CLASSPATH"))
        .arg(folder().join("JavaTolerance.java"))
        .arg("read")
        .arg(folder())
        .output()
        .expect("Java starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut read: Vec<Vector> = serde_json::from_slice(&output.stdout).expect("a manifest");
    let mut manifest = manifest();
    for vectors in [&mut read, &mut manifest] {
        vectors.sort_by(|a, b| a.file.cmp(&b.file));
    }
    assert_eq!(read, manifest);
}
