//! The transactions in the log of a partition: which are open, and where the others ended (`ProducerStateManager` and the
//! transaction index of Apache Kafka).

use std::collections::BTreeMap;

use super::log::StoredBatch;

/// A transaction that has ended in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) producer: i64,
    /// The offset of its first record.
    pub(crate) first: i64,
    /// The offset of its marker.
    marker: i64,
    is_committed: bool,
}

/// The transactions of a partition.
#[derive(Clone, Debug, Default)]
pub(crate) struct TransactionIndex {
    /// The offset of the first record of the open transaction of each producer.
    open: BTreeMap<i64, i64>,
    /// By ascending offset of the marker.
    ended: Vec<Ended>,
}

impl TransactionIndex {
    /// Returns the transactions in these batches.
    pub(crate) fn of<'a>(stored: impl IntoIterator<Item = &'a StoredBatch>) -> Self {
        let mut index = Self::default();
        stored.into_iter().for_each(|stored| index.appended(stored));
        index
    }

    /// Records a batch that was appended.
    pub(crate) fn appended(&mut self, stored: &StoredBatch) {
        let Some(stamp) = stored.info.stamp.filter(|_| stored.info.is_transactional) else { return };
        match stored.info.control {
            None => {
                self.open.entry(stamp.producer).or_insert(stored.base_offset);
            }
            Some(control) => {
                // A marker of a transaction without records here ends nothing.
                if let Some(first) = self.open.remove(&stamp.producer) {
                    let is_committed = control.commits();
                    self.ended.push(Ended {
                        producer: stamp.producer,
                        first,
                        marker: stored.base_offset,
                        is_committed,
                    });
                }
            }
        }
    }

    /// Returns true if this producer has an open transaction here.
    pub(crate) fn is_open(&self, producer: i64) -> bool {
        self.open.contains_key(&producer)
    }

    /// Returns the last stable offset: before it, no record is of an open transaction, and every marker is replicated.
    pub(crate) fn last_stable_offset(&self, high_watermark: i64) -> i64 {
        let unreplicated = self.ended.iter().rev().take_while(|ended| ended.marker >= high_watermark);
        let first = self.open.values().copied().chain(unreplicated.map(|ended| ended.first)).min();
        first.map_or(high_watermark, |first| first.min(high_watermark))
    }

    /// Returns the aborted transactions that have records from one offset to before another.
    pub(crate) fn aborted(&self, from: i64, end: i64) -> impl Iterator<Item = &Ended> {
        let first = self.ended.partition_point(|ended| ended.marker < from);
        self.ended[first..].iter().filter(move |ended| !ended.is_committed && ended.first < end)
    }
}
