//! The counts of a run, as tables, and whether they are as they must be.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use crate::attribution::{Injected, Kind, explanation};
use crate::audit::{Findings, Outcome};
use crate::client::{PRODUCERS, has_long_timeout};
use crate::line::{Ended, Memory};
use crate::process::Printed;
use crate::stage::{SCRAM, TOKENS};
use crate::unknown::Unknown;

/// The allowed growth of the memory between the measurement after the first round and the last one, in percent.
const FLAT: f64 = 5.0;
/// The same in the short mode, whose first measurement is before the first fault.
const SHORT_FLAT: f64 = 60.0;

/// The end of the message about new files that are in use.
const USED: &str = " have changed, and new connections use them";

/// Failed batches that have one explanation.
#[derive(Clone, Copy, Debug, Default)]
struct Row {
    unknown: u64,
    unknown_records: u64,
    /// Of the unknown ones.
    in_log: u64,
    not_written: u64,
}

pub(crate) struct Report {
    pub(crate) seconds: u64,
    pub(crate) is_short: bool,
    pub(crate) faults: Vec<Injected>,
    pub(crate) printed: Printed,
    pub(crate) findings: Findings,
    pub(crate) unknown: Unknown,
    /// The addresses of the nodes at the listeners.
    pub(crate) scram: Vec<String>,
    pub(crate) tokens: Vec<String>,
    /// Authentications at the end of sessions that each listener must have had at least.
    pub(crate) least_again: u64,
    pub(crate) certificate_replacements: usize,
    /// Of these, the ones after which connections were lost before the next one.
    pub(crate) certificates_used: u64,
    /// Node restarts, with those after the disk was full.
    pub(crate) restarts: u64,
}

impl Report {
    fn again(&self, listener: &str) -> u64 {
        let nodes = if listener == SCRAM { &self.scram } else { &self.tokens };
        nodes.iter().filter_map(|node| self.printed.again.get(node)).sum()
    }

    fn rows(&self) -> BTreeMap<Option<Kind>, Row> {
        let mut rows: BTreeMap<Option<Kind>, Row> = BTreeMap::new();
        for Ended { sent, from, to, .. } in &self.printed.ended {
            let kind = explanation(&self.faults, *from, *to);
            match sent.outcome {
                Outcome::Written(_) => {}
                Outcome::NotWritten => rows.entry(kind).or_default().not_written += 1,
                Outcome::Unknown => {
                    let row = rows.entry(kind).or_default();
                    row.unknown += 1;
                    row.unknown_records += sent.count;
                    row.in_log += u64::from(self.unknown.is_in_log(sent.task, sent.first));
                }
            }
        }
        rows
    }

    /// Returns the reasons of failures, with counts.
    fn reasons(&self) -> BTreeMap<(&'static str, String), u64> {
        let mut reasons = BTreeMap::new();
        for Ended { sent, failure, .. } in &self.printed.ended {
            let name = match sent.outcome {
                Outcome::Written(_) => continue,
                Outcome::NotWritten => "not written",
                Outcome::Unknown => "unknown",
            };
            let failure = failure.as_deref().unwrap_or("no reason");
            // Without numbers, which are ports, durations and offsets.
            let shape: String = failure.split(|c: char| c.is_ascii_digit()).filter(|part| !part.is_empty()).collect();
            *reasons.entry((name, shape)).or_default() += 1;
        }
        reasons
    }

    /// Returns the measurements between which memory must not grow: of the end of the first round, or in the short mode of its
    /// beginning, and the last one.
    fn compared(&self) -> Option<(Memory, Memory)> {
        let memory = &self.printed.memory;
        Some((*memory.get(usize::from(!self.is_short))?, *memory.last()?))
    }

