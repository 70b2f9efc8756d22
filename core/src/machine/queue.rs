//! The queue of a partition, oldest batch first. All that a transition has to find is near its front.

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use super::entry::{Entry, EntryId};

/// A queue of entries. Only its first entries, the window, can be in flight, stamped, or awaiting proof: those after it
/// are [unsent](Entry::is_unsent). Searches examine the window only. It has at most as many entries as batches that were
/// sent and have no outcome (five, if the producer is idempotent), and the parts of a split batch before one of them.
#[derive(Debug, Default)]
pub(super) struct Queue {
    entries: VecDeque<Box<Entry>>,
    /// How many entries the window has.
    window: usize,
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn get(&self, at: usize) -> Option<&Entry> {
        self.entries.get(at).map(|entry| &**entry)
    }

    /// Iterates over the entries that can be in flight, stamped, or awaiting proof, with their positions.
    pub(super) fn window(&self) -> impl DoubleEndedIterator<Item = (usize, &Entry)> {
        self.entries.iter().take(self.window).map(|entry| &**entry).enumerate()
    }

    /// Returns the position of the first entry after the window, if there is one. It is unsent, as all after it are.
    pub(super) fn first_after_window(&self) -> Option<usize> {
        (self.window < self.entries.len()).then_some(self.window)
    }

    /// Returns the position of an entry that was sent.
    pub(super) fn find(&self, id: EntryId) -> Option<usize> {
        self.window().find(|(_, entry)| entry.id == id).map(|(at, _)| at)
    }

    /// Appends an unsent entry.
    pub(super) fn push(&mut self, entry: Box<Entry>) {
        debug_assert!(entry.is_unsent());
        self.entries.push_back(entry);
    }

    /// Inserts an unsent entry at this position.
    pub(super) fn insert(&mut self, at: usize, entry: Box<Entry>) {
        debug_assert!(entry.is_unsent());
        self.entries.insert(at, entry);
        self.window += usize::from(at < self.window);
    }

    /// Removes the entry at this position.
    pub(super) fn remove(&mut self, at: usize) -> Option<Box<Entry>> {
        let entry = self.entries.remove(at)?;
        self.window -= usize::from(at < self.window);
        self.shrink();
        Some(entry)
    }

    /// Changes the entry at this position.
    ///
    /// # Panics
    /// If there is none.
    pub(super) fn update<T>(&mut self, at: usize, change: impl FnOnce(&mut Entry) -> T) -> T {
        let entry = &mut self.entries[at];
        let result = change(entry);
        if !entry.is_unsent() {
            self.window = self.window.max(at + 1);
        } else {
            self.shrink();
        }
        result
    }

    /// Removes unsent entries from the end of the window. Each was added to it when it was sent.
    fn shrink(&mut self) {
        while self.window > 0 && self.entries[self.window - 1].is_unsent() {
            self.window -= 1;
        }
    }

    /// Asserts that no entry after the window was sent.
    #[cfg(debug_assertions)]
    pub(super) fn assert_window(&self) {
        debug_assert!(self.entries.iter().skip(self.window).all(|entry| entry.is_unsent()));
    }
}
