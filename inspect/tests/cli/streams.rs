//! Inputs that are not in memory as a whole: large ones, hostile lengths, files that grow, connections.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use kafka_batch::batch::Stamp;
use kafka_batch::{BatchOptions, KafkaBatch, Record};

use crate::{Run, program, run};

/// Returns a batch of three records with values of this size.
fn batch(base_offset: i64, size: usize) -> Vec<u8> {
    let options = BatchOptions::default().batch_size(10 << 20).max_message_bytes(10 << 20);
    let mut batch: KafkaBatch = options.build(1_700_000_000_000).expect("valid options");
    let value = vec![b'v'; size];
    batch
        .extend([Record::new(&value[..]), Record::new(&value[..]), Record::new(&value[..])])
        .expect("within the limits");
    let stamp = Stamp::default().producer(7, 0, (base_offset % 1_000_000) as i32).base_offset(base_offset);
    batch.seal().expect("sealed").stamp(stamp).expect("stamped").bytes().to_vec()
}

/// Returns a log of batches of all sizes up to 100 kB, which is larger than what is read at a time.
fn log() -> Vec<u8> {
    (0..60).flat_map(|n| batch(n * 3, (n as usize * 541) % 33_000)).collect()
}

fn with_input(arguments: &[&str], input: &[u8]) -> Run {
    run(program().args(arguments), input)
}

#[test]
fn a_log_is_read_in_parts_as_it_is_as_a_whole() {
    let log = log();
    assert!(log.len() > 2 << 20, "{}", log.len());
    let run = with_input(&["--check", "-"], &log);
    assert_eq!((run.status, run.err.as_str()), (0, ""));
    let expected = format!("-: 60 batches, 180 records, {} bytes, no problems\n", log.len());
    assert_eq!(run.out, expected);

    // Positions are those in the input, of damage, too: a checksum in the second megabyte.
    let mut damaged = log.clone();
    let at = with_input(&["--json", "-"], &log).batches()[40]["pos"].as_u64().expect("a position") as usize;
    assert!(at > 1 << 20);
    damaged[at + 70] ^= 1;
    let run = with_input(&["--check", "-"], &damaged);
    run.fails(1, &[&format!("- is damaged at byte {}, in the batch at bytes {at}..", at + 17)]);
    assert!(run.out.starts_with("-: 60 batches, 177 records, "), "{}", run.out);

    // A batch of an unknown format ends where its length says, also beyond what is in memory.
    let mut odd = [batch(0, 10), batch(3, 1 << 20), batch(6, 10)].concat();
    let second = batch(0, 10).len();
    odd[second + 16] = 9;
    let run = with_input(&["--skip-damaged", "-"], &odd);
    run.fails(1, &["the magic byte is 9"]);
    assert!(run.out.contains("batches: 3, records: 6, "), "{}", run.out);
    let run = with_input(&["-"], &odd[..second + 1_000]);
    run.fails(1, &["the magic byte is 9"]);
}

#[test]
fn a_length_beyond_the_limit_is_damage_if_the_bytes_are_there() {
    let log = [batch(0, 10), batch(3, 100_000), batch(6, 10)].concat();
    let (first, second) = (batch(0, 10).len(), batch(3, 100_000).len());
    let run = with_input(&["--max-bytes", "50000", "-"], &log);
    let expected =
        format!("at byte {first}: the length is that of a batch of {second} bytes, more than 50000 (--max-bytes)");
    run.fails(1, &[&expected]);
    assert!(run.out.contains("batches: 1, records: 3, "), "{}", run.out);
    let run = with_input(&["--max-bytes", "50000", "--skip-damaged", "--json", "-"], &log);
    run.fails(1, &[&expected]);
    let batches = run.batches();
    assert_eq!((batches.len(), &batches[2]["pos"]), (3, &(first + second).into()));
    let run = with_input(&["--max-bytes", "50000", "-"], &log[..first + 60_000]);
    assert_eq!(run.status, 0, "{}", run.err);
    assert_eq!(run.err, format!("-: the batch at byte {first} is incomplete: 60000 bytes of {second}\n"));
}

