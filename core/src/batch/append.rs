//! Filling a batch: appending one record or several, and the size that a record would add.

use core::iter::Peekable;
use core::ops::Range;

use super::encode::{legacy, v2};
use super::options::{MAX_BATCH_LEN, MAX_RECORDS};
use super::{
    Append, AppendError, Appended, AppendedRecord, BatchOverflow, Boundary, ExtendError, FillOutcome, Full, FullReason,
    KafkaBatch, RecordStats, SizePolicy,
};
use crate::magic::Magic;
use crate::partitioner::partition_for_key;
use crate::record::{AsRecord, Record};
use crate::time::Timestamp;

/// The size and place of a record that is not written yet.
#[derive(Clone, Copy)]
pub(super) struct Measurement {
    offset: u32,
    timestamp: Timestamp,
    encoding: Encoding,
    /// Bytes that the record adds to the batch.
    size: u64,
}

/// What measuring a record finds out about its bytes, so that writing it need not compute this again.
#[derive(Clone, Copy)]
enum Encoding {
    /// Magic 2: the bytes in front of the key, and the number of bytes after the length field.
    V2 { prefix: v2::RecordPrefix, body_len: u64 },
    /// Magic 0 and 1: a message of its own.
    Message,
}

/// Appends one item of a call that takes many.
///
/// A trait and not a closure, because a closure cannot be `inline(always)`: where it was not inlined, records were built in
/// memory, and a short one took twice as long.
pub(super) trait AppendTo<T> {
    fn append_to(&mut self, batch: &mut KafkaBatch, item: &T) -> Result<Append, AppendError>;
}

/// The items are records.
struct Records;

impl<T: AsRecord> AppendTo<T> for Records {
    #[inline(always)]
    fn append_to(&mut self, batch: &mut KafkaBatch, record: &T) -> Result<Append, AppendError> {
        batch.append(record)
    }
}

impl KafkaBatch {
    /// Appends a record, if it fits.
    ///
    /// The memory of the batch grows with its records, in few steps; with
    /// [`BatchOptions::capacity`](super::BatchOptions::capacity) it is allocated by the first append.
    ///
    /// # Errors
    /// The record cannot be in this batch, whether or not it is full: see [`AppendError`]. The batch is unchanged.
    #[inline(always)] // so that the fields of the record stay in registers and the record is never built in memory
    pub fn append(&mut self, record: impl AsRecord) -> Result<Append, AppendError> {
        self.append_record(&record.as_record(), self.stats.next_offset_delta)
    }

    /// Appends a record at an offset relative to the first record of the batch, if it fits. For tools that write logs in
    /// which compaction has left gaps; batches of a producer have no gaps, and [`append`](Self::append) counts their
    /// offsets.
    ///
    /// # Errors
    /// As [`append`](Self::append); and if `offset` is not greater than the last offset, or is greater than 2³¹ − 2.
    pub fn append_at(&mut self, offset: u32, record: impl AsRecord) -> Result<Append, AppendError> {
        let next = self.stats.next_offset_delta;
        if offset < next || offset >= MAX_RECORDS {
            return Err(AppendError::InvalidOffset { found: offset, next });
        }
        self.append_record(&record.as_record(), offset)
    }

    /// Appends records in order, up to the first one that is refused. The records before that one stay in the batch.
    ///
    /// # Errors
    /// The batch is full, or a record cannot be in it: no batch with these settings can hold it, or its key routes to another
    /// partition. The error has the record's position.
    pub fn extend(&mut self, records: impl IntoIterator<Item: AsRecord>) -> Result<Appended, ExtendError> {
        self.append_all(records, &mut Records)
    }

    /// Appends all the records or none: if one is refused, the batch is byte for byte what it was before, and still open.
    ///
    /// # Errors
    /// As [`extend`](Self::extend).
    pub fn try_extend(&mut self, records: impl IntoIterator<Item: AsRecord>) -> Result<Appended, ExtendError> {
        self.all_or_nothing(|batch| batch.extend(records))
    }

