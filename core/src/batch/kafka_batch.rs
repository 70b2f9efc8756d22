//! The batch itself: its state and what can be asked of it. Appending, sealing, splitting and converting are in files of
//! their own.

use alloc::vec::Vec;
use core::fmt;
use core::num::NonZeroU32;
use core::ops::RangeInclusive;

use super::encode::{legacy, v2};
use super::mark::{Mark, Marks, RollbackError};
use super::timestamp_range::TimestampRange;
use super::{BatchOptions, Boundary, SizePolicy, decode};
use crate::compression::Compression;
use crate::counted::Counted;
use crate::magic::{Magic, MagicChoice};
use crate::record::RecordView;
use crate::time::Timestamp;

/// A batch of records for one partition.
///
/// Each record is encoded once, when it is appended, into the bytes that will be sent. So the batch knows its exact
/// [`size`](Self::size) and the [`room`](Self::room) left, and reports that it is full before a record is lost. Once it has
/// all its records, [`seal`](Self::seal) it, or send it through a [`Transport`](crate::Transport).
///
/// # Examples
///
/// ```
/// use kafka_batch_core::{Append, KafkaBatch, Record, Timestamp};
///
/// let mut batch = KafkaBatch::new(Timestamp::from_millis(1_700_000_000_000));
/// let mut readings = (0..).map(|n| format!("reading {n}"));
/// let refused = loop {
///     let reading = readings.next().expect("endless");
///     match batch.append(Record::new(&reading).key("sensor-7"))? {
///         Append::Appended(_) => {}
///         Append::Full(_) => break reading, // the first record of the next batch
///     }
/// };
/// assert!(batch.size() <= 16_384);
/// assert_eq!(refused, format!("reading {}", batch.record_count()));
/// let sealed = batch.seal()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct KafkaBatch {
    pub(super) options: BatchOptions,
    pub(super) magic: Magic,
    pub(super) now: Timestamp,
    /// Magic 2: space for the header, then the records. Magic 0 and 1: messages. Empty until the first append.
    pub(super) buffer: Vec<u8>,
    pub(super) stats: RecordStats,
    pub(super) closed: bool,
    /// The length, in bytes of records, up to which `is_below_limits` suffices as a check and the buffer need not grow; 0
    /// before the first record.
    pub(super) fast_path_end: u64,
    /// Bytes of records for which the first append reserves memory: those of the batch before it.
    pub(super) expected_len: usize,
    pub(super) marks: Marks,
}

/// What a batch knows about its records: the state that a rollback restores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RecordStats {
    /// Bytes of records, before compression, without the header.
    pub(crate) len: usize,
    pub(crate) count: u32,
    pub(crate) next_offset_delta: u32,
    pub(crate) base_timestamp: Option<Timestamp>,
    pub(crate) timestamps: TimestampRange,
    /// The partition that the keys so far route to, in a batch that routes by key.
    pub(crate) partition: Option<i32>,
}

impl KafkaBatch {
    /// Creates an empty batch with Kafka's default limits. `now` is the timestamp of records without one.
    ///
    /// [`BatchOptions::build`] creates a batch with other settings.
    pub fn new(now: impl Into<Timestamp>) -> Self {
        Self::empty(BatchOptions::default(), MagicChoice::Auto.initial(), now.into())
    }

    pub(super) fn empty(options: BatchOptions, magic: Magic, now: Timestamp) -> Self {
        // With a delete horizon, the header's base timestamp holds the horizon, and deltas are relative to it (KIP-534).
        let stats = RecordStats { base_timestamp: options.delete_horizon, ..RecordStats::default() };
        let marks = Marks::new();
        Self { options, magic, now, buffer: Vec::new(), stats, closed: false, fast_path_end: 0, expected_len: 0, marks }
    }

    /// Creates an empty batch with the settings and the time of this one, for records that do not fit into this one.
    ///
    /// Its first append reserves as much memory as this batch has filled: a full batch is probably followed by another one.
    #[must_use]
    pub fn next_batch(&self) -> Self {
        let mut next = Self::empty(self.options.clone(), self.options.magic.initial(), self.now);
        next.expected_len = if self.is_empty() { self.expected_len } else { self.stats.len };
        next
    }

    /// Creates an empty batch with the settings of this one, that is likely to have `expected_len` bytes of records and uses the
    /// memory of `buffer`.
    pub(crate) fn next_batch_with(&self, now: Timestamp, expected_len: usize, mut buffer: Vec<u8>) -> Self {
        buffer.clear();
        let next = Self::empty(self.options.clone(), self.options.magic.initial(), now);
        Self { buffer, expected_len, ..next }
    }

    /// Creates an empty batch with the settings and the time of this one, except that keys determine no partition.
    pub(crate) fn next_for_any_partition(&self) -> Self {
        let mut next = self.next_batch();
        next.options.partitions = None;
        next
    }

