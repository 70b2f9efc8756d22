//! What an application was told of its transactions.

use std::ops::AddAssign;
use std::time::Duration;

/// What an application asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// It never asked to commit: the transaction was aborted or dropped, or the process was killed before.
    Abort,
    /// It asked to commit.
    Commit,
}

/// The outcome that an application was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Committed,
    NotCommitted,
    Unknown,
}

/// A record of a transaction, which the producer has accepted.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) partition: i32,
    pub(super) value: String,
}

/// A transaction.
#[derive(Clone, Debug)]
pub(super) struct Told {
    /// The number of the process.
    pub(super) process: usize,
    pub(super) transactional_id: String,
    /// When the process was told that its producer is initialised.
    pub(super) initialized_at: Duration,
    /// When it was told the outcome, or began the next one.
    pub(super) ended_at: Option<Duration>,
    /// In the order of acceptance.
    pub(super) sent: Vec<Sent>,
    pub(super) ending: Ending,
    /// `None` if the process was killed, or the call was dropped.
    pub(super) outcome: Option<Outcome>,
}

impl Told {
    pub(super) const fn new(process: usize, transactional_id: String, initialized_at: Duration) -> Self {
        Self {
            process,
            transactional_id,
            initialized_at,
            ended_at: None,
            sent: Vec::new(),
            ending: Ending::Abort,
            outcome: None,
        }
    }
}

/// A process that was told that another one has taken its place.
#[derive(Clone, Debug)]
pub(super) struct Fenced {
    pub(super) client_id: String,
    pub(super) at: Duration,
}

/// What all processes were told.
#[derive(Clone, Debug, Default)]
pub(super) struct AllTold {
    pub(super) transactions: Vec<Told>,
    pub(super) fenced: Vec<Fenced>,
    /// Errors of processes that were the only ones with their id.
    pub(super) only_errors: Vec<String>,
    /// The first violation that a process has found itself.
    pub(super) violation: Option<String>,
}

impl AllTold {
    /// Records that a transaction was begun, and the one before it has ended. Returns its number.
    pub(super) fn begun(&mut self, told: Told, now: Duration) -> usize {
        self.ended(told.process, now);
        self.transactions.push(told);
        self.transactions.len() - 1
    }

    /// Records that the transactions of a process have ended.
    fn ended(&mut self, process: usize, now: Duration) {
        for told in self.transactions.iter_mut().filter(|told| told.process == process) {
            told.ended_at.get_or_insert(now);
        }
    }

    pub(super) fn violated(&mut self, law: &str, what: impl std::fmt::Display) {
        self.violation.get_or_insert_with(|| format!("{law}: {what}"));
    }
}

/// Numbers of things that happened, for statistics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Counts {
    pub runs: u64,
    pub transactions: u64,
    pub committed: u64,
    pub not_committed: u64,
    pub unknown: u64,
    /// The process was killed before it was told.
    pub untold: u64,
    pub fenced: u64,
    pub requests: u64,
    /// Input records of pipelines.
    pub inputs: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.runs += other.runs;
        self.transactions += other.transactions;
        self.committed += other.committed;
        self.not_committed += other.not_committed;
        self.unknown += other.unknown;
        self.untold += other.untold;
        self.fenced += other.fenced;
        self.requests += other.requests;
        self.inputs += other.inputs;
    }
}

impl AllTold {
    pub(super) fn counts(&self) -> Counts {
        let mut counts = Counts { runs: 1, fenced: self.fenced.len() as u64, ..Counts::default() };
        for told in &self.transactions {
            counts.transactions += 1;
            match told.outcome {
                Some(Outcome::Committed) => counts.committed += 1,
                Some(Outcome::NotCommitted) => counts.not_committed += 1,
                Some(Outcome::Unknown) => counts.unknown += 1,
                None => counts.untold += 1,
            }
        }
        counts
    }
}
