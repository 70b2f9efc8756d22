//! The batches of log segments, as a table and as JSON lines.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use kafka_batch::{
    BatchOptions, Header, KafkaBatch, Magic, MagicChoice, Record, Timestamp, TokioProducer, TopicPartition,
    Transport as _,
};
use kafka_batch_testing::{Release, TestCluster};
use serde_json::Value;

use crate::files::{Expected, RecordEntry, entries, folder, good};
use crate::{Run, program, run, vector};

/// Returns the records of a batch as `inspect --json` shows them, with exactly the expected fields.
fn records(batch: &Value) -> Vec<RecordEntry> {
    let shown = &batch["records"];
    let records: Vec<RecordEntry> = serde_json::from_value(shown.clone()).expect("records");
    assert_eq!(&serde_json::to_value(&records).expect("JSON"), shown);
    records
}

/// Returns whether a batch of this entry of the manifest is compressed with zstd.
fn uses_zstd(vector: &Value) -> bool {
    vector["batches"].as_array().expect("batches").iter().any(|batch| batch["compression"] == "zstd")
}

fn inspect<A: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = A>) -> Run {
    run(program().args(arguments), b"")
}

#[test]
fn inspect_shows_every_vector_as_its_manifest_describes_it() {
    const FIELDS: [&str; 13] = [
        "magic",
        "compression",
        "is_transactional",
        "is_control",
        "producer_id",
        "producer_epoch",
        "base_sequence",
        "partition_leader_epoch",
        "last_offset_delta",
        "first_timestamp",
        "max_timestamp",
        "timestamp_type",
        "attributes",
    ];
    let mut manifest: Vec<Value> = good();
    manifest.retain(|vector| cfg!(feature = "zstd") || !uses_zstd(vector));
    let path = |entry: &Value| vector(entry["file"].as_str().expect("a file name")).display().to_string();
    let run = inspect(["--json".into()].into_iter().chain(manifest.iter().map(path)));
    assert_eq!(run.status, 0, "{}", run.err);

    let mut shown: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for batch in run.batches() {
        shown.entry(batch["file"].as_str().expect("a file name").into()).or_default().push(batch);
    }
    for vector in &manifest {
        let file = path(vector);
        let batches = shown.remove(&file).unwrap_or_default();
        let records: Vec<_> = batches.iter().flat_map(records).collect();
        serde_json::from_value::<Expected>(vector.clone()).expect("records").assert_are(&records, &file);
        assert_eq!(
            batches.first().map_or(&Value::Null, |batch| &batch["base_offset"]),
            &vector["base_offset"],
            "{file}"
        );

        let entries = vector["batches"].as_array().expect("batches");
        assert_eq!(batches.len(), entries.len(), "{file}");
        for (batch, entry) in batches.iter().zip(entries) {
            for field in ["pos", "bytes", "magic", "compression", "attributes", "timestamp_type"] {
                assert_eq!(batch[field], entry[field], "{field} in {file}");
            }
            assert_eq!(batch["record_count"], batch["records"].as_array().expect("records").len(), "{file}");
            // The manifest has null where the batches of one file differ.
            for field in FIELDS.iter().filter(|&&field| entries.len() == 1 || !vector[field].is_null()) {
                assert_eq!(batch[field], vector[field], "{field} in {file}");
            }
        }
    }
    assert!(shown.is_empty());

    // Tails are reported, with the file name, and nothing else is.
    let tails: Vec<_> = manifest.iter().filter(|vector| vector["truncated_tail"] == true).map(path).collect();
    let reported: Vec<_> = run.err.lines().filter_map(|line| line.split_once(": ").map(|(file, _)| file)).collect();
    assert_eq!(reported, tails);
}

