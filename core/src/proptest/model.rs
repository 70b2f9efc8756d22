//! The reference model of a batch: a list of records, and arithmetic.

use alloc::vec::Vec;

use super::size::{self, BATCH_HEADER};
use super::{AppendOutcome, OwnedRecord};
use crate::batch::{BatchOptions, Boundary, FullReason, KafkaBatch, SizePolicy};
use crate::compression::Compression;
use crate::magic::Magic;
use crate::partitioner::partition_for_key;
use crate::time::Timestamp;

/// What a batch with the same settings must answer and hold.
///
/// It keeps its records as they are and adds up their sizes from the protocol guide; it has no buffer, no encoder and no
/// cleverness. Give it what you give the batch, and compare.
///
/// ```
/// use kafka_batch_core::proptest::{AppendOutcome, Model, OwnedRecord};
/// use kafka_batch_core::{BatchOptions, Timestamp};
///
/// let (options, now) = (BatchOptions::default().batch_size(75), Timestamp::from_millis(0));
/// let mut model = Model::new(options.clone(), now);
/// let mut batch = options.build(now)?;
/// for value in ["one", "two"] {
///     let record = OwnedRecord::new(value);
///     let predicted = model.append(&record);
///     assert_eq!(AppendOutcome::from(&batch.append(record.borrowed())), predicted);
/// }
/// assert_eq!(model.stored().len(), 1);
/// # Ok::<(), kafka_batch_core::OptionsError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Model {
    options: BatchOptions,
    magic: Magic,
    now: Timestamp,
    stored: Vec<StoredRecord>,
    /// What timestamps are counted from, in a batch that has lost its first record.
    kept_base: Option<Timestamp>,
    closed: bool,
    marks: Vec<Marked>,
}

/// A record that a [`Model`] holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRecord {
    /// Its offset, relative to the batch's start.
    pub offset: u32,
    /// Its encoded size in bytes.
    pub size: usize,
    /// The record, with the timestamp that it carries.
    pub record: OwnedRecord,
}

/// A mark of a [`Model`], by [`Model::mark`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelMark(usize);

#[derive(Clone, Debug)]
struct Marked {
    count: usize,
    alive: bool,
}

impl Model {
    /// The model of the batch that `options.build(now)` makes.
    #[must_use]
    pub fn new(options: BatchOptions, now: impl Into<Timestamp>) -> Self {
        let magic = options.magic.initial();
        let (now, kept_base) = (now.into(), options.delete_horizon);
        Self { options, magic, now, stored: Vec::new(), kept_base, closed: false, marks: Vec::new() }
    }

    /// The format.
    #[must_use]
    pub const fn magic(&self) -> Magic {
        self.magic
    }

    /// The records that the batch must hold.
    #[must_use]
    pub fn stored(&self) -> &[StoredRecord] {
        &self.stored
    }

    /// What [`KafkaBatch::append`] must answer; a record that it takes is then in the model too.
    pub fn append(&mut self, record: &OwnedRecord) -> AppendOutcome {
        self.take(self.next_offset(), record)
    }

    /// What [`KafkaBatch::append_at`] must answer; a record that it takes is then in the model too.
    pub fn append_at(&mut self, offset: u32, record: &OwnedRecord) -> AppendOutcome {
        let next = self.next_offset();
        if offset < next || offset >= MOST {
            return AppendOutcome::OffsetTaken { found: offset, next };
        }
        self.take(offset, record)
    }

    fn take(&mut self, offset: u32, record: &OwnedRecord) -> AppendOutcome {
        let answer = self.predict_at(offset, record);
        if let AppendOutcome::Taken { size, .. } = answer {
            let record = record.clone().stored(self.magic, self.now);
            self.stored.push(StoredRecord { offset, size, record });
        }
        answer
    }

    /// What [`KafkaBatch::append`] would answer now.
    #[must_use]
    pub fn predict(&self, record: &OwnedRecord) -> AppendOutcome {
        self.predict_at(self.next_offset(), record)
    }

    /// What [`KafkaBatch::cost`] must be.
    ///
    /// # Errors
    /// What the batch must answer where no size is to blame.
    pub fn cost(&self, record: &OwnedRecord) -> Result<usize, AppendOutcome> {
        self.measure(self.next_offset(), record)
    }

    /// What [`KafkaBatch::size`] must be.
    #[must_use]
    pub fn size(&self) -> usize {
        self.header() + self.raw()
    }

