//! The outcomes of a partition's batches, in the order in which they were sent.

use alloc::collections::{BTreeMap, VecDeque};

/// Returns the outcomes of each partition's batches in the order of the batches, whichever completes first.
///
/// `K` is what is kept of a batch, and `R` its result. The cost of a batch does not depend on how many are in flight in other
/// partitions, except for the depth of the map.
#[derive(Debug)]
pub(super) struct OutcomeOrder<K, R> {
    /// The batches that are not yet returned. No partition has an empty queue.
    partitions: BTreeMap<i32, Queue<K, R>>,
    /// Complete, in order, and to be returned.
    ready: VecDeque<(K, R)>,
    /// The number of batches without a result.
    in_flight: usize,
}

#[derive(Debug)]
struct Queue<K, R> {
    /// The number of the first batch.
    first: u64,
    batches: VecDeque<(K, Option<R>)>,
}

/// A batch in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BatchId {
    partition: i32,
    number: u64,
}

impl<K, R> OutcomeOrder<K, R> {
    pub(super) const fn new() -> Self {
        Self { partitions: BTreeMap::new(), ready: VecDeque::new(), in_flight: 0 }
    }

    /// Adds a batch that was sent after all earlier ones of its partition.
    pub(super) fn add(&mut self, partition: i32, kept: K) -> BatchId {
        let queue = self.partitions.entry(partition).or_insert_with(|| Queue { first: 0, batches: VecDeque::new() });
        let number = queue.first + queue.batches.len() as u64;
        queue.batches.push_back((kept, None));
        self.in_flight += 1;
        BatchId { partition, number }
    }

    /// Completes a batch.
    pub(super) fn complete(&mut self, BatchId { partition, number }: BatchId, result: R) {
        let Some(queue) = self.partitions.get_mut(&partition) else { return };
        let Some((_, pending @ None)) = queue.batches.get_mut((number - queue.first) as usize) else { return };
        *pending = Some(result);
        self.in_flight -= 1;
        while let Some((_, Some(_))) = queue.batches.front() {
            let Some((kept, Some(result))) = queue.batches.pop_front() else { break };
            self.ready.push_back((kept, result));
            queue.first += 1;
        }
        if queue.batches.is_empty() {
            // No batch of it is left, so numbers may begin at 0 again.
            self.partitions.remove(&partition);
        }
    }

    /// Removes and returns the next outcome.
    pub(super) fn pop(&mut self) -> Option<(K, R)> {
        self.ready.pop_front()
    }

    /// Returns what is left: each batch, with its result if it is complete. Those of a partition are in order.
    pub(super) fn into_each(self) -> impl Iterator<Item = (K, Option<R>)> {
        let ready = self.ready.into_iter().map(|(kept, result)| (kept, Some(result)));
        ready.chain(self.partitions.into_values().flat_map(|queue| queue.batches))
    }

    /// Returns the number of batches without a result.
    pub(super) const fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Returns `true` if there are no batches, neither in flight nor to be returned.
    pub(super) fn is_empty(&self) -> bool {
        self.partitions.is_empty() && self.ready.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    fn all(order: &mut OutcomeOrder<u32, char>) -> Vec<(u32, char)> {
        core::iter::from_fn(|| order.pop()).collect()
    }

    #[test]
    fn a_partition_waits_for_its_first_batch_and_the_others_do_not() {
        let mut order = OutcomeOrder::new();
        let [a, b, c] = [1, 2, 3].map(|kept| order.add(7, kept));
        let other = order.add(2, 4);
        assert_eq!((order.in_flight(), order.pop()), (4, None));
        order.complete(c, 'c');
        order.complete(b, 'b');
        assert_eq!(order.pop(), None);
        order.complete(other, 'o');
        assert_eq!(all(&mut order), [(4, 'o')]);
        assert!(!order.is_empty());
        order.complete(a, 'a');
        assert_eq!((order.in_flight(), order.is_empty()), (0, false));
        assert_eq!(all(&mut order), [(1, 'a'), (2, 'b'), (3, 'c')]);
        assert!(order.is_empty());
        let again = order.add(7, 5);
        let behind = order.add(7, 6);
        let other = order.add(1, 7);
        order.complete(other, 'o');
        order.complete(behind, 'e');
        order.complete(again, 'd');
        assert_eq!(all(&mut order), [(7, 'o'), (5, 'd'), (6, 'e')]);
    }

    #[test]
    fn what_is_left_is_returned_with_and_without_a_result() {
        let mut order = OutcomeOrder::new();
        let [a, _, c] = [1, 2, 3].map(|kept| order.add(7, kept));
        order.complete(c, 'c');
        order.complete(a, 'a');
        assert_eq!(order.into_each().collect::<Vec<_>>(), [(1, Some('a')), (2, None), (3, Some('c'))]);
    }
}