#[test]
fn inspect_fails_at_every_corrupt_vector_and_shows_what_precedes_the_damage() {
    for entry in entries::<Value>("corrupt.json") {
        let file = entry["file"].as_str().expect("a file name");
        let run = inspect(["--json".as_ref(), vector(file).as_os_str()]);
        run.batches(); // complete lines of JSON in every case
        let lenient = entry["incomplete"] == true || entry["strict_only"] == true;
        if !(lenient && run.status == 0) {
            run.fails(1, &["error: ", file, " is damaged at byte "]);
        } else if entry["incomplete"] == true {
            assert!(run.err.contains("is incomplete"), "{file}: {}", run.err);
        }
    }
    // Two messages of magic 1, the second of which is damaged: the first is shown without --json too.
    let run = inspect([vector("c022-v1-second-crc.bin")]);
    run.fails(1, &["at byte 53, in the batch at bytes 41..", "checksum"]);
    assert!(run.out.contains("batches: 1, records: 1, bytes: 41"), "{}", run.out);
}

/// With `--skip-damaged`, what Java reads of a damaged file is shown, and what is lost. The exit status still reports the
/// damage.
#[test]
fn inspect_continues_after_damage_with_skip_damaged() {
    let file = |name: &str| folder().join("java-tolerance").join(name).display().to_string();
    let shown = |arguments: &[&str]| inspect(arguments);

    // Three batches; one bit of the second has changed.
    let checksum = file("segment-checksum.bin");
    let stops = shown(&[&checksum]);
    stops.fails(1, &["in the batch at bytes 104..208: the checksum"]);
    assert!(stops.out.ends_with("batches: 1, records: 3, bytes: 104\n"), "{}", stops.out);
    let skips = shown(&["--skip-damaged", &checksum]);
    skips.fails(1, &["in the batch at bytes 104..208: the checksum"]);
    assert_eq!(skips.err.lines().count(), 1, "{}", skips.err);
    let rows: Vec<Vec<_>> = skips.out.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[1][..6], ["0", "2", "none", "0..2", "3", "104"]);
    assert_eq!(rows[2][..], ["104", "-", "-", "-", "0", "104", "-", "-", "-", "damaged"]);
    assert_eq!(rows[3][..6], ["208", "2", "none", "6..8", "3", "104"]);
    let sum = "batches: 3, records: 6, bytes: 312, damaged batches: 1, damaged records: 0\n";
    assert!(skips.out.ends_with(sum), "{}", skips.out);

    let json = shown(&["--skip-damaged", "--json", &checksum]);
    assert_eq!(json.status, 1);
    let batches = json.batches();
    assert_eq!(batches.len(), 3);
    assert!(batches[0].get("damage").is_none(), "the first batch is not damaged");
    assert_eq!(
        (&batches[1]["pos"], &batches[1]["bytes"], &batches[1]["magic"]),
        (&104.into(), &104.into(), &Value::Null)
    );
    let damage = &batches[1]["damage"][0];
    assert_eq!((&damage["scope"], &damage["end"], &damage["region"]), (&"batch".into(), &208.into(), &"file".into()));
    assert_eq!(batches[2]["records"][2]["offset"], 8);

    // A record that only a lenient reader accepts is shown, with its header names as bytes, and reported.
    let latin1 = file("header-latin1.bin");
    let run = shown(&["--skip-damaged", "--json", &latin1]);
    run.fails(1, &["in record 1 (75..108) of the batch at byte 0: the header name is not UTF-8"]);
    let batch = &run.batches()[0];
    assert_eq!(batch["record_count"], 3);
    let record = &batch["records"][1];
    assert_eq!(record["headers"][1][0], "caf\u{fffd}");
    assert_eq!(record["header_names"], serde_json::json!(["Z29vZA==", "Y2Fm6Q==", "bGFzdA=="]));
    assert_eq!(batch["damage"][0]["scope"], "record");
    assert!(batch["records"][0].get("header_names").is_none());
    let table = shown(&["--skip-damaged", &latin1]);
    assert!(table.out.contains("damaged records: 1\n"), "{}", table.out);
    shown(&[&latin1]).fails(1, &["the header name is not UTF-8"]);

    // If the position of the next batch is unknown, the rest of the file is lost.
    let run = shown(&["--skip-damaged", "--json", &file("segment-length-13.bin")]);
    run.fails(1, &["in the batch at byte 104: the length is 13"]);
    let batches = run.batches();
    assert_eq!((batches.len(), &batches[1]["bytes"]), (2, &208.into()));
    assert_eq!((&batches[1]["damage"][0]["scope"], &batches[1]["damage"][0]["end"]), (&"rest".into(), &Value::Null));

    // Odd offsets are not damage.
    let run = shown(&[&file("offset-all-0.bin")]);
    assert_eq!((run.status, run.err.as_str()), (0, ""));
    assert!(run.out.contains("odd offsets"), "{}", run.out);
    assert_eq!(shown(&["--json", &file("offset-all-0.bin")]).batches()[0]["odd_offsets"], true);
    assert!(!shown(&[&file("offset-gaps.bin")]).out.contains("odd"), "compaction leaves gaps");

    // Every vector: complete JSON whose sizes add up to the size without the tail, and an exit status that reports damage.
    let (tolerated, corrupt): (Vec<Value>, Vec<Value>) =
        (entries("java-tolerance/manifest.json"), entries("corrupt.json"));
    for entry in tolerated.iter().chain(&corrupt) {
        let name = entry["file"].as_str().expect("a file name");
        let tolerated = folder().join("java-tolerance").join(name);
        let path = if tolerated.exists() { tolerated } else { vector(name) };
        let run = inspect(["--skip-damaged".as_ref(), "--json".as_ref(), path.as_os_str()]);
        let mut end = 0;
        let mut damaged = false;
        for batch in run.batches() {
            let number = |field: &str| batch[field].as_u64().expect(field);
            assert_eq!(number("pos"), end, "{name}");
            end += number("bytes");
            damaged |= batch.get("damage").is_some();
        }
        assert_eq!(run.status, i32::from(damaged), "{name}: {}", run.err);
        let size = fs::metadata(&path).expect(name).len();
        assert_eq!(end < size, run.err.contains("is incomplete"), "{name}: {end} of {size}, {}", run.err);
    }
}

