//! A sequence of batches that is filled record by record.

use core::fmt;
use core::time::Duration;

use super::linger;
use crate::batch::{Append, AppendError, AppendedRecord, KafkaBatch, SizePolicy};
use crate::record::AsRecord;
use crate::time::Timestamp;

/// A sequence of batches with the same settings, of which the last one is being filled.
///
/// A new batch is begun when a record does not fit into the current one, or when [`take_due`](Self::take_due) or
/// [`take`](Self::take) removes the current one. [`append`](Self::append) returns which batch a record is in and at which
/// position.
///
/// It sends nothing and reads no clock, so it works with any transport: full batches are returned by
/// [`append`](Self::append), and batches that have waited for [`linger`](Self::linger) by [`take_due`](Self::take_due). If
/// records arrive as a stream, [`BatchStream`](super::BatchStream) also does the waiting.
///
/// # Examples
///
/// ```
/// use core::time::Duration;
/// use kafka_batch_core::stream::RollingBatch;
/// use kafka_batch_core::{BatchOptions, Record, Timestamp};
///
/// let now = Timestamp::from_millis(1_700_000_000_000);
/// let first = BatchOptions::default().max_records(2).build(now)?;
/// let mut rolling = RollingBatch::new(first).linger(Duration::from_millis(5));
///
/// let placements = ["a", "b", "c"].map(|value| rolling.append(Record::new(value), now).unwrap());
/// assert_eq!(placements.each_ref().map(|placement| (placement.batch, placement.record.offset)), [(0, 0), (0, 1), (1, 0)]);
/// let full = placements.into_iter().find_map(|placement| placement.full).expect("the first batch holds two records");
/// assert_eq!((full.number, full.batch.record_count()), (0, 2)); // to be sent
///
/// assert_eq!(rolling.time_left(now), Some(Duration::from_millis(5))); // sleep this long, or until the next record
/// let later = Timestamp::from_millis(now.millis() + 5);
/// let due = rolling.take_due(later).expect("the linger time is over");
/// assert_eq!((due.number, due.batch.record_count()), (1, 1)); // to be sent
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct RollingBatch {
    current: KafkaBatch,
    number: u64,
    linger: Option<Duration>,
    /// The time of the first append to the current batch.
    first_append: Option<Timestamp>,
    /// Replaces the size policy from the next batch on.
    next_size_policy: Option<SizePolicy>,
}

/// Where a record was put by [`RollingBatch::append`].
#[derive(Debug)]
#[must_use = "it may contain a full batch, which must be sent"]
#[non_exhaustive]
pub struct Placement {
    /// The number of the batch that holds the record, counted from 0.
    pub batch: u64,
    /// The record's position in that batch, its size and its timestamp.
    pub record: AppendedRecord,
    /// The previous batch, if the record did not fit into it.
    pub full: Option<NumberedBatch>,
}

/// A finished batch of a [`RollingBatch`], to be sent.
#[derive(Debug)]
#[non_exhaustive]
pub struct NumberedBatch {
    /// The number of the batch, as in [`Placement::batch`].
    pub number: u64,
    /// The batch. It has at least one record.
    pub batch: KafkaBatch,
}

impl RollingBatch {
    /// Creates a sequence that begins with this batch and continues with batches of the same settings.
    ///
    /// Records that are in `first` already belong to batch 0, and have waited since [`KafkaBatch::now`].
    #[must_use]
    pub const fn new(first: KafkaBatch) -> Self {
        let first_append = if first.is_empty() { None } else { Some(first.now()) };
        Self { current: first, number: 0, linger: None, first_append, next_size_policy: None }
    }

    /// Sets how long a batch may wait, from its first record on, until [`take_due`](Self::take_due) returns it: Kafka's
    /// `linger.ms`. By default a batch waits until it is full or taken.
    #[must_use]
    pub const fn linger(mut self, linger: Duration) -> Self {
        self.linger = Some(linger);
        self
    }

