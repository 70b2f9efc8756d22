//! A partition's directory as Kafka 4.4.0 has written it: `tests/segments` describes its contents.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::{Run, program, run};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/segments/orders-0")
}

fn file(base: &str, extension: &str) -> String {
    directory().join(format!("000000000000000000{base}.{extension}")).display().to_string()
}

fn inspect(arguments: &[&str]) -> Run {
    run(program().args(arguments), b"")
}

/// The options with which the damage is not that a codec is missing.
fn with_codecs(arguments: &[&str]) -> Run {
    match cfg!(feature = "zstd") {
        true => inspect(arguments),
        false => inspect(&[arguments, &["--offsets", "0..23"]].concat()),
    }
}

#[test]
fn records_are_those_that_were_produced() {
    let run = with_codecs(&["--json", "--records", "--text", &file("00", "log")]);
    assert_eq!((run.status, run.err.as_str()), (0, ""));
    let records = run.batches();
    assert_eq!(records.len(), if cfg!(feature = "zstd") { 34 } else { 24 });
    let expected = json!({
        "offset": 13, "timestamp": 1_700_000_002_010_i64, "timestamp_type": "create",
        "key": "k5", "value": format!("v000201{}", "x".repeat(40)), "headers": [["trace", "t0"]],
        "producer_id": 2, "producer_epoch": 0, "sequence": 1,
    });
    assert_eq!(records[13], expected);

    // The second segment: markers, transactions, and a producer without id.
    let run = inspect(&["--json", "--records", &file("34", "log")]);
    let records = run.batches();
    let of = |field: &str| records.iter().map(|record| record[field].clone()).collect::<Vec<_>>();
    assert_eq!(of("offset"), (34..=48).map(Value::from).collect::<Vec<_>>());
    let control: Vec<_> = of("control").into_iter().filter(|control| !control.is_null()).collect();
    assert_eq!(control, ["commit", "abort", "commit"]);
    assert_eq!(of("sequence")[..4], [Value::Null, 4.into(), 5.into(), 6.into()]);
    assert_eq!(of("producer_id")[8], Value::Null);
    assert_eq!(of("is_transactional").iter().filter(|value| *value == true).count(), 8);
}

#[test]
fn filters_select_records() {
    let of = |filters: &[&str]| -> Vec<i64> {
        let run = inspect(&[filters, &["--json", "--records", &file("34", "log")]].concat());
        assert_eq!((run.status, run.err.as_str()), (0, ""), "{filters:?}");
        run.batches().iter().map(|record| record["offset"].as_i64().expect("an offset")).collect()
    };
    assert_eq!(of(&["--key", "k2"]), [37, 39, 48]);
    assert!(of(&["--key", "k"]).is_empty());
    assert_eq!(of(&["--header", "trace=t1"]), [35, 43, 46]);
    assert_eq!(of(&["--header", "trace"]).len(), 12);
    assert_eq!(of(&["--header", "trace=t2", "--key", "k2"]), [39]);
    assert!(of(&["--header", "trace", "--header", "span"]).is_empty());
    assert_eq!(of(&["--from", "2023-11-14T22:13:29.000Z", "--until", "2023-11-14T22:13:29.510Z"]), [42, 43, 44]);
    assert_eq!(of(&["--until", "1700000007010"]), [35]);
    assert_eq!(of(&["--offsets", "46.."]), [46, 47, 48]);
    assert_eq!(of(&["--offsets", "41..42"]), [41, 42]);
    assert_eq!(of(&["--offsets", "40"]), [40]);
    assert_eq!(of(&["--producer-id", "5"]).len(), 8);
    assert_eq!(of(&["--producer-id", "-1"]).len(), 7);
    assert_eq!(of(&["--producer-id", "5", "--offsets", "40.."]), [40, 41]);

    // The table has the batches that contain such records.
    let run = inspect(&["--key", "k2", &file("34", "log")]);
    assert!(run.out.ends_with("batches: 3, records: 3, bytes: 381\n"), "{}", run.out);
    for wrong in [&["--from", "noon"][..], &["--offsets", "5..3"], &["--check", "--key", "k"]] {
        inspect(&[wrong, &[&file("34", "log")]].concat()).fails(2, &[wrong[0]]);
    }
}

