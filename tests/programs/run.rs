//! Runs a program with standard input, for the suites that test programs: its output and exit status.

use std::io::Write;
use std::process::{Command, Output, Stdio};

/// The output and the exit status of a run.
pub(crate) struct Run {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
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
    pub(crate) fn fails(&self, status: i32, expected: &[&str]) {
        assert_eq!(self.status, status, "{}\n{}", self.out, self.err);
        for part in expected {
            assert!(self.err.contains(part), "{part:?} is not in:\n{}", self.err);
        }
    }
}

/// Runs a program with this standard input, until it ends.
pub(crate) fn run(command: &mut Command, input: &[u8]) -> Run {
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