    /// Appends a record, to a new batch if it does not fit into the current one; the previous batch is then returned, to be
    /// sent.
    ///
    /// `now` is the timestamp of a record without one, and the time from which a new batch waits.
    ///
    /// # Errors
    /// No batch with these settings can hold the record, or its key routes to another partition than the current batch (with
    /// [`BatchOptions::route_by_key`](crate::BatchOptions::route_by_key), keep one `RollingBatch` per partition). Only the
    /// time of the current batch has changed.
    pub fn append(&mut self, record: impl AsRecord, now: impl Into<Timestamp>) -> Result<Placement, AppendError> {
        let (record, now) = (record.as_record(), now.into());
        self.current.set_now(now);
        let (record, full) = match self.current.append(record)? {
            Append::Appended(appended) => (appended, None),
            Append::Full(_) => {
                let mut next = self.next_batch();
                let Append::Appended(appended) = next.append(record)? else {
                    unreachable!("an empty batch takes any record that a batch with its settings can hold");
                };
                if self.current.is_empty() {
                    self.current = next; // the caller had closed it, and it holds nothing to send
                    (appended, None)
                } else {
                    (appended, Some(self.begin(next)))
                }
            }
        };
        self.first_append.get_or_insert(now);
        Ok(Placement { batch: self.number, record, full })
    }

    /// Returns how long the current batch may still wait; `None` if it is empty or no [`linger`](Self::linger) is set.
    #[must_use]
    pub fn time_left(&self, now: impl Into<Timestamp>) -> Option<Duration> {
        let (first_append, linger) = (self.first_append?, self.linger?);
        Some(linger::time_left(linger, first_append, now.into()))
    }

    /// Removes and returns the current batch, if it has waited for [`linger`](Self::linger).
    pub fn take_due(&mut self, now: impl Into<Timestamp>) -> Option<NumberedBatch> {
        if self.time_left(now)?.is_zero() { self.take() } else { None }
    }

    /// Removes and returns the current batch, if it has records: at the end, or to send everything now.
    pub fn take(&mut self) -> Option<NumberedBatch> {
        if self.current.is_empty() {
            return None;
        }
        let next = self.next_batch();
        Some(self.begin(next))
    }

    /// Sets the size policy from the next batch on, so that the ratio of
    /// [`Delivery::compression_ratio`](crate::Delivery::compression_ratio) can be fed back
    /// ([`SizePolicy::Estimated`](crate::SizePolicy::Estimated)).
    pub const fn set_size_policy(&mut self, policy: SizePolicy) {
        self.next_size_policy = Some(policy);
    }

    /// Returns the batch that is being filled.
    #[must_use]
    pub const fn current(&self) -> &KafkaBatch {
        &self.current
    }

    fn next_batch(&mut self) -> KafkaBatch {
        let next = self.current.next_batch();
        match self.next_size_policy.take() {
            Some(policy) => next.with_size_policy(policy), // later batches copy it from this one
            None => next,
        }
    }

    fn begin(&mut self, next: KafkaBatch) -> NumberedBatch {
        let number = self.number;
        self.number += 1;
        self.first_append = None;
        NumberedBatch { number, batch: core::mem::replace(&mut self.current, next) }
    }
}