    /// Returns what is not as it must be.
    pub(crate) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut must = |is_so: bool, what: String| {
            if !is_so {
                faults.push(what);
            }
        };
        must(self.findings.is_lawful(), "the log differs from the reported outcomes".to_owned());
        let is_unexplained = |ended: &&Ended| {
            ended.sent.outcome == Outcome::Unknown && explanation(&self.faults, ended.from, ended.to).is_none()
        };
        let unexplained: Vec<&Ended> = self.printed.ended.iter().filter(is_unexplained).collect();
        let times: Vec<_> = self.faults.iter().map(|fault| (fault.kind, fault.begin, fault.end)).collect();
        must(
            unexplained.is_empty(),
            format!("{} unknown outcomes without a fault: {unexplained:#?}\nfaults: {times:?}", unexplained.len()),
        );
        let is_failed =
            |ended: &&Ended| has_long_timeout(ended.sent.task) && !matches!(ended.sent.outcome, Outcome::Written(_));
        let failed: Vec<&Ended> = self.printed.ended.iter().filter(is_failed).collect();
        must(
            failed.is_empty(),
            format!("with the long timeout failed {}, the first: {:?}", failed.len(), failed.first()),
        );
        must(self.printed.refusals.is_empty(), format!("brokers refused: {:?}", self.printed.refusals));
        // Of each producer, for its next connection.
        let reloaded: u64 =
            self.printed.reloads.iter().filter(|(text, _)| text.ends_with(USED)).map(|(_, count)| count).sum();
        let least = u64::from(PRODUCERS) * self.certificates_used;
        must(reloaded >= least, format!("new certificates are in use {reloaded} times, and not {least}"));
        for listener in [SCRAM, TOKENS] {
            let again = self.again(listener);
            must(again >= self.least_again, format!("{listener}: too few authentications again: {again}"));
        }
        if let Some((first, last)) = self.compared() {
            let flat = if self.is_short { SHORT_FLAT } else { FLAT };
            for (name, first, last) in
                [("heap", first.heap, last.heap), ("resident memory", first.resident, last.resident)]
            {
                must(percent(first, last) <= flat, format!("the {name} grew by {:.1} %", percent(first, last)));
            }
        }
        faults
    }
}

/// Returns the growth in percent.
fn percent(first: usize, last: usize) -> f64 {
    (last as f64 / first as f64 - 1.0) * 100.0
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "duration of the load: {} s", self.seconds)?;
        writeln!(f, "batches and messages with an outcome: {}", self.printed.ended.len())?;
        writeln!(f, "{}", self.findings)?;

        writeln!(f, "\n| fault | times | longest s | unknown | their records | of them in the log | not written |")?;
        writeln!(f, "|---|--:|--:|--:|--:|--:|--:|")?;
        let rows = self.rows();
        for kind in Kind::ALL.map(Some).into_iter().chain([None]) {
            let of_kind = self.faults.iter().filter(|fault| Some(fault.kind) == kind);
            let longest = of_kind.clone().map(|fault| fault.end - fault.begin).max().unwrap_or(0) as f64 / 1_000.0;
            let Row { unknown, unknown_records, in_log, not_written } = rows.get(&kind).copied().unwrap_or_default();
            let name = kind.map_or_else(|| "none".to_owned(), |kind| kind.to_string());
            writeln!(
                f,
                "| {name} | {} | {longest:.1} | {unknown} | {unknown_records} | {in_log} | {not_written} |",
                of_kind.count()
            )?;
        }
        writeln!(f, "\nnode restarts: {}", self.restarts)?;
        writeln!(f, "certificates replaced: {} times", self.certificate_replacements)?;
        self.printed.reloads.iter().try_for_each(|(text, count)| writeln!(f, "    {count} × {text}"))?;
        let (scram, tokens) = (self.again(SCRAM), self.again(TOKENS));
        writeln!(f, "authenticated again: SCRAM {scram}, OAUTHBEARER {tokens}")?;

        writeln!(f, "\n| memory | heap KiB | peak KiB | resident KiB |\n|---|--:|--:|--:|")?;
        for (number, Memory { heap, peak, resident }) in self.printed.memory.iter().enumerate() {
            writeln!(f, "| {number} | {} | {} | {} |", heap >> 10, peak >> 10, resident >> 10)?;
        }
        if let Some((first, last)) = self.compared() {
            let (heap, resident) = (percent(first.heap, last.heap), percent(first.resident, last.resident));
            writeln!(f, "growth: heap {heap:.1} %, resident {resident:.1} %")?;
        }
        let mut details = String::new();
        for ((name, shape), count) in self.reasons() {
            writeln!(details, "    {count} {name}: {shape}")?;
        }
        for (shape, count) in &self.printed.warnings {
            writeln!(details, "    {count} warnings: {shape}")?;
        }
        write!(f, "failures and warnings, without their numbers:\n{details}")
    }
}
