//! The examples, run as processes with arguments: their output and exit status.

#[path = "examples/blocking.rs"]
mod blocking;
#[path = "examples/publish.rs"]
mod publish;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Returns the command of an example. `cargo test` builds the examples next to the directory of the test programs.
fn example(name: &str) -> Command {
    let test = std::env::current_exe().expect("the path of this test");
    let profile = test.parent().and_then(Path::parent).expect("target/<profile>/deps/<test>");
    let path = profile.join("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(path.exists(), "{} does not exist: run `cargo build --examples` first", path.display());
    Command::new(path)
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
        .expect("the example to start");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_vec();
    // In another thread: an example that prints much before it has read its input would wait for this process, which would
    // wait for the example.
    let writer = std::thread::spawn(move || {
        let _ = stdin.write_all(&input); // examples that stop early close the pipe
    });
    let output = child.wait_with_output().expect("the example to end");
    writer.join().expect("the writer to end");
    Run::new(output)
}

/// Returns the number after a word at the beginning of a line of the summary.
fn number(run: &Run, word: &str) -> usize {
    let line = run.out.lines().find(|line| line.starts_with(word)).unwrap_or_else(|| panic!("no {word}: {}", run.out));
    let number = line[word.len()..].split_whitespace().next().expect("a number");
    number.trim_end_matches(',').parse().unwrap_or_else(|_| panic!("{line}"))
}
