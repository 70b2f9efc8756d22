//! Tickets: the plain numbers by which librdkafka knows records, and what they lead to.

use std::collections::BTreeMap;

/// Entries of several tickets each: those of an entry follow one another, so a ticket leads to the entry and to the
/// position in it.
#[derive(Debug)]
pub(crate) struct Tickets<T> {
    next: usize,
    /// By their first ticket, all but the one at hand.
    entries: BTreeMap<usize, Entry<T>>,
    /// What was found last, out of the tree: reports come batch by batch, and each record's would search the tree again.
    at_hand: Option<(usize, Entry<T>)>,
}

#[derive(Debug)]
struct Entry<T> {
    tickets: usize,
    value: T,
}

impl<T> Tickets<T> {
    pub(crate) const fn new() -> Self {
        Self { next: 0, entries: BTreeMap::new(), at_hand: None }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len() + usize::from(self.at_hand.is_some())
    }

    /// Gives out as many tickets in a row, and says which is the first.
    pub(crate) fn issue(&mut self, tickets: usize, value: T) -> usize {
        self.put_back();
        let mut first = self.next;
        loop {
            if first.checked_add(tickets).is_none() {
                first = 0; // with 32 bits that can be after an hour, and old ones may still be out
            }
            match self.entries.range(..first + tickets).next_back() {
                Some((start, entry)) if start + entry.tickets > first => first = start + entry.tickets,
                _ => break,
            }
        }
        self.next = first + tickets;
        self.entries.insert(first, Entry { tickets, value });
        first
    }

    /// What a ticket leads to: the position, and the entry.
    #[inline]
    pub(crate) fn find(&mut self, ticket: usize) -> Option<(usize, &mut T)> {
        let is_at_hand =
            self.at_hand.as_ref().is_some_and(|(first, entry)| ticket.wrapping_sub(*first) < entry.tickets);
        if !is_at_hand {
            self.put_back();
            let (&first, _) = self.entries.range(..=ticket).next_back()?;
            self.at_hand = self.entries.remove_entry(&first);
        }
        let (first, entry) = self.at_hand.as_mut()?;
        Some((ticket - *first, &mut entry.value))
    }

    /// The entry with this first ticket.
    pub(crate) fn get_mut(&mut self, first: usize) -> Option<&mut T> {
        self.put_back();
        self.entries.get_mut(&first).map(|entry| &mut entry.value)
    }

    /// Takes back the tickets of the entry with this first one.
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
        let mut tickets = Tickets::new();
        let (a, b) = (tickets.issue(3, 'a'), tickets.issue(2, 'b'));
        for (ticket, found) in [(a, (0, 'a')), (a + 2, (2, 'a')), (b, (0, 'b')), (a + 1, (1, 'a')), (b + 1, (1, 'b'))] {
            let (position, value) = tickets.find(ticket).unwrap();
            assert_eq!((position, *value), found);
            assert_eq!(tickets.len(), 2);
        }
        assert_eq!(tickets.get_mut(b), Some(&mut 'b'));
        assert_eq!(tickets.remove(b), Some('b'));
        assert_eq!((tickets.remove(b), tickets.len()), (None, 1));
    }

    #[test]
    fn tickets_begin_again_at_their_end_and_pass_over_those_that_are_out() {
        let mut tickets = Tickets::new();
        let old = tickets.issue(3, 'o');
        tickets.next = usize::MAX - 1;
        assert_eq!(tickets.issue(1, 'l'), usize::MAX - 1);
        let (again, behind) = (tickets.issue(2, 'a'), tickets.issue(5, 'b'));
        assert_eq!((again, behind), (old + 3, old + 5));
        assert_eq!(tickets.find(old + 2), Some((2, &mut 'o')));
        assert_eq!(tickets.find(again), Some((0, &mut 'a')));
    }
}
