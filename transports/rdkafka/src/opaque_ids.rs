//! Opaque ids: the numbers that librdkafka returns in delivery reports, and the batches to which they belong.

use std::collections::BTreeMap;

/// A map from id to entry and position. Each entry has a contiguous range of ids.
#[derive(Debug)]
pub(crate) struct OpaqueIds<T> {
    next: usize,
    /// By first id; all entries but the cached one.
    entries: BTreeMap<usize, Entry<T>>,
    /// The entry found last, moved out of the tree: reports arrive batch by batch, so most lookups need no search.
    cached: Option<(usize, Entry<T>)>,
}

#[derive(Debug)]
struct Entry<T> {
    ids: usize,
    value: T,
}

impl<T> OpaqueIds<T> {
    pub(crate) const fn new() -> Self {
        Self { next: 0, entries: BTreeMap::new(), cached: None }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len() + usize::from(self.cached.is_some())
    }

    /// Allocates a contiguous range of ids and returns the first.
    pub(crate) fn allocate(&mut self, ids: usize, value: T) -> usize {
        self.uncache();
        let mut first = self.next;
        loop {
            if first.checked_add(ids).is_none() {
                first = 0; // on 32-bit targets this can happen within an hour, with old ids still in use
            }
            match self.entries.range(..first + ids).next_back() {
                Some((start, entry)) if start + entry.ids > first => first = start + entry.ids,
                _ => break,
            }
        }
        self.next = first + ids;
        self.entries.insert(first, Entry { ids, value });
        first
    }

    /// Returns the position and the entry of an id.
    #[inline]
    pub(crate) fn find(&mut self, id: usize) -> Option<(usize, &mut T)> {
        let is_cached = self.cached.as_ref().is_some_and(|(first, entry)| id.wrapping_sub(*first) < entry.ids);
        if !is_cached {
            self.uncache();
            let (&first, _) = self.entries.range(..=id).next_back()?;
            self.cached = self.entries.remove_entry(&first);
        }
        let (first, entry) = self.cached.as_mut()?;
        Some((id - *first, &mut entry.value))
    }

    /// Returns the entry with this first id.
    pub(crate) fn get_mut(&mut self, first: usize) -> Option<&mut T> {
        self.uncache();
        self.entries.get_mut(&first).map(|entry| &mut entry.value)
    }

    /// Removes the entry with this first id and frees its ids.
    pub(crate) fn remove(&mut self, first: usize) -> Option<T> {
        self.uncache();
        self.entries.remove(&first).map(|entry| entry.value)
    }

    fn uncache(&mut self) {
        if let Some((first, entry)) = self.cached.take() {
            self.entries.insert(first, entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn find_returns_the_entry_and_the_position() {
        let mut ids = OpaqueIds::new();
        let (a, b) = (ids.allocate(3, 'a'), ids.allocate(2, 'b'));
        for (id, found) in [(a, (0, 'a')), (a + 2, (2, 'a')), (b, (0, 'b')), (a + 1, (1, 'a')), (b + 1, (1, 'b'))] {
            let (position, value) = ids.find(id).unwrap();
            assert_eq!((position, *value), found);
            assert_eq!(ids.len(), 2);
        }
        assert_eq!(ids.get_mut(b), Some(&mut 'b'));
        assert_eq!(ids.remove(b), Some('b'));
        assert_eq!((ids.remove(b), ids.len()), (None, 1));
    }

    #[test]
    fn ids_wrap_around_and_skip_those_in_use() {
        let mut ids = OpaqueIds::new();
        let old = ids.allocate(3, 'o');
        ids.next = usize::MAX - 1;
        assert_eq!(ids.allocate(1, 'l'), usize::MAX - 1);
        let (again, behind) = (ids.allocate(2, 'a'), ids.allocate(5, 'b'));
        assert_eq!((again, behind), (old + 3, old + 5));
        assert_eq!(ids.find(old + 2), Some((2, &mut 'o')));
        assert_eq!(ids.find(again), Some((0, &mut 'a')));
    }
}
