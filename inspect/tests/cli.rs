//! The program, run with arguments: its output and exit status.

#[path = "cli/batches.rs"]
mod batches;
#[path = "../../tests/vectors/files.rs"]
mod files;
#[path = "cli/kafka.rs"]
mod kafka;
#[path = "cli/streams.rs"]
mod streams;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_kafka-batch-inspect"))
}

/// Returns the path of a vector. One of `large.zst` is unpacked to a temporary directory first.
fn vector(name: &str) -> PathBuf {
    if !files::large().contains_key(name) {
        return files::folder().join(name);
    }
    let unpacked = Path::new(env!("CARGO_TARGET_TMPDIR")).join("vectors");
    fs::create_dir_all(&unpacked).expect("a folder");
    let path = unpacked.join(name);
    fs::write(&path, files::bytes_of(name)).expect("a file");
    path
}

/// The output and the exit status of a run.
struct Run {
    status: i32,
    out: String,
    err: String,
}

impl Run {
    fn new(output: Output) -> Self {
        let run = Self {
            status: output.status.code().expect("not ended by a signal"),
            out: String::from_utf8(output.stdout).expect("UTF-8"),
            err: String::from_utf8(output.stderr).expect("UTF-8"),
        };
        assert!(!run.err.contains("panicked"), "{}", run.err);
        run
    }

    /// Returns the objects of the output, which is one a line.
    fn batches(&self) -> Vec<Value> {
        assert!(self.out.is_empty() || self.out.ends_with('\n'), "{}", self.out);
        self.out
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
            .collect()
    }

    /// Asserts that the run ended with this status, and that its standard error contains all of this.
    #[track_caller]
    fn fails(&self, status: i32, expected: &[&str]) {
        assert_eq!(self.status, status, "{}\n{}", self.out, self.err);
        for part in expected {
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
        .expect("the program to start");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_vec();
    // In another thread: a program that prints much before it has read its input would wait for this process, which would
    // wait for the program.
    let writer = std::thread::spawn(move || {
        let _ = stdin.write_all(&input); // a program that stops early closes the pipe
    });
    let output = child.wait_with_output().expect("the program to end");
    writer.join().expect("the writer to end");
    Run::new(output)
}