    /// What [`KafkaBatch::counted_size`] must be.
    #[must_use]
    pub fn counted_size(&self) -> usize {
        match self.options.size_policy {
            // `MemoryRecordsBuilder.estimatedBytesWritten` of the Java client, in its types.
            SizePolicy::Estimated(ratio) if self.is_compressed() => {
                let estimate = self.raw() as f32 * ratio.get() * 1.05_f32;
                self.header().saturating_add(estimate as usize)
            }
            _ => self.size(),
        }
    }

    /// What [`KafkaBatch::room`] must be.
    #[must_use]
    pub fn room(&self) -> usize {
        let soft = self.most_counted().saturating_sub(self.counted_size());
        let hard = self.options.max_message_bytes.saturating_sub(self.size());
        if self.is_compressed() { soft } else { soft.min(hard) }
    }

    /// What [`KafkaBatch::routed_partition`] must be.
    #[must_use]
    pub fn routed_partition(&self) -> Option<i32> {
        let partitions = self.options.partitions?;
        let key = self.stored.iter().find_map(|stored| stored.record.key.as_deref())?;
        Some(partition_for_key(key, partitions))
    }

    /// Marks this place.
    pub fn mark(&mut self) -> ModelMark {
        self.marks.push(Marked { count: self.stored.len(), alive: true });
        ModelMark(self.marks.len() - 1)
    }

    /// Whether [`KafkaBatch::rollback`] must go back to the mark; if so, the model has.
    pub fn rollback(&mut self, mark: ModelMark) -> bool {
        let Some(Marked { count, alive: true }) = self.marks.get(mark.0).cloned() else { return false };
        if self.closed {
            return false;
        }
        self.stored.truncate(count);
        for marked in &mut self.marks {
            marked.alive &= marked.count <= count;
        }
        true
    }

    /// Closes it.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// Whether it is closed.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Sets the timestamp of records without one.
    pub fn set_now(&mut self, now: impl Into<Timestamp>) {
        self.now = now.into();
    }

    /// The model of what [`KafkaBatch::without`] must give: a new batch, with marks of its own.
    #[must_use]
    pub fn without(&self, positions: &[usize]) -> Self {
        let mut rest = Self { stored: Vec::new(), marks: Vec::new(), kept_base: self.base(), ..self.clone() };
        for (position, stored) in self.stored.iter().enumerate() {
            if !positions.contains(&position) {
                let offset = rest.stored.len() as u32;
                let timestamp = stored.record.timestamp.unwrap_or(self.now);
                let size = rest.size_at(offset, timestamp, &stored.record) as usize;
                rest.stored.push(StoredRecord { offset, size, record: stored.record.clone() });
            }
        }
        if rest.stored.is_empty() {
            rest.kept_base = rest.options.delete_horizon;
        }
        rest
    }

    /// Seals it and opens it again, which makes it a batch without marks, and open.
    pub fn reopen(&mut self) {
        self.closed = false;
        for marked in &mut self.marks {
            marked.alive = false;
        }
    }

