//! This program beside Kafka's `kafka-dump-log.sh`, on a segment of 1 GiB. `tests/README.md` of the repository says how to run it.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kafka_batch::batch::Stamp;
use kafka_batch::{BatchOptions, Header, Record};

const SIZE: u64 = 1 << 30;

/// Writes a segment of batches of 16 KiB, whose records have a key, a value of 100 bytes and a header.
fn write_segment(path: &Path, codec: &str) -> u64 {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path).expect("a file"));
    let options = BatchOptions::default().compression(codec.parse().expect("a codec"));
    let (mut size, mut records, mut sequence) = (0, 0_i64, 0);
    while size < SIZE {
        let mut batch = options.clone().build(1_700_000_000_000 + records).expect("valid options");
        loop {
            let number = records + batch.record_count() as i64;
            let key = format!("station-{}", number % 5_000);
            let value = format!("{{\"station\":{},\"bikes\":{},\"at\":{number:>60}}}", number % 5_000, number % 31);
            let headers = [Header::new("trace", &b"4bf92f35"[..])];
            let record = Record::new(value.as_str()).key(key.as_str()).headers(&headers);
            if batch.append(record).expect("a valid record").appended().is_none() {
                break;
            }
        }
        let count = batch.record_count();
        let stamp = Stamp::default().base_offset(records).producer(1, 0, sequence).partition_leader_epoch(0);
        let stamped = batch.seal().expect("sealed").stamp(stamp).expect("stamped");
        file.write_all(stamped.bytes()).expect("written");
        size += stamped.bytes().len() as u64;
        records += count as i64;
        sequence = ((i64::from(sequence) + count as i64) & i64::from(i32::MAX)) as i32;
    }
    file.flush().expect("written");
    records as u64
}

/// Runs a command. Returns how long it took, and the number of lines that it has printed.
fn timed(name: &str, command: &mut Command) -> (Duration, u64) {
    let begun = Instant::now();
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut lines = 0;
    let mut out = child.stdout.take().expect("a pipe");
    let mut bytes = vec![0; 1 << 20];
    loop {
        match std::io::Read::read(&mut out, &mut bytes).expect("its output") {
            0 => break,
            read => lines += bytes[..read].iter().filter(|&&byte| byte == b'\n').count() as u64,
        }
    }
    assert!(child.wait().expect("its status").success(), "{name}");
    let time = begun.elapsed();
    println!("{name:44} {:7.2} s, {lines} lines", time.as_secs_f64());
    (time, lines)
}

/// Our program, in an address space of 64 MiB.
fn inspect(arguments: &str, segment: &Path) -> (Duration, u64) {
    let script = format!("ulimit -v 65536 && exec \"$0\" {arguments} \"$1\"");
    let mut command = Command::new("sh");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_kafka-batch-inspect")]).arg(segment);
    timed(&format!("kafka-batch-inspect {arguments}"), &mut command)
}

#[test]
#[ignore = "takes minutes, and needs Kafka: see tests/README.md"]
fn a_segment_of_a_gibibyte_beside_kafka_dump_log() {
    let environment =
        |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is set by `cargo with-kafka`"));
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("speed");
    fs::create_dir_all(&directory).expect("a directory");
    let segment = directory.join("00000000000000000000.log");
    for codec in ["none", "lz4"] {
        let records = write_segment(&segment, codec);
        println!("{codec}: {} bytes, {records} records", segment.metadata().expect("the file").len());
        let (check, _) = inspect("--check", &segment);
        let (batches, _) = inspect("", &segment);
        let (lines, count) = inspect("--records", &segment);
        assert_eq!(count, records + 1);
        let (json, _) = inspect("--json --records --text", &segment);
        let mut dump = Command::new(environment("KAFKA_BATCH_JAVA"));
        dump.args(["-cp", &environment("KAFKA_BATCH_KAFKA_CLASSPATH"), &environment("KAFKA_BATCH_KAFKA_DUMP_LOG")]);
        dump.args(["--deep-iteration", "--files"]).arg(&segment).stderr(Stdio::null());
        let (java, count) = timed("kafka-dump-log --deep-iteration", &mut dump);
        assert!(count > records, "{count} lines of {records} records");
        for (name, time) in [("--check", check), ("batches", batches), ("--records", lines), ("--json", json)] {
            println!("  {name:10} {:6.1} times as fast", java.as_secs_f64() / time.as_secs_f64());
        }
        if !cfg!(debug_assertions) {
            assert!(java >= 20 * batches, "less than 20 times as fast");
        }
    }
    fs::remove_dir_all(&directory).expect("the directory");
}
