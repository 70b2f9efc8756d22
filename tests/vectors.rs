//! Bytes of other encoders (`tests/vectors/README.md` lists them), decoded, rebuilt and rejected as their
//! manifests describe.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use kafka_batch::batch::{Boundary, Stamp};
use kafka_batch::compression::Codec;
use kafka_batch::decode::{DEFAULT_MAX_DECOMPRESSED, DecodeError, RecordBatches, TimestampType};
use kafka_batch::{Append, BatchOptions, Compression, Header, KafkaBatch, Magic, MagicChoice, Record, Timestamp};
use serde::Deserialize;

use crate::files::{Expected, RecordEntry, bytes_of, entries, folder, good, large, sha256, unbase64};

#[path = "vectors/files.rs"]
mod files;

#[derive(Debug, Deserialize)]
struct Vector {
    file: String,
    bytes: usize,
    sha256: String,
    magic: Option<i8>,
    compression: Option<String>,
    is_transactional: Option<bool>,
    is_control: Option<bool>,
    producer_id: Option<i64>,
    producer_epoch: Option<i16>,
    base_sequence: Option<i32>,
    base_offset: Option<i64>,
    partition_leader_epoch: Option<i32>,
    last_offset_delta: Option<i32>,
    first_timestamp: Option<i64>,
    max_timestamp: Option<i64>,
    timestamp_type: Option<String>,
    attributes: Option<i16>,
    byte_exact: bool,
    #[serde(default)]
    truncated_tail: bool,
    #[serde(default)]
    tail_bytes: usize,
    batches: Vec<BatchEntry>,
    #[serde(flatten)]
    expected: Expected,
}

impl Vector {
    /// Reads the records of the file, and checks them against the manifest.
    fn records(&self) -> Vec<RecordEntry> {
        let (records, tail) = decode(&bytes_of(&self.file)).unwrap_or_else(|error| panic!("{}: {error}", self.file));
        self.expected.assert_are(&records, &self.file);
        assert_eq!(tail > 0, self.truncated_tail, "{}", self.file);
        assert_eq!(tail, self.tail_bytes, "{}", self.file);
        records
    }
}

#[derive(Debug, Deserialize)]
struct BatchEntry {
    pos: usize,
    bytes: usize,
    magic: i8,
    compression: String,
    attributes: i16,
}

#[derive(Debug, Deserialize)]
struct Corrupt {
    file: String,
    bytes: usize,
    sha256: String,
    broken: String,
    #[serde(default)]
    incomplete: bool,
    #[serde(default)]
    strict_only: bool,
}

#[derive(Debug, Deserialize)]
struct Overflow {
    name: String,
    magic: i8,
    compression: String,
    batch_size: usize,
    records: Vec<RecordEntry>,
    accepted: usize,
    accepted_flags: Vec<bool>,
    size_before_first: usize,
    size_after_each: Vec<usize>,
    metadata: Vec<Option<MetadataEntry>>,
    built: Option<Built>,
}

#[derive(Debug, Deserialize)]
struct MetadataEntry {
    offset: usize,
    size: usize,
    timestamp: i64,
    crc: Option<u32>,
}

#[derive(Debug, Deserialize)]
struct Built {
    bytes: usize,
}

fn base64(bytes: Option<&[u8]>) -> Option<String> {
    bytes.map(|bytes| BASE64.encode(bytes))
}

/// Returns all records of a buffer, and the number of bytes of its incomplete tail.
fn decode(bytes: &[u8]) -> Result<(Vec<RecordEntry>, usize), DecodeError> {
    let mut batches = RecordBatches::new(bytes);
    let mut records = Vec::new();
    for batch in &mut batches {
        for record in &batch?.records(DEFAULT_MAX_DECOMPRESSED)? {
            let record = record?;
            let headers = record.headers.iter().map(|header| (header.name.to_owned(), base64(header.value)));
            records.push(RecordEntry {
                offset: record.offset,
                timestamp: record.timestamp.millis(),
                key: base64(record.key),
                value: base64(record.value),
                headers: headers.collect(),
            });
        }
    }
    Ok((records, batches.tail().map_or(0, |tail| tail.present)))
}

/// A manifest's record, owned, so that a `Record` can borrow from it.
struct Owned {
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
    timestamp: i64,
}

impl Owned {
    fn new(entry: &RecordEntry) -> Self {
        Self {
            key: unbase64(entry.key.as_deref()),
            value: unbase64(entry.value.as_deref()),
            headers: entry.headers.iter().map(|(name, value)| (name.clone(), unbase64(value.as_deref()))).collect(),
            timestamp: entry.timestamp,
        }
    }

    fn headers(&self) -> Vec<Header<'_>> {
        self.headers.iter().map(|(name, value)| Header { name, value: value.as_deref() }).collect()
    }

    fn record<'a>(&'a self, headers: &'a [Header<'a>]) -> Record<'a> {
        let timestamp = Some(Timestamp::from_millis(self.timestamp));
        Record { key: self.key.as_deref(), value: self.value.as_deref(), headers: headers.into(), timestamp }
    }
}

