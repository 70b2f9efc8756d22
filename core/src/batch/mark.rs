//! Marks: places in a batch to go back to.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

use crate::batch::Progress;

/// A place in a batch, made by [`KafkaBatch::mark`](crate::KafkaBatch::mark), to which
/// [`rollback`](crate::KafkaBatch::rollback) can return.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    batch: BatchId,
    serial: u64,
    pub(crate) progress: Progress,
}

/// Which batch a mark belongs to. Never shows outside: it only tells one batch's marks from another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchId(usize);

impl BatchId {
    pub(crate) fn next() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// Which marks of one batch still point at records that are there.
#[derive(Clone, Debug)]
pub(crate) struct Marks {
    batch: BatchId,
    next_serial: u64,
    furthest: usize,
    /// Rollbacks that cut marked records off: (serial at that time, bytes left). Both numbers only rise, since a
    /// rollback makes every earlier one that left as much or more forgettable. So a mark is dead exactly if the first
    /// entry made after it left fewer bytes than it marks.
    cuts: Vec<(u64, usize)>,
}

impl Marks {
    pub(crate) fn new() -> Self {
        Self { batch: BatchId::next(), next_serial: 0, furthest: 0, cuts: Vec::new() }
    }

    pub(crate) fn make(&mut self, progress: Progress) -> Mark {
        let serial = self.next_serial;
        self.next_serial += 1;
        self.furthest = self.furthest.max(progress.len);
        Mark { batch: self.batch, serial, progress }
    }

    pub(crate) fn check(&self, mark: &Mark) -> Result<(), RollbackError> {
        if mark.batch != self.batch {
            return Err(RollbackError::OtherBatch);
        }
        let after = self.cuts.partition_point(|&(serial, _)| serial <= mark.serial);
        match self.cuts.get(after) {
            Some(&(_, left)) if left < mark.progress.len => Err(RollbackError::MarkRemoved),
            _ => Ok(()),
        }
    }

    /// Records that the batch now ends after `len` bytes.
    pub(crate) fn cut(&mut self, len: usize) {
        if self.furthest <= len {
            return;
        }
        while self.cuts.last().is_some_and(|&(_, left)| left >= len) {
            self.cuts.pop();
        }
        self.cuts.push((self.next_serial, len));
        self.next_serial += 1;
        self.furthest = len;
    }
}

/// A mark that this batch cannot return to. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RollbackError {
    /// The mark was made by another batch (a clone of this one counts as another).
    #[error("this mark belongs to another batch")]
    OtherBatch,
    /// The batch was rolled back to before the mark after the mark was made.
    #[error("the batch was rolled back to before this mark")]
    MarkRemoved,
    /// The batch is closed, which is final.
    #[error("the batch is closed, so its records stay")]
    Closed,
}
