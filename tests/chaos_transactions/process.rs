//! The processes that consume, transform and produce: this program, started again.

use std::collections::BTreeMap;
use std::env;
use std::fmt;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Turns a test that would hang into one that fails.
const PATIENCE: Duration = Duration::from_secs(240);

/// What all processes have told so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    /// Records of transactions that were reported as committed.
    pub(crate) committed: u64,
    /// Outcomes of transactions, with counts; `committed`, or the error's name and text.
    outcomes: BTreeMap<String, u64>,
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "records of transactions reported as committed: {}", self.committed)?;
        self.outcomes.iter().try_for_each(|(outcome, count)| write!(f, "\n    {count} × {outcome}"))
    }
}

#[derive(Default)]
struct Shared {
    told: Mutex<Told>,
    changed: Condvar,
}

/// One running process.
struct Process {
    child: Child,
    /// Closed to stop it.
    input: Option<ChildStdin>,
    reader: JoinHandle<()>,
}

pub(crate) struct Processes {
    servers: String,
    shared: Arc<Shared>,
    running: Vec<Process>,
}

impl Processes {
    pub(crate) fn start(servers: &str, count: usize) -> Self {
        let mut processes = Self { servers: servers.to_owned(), shared: Arc::default(), running: Vec::new() };
        processes.running = (0..count).map(|slot| processes.spawn(slot)).collect();
        processes
    }

    pub(crate) fn transactional_id(slot: usize) -> String {
        format!("transform-{slot}")
    }

    fn spawn(&self, slot: usize) -> Process {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["transform", &self.servers, &Self::transactional_id(slot)])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take(), child.stdout.take().unwrap());
        let shared = Arc::clone(&self.shared);
        let reader = thread::spawn(move || {
            // A killed process may end within a line.
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let Some((records, outcome)) = line.split_once(' ') else { continue };
                let Ok(records) = records.parse::<u64>() else { continue };
                let mut told = shared.told.lock().unwrap_or_else(PoisonError::into_inner);
                told.committed += if outcome == "committed" { records } else { 0 };
                *told.outcomes.entry(outcome.to_owned()).or_default() += 1;
                shared.changed.notify_all();
            }
        });
        Process { child, input, reader }
    }

    /// Kills a process with `SIGKILL`, and starts another one with its transactional id.
    pub(crate) fn replace(&mut self, slot: usize) {
        let next = self.spawn(slot);
        let mut killed = std::mem::replace(&mut self.running[slot], next);
        killed.child.kill().unwrap();
        killed.child.wait().unwrap();
        killed.reader.join().unwrap();
    }

    /// Waits until this many records are reported as committed. Returns how many are.
    pub(crate) fn wait_for(&mut self, records: u64) -> u64 {
        let told = self.shared.told.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.shared.changed.wait_timeout_while(told, PATIENCE, |told| told.committed < records);
        let (told, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(!timeout.timed_out(), "waited {PATIENCE:?} for {records} records; so far {told}");
        told.committed
    }

    /// Lets all processes end.
    pub(crate) fn stop(mut self) -> Told {
        for process in &mut self.running {
            drop(process.input.take());
        }
        for mut process in std::mem::take(&mut self.running) {
            let status = process.child.wait().unwrap();
            assert!(status.success(), "a process has failed: {status}");
            process.reader.join().unwrap();
        }
        self.shared.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Ends the processes if the test has failed.
impl Drop for Processes {
    fn drop(&mut self) {
        for process in &mut self.running {
            let _ = process.child.kill(); // it may have ended
            let _ = process.child.wait();
        }
    }
}
