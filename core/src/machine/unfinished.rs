//! The accepted batches without an outcome, in the order of acceptance.

use alloc::vec::Vec;

use super::event::BatchId;
use super::index::PartitionIndex;
use crate::time::Instant;

/// The place of a batch in [`Unfinished`]. It is reused after the batch has finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UnfinishedIndex(usize);

/// An accepted batch without an outcome.
#[derive(Clone, Copy, Debug)]
pub(super) struct UnfinishedBatch {
    pub(super) id: BatchId,
    /// When it was accepted. `delivery.timeout.ms` is the same for all batches, so the oldest batch has the earliest deadline.
    pub(super) accepted: Instant,
    pub(super) partition: PartitionIndex,
    /// The size that it was accepted with, in bytes.
    size: usize,
    /// The batches accepted before and after it.
    older: Option<UnfinishedIndex>,
    newer: Option<UnfinishedIndex>,
}

/// The accepted batches without an outcome: a doubly linked list in one vector, so that a batch in the middle is removed
/// without a search, and memory is bounded by the largest number of batches at one time.
#[derive(Debug, Default)]
pub(super) struct Unfinished {
    places: Vec<UnfinishedBatch>,
    free: Vec<UnfinishedIndex>,
    oldest: Option<UnfinishedIndex>,
    newest: Option<UnfinishedIndex>,
    bytes: usize,
    next_batch: u64,
}

impl Unfinished {
    /// Accepts a batch: it is the newest.
    pub(super) fn accept(
        &mut self,
        size: usize,
        accepted: Instant,
        partition: PartitionIndex,
    ) -> (BatchId, UnfinishedIndex) {
        let id = self.next_batch();
        self.next_batch += 1;
        self.bytes += size;
        let batch = UnfinishedBatch { id, accepted, partition, size, older: self.newest, newer: None };
        let place = match self.free.pop() {
            Some(place) => {
                self.places[place.0] = batch;
                place
            }
            None => {
                self.places.push(batch);
                UnfinishedIndex(self.places.len() - 1)
            }
        };
        match self.newest.replace(place) {
            Some(before) => self.places[before.0].newer = Some(place),
            None => self.oldest = Some(place),
        }
        (id, place)
    }

    /// Removes a batch that was delivered or has failed. Returns its partition, and when it was accepted.
    #[inline(always)] // it is called in one place
    pub(super) fn finish(&mut self, id: BatchId, place: UnfinishedIndex) -> (PartitionIndex, Instant) {
        let UnfinishedBatch { size, older, newer, id: at_place, partition, accepted } = self.places[place.0];
        debug_assert_eq!(id, at_place, "a batch has finished twice");
        match older {
            Some(older) => self.places[older.0].newer = newer,
            None => self.oldest = newer,
        }
        match newer {
            Some(newer) => self.places[newer.0].older = older,
            None => self.newest = older,
        }
        self.bytes -= size;
        self.free.push(place);
        (partition, accepted)
    }

    /// Returns the batch at this place.
    pub(super) fn get(&self, place: UnfinishedIndex) -> &UnfinishedBatch {
        &self.places[place.0]
    }

    /// Returns the oldest batch, which has the earliest deadline.
    pub(super) fn oldest(&self) -> Option<&UnfinishedBatch> {
        self.oldest.map(|place| &self.places[place.0])
    }

    /// Returns the size of all batches, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the number of all batches.
    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Returns the id of the next batch to be accepted.
    pub(super) fn next_batch(&self) -> BatchId {
        BatchId(self.next_batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    fn accept(unfinished: &mut Unfinished, size: usize) -> (BatchId, UnfinishedIndex) {
        let accepted = Instant::START + Duration::from_secs(unfinished.next_batch);
        unfinished.accept(size, accepted, size)
    }

    #[test]
    fn the_oldest_is_known_whatever_the_order_in_which_batches_finish() {
        let mut unfinished = Unfinished::default();
        let accepted: Vec<_> = [10, 20, 30, 40].map(|size| accept(&mut unfinished, size)).into();
        for (finished, oldest, bytes) in [(1, Some(0), 80), (0, Some(2), 70), (3, Some(2), 30), (2, None, 0)] {
            let (id, place) = accepted[finished];
            unfinished.finish(id, place);
            assert_eq!(unfinished.oldest().map(|batch| batch.id.0), oldest);
            assert_eq!(unfinished.bytes(), bytes);
        }
        let (id, _) = accept(&mut unfinished, 5);
        let oldest = unfinished.oldest().unwrap();
        assert_eq!((id, oldest.id, oldest.partition, oldest.accepted.since_start().as_secs()), (BatchId(4), id, 5, 4));
    }

    #[test]
    fn places_are_reused_while_an_old_batch_does_not_finish() {
        let mut unfinished = Unfinished::default();
        accept(&mut unfinished, 1);
        for _ in 0..1_000 {
            let (id, place) = accept(&mut unfinished, 1);
            unfinished.finish(id, place);
        }
        assert_eq!(unfinished.places.len(), 2);
        assert_eq!(unfinished.next_batch(), BatchId(1_001));
    }
}
