//! How far the load is, for those who wait for it.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::PARTITIONS;
use crate::audit::Outcome;

/// Only so that what would hang fails instead.
pub(crate) const PATIENCE: Duration = Duration::from_secs(240);

/// Between two looks at what nobody tells of.
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

    /// Waits until the load is so far.
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

/// Waits for something of which no news comes: looks again and again, with a pause so that others get on. How long it takes
/// decides nothing, but that after [`PATIENCE`] it has failed.
pub(crate) fn look_until<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let begun = Instant::now();
    loop {
        match look() {
            Ok(seen) => return seen,
            Err(seen) => assert!(begun.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}; last seen: {seen}"),
        }
        std::thread::park_timeout(LOOK);
    }
}
