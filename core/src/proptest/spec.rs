//! How a batch came to be.

use alloc::vec::Vec;

use super::{Model, OwnedRecord};
use crate::batch::{BatchOptions, KafkaBatch};
use crate::time::Timestamp;

/// How a batch came to be: what a failing test shows instead of its bytes. By
/// [`batches`](super::strategy::batches) and [`limited_batches`](super::strategy::limited_batches).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BatchSpec {
    /// The settings.
    pub options: BatchOptions,
    /// The batch's time.
    pub now: Timestamp,
    /// What was appended; what was refused is not in the batch.
    pub records: Vec<OwnedRecord>,
    /// Offsets left free in front of each record, as compaction leaves them.
    pub gap: u32,
    /// Whether it was closed then.
    pub closed: bool,
}

impl BatchSpec {
    /// The batch.
    ///
    /// # Panics
    /// The options contradict each other; those of a strategy do not.
    #[must_use]
    pub fn batch(&self) -> KafkaBatch {
        let mut batch = self.options.clone().build(self.now).expect("options that go together");
        for record in &self.records {
            let next = batch.records().last().map_or(0, |last| last.offset as u32 + 1);
            let _ = batch.append_at(next + self.gap, record.borrowed());
        }
        if self.closed {
            batch.close();
        }
        batch
    }

    /// Its model, in the same state.
    #[must_use]
    pub fn model(&self) -> Model {
        let mut model = Model::new(self.options.clone(), self.now);
        for record in &self.records {
            let next = model.stored().last().map_or(0, |last| last.offset + 1);
            model.append_at(next + self.gap, record);
        }
        if self.closed {
            model.close();
        }
        model
    }
}
