//! The reference model of a batch: a list of records, and the sum of their sizes.

use alloc::vec::Vec;

use super::size::{self, BATCH_HEADER};
use super::{AppendOutcome, OwnedRecord};
use crate::batch::convert::Loss;
use crate::batch::{BatchOptions, Boundary, FullReason, KafkaBatch, RollbackError, SizePolicy};
use crate::compression::Compression;
use crate::magic::Magic;
use crate::partitioner::partition_for_key;
use crate::time::Timestamp;

/// Predicts the content of a batch with the same settings, and the outcome of each operation on it.
///
/// It keeps the records as they are, and adds up their sizes as the protocol guide specifies them; it has neither a buffer
/// nor an encoder. Apply the same operations to the model and the batch, and compare.
///
/// # Examples
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
/// # Ok::<(), kafka_batch_core::batch::OptionsError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Model {
    options: BatchOptions,
    magic: Magic,
    now: Timestamp,
    stored: Vec<StoredRecord>,
    /// The base timestamp of a batch from which the first record was removed.
    kept_base: Option<Timestamp>,
    closed: bool,
    marks: Vec<MarkState>,
}

/// A record in a [`Model`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredRecord {
    /// The record's offset, relative to the first record of the batch.
    pub offset: u32,
    /// The record's encoded size in bytes.
    pub size: usize,
    /// The record, with its timestamp in the batch.
    pub record: OwnedRecord,
}

/// A mark of a [`Model`]. Created by [`Model::mark`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelMark(usize);

#[derive(Clone, Copy, Debug)]
struct MarkState {
    count: usize,
    /// Why the batch must refuse to roll back to it, if it must.
    invalid: Option<RollbackError>,
}

impl Model {
    /// Creates the model of the batch that `options.build(now)` returns.
    #[must_use]
    pub fn new(options: BatchOptions, now: impl Into<Timestamp>) -> Self {
        let magic = options.magic.initial();
        let (now, kept_base) = (now.into(), options.delete_horizon);
        Self { options, magic, now, stored: Vec::new(), kept_base, closed: false, marks: Vec::new() }
    }

    /// Returns the format.
    #[must_use]
    pub const fn magic(&self) -> Magic {
        self.magic
    }

    /// Returns the records that the batch must have.
    #[must_use]
    pub fn stored(&self) -> &[StoredRecord] {
        &self.stored
    }

    /// Predicts the outcome of [`KafkaBatch::append`], and adds the record to the model if the batch must take it.
    pub fn append(&mut self, record: &OwnedRecord) -> AppendOutcome {
        self.take(self.next_offset(), record)
    }

    /// Predicts the outcome of [`KafkaBatch::append_at`], and adds the record to the model if the batch must take it.
    pub fn append_at(&mut self, offset: u32, record: &OwnedRecord) -> AppendOutcome {
        let next = self.next_offset();
        if offset < next || offset >= MAX_OFFSET {
            return AppendOutcome::InvalidOffset { found: offset, next };
        }
        self.take(offset, record)
    }

    fn take(&mut self, offset: u32, record: &OwnedRecord) -> AppendOutcome {
        let answer = self.predict_at(offset, record);
        if let AppendOutcome::Appended { size, .. } = answer {
            let record = record.clone().stored(self.magic, self.now);
            self.stored.push(StoredRecord { offset, size, record });
        }
        answer
    }

    /// Predicts the outcome of [`KafkaBatch::append`], without adding the record.
    #[must_use]
    pub fn predict(&self, record: &OwnedRecord) -> AppendOutcome {
        self.predict_at(self.next_offset(), record)
    }

    /// Predicts [`KafkaBatch::cost`].
    ///
    /// # Errors
    /// The batch must return an error, which is predicted.
    pub fn cost(&self, record: &OwnedRecord) -> Result<usize, AppendOutcome> {
        self.measure(self.next_offset(), record)
    }

    /// Predicts [`KafkaBatch::size`].
    #[must_use]
    pub fn size(&self) -> usize {
        self.header() + self.raw()
    }

