//! OpaqueIds: the plain numbers by which librdkafka knows records, and what they lead to.

use std::collections::BTreeMap;

/// Entries of several ids each: those of an entry follow one another, so a id leads to the entry and to the
/// position in it.
#[derive(Debug)]
pub(crate) struct OpaqueIds<T> {
    next: usize,
    /// By their first id, all but the one at hand.
    entries: BTreeMap<usize, Entry<T>>,
    /// What was found last, out of the tree: reports come batch by batch, and each record's would search the tree again.
    at_hand: Option<(usize, Entry<T>)>,
}

#[derive(Debug)]
struct Entry<T> {
    ids: usize,
    value: T,
}

impl<T> OpaqueIds<T> {
    pub(crate) const fn new() -> Self {
        Self { next: 0, entries: BTreeMap::new(), at_hand: None }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len() + usize::from(self.at_hand.is_some())
    }

    /// Gives out as many ids in a row, and says which is the first.
    pub(crate) fn issue(&mut self, ids: usize, value: T) -> usize {
        self.put_back();
        let mut first = self.next;
        loop {
            if first.checked_add(ids).is_none() {
                first = 0; // with 32 bits that can be after an hour, and old ones may still be out
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

    /// What a id leads to: the position, and the entry.
    #[inline]
    pub(crate) fn find(&mut self, id: usize) -> Option<(usize, &mut T)> {
        let is_at_hand =
            self.at_hand.as_ref().is_some_and(|(first, entry)| id.wrapping_sub(*first) < entry.ids);
        if !is_at_hand {
            self.put_back();
            let (&first, _) = self.entries.range(..=id).next_back()?;
            self.at_hand = self.entries.remove_entry(&first);
        }
        let (first, entry) = self.at_hand.as_mut()?;
        Some((id - *first, &mut entry.value))
    }

    /// The entry with this first id.
    pub(crate) fn get_mut(&mut self, first: usize) -> Option<&mut T> {
        self.put_back();
        self.entries.get_mut(&first).map(|entry| &mut entry.value)
    }

    /// Takes back the ids of the entry with this first one.
    pub(crate) fn remove(&mut self, first: usize) -> Option<T> {
        self.put_back();
        self.entries.remove(&first).map(|entry| entry.value)
    }

    fn put_back(&mut self) {
        if let Some((first, entry)) = self.at_hand.take() {
            self.entries.insert(first, entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_leads_to_its_entry_and_position() {
        let mut ids = OpaqueIds::new();
        let (a, b) = (ids.issue(3, 'a'), ids.issue(2, 'b'));
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
    fn tickets_begin_again_at_their_end_and_pass_over_those_that_are_out() {
        let mut ids = OpaqueIds::new();
        let old = ids.issue(3, 'o');
        ids.next = usize::MAX - 1;
        assert_eq!(ids.issue(1, 'l'), usize::MAX - 1);
        let (again, behind) = (ids.issue(2, 'a'), ids.issue(5, 'b'));
        assert_eq!((again, behind), (old + 3, old + 5));
        assert_eq!(ids.find(old + 2), Some((2, &mut 'o')));
        assert_eq!(ids.find(again), Some((0, &mut 'a')));
    }
}
