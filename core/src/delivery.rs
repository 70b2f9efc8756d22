//! The outcome of a delivered batch: the offset and timestamp of each of its records.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use once_cell::race::OnceBox;

use crate::batch::{BufferPool, KafkaBatch, StampedBatch};
use crate::compression::Codec;
use crate::record::TopicPartition;
use crate::time::Timestamp;

/// A delivered batch (with `acks=0`, one that was sent): its topic and partition, and the offset and timestamp of each of its
/// records by position.
///
/// It keeps the batch itself (not a copy), which has the timestamps; [`into_batch`](Self::into_batch) returns it.
#[derive(Clone, Debug)]
pub struct Delivery {
    to: TopicPartition,
    offsets: Offsets,
    append_times: AppendTimes,
    /// Below 0 if the broker did not return it.
    log_start_offset: i64,
    batch: Pooled,
}

/// The batch of a delivery. Its memory goes to the pool when it is dropped, unless it is compressed.
struct Pooled {
    /// `None` once it was taken out.
    batch: Option<DeliveredBatch>,
    pool: Option<Arc<dyn BufferPool>>,
}

impl Pooled {
    const fn new(batch: DeliveredBatch) -> Self {
        Self { batch: Some(batch), pool: None }
    }

    fn get(&self) -> &DeliveredBatch {
        self.batch.as_ref().expect("it is taken out when the delivery is consumed")
    }

    fn take(mut self) -> DeliveredBatch {
        self.batch.take().expect("it is taken out once")
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        if let (Some(DeliveredBatch::Open(batch)), Some(pool)) = (self.batch.take(), &self.pool) {
            pool.put(batch.into_buffer());
        }
    }
}

/// The clone's memory is its own, and is freed.
impl Clone for Pooled {
    fn clone(&self) -> Self {
        Self { batch: self.batch.clone(), pool: None }
    }
}

impl fmt::Debug for Pooled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.batch.fmt(f)
    }
}

/// The batch of a delivery. A compressed one is decompressed only on first access to its records, as most callers never
/// access them.
#[derive(Debug)]
enum DeliveredBatch {
    Open(KafkaBatch),
    Compressed { stamped: StampedBatch, opened: OnceBox<KafkaBatch> },
}

impl DeliveredBatch {
    fn new(stamped: StampedBatch) -> Self {
        match stamped.codec() {
            Codec::None => Self::Open(stamped.into_batch()),
            _ => Self::Compressed { stamped, opened: OnceBox::new() },
        }
    }

    fn record_count(&self) -> usize {
        match self {
            Self::Open(batch) => batch.record_count(),
            Self::Compressed { stamped, .. } => stamped.record_count(),
        }
    }

    fn batch(&self) -> &KafkaBatch {
        match self {
            Self::Open(batch) => batch,
            Self::Compressed { stamped, opened } => opened.get_or_init(|| Box::new(stamped.clone().into_batch())),
        }
    }

    fn into_buffer(self) -> Option<Vec<u8>> {
        match self {
            Self::Open(batch) => Some(batch.into_buffer()),
            Self::Compressed { stamped, .. } => stamped.into_buffer(),
        }
    }

    fn into_batch(self) -> KafkaBatch {
        match self {
            Self::Open(batch) => batch,
            Self::Compressed { stamped, opened } => opened.get().cloned().unwrap_or_else(|| stamped.into_batch()),
        }
    }
}

impl Clone for DeliveredBatch {
    fn clone(&self) -> Self {
        match self {
            Self::Open(batch) => Self::Open(batch.clone()),
            Self::Compressed { stamped, .. } => Self::new(stamped.clone()),
        }
    }
}

#[derive(Clone, Debug)]
enum Offsets {
    /// Not known: `acks=0`.
    Unknown,
    /// Consecutive, from this base offset: the batch was sent as one.
    From(i64),
    /// By position: the batch was split, or the transport formed batches of its own.
    Each(Vec<i64>),
}

/// The append time of the records, if the broker returned one.
#[derive(Clone, Debug)]
enum AppendTimes {
    /// Each record keeps its own timestamp.
    None,
    All(Timestamp),
    /// By position: the batch was split, and its parts were appended at different times.
    Each(Vec<Option<Timestamp>>),
}

/// Converts an append time in milliseconds. A broker returns −1 if records keep their own timestamps (create time).
fn append_time(millis: i64) -> Option<Timestamp> {
    (millis >= 0).then_some(Timestamp::from_millis(millis))
}

impl Delivery {
    /// Creates the delivery of a batch that was appended as a whole, with its first record at `base_offset` (below 0:
    /// unknown, as with `acks=0`).
    #[must_use]
    pub fn new(to: TopicPartition, base_offset: i64, batch: StampedBatch) -> Self {
        let offsets = if base_offset < 0 { Offsets::Unknown } else { Offsets::From(base_offset) };
        let batch = Pooled::new(DeliveredBatch::new(batch));
        Self { to, offsets, append_times: AppendTimes::None, log_start_offset: -1, batch }
    }

