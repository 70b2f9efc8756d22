//! One batch after another, for those who do not want to manage them.

use core::fmt;
use core::time::Duration;

use super::outcome::{Append, RecordMetadata};
use super::{AppendError, KafkaBatch, SizePolicy};
use crate::record::Record;
use crate::time::Timestamp;

/// Batches one after another: a new one begins when a record does not fit, or when the open one has waited long enough.
/// Each record's answer says which batch it went into, and at which position.
///
/// It sends nothing and waits for nothing, so it goes with any transport: what is full comes out of
/// [`append`](Self::append), and what has waited long enough out of [`take_due`](Self::take_due). Whose records come as a
/// stream takes a [`BatchStream`](crate::BatchStream), which does the waiting too.
///
/// ```
/// use core::time::Duration;
/// use kafka_batch_core::{BatchOptions, Record, RollingBatch, Timestamp};
///
/// let now = Timestamp::from_millis(1_700_000_000_000);
/// let first = BatchOptions::default().max_records(2).build(now)?;
/// let mut rolling = RollingBatch::new(first).linger(Duration::from_millis(5));
///
/// let placed = ["a", "b", "c"].map(|value| rolling.append(Record::new(value), now).unwrap());
/// assert_eq!(placed.each_ref().map(|placed| (placed.batch, placed.metadata.position)), [(0, 0), (0, 1), (1, 0)]);
/// let full = placed.into_iter().find_map(|placed| placed.full).expect("the first batch takes two");
/// assert_eq!((full.number, full.batch.record_count()), (0, 2)); // to be sent
///
/// assert_eq!(rolling.time_left(now), Some(Duration::from_millis(5))); // sleep for so long, or until the next record
/// let later = Timestamp::from_millis(now.millis() + 5);
/// let waited = rolling.take_due(later).expect("it has waited long enough");
/// assert_eq!((waited.number, waited.batch.record_count()), (1, 1)); // to be sent
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct RollingBatch {
    open: KafkaBatch,
    number: u64,
    linger: Option<Duration>,
    /// When the open batch got its first record.
    begun: Option<Timestamp>,
    /// For the batches after the open one.
    size_policy: Option<SizePolicy>,
}

/// Where a record went: the answer of [`RollingBatch::append`].
#[derive(Debug)]
#[must_use = "a full batch is in it, and it is yours to send"]
#[non_exhaustive]
pub struct Placement {
    /// Which batch it went into: they are counted from 0.
    pub batch: u64,
    /// Its position there, bytes and timestamp.
    pub metadata: RecordMetadata,
    /// The batch before, if the record did not fit into it any more.
    pub full: Option<NumberedBatch>,
}

/// A batch that takes no further record, to be sent.
#[derive(Debug)]
#[non_exhaustive]
pub struct NumberedBatch {
    /// Which one it is, as [`Placement::batch`] counts.
    pub number: u64,
    /// The batch. It has one record at least.
    pub batch: KafkaBatch,
}

impl RollingBatch {
    /// Begins with this batch, and goes on with batches of the same settings. Records that are in it already belong to
    /// batch 0, and have waited since the batch's time ([`KafkaBatch::now`]).
    #[must_use]
    pub const fn new(first: KafkaBatch) -> Self {
        let begun = if first.is_empty() { None } else { Some(first.now()) };
        Self { open: first, number: 0, linger: None, begun, size_policy: None }
    }

    /// How long a batch may wait, from its first record on, until [`take_due`](Self::take_due) gives it out: Kafka's
    /// `linger.ms`. Without it a batch waits until it is full, or taken.
    #[must_use]
    pub const fn linger(mut self, linger: Duration) -> Self {
        self.linger = Some(linger);
        self
    }

