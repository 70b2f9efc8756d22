//! The progress of the load, for those that wait for it.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::PARTITIONS;
use crate::audit::Outcome;

/// Turns a test that would hang into one that fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(240);

/// The interval between two polls.
const LOOK: Duration = Duration::from_millis(50);

#[derive(Debug, Default)]
pub(crate) struct Progress {
    counts: Mutex<Counts>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) written: u64,
    pub(crate) unknown: u64,
    pub(crate) not_written: u64,
    pub(crate) by_partition: [u64; PARTITIONS as usize],
}

impl Progress {
    pub(crate) fn ended(&self, partition: i32, records: u64, outcome: Outcome) {
        let mut counts = self.lock();
        match outcome {
            Outcome::Written(_) => {
                counts.written += records;
                counts.by_partition[partition as usize] += records;
            }
            Outcome::Unknown => counts.unknown += records,
            Outcome::NotWritten => counts.not_written += records,
        }
        self.changed.notify_all();
    }

    pub(crate) fn counts(&self) -> Counts {
        *self.lock()
    }

    /// Waits until the load has reached a state.
    pub(crate) fn wait(&self, what: &str, is_so_far: impl Fn(&Counts) -> bool) -> Counts {
        let counts = self.lock();
        let waited = self.changed.wait_timeout_while(counts, PATIENCE, |counts| !is_so_far(counts));
        let (counts, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(!timeout.timed_out(), "waited {PATIENCE:?} for {what}; so far {:?}", *counts);
        *counts
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Polls for a state, with a pause so that others make progress. The time that it takes has no effect, except that
/// it fails after [`PATIENCE`].
pub(crate) fn look_until<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let started = Instant::now();
    loop {
        match look() {
            Ok(seen) => return seen,
            Err(seen) => assert!(started.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}; last seen: {seen}"),
        }
        std::thread::park_timeout(LOOK);
    }
}
