//! This program beside Kafka's `kafka-dump-log.sh`, on a segment of 1 GiB. `tests/README.md` of the repository says how to run it.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{BufWriter, Read, Write};
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

/// What a command has taken, and the number of lines that it has printed.
#[derive(Clone, Copy)]
struct Run {
    time: Duration,
    /// Of all processors: other programs that run at the same time hardly change it.
    processor: Duration,
    lines: u64,
}

/// Runs a command of the shell with these arguments.
fn timed(name: &str, script: &str, arguments: &[&OsStr]) -> Run {
    // `times` prints the processor time of the shell, and of the commands that it has run, in user and in system mode.
    let script = format!("{script}\nstatus=$?\ntimes >&2\nexit $status");
    let begun = Instant::now();
    let mut command = Command::new("bash");
    command.arg("-c").arg(script).args(arguments).env("LC_ALL", "C").stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut lines = 0;
    let mut out = child.stdout.take().expect("a pipe");
    let mut bytes = vec![0; 1 << 20];
    loop {
        match out.read(&mut bytes).expect("its output") {
            0 => break,
            read => lines += bytes[..read].iter().filter(|&&byte| byte == b'\n').count() as u64,
        }
    }
    let output = child.wait_with_output().expect("its status");
    let time = begun.elapsed();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {errors}");
    let times = errors.trim_end().lines().next_back().unwrap_or_default();
    let seconds: f64 = times.split_whitespace().map(|time| seconds(time).expect(times)).sum();
    let run = Run { time, processor: Duration::from_secs_f64(seconds), lines };
    println!("{name:44} {:7.2} s, of a processor {seconds:7.2} s, {lines} lines", time.as_secs_f64());
    run
}

/// Reads a time such as `1m2.345s`.
fn seconds(text: &str) -> Option<f64> {
    let (minutes, seconds) = text.strip_suffix('s')?.split_once('m')?;
    Some(minutes.parse::<f64>().ok()? * 60.0 + seconds.parse::<f64>().ok()?)
}

/// How often our program runs. The least time counts: whatever else the machine does only adds to it.
const TURNS: usize = 3;

/// Our program, in an address space of 64 MiB.
fn inspect(arguments: &str, segment: &Path) -> Run {
    let script = format!("ulimit -v 65536 && \"$0\" {arguments} \"$1\"");
    let program = OsStr::new(env!("CARGO_BIN_EXE_kafka-batch-inspect"));
    let name = format!("kafka-batch-inspect {arguments}");
    let runs = (0..TURNS).map(|_| timed(&name, &script, &[program, segment.as_os_str()]));
    let least = |one: Run, other: Run| {
        let (time, processor) = (one.time.min(other.time), one.processor.min(other.processor));
        Run { time, processor, ..one }
    };
    runs.reduce(least).expect("a run")
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
        let ours = ["--check", "", "--records", "--json --records --text"];
        let ours = ours.map(|arguments| (arguments, inspect(arguments, &segment)));
        assert_eq!(ours[2].1.lines, records + 1);
        assert_eq!(ours[3].1.lines, records);
        let dump = [
            OsString::from(environment("KAFKA_BATCH_JAVA")),
            environment("KAFKA_BATCH_KAFKA_CLASSPATH").into(),
            environment("KAFKA_BATCH_KAFKA_DUMP_LOG").into(),
            segment.clone().into(),
        ];
        let script = "\"$0\" -cp \"$1\" \"$2\" --deep-iteration --files \"$3\" 2>/dev/null";
        let java = timed("kafka-dump-log --deep-iteration", script, &dump.each_ref().map(OsString::as_os_str));
        assert!(java.lines > records, "{} lines of {records} records", java.lines);
        let ratio = |java: Duration, ours: Duration| java.as_secs_f64() / ours.as_secs_f64();
        for (arguments, ours) in &ours {
            let (time, processor) = (ratio(java.time, ours.time), ratio(java.processor, ours.processor));
            println!("  {arguments:23} {time:6.1} times as fast, {processor:6.1} times by the processor's time");
        }
        if !cfg!(debug_assertions) {
            for (arguments, ours) in &ours {
                // JSON is twice as long as the segment, and on a busy machine half of its time is that of the pipe.
                let least = if arguments.starts_with("--json") { 15 } else { 20 };
                assert!(java.processor >= least * ours.processor, "{arguments}: less than {least} times as fast");
            }
        }
    }
    fs::remove_dir_all(&directory).expect("the directory");
}
