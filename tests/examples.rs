//! The examples, run as their users run them: as processes, with arguments, and judged by what they print and answer.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use kafka_batch::{KafkaBatch, Record, Timestamp};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::mocking::MockCluster;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::Value;

use crate::files::{Expected, RecordEntry, bytes_of, entries, folder, good, large};

#[path = "vectors/files.rs"]
mod files;

/// `cargo test` builds the examples beside the folder of this test's own program.
fn example(name: &str) -> Command {
    let test = std::env::current_exe().expect("the path of this test");
    let profile = test.parent().and_then(Path::parent).expect("target/<profile>/deps/<test>");
    let path = profile.join("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(path.exists(), "{} is not there: run `cargo build --examples` first", path.display());
    Command::new(path)
}

/// Returns where a vector is, which is written to a folder for temporary files first if it has no file of its own.
fn vector(name: &str) -> PathBuf {
    if !large().contains_key(name) {
        return folder().join(name);
    }
    let unpacked = Path::new(env!("CARGO_TARGET_TMPDIR")).join("vectors");
    fs::create_dir_all(&unpacked).expect("a folder");
    let path = unpacked.join(name);
    fs::write(&path, bytes_of(name)).expect("a file");
    path
}

/// Returns the records of a batch as `inspect --json` shows them. They have all their fields and no others.
fn records(batch: &Value) -> Vec<RecordEntry> {
    let shown = &batch["records"];
    let records: Vec<RecordEntry> = serde_json::from_value(shown.clone()).expect("records");
    assert_eq!(&serde_json::to_value(&records).expect("JSON"), shown);
    records
}

/// What a run printed and answered.
struct Run {
    status: i32,
    out: String,
    err: String,
}

impl Run {
    fn of(output: Output) -> Self {
        let run = Self {
            status: output.status.code().expect("not ended by a signal"),
            out: String::from_utf8(output.stdout).expect("UTF-8"),
            err: String::from_utf8(output.stderr).expect("UTF-8"),
        };
        assert!(!run.err.contains("panicked"), "{}", run.err);
        run
    }

    fn batches(&self) -> Vec<Value> {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }

    /// Asserts that it ended with this status, and that its errors say all of this.
    #[track_caller]
    fn fails(&self, status: i32, says: &[&str]) {
        assert_eq!(self.status, status, "{}\n{}", self.out, self.err);
        for part in says {
            assert!(self.err.contains(part), "{part:?} is not in:\n{}", self.err);
        }
    }
}

fn run(command: &mut Command, input: &[u8]) -> Run {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the example starts");
    let mut stdin = child.stdin.take().expect("it is piped");
    let input = input.to_vec();
    // From another thread: an example that prints much before it has read all would wait for us, and we for it.
    let writer = std::thread::spawn(move || {
        let _ = stdin.write_all(&input); // those that stop early close their end
    });
    let output = child.wait_with_output().expect("the example ends");
    writer.join().expect("the writer ends");
    Run::of(output)
}

fn inspect<A: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = A>) -> Run {
    run(example("inspect").args(arguments), b"")
}

