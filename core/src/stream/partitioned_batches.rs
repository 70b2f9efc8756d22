//! Batches for many partitions, filled record by record.

use alloc::vec::Vec;
use core::iter;
use core::num::NonZeroU32;
use core::time::Duration;

use super::linger;
use super::open_batches::OpenBatches;
use crate::batch::{Append, AppendError, AppendedRecord, KafkaBatch};
use crate::partitioner::{StickyPartitioner, partition_for_key};
use crate::record::{AsRecord, Record};
use crate::time::Timestamp;

/// Open batches for the partitions of a topic, one for each partition that has records.
///
/// A record goes to an explicit partition, to the partition of its key, or, without either, to the sticky partition, which
/// changes with each batch (KIP-480). The records of a partition are returned in the order of their appends. A batch is
/// returned, to be sent, when the next record does not fit into it ([`append`](Self::append)) and when it is due
/// ([`take_due`](Self::take_due)): it has waited for [`linger`](Self::linger) since its own first record, or all open batches
/// together exceed [`max_open_bytes`](Self::max_open_bytes).
///
/// It sends nothing and reads no clock. One timer is enough for all partitions ([`time_left`](Self::time_left)), and every call
/// takes constant time, however many partitions there are. [`PartitionedPublisher`](crate::publisher::PartitionedPublisher) also
/// waits and sends.
///
/// # Examples
///
/// ```
/// use core::num::NonZeroU32;
/// use core::time::Duration;
/// use kafka_batch_core::stream::PartitionedBatches;
/// use kafka_batch_core::{BatchOptions, Record, Timestamp};
///
/// let now = Timestamp::from_millis(1_700_000_000_000);
/// let settings = BatchOptions::default().max_records(2).build(now)?;
/// let mut batches =
///     PartitionedBatches::new(&settings, NonZeroU32::new(100).unwrap()).linger(Duration::from_millis(5));
///
/// let key = Record::new("21.5").key("sensor-7");
/// let first = batches.append(key, None, now)?; // to the partition of the key, as in the Java client
/// let second = batches.append(key, None, now)?;
/// assert_eq!((second.partition, second.record.offset), (first.partition, 1));
/// let third = batches.append(key, None, now)?;
/// let full = third.full.expect("a batch holds two records"); // to be sent
/// assert_eq!((full.partition, full.batch.record_count()), (first.partition, 2));
///
/// assert_eq!(batches.time_left(now), Some(Duration::from_millis(5))); // sleep this long, or until the next record
/// let later = Timestamp::from_millis(now.millis() + 5);
/// let due = batches.take_due(later).expect("the third record has waited for 5 ms"); // to be sent
/// assert_eq!((due.partition, due.batch.record_count()), (first.partition, 1));
/// assert!(batches.take_due(later).is_none() && batches.time_left(later).is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct PartitionedBatches {
    /// Empty, with the settings of the batches.
    template: KafkaBatch,
    partitions: NonZeroU32,
    sticky: StickyPartitioner,
    linger: Option<Duration>,
    max_open_bytes: usize,
    open: OpenBatches,
}

/// A batch of [`PartitionedBatches`], to be sent to its partition.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PartitionBatch {
    /// The partition.
    pub partition: i32,
    /// The batch. It has at least one record.
    pub batch: KafkaBatch,
}

/// Where a record was put by [`PartitionedBatches::append`].
#[derive(Debug)]
#[must_use = "it may contain a full batch, which must be sent"]
#[non_exhaustive]
pub struct PartitionPlacement {
    /// The record's partition.
    pub partition: i32,
    /// The record's position in the open batch of that partition, its size and its timestamp.
    pub record: AppendedRecord,
    /// The batch into which the record did not fit, to be sent. It is for the same partition, except if the record has
    /// neither a key nor an explicit partition.
    pub full: Option<PartitionBatch>,
}

/// Why [`PartitionedBatches::append`] rejected a record. The record was only borrowed, and no batch has changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PartitionedAppendError {
    /// The topic has no such partition.
    #[error(
        "partition {partition} was requested, but the topic has partitions 0 to {}: request one of them, or none",
        partitions.get() - 1
    )]
    UnknownPartition {
        /// The requested partition.
        partition: i32,
        /// The number of partitions.
        partitions: NonZeroU32,
    },
    /// No batch with these settings can hold the record: see [`AppendError`].
    #[error(transparent)]
    Append(#[from] AppendError),
}