    /// Creates the delivery of a batch whose records have individual offsets, by position (below 0: unknown): it was
    /// split, or the transport formed batches of its own.
    #[must_use]
    pub fn from_offsets(to: TopicPartition, offsets: Vec<i64>, batch: KafkaBatch) -> Self {
        let (offsets, batch) = (Offsets::Each(offsets), Pooled::new(DeliveredBatch::Open(batch)));
        Self { to, offsets, append_times: AppendTimes::None, log_start_offset: -1, batch }
    }

    /// Sets the time at which the broker appended the batch, in milliseconds. A value below 0 sets none: that is what a
    /// broker returns if each record keeps its own timestamp.
    #[must_use]
    pub fn with_log_append_time(mut self, millis: i64) -> Self {
        self.append_times = append_time(millis).map_or(AppendTimes::None, AppendTimes::All);
        self
    }

    /// Sets the append times by position, for records that were appended at different times; otherwise as
    /// [`with_log_append_time`](Self::with_log_append_time).
    #[must_use]
    pub fn with_log_append_times(mut self, millis: &[i64]) -> Self {
        self.append_times = match millis {
            [first, others @ ..] if others.iter().all(|other| other == first) => {
                return self.with_log_append_time(*first);
            }
            _ => AppendTimes::Each(millis.iter().copied().map(append_time).collect()),
        };
        self
    }

    /// Sets the log start offset of the partition. A value below 0 sets none.
    #[must_use]
    pub const fn with_log_start_offset(mut self, offset: i64) -> Self {
        self.log_start_offset = offset;
        self
    }

    /// Sets the pool that gets the memory of the batch when the delivery is dropped: that of a producer, which makes other
    /// batches of it. A batch that is taken out ([`into_batch`](Self::into_batch)), or whose bytes are shared, keeps its memory.
    /// That of a compressed batch is freed: it is smaller than what another batch needs before compression, for which
    /// [`seal_with_pool`](crate::KafkaBatch::seal_with_pool) keeps memory.
    #[must_use]
    pub fn with_buffer_pool(mut self, pool: Arc<dyn BufferPool>) -> Self {
        self.batch.pool = Some(pool);
        self
    }

    /// Returns the topic and partition of the batch.
    #[must_use]
    pub const fn topic_partition(&self) -> &TopicPartition {
        &self.to
    }

    /// Returns the offset of the first record; `None` if it is not known, as with `acks=0`.
    #[must_use]
    pub fn base_offset(&self) -> Option<i64> {
        self.offset(0)
    }

    /// Returns the offset of the record at this position; `None` past the last one, or if it is not known, as with
    /// `acks=0`.
    #[must_use]
    pub fn offset(&self, position: usize) -> Option<i64> {
        if position >= self.record_count() {
            return None;
        }
        match &self.offsets {
            Offsets::Unknown => None,
            Offsets::From(base) => base.checked_add(i64::try_from(position).ok()?),
            Offsets::Each(offsets) => offsets.get(position).copied().filter(|&offset| offset >= 0),
        }
    }

    /// Returns the timestamp of the record at this position: the broker's append time if the topic has
    /// `message.timestamp.type=LogAppendTime`, otherwise the record's own; `None` past the last one. Takes time linear
    /// in `position`; to read all of them, use [`records`](Self::records).
    #[must_use]
    pub fn timestamp(&self, position: usize) -> Option<Timestamp> {
        self.records().nth(position).map(|record| record.timestamp)
    }

