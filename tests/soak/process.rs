//! The client's process, as the test sees it: commands, and what it prints.

use std::collections::BTreeMap;
use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crate::line::{Ended, Line, Memory, parse};
use crate::plan::Plan;
use crate::progress::{PATIENCE, Progress};

/// What a successful authentication at the end of a session is logged as.
const AGAIN: &str = " has authenticated this client again";
/// The beginning of messages about new certificates and keys.
const RELOADED: &str = "the files of ";
/// The beginning of a warning about a machine that is busy.
const LATE: &str = "the producer's task runs late";
/// The end of a warning about a connection that is established again. A refused authentication is not.
const RETRIES: &str = "; the producer retries";

/// What it has printed.
#[derive(Debug, Default)]
pub(crate) struct Printed {
    pub(crate) ended: Vec<Ended>,
    pub(crate) memory: Vec<Memory>,
    /// Authentications at the end of sessions, by the broker's address.
    pub(crate) again: BTreeMap<String, u64>,
    /// Warnings without their numbers, with counts.
    pub(crate) warnings: BTreeMap<String, u64>,
    /// Warnings after which the producer does not try again.
    pub(crate) refusals: Vec<String>,
    /// Messages about files of certificates and keys that were read again, with counts.
    pub(crate) reloads: BTreeMap<String, u64>,
    has_ended: bool,
}

#[derive(Default)]
struct Shared {
    progress: Progress,
    printed: Mutex<Printed>,
    changed: Condvar,
}

pub(crate) struct Client {
    shared: Arc<Shared>,
    child: Child,
    input: Option<ChildStdin>,
    reader: Option<JoinHandle<()>>,
}

impl Client {
    /// Starts the process, in a network namespace of its own if `is_isolated`, and waits until it runs. It does nothing yet.
    pub(crate) fn start(folder: &Path, plan: &Plan, is_isolated: bool) -> Self {
        let program = env::current_exe().unwrap();
        let mut command = if is_isolated { Command::new("unshare") } else { Command::new(&program) };
        if is_isolated {
            command.arg("--net").arg("--").arg(&program); // which becomes the program
        }
        let arguments = [folder.to_str().unwrap(), &plan.seed.to_string(), &plan.rate.to_string()];
        let command = command.arg("client").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (input, mut output) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        let mut ready = String::new();
        output.read_line(&mut ready).unwrap();
        assert_eq!(parse(ready.trim_end()), Some(Line::Ready), "{ready:?}");
        let shared = Arc::new(Shared::default());
        let reading = Arc::clone(&shared);
        let reader = thread::spawn(move || reading.read(output));
        Self { shared, child, input, reader: Some(reader) }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn tell(&mut self, command: &str) {
        writeln!(self.input.as_mut().unwrap(), "{command}").expect("the client's process has ended");
    }

    /// Waits until nothing is in flight, and returns the memory of the process then.
    pub(crate) fn measure(&mut self) -> Memory {
        let before = self.shared.lock().memory.len();
        self.tell("measure");
        let waited = self.shared.changed.wait_timeout_while(self.shared.lock(), PATIENCE, |printed| {
            printed.memory.len() == before && !printed.has_ended
        });
        let (printed, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *printed.memory.get(before).expect("a measurement")
    }

    pub(crate) fn progress(&self) -> &Progress {
        &self.shared.progress
    }

    /// Lets the load run until this time.
    ///
    /// # Panics
    /// The process ends before.
    pub(crate) fn run_until(&self, time: Instant) {
        let left = time.saturating_duration_since(Instant::now());
        let waited = self.shared.changed.wait_timeout_while(self.shared.lock(), left, |printed| !printed.has_ended);
        let (printed, _) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(!printed.has_ended, "the client's process has ended");
    }

    /// Lets the process end when all its outcomes are known, and returns what it has printed.
    pub(crate) fn stop(mut self) -> Printed {
        self.tell("stop");
        self.reader.take().unwrap().join().unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "the client's process has failed: {status}");
        std::mem::take(&mut *self.shared.lock())
    }
}

/// Ends the process if the test has failed.
impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended
        let _ = self.child.wait();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Printed> {
        self.printed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, output: BufReader<ChildStdout>) {
        for line in output.lines().map_while(Result::ok) {
            match parse(&line) {
                Some(Line::Ended(ended)) => {
                    self.progress.ended(ended.sent.partition, ended.sent.count, ended.sent.outcome);
                    self.lock().ended.push(ended);
                }
                Some(Line::Memory(memory)) => {
                    self.lock().memory.push(memory);
                    self.changed.notify_all();
                }
                Some(Line::Log { is_warning, text }) => self.lock().enter_log(is_warning, &text),
                Some(Line::Ready) => {}
                None => eprintln!("the client's process printed {line:?}"),
            }
        }
        self.lock().has_ended = true;
        self.changed.notify_all();
    }
}

impl Printed {
    fn enter_log(&mut self, is_warning: bool, text: &str) {
        if let Some(broker) = text.strip_suffix(AGAIN) {
            *self.again.entry(broker.to_owned()).or_default() += 1;
        } else if text.starts_with(RELOADED) {
            *self.reloads.entry(text.to_owned()).or_default() += 1;
        } else if is_warning {
            let shape = text.split(|c: char| c.is_ascii_digit()).filter(|part| !part.is_empty()).collect::<Vec<_>>();
            *self.warnings.entry(shape.join("#")).or_default() += 1;
            if !text.ends_with(RETRIES) && !text.starts_with(LATE) {
                self.refusals.push(text.to_owned());
            }
        }
    }
}
