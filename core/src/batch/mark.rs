//! Marks: positions in a batch to which it can be rolled back.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

use crate::batch::RecordStats;

/// A position in a batch, for [`KafkaBatch::rollback`](crate::KafkaBatch::rollback). Created by
/// [`KafkaBatch::mark`](crate::KafkaBatch::mark).
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    batch: MarkOwner,
    serial: u64,
    pub(crate) stats: RecordStats,
}

/// Identifies the batch that made a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MarkOwner(usize);

impl MarkOwner {
    pub(crate) fn next() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// Keeps track of which marks of one batch are still valid.
#[derive(Clone, Debug)]
pub(crate) struct Marks {
    batch: MarkOwner,
    next_serial: u64,
    furthest: usize,
    /// Rollbacks that removed marked records: (serial number of the next mark, bytes left). Both numbers increase from entry to
    /// entry, because a rollback replaces the earlier ones that left as many bytes or more. So a mark is invalid exactly
    /// if the first entry made after it left fewer bytes than it marks.
    cuts: Vec<(u64, usize)>,
}

impl Marks {
    pub(crate) fn new() -> Self {
        Self { batch: MarkOwner::next(), next_serial: 0, furthest: 0, cuts: Vec::new() }
    }

    pub(crate) fn make(&mut self, stats: RecordStats) -> Mark {
        let serial = self.next_serial;
        self.next_serial += 1;
        self.furthest = self.furthest.max(stats.len);
        Mark { batch: self.batch, serial, stats }
    }

    pub(crate) fn check(&self, mark: &Mark) -> Result<(), RollbackError> {
        if mark.batch != self.batch {
            return Err(RollbackError::OtherBatch);
        }
        let after = self.cuts.partition_point(|&(serial, _)| serial <= mark.serial);
        match self.cuts.get(after) {
            Some(&(_, left)) if left < mark.stats.len => Err(RollbackError::MarkRemoved),
            _ => Ok(()),
        }
    }

    /// Records that the batch was truncated to `len` bytes of records.
    pub(crate) fn cut(&mut self, len: usize) {
        if self.furthest <= len {
            return;
        }
        while self.cuts.last().is_some_and(|&(_, left)| left >= len) {
            self.cuts.pop();
        }
        self.cuts.push((self.next_serial, len));
        self.furthest = len;
    }
}

/// Why a batch could not be rolled back to a mark. The batch is unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RollbackError {
    /// Another batch made the mark. A clone is another batch.
    #[error("cannot roll back: the mark was made by another batch; make one with this batch")]
    OtherBatch,
    /// A rollback to an earlier mark removed this one.
    #[error("cannot roll back: the batch was rolled back to an earlier mark, which removed this one")]
    MarkRemoved,
    /// The batch is closed.
    #[error("cannot roll back: the batch is closed, so its records are final")]
    Closed,
}
