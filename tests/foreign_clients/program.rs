//! A client as a program: `PROGRAM ARGUMENTS… HOST:PORT[,…] write|read`.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde::Serialize;

use crate::clients::{Accepts, Client, Offsets, Read};
use crate::messages::{Line, ReadJob, WriteJob};

/// Turns a client that would hang into a test that fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(100);

/// A program that can be started.
pub(crate) struct Program {
    /// The name and the version of the client, which the program has to confirm.
    pub(crate) name: String,
    pub(crate) accepts: Accepts,
    pub(crate) command: Vec<OsString>,
}

impl Client for Program {
    fn name(&self) -> &str {
        &self.name
    }

    fn accepts(&self) -> Accepts {
        self.accepts
    }

    fn write(&self, servers: &str, job: &WriteJob, paused: &mut dyn FnMut()) -> Offsets {
        let mut offsets = Offsets::default();
        self.run(servers, "write", job, paused, |line| match line {
            Line::Sent { partition, position, offset } => offsets.0.push((partition, position, offset)),
            other => panic!("{}: {other:?} from a writer", self.name),
        });
        offsets
    }

    fn read(&self, servers: &str, job: &ReadJob, paused: &mut dyn FnMut()) -> Read {
        let mut read = Read::default();
        self.run(servers, "read", job, paused, |line| match line {
            Line::Range(range) => read.ranges.push(range),
            Line::Record(record) => read.records.push(record),
            other => panic!("{}: {other:?} from a reader", self.name),
        });
        read
    }
}

impl Program {
    /// Runs the program to its end.
    fn run(
        &self,
        servers: &str,
        mode: &str,
        job: &impl Serialize,
        paused: &mut dyn FnMut(),
        mut each: impl FnMut(Line),
    ) {
        let mut running = Running::start(self, servers, mode);
        running.write_line(&serde_json::to_string(job).unwrap());
        let mut client = None;
        while let Some(line) = running.next_line() {
            match line {
                Line::Client { name, version } => client = Some(format!("{name} {version}")),
                Line::Paused => {
                    paused();
                    running.write_line("");
                }
                line => each(line),
            }
        }
        assert_eq!(client.as_ref(), Some(&self.name), "the client that runs");
    }
}

/// A program that runs. It is killed when this is dropped.
struct Running<'p> {
    program: &'p Program,
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
    /// Collects what it writes to standard error.
    stderr: Option<JoinHandle<String>>,
}

impl<'p> Running<'p> {
    fn start(program: &'p Program, servers: &str, mode: &str) -> Self {
        let (file, arguments) = program.command.split_first().expect("a program");
        let mut child = Command::new(file)
            .args(arguments)
            .args([servers, mode])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", program.name));
        let stdin = child.stdin.take().expect("a pipe");
        let (stdout, mut stderr) = (child.stdout.take().expect("a pipe"), child.stderr.take().expect("a pipe"));
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let stderr = thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = stderr.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        });
        Self { program, child, stdin, lines, stderr: Some(stderr) }
    }

    fn write_line(&mut self, line: &str) {
        if let Err(error) = self.stdin.write_all(format!("{line}\n").as_bytes()).and_then(|()| self.stdin.flush()) {
            self.fail(&format!("does not read: {error}"));
        }
    }

    /// Returns the next line; `None` when the program has ended successfully.
    fn next_line(&mut self) -> Option<Line> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => match serde_json::from_str(&line) {
                Ok(line) => Some(line),
                Err(error) => self.fail(&format!("{error} in its line {line:.200}")),
            },
            Err(mpsc::RecvTimeoutError::Timeout) => self.fail(&format!("no line for {} s", PATIENCE.as_secs())),
            // It has closed its standard output.
            Err(mpsc::RecvTimeoutError::Disconnected) => match self.child.wait() {
                Ok(status) if status.success() => None,
                status => self.fail(&format!("it ended: {status:?}")),
            },
        }
    }

    fn fail(&mut self, why: &str) -> ! {
        let _ = self.child.kill();
        let stderr = self.stderr.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        panic!("{}: {why}; its standard error:\n{stderr}", self.program.name);
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