#[test]
fn records_are_shown_as_lines_of_text_and_in_hexadecimal() {
    let run = inspect(&["--records", "--text", "--offsets", "38..39", &file("34", "log")]);
    let lines: Vec<_> = run.out.lines().collect();
    assert_eq!(lines.len(), 3, "{}", run.out);
    let columns: Vec<_> = lines[1].split_whitespace().collect();
    assert_eq!(columns, ["38", "2026-11-29", "16:03:02.312", "4", "6", "0", "-", "abort"]);
    assert!(lines[2].ends_with("xxx\" {\"trace\": \"t2\"}"), "{}", lines[2]);
    assert!(lines[2].contains("  7  transactional  \"k2\": \"v000800xx"), "{}", lines[2]);

    let run = inspect(&["--hex", "--offsets", "39", &file("34", "log")]);
    let expected = "\
offset 39  2023-11-14 22:13:28.000  producer 5/0/7
  key, 2 bytes
    00000000  6b 32                                             |k2|
  value, 47 bytes
    00000000  76 30 30 30 38 30 30 78  78 78 78 78 78 78 78 78  |v000800xxxxxxxxx|
    00000010  78 78 78 78 78 78 78 78  78 78 78 78 78 78 78 78  |xxxxxxxxxxxxxxxx|
    00000020  78 78 78 78 78 78 78 78  78 78 78 78 78 78 78     |xxxxxxxxxxxxxxx|
  header \"trace\", 2 bytes
    00000000  74 32                                             |t2|
";
    assert_eq!((run.out.as_str(), run.err.as_str()), (expected, ""));
}

#[test]
fn indexes_are_shown_and_agree_with_their_segments() {
    let run = inspect(&["--json", &file("34", "index")]);
    let expected = [
        json!({"offset": 39, "position": 537}),
        json!({"offset": 43, "position": 1557}),
        json!({"offset": 44, "position": 2245}),
    ];
    assert_eq!(run.batches(), expected);
    let run = inspect(&["--json", &file("34", "txnindex")]);
    let aborted =
        json!({"version": 0, "producer_id": 5, "first_offset": 35, "last_offset": 38, "last_stable_offset": 39});
    assert_eq!(run.batches(), [aborted]);
    let run = inspect(&[&file("34", "timeindex")]);
    let expected = "\
latest time (UTC)                  up to offset
2026-11-29 16:03:02.312                      38
2026-11-29 16:03:02.376                      41
entries: 2
";
    assert_eq!(run.out, expected);

    let all: Vec<String> = ["00", "34"]
        .iter()
        .flat_map(|base| ["index", "timeindex", "txnindex"].map(|extension| file(base, extension)))
        .filter(|path| Path::new(path).exists())
        .collect();
    let all: Vec<&str> = ["--check"].into_iter().chain(all.iter().map(String::as_str)).collect();
    let run = inspect(&all);
    assert_eq!((run.status, run.err.as_str()), (0, ""));
    assert_eq!(run.out.lines().count(), 5, "{}", run.out);
    assert!(run.out.lines().all(|line| line.ends_with(" entries, no problems")), "{}", run.out);
}

/// Copies the second segment to a directory of its own, with one file changed.
fn changed(test: &str, extension: &str, change: impl FnOnce(&mut Vec<u8>)) -> (String, String) {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    fs::create_dir_all(&target).expect("a directory");
    let path = |extension: &str| target.join(format!("00000000000000000034.{extension}"));
    for each in ["log", "index", "timeindex", "txnindex"] {
        fs::copy(file("34", each), path(each)).expect("a copy");
    }
    let mut bytes = fs::read(path(extension)).expect("a file");
    change(&mut bytes);
    fs::write(path(extension), bytes).expect("a file");
    (path("log").display().to_string(), path(extension).display().to_string())
}

#[test]
fn a_check_finds_what_an_index_has_wrong() {
    let finds = |test: &str, extension: &str, change: &dyn Fn(&mut Vec<u8>), expected: &str| {
        let (_, index) = changed(test, extension, change);
        inspect(&["--check", &index]).fails(1, &[expected]);
    };
    finds("position", "index", &|bytes| bytes[7] += 1, "no batch of the segment begins at byte 538, where offset 39");
    finds(
        "offset",
        "index",
        &|bytes| bytes[3] = 4,
        "offset 38 is to be searched from byte 537 on, but the batch there begins with offset 39",
    );
    finds(
        "order",
        "index",
        &|bytes| bytes[11] = 5,
        "the entry offset 39 at byte 1557 is not after offset 39 at byte 537",
    );
    finds(
        "end",
        "index",
        &|bytes| bytes[20..24].copy_from_slice(&9_999_i32.to_be_bytes()),
        "the entry offset 44 at byte 9999 is after",
    );
    finds("cut", "index", &|bytes| bytes.truncate(21), "it ends with 5 bytes of another entry");
    finds("time", "timeindex", &|bytes| bytes[7] -= 1, "is not the latest timestamp up to offset 38");
    finds("aborted", "txnindex", &|bytes| bytes[17] = 99, "producer 5 from offset 99 to 38 ends before it begins");
}

