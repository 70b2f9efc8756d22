//! What the log says of the batches whose outcome is unknown.

use std::collections::BTreeMap;

use crate::audit::{Outcome, Sent};

/// The batches whose outcome is unknown, and their records in the log.
#[derive(Debug)]
pub(crate) struct Unknown {
    /// The numbers of records, and of those in the log, by task and the number of the first record.
    batches: BTreeMap<(u16, u64), (u64, u64)>,
}

impl Unknown {
    /// Returns those among all batches.
    pub(crate) fn of(batches: impl Iterator<Item = Sent>) -> Self {
        let unknown = batches.filter(|sent| sent.outcome == Outcome::Unknown);
        Self { batches: unknown.map(|sent| ((sent.task, sent.first), (sent.count, 0))).collect() }
    }

    /// Enters a record of the log.
    pub(crate) fn read(&mut self, task: u16, number: u64) {
        let batch = self.batches.range_mut((task, 0)..=(task, number)).next_back();
        if let Some((_, (_, found))) = batch.filter(|((_, first), (count, _))| number - first < *count) {
            *found += 1;
        }
    }

    /// Returns true if a batch is in the log.
    pub(crate) fn is_in_log(&self, task: u16, first: u64) -> bool {
        self.batches.get(&(task, first)).is_some_and(|(_, found)| *found > 0)
    }
}

#[test]
fn records_in_the_log_are_those_of_their_batch() {
    let sent = |task, first, outcome| Sent { task, partition: 0, first, count: 10, outcome };
    let batches = [
        sent(1, 0, Outcome::Unknown),
        sent(1, 10, Outcome::Written(Some(0))),
        sent(1, 20, Outcome::Unknown),
        sent(2, 10, Outcome::Unknown),
    ];
    let mut unknown = Unknown::of(batches.into_iter());
    (10..30).for_each(|number| unknown.read(1, number));
    unknown.read(2, 5);
    unknown.read(3, 10);
    let found = [(1, 0), (1, 10), (1, 20), (2, 10)].map(|(task, first)| unknown.is_in_log(task, first));
    assert_eq!(found, [false, false, true, false]);
    unknown.read(2, 19);
    assert!(unknown.is_in_log(2, 10));
}
