//! The outcomes of a partition's batches, in the order in which they were sent.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::mem;

/// Returns the outcomes of each partition's batches in the order of the batches, whichever completes first.
///
/// `K` is what is kept of a batch, and `R` its result. Every method takes constant time, however many partitions and batches
/// there are.
#[derive(Debug)]
pub(super) struct OutcomeOrder<K, R> {
    /// The batches that are not yet returned, by the index in their id.
    places: Vec<Place<K, R>>,
    free: Vec<u32>,
    /// By partition: the first and the last batch that is not yet returned. It grows to the largest partition used.
    partitions: Vec<Option<(u32, u32)>>,
    /// Complete, in order, and to be returned.
    ready: VecDeque<(K, R)>,
    /// The number of batches without a result.
    pending: usize,
}

/// A place in the list of batches, used again once a batch is returned.
#[derive(Debug)]
struct Place<K, R> {
    /// Counts the batches that had this place, so that an id is valid once.
    generation: u32,
    batch: Option<Batch<K, R>>,
}

#[derive(Debug)]
struct Batch<K, R> {
    partition: usize,
    kept: K,
    /// The result, if it has to wait for an earlier batch. Boxed, because few have to.
    result: Option<Box<R>>,
    /// The next batch of the partition.
    next: Option<u32>,
}

/// Identifies a batch without a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChannelBatchId(pub(super) u64);

impl ChannelBatchId {
    const fn new(index: u32, generation: u32) -> Self {
        Self((generation as u64) << 32 | index as u64)
    }

    const fn index(self) -> usize {
        self.0 as u32 as usize
    }

    const fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

impl<K, R> OutcomeOrder<K, R> {
    pub(super) const fn new() -> Self {
        Self { places: Vec::new(), free: Vec::new(), partitions: Vec::new(), ready: VecDeque::new(), pending: 0 }
    }

    /// Adds a batch that is sent after all earlier ones of its partition.
    pub(super) fn add(&mut self, partition: i32, kept: K) -> ChannelBatchId {
        let partition = partition as usize;
        let batch = Some(Batch { partition, kept, result: None, next: None });
        let index = match self.free.pop() {
            Some(index) => {
                self.places[index as usize].batch = batch;
                index
            }
            None => {
                self.places.push(Place { generation: 0, batch });
                (self.places.len() - 1) as u32
            }
        };
        if self.partitions.len() <= partition {
            self.partitions.resize(partition + 1, None);
        }
        match &mut self.partitions[partition] {
            Some((_, last)) => {
                let before = mem::replace(last, index);
                if let Some(before) = &mut self.places[before as usize].batch {
                    before.next = Some(index);
                }
            }
            ends @ None => *ends = Some((index, index)),
        }
        self.pending += 1;
        ChannelBatchId::new(index, self.places[index as usize].generation)
    }

    /// Completes a batch. Returns its outcome if no earlier batch of its partition is without a result. Then later ones that were
    /// complete before can be [removed](Self::pop), after this.
    pub(super) fn complete(&mut self, id: ChannelBatchId, result: R) -> Option<(K, R)> {
        let place = self.places.get_mut(id.index()).filter(|place| place.generation == id.generation())?;
        let batch = place.batch.as_mut().filter(|batch| batch.result.is_none())?;
        self.pending -= 1;
        let partition = batch.partition;
        let is_first = self.partitions[partition].is_some_and(|(first, _)| first as usize == id.index());
        if !is_first {
            batch.result = Some(Box::new(result));
            return None;
        }
        let kept = self.remove_first(partition)?;
        while let Some(first) = self.first(partition).filter(|first| first.result.is_some()) {
            let Some(result) = first.result.take() else { break };
            let Some(kept) = self.remove_first(partition) else { break };
            self.ready.push_back((kept, *result));
        }
        Some((kept, result))
    }

    fn first(&mut self, partition: usize) -> Option<&mut Batch<K, R>> {
        let (first, _) = self.partitions[partition]?;
        self.places[first as usize].batch.as_mut()
    }

    fn remove_first(&mut self, partition: usize) -> Option<K> {
        let (first, last) = self.partitions[partition]?;
        let place = &mut self.places[first as usize];
        let Batch { kept, next, .. } = place.batch.take()?;
        place.generation = place.generation.wrapping_add(1);
        self.free.push(first);
        self.partitions[partition] = next.map(|next| (next, last));
        Some(kept)
    }

