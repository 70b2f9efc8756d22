//! What became of a batch that is in the log: where each of its records is, and since when.

use alloc::boxed::Box;
use alloc::vec::Vec;

use once_cell::race::OnceBox;

use crate::batch::{KafkaBatch, StampedBatch};
use crate::compression::Codec;
use crate::record::TopicPartition;
use crate::time::Timestamp;

/// An acknowledged batch: where it is, and the offset and timestamp of each of its records by position.
///
/// It keeps the batch (not a copy of it) to answer for the timestamps; [`into_batch`](Self::into_batch) hands it back.
#[derive(Clone, Debug)]
pub struct Delivery {
    to: TopicPartition,
    offsets: Offsets,
    appended: Appended,
    /// Below 0 where the broker does not say it.
    log_start_offset: i64,
    batch: Kept,
}

/// The batch of a delivery. One that was compressed is not decompressed before somebody asks for its records: most never do.
#[derive(Debug)]
enum Kept {
    Open(KafkaBatch),
    Compressed { stamped: StampedBatch, opened: OnceBox<KafkaBatch> },
}

impl Kept {
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

    fn into_batch(self) -> KafkaBatch {
        match self {
            Self::Open(batch) => batch,
            Self::Compressed { stamped, opened } => opened.get().cloned().unwrap_or_else(|| stamped.into_batch()),
        }
    }
}

impl Clone for Kept {
    fn clone(&self) -> Self {
        match self {
            Self::Open(batch) => Self::Open(batch.clone()),
            Self::Compressed { stamped, .. } => Self::new(stamped.clone()),
        }
    }
}

#[derive(Clone, Debug)]
enum Offsets {
    /// Nobody said: `acks=0`.
    Unknown,
    /// One batch on the wire, one in the log.
    From(i64),
    /// By position: where something else batched the records.
    Each(Vec<i64>),
}

/// When the broker appended the records, where it says so.
#[derive(Clone, Debug)]
enum Appended {
    /// Each record keeps its own timestamp.
    Unsaid,
    At(Timestamp),
    /// By position: where the batch was split, and its parts came at different times.
    Each(Vec<Option<Timestamp>>),
}

/// Below 0 is how a broker says that a record keeps its own timestamp.
fn append_time(millis: i64) -> Option<Timestamp> {
    (millis >= 0).then_some(Timestamp::from_millis(millis))
}

impl Delivery {
    /// A batch that stands in the log as one: its first record at `base_offset` (below 0: unknown, as with `acks=0`).
    #[must_use]
    pub fn as_one(to: TopicPartition, base_offset: i64, batch: StampedBatch) -> Self {
        let offsets = if base_offset < 0 { Offsets::Unknown } else { Offsets::From(base_offset) };
        Self { to, offsets, appended: Appended::Unsaid, log_start_offset: -1, batch: Kept::new(batch) }
    }

    /// Records that something else batched: each at an offset of its own, by position (below 0: unknown).
    #[must_use]
    pub fn one_by_one(to: TopicPartition, offsets: Vec<i64>, batch: KafkaBatch) -> Self {
        let (offsets, batch) = (Offsets::Each(offsets), Kept::Open(batch));
        Self { to, offsets, appended: Appended::Unsaid, log_start_offset: -1, batch }
    }

    /// With the time at which the broker appended it; below 0, which is how a broker says that each record keeps its
    /// own, it is left out.
    #[must_use]
    pub fn with_log_append_time(mut self, millis: i64) -> Self {
        self.appended = append_time(millis).map_or(Appended::Unsaid, Appended::At);
        self
    }

    /// As [`with_log_append_time`](Self::with_log_append_time), for records that were appended at different times: by
    /// position.
    #[must_use]
    pub fn with_log_append_times(mut self, millis: &[i64]) -> Self {
        self.appended = match millis {
            [first, others @ ..] if others.iter().all(|other| other == first) => {
                return self.with_log_append_time(*first);
            }
            _ => Appended::Each(millis.iter().copied().map(append_time).collect()),
        };
        self
    }

    /// With the first offset that the partition still has; below 0 it is left out.
    #[must_use]
    pub const fn with_log_start_offset(mut self, offset: i64) -> Self {
        self.log_start_offset = offset;
        self
    }

    /// Where the batch is.
    #[must_use]
    pub const fn topic_partition(&self) -> &TopicPartition {
        &self.to
    }

    /// The offset of the first record; `None` where the broker was not asked (`acks=0`).
    #[must_use]
    pub fn base_offset(&self) -> Option<i64> {
        self.offset(0)
    }

    /// The offset of the record at this position; `None` past the last one, and with `acks=0`.
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

    /// The timestamp of the record at this position: the broker's under log-append-time, the record's own otherwise.
    /// Walks there record by record; for all of them, [`records`](Self::records).
    #[must_use]
    pub fn timestamp(&self, position: usize) -> Option<Timestamp> {
        self.records().nth(position).map(|record| record.timestamp)
    }

