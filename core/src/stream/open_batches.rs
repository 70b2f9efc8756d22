//! The open batches of [`PartitionedBatches`](super::PartitionedBatches), by partition and by age.

use alloc::vec::Vec;
use core::mem;

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
    /// In blocks of [`BLOCK`], so that adding one moves none, and asks for hardly more memory than they need.
    blocks: Vec<Vec<Option<Node>>>,
    free: Vec<u32>,
    oldest: Option<u32>,
    newest: Option<u32>,
    count: usize,
    /// The sum of the batches' sizes before compression.
    bytes: usize,
    /// The largest value of `bytes` before a batch was removed.
    peak: usize,
    /// The memory of earlier batches, for new ones.
    buffers: Vec<Vec<u8>>,
    /// The capacity of all `buffers` together, at most `peak`.
    buffers_capacity: usize,
    /// How many nodes were accessed so far, for tests of the cost.
    #[cfg(test)]
    pub(super) accesses: usize,
}

#[derive(Clone, Copy, Debug)]
struct Partition {
    /// The place of its open batch in `blocks`, or [`NO_PLACE`].
    place: u32,
    /// The size of its last batch, in bytes.
    last_size: u32,
}

/// The nodes of a block.
const BLOCK: usize = 16;

/// There are fewer partitions than 2³¹.
const NO_PLACE: u32 = u32::MAX;

/// The largest buffer that a batch may take for an expected size of 0, and the space for its header.
const SMALL_BUFFER: usize = 1_024;

#[derive(Clone, Debug)]
struct Node {
    batch: KafkaBatch,
    partition: usize,
    opened: Timestamp,
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
        let place = self.oldest? as usize;
        let node = self.blocks.get(place / BLOCK)?.get(place % BLOCK)?.as_ref()?;
        Some((node.partition, node.opened))
    }

    /// Appends a record to the partition's open batch. Returns `None` if it has none.
    pub(super) fn append(
        &mut self,
        partition: usize,
        record: &Record<'_>,
        now: Timestamp,
    ) -> Option<Result<Append, AppendError>> {
        let Partition { place, .. } = *self.partitions.get(partition)?;
        let batch = &mut self.node(Some(place))?.batch;
        batch.set_now(now);
        let appended = batch.append(*record);
        if let Ok(Append::Appended(AppendedRecord { size, .. })) = appended {
            self.bytes += size;
        }
        Some(appended)
    }

    /// Creates an empty batch for a partition, with the settings of `template`, and memory for as many bytes as the one before.
    pub(super) fn new_batch(&mut self, partition: usize, template: &KafkaBatch, now: Timestamp) -> KafkaBatch {
        let last_size = self.partitions.get(partition).map_or(0, |partition| partition.last_size as usize);
        // A little more, so that a batch of about the same size fits.
        let expected = last_size + last_size / 8;
        // In a much larger buffer a small batch would take memory that counts nowhere.
        let is_fitting = |buffer: &Vec<u8>| buffer.capacity() <= 2 * expected + SMALL_BUFFER;
        let has_fitting = self.buffers.last().is_some_and(is_fitting);
        let buffer = if has_fitting { self.buffers.pop().unwrap_or_default() } else { Vec::new() };
        self.buffers_capacity -= buffer.capacity();
        template.next_batch_with(now, expected, buffer)
    }

    /// Keeps the memory of an earlier batch for new ones.
    pub(super) fn recycle(&mut self, buffer: Vec<u8>) {
        if buffer.capacity() > 0 && self.buffers_capacity + buffer.capacity() <= self.peak {
            self.buffers_capacity += buffer.capacity();
            self.buffers.push(buffer);
        }
    }

    /// Adds a batch as the newest. The partition must have none.
    pub(super) fn insert(&mut self, partition: usize, batch: KafkaBatch, opened: Timestamp) {
        if self.partitions.len() <= partition {
            self.partitions.resize(partition + 1, Partition { place: NO_PLACE, last_size: 0 });
        }
        debug_assert!(self.partitions[partition].place == NO_PLACE, "partition {partition} has an open batch");
        self.bytes += batch.size();
        self.count += 1;
        let older = self.newest;
        let node = Some(Node { batch, partition, opened, older, newer: None });
        let place = match self.free.pop() {
            Some(place) => {
                self.blocks[place as usize / BLOCK][place as usize % BLOCK] = node;
                place
            }
            None => {
                if self.blocks.last().is_none_or(|last| last.len() == BLOCK) {
                    self.blocks.push(Vec::with_capacity(BLOCK));
                }
                let block = self.blocks.len() - 1;
                self.blocks[block].push(node);
                (block * BLOCK + self.blocks[block].len() - 1) as u32
            }
        };
        self.partitions[partition].place = place;
        self.newest = Some(place);
        match self.node(older) {
            Some(older) => older.newer = Some(place),
            None => self.oldest = Some(place),
        }
    }

    /// Removes the partition's open batch.
    pub(super) fn remove(&mut self, partition: usize) -> Option<KafkaBatch> {
        #[cfg(test)]
        {
            self.accesses += 1;
        }
        let place = mem::replace(&mut self.partitions.get_mut(partition)?.place, NO_PLACE);
        let Node { batch, older, newer, .. } = self.place_mut(place)?.take()?;
        self.partitions[partition].last_size = u32::try_from(batch.size()).unwrap_or(u32::MAX);
        self.free.push(place);
        self.peak = self.peak.max(self.bytes);
        match self.node(older) {
            Some(older) => older.newer = newer,
            None => self.oldest = newer,
        }
        match self.node(newer) {
            Some(newer) => newer.older = older,
            None => self.newest = older,
        }
        self.bytes -= batch.size();
        self.count -= 1;
        Some(batch)
    }

    fn node(&mut self, place: Option<u32>) -> Option<&mut Node> {
        let place = place?;
        #[cfg(test)]
        {
            self.accesses += 1;
        }
        self.place_mut(place)?.as_mut()
    }

    fn place_mut(&mut self, place: u32) -> Option<&mut Option<Node>> {
        let place = place as usize; // `NO_PLACE` is in no block
        self.blocks.get_mut(place / BLOCK)?.get_mut(place % BLOCK)
    }
}