    /// Where `batch` is not what the model says: `None` if it is.
    #[must_use]
    pub fn difference(&self, batch: &KafkaBatch) -> Option<&'static str> {
        let stored = || self.stored.iter().map(|stored| (i64::from(stored.offset), stored.record.clone()));
        let timestamps = || self.stored.iter().filter_map(|stored| stored.record.timestamp);
        let range = timestamps().min().zip(timestamps().max()).map(|(earliest, latest)| earliest..=latest);
        let held = || batch.records().map(|view| (view.offset, OwnedRecord::from(view)));
        [
            ("magic", batch.magic() == self.magic),
            ("now", batch.now() == self.now),
            ("record_count", batch.record_count() == self.stored.len()),
            ("is_empty", batch.is_empty() == self.stored.is_empty()),
            ("records", held().eq(stored())),
            ("timestamps", batch.timestamps() == range),
            ("size", batch.size() == self.size()),
            ("counted_size", batch.counted_size() == self.counted_size()),
            ("room", batch.room() == self.room()),
            ("routed_partition", batch.routed_partition() == self.routed_partition()),
            ("is_closed", batch.is_closed() == self.closed),
        ]
        .into_iter()
        .find_map(|(what, same)| (!same).then_some(what))
    }

    fn predict_at(&self, offset: u32, record: &OwnedRecord) -> AppendOutcome {
        let needed = match self.measure(offset, record) {
            Ok(size) => size,
            Err(answer) => return answer,
        };
        let full = |reason| AppendOutcome::Full { needed, available: self.room(), reason };
        let BatchOptions { batch_size, max_message_bytes, max_records, .. } = self.options;
        if self.closed {
            return full(FullReason::Closed);
        }
        // Without a codec the size on the wire is known, and the hard limit is held at once.
        if !self.is_compressed() && self.size() + needed > max_message_bytes {
            let size = self.header() + self.alone(record);
            return if size > max_message_bytes {
                AppendOutcome::TooLarge { size, limit: max_message_bytes }
            } else {
                full(FullReason::MaxMessageBytes { limit: max_message_bytes })
            };
        }
        // The first record goes in whatever its size. Which one that is, aiokafka tells by its offset.
        let first = match self.options.boundary {
            Boundary::Inclusive => self.stored.is_empty(),
            Boundary::Aiokafka => offset == 0,
        };
        if !first {
            if self.counted_size().saturating_add(needed) > self.most_counted() {
                return full(FullReason::BatchSize { limit: batch_size });
            }
            if self.stored.len() >= max_records as usize {
                return full(FullReason::MaxRecords { limit: max_records });
            }
            if self.size() + needed > LONGEST as usize || offset >= MOST {
                return full(FullReason::Format { limit: LONGEST as usize });
            }
        }
        AppendOutcome::Taken {
            position: offset,
            size: needed,
            timestamp: self.timestamp_of(record),
            has_crc: self.magic != Magic::V2,
        }
    }

    fn measure(&self, offset: u32, record: &OwnedRecord) -> Result<usize, AppendOutcome> {
        if let (Some(partitions), Some(key), Some(batch)) =
            (self.options.partitions, &record.key, self.routed_partition())
        {
            let key = partition_for_key(key, partitions);
            if key != batch {
                return Err(AppendOutcome::RoutesElsewhere { key, batch });
            }
        }
        if !self.magic.has_headers() && !record.headers.is_empty() {
            return Err(AppendOutcome::Headers { magic: self.magic, headers: record.headers.len() });
        }
        let size = self.size_at(offset, self.timestamp_of(record), record);
        if size > LONGEST - BATCH_HEADER { Err(AppendOutcome::TooLong { size }) } else { Ok(size as usize) }
    }

    /// Bytes of the record if it were the first of a batch with these settings.
    fn alone(&self, record: &OwnedRecord) -> usize {
        Self::new(self.options.clone(), self.now).size_at(0, self.timestamp_of(record), record) as usize
    }

    fn size_at(&self, offset: u32, timestamp: Timestamp, record: &OwnedRecord) -> u64 {
        let base = self.base().unwrap_or(timestamp);
        // 64 bits, wrapping: as Java counts, and as readers count back.
        size::record(self.magic, record, timestamp.millis().wrapping_sub(base.millis()), offset)
    }

    /// What the timestamps of records are counted from: `None` leaves it to the next record.
    fn base(&self) -> Option<Timestamp> {
        self.kept_base.or_else(|| self.stored.first()?.record.timestamp)
    }

    fn timestamp_of(&self, record: &OwnedRecord) -> Timestamp {
        let timestamp = record.timestamp.unwrap_or(self.now);
        if self.magic.has_timestamps() { timestamp } else { Timestamp::NO_TIMESTAMP }
    }

    fn next_offset(&self) -> u32 {
        self.stored.last().map_or(0, |last| last.offset + 1)
    }

    fn raw(&self) -> usize {
        self.stored.iter().map(|stored| stored.size).sum()
    }

    fn header(&self) -> usize {
        let bytes = match self.magic {
            Magic::V2 => BATCH_HEADER,
            Magic::V0 | Magic::V1 if self.is_compressed() && self.options.boundary == Boundary::Inclusive => {
                size::message_overhead(self.magic)
            }
            Magic::V0 | Magic::V1 => 0,
        };
        bytes as usize
    }

    fn most_counted(&self) -> usize {
        let limit = self.options.batch_size;
        if self.options.boundary == Boundary::Aiokafka { limit.saturating_sub(1) } else { limit }
    }

    fn is_compressed(&self) -> bool {
        self.options.compression != Compression::None
    }
}

/// Offsets within a batch, and lengths, are 32-bit numbers with a sign.
const MOST: u32 = i32::MAX as u32;
const LONGEST: u64 = i32::MAX as u64;