    /// Predicts [`KafkaBatch::counted_size`].
    #[must_use]
    pub fn counted_size(&self) -> usize {
        match self.options.size_policy {
            // As `MemoryRecordsBuilder.estimatedBytesWritten` of the Java client, which computes in `float`.
            SizePolicy::Estimated(ratio) if self.is_compressed() => {
                let estimate = self.raw() as f32 * ratio.get() * 1.05_f32;
                self.header().saturating_add(estimate as usize)
            }
            _ => self.size(),
        }
    }

    /// Predicts [`KafkaBatch::room`].
    #[must_use]
    pub fn room(&self) -> usize {
        let soft = self.soft_limit().saturating_sub(self.counted_size());
        let hard = self.options.max_message_bytes.saturating_sub(self.size());
        if self.is_compressed() { soft } else { soft.min(hard) }
    }

    /// Predicts [`KafkaBatch::routed_partition`].
    #[must_use]
    pub fn routed_partition(&self) -> Option<i32> {
        let partitions = self.options.partitions?;
        let key = self.stored.iter().find_map(|stored| stored.record.key.as_deref())?;
        Some(partition_for_key(key, partitions))
    }

    /// Returns a mark at the current end, for [`rollback`](Self::rollback).
    pub fn mark(&mut self) -> ModelMark {
        self.marks.push(MarkState { count: self.stored.len(), invalid: None });
        ModelMark(self.marks.len() - 1)
    }

    /// Rolls the model back to the mark.
    ///
    /// # Errors
    /// [`KafkaBatch::rollback`] must fail with this error. The model is unchanged.
    pub fn rollback(&mut self, mark: ModelMark) -> Result<(), RollbackError> {
        let MarkState { count, invalid } = *self.marks.get(mark.0).ok_or(RollbackError::OtherBatch)?;
        let closed = self.closed.then_some(RollbackError::Closed);
        if let Some(error) = invalid.or(closed) {
            return Err(error);
        }
        self.stored.truncate(count);
        for mark in self.marks.iter_mut().filter(|mark| mark.count > count) {
            mark.invalid = mark.invalid.or(Some(RollbackError::MarkRemoved));
        }
        Ok(())
    }

    /// Closes the model, as [`KafkaBatch::close`].
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// Returns `true` if the model is closed.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Sets the timestamp of records without one.
    pub fn set_now(&mut self, now: impl Into<Timestamp>) {
        self.now = now.into();
    }

    /// Returns the model of the batch that [`KafkaBatch::next_batch`] must return. The marks made so far are not its own.
    #[must_use]
    pub fn next_batch(&self) -> Self {
        Self { marks: self.foreign_marks(), ..Self::new(self.options.clone(), self.now) }
    }