/// With an address space of 96 MiB: more input than that, and a length that claims more than that.
#[test]
#[cfg(target_os = "linux")]
fn memory_does_not_grow_with_the_input() {
    let limited = |arguments: &str, input: &[u8]| {
        let script = format!("ulimit -v 98304 && exec \"$0\" {arguments}");
        run(Command::new("sh").args(["-c", &script, env!("CARGO_BIN_EXE_kafka-batch-inspect")]), input)
    };
    let one = batch(0, 1 << 20);
    let mut log = Vec::new();
    while log.len() < 128 << 20 {
        log.extend_from_slice(&one);
    }
    let run = limited("--records -", &log);
    assert_eq!((run.status, run.err.as_str()), (0, ""));
    assert_eq!(run.out.lines().count(), 1 + 3 * (log.len() / one.len()));

    let mut hostile = batch(0, 10);
    hostile[8..12].copy_from_slice(&i32::MAX.to_be_bytes());
    hostile.extend_from_slice(&log);
    let run = limited("--check -", &hostile);
    assert_eq!((run.status, run.out.as_str()), (0, "-: 0 batches, 0 records, 0 bytes, no problems\n"), "{}", run.err);
    assert!(run.err.ends_with(" bytes of 2147483659\n"), "{}", run.err);

    // Every byte of the batch is the length of a record that is too short.
    let mut short = batch(0, 1 << 20);
    short[61..].fill(0);
    short[57..61].copy_from_slice(&(3_i32 << 20).to_be_bytes());
    let checksum = crc32c(&short[21..]);
    short[17..21].copy_from_slice(&checksum.to_be_bytes());
    let run = limited("--check -", &short);
    run.fails(1, &["more errors in the same batch"]);
    assert!(run.err.lines().count() < 110, "{}", run.err.lines().count());
}

/// CRC-32C bit by bit.
#[cfg(target_os = "linux")]
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
        }
    }
    !crc
}

/// A program that follows a segment.
struct Follower {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Follower {
    fn start(path: &Path) -> Self {
        let mut command = program();
        command.args(["--follow", "--json", "--records"]).arg(path).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program to start");
        let out = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { child, out }
    }

