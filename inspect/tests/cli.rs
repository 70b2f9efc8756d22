//! The program, run with arguments: its output and exit status.

#[path = "cli/batches.rs"]
mod batches;
#[path = "../../tests/vectors/files.rs"]
mod files;
#[path = "cli/kafka.rs"]
mod kafka;
#[path = "../../tests/programs/run.rs"]
mod run;
#[path = "cli/streams.rs"]
mod streams;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use run::{Run, run};
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

impl Run {
    /// Returns the objects of the output, which is one a line.
    fn batches(&self) -> Vec<Value> {
        assert!(self.out.is_empty() || self.out.ends_with('\n'), "{}", self.out);
        self.out
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
            .collect()
    }
}