    /// Removes and returns the next outcome that has waited for an earlier batch.
    pub(super) fn pop(&mut self) -> Option<(K, R)> {
        self.ready.pop_front()
    }

    /// Returns what is left after all outcomes were [removed](Self::pop): each batch, with its id, and its result if it has to
    /// wait for an earlier one. Those of a partition are in order.
    pub(super) fn into_each(mut self) -> impl Iterator<Item = (ChannelBatchId, K, Option<R>)> {
        debug_assert!(self.ready.is_empty());
        let mut each = Vec::new();
        for partition in 0..self.partitions.len() {
            while let Some((first, _)) = self.partitions[partition] {
                let id = ChannelBatchId::new(first, self.places[first as usize].generation);
                let result = self.first(partition).and_then(|first| first.result.take());
                let Some(kept) = self.remove_first(partition) else { break };
                each.push((id, kept, result.map(|result| *result)));
            }
        }
        each.into_iter()
    }

    /// Returns the number of batches without a result.
    pub(super) const fn pending(&self) -> usize {
        self.pending
    }

    /// Returns `true` if there are no batches, neither without a result nor to be returned.
    pub(super) fn is_empty(&self) -> bool {
        self.free.len() == self.places.len() && self.ready.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    /// The outcomes that completing a batch makes available.
    fn complete(order: &mut OutcomeOrder<u32, char>, id: ChannelBatchId, result: char) -> Vec<(u32, char)> {
        let first = order.complete(id, result);
        first.into_iter().chain(core::iter::from_fn(|| order.pop())).collect()
    }

    #[test]
    fn a_partition_waits_for_its_first_batch_and_the_others_do_not() {
        let mut order = OutcomeOrder::new();
        let [a, b, c] = [1, 2, 3].map(|kept| order.add(7, kept));
        let other = order.add(2, 4);
        assert_eq!((order.pending(), order.pop()), (4, None));
        assert_eq!(complete(&mut order, c, 'c'), []);
        assert_eq!(complete(&mut order, b, 'b'), []);
        assert_eq!(complete(&mut order, other, 'o'), [(4, 'o')]);
        assert!(!order.is_empty());
        assert_eq!(complete(&mut order, a, 'a'), [(1, 'a'), (2, 'b'), (3, 'c')]);
        assert_eq!((order.pending(), order.is_empty()), (0, true));
        let again = order.add(7, 5);
        let behind = order.add(7, 6);
        let other = order.add(1, 7);
        assert_eq!(complete(&mut order, other, 'o'), [(7, 'o')]);
        assert_eq!(complete(&mut order, behind, 'e'), []);
        assert_eq!(complete(&mut order, again, 'd'), [(5, 'd'), (6, 'e')]);
    }

    #[test]
    fn a_batch_completes_once() {
        let mut order = OutcomeOrder::new();
        let [a, b] = [1, 2].map(|kept| order.add(0, kept));
        assert_eq!(complete(&mut order, b, 'b'), []);
        assert_eq!(complete(&mut order, b, 'x'), []);
        assert_eq!(complete(&mut order, a, 'a'), [(1, 'a'), (2, 'b')]);
        let next = order.add(0, 3);
        for unknown in [a, b, ChannelBatchId(u64::MAX)] {
            assert_eq!(complete(&mut order, unknown, 'x'), [], "its place has another batch now");
        }
        assert_eq!(order.pending(), 1);
        assert_eq!(complete(&mut order, next, 'c'), [(3, 'c')]);
        assert!(order.is_empty() && order.places.len() == 2, "places are used again");
    }

    #[test]
    fn what_is_left_is_returned_with_and_without_a_result() {
        let mut order = OutcomeOrder::new();
        let [_, b, c] = [1, 2, 3].map(|kept| order.add(7, kept));
        assert!(complete(&mut order, c, 'c').is_empty() && complete(&mut order, b, 'b').is_empty());
        let left: Vec<_> = order.into_each().map(|(_, kept, result)| (kept, result)).collect();
        assert_eq!(left, [(1, None), (2, Some('b')), (3, Some('c'))]);
    }
}