    /// Returns the model of the batch that [`KafkaBatch::without`] must return. The marks made so far are not its own.
    #[must_use]
    pub fn without(&self, positions: &[usize]) -> Self {
        let marks = self.foreign_marks();
        let mut rest = Self { stored: Vec::new(), marks, kept_base: self.base(), ..self.clone() };
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

    /// Predicts [`KafkaBatch::losses_at`].
    #[must_use]
    pub fn losses_at(&self, magic: Magic) -> Vec<Loss> {
        let mut losses = Vec::new();
        let codec = self.options.compression.codec();
        if !codec.fits_magic(magic) {
            losses.push(Loss::Compression { codec });
        }
        if magic != Magic::V2 {
            losses.extend(self.options.delete_horizon.map(|horizon| Loss::DeleteHorizon { horizon }));
        }
        for (position, stored) in self.stored.iter().enumerate() {
            let count = stored.record.headers.len();
            if count > 0 && !magic.has_headers() {
                losses.push(Loss::Headers { position, count });
            }
            let timestamp = self.timestamp_of(&stored.record);
            if timestamp != Timestamp::NO_TIMESTAMP && !magic.has_timestamps() {
                losses.push(Loss::Timestamp { position, timestamp });
            }
        }
        losses
    }

    /// Returns the model of the batch that [`KafkaBatch::convert`] must return, if the losses are allowed. Unless the batch
    /// has this format already, the marks made so far are not its own.
    #[must_use]
    pub fn convert(&self, magic: Magic) -> Self {
        if magic == self.magic {
            return self.clone();
        }
        let mut options = self.options.clone();
        if !options.compression.codec().fits_magic(magic) {
            options.compression = Compression::None;
        }
        options.delete_horizon = options.delete_horizon.filter(|_| magic == Magic::V2);
        let (marks, kept_base) = (self.foreign_marks(), options.delete_horizon);
        let mut converted = Self { options, magic, stored: Vec::new(), marks, kept_base, ..self.clone() };
        for StoredRecord { offset, record, .. } in &self.stored {
            let record = record.clone().for_magic(magic).stored(magic, self.now);
            let size = converted.size_at(*offset, converted.timestamp_of(&record), &record) as usize;
            converted.stored.push(StoredRecord { offset: *offset, size, record });
        }
        converted
    }

    /// Models sealing and reopening the batch: it is open afterwards, and the marks made so far are not its own.
    pub fn reopen(&mut self) {
        self.closed = false;
        self.marks = self.foreign_marks();
    }

    fn foreign_marks(&self) -> Vec<MarkState> {
        self.marks.iter().map(|mark| MarkState { invalid: Some(RollbackError::OtherBatch), ..*mark }).collect()
    }

    /// Compares a batch with the model. Returns the name of the first property that differs; `None` if none does.
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
        // Without a codec the size of the sealed batch is known, so the hard limit is checked at each append.
        if !self.is_compressed() && self.size() + needed > max_message_bytes {
            let size = self.header() + self.size_as_first(record);
            return if size > max_message_bytes {
                AppendOutcome::TooLarge { size, limit: max_message_bytes }
            } else {
                full(FullReason::MaxMessageBytes { limit: max_message_bytes })
            };
        }
        // The soft limit does not apply to the first record. For aiokafka the first record is the one at offset 0.
        let first = match self.options.boundary {
            Boundary::Inclusive => self.stored.is_empty(),
            Boundary::Aiokafka => offset == 0,
        };
        if !first {
            if self.counted_size().saturating_add(needed) > self.soft_limit() {
                return full(FullReason::BatchSize { limit: batch_size });
            }
            if self.stored.len() >= max_records as usize {
                return full(FullReason::MaxRecords { limit: max_records });
            }
            if self.size() + needed > MAX_LEN as usize || offset >= MAX_OFFSET {
                return full(FullReason::Format { limit: MAX_LEN as usize });
            }
        }
        AppendOutcome::Appended {
            offset,
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
        if size > MAX_LEN - BATCH_HEADER { Err(AppendOutcome::TooLong { size }) } else { Ok(size as usize) }
    }

    /// Returns the size of the record as the first of a batch with these settings, in bytes.
    fn size_as_first(&self, record: &OwnedRecord) -> usize {
        let empty = Self { magic: self.magic, ..Self::new(self.options.clone(), self.now) };
        empty.size_at(0, self.timestamp_of(record), record) as usize
    }

    fn size_at(&self, offset: u32, timestamp: Timestamp, record: &OwnedRecord) -> u64 {
        let base = self.base().unwrap_or(timestamp);
        // The delta wraps, as in the Java client, and readers add it to the base the same way.
        size::record(self.magic, record, timestamp.millis().wrapping_sub(base.millis()), offset)
    }

    /// Returns the base timestamp; `None` before the first record, whose timestamp it becomes.
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

    fn soft_limit(&self) -> usize {
        let limit = self.options.batch_size;
        if self.options.boundary == Boundary::Aiokafka { limit.saturating_sub(1) } else { limit }
    }

    fn is_compressed(&self) -> bool {
        self.options.compression != Compression::None
    }
}

/// Offsets within a batch and lengths are signed 32-bit numbers.
const MAX_OFFSET: u32 = i32::MAX as u32;
const MAX_LEN: u64 = i32::MAX as u64;