#[test]
fn inspect_shows_every_vector_as_its_manifest_has_it() {
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
    let manifest: Vec<Value> = good();
    let path = |entry: &Value| vector(entry["file"].as_str().expect("a name")).display().to_string();
    let run = inspect(["--json".into()].into_iter().chain(manifest.iter().map(path)));
    assert_eq!(run.status, 0, "{}", run.err);

    let mut shown: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for batch in run.batches() {
        shown.entry(batch["file"].as_str().expect("a name").into()).or_default().push(batch);
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

    // A tail is reported, by name, and nothing else is.
    let tails: Vec<_> = manifest.iter().filter(|vector| vector["truncated_tail"] == true).map(path).collect();
    let reported: Vec<_> = run.err.lines().filter_map(|line| line.split_once(": ").map(|(file, _)| file)).collect();
    assert_eq!(reported, tails);
}

#[test]
fn inspect_refuses_every_corrupt_vector_and_shows_what_stands_before_the_fault() {
    for entry in entries::<Value>("corrupt.json") {
        let file = entry["file"].as_str().expect("a name");
        let run = inspect(["--json".as_ref(), vector(file).as_os_str()]);
        run.batches(); // whole JSON, whatever comes
        let lenient = entry["incomplete"] == true || entry["strict_only"] == true;
        if !(lenient && run.status == 0) {
            run.fails(1, &["error: ", file, " is damaged at byte "]);
        } else if entry["incomplete"] == true {
            assert!(run.err.contains("is incomplete"), "{file}: {}", run.err);
        }
    }
    // Two messages of magic 1, the second one damaged: also without --json the first is shown.
    let run = inspect([vector("c022-v1-second-crc.bin")]);
    run.fails(1, &["at byte 53, in the batch at bytes 41..", "checksum"]);
    assert!(run.out.contains("batches: 1, records: 1, bytes: 41"), "{}", run.out);
}

/// Whatever is damaged, what Java reads of a file is shown and so is what is lost; and the exit status still says that
/// there is damage.
#[test]
fn inspect_goes_on_behind_damage_if_asked_to() {
    let file = |name: &str| folder().join("java-tolerance").join(name).display().to_string();
    let shown = |arguments: &[&str]| inspect(arguments);

    // Three batches, of which a bit of the second one has changed.
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
    assert!(batches[0].get("damage").is_none(), "there is none");
    assert_eq!(
        (&batches[1]["pos"], &batches[1]["bytes"], &batches[1]["magic"]),
        (&104.into(), &104.into(), &Value::Null)
    );
    let damage = &batches[1]["damage"][0];
    assert_eq!((&damage["scope"], &damage["end"], &damage["region"]), (&"batch".into(), &208.into(), &"file".into()));
    assert_eq!(batches[2]["records"][2]["offset"], 8);

    // A record that only a lenient reader takes: shown, with its names as bytes, and reported.
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

    // Where it is not known where the next batch begins, all that follows is lost.
    let run = shown(&["--skip-damaged", "--json", &file("segment-length-13.bin")]);
    run.fails(1, &["in the batch at byte 104: the length is 13"]);
    let batches = run.batches();
    assert_eq!((batches.len(), &batches[1]["bytes"]), (2, &208.into()));
    assert_eq!((&batches[1]["damage"][0]["scope"], &batches[1]["damage"][0]["end"]), (&"rest".into(), &Value::Null));

    // Odd offsets are no damage.
    let run = shown(&[&file("offset-all-0.bin")]);
    assert_eq!((run.status, run.err.as_str()), (0, ""));
    assert!(run.out.contains("odd offsets"), "{}", run.out);
    assert_eq!(shown(&["--json", &file("offset-all-0.bin")]).batches()[0]["odd_offsets"], true);
    assert!(!shown(&[&file("offset-gaps.bin")]).out.contains("odd"), "compaction leaves gaps");

    // Every vector: whole JSON whose sizes add up to what is not a tail, and a status that says whether there is damage.
    let (tolerated, corrupt): (Vec<Value>, Vec<Value>) =
        (entries("java-tolerance/manifest.json"), entries("corrupt.json"));
    for entry in tolerated.iter().chain(&corrupt) {
        let name = entry["file"].as_str().expect("a name");
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
fn inspect_shows_tables_reads_standard_input_and_keeps_to_the_ceiling() {
    let txn = vector("304-v2-txn-lz4.bin");
    let bytes = fs::read(&txn).expect("a vector");
    let run_with = |arguments: &[&str]| run(example("inspect").args(arguments), &bytes);

    let table = run_with(&["-"]);
    assert_eq!((table.status, table.err.as_str()), (0, ""));
    let row: Vec<_> = table.out.lines().nth(1).expect("a row").split_whitespace().collect();
    assert_eq!(row[..7], ["0", "2", "lz4", "0..11", "12", "505", "7/3/0"]);
    assert_eq!(row.last(), Some(&"transactional"));

    let json = run_with(&["--json", "-"]).batches();
    assert_eq!(json.len(), 1);
    assert!(json[0].get("file").is_none(), "there is one file, and it needs no name");

    run_with(&["-", "--max-decompressed", "10"]).fails(1, &["more than 10 bytes"]);
    run_with(&["no-such-file"]).fails(2, &["no-such-file cannot be read"]);
    run_with(&[]).fails(2, &["FILE"]);
    assert_eq!(run(example("inspect").args(["--json", "-"]), b"").out, "[]\n");
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
        batch.extend([Record::new("v")]).expect("it fits");
        log.extend_from_slice(batch.seal().expect("sealed").without_producer_id().bytes());
    }
    let run = run(example("inspect").arg("-"), &log);
    assert_eq!(run.out.lines().count(), times.len() + 2, "{}", run.out);
    for (line, (_, shown)) in run.out.lines().skip(1).zip(times) {
        assert!(line.contains(&format!("  {shown}  ")), "{shown} is not in {line}");
    }
}

fn publish(arguments: &[&str], input: impl AsRef<[u8]>) -> Run {
    run(example("publish").args(arguments), input.as_ref())
}

/// The number behind a word at the beginning of a line of the summary.
fn number(run: &Run, word: &str) -> usize {
    let line = run.out.lines().find(|line| line.starts_with(word)).unwrap_or_else(|| panic!("no {word}: {}", run.out));
    let number = line[word.len()..].split_whitespace().next().expect("a number");
    number.trim_end_matches(',').parse().unwrap_or_else(|_| panic!("{line}"))
}

#[test]
fn publish_without_arguments_publishes_all_of_the_sample() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/bike-stations.jsonl");
    let lines = fs::read_to_string(sample).expect("the sample").lines().count();
    let run = publish(&[], "");
    assert_eq!((run.status, run.err.as_str()), (0, ""), "{}", run.out);
    assert_eq!(number(&run, "records"), lines);
    assert!(number(&run, "batches") > 10);
    assert!(number(&run, "compressed") < number(&run, "raw"));
    let batches: Vec<_> = run.out.lines().filter(|line| line.starts_with("batch ")).collect();
    assert_eq!(batches.len(), number(&run, "batches"));
    let (last, full) = batches.split_last().expect("batches");
    assert!(full.iter().all(|line| line.contains("full (batch size): next needs ")), "{full:#?}");
    assert!(last.contains("end of input"), "{last}");
}

#[test]
fn publish_does_the_same_over_every_transport() {
    let counted = ["tokio", "async-std", "rdkafka"].map(|transport| {
        let run = publish(&["--transport", transport], "");
        assert_eq!((run.status, run.err.as_str()), (0, ""), "{transport}: {}", run.out);
        ["batches", "records", "raw", "compressed"].map(|word| number(&run, word))
    });
    assert!(counted.iter().all(|of_one| *of_one == counted[0]), "{counted:?}");
}

#[test]
fn publish_puts_headers_keys_and_times_where_it_is_told() {
    let cluster = MockCluster::new(1).expect("a cluster");
    cluster.create_topic("orders", 2, 1).expect("a topic");
    let brokers = cluster.bootstrap_servers();
    let mut arguments = vec!["--brokers", &brokers, "--topic", "orders", "--partition", "1"];
    arguments.extend(["--compression", "gzip:9", "--correlation-id", "42", "--reply-to", "answers", "-"]);
    arguments.extend(["--header", "a=1", "--header", "b=", "--header", "a=x=y"]);
    arguments.extend(["--key-field", "id", "--time-field", "when"]);
    let run = publish(&arguments, "{\"id\":7,\"when\":1234567890123}\n\n  \"no key\" \n");
    assert_eq!((run.status, run.err.as_str()), (0, ""), "{}", run.out);

    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", &brokers).set("group.id", "test").create().expect("a consumer");
    let mut list = TopicPartitionList::new();
    list.add_partition_offset("orders", 1, Offset::Beginning).expect("an offset");
    consumer.assign(&list).expect("assigned");
    let next = || consumer.poll(Duration::from_secs(20)).expect("a message").expect("no error").detach();
    let [first, second] = [next(), next()];
    assert_eq!(first.key(), Some(&b"7"[..]));
    assert_eq!(first.payload(), Some(&br#"{"id":7,"when":1234567890123}"#[..]));
    assert_eq!(first.timestamp().to_millis(), Some(1_234_567_890_123));
    let headers: Vec<_> = first
        .headers()
        .expect("headers")
        .iter()
        .map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec)))
        .collect();
    let expected = [
        ("content-type", "application/json"),
        ("correlation_id", "42"),
        ("reply_to", "answers"),
        ("a", "1"),
        ("b", ""),
        ("a", "x=y"),
    ];
    assert_eq!(headers, expected.map(|(name, value)| (name.to_owned(), Some(value.as_bytes().to_vec()))));
    assert_eq!((second.key(), second.payload()), (None, Some(&br#""no key""#[..])));
}

#[test]
fn publish_goes_on_with_the_record_that_found_no_room() {
    let lines: String = (0..50).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    let run = publish(&["--batch-size", "200", "--compression", "none", "-"], &lines);
    assert_eq!(run.status, 0, "{}", run.err);
    assert_eq!(number(&run, "records"), 50);
    assert!(number(&run, "batches") > 10);
    assert_eq!(number(&run, "compressed"), number(&run, "raw"));
}

#[test]
fn publish_names_the_line_that_is_at_fault_and_what_was_published_before_it() {
    let good = "{\"n\":1}\n".repeat(20);
    let left = "not published: line 21 and after";
    let run = publish(&["--batch-size", "400", "-"], format!("{good}{{\"n\":oops}}\n{good}"));
    run.fails(1, &["error: line 21 of standard input is not JSON", "column 6", "remedy: "]);
    run.fails(1, &["published: 3 batches (20 records)", left]);

    let large = format!("{good}\"{}\"\n{good}", "x".repeat(2_000_000));
    let run = publish(&["--compression", "none", "-"], &large);
    run.fails(1, &["error: line 21: the record alone", "make that record smaller", "1 batch (20 records)", left]);

    let noise: String = (1u64..250_000).map(|n| format!("{:x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    let run = publish(&["-"], format!("{good}\"{noise}\"\n{good}"));
    run.fails(1, &["error: line 21: ", "even when compressed", "make that record smaller", left]);

    let run = publish(&["-"], b"{}\n\xff\n");
    run.fails(1, &["line 2 of standard input is not UTF-8", "1 batch (1 record)", "not published: line 2"]);
}

#[test]
fn publish_tells_which_batches_a_broker_took_before_it_refused_one() {
    let cluster = MockCluster::new(1).expect("a cluster");
    cluster.create_topic("orders", 1, 1).expect("a topic");
    let fine = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR;
    let refused = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    cluster.request_errors(RDKafkaApiKey::Produce, &[fine, fine, refused]);
    let lines: String = (0..50).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    let brokers = cluster.bootstrap_servers();
    let run = publish(&["--brokers", &brokers, "--topic", "orders", "--batch-size", "200", "-"], &lines);
    run.fails(1, &["error: lines 7 to 9: ", "TOPIC_AUTHORIZATION_FAILED"]);
    run.fails(1, &["published: 2 batches (6 records)", "not published: line 7 and after"]);
}

#[test]
fn publish_admits_what_it_does_not_know() {
    let cluster = MockCluster::new(1).expect("a cluster");
    cluster.create_topic("orders", 1, 1).expect("a topic");
    let silent = RDKafkaRespErr::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT;
    cluster.request_errors(RDKafkaApiKey::Produce, &[silent; 1_000]);
    let brokers = cluster.bootstrap_servers();
    let run = publish(&["--brokers", &brokers, "--topic", "orders", "--timeout", "1", "-"], "{}\n{}\n");
    run.fails(
        1,
        &["error: lines 1 to 2: ", "published: nothing", "of lines 1 to 2: 0 written, 0 not written, 2 unknown"],
    );
}

#[test]
fn publish_names_the_option_that_is_at_fault() {
    publish(&["--compression", "brotli"], "")
        .fails(2, &["--compression", "brotli", "none, gzip, snappy, lz4 and zstd"]);
    publish(&["--compression", "gzip:99"], "").fails(2, &["--compression", "gzip:99", "9"]);
    publish(&["--header", "plain"], "").fails(2, &["--header", "plain", "NAME=VALUE"]);
    publish(&["--timeout", "0"], "").fails(2, &["--timeout", "1 to 3600"]);
    publish(&["--partition", "-1"], "").fails(2, &["--partition"]);
    publish(&["no-such-file"], "").fails(1, &["no-such-file cannot be opened", "remedy: ", "published: nothing"]);
    publish(&["--partition", "3"], "").fails(1, &["--partition", "3", "name one from 0 to 2", "published: nothing"]);
}

#[test]
fn publish_gives_up_in_time_where_no_broker_answers() {
    let begun = Instant::now();
    let run = publish(&["--brokers", "127.0.0.1:1", "--timeout", "2"], "");
    run.fails(1, &["127.0.0.1:1", "--brokers", "remedy: ", "published: nothing"]);
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

fn blocking(arguments: &[&str]) -> Run {
    run(example("blocking").args(arguments), b"")
}

#[test]
fn blocking_without_arguments_publishes_over_plain_sockets() {
    let run = blocking(&[]);
    assert_eq!((run.status, run.err.as_str()), (0, ""), "{}", run.out);
    assert!(run.out.contains(": Produce v10, which takes magic 2; Metadata v12; InitProducerId v4"), "{}", run.out);
    assert!(run.out.contains("records  10000, all read back as they were published"), "{}", run.out);
    let batches: Vec<_> = run.out.lines().filter(|line| line.starts_with("batch ")).collect();
    assert_eq!(batches.len(), number(&run, "batches "));
    for partition in 0..3 {
        let place = format!(" of readings-{partition}");
        let first = batches.iter().find(|line| line.ends_with(&place)).expect("some batch");
        assert!(first.contains(" records at offsets 0 to "), "{first}");
    }
}

#[test]
fn blocking_publishes_as_it_is_told() {
    let cluster = MockCluster::new(2).expect("a cluster");
    cluster.create_topic("orders", 2, 1).expect("a topic");
    let brokers = cluster.bootstrap_servers();
    for (acks, seen) in [
        ("all", "all read back as they were published"),
        ("1", "all read back as they were published"),
        ("0", "not read back: with --acks 0 their offsets are unknown"),
    ] {
        let to = ["--brokers", &brokers, "--topic", "orders", "--partition", "1", "--acks", acks];
        let run = blocking(&[&to[..], &["--count", "50", "--batch-size", "300", "--compression", "gzip:9"]].concat());
        assert_eq!((run.status, run.err.as_str()), (0, ""), "{}", run.out);
        assert!(run.out.ends_with(&format!("records  50, {seen}\n")), "{}", run.out);
        assert!(number(&run, "batches ") > 5);
        assert!(!run.out.contains("orders-0"), "{}", run.out);
    }
    assert_eq!(blocking(&["--count", "0"]).status, 0);
}

/// More than a socket takes at once, and by a name that may stand for several addresses.
#[test]
fn blocking_writes_large_batches_whole() {
    let cluster = MockCluster::new(1).expect("a cluster");
    cluster.create_topic("orders", 1, 1).expect("a topic");
    let brokers = cluster.bootstrap_servers().replace("127.0.0.1", "localhost");
    let to = ["--brokers", &brokers, "--topic", "orders", "--count", "90000"];
    let run = blocking(&[&to[..], &["--batch-size", "1000000", "--compression", "none"]].concat());
    assert_eq!((run.status, run.err.as_str()), (0, ""), "{}", run.out);
    assert!(run.out.ends_with("records  90000, all read back as they were published\n"), "{}", run.out);
    assert!((3..6).contains(&number(&run, "batches ")), "{}", run.out);
}

#[test]
fn blocking_says_what_is_wrong_and_what_to_do() {
    blocking(&["--brokers", "localhost"]).fails(2, &["--brokers", "HOST:PORT"]);
    blocking(&["--acks", "2"]).fails(2, &["--acks", "all, 1 or 0"]);
    blocking(&["--partition", "3"]).fails(1, &["--partition 3", "name one from 0 to 2"]);
    let said = "cannot be published to: no answer came within request.timeout.ms: ";
    blocking(&["--topic", "no such name", "--brokers", "127.0.0.1:1", "--timeout", "2"])
        .fails(1, &["127.0.0.1:1: could not connect: Connection refused", said, "remedy: "]);

    let cluster = MockCluster::new(1).expect("a cluster");
    cluster.create_topic("orders", 1, 1).expect("a topic");
    let fine = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR;
    let refused = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    cluster.request_errors(RDKafkaApiKey::Produce, &[fine, refused]);
    let run = blocking(&["--brokers", &cluster.bootstrap_servers(), "--topic", "orders", "--batch-size", "200"]);
    run.fails(
        1,
        &["batch 1: ", "TOPIC_AUTHORIZATION_FAILED", "not written", "delivered before it: 1 batches", "remedy: "],
    );
}