/// Returns whether the codec of this name is compiled in: zstd is not, without its feature.
fn is_compiled(codec: &str) -> bool {
    codec.parse::<Codec>().expect("a codec in a manifest").is_compiled()
}

/// Returns the vectors all of whose codecs are compiled in.
fn readable() -> Vec<Vector> {
    let is_readable = |vector: &Vector| vector.batches.iter().all(|batch| is_compiled(&batch.compression));
    good().into_iter().filter(is_readable).collect()
}

fn pinned(magic: i8) -> MagicChoice {
    MagicChoice::Pinned(Magic::from_id(magic).expect("a magic in a manifest"))
}

#[test]
fn every_vector_decodes_to_the_records_of_its_manifest() {
    assert_eq!(good::<Vector>().len(), 392);
    let vectors = readable();
    assert_eq!(vectors.len(), if is_compiled("zstd") { 392 } else { 368 });
    for vector in &vectors {
        vector.records();
    }
}

/// Every file is in a manifest.
#[test]
fn every_file_is_the_one_in_its_manifest() {
    let good = good::<Vector>().into_iter().map(|vector| (vector.file, vector.bytes, vector.sha256));
    let broken = entries::<Corrupt>("corrupt.json").into_iter().map(|entry| (entry.file, entry.bytes, entry.sha256));
    let mut named: Vec<_> = good.chain(broken).collect();
    named.sort();
    let loose = folder().read_dir().expect("the vectors").map(|file| file.expect("a file").file_name());
    let loose = loose.filter_map(|name| name.into_string().ok().filter(|name| name.ends_with(".bin")));
    let mut files: Vec<_> = loose.chain(large().keys().filter(|name| name.ends_with(".bin")).cloned()).collect();
    files.sort();
    let files: Vec<_> = files
        .into_iter()
        .map(|file| {
            let bytes = bytes_of(&file);
            (file, bytes.len(), sha256(&bytes))
        })
        .collect();
    assert_eq!(files, named);
}