    /// Returns the batch with this size policy.
    pub(crate) const fn with_size_policy(mut self, policy: SizePolicy) -> Self {
        self.options.size_policy = policy;
        self
    }

    /// Returns the batch, which must be empty, with routing by key to one of `partitions`.
    pub(crate) fn routed_by_key(mut self, partitions: NonZeroU32) -> Self {
        debug_assert!(self.is_empty(), "the keys of earlier records were not routed");
        self.options.partitions = Some(partitions);
        self
    }

    /// Returns the settings of the batch.
    #[must_use]
    pub const fn options(&self) -> &BatchOptions {
        &self.options
    }

    /// Returns the format in which the batch is filled.
    #[must_use]
    pub const fn magic(&self) -> Magic {
        self.magic
    }

    /// Returns the timestamp of records without one.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// Sets the timestamp of records that are appended later without one.
    pub fn set_now(&mut self, now: impl Into<Timestamp>) {
        self.now = now.into();
    }

    /// Returns the number of records.
    #[must_use]
    pub const fn record_count(&self) -> usize {
        self.stats.count as usize
    }

    /// Returns `true` if the batch has no records.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.stats.count == 0
    }

    /// Returns the earliest and the latest timestamp of the records; `None` if there are none. In magic 0, which carries no
    /// timestamps, both are −1.
    ///
    /// # Examples
    ///
    /// ```
    /// use kafka_batch_core::{KafkaBatch, Record, Timestamp};
    ///
    /// let mut batch = KafkaBatch::new(Timestamp::from_millis(7));
    /// batch.extend([Record::new("at the batch's time"), Record::new("earlier").timestamp(4)])?;
    /// assert_eq!(batch.timestamps(), Some(Timestamp::from_millis(4)..=Timestamp::from_millis(7)));
    /// # Ok::<(), kafka_batch_core::ExtendError>(())
    /// ```
    #[must_use]
    pub fn timestamps(&self) -> Option<RangeInclusive<Timestamp>> {
        self.stats.timestamps.range()
    }

    /// Returns the size in bytes before compression, header included.
    ///
    /// Without a codec, it is exactly the size of the sealed batch. With a codec in magic 0 or 1, it includes the wrapper
    /// message.
    #[must_use]
    pub fn size(&self) -> usize {
        self.header_len() + self.stats.len
    }

    /// Returns the size in bytes that is compared with [`BatchOptions::batch_size`]: [`size`](Self::size), or an estimate
    /// with [`SizePolicy::Estimated`].
    #[must_use]
    pub fn counted_size(&self) -> usize {
        let raw = self.stats.len;
        let records = match self.options.size_policy {
            SizePolicy::Estimated(ratio) if self.is_compressed() => ratio.estimate(raw),
            _ => raw,
        };
        self.header_len().saturating_add(records) // the ratio is the caller's, so the estimate may be any number
    }

    /// Returns the number of bytes left up to the limit.
    ///
    /// A record with this [`cost`](Self::cost) or less fits, unless the batch has reached [`BatchOptions::max_records`] or is
    /// closed. An empty batch also takes a larger record, up to [`BatchOptions::max_message_bytes`].
    #[must_use]
    pub fn room(&self) -> usize {
        let soft = self.soft_limit().saturating_sub(self.counted_size());
        if self.is_compressed() { soft } else { soft.min(self.options.max_message_bytes.saturating_sub(self.size())) }
    }

    /// Returns `true` if the batch was closed by [`close`](Self::close).
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Closes the batch: it takes no further records, and cannot be reopened. Closing it again has no effect.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// Returns the partition that the keys so far route to; `None` without [`BatchOptions::route_by_key`], and before the
    /// first record with a key.
    #[must_use]
    pub const fn routed_partition(&self) -> Option<i32> {
        self.stats.partition
    }

    /// Returns a mark at the current end of the batch, for [`rollback`](Self::rollback).
    pub fn mark(&mut self) -> Mark {
        self.marks.make(self.stats)
    }

    /// Removes every record appended since the mark was made, in constant time. The batch is then byte for byte what it was
    /// when the mark was made.
    ///
    /// # Errors
    /// The mark belongs to another batch, an earlier rollback removed it, or the batch is closed. The batch is unchanged.
    pub fn rollback(&mut self, mark: &Mark) -> Result<(), RollbackError> {
        self.marks.check(mark)?;
        if self.closed {
            return Err(RollbackError::Closed);
        }
        self.truncate(mark.stats);
        self.marks.cut(mark.stats.len);
        Ok(())
    }

    /// Returns the memory of the batch, for another one: see [`BatchOptions::build_with_buffer`].
    #[must_use]
    pub fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }

    pub(super) fn truncate(&mut self, stats: RecordStats) {
        self.buffer.truncate(self.buffer_reserve() + stats.len);
        self.stats = stats;
        self.fast_path_end = 0; // the next record may be the first one, which the slow path handles
    }

    /// Returns the records in order, as views into the batch's bytes.
    pub fn records(&self) -> impl Iterator<Item = RecordView<'_>> + '_ {
        decode::own_records(self)
    }

    /// Returns the encoded records, without a batch header.
    pub(crate) fn payload(&self) -> &[u8] {
        self.buffer.get(self.buffer_reserve()..).unwrap_or_default()
    }

    /// Returns the number of bytes in front of the first record in the buffer.
    pub(super) const fn buffer_reserve(&self) -> usize {
        match self.magic {
            Magic::V2 => v2::HEADER_LEN,
            Magic::V0 | Magic::V1 => 0,
        }
    }

    /// Returns the number of bytes that count towards the limits in addition to the records.
    pub(super) fn header_len(&self) -> usize {
        match self.magic {
            Magic::V2 => v2::HEADER_LEN,
            Magic::V0 | Magic::V1 if self.is_compressed() && self.options.boundary == Boundary::Inclusive => {
                legacy::overhead(self.magic)
            }
            Magic::V0 | Magic::V1 => 0,
        }
    }

    pub(super) fn is_compressed(&self) -> bool {
        self.options.compression != Compression::None
    }

    /// Returns the largest counted size that the soft limit allows.
    pub(super) const fn soft_limit(&self) -> usize {
        match self.options.boundary {
            Boundary::Inclusive => self.options.batch_size,
            Boundary::Aiokafka => self.options.batch_size.saturating_sub(1),
        }
    }
}

