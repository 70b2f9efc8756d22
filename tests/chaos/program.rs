//! A program that publishes in place of `load`, with the same records: one that uses the Python package.
//!
//! Its arguments are the addresses, the topic, the number of partitions, the records it is to offer per second, and the seed. It
//! publishes until its standard input ends. For each batch whose outcome it knows it prints a line: the task, the partition, the
//! first record's number, the number of records, and `written OFFSET` (or `None`), `not_written REASON` or `unknown REASON`.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crate::audit::{Outcome, Sent};
use crate::load::{Outcomes, Shared};
use crate::plan::Plan;
use crate::progress::Progress;
use crate::{PARTITIONS, TOPIC};

pub(crate) struct Program {
    shared: Arc<Shared>,
    child: Child,
    /// Closed to stop it.
    input: Option<ChildStdin>,
    reader: Option<JoinHandle<()>>,
}

impl Program {
    /// Runs the load of `transports/asyncio/tests` by this interpreter, which has the package.
    pub(crate) fn start(python: &str, servers: &str, plan: &Plan) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("transports/asyncio/tests/chaos_load.py");
        let mut child = Command::new(python)
            .arg(script)
            .args([servers, TOPIC, &PARTITIONS.to_string(), &plan.rate.to_string(), &plan.seed.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{python}: {error}"));
        let (input, output) = (child.stdin.take(), child.stdout.take().unwrap());
        let shared = Arc::new(Shared::default());
        let entered = Arc::clone(&shared);
        let reader = thread::spawn(move || {
            for line in BufReader::new(output).lines() {
                let line = line.unwrap();
                let (sent, failure) = parse(&line).unwrap_or_else(|| panic!("the program printed {line:?}"));
                entered.enter(sent, failure);
            }
        });
        Self { shared, child, input, reader: Some(reader) }
    }

    pub(crate) fn progress(&self) -> &Progress {
        &self.shared.progress
    }

    /// Stops offering records, and waits for the outcome of the last batch.
    pub(crate) fn stop(mut self) -> Outcomes {
        drop(self.input.take());
        self.reader.take().unwrap().join().unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "the program has failed: {status}");
        std::mem::take(&mut *self.shared.outcomes())
    }
}

/// Ends the program if the test has failed.
impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended
        let _ = self.child.wait();
    }
}

fn parse(line: &str) -> Option<(Sent, Option<String>)> {
    let mut words = line.splitn(6, ' ');
    let mut word = || words.next();
    let (task, partition) = (word()?.parse().ok()?, word()?.parse().ok()?);
    let (first, count) = (word()?.parse().ok()?, word()?.parse().ok()?);
    let (name, rest) = (word()?, word()?);
    let outcome = match name {
        "written" if rest == "None" => Outcome::Written(None), // a repeated request was answered without it
        "written" => Outcome::Written(Some(rest.parse().ok()?)),
        "not_written" => Outcome::NotWritten,
        "unknown" => Outcome::Unknown,
        _ => return None,
    };
    let failure = (name != "written").then(|| format!("{name}: {rest}"));
    Some((Sent { task, partition, first, count, outcome }, failure))
}

#[test]
fn lines_are_outcomes() {
    let (sent, failure) = parse("2 5 1000 40 written 77").unwrap();
    assert_eq!((sent.task, sent.partition, sent.first, sent.count), (2, 5, 1000, 40));
    assert_eq!((sent.outcome, failure), (Outcome::Written(Some(77)), None));
    let (sent, failure) = parse("4 0 0 1 unknown no response within 1000 ms").unwrap();
    assert_eq!(sent.outcome, Outcome::Unknown);
    assert_eq!(failure.as_deref(), Some("unknown: no response within 1000 ms"));
    assert_eq!(parse("2 5 1000 40 written None").unwrap().0.outcome, Outcome::Written(None));
    for line in ["", "2 5 1000 40 written", "2 5 1000 40 written x", "2 5 1000 40 lost 3", "a 5 1000 40 written 3"] {
        assert!(parse(line).is_none(), "{line:?}");
    }
}
