//! The queue of a partition, oldest batch first. All that a transition has to find is near its front.

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use super::entry::{Entry, EntryId};

/// A queue of entries. Only its first entries, the window, can be in flight, stamped, or awaiting proof: those after it
/// are [unstamped](Entry::is_unstamped). Searches examine the window only. It has at most as many entries as batches that were
/// sent and have no outcome (five, if the producer is idempotent), and the parts of a split batch before one of them.
///
/// Most queues have one entry, which needs no memory besides: with many partitions, each access to memory is one that the
/// processor's caches do not have.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// `None` if the queue is empty.
    first: Option<Box<Entry>>,
    others: VecDeque<Box<Entry>>,
    /// How many entries the window has.
    window: usize,
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.others.len()
    }

    pub(super) fn get(&self, at: usize) -> Option<&Entry> {
        match at {
            0 => self.first.as_deref(),
            _ => self.others.get(at - 1).map(|entry| &**entry),
        }
    }

    fn get_mut(&mut self, at: usize) -> Option<&mut Entry> {
        match at {
            0 => self.first.as_deref_mut(),
            _ => self.others.get_mut(at - 1).map(|entry| &mut **entry),
        }
    }

    /// Iterates over the entries that can be in flight, stamped, or awaiting proof, with their positions.
    pub(super) fn window(&self) -> impl Iterator<Item = (usize, &Entry)> {
        (0..self.window).map_while(|at| Some((at, self.get(at)?)))
    }

    /// Returns the position of the first entry after the window, if there is one. It is unstamped, as all after it are.
    pub(super) fn first_after_window(&self) -> Option<usize> {
        (self.window < self.len()).then_some(self.window)
    }

    /// Returns the position of an entry that was sent.
    pub(super) fn find(&self, id: EntryId) -> Option<usize> {
        self.window().find(|(_, entry)| entry.id == id).map(|(at, _)| at)
    }

    /// Appends an unstamped entry.
    pub(super) fn push(&mut self, entry: Box<Entry>) {
        debug_assert!(entry.is_unstamped());
        match self.first {
            None => self.first = Some(entry),
            Some(_) => self.others.push_back(entry),
        }
    }

    /// Inserts an unstamped entry at this position.
    pub(super) fn insert(&mut self, at: usize, entry: Box<Entry>) {
        debug_assert!(entry.is_unstamped());
        match at {
            0 => {
                if let Some(second) = self.first.replace(entry) {
                    self.others.push_front(second);
                }
            }
            _ => self.others.insert(at - 1, entry),
        }
        self.window += usize::from(at < self.window);
    }

    /// Removes the entry at this position.
    pub(super) fn remove(&mut self, at: usize) -> Option<Box<Entry>> {
        let entry = match at {
            0 => core::mem::replace(&mut self.first, self.others.pop_front()),
            _ => self.others.remove(at - 1),
        }?;
        self.window -= usize::from(at < self.window);
        self.shrink();
        Some(entry)
    }

    /// Changes the entry at this position.
    ///
    /// # Panics
    /// If there is none.
    pub(super) fn update<T>(&mut self, at: usize, change: impl FnOnce(&mut Entry) -> T) -> T {
        let entry = self.get_mut(at).expect("it was found in the queue");
        let result = change(entry);
        if !entry.is_unstamped() {
            self.window = self.window.max(at + 1);
        } else {
            self.shrink();
        }
        result
    }

    /// Removes unstamped entries from the end of the window. Each was added to it when it was stamped.
    fn shrink(&mut self) {
        while self.window > 0 && self.get(self.window - 1).is_some_and(Entry::is_unstamped) {
            self.window -= 1;
        }
    }

    /// Asserts that no entry after the window is in flight, stamped or awaits proof.
    #[cfg(debug_assertions)]
    pub(super) fn assert_window(&self) {
        debug_assert!((self.window..self.len()).all(|at| self.get(at).is_some_and(Entry::is_unstamped)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::entry::{EntryIds, Origin, Payload};
    use crate::machine::io::ConnectionId;
    use crate::machine::unfinished::Unfinished;
    use crate::record::TopicPartition;
    use crate::time::{Instant, Timestamp};
    use crate::{KafkaBatch, Record};
    use alloc::vec::Vec;

    /// A queue, and the ids of its entries from 0 on.
    #[derive(Default)]
    struct World {
        queue: Queue,
        ids: EntryIds,
        made: Vec<EntryId>,
    }

    impl World {
        fn entry(&mut self) -> Box<Entry> {
            let mut batch = KafkaBatch::new(Timestamp::from_millis(0));
            batch.extend([Record::new("x")]).unwrap();
            let origin = Origin::Whole(TopicPartition::new("t", 0));
            let (batch_id, place) = Unfinished::default().accept(1, Instant::START, 0);
            let (start, sealed) = (Instant::START, batch.seal().unwrap());
            let entry = Entry::new(self.ids.next(), batch_id, place, origin, sealed, start, start);
            self.made.push(entry.id);
            entry
        }

        fn push(&mut self, count: usize) {
            for _ in 0..count {
                let entry = self.entry();
                self.queue.push(entry);
            }
        }

        fn send(&mut self, at: usize) {
            self.queue.update(at, |entry| {
                let Payload::Sealed(batch) = core::mem::replace(&mut entry.payload, Payload::Gone) else { return };
                entry.payload = Payload::Stamped(batch.without_producer_id(), None);
                entry.in_flight = Some(ConnectionId::from_u64(0));
            });
        }

        fn reseal(&mut self, at: usize) {
            self.queue.update(at, |entry| {
                entry.in_flight = None;
                let batch = core::mem::replace(&mut entry.payload, Payload::Gone).into_batch();
                entry.payload = Payload::Sealed(batch.seal().unwrap());
            });
        }

        /// The length of the window, and the position of the first entry after it.
        fn window(&self) -> (usize, Option<usize>) {
            #[cfg(debug_assertions)]
            self.queue.assert_window();
            (self.queue.window().count(), self.queue.first_after_window())
        }
    }

    #[test]
    fn the_window_has_what_was_sent_and_what_is_before_it() {
        let mut world = World::default();
        assert_eq!(world.window(), (0, None));
        world.push(4);
        assert_eq!(world.window(), (0, Some(0)));
        world.send(0);
        world.send(2);
        assert_eq!(world.window(), (3, Some(3)));
        assert_eq!([0, 2, 3].map(|at| world.queue.find(world.made[at])), [Some(0), Some(2), None]);
        world.reseal(0);
        assert_eq!(world.window(), (3, Some(3)));
        world.reseal(2);
        assert_eq!(world.window(), (0, Some(0)), "nothing is stamped any more");
    }

    #[test]
    fn the_window_moves_with_what_is_inserted_and_removed_before_its_end() {
        let mut world = World::default();
        world.push(5);
        world.send(0);
        world.send(1);
        world.send(2);
        assert_eq!(world.queue.remove(1).map(|entry| entry.id), Some(world.made[1]));
        assert_eq!(world.window(), (2, Some(2)));
        for expected in [3, 4] {
            let part = world.entry();
            world.queue.insert(1, part);
            assert_eq!(world.window(), (expected, Some(expected)));
        }
        assert_eq!(world.queue.find(world.made[2]), Some(3));
        let part = world.entry();
        world.queue.insert(4, part);
        assert_eq!(world.window(), (4, Some(4)));
        assert!(world.queue.remove(3).is_some());
        assert_eq!(world.window(), (1, Some(1)), "the parts are not sent yet");
        assert!(world.queue.remove(0).is_some());
        assert_eq!(world.window(), (0, Some(0)));
        assert!(world.queue.remove(9).is_none());
    }
}