    /// Appends a record, to a new batch if need be; then the one before is in the answer, to be sent. `now` is the
    /// timestamp of records without one, and the begin of the wait if it is the batch's first.
    ///
    /// # Errors
    /// The record can go into no such batch, however empty; or its key routes elsewhere than the open one
    /// ([`BatchOptions::route_by_key`](crate::BatchOptions::route_by_key): keep a `RollingBatch` for each partition). Nothing
    /// has changed but the time.
    pub fn append<'r>(
        &mut self,
        record: impl Into<Record<'r>>,
        now: impl Into<Timestamp>,
    ) -> Result<Placement, AppendError> {
        let (record, now) = (record.into(), now.into());
        self.open.set_now(now);
        let (metadata, full) = match self.open.append(record)? {
            Append::Taken(metadata) => (metadata, None),
            Append::Full(_) => {
                let mut next = self.next_batch();
                let Append::Taken(metadata) = next.append(record)? else {
                    unreachable!("an empty batch takes a record, or says that none can");
                };
                if self.open.is_empty() {
                    self.open = next; // it was closed with nothing in it
                    (metadata, None)
                } else {
                    (metadata, Some(self.begin(next)))
                }
            }
        };
        self.begun.get_or_insert(now);
        Ok(Placement { batch: self.number, metadata, full })
    }

    /// How long the open batch may still wait: `None` if it is empty, or may wait for ever.
    #[must_use]
    pub fn time_left(&self, now: impl Into<Timestamp>) -> Option<Duration> {
        let (begun, linger) = (self.begun?, self.linger?);
        let waited = now.into().millis().saturating_sub(begun.millis());
        // A clock that was set back would make a batch wait for longer than anybody meant.
        let waited = u64::try_from(waited).map_or(linger, Duration::from_millis);
        Some(linger.saturating_sub(waited))
    }

    /// The open batch, if it has waited long enough.
    pub fn take_due(&mut self, now: impl Into<Timestamp>) -> Option<NumberedBatch> {
        if self.time_left(now)?.is_zero() { self.take() } else { None }
    }

    /// The open batch, if it has records: for the end, or when somebody wants all of it sent now.
    pub fn take(&mut self) -> Option<NumberedBatch> {
        if self.open.is_empty() {
            return None;
        }
        let next = self.next_batch();
        Some(self.begin(next))
    }

    /// Counts the size of the batches after the open one by this policy: to feed back what
    /// [`Delivery::compression_ratio`](crate::Delivery::compression_ratio) said
    /// ([`SizePolicy::Estimated`](crate::SizePolicy::Estimated)).
    pub const fn set_size_policy(&mut self, policy: SizePolicy) {
        self.size_policy = Some(policy);
    }

    /// The open batch.
    #[must_use]
    pub const fn open(&self) -> &KafkaBatch {
        &self.open
    }

    fn next_batch(&mut self) -> KafkaBatch {
        let mut next = self.open.next_batch();
        if let Some(policy) = self.size_policy.take() {
            next.options.size_policy = policy; // and from there to the one after it
        }
        next
    }

    fn begin(&mut self, next: KafkaBatch) -> NumberedBatch {
        let number = self.number;
        self.number += 1;
        self.begun = None;
        NumberedBatch { number, batch: core::mem::replace(&mut self.open, next) }
    }
}

/// One line for people: which batch, and how full.
impl fmt::Display for RollingBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "batch {}: {}", self.number, self.open)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;
    use crate::batch::{BatchOptions, CompressionRatio};

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn rolling() -> RollingBatch {
        let options = BatchOptions::default().batch_size(200).max_message_bytes(300);
        RollingBatch::new(options.build(at(0)).unwrap()).linger(Duration::from_millis(10))
    }

    #[test]
    fn every_record_is_where_its_answer_says() {
        let values: Vec<Vec<u8>> = (0..100_usize).map(|n| vec![n as u8; n * 7 % 150]).collect();
        let mut rolling = rolling();
        let mut batches = Vec::new();
        let mut places = Vec::new();
        for value in &values {
            let placed = rolling.append(Record::new(value), at(0)).unwrap();
            places.push((placed.batch as usize, placed.metadata.position as usize));
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
            assert_eq!((rolling.open(), rolling.number), (before.open(), before.number));
            assert!(rolling.append(Record::new(&[0; 50]), at(0)).unwrap().full.is_none());
        }
    }

    #[test]
    fn a_batch_waits_from_its_first_record_on() {
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
        assert_eq!(rolling.time_left(at(20)), Some(Duration::from_millis(10)), "the new one waits anew");
    }

    #[test]
    fn a_first_batch_with_records_waits_from_its_time_on_and_an_empty_closed_one_is_left_out() {
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
    fn what_compression_gave_counts_for_the_batches_to_come() {
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
    fn a_clock_that_is_set_back_makes_nobody_wait() {
        let mut rolling = rolling();
        let _ = rolling.append(Record::new("a"), at(1_000)).unwrap();
        assert!(rolling.take_due(at(900)).is_some());
    }

    #[test]
    fn records_have_the_time_at_which_they_came() {
        let mut rolling = rolling();
        let _ = rolling.append(Record::new("a"), at(1)).unwrap();
        let _ = rolling.append(Record::new(&vec![0; 130]), at(2)).unwrap();
        let _ = rolling.append(Record::new(&vec![0; 130]), at(3)).unwrap();
        assert_eq!(rolling.open().records().next().unwrap().timestamp, at(3));
    }
}