/// The clone has the same records and settings. Marks are valid only for the batch that made them.
impl Clone for KafkaBatch {
    fn clone(&self) -> Self {
        Self {
            options: self.options.clone(),
            magic: self.magic,
            now: self.now,
            buffer: self.buffer.clone(),
            stats: self.stats,
            closed: self.closed,
            fast_path_end: 0, // the clone's buffer has no spare memory
            expected_len: self.expected_len,
            marks: Marks::new(),
        }
    }
}

/// Two batches are equal if their settings, their records (byte for byte) and whether they are closed are equal.
impl PartialEq for KafkaBatch {
    fn eq(&self, other: &Self) -> bool {
        self.options == other.options
            && self.magic == other.magic
            && self.now == other.now
            && self.stats == other.stats
            && self.closed == other.closed
            && self.payload() == other.payload()
    }
}

/// Prints a summary; `{:#?}` prints the records too.
impl fmt::Debug for KafkaBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        struct Records<'b>(&'b KafkaBatch);
        impl fmt::Debug for Records<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_list().entries(self.0.records()).finish()
            }
        }
        let with_records = f.alternate();
        let mut text = f.debug_struct("KafkaBatch");
        text.field("magic", &self.magic).field("record_count", &self.record_count()).field("size", &self.size());
        if with_records {
            text.field("records", &Records(self));
        }
        text.field("now", &self.now).field("closed", &self.closed).field("options", &self.options).finish()
    }
}

/// Prints the number of records, the size, and how full the batch is, in one line.
impl fmt::Display for KafkaBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = self.counted_size() as u128 * 100 / self.options.batch_size.max(1) as u128;
        let records = Counted(self.record_count(), "record");
        write!(f, "{records}, {} bytes, {percent} % of {}", self.size(), self.options.batch_size)
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString;

    use super::*;
    use crate::record::Record;

    #[test]
    fn batches_are_equal_if_settings_records_and_time_are() {
        let batch = |now, values: &[&str]| {
            let mut batch = KafkaBatch::new(Timestamp::from_millis(now));
            batch.extend(values.iter().map(Record::new)).unwrap();
            batch
        };
        let one = batch(1, &["a", "b"]);
        assert_eq!(one, batch(1, &["a", "b"]));
        assert_eq!(one, one.clone());
        let limited = BatchOptions::default().batch_size(100);
        let mut limited = limited.build(Timestamp::from_millis(1)).unwrap();
        limited.extend(["a", "b"].map(Record::new)).unwrap();
        for other in [batch(1, &["a"]), batch(1, &["a", "c"]), batch(2, &["a", "b"]), one.next_batch(), limited] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn a_batch_is_printed_with_its_size_and_in_full_on_request() {
        let options = BatchOptions::default().batch_size(200);
        let mut batch = options.build(5).unwrap();
        batch.extend([Record::new("a value"), Record::new("another")]).unwrap();
        assert_eq!(batch.to_string(), "2 records, 89 bytes, 44 % of 200");
        assert_eq!(KafkaBatch::new(5).to_string(), "0 records, 61 bytes, 0 % of 16384");
        let debug = format!("{batch:?}");
        assert!(debug.starts_with("KafkaBatch { magic: V2, record_count: 2, size: 89, now: "), "{debug}");
        assert!(!debug.contains(" records: ["), "{debug}");
        let all = format!("{batch:#?}");
        assert_eq!(all.matches("RecordView {").count(), 2, "{all}");
    }
}
