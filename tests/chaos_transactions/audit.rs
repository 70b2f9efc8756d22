//! Compares what is committed in the output with the input.

use std::fmt;

use crate::cluster::Stage;

/// What is in the output.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    inputs: u64,
    once: u64,
    missing: u64,
    repeated: u64,
    foreign: u64,
    /// Records that are in the log, but not committed.
    aborted: u64,
    /// Partitions whose last stable offset is not their end.
    unstable: Vec<i32>,
}

impl Findings {
    pub(crate) fn is_lawful(&self) -> bool {
        self.once == self.inputs && self.missing + self.repeated + self.foreign == 0 && self.unstable.is_empty()
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { inputs, once, missing, repeated, foreign, aborted, unstable } = self;
        write!(f, "input records: {inputs}; in the output once: {once}, missing: {missing}, repeated: {repeated}, ")?;
        write!(f, "foreign: {foreign}; aborted records: {aborted}; partitions with an open transaction: {unstable:?}")
    }
}

/// Reads the output.
pub(crate) fn read(stage: &Stage, inputs: u64) -> Findings {
    let mut findings = Findings { inputs, ..Findings::default() };
    // A transaction that is still open is one of a process that was killed, and is aborted when its time is over.
    findings.unstable = stage.wait_until_stable();
    let mut seen = vec![0_u8; inputs as usize];
    let mut committed = 0;
    stage.read_output("read_committed", |value| {
        committed += 1;
        let number = value.try_into().map(u64::from_be_bytes).ok();
        match number.and_then(|number| seen.get_mut(number as usize)) {
            Some(count) => *count = count.saturating_add(1),
            None => findings.foreign += 1,
        }
    });
    let mut all = 0_u64;
    stage.read_output("read_uncommitted", |_| all += 1);
    findings.aborted = all - committed;
    findings.once = seen.iter().filter(|count| **count == 1).count() as u64;
    findings.missing = seen.iter().filter(|count| **count == 0).count() as u64;
    findings.repeated = seen.iter().filter(|count| **count > 1).count() as u64;
    findings
}