impl PartitionedBatches {
    /// Creates a set of open batches, at first none, for a topic with this number of partitions.
    ///
    /// The batches have the settings of `settings`, whose records are ignored. Up to 16 bytes of memory are used for each partition
    /// without an open batch.
    #[must_use]
    pub fn new(settings: &KafkaBatch, partitions: NonZeroU32) -> Self {
        Self {
            template: settings.next_for_any_partition(),
            partitions,
            sticky: StickyPartitioner::new(0),
            linger: None,
            max_open_bytes: usize::MAX,
            open: OpenBatches::default(),
        }
    }

    /// Sets how long a batch may wait, from its first record on, until [`take_due`](Self::take_due) returns it: Kafka's
    /// `linger.ms`. By default a batch waits until it is full or taken.
    #[must_use]
    pub const fn linger(mut self, linger: Duration) -> Self {
        self.linger = Some(linger);
        self
    }

    /// Sets how many bytes all open batches may have together, before compression, until [`take_due`](Self::take_due) returns
    /// the oldest. Default: no limit.
    #[must_use]
    pub const fn max_open_bytes(mut self, bytes: usize) -> Self {
        self.max_open_bytes = bytes;
        self
    }

    /// Sets the seed from which sticky partitions are chosen. Default: 0.
    ///
    /// With the same seed, several producers begin with the same partition.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.sticky = StickyPartitioner::new(seed);
        self
    }

    /// Appends a record to the open batch of its partition, or to a new one if it does not fit; the open batch is then
    /// returned, to be sent.
    ///
    /// The partition is `partition`; if that is `None`, the partition of the key ([`partition_for_key`]); without a key, the
    /// sticky partition. `now` is the timestamp of a record without one, and the time from which a new batch waits.
    ///
    /// # Errors
    /// The topic has no such partition, or no batch with these settings can hold the record. No record was lost or moved.
    pub fn append(
        &mut self,
        record: impl AsRecord,
        partition: Option<i32>,
        now: impl Into<Timestamp>,
    ) -> Result<PartitionPlacement, PartitionedAppendError> {
        let (record, now) = (record.as_record(), now.into());
        match (partition, record.key) {
            (Some(partition), _) => match u32::try_from(partition) {
                Ok(known) if known < self.partitions.get() => self.append_to(partition, &record, now),
                _ => Err(PartitionedAppendError::UnknownPartition { partition, partitions: self.partitions }),
            },
            (None, Some(key)) => self.append_to(partition_for_key(key, self.partitions), &record, now),
            (None, None) => self.append_sticky(&record, now),
        }
    }

    /// Appends a record as [`append`](Self::append) does, if it has a partition or a key, and nothing unusual has to be done: see
    /// [`KafkaBatch::append_usual`]. Returns its partition, or `None` if nothing was done.
    #[inline(always)]
    pub(crate) fn append_usual(
        &mut self,
        record: &Record<'_>,
        partition: Option<i32>,
        now: Timestamp,
    ) -> Option<usize> {
        let partition = match (partition, record.key) {
            (Some(partition), _) => partition, // of the others none has an open batch
            (None, Some(key)) => partition_for_key(key, self.partitions),
            (None, None) => return None,
        };
        let place = usize::try_from(partition).ok()?;
        self.open.append_usual(place, record, now).then_some(place)
    }

    /// Returns how long to wait until [`take_due`](Self::take_due) returns a batch: zero if it does so now; `None` if it does
    /// not unless records are appended.
    #[must_use]
    pub fn time_left(&self, now: impl Into<Timestamp>) -> Option<Duration> {
        let (_, opened) = self.open.oldest()?;
        if self.exceeds_max_open_bytes() {
            return Some(Duration::ZERO);
        }
        Some(linger::time_left(self.linger?, opened, now.into()))
    }

    /// Removes and returns the oldest open batch, if it has waited for [`linger`](Self::linger) or the open batches exceed
    /// [`max_open_bytes`](Self::max_open_bytes). Call it until it returns `None`.
    ///
    /// All batches are due that were opened before the clock was set back.
    pub fn take_due(&mut self, now: impl Into<Timestamp>) -> Option<PartitionBatch> {
        if self.time_left(now)?.is_zero() { self.take_oldest() } else { None }
    }

    /// Removes and returns the oldest open batch, due or not; `None` if no batch is open.
    pub fn take_oldest(&mut self) -> Option<PartitionBatch> {
        let (partition, _) = self.open.oldest()?;
        self.take(partition as i32)
    }

    /// Removes and returns the open batch of a partition, due or not; `None` if it has none.
    pub fn take(&mut self, partition: i32) -> Option<PartitionBatch> {
        let batch = self.open.remove(usize::try_from(partition).ok()?)?;
        // The batch ends the turn of the sticky partition, also if it has records with keys.
        if self.sticky.partition(self.partitions) == partition {
            self.sticky.batch_sent(self.partitions);
        }
        Some(PartitionBatch { partition, batch })
    }

    /// Removes all open batches, the oldest first: at the end, or to send everything now. Batches over which the iterator has
    /// not passed stay open.
    pub fn drain(&mut self) -> impl Iterator<Item = PartitionBatch> + '_ {
        iter::from_fn(|| self.take_oldest())
    }

    /// Sets the number of partitions, and removes and returns all open batches, to be sent before any later one.
    ///
    /// From now on most keys have another partition. The records of a key stay in order of time, over both partitions, if
    /// the returned batches and those sent before are delivered before any record is appended. The Java client does not wait:
    /// the new partition may have later records of a key before the old one has earlier ones.
    #[must_use = "the batches must be sent"]
    pub fn set_partitions(&mut self, partitions: NonZeroU32) -> Vec<PartitionBatch> {
        let open = self.drain().collect();
        self.partitions = partitions;
        open
    }

    /// Keeps the memory of an earlier batch for a new one, unless it has more than enough. For buffers of delivered batches
    /// ([`Delivery::into_buffer`](crate::Delivery::into_buffer)): new memory from the system takes longer to fill.
    pub fn recycle(&mut self, buffer: Vec<u8>) {
        self.open.recycle(buffer);
    }

    /// Sets the settings of the batches that are opened later, as [`new`](Self::new).
    pub fn set_settings(&mut self, settings: &KafkaBatch) {
        self.template = settings.next_for_any_partition();
    }

    /// Returns the number of partitions.
    #[must_use]
    pub const fn partitions(&self) -> NonZeroU32 {
        self.partitions
    }

    /// Returns the number of open batches. Each has at least one record.
    #[must_use]
    pub const fn open_count(&self) -> usize {
        self.open.count()
    }

    /// Returns the size in bytes of all open batches together, before compression.
    #[must_use]
    pub const fn open_bytes(&self) -> usize {
        self.open.bytes()
    }

    pub(crate) const fn exceeds_max_open_bytes(&self) -> bool {
        self.open.bytes() > self.max_open_bytes
    }

    /// Returns `true` if the oldest open batch waits for at least `millis` milliseconds longer than [`linger`](Self::linger), or
    /// the clock was set back.
    pub(crate) fn is_late(&self, now: Timestamp, millis: i64) -> bool {
        let (Some((_, opened)), Some(linger)) = (self.open.oldest(), self.linger) else { return false };
        let linger = i64::try_from(linger.as_millis()).unwrap_or(i64::MAX);
        let waited = now.millis().saturating_sub(opened.millis());
        waited < 0 || waited >= linger.saturating_add(millis)
    }

    /// Appends to the open batch of a partition of the topic, or to a new one.
    fn append_to(
        &mut self,
        partition: i32,
        record: &Record<'_>,
        now: Timestamp,
    ) -> Result<PartitionPlacement, PartitionedAppendError> {
        let place = partition as usize;
        if let Some(appended) = self.open.append(place, record, now) {
            if let Append::Appended(record) = appended? {
                return Ok(PartitionPlacement { partition, record, full: None });
            }
        }
        let mut next = self.open.new_batch(place, &self.template, now);
        let Append::Appended(record) = next.append(*record)? else {
            unreachable!("an empty batch takes any record that a batch with its settings can hold");
        };
        let full = self.take(partition);
        self.open.insert(place, next, now);
        Ok(PartitionPlacement { partition, record, full })
    }

    /// Appends to the sticky partition. If its batch is full, another partition becomes the sticky one.
    fn append_sticky(
        &mut self,
        record: &Record<'_>,
        now: Timestamp,
    ) -> Result<PartitionPlacement, PartitionedAppendError> {
        let partition = self.sticky.partition(self.partitions);
        let appended = match self.open.append(partition as usize, record, now) {
            Some(appended) => appended?.appended(),
            None => return self.append_to(partition, record, now),
        };
        if let Some(record) = appended {
            return Ok(PartitionPlacement { partition, record, full: None });
        }
        self.sticky.batch_sent(self.partitions);
        let next = self.sticky.partition(self.partitions);
        // The next batch may hold records with keys, and the record may not fit there either. Then it begins the batch after
        // the full one, so that an append never fills two.
        let appended = match self.open.append(next as usize, record, now) {
            Some(appended) => appended?.appended(),
            None => Some(self.append_to(next, record, now)?.record),
        };
        match appended {
            Some(record) => {
                let batch = self.open.remove(partition as usize);
                let full = batch.map(|batch| PartitionBatch { partition, batch });
                Ok(PartitionPlacement { partition: next, record, full })
            }
            None => self.append_to(partition, record, now),
        }
    }
}

#[cfg(test)]
mod tests;