    /// Appends records from the front of an iterator until one does not fit. That record stays in the iterator, for the
    /// next batch. A full batch is not an error here.
    ///
    /// # Errors
    /// No batch with these settings can hold a record, or its key routes to another partition. It stays at the front of the
    /// iterator: remove it to continue.
    ///
    /// # Examples
    ///
    /// ```
    /// use kafka_batch_core::{BatchOptions, Record, Timestamp};
    ///
    /// let values = ["one", "two", "three", "four"];
    /// let mut records = values.iter().map(Record::new).peekable();
    /// let mut batch = BatchOptions::default().max_records(3).build(Timestamp::from_millis(0))?;
    /// while batch.fill_from(&mut records)?.full.is_some() {
    ///     let next = batch.next_batch();
    ///     let sealed = std::mem::replace(&mut batch, next).seal()?; // send it
    ///     assert_eq!(sealed.record_count(), 3);
    /// }
    /// assert_eq!(batch.record_count(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fill_from<I>(&mut self, records: &mut Peekable<I>) -> Result<FillOutcome, ExtendError>
    where
        I: Iterator<Item: AsRecord>,
    {
        self.append_from(records, &mut Records)
    }

    /// Returns the records at these positions, as [`append`](Self::append) returned them. Positions beyond the end are ignored.
    ///
    /// They are computed from the encoded records, of which those in front are skipped one by one.
    pub fn appended_records(&self, positions: Range<usize>) -> impl Iterator<Item = AppendedRecord> + '_ {
        let mut end = 0;
        let all = self.records().map(move |view| {
            let Measurement { offset, timestamp, size, encoding } = self.measure(&view.to_record(), view.offset as u32);
            let (start, size) = (end, size as usize);
            end += size;
            let crc = match encoding {
                Encoding::V2 { .. } => None,
                Encoding::Message => Some(legacy::stored_checksum(&self.payload()[start..end])),
            };
            AppendedRecord { offset, size, timestamp, crc }
        });
        all.take(positions.end).skip(positions.start)
    }

    /// Returns the number of bytes that this record would add now, whether or not it fits. The growth of offset and
    /// timestamp deltas is included.
    ///
    /// # Errors
    /// The record cannot be in this batch, for a reason other than the configured limits: see [`AppendError`].
    pub fn cost(&self, record: impl AsRecord) -> Result<usize, AppendError> {
        let record = record.as_record();
        self.check_encodable(&record, self.measure(&record, self.stats.next_offset_delta).size)
    }

    /// Returns `true` if [`append`](Self::append) would take this record now.
    #[must_use]
    pub fn fits(&self, record: impl AsRecord) -> bool {
        let record = record.as_record();
        let measured = self.measure(&record, self.stats.next_offset_delta);
        self.is_below_limits(&record, &measured) || matches!(self.check_limits(record, measured), Ok(None))
    }

    #[inline(always)]
    fn append_record(&mut self, record: &Record<'_>, offset: u32) -> Result<Append, AppendError> {
        let measured = self.measure(record, offset);
        if !self.is_below_limits(record, &measured) {
            if let Some(full) = self.check_limits(*record, measured)? {
                return Ok(Append::Full(full));
            }
            self.prepare_write(record.key, measured);
        }
        Ok(Append::Appended(self.write(record, measured)))
    }

    /// Appends a record that another batch held before, ignoring the configured limits. Only the limits of the format apply.
    pub(super) fn append_unlimited(&mut self, record: &Record<'_>, offset: u32) -> Result<(), AppendError> {
        let measured = self.measure(record, offset);
        self.check_encodable(record, measured.size)?;
        let size = self.size() as u64 + measured.size;
        if size > MAX_BATCH_LEN as u64 {
            return Err(AppendError::BatchTooLong { size });
        }
        self.prepare_write(record.key, measured);
        self.write(record, measured);
        Ok(())
    }

    #[inline(always)]
    pub(super) fn append_all<T>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        append: &mut impl AppendTo<T>,
    ) -> Result<Appended, ExtendError> {
        self.append_from(&mut items.into_iter().peekable(), append)?.all_appended()
    }

    #[inline(always)]
    pub(super) fn append_from<I: Iterator>(
        &mut self,
        items: &mut Peekable<I>,
        append: &mut impl AppendTo<I::Item>,
    ) -> Result<FillOutcome, ExtendError> {
        let before = self.stats;
        let refusal = self.append_until_refused(items, append);
        self.filled(&before, refusal)
    }

    /// Appends items from the front of an iterator. Returns why the next one was refused.
    #[inline(always)]
    pub(super) fn append_until_refused<I: Iterator>(
        &mut self,
        items: &mut Peekable<I>,
        append: &mut impl AppendTo<I::Item>,
    ) -> Result<Option<Full>, AppendError> {
        while let Some(item) = items.peek() {
            if let Append::Full(full) = append.append_to(self, item)? {
                return Ok(Some(full));
            }
            items.next();
        }
        Ok(None)
    }

    #[inline(always)]
    pub(super) fn all_or_nothing<T>(
        &mut self,
        fill: impl FnOnce(&mut Self) -> Result<T, ExtendError>,
    ) -> Result<T, ExtendError> {
        // The caller cannot have made a mark beyond this point, so truncating to it invalidates none and `Marks` need not
        // record it.
        let before = self.stats;
        fill(self).map_err(|mut error| {
            self.truncate(before);
            match &mut error {
                ExtendError::Overflow(BatchOverflow { appended, .. }) | ExtendError::Failed { appended, .. } => {
                    *appended = self.appended_since(&before);
                }
            }
            error
        })
    }

    pub(super) const fn appended_since(&self, before: &RecordStats) -> Appended {
        Appended::between(before, &self.stats)
    }

    /// Returns the outcome of a call that began after `before` and ended with this refusal, or without one.
    pub(super) fn filled(
        &self,
        before: &RecordStats,
        refusal: Result<Option<Full>, AppendError>,
    ) -> Result<FillOutcome, ExtendError> {
        let appended = self.appended_since(before);
        match refusal {
            Ok(full) => Ok(FillOutcome { appended, full }),
            Err(error) => Err(ExtendError::Failed { position: appended.len(), error, appended }),
        }
    }

    /// Measures the record at this offset, without checking any limit.
    #[inline(always)]
    pub(super) fn measure(&self, record: &Record<'_>, offset: u32) -> Measurement {
        let timestamp = record.timestamp.unwrap_or(self.now);
        match self.magic {
            Magic::V2 => {
                let prefix = self.record_prefix(timestamp, offset);
                let body_len = v2::body_len(record, prefix);
                let size = v2::with_length_field(body_len);
                Measurement { offset, timestamp, encoding: Encoding::V2 { prefix, body_len }, size }
            }
            magic @ (Magic::V0 | Magic::V1) => {
                let timestamp = if magic.has_timestamps() { timestamp } else { Timestamp::NO_TIMESTAMP };
                let size = legacy::message_len(record, magic);
                Measurement { offset, timestamp, encoding: Encoding::Message, size }
            }
        }
    }

    /// Fast path: returns `true` if no limit and no rule can refuse this record. Most appends need no other check.
    #[inline(always)]
    pub(super) fn is_below_limits(&self, record: &Record<'_>, measured: &Measurement) -> bool {
        let below = self.stats.len as u64 + measured.size <= self.fast_path_end;
        below
            && measured.offset < self.options.max_records
            && !self.closed
            && (self.magic.has_headers() || record.headers.is_empty())
    }

    /// Slow path: checks every limit, and returns which one refuses the record.
    #[cold]
    #[inline(never)]
    fn check_limits(&self, record: Record<'_>, measured: Measurement) -> Result<Option<Full>, AppendError> {
        let size = self.check_encodable(&record, measured.size)?;
        let reason = if self.closed { Some(FullReason::Closed) } else { self.limit_reached(&record, measured, size)? };
        Ok(reason.map(|reason| Full { needed: size, available: self.room(), reason }))
    }

    /// Returns the record's size, if the record can be in this batch apart from the configured limits.
    fn check_encodable(&self, record: &Record<'_>, size: u64) -> Result<usize, AppendError> {
        self.route_key(record.key)?;
        if !self.magic.has_headers() && !record.headers.is_empty() {
            return Err(AppendError::Headers { magic: self.magic, headers: record.headers.len() });
        }
        match usize::try_from(size) {
            Ok(bytes) if bytes <= MAX_BATCH_LEN - v2::HEADER_LEN => Ok(bytes),
            _ => Err(AppendError::TooLong { size }),
        }
    }

    fn limit_reached(
        &self,
        record: &Record<'_>,
        measured: Measurement,
        size: usize,
    ) -> Result<Option<FullReason>, AppendError> {
        let options = &self.options;
        if !self.is_compressed() && self.size() + size > options.max_message_bytes {
            let limit = options.max_message_bytes;
            let alone = self.header_len() + self.size_as_first(record, measured);
            if alone > limit {
                return Err(AppendError::TooLarge { size: alone, limit });
            }
            // An empty batch can be full too: `append_at` may ask for an offset whose delta makes the record too large.
            return Ok(Some(FullReason::MaxMessageBytes { limit }));
        }
        let first = match options.boundary {
            Boundary::Inclusive => self.is_empty(),
            Boundary::Aiokafka => measured.offset == 0,
        };
        if first {
            return Ok(None); // the soft limit does not apply to the first record
        }
        let counted = match options.size_policy {
            SizePolicy::Uncompressed => self.size(),
            SizePolicy::Estimated(_) => self.counted_size(),
        };
        Ok(if counted.saturating_add(size) > self.soft_limit() {
            Some(FullReason::BatchSize { limit: options.batch_size })
        } else if self.stats.count >= options.max_records {
            Some(FullReason::MaxRecords { limit: options.max_records })
        } else if self.size() + size > MAX_BATCH_LEN || measured.offset >= MAX_RECORDS {
            Some(FullReason::Format { limit: MAX_BATCH_LEN })
        } else {
            None
        })
    }

    /// Returns the record's size as the first record of a batch with these settings.
    fn size_as_first(&self, record: &Record<'_>, measured: Measurement) -> usize {
        match self.magic {
            Magic::V0 | Magic::V1 => measured.size as usize,
            Magic::V2 => {
                // The first record's timestamp is the base timestamp, so its delta is 0, unless the delete horizon is.
                let base = self.options.delete_horizon.unwrap_or(measured.timestamp);
                let timestamp_delta = measured.timestamp.millis().wrapping_sub(base.millis());
                let first = v2::RecordPrefix::new(timestamp_delta, 0);
                v2::with_length_field(v2::body_len(record, first)) as usize
            }
        }
    }

    /// Returns the partition of the batch once it has a record with this key.
    fn route_key(&self, key: Option<&[u8]>) -> Result<Option<i32>, AppendError> {
        let (Some(partitions), Some(key)) = (self.options.partitions, key) else {
            return Ok(self.stats.partition);
        };
        let key = partition_for_key(key, partitions);
        match self.stats.partition {
            Some(batch) if batch != key => Err(AppendError::RoutesElsewhere { key, batch }),
            _ => Ok(Some(key)),
        }
    }

    #[inline(always)]
    fn record_prefix(&self, timestamp: Timestamp, offset: u32) -> v2::RecordPrefix {
        // The delta wraps, as in the Java client. Readers add it to the base the same way, so any two timestamps round-trip.
        let base = self.stats.base_timestamp.unwrap_or(timestamp);
        v2::RecordPrefix::new(timestamp.millis().wrapping_sub(base.millis()), offset)
    }

    fn message_prefix(&self, timestamp: Timestamp, offset: u32) -> legacy::MessagePrefix {
        legacy::MessagePrefix { magic: self.magic, offset: i64::from(offset), codec_id: 0, timestamp }
    }

    /// Slow path: reserves memory for the record, and refreshes the base timestamp, the partition and the cached limit.
    #[cold]
    #[inline(never)]
    fn prepare_write(&mut self, key: Option<&[u8]>, measured: Measurement) {
        self.grow_for(measured.size as usize);
        self.stats.base_timestamp.get_or_insert(measured.timestamp);
        self.stats.partition = self.route_key(key).unwrap_or_default();
        self.fast_path_end = self.compute_fast_path_end();
    }

    /// Returns the number of bytes of records up to which [`is_below_limits`](Self::is_below_limits) suffices and the buffer
    /// has memory; 0 if the settings need every record to be checked.
    fn compute_fast_path_end(&self) -> u64 {
        if self.has_fast_path() { self.max_len().min(self.memory_len()) as u64 } else { 0 }
    }

    /// Returns `false` if the settings need every record to be checked.
    pub(super) fn has_fast_path(&self) -> bool {
        self.options.size_policy == SizePolicy::Uncompressed && self.options.partitions.is_none()
    }

    #[inline(always)]
    fn write(&mut self, record: &Record<'_>, measured: Measurement) -> AppendedRecord {
        let Measurement { offset, timestamp, encoding, size } = measured;
        let crc = match encoding {
            Encoding::V2 { prefix, body_len } => {
                v2::write(&mut self.buffer, record, prefix, body_len);
                None
            }
            Encoding::Message => {
                let prefix = self.message_prefix(timestamp, offset);
                Some(legacy::write(&mut self.buffer, record.key, record.value, prefix, size))
            }
        };
        let size = size as usize;
        let stats = &mut self.stats;
        stats.len += size;
        stats.count += 1;
        stats.next_offset_delta = offset + 1;
        stats.timestamps.include(timestamp);
        debug_assert_eq!(self.buffer.len(), self.buffer_reserve() + self.stats.len, "written as measured");
        AppendedRecord { offset, size, timestamp, crc }
    }
}

#[cfg(test)]
mod tests;