    /// Returns an iterator over each record's position, offset and timestamp, in order.
    pub fn records(&self) -> impl Iterator<Item = DeliveredRecord> + '_ {
        self.batch().records().enumerate().map(|(position, record)| DeliveredRecord {
            position,
            offset: self.offset(position),
            timestamp: self.append_time(position).unwrap_or(record.timestamp),
        })
    }

    /// Returns the number of records.
    #[must_use]
    pub fn record_count(&self) -> usize {
        self.batch.get().record_count()
    }

    /// Returns the time at which the broker appended the batch, on a topic with `message.timestamp.type=LogAppendTime`.
    /// Also `None` if the batch was split and its parts were appended at different times: then use
    /// [`records`](Self::records).
    #[must_use]
    pub const fn log_append_time(&self) -> Option<Timestamp> {
        match self.append_times {
            AppendTimes::All(time) => Some(time),
            AppendTimes::None | AppendTimes::Each(_) => None,
        }
    }

    /// Returns the time at which the broker appended the record at this position, on a topic with
    /// `message.timestamp.type=LogAppendTime`; also if the batch was split.
    #[must_use]
    pub fn append_time(&self, position: usize) -> Option<Timestamp> {
        match &self.append_times {
            AppendTimes::None => None,
            AppendTimes::All(time) => Some(*time),
            AppendTimes::Each(times) => times.get(position).copied().flatten(),
        }
    }

    /// Returns the log start offset of the partition (its first offset that is not deleted), if the broker returned it
    /// (Produce v5 and later).
    #[must_use]
    pub fn log_start_offset(&self) -> Option<i64> {
        (self.log_start_offset >= 0).then_some(self.log_start_offset)
    }

    /// Returns the compressed size ÷ the uncompressed size of the records as sent, for
    /// [`CompressionRatio::observe`](crate::batch::CompressionRatio::observe). 1 if the batch was not compressed;
    /// `None` if it was split, or if the transport formed batches of its own.
    #[must_use]
    pub fn compression_ratio(&self) -> Option<f32> {
        match (self.batch.get(), &self.offsets) {
            (DeliveredBatch::Compressed { stamped, .. }, _) => Some(stamped.compression_ratio()),
            (DeliveredBatch::Open(_), Offsets::Each(_)) => None,
            (DeliveredBatch::Open(_), Offsets::Unknown | Offsets::From(_)) => Some(1.0),
        }
    }

    /// Returns the batch that was delivered. A compressed one is decompressed on the first access, by this method or
    /// [`records`](Self::records), and cached.
    #[must_use]
    pub fn batch(&self) -> &KafkaBatch {
        self.batch.get().batch()
    }

    /// Returns the memory of the batch, for another one: see
    /// [`BatchOptions::build_with_buffer`](crate::BatchOptions::build_with_buffer). Returns `None` if the bytes are shared.
    #[must_use]
    pub fn into_buffer(self) -> Option<Vec<u8>> {
        self.batch.take().into_buffer()
    }

    /// Returns the batch, and drops the rest.
    #[must_use]
    pub fn into_batch(self) -> KafkaBatch {
        self.batch.take().into_batch()
    }
}

/// One record of a [`Delivery`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeliveredRecord {
    /// Its position in the batch.
    pub position: usize,
    /// Its offset; `None` if it is not known, as with `acks=0`.
    pub offset: Option<i64>,
    /// Its timestamp.
    pub timestamp: Timestamp,
}

#[cfg(all(test, feature = "gzip"))]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::batch::BatchOptions;
    use crate::compression::Compression;
    use crate::record::Record;

    #[test]
    fn a_compressed_batch_is_decompressed_on_first_access_to_its_records() {
        let gzip: Compression = "gzip".parse().unwrap();
        let mut batch = BatchOptions::default().compression(gzip).build(0).unwrap();
        batch.extend((0..20).map(|millis| Record::new("the same again").timestamp(millis))).unwrap();
        let stamped = batch.clone().seal().unwrap().without_producer_id();
        assert_eq!(stamped.codec(), Codec::Gzip);
        let delivery = Delivery::new(TopicPartition::new("t", 0), 7, stamped);
        let is_open = |delivery: &Delivery| match delivery.batch.get() {
            DeliveredBatch::Open(_) => true,
            DeliveredBatch::Compressed { opened, .. } => opened.get().is_some(),
        };
        assert_eq!((delivery.record_count(), delivery.offset(19), delivery.offset(20)), (20, Some(26), None));
        assert!(!is_open(&delivery));
        let unread = delivery.clone();
        assert_eq!(delivery.timestamp(3), Some(Timestamp::from_millis(3)));
        assert!(is_open(&delivery) && !is_open(&unread) && !is_open(&delivery.clone()));
        for delivery in [delivery, unread] {
            let records: Vec<_> = delivery.records().map(|record| record.timestamp.millis()).collect();
            assert_eq!(records, (0..20).collect::<Vec<_>>());
            assert!(delivery.into_batch().records().eq(batch.records()));
        }
    }

    #[test]
    fn parts_appended_at_different_times_keep_their_own_timestamps() {
        let mut batch = BatchOptions::default().build(0).unwrap();
        batch.extend((0..3).map(|millis| Record::new("x").timestamp(millis))).unwrap();
        let delivery = |times: &[i64]| {
            let one_by_one = Delivery::from_offsets(TopicPartition::new("t", 0), vec![7, 8, 9], batch.clone());
            let delivery = one_by_one.with_log_append_times(times);
            let records: Vec<_> = delivery.records().map(|record| record.timestamp.millis()).collect();
            (delivery.log_append_time().map(Timestamp::millis), records)
        };
        assert_eq!(delivery(&[100, 100, 100]), (Some(100), vec![100, 100, 100]));
        assert_eq!(delivery(&[100, 100, 101]), (None, vec![100, 100, 101]));
        assert_eq!(delivery(&[-1, -1, -1]), (None, vec![0, 1, 2]));
        assert_eq!(delivery(&[]), (None, vec![0, 1, 2]));
    }

    #[test]
    fn a_delivery_is_send_and_sync() {
        fn check<T: Send + Sync>() {}
        check::<Delivery>();
        let batch = BatchOptions::default().build(0).unwrap();
        assert_eq!(Delivery::from_offsets(TopicPartition::new("t", 0), vec![], batch).record_count(), 0);
    }
}
