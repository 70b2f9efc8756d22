//! The open batches of [`PartitionedBatches`](super::PartitionedBatches), by partition and by age.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::batch::{Append, AppendError, KafkaBatch, RecordMetadata};
use crate::record::Record;
use crate::time::Timestamp;

/// Open batches, at most one for each partition, in a doubly linked list from the oldest to the newest.
///
/// Every method takes constant time, however many partitions and open batches there are.
#[derive(Clone, Debug, Default)]
pub(super) struct OpenBatches {
    /// By partition. It grows to the largest partition used; a partition without an open batch takes the space of a pointer.
    nodes: Vec<Option<Box<Node>>>,
    oldest: Option<usize>,
    newest: Option<usize>,
    count: usize,
    /// The sum of the batches' sizes before compression.
    bytes: usize,
    /// How many nodes were accessed so far, for tests of the cost.
    #[cfg(test)]
    pub(super) accesses: usize,
}

#[derive(Clone, Debug)]
struct Node {
    batch: KafkaBatch,
    opened: Timestamp,
    older: Option<usize>,
    newer: Option<usize>,
}

impl OpenBatches {
    pub(super) const fn count(&self) -> usize {
        self.count
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the partition of the oldest batch, and when that was opened.
    pub(super) fn oldest(&self) -> Option<(usize, Timestamp)> {
        let partition = self.oldest?;
        Some((partition, self.nodes.get(partition)?.as_ref()?.opened))
    }

    /// Appends a record to the partition's open batch. Returns `None` if it has none.
    pub(super) fn append(
        &mut self,
        partition: usize,
        record: &Record<'_>,
        now: Timestamp,
    ) -> Option<Result<Append, AppendError>> {
        let batch = &mut self.node(partition)?.batch;
        batch.set_now(now);
        let appended = batch.append(*record);
        if let Ok(Append::Appended(RecordMetadata { size, .. })) = appended {
            self.bytes += size;
        }
        Some(appended)
    }

    /// Adds a batch as the newest. The partition must have none.
    pub(super) fn insert(&mut self, partition: usize, batch: KafkaBatch, opened: Timestamp) {
        if self.nodes.len() <= partition {
            self.nodes.resize_with(partition + 1, || None);
        }
        debug_assert!(self.nodes[partition].is_none(), "partition {partition} has an open batch");
        self.bytes += batch.size();
        self.count += 1;
        let older = self.newest.replace(partition);
        self.nodes[partition] = Some(Box::new(Node { batch, opened, older, newer: None }));
        match older.and_then(|older| self.node(older)) {
            Some(older) => older.newer = Some(partition),
            None => self.oldest = Some(partition),
        }
    }

    /// Removes the partition's open batch.
    pub(super) fn remove(&mut self, partition: usize) -> Option<KafkaBatch> {
        #[cfg(test)]
        {
            self.accesses += 1;
        }
        let Node { batch, older, newer, .. } = *self.nodes.get_mut(partition)?.take()?;
        match older.and_then(|older| self.node(older)) {
            Some(older) => older.newer = newer,
            None => self.oldest = newer,
        }
        match newer.and_then(|newer| self.node(newer)) {
            Some(newer) => newer.older = older,
            None => self.newest = older,
        }
        self.bytes -= batch.size();
        self.count -= 1;
        Some(batch)
    }

    fn node(&mut self, partition: usize) -> Option<&mut Node> {
        #[cfg(test)]
        {
            self.accesses += 1;
        }
        self.nodes.get_mut(partition)?.as_deref_mut()
    }
}
