//! Compares the reported outcomes with the log.

use std::collections::BTreeMap;
use std::fmt;

use crate::record;

/// The reported outcome of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The offset of its first record, if it was reported.
    Written(Option<i64>),
    NotWritten,
    Unknown,
}

/// A batch of consecutive records of a task.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) task: u16,
    pub(crate) partition: i32,
    /// The number of its first record.
    pub(crate) first: u64,
    pub(crate) count: u64,
    pub(crate) outcome: Outcome,
}

/// Processes the log record by record.
#[derive(Debug)]
pub(crate) struct Audit {
    tasks: BTreeMap<u16, Task>,
    /// The largest number of an acknowledged record so far, by task and partition.
    last: BTreeMap<(u16, i32), u64>,
    findings: Findings,
}

#[derive(Debug, Default)]
struct Task {
    /// By number, without gaps.
    batches: Vec<Sent>,
    /// The number of occurrences of each record in the log.
    seen: Vec<u8>,
}

impl Audit {
    pub(crate) fn new(batches: Vec<Sent>) -> Self {
        let mut tasks: BTreeMap<u16, Task> = BTreeMap::new();
        for sent in batches {
            tasks.entry(sent.task).or_default().batches.push(sent);
        }
        for task in tasks.values_mut() {
            task.batches.sort_unstable_by_key(|sent| sent.first);
            let mut next = 0;
            for sent in &task.batches {
                assert_eq!(sent.first, next, "a sent batch without an outcome: {sent:?}");
                next += sent.count;
            }
            task.seen = vec![0; next as usize];
        }
        Self { tasks, last: BTreeMap::new(), findings: Findings::default() }
    }

    /// Processes a record at this offset. Offsets must increase.
    pub(crate) fn read(&mut self, partition: i32, offset: i64, value: &[u8]) {
        self.findings.read += 1;
        let found = record::parse(value).and_then(|(id, number)| {
            let task = self.tasks.get_mut(&id)?;
            let sent = *task.batches.get(task.batches.partition_point(|sent| sent.first <= number).checked_sub(1)?)?;
            let seen = task.seen.get_mut(number as usize)?;
            *seen = seen.saturating_add(1);
            Some((sent, number, *seen))
        });
        let Some((sent, number, seen)) = found else {
            self.findings.foreign.add(|| format!("{partition}@{offset}: {value:?}"));
            return;
        };
        let what = || format!("record {number} at {partition}@{offset}, of {sent:?}");
        if seen > 1 {
            self.findings.duplicates.add(what);
        }
        match sent.outcome {
            Outcome::NotWritten => self.findings.present.add(what),
            Outcome::Unknown => {}
            Outcome::Written(base) => {
                let expected = base.map(|base| base + (number - sent.first) as i64);
                if seen == 1 && expected.is_some_and(|expected| expected != offset) {
                    self.findings.elsewhere.add(what);
                }
                let last = self.last.entry((sent.task, partition)).or_insert(number);
                if seen == 1 && number < *last {
                    self.findings.disordered.add(what);
                }
                *last = number.max(*last);
            }
        }
        if sent.partition != partition {
            self.findings.elsewhere.add(what);
        }
    }

    /// Ends the audit: the whole log was read.
    pub(crate) fn conclude(self) -> Findings {
        let Self { tasks, mut findings, .. } = self;
        for task in tasks.values() {
            for sent in &task.batches {
                let seen = &task.seen[sent.first as usize..][..sent.count as usize];
                let there = seen.iter().filter(|seen| **seen > 0).count() as u64;
                match sent.outcome {
                    Outcome::NotWritten => findings.not_written += sent.count,
                    Outcome::Written(base) => {
                        findings.written += sent.count;
                        findings.without_offset += if base.is_none() { sent.count } else { 0 };
                        for (position, _) in seen.iter().enumerate().filter(|(_, seen)| **seen == 0) {
                            findings.missing.add(|| format!("record {} of {sent:?}", sent.first + position as u64));
                        }
                    }
                    Outcome::Unknown => {
                        findings.unknown += sent.count;
                        findings.unknown_there += there;
                        if there != 0 && there != sent.count {
                            findings.torn.add(|| format!("{there} records in the log, of {sent:?}"));
                        }
                    }
                }
            }
        }
        findings
    }
}

#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) read: u64,
    pub(crate) written: u64,
    pub(crate) not_written: u64,
    pub(crate) unknown: u64,
    /// Unknown, and in the log.
    pub(crate) unknown_there: u64,
    /// Written, without a reported offset.
    pub(crate) without_offset: u64,
    missing: Faults,
    duplicates: Faults,
    disordered: Faults,
    /// Not written, but in the log.
    present: Faults,
    /// At another offset or in another partition than reported.
    elsewhere: Faults,
    /// Unknown batches that are in the log in part.
    torn: Faults,
    /// Not sent, or not in this form.
    foreign: Faults,
}