#[test]
fn every_header_equals_that_of_its_manifest() {
    for vector in &good::<Vector>() {
        let file = &vector.file;
        let bytes = bytes_of(file);
        let batches: Vec<_> = RecordBatches::new(&bytes).map(|batch| batch.expect(file)).collect();
        assert_eq!(batches.len(), vector.batches.len(), "{file}");
        for (batch, expected) in batches.iter().zip(&vector.batches) {
            assert_eq!(batch.position(), expected.pos..expected.pos + expected.bytes, "{file}");
            assert_eq!(batch.magic().id(), expected.magic, "{file}");
            assert_eq!(batch.codec().name(), expected.compression, "{file}");
            assert_eq!(batch.attributes(), expected.attributes, "{file}");
        }
        let all = |predicate: &dyn Fn(&kafka_batch::decode::RecordBatch<'_>) -> bool| batches.iter().all(predicate);
        assert!(vector.magic.is_none_or(|magic| all(&|batch| batch.magic().id() == magic)), "{file}");
        assert!(vector.compression.as_ref().is_none_or(|codec| all(&|batch| batch.codec().name() == codec)), "{file}");
        assert!(vector.attributes.is_none_or(|attributes| all(&|batch| batch.attributes() == attributes)), "{file}");
        let [batch] = batches.as_slice() else { continue };
        let Some(header) = batch.header() else { continue };
        assert_eq!(Some(batch.is_transactional()), vector.is_transactional, "{file}");
        assert_eq!(Some(batch.is_control()), vector.is_control, "{file}");
        assert_eq!(Some(header.producer_id), vector.producer_id, "{file}");
        assert_eq!(Some(header.producer_epoch), vector.producer_epoch, "{file}");
        assert_eq!(Some(header.base_sequence), vector.base_sequence, "{file}");
        assert_eq!(Some(header.base_offset), vector.base_offset, "{file}");
        assert_eq!(Some(header.partition_leader_epoch), vector.partition_leader_epoch, "{file}");
        assert_eq!(Some(header.last_offset_delta), vector.last_offset_delta, "{file}");
        assert_eq!(Some(header.base_timestamp), vector.first_timestamp, "{file}");
        assert_eq!(Some(header.max_timestamp), vector.max_timestamp, "{file}");
        let timestamp_type = match batch.timestamp_type() {
            Some(TimestampType::CreateTime) => "create",
            Some(TimestampType::LogAppendTime) => "append",
            None => "none",
        };
        assert_eq!(vector.timestamp_type.as_deref(), Some(timestamp_type), "{file}");
        if !batch.codec().is_compiled() {
            continue;
        }
        for record in &batch.records(DEFAULT_MAX_DECOMPRESSED).expect(file) {
            assert!(!batch.is_control() || record.expect(file).control().is_ok(), "{file}");
        }
    }
}

#[test]
fn every_byte_exact_vector_is_rebuilt_byte_for_byte() {
    let mut rebuilt = 0;
    for vector in good::<Vector>().iter().filter(|vector| vector.byte_exact) {
        let magic = vector.magic.expect("one magic");
        let options = BatchOptions::default().batch_size(1 << 30).max_message_bytes(1 << 30).magic(pinned(magic));
        let mut batch = options.build(Timestamp::from_millis(0)).unwrap();
        let base = if magic == 2 { vector.base_offset.unwrap_or(0) } else { 0 };
        for entry in &vector.records() {
            let owned = Owned::new(entry);
            let headers = owned.headers();
            let append = batch.append_at((entry.offset - base) as u32, owned.record(&headers));
            assert!(append.expect(&vector.file).appended().is_some(), "{}", vector.file);
        }
        let sealed = batch.seal().expect(&vector.file);
        let stamped = match (vector.producer_id, vector.producer_epoch, vector.base_sequence) {
            (Some(id), Some(epoch), Some(sequence)) => {
                let stamp = Stamp::NONE
                    .producer(id, epoch, sequence)
                    .transactional(vector.is_transactional == Some(true))
                    .base_offset(base)
                    .partition_leader_epoch(vector.partition_leader_epoch.unwrap_or(-1));
                sealed.stamp(stamp).expect(&vector.file)
            }
            _ => sealed.without_producer_id(),
        };
        assert_eq!(stamped.bytes()[..], bytes_of(&vector.file)[..], "{}", vector.file);
        rebuilt += 1;
    }
    assert_eq!(rebuilt, 196);
}

#[test]
fn every_broken_vector_is_rejected_as_its_entry_describes() {
    let mut lenient = Vec::new();
    for entry in entries::<Corrupt>("corrupt.json") {
        match decode(&bytes_of(&entry.file)) {
            Err(error) => {
                let text = error.to_string();
                assert!(text.starts_with("at byte "), "{}: {text}", entry.file);
            }
            Ok((_, tail)) if entry.incomplete => assert!(tail > 0, "{} ({})", entry.file, entry.broken),
            Ok(_) if entry.strict_only => lenient.push(entry.file),
            Ok(_) => panic!("{} was accepted: {}", entry.file, entry.broken),
        }
    }
    // Raw Snappy has no checksum: a flipped byte can decompress to well-formed records.
    assert_eq!(lenient, ["c112-v2-snappy-flip.bin"]);
}

#[test]
fn every_overflow_scenario_ends_as_with_aiokafka() {
    let mut scenarios: Vec<Overflow> = entries("overflow.json");
    scenarios.extend(entries("overflow-large.json"));
    assert_eq!(scenarios.len(), 75);
    for scenario in scenarios.iter().filter(|scenario| is_compiled(&scenario.compression)) {
        let name = &scenario.name;
        let compression: Compression = scenario.compression.parse().expect(name);
        let mut batch = BatchOptions::default()
            .batch_size(scenario.batch_size)
            .boundary(Boundary::Aiokafka)
            .compression(compression)
            .magic(pinned(scenario.magic))
            .build(Timestamp::from_millis(0))
            .expect(name);
        assert_eq!(batch.size(), scenario.size_before_first, "{name}");
        let mut flags = Vec::new();
        for (index, entry) in scenario.records.iter().enumerate() {
            let owned = Owned::new(entry);
            let headers = owned.headers();
            let append = batch.append_at(entry.offset as u32, owned.record(&headers)).expect(name);
            match (append, &scenario.metadata[index]) {
                (Append::Appended(appended), Some(expected)) => {
                    assert_eq!((appended.offset as usize, appended.size), (expected.offset, expected.size), "{name}");
                    assert_eq!(
                        (appended.timestamp.millis(), appended.crc),
                        (expected.timestamp, expected.crc),
                        "{name}"
                    );
                }
                (Append::Full(full), None) => assert_eq!(full.needed, batch.cost(owned.record(&headers)).unwrap()),
                (append, expected) => panic!("{name}, record {index}: {append:?}, not {expected:?}"),
            }
            flags.push(append.appended().is_some());
            assert_eq!(batch.size(), scenario.size_after_each[index], "{name}");
        }
        assert_eq!(flags, scenario.accepted_flags, "{name}");
        assert_eq!(flags.iter().take_while(|&&taken| taken).count(), scenario.accepted, "{name}");
        if let (Codec::None, Some(built)) = (compression.codec(), &scenario.built) {
            assert_eq!(batch.seal().expect(name).size(), built.bytes, "{name}");
        }
    }
}

/// A reopened batch equals the original.
#[test]
fn a_reopened_batch_equals_the_original() {
    for vector in good::<Vector>().iter().filter(|vector| vector.byte_exact) {
        let mut batch = BatchOptions::default()
            .batch_size(1 << 30)
            .max_message_bytes(1 << 30)
            .magic(pinned(vector.magic.expect("one magic")))
            .build(Timestamp::from_millis(0))
            .unwrap();
        for entry in &vector.records() {
            let owned = Owned::new(entry);
            let headers = owned.headers();
            let _ = batch.append(owned.record(&headers)).expect(&vector.file);
        }
        let again: KafkaBatch = batch.clone().seal().expect(&vector.file).without_producer_id().into_batch();
        assert_eq!(again, batch, "{}", vector.file);
    }
}