/// Prints the number of the current batch, and how full it is.
impl fmt::Display for RollingBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "batch {}: {}", self.number, self.current)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;
    use crate::batch::{BatchOptions, CompressionRatio};
    use crate::record::Record;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn rolling() -> RollingBatch {
        let options = BatchOptions::default().batch_size(200).max_message_bytes(300);
        RollingBatch::new(options.build(at(0)).unwrap()).linger(Duration::from_millis(10))
    }

    #[test]
    fn every_record_is_at_the_position_that_append_returned() {
        let values: Vec<Vec<u8>> = (0..100_usize).map(|n| vec![n as u8; n * 7 % 150]).collect();
        let mut rolling = rolling();
        let mut batches = Vec::new();
        let mut places = Vec::new();
        for value in &values {
            let placed = rolling.append(Record::new(value), at(0)).unwrap();
            places.push((placed.batch as usize, placed.record.offset as usize));
            batches.extend(placed.full);
        }
        batches.extend(rolling.take());
        assert!(rolling.take().is_none());
        assert!(batches.len() > 10);
        assert!(batches.iter().enumerate().all(|(index, batch)| batch.number == index as u64));
        for (value, (batch, position)) in values.iter().zip(places) {
            assert_eq!(batches[batch].batch.records().nth(position).unwrap().value, Some(&value[..]));
        }
        assert_eq!(batches.iter().map(|batch| batch.batch.record_count()).sum::<usize>(), values.len());
    }

    #[test]
    fn a_record_that_no_batch_can_hold_changes_nothing() {
        let mut rolling = rolling();
        for _ in 0..2 {
            let before = rolling.clone();
            rolling.append(Record::new(&[0; 400]), at(0)).unwrap_err();
            assert_eq!((rolling.current(), rolling.number), (before.current(), before.number));
            assert!(rolling.append(Record::new(&[0; 50]), at(0)).unwrap().full.is_none());
        }
    }

    #[test]
    fn linger_begins_with_the_first_record() {
        let mut rolling = rolling();
        assert_eq!(rolling.time_left(at(5)), None);
        assert!(rolling.take_due(at(5)).is_none());
        let _ = rolling.append(Record::new("a"), at(5)).unwrap();
        let _ = rolling.append(Record::new("b"), at(12)).unwrap();
        assert_eq!(rolling.time_left(at(12)), Some(Duration::from_millis(3)));
        assert!(rolling.take_due(at(14)).is_none());
        assert_eq!(rolling.take_due(at(15)).unwrap().batch.record_count(), 2);
        assert_eq!(rolling.time_left(at(15)), None);

        let full = [100, 100].map(|len| rolling.append(Record::new(&vec![0; len]), at(20)).unwrap().full);
        assert_eq!(full.into_iter().flatten().map(|full| full.number).collect::<Vec<_>>(), [1]);
        assert_eq!(rolling.time_left(at(20)), Some(Duration::from_millis(10)), "the linger time begins again");
    }

    #[test]
    fn linger_of_a_filled_first_batch_begins_at_its_time_and_an_empty_closed_one_is_replaced() {
        let mut first = BatchOptions::default().build(at(5)).unwrap();
        let _ = first.append(Record::new("a")).unwrap();
        let mut rolling = RollingBatch::new(first).linger(Duration::from_millis(10));
        assert!(rolling.take_due(at(14)).is_none());
        assert_eq!(rolling.take_due(at(15)).map(|due| due.number), Some(0));

        let mut closed = BatchOptions::default().build(at(0)).unwrap();
        closed.close();
        let placed = RollingBatch::new(closed).append(Record::new("a"), at(0)).unwrap();
        assert_eq!((placed.batch, placed.full.is_none()), (0, true));
    }

    #[test]
    fn a_size_policy_applies_from_the_next_batch_on() {
        let mut rolling = rolling();
        let policy = SizePolicy::Estimated(CompressionRatio::new(0.5));
        rolling.set_size_policy(policy);
        let batches = [0; 3].map(|_| {
            let _ = rolling.append(Record::new("a"), at(0)).unwrap();
            rolling.take().unwrap().batch.options().size_policy
        });
        assert_eq!(batches, [SizePolicy::Uncompressed, policy, policy]);
    }

    #[test]
    fn a_clock_that_is_set_back_makes_the_batch_due() {
        let mut rolling = rolling();
        let _ = rolling.append(Record::new("a"), at(1_000)).unwrap();
        assert!(rolling.take_due(at(900)).is_some());
    }

    #[test]
    fn records_have_the_time_of_their_append() {
        let mut rolling = rolling();
        let _ = rolling.append(Record::new("a"), at(1)).unwrap();
        let _ = rolling.append(Record::new(&vec![0; 130]), at(2)).unwrap();
        let _ = rolling.append(Record::new(&vec![0; 130]), at(3)).unwrap();
        assert_eq!(rolling.current().records().next().unwrap().timestamp, at(3));
    }
}