/// A number of faults, and the first of them.
#[derive(Debug, Default)]
struct Faults {
    count: u64,
    first: Vec<String>,
}

impl Faults {
    fn add(&mut self, what: impl FnOnce() -> String) {
        self.count += 1;
        if self.first.len() < 5 {
            self.first.push(what());
        }
    }
}

impl Findings {
    fn faults(&self) -> [(&'static str, &Faults); 7] {
        [
            ("missing", &self.missing),
            ("duplicates", &self.duplicates),
            ("out of order", &self.disordered),
            ("not written, but in the log", &self.present),
            ("elsewhere", &self.elsewhere),
            ("in part", &self.torn),
            ("foreign", &self.foreign),
        ]
    }

    pub(crate) fn is_lawful(&self) -> bool {
        self.faults().iter().all(|(_, faults)| faults.count == 0)
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { read, written, not_written, unknown, unknown_there, without_offset, .. } = self;
        writeln!(f, "read: {read}")?;
        writeln!(f, "written: {written}, {without_offset} without an offset")?;
        writeln!(f, "not written: {not_written}")?;
        write!(f, "unknown: {unknown}, {unknown_there} in the log")?;
        for (name, faults) in self.faults() {
            write!(f, "\n{name}: {}", faults.count)?;
            faults.first.iter().try_for_each(|fault| write!(f, "\n    {fault}"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TASK: u16 = 3;

    /// Returns batches of two records each, from number 0 on, to partition 0.
    fn sent(outcomes: &[Outcome]) -> Audit {
        let batch = |(index, outcome): (usize, &Outcome)| Sent {
            task: TASK,
            partition: 0,
            first: 2 * index as u64,
            count: 2,
            outcome: *outcome,
        };
        Audit::new(outcomes.iter().enumerate().map(batch).collect())
    }

    /// Returns the faults if these records are in the log.
    #[track_caller]
    fn check(outcomes: &[Outcome], log: &[u64], faults: &[(&str, u64)]) -> Findings {
        let mut audit = sent(outcomes);
        for (offset, number) in log.iter().enumerate() {
            audit.read(0, offset as i64, &record::value(TASK, *number));
        }
        let findings = audit.conclude();
        let found: Vec<_> = findings.faults().into_iter().filter(|(_, faults)| faults.count > 0).collect();
        let found: Vec<_> = found.into_iter().map(|(name, faults)| (name, faults.count)).collect();
        assert_eq!(found, faults, "{findings}");
        assert_eq!(findings.is_lawful(), faults.is_empty());
        findings
    }

    const fn at(offset: i64) -> Outcome {
        Outcome::Written(Some(offset))
    }

    #[test]
    fn a_log_as_reported_has_no_faults() {
        use Outcome::{NotWritten, Unknown, Written};
        let findings =
            check(&[at(0), Unknown, NotWritten, Unknown, at(4), Written(None)], &[0, 1, 6, 7, 8, 9, 10, 11], &[]);
        assert_eq!((findings.written, findings.not_written), (6, 2));
        assert_eq!((findings.unknown, findings.unknown_there, findings.without_offset), (4, 2, 2));
    }

    #[test]
    fn every_difference_is_a_fault() {
        use Outcome::{NotWritten, Unknown};
        check(&[at(0), at(2)], &[0, 1, 2], &[("missing", 1)]);
        check(&[at(0), at(2)], &[0, 1, 2, 3, 2], &[("duplicates", 1)]);
        check(&[Unknown], &[0, 1, 0, 1], &[("duplicates", 2)]);
        check(&[at(2), at(0)], &[2, 3, 0, 1], &[("out of order", 2)]);
        check(&[Outcome::Written(None)], &[1, 0], &[("out of order", 1)]);
        check(&[NotWritten, at(1)], &[1, 2, 3], &[("not written, but in the log", 1)]);
        check(&[at(0), at(3)], &[0, 1, 2, 3], &[("elsewhere", 2)]);
        check(&[Unknown], &[0], &[("in part", 1)]);
        check(&[at(0)], &[0, 1, 2], &[("foreign", 1)]);
    }

    #[test]
    fn a_record_in_another_partition_or_of_another_task_is_found() {
        let mut audit = sent(&[at(0)]);
        audit.read(1, 0, &record::value(TASK, 0));
        audit.read(0, 1, &record::value(TASK, 1));
        audit.read(0, 2, &record::value(TASK + 1, 0));
        audit.read(0, 3, b"");
        let findings = audit.conclude();
        assert_eq!((findings.elsewhere.count, findings.foreign.count), (1, 2), "{findings}");
    }
}