#[test]
fn inspect_shows_tables_reads_standard_input_and_limits_decompression() {
    let txn = vector("304-v2-txn-lz4.bin");
    let bytes = fs::read(&txn).expect("a vector");
    let run_with = |arguments: &[&str]| run(program().args(arguments), &bytes);

    let table = run_with(&["-"]);
    assert_eq!((table.status, table.err.as_str()), (0, ""));
    let row: Vec<_> = table.out.lines().nth(1).expect("a row").split_whitespace().collect();
    assert_eq!(row[..7], ["0", "2", "lz4", "0..11", "12", "505", "7/3/0"]);
    assert_eq!(row.last(), Some(&"transactional"));

    let json = run_with(&["--json", "-"]).batches();
    assert_eq!(json.len(), 1);
    assert!(json[0].get("file").is_none(), "one file is shown without its name");

    run_with(&["-", "--max-decompressed", "10"]).fails(1, &["more than 10 bytes"]);
    run_with(&["no-such-file"]).fails(2, &["no-such-file cannot be read"]);
    run_with(&[]).fails(2, &["FILE"]);
    assert_eq!(run(program().args(["--json", "-"]), b"").out, "");
}

#[test]
fn inspect_shows_any_time_that_a_record_can_have() {
    let times = [
        (0, "1970-01-01 00:00:00.000"),
        (-2, "1969-12-31 23:59:59.998"),
        (951_782_400_000, "2000-02-29 00:00:00.000"),
        (-2_203_891_200_001, "1900-02-28 23:59:59.999"),
        (-2_203_891_200_000, "1900-03-01 00:00:00.000"),
        (253_402_300_799_999, "9999-12-31 23:59:59.999"),
        (-62_167_219_200_000, "0000-01-01 00:00:00.000"),
        (i64::MAX, "9223372036854775807 ms"),
        (i64::MIN, "-9223372036854775808 ms"),
        (-1, "-"),
    ];
    let mut log = Vec::new();
    for (millis, _) in times {
        let mut batch = KafkaBatch::new(Timestamp::from_millis(millis));
        batch.extend([Record::new("v")]).expect("within the limits");
        log.extend_from_slice(batch.seal().expect("sealed").without_producer_id().bytes());
    }
    let run = run(program().arg("-"), &log);
    assert_eq!(run.out.lines().count(), times.len() + 2, "{}", run.out);
    for (line, (_, shown)) in run.out.lines().skip(1).zip(times) {
        assert!(line.contains(&format!("  {shown}  ")), "{shown} is not in {line}");
    }
}