#[test]
fn a_check_finds_what_a_segment_has_wrong() {
    let run = inspect(&["--check", &file("34", "log")]);
    assert_eq!((run.status, run.err.as_str()), (0, ""));
    assert!(run.out.ends_with("15 batches, 15 records, 2880 bytes, no problems\n"), "{}", run.out);
    let (log, index) = (file("34", "log"), file("34", "index"));
    let lines = inspect(&["--check", "--json", "--records", &log, &index]).batches();
    let checked = [
        json!({"file": log, "check": {"batches": 15, "records": 15, "bytes": 2880, "problems": 0}}),
        json!({"file": index, "check": {"entries": 3, "problems": 0}}),
    ];
    assert_eq!(lines[15..], checked);
    if cfg!(feature = "zstd") {
        let run = inspect(&["--check", &directory().display().to_string()]);
        assert_eq!((run.status, run.err.as_str()), (0, ""));
        assert_eq!(run.out.lines().count(), 2, "{}", run.out);
    }

    // A bit of a record, a batch that is missing, and one that is there twice.
    let (log, _) = changed("bit", "log", |bytes| bytes[78 + 100] ^= 1);
    inspect(&["--check", &log]).fails(1, &["is damaged at byte 95, in the batch at bytes 78..205: the checksum"]);
    let (log, _) = changed("twice", "log", |bytes| {
        let batch = bytes[205..332].to_vec();
        bytes.splice(332..332, batch);
    });
    inspect(&["--check", &log]).fails(
        1,
        &[
            "in the batch at byte 332: the first offset is 36, but the batch before it ends with offset 36",
            "in the batch at byte 332: producer 5 continues with sequence number 5 instead of 6 in epoch 0",
        ],
    );
    let (log, _) = changed("missing", "log", |bytes| drop(bytes.drain(205..332)));
    let run = inspect(&["--check", &log]);
    assert_eq!((run.status, run.err.as_str()), (0, ""), "compaction removes batches, too");
    let run = inspect(&["--stats", "--json", &log]);
    let statistics = &run.batches()[0]["statistics"];
    assert_eq!((&statistics["gaps"], &statistics["missing_offsets"]), (&1.into(), &1.into()));

    let renamed = Path::new(&log).with_file_name("00000000000000000035.log");
    fs::copy(file("34", "log"), &renamed).expect("a copy");
    let run = inspect(&["--check", &renamed.display().to_string()]);
    run.fails(1, &["in the batch at byte 0: the first offset is 34, but the segment is named after offset 35"]);
}

#[test]
fn statistics_are_those_of_the_segment() {
    let run = inspect(&["--stats", "--json", &file("34", "log")]);
    assert_eq!((run.status, run.err.as_str()), (0, ""));
    let expected = json!({
        "batches": 15, "records": 15, "bytes": 2880, "decompressed_bytes": 1965, "damaged_batches": 0, "damaged_records": 0,
        "first_offset": 34, "last_offset": 48, "gaps": 0, "missing_offsets": 0,
        "first_timestamp": 1_700_000_007_000_i64, "last_timestamp": 1_795_968_182_376_i64,
        "codecs": {"none": {"batches": 15, "records": 15, "bytes": 2880, "decompressed_bytes": 1965}}, "magics": {"2": 15},
        "largest_batch_bytes": 688, "largest_batch_records": 1, "fill": {"64": 10, "512": 2},
        "idempotent_batches": 5, "transactional_batches": 5, "commits": 2, "aborts": 1, "open_transactions": {},
    });
    assert_eq!(run.batches(), [json!({"statistics": expected})]);
    // They are the sums of what the objects of the batches have.
    let batches = inspect(&["--json", &file("34", "log")]).batches();
    let sum = |name: &str| batches.iter().map(|batch| batch[name].as_u64().expect("a number")).sum::<u64>();
    assert_eq!(["bytes", "decompressed_bytes", "record_count"].map(sum), [2880, 1965, 15]);

    let run = with_codecs(&["--stats", &file("00", "log")]);
    assert_eq!((run.status, run.err.as_str()), (0, ""));
    for line in ["codec gzip    6 batches, 6 records, 660 bytes of ", "codec lz4     6 batches, "] {
        assert!(run.out.contains(line), "{line:?} is not in {}", run.out);
    }
    if cfg!(feature = "zstd") {
        let open = "transactions  4 batches, 0 committed, 0 aborted, 1 open at the end\n              producer 5 from offset 30\n";
        assert!(run.out.ends_with(open), "{}", run.out);
    }
}