    /// Waits for the next record, and returns its offset.
    fn offset(&mut self) -> i64 {
        let mut line = String::new();
        self.out.read_line(&mut line).expect("a line");
        let record: serde_json::Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
        record["offset"].as_i64().expect("an offset")
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn directory(test: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).expect("a directory");
    directory
}

#[test]
fn a_segment_is_followed_and_the_one_after_it() {
    let directory = directory("followed");
    let path = |base: i64| directory.join(format!("{base:020}.log"));
    let mut segment = File::create(path(0)).expect("a file");
    segment.write_all(&batch(0, 10)).expect("written");
    let mut follower = Follower::start(&path(0));
    assert_eq!([follower.offset(), follower.offset(), follower.offset()], [0, 1, 2]);

    // The beginning of a batch shows nothing yet.
    let next = batch(3, 10);
    segment.write_all(&next[..50]).expect("written");
    segment.write_all(&next[50..]).expect("written");
    assert_eq!([follower.offset(), follower.offset(), follower.offset()], [3, 4, 5]);
    fs::write(path(6), batch(6, 10)).expect("written");
    assert_eq!([follower.offset(), follower.offset(), follower.offset()], [6, 7, 8]);

    // A follower whose leader changes truncates its log.
    File::options().write(true).open(path(6)).expect("the file").set_len(10).expect("truncated");
    let mut rest = String::new();
    follower.out.read_line(&mut rest).expect("the end");
    assert_eq!(rest, "");
    let mut error = String::new();
    BufReader::new(follower.child.stderr.take().expect("a pipe")).read_line(&mut error).expect("a line");
    assert!(error.contains("it was truncated to 10 bytes"), "{error}");
    assert_eq!(follower.child.wait().expect("a status").code(), Some(2));
}

#[test]
fn a_directory_is_followed_from_its_first_segment() {
    let directory = directory("followed-directory");
    for base in [0, 3] {
        fs::write(directory.join(format!("{base:020}.log")), batch(base, 10)).expect("written");
    }
    let mut follower = Follower::start(&directory);
    let offsets: Vec<_> = (0..6).map(|_| follower.offset()).collect();
    assert_eq!(offsets, [0, 1, 2, 3, 4, 5]);
    fs::write(directory.join(format!("{:020}.log", 6)), batch(6, 10)).expect("written");
    assert_eq!(follower.offset(), 6);
}

#[test]
fn a_length_that_no_batch_has_ends_a_follower_at_once() {
    let directory = directory("followed-damage");
    let path = directory.join(format!("{:020}.log", 0));
    let mut damaged = batch(3, 10);
    damaged[8..12].copy_from_slice(&1_000_000_000_i32.to_be_bytes());
    fs::write(&path, [batch(0, 10), damaged].concat()).expect("written");
    let mut follower = Follower::start(&path);
    assert_eq!([follower.offset(), follower.offset(), follower.offset()], [0, 1, 2]);
    let mut error = String::new();
    BufReader::new(follower.child.stderr.take().expect("a pipe")).read_line(&mut error).expect("a line");
    assert!(error.contains("1000000012 bytes"), "{error}");
    assert_eq!(follower.child.wait().expect("a status").code(), Some(1));
}

#[test]
fn a_batch_that_is_cut_off_is_damage_unless_it_is_in_the_last_segment() {
    let mut directory = directory("cut-off");
    // Its name need not be text.
    #[cfg(unix)]
    directory.push(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"caf\xe9"));
    fs::create_dir_all(&directory).expect("a directory");
    let path = |base: i64| directory.join(format!("{base:020}.log"));
    let (first, last) = (batch(3, 10), batch(6, 10));
    for (first, last, status) in [(&first[..], &last[..70], 0), (&first[..70], &last[..], 1)] {
        fs::write(path(3), first).expect("written");
        fs::write(path(6), last).expect("written");
        let output = program().arg("--check").arg(&directory).output().expect("the program to run");
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{error}");
        assert_eq!(error.contains("and another segment follows"), status == 1, "{error}");
    }
}

/// Returns a Fetch response v4 with the records of two partitions, with its size.
fn response(correlation_id: i32, sets: [&[u8]; 2]) -> Vec<u8> {
    let mut body = correlation_id.to_be_bytes().to_vec();
    body.extend([0_i32, 1].map(i32::to_be_bytes).concat()); // throttle time, topics
    body.extend(b"\0\x06orders");
    body.extend(2_i32.to_be_bytes());
    for (partition, set) in sets.iter().enumerate() {
        body.extend((partition as i32).to_be_bytes());
        body.extend(0_i16.to_be_bytes());
        body.extend([9_i64, 9].map(i64::to_be_bytes).concat());
        body.extend((-1_i32).to_be_bytes()); // aborted transactions
        body.extend((set.len() as i32).to_be_bytes());
        body.extend_from_slice(set);
    }
    let mut frame = (body.len() as i32).to_be_bytes().to_vec();
    frame.extend(body);
    frame
}

#[test]
fn fetch_responses_of_a_connection_are_shown() {
    let cut = &batch(6, 100)[..100];
    let first = response(4, [&batch(0, 10), &[batch(3, 10), cut.to_vec()].concat()]);
    let other = [&[0, 0, 0, 8, 0, 0, 0, 5, 1, 2, 3, 4][..]].concat(); // of another API
    let capture = [first, other, response(6, [&batch(9, 10), b""])].concat();
    let run = with_input(&["--fetch", "4", "-"], &capture);
    assert_eq!(run.status, 0, "{}", run.err);
    for heading in ["orders-0 in response 4:\n", "\norders-1 in response 4:\n", "\norders-0 in response 6:\n"] {
        assert!(run.out.contains(heading), "{heading:?} is not in {}", run.out);
    }
    assert!(!run.out.contains("orders-1 in response 6"), "{}", run.out);
    let tail = format!("orders-1 in response 4: the batch at byte {} is incomplete: 100 bytes of", batch(3, 10).len());
    assert!(run.err.contains(&tail), "{}", run.err);
    assert!(run.err.contains("is no Fetch response in version 4: its "), "{}", run.err);
    let json = with_input(&["--fetch", "4", "--json", "-"], &capture);
    let bases: Vec<_> = json.batches().iter().map(|batch| batch["base_offset"].clone()).collect();
    assert_eq!(bases, [0, 3, 9]);

    // In another version it is none, and a size that cannot be one ends the connection.
    let run = with_input(&["--fetch", "11", "-"], &capture);
    assert_eq!((run.status, run.out.as_str(), run.err.lines().count()), (0, "", 3), "{}", run.err);
    with_input(&["--fetch", "4", "-"], b"HTTP/1.1 200 OK")
        .fails(1, &["the size of a response is 1213486160 bytes, more than"]);
    with_input(&["--fetch", "4", "-"], &[0xff; 8]).fails(1, &["the size of a response is -1"]);
    with_input(&["--fetch", "4", "-"], &capture[..40]).fails(1, &["is cut off after 36"]);
}

/// The program keeps the first records of a batch as it has decoded them, and decodes those of a batch with more again.
#[test]
fn a_batch_of_any_number_of_records_is_shown_completely() {
    for count in [4_095, 4_096, 4_097, 9_000] {
        let options = BatchOptions::default().batch_size(10 << 20).max_message_bytes(10 << 20);
        let mut batch = options.build(1_700_000_000_000).expect("valid options");
        for number in 0..count {
            let key = if number % 3 == 0 { "third" } else { "other" };
            let value = number.to_string();
            batch.append(Record::new(value.as_str()).key(key)).expect("valid").appended().expect("there is room");
        }
        let stamped = batch.seal().expect("sealed").stamp(Stamp::default()).expect("stamped");
        let values = |arguments: &[&str]| {
            let run = run(program().args(arguments).arg("-"), stamped.bytes());
            assert_eq!((run.status, run.err.as_str()), (0, ""), "{count} {arguments:?}");
            run.batches().iter().map(|record| record["value"].as_str().expect("text").to_owned()).collect::<Vec<_>>()
        };
        let expected = |step| (0..count).step_by(step).map(|number: i32| number.to_string()).collect::<Vec<_>>();
        assert_eq!(values(&["--json", "--records", "--text"]), expected(1), "{count}");
        assert_eq!(values(&["--json", "--records", "--text", "--key", "third"]), expected(3), "{count}");
    }
}