/// The log of a test cluster, written to a file, in each format: the records are those that the cluster stores, and the
/// headers have what the broker assigned.
#[test]
fn inspect_shows_the_log_of_a_test_cluster() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    for (release, magic) in [(Release::V0_9, Magic::V0), (Release::V0_10, Magic::V1), (Release::NEWEST, Magic::V2)] {
        let cluster = TestCluster::builder().release(release).topic("orders").start().expect("a cluster");
        let builder = TokioProducer::builder().set("bootstrap.servers", cluster.bootstrap_servers());
        let builder = builder.set("broker.version.fallback", "0.9.0").set("enable.idempotence", "false");
        let producer = runtime.block_on(async { builder.build() }).expect("a producer");
        let mut codecs = vec!["none", "gzip", "snappy", "lz4"];
        codecs.extend((cfg!(feature = "zstd") && magic == Magic::V2).then_some("zstd"));
        let unit = [Header::new("unit", "bikes")];
        let headers = if magic == Magic::V2 { &unit[..] } else { &[] };
        for codec in &codecs {
            let options = BatchOptions::default().magic(MagicChoice::Pinned(magic));
            let options = options.compression(codec.parse().expect("a codec"));
            let mut batch = options.build(1_700_000_000_000).expect("valid options");
            for n in 0..20 {
                let value = format!("{{\"station\":{n},\"bikes\":7}}");
                let record = Record::new(value.as_str()).key("station").headers(headers);
                assert!(batch.append(record).expect("a record").appended().is_some());
            }
            runtime.block_on(async {
                let accepted = producer.send_batch(batch, TopicPartition::new("orders", 0)).await;
                accepted.expect("an accepted batch").await.expect("a delivery");
            });
        }
        let log = cluster.log("orders", 0).expect("the partition");
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("orders-0-{magic:?}.log"));
        fs::write(&path, log.segment()).expect("a file");

        let run = inspect(["--json".as_ref(), path.as_os_str()]);
        assert_eq!((run.status, run.err.as_str()), (0, ""), "{magic:?}");
        let shown = run.batches();
        let base64 = |bytes: Option<&Bytes>| bytes.map(|bytes| BASE64.encode(bytes));
        let stored = log.records().expect("valid batches").into_iter().map(|record| RecordEntry {
            offset: record.offset,
            timestamp: record.timestamp_ms,
            key: base64(record.key.as_ref()),
            value: base64(record.value.as_ref()),
            headers: record.headers.iter().map(|(name, value)| (name.clone(), base64(value.as_ref()))).collect(),
        });
        let found: Vec<_> = shown.iter().flat_map(records).collect();
        assert_eq!(found, stored.collect::<Vec<_>>(), "{magic:?}");
        assert_eq!(found.len(), 20 * codecs.len(), "{magic:?}");
        assert!(shown.iter().all(|batch| batch["magic"] == magic as u8), "{magic:?}");
        if magic == Magic::V2 {
            assert_eq!(shown.len(), log.batches().len());
            for (batch, stored) in shown.iter().zip(log.batches()) {
                assert_eq!(batch["base_offset"], stored.base_offset);
                assert_eq!(batch["partition_leader_epoch"], stored.leader_epoch);
                assert_eq!(batch["compression"], stored.info.codec.name());
            }
            let found: BTreeSet<_> =
                shown.iter().map(|batch| batch["compression"].as_str().expect("a codec")).collect();
            assert_eq!(found, codecs.iter().copied().collect());
        }
        fs::remove_file(path).expect("the file");
    }
}
