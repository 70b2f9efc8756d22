//! The open batches of [`PartitionedBatches`](super::PartitionedBatches), by partition and by age.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::spare_buffers::SpareBuffers;
use crate::batch::{Append, AppendError, AppendedRecord, KafkaBatch};
use crate::record::Record;
use crate::time::Timestamp;

/// Open batches, at most one for each partition, in a doubly linked list from the oldest to the newest.
///
/// Every method takes constant time, however many partitions and open batches there are. A removed batch leaves its place to the
/// next one, so that there is memory for the largest number of open batches at one time.
#[derive(Clone, Debug, Default)]
pub(super) struct OpenBatches {
    /// By partition. It grows to the largest partition used.
    partitions: Vec<Partition>,
    /// The empty places of earlier batches.
    #[expect(clippy::vec_box, reason = "a box moves to the partition, with its memory")]
    free: Vec<Box<Place>>,
    oldest: Option<u32>,
    newest: Option<u32>,
    count: usize,
    /// The sum of the batches' sizes before compression.
    bytes: usize,
    /// The largest value of `bytes` before a batch was removed.
    peak: usize,
    /// The memory of earlier batches, for new ones: at most `peak` bytes.
    spare: SpareBuffers,
    /// How many nodes were accessed so far, for tests of the cost.
    #[cfg(test)]
    pub(super) accesses: usize,
}

#[derive(Clone, Debug, Default)]
struct Partition {
    /// The place of its open batch. Boxed, so that a partition without one has little memory.
    open: Option<Box<Place>>,
    /// The size of its last batch, in bytes.
    last_size: u32,
}

/// `None` only in [`OpenBatches::free`].
type Place = Option<Node>;

#[derive(Clone, Debug)]
struct Node {
    batch: KafkaBatch,
    opened: Timestamp,
    /// The partitions of the batches before and after it.
    older: Option<u32>,
    newer: Option<u32>,
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
        let partition = self.oldest? as usize;
        let node = self.partitions.get(partition)?.open.as_deref()?.as_ref()?;
        Some((partition, node.opened))
    }

    /// Appends a record to the partition's open batch. Returns `None` if it has none.
    pub(super) fn append(
        &mut self,
        partition: usize,
        record: &Record<'_>,
        now: Timestamp,
    ) -> Option<Result<Append, AppendError>> {
        let batch = &mut self.node(Some(partition as u32))?.batch;
        batch.set_now(now);
        let appended = batch.append(*record);
        if let Ok(Append::Appended(AppendedRecord { size, .. })) = appended {
            self.bytes += size;
        }
        Some(appended)
    }

    /// As [`append`](Self::append), for what most appends are: the partition has an open batch, and [`KafkaBatch::append_usual`]
    /// takes the record. Returns `false` if nothing was done.
    #[inline(always)]
    pub(super) fn append_usual(&mut self, partition: usize, record: &Record<'_>, now: Timestamp) -> bool {
        #[cfg(test)]
        {
            self.accesses += 1;
        }
        let open = self.partitions.get_mut(partition).and_then(|partition| partition.open.as_deref_mut()?.as_mut());
        let appended = open.and_then(|node| node.batch.append_usual(record, now));
        self.bytes += appended.unwrap_or_default();
        appended.is_some()
    }

    /// Creates an empty batch for a partition, with the settings of `template`, and memory for as many bytes as the one before.
    pub(super) fn new_batch(&mut self, partition: usize, template: &KafkaBatch, now: Timestamp) -> KafkaBatch {
        let last_size = self.partitions.get(partition).map_or(0, |partition| partition.last_size as usize);
        if last_size == 0 {
            return template.next_batch_with(now, 0, Vec::new());
        }
        // A little more, so that a batch of about the same size fits.
        let (expected, largest) = (template.capacity_for(last_size + last_size / 16), template.largest_capacity());
        let (buffer, capacity) = self.spare.take(expected, largest);
        template.next_batch_with(now, template.len_within(capacity), buffer)
    }

    /// Keeps the memory of an earlier batch for new ones.
    pub(super) fn recycle(&mut self, buffer: Vec<u8>) {
        self.spare.put(buffer, self.peak);
    }

    /// Adds a batch as the newest. The partition must have none.
    pub(super) fn insert(&mut self, partition: usize, batch: KafkaBatch, opened: Timestamp) {
        if self.partitions.len() <= partition {
            self.partitions.resize_with(partition + 1, Partition::default);
        }
        let (newest, older) = (Some(partition as u32), self.newest); // there are fewer partitions than 2³¹
        self.bytes += batch.size();
        self.count += 1;
        let node = Some(Node { batch, opened, older, newer: None });
        let place = match self.free.pop() {
            Some(mut place) => {
                *place = node;
                place
            }
            None => Box::new(node),
        };
        let before = self.partitions[partition].open.replace(place);
        debug_assert!(before.is_none(), "partition {partition} has an open batch");
        self.newest = newest;
        match self.node(older) {
            Some(older) => older.newer = newest,
            None => self.oldest = newest,
        }
    }

    /// Removes the partition's open batch.
    pub(super) fn remove(&mut self, partition: usize) -> Option<KafkaBatch> {
        #[cfg(test)]
        {
            self.accesses += 1;
        }
        let partition = self.partitions.get_mut(partition)?;
        let mut place = partition.open.take()?;
        let Node { batch, older, newer, .. } = place.take()?;
        self.free.push(place);
        let size = batch.size();
        partition.last_size = u32::try_from(size).unwrap_or(u32::MAX);
        self.peak = self.peak.max(self.bytes);
        match self.node(older) {
            Some(older) => older.newer = newer,
            None => self.oldest = newer,
        }
        match self.node(newer) {
            Some(newer) => newer.older = older,
            None => self.newest = older,
        }
        self.bytes -= size;
        self.count -= 1;
        Some(batch)
    }

    fn node(&mut self, partition: Option<u32>) -> Option<&mut Node> {
        let partition = partition?;
        #[cfg(test)]
        {
            self.accesses += 1;
        }
        self.partitions.get_mut(partition as usize)?.open.as_deref_mut()?.as_mut()
    }
}