    /// Each record's position, offset and timestamp, in order.
    pub fn records(&self) -> impl Iterator<Item = DeliveredRecord> + '_ {
        self.batch().records().enumerate().map(|(position, record)| DeliveredRecord {
            position,
            offset: self.offset(position),
            timestamp: self.append_time(position).unwrap_or(record.timestamp),
        })
    }

    /// How many records it has.
    #[must_use]
    pub fn record_count(&self) -> usize {
        self.batch.record_count()
    }

    /// When the broker appended it, on a topic with log-append-time. `None` too where it was split, and the parts were
    /// appended at different times: then the [`records`](Self::records) tell.
    #[must_use]
    pub const fn log_append_time(&self) -> Option<Timestamp> {
        match self.appended {
            Appended::At(time) => Some(time),
            Appended::Unsaid | Appended::Each(_) => None,
        }
    }

    fn append_time(&self, position: usize) -> Option<Timestamp> {
        match &self.appended {
            Appended::Unsaid => None,
            Appended::At(time) => Some(*time),
            Appended::Each(times) => times.get(position).copied().flatten(),
        }
    }

    /// The first offset that the partition still has, where the broker says it (Produce 5 and newer).
    #[must_use]
    pub fn log_start_offset(&self) -> Option<i64> {
        (self.log_start_offset >= 0).then_some(self.log_start_offset)
    }

    /// Compressed size ÷ uncompressed size of its records, as it went out: what
    /// [`CompressionRatio::observe`](crate::CompressionRatio::observe) takes. 1 where nothing was compressed, `None` where
    /// the batch was split, or something else batched its records.
    #[must_use]
    pub fn compression_ratio(&self) -> Option<f32> {
        match (&self.batch, &self.offsets) {
            (Kept::Compressed { stamped, .. }, _) => Some(stamped.compression_ratio()),
            (Kept::Open(_), Offsets::Each(_)) => None,
            (Kept::Open(_), Offsets::Unknown | Offsets::From(_)) => Some(1.0),
        }
    }

    /// The batch that was delivered. One that was compressed is decompressed at the first call, here or for the
    /// [`records`](Self::records), and then kept.
    #[must_use]
    pub fn batch(&self) -> &KafkaBatch {
        self.batch.batch()
    }

    /// Hands the batch back.
    #[must_use]
    pub fn into_batch(self) -> KafkaBatch {
        self.batch.into_batch()
    }
}

/// One record of a [`Delivery`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeliveredRecord {
    /// Its position in the batch.
    pub position: usize,
    /// Its offset; `None` with `acks=0`.
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
    fn a_compressed_batch_is_decompressed_when_somebody_asks_for_its_records_and_not_before() {
        let gzip: Compression = "gzip".parse().unwrap();
        let mut batch = BatchOptions::default().compression(gzip).build(0).unwrap();
        batch.extend((0..20).map(|millis| Record::new("the same again").timestamp(millis))).unwrap();
        let stamped = batch.clone().seal().unwrap().without_producer_id();
        assert_eq!(stamped.codec(), Codec::Gzip);
        let delivery = Delivery::as_one(TopicPartition::new("t", 0), 7, stamped);
        let is_open = |delivery: &Delivery| match &delivery.batch {
            Kept::Open(_) => true,
            Kept::Compressed { opened, .. } => opened.get().is_some(),
        };
        assert_eq!((delivery.record_count(), delivery.offset(19), delivery.offset(20)), (20, Some(26), None));
        assert!(!is_open(&delivery));
        let unasked = delivery.clone();
        assert_eq!(delivery.timestamp(3), Some(Timestamp::from_millis(3)));
        assert!(is_open(&delivery) && !is_open(&unasked) && !is_open(&delivery.clone()));
        for delivery in [delivery, unasked] {
            let records: Vec<_> = delivery.records().map(|record| record.timestamp.millis()).collect();
            assert_eq!(records, (0..20).collect::<Vec<_>>());
            assert!(delivery.into_batch().records().eq(batch.records()));
        }
    }

    #[test]
    fn parts_that_were_appended_at_different_times_have_each_its_own() {
        let mut batch = BatchOptions::default().build(0).unwrap();
        batch.extend((0..3).map(|millis| Record::new("x").timestamp(millis))).unwrap();
        let delivery = |times: &[i64]| {
            let one_by_one = Delivery::one_by_one(TopicPartition::new("t", 0), vec![7, 8, 9], batch.clone());
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
    fn a_delivery_goes_from_thread_to_thread() {
        fn check<T: Send + Sync>() {}
        check::<Delivery>();
        let batch = BatchOptions::default().build(0).unwrap();
        assert_eq!(Delivery::one_by_one(TopicPartition::new("t", 0), vec![], batch).record_count(), 0);
    }
}
