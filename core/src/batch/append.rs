//! Filling a batch: one record, or many, and what it costs.

use alloc::vec::Vec;
use core::iter::Peekable;

use super::encode::{SLACK, legacy, v2};
use super::options::{MAX_BATCH_LEN, MAX_RECORDS};
use super::{
    Append, AppendError, BatchOverflow, Boundary, ExtendError, FillOutcome, Full, FullReason, KafkaBatch, RecordMetadata,
    SizePolicy,
};
use crate::magic::Magic;
use crate::partition::partition_for_key;
use crate::record::Record;
use crate::time::Timestamp;

/// A record, sized and placed, and not yet written.
#[derive(Clone, Copy)]
struct Fit {
    offset: u32,
    timestamp: Timestamp,
    encoding: Encoding,
    /// Bytes that it adds to the batch.
    size: u64,
}

/// What is known of its bytes.
#[derive(Clone, Copy)]
enum Encoding {
    /// Magic 2: how they begin, and how many come after the length field.
    V2 { prefix: v2::RecordPrefix, body_len: u64 },
    /// Magic 0 and 1: that it is a message of its own.
    Message,
}

impl KafkaBatch {
    /// Appends a record, if it fits.
    ///
    /// # Errors
    /// The record can go into no such batch, however empty: see [`AppendError`]. The batch is what it was.
    #[inline(always)] // so that records are not first put together in memory, and then taken apart again
    pub fn append<'r>(&mut self, record: impl Into<Record<'r>>) -> Result<Append, AppendError> {
        self.append_record(&record.into(), self.progress.next_offset_delta)
    }

    /// Appends a record at an offset of its own, relative to the batch's start: for tools that write logs in which
    /// compaction has left gaps. A producer's batch has none; there, [`append`](Self::append) counts by itself.
    ///
    /// # Errors
    /// As [`append`](Self::append); and if `offset` does not come after the last one.
    pub fn append_at<'r>(&mut self, offset: u32, record: impl Into<Record<'r>>) -> Result<Append, AppendError> {
        let next = self.progress.next_offset_delta;
        if offset < next || offset >= MAX_RECORDS {
            return Err(AppendError::OffsetTaken { found: offset, next });
        }
        self.append_record(&record.into(), offset)
    }

    /// Appends records in order, until one is refused: those before it stay.
    ///
    /// # Errors
    /// The batch is full, or a record can go into no such batch: with the position.
    pub fn extend<'r, I>(&mut self, records: I) -> Result<Vec<RecordMetadata>, ExtendError>
    where
        I: IntoIterator<Item: Into<Record<'r>>>,
    {
        self.append_all(records, |batch, record| batch.append(record))
    }

    /// Appends all the records or none of them: if one is refused, the batch is byte for byte what it was, and open.
    ///
    /// # Errors
    /// As [`extend`](Self::extend).
    pub fn try_extend<'r, I>(&mut self, records: I) -> Result<Vec<RecordMetadata>, ExtendError>
    where
        I: IntoIterator<Item: Into<Record<'r>>>,
    {
        self.all_or_nothing(|batch| batch.extend(records))
    }

    /// Takes records from the front of an iterator as long as they fit. The first one that does not stays there, for
    /// the next batch; being full is no error here.
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
    ///
    /// # Errors
    /// A record can go into no such batch. It stays at the front of the iterator: take it out to go on.
    pub fn fill_from<'r, I>(&mut self, records: &mut Peekable<I>) -> Result<FillOutcome, ExtendError>
    where
        I: Iterator<Item: Into<Record<'r>> + Copy>,
    {
        self.append_from(records, |batch, record| batch.append(*record))
    }

    /// The bytes that this record would add now, growth of offset and timestamp deltas included: exact, whether or not
    /// it fits.
    ///
    /// # Errors
    /// The record can go into no such batch, however empty, for another reason than the batch's limits.
    pub fn cost<'r>(&self, record: impl Into<Record<'r>>) -> Result<usize, AppendError> {
        let record = record.into();
        self.encodable(&record, self.measure(&record, self.progress.next_offset_delta).size)
    }

    /// Whether [`append`](Self::append) would take this record now.
    #[must_use]
    pub fn fits<'r>(&self, record: impl Into<Record<'r>>) -> bool {
        let record = record.into();
        let fit = self.measure(&record, self.progress.next_offset_delta);
        self.far_from_limits(&record, &fit) || matches!(self.refusal(record, fit), Ok(None))
    }

    #[inline(always)]
    fn append_record(&mut self, record: &Record<'_>, offset: u32) -> Result<Append, AppendError> {
        let fit = self.measure(record, offset);
        if !self.far_from_limits(record, &fit) {
            if let Some(full) = self.refusal(*record, fit)? {
                return Ok(Append::Full(full));
            }
            self.prepare(record.key, fit);
        }
        Ok(Append::Taken(self.write(record, fit)))
    }

    /// Appends a record that another batch has taken before, whatever the limits say; only the format's own hold.
    pub(super) fn carry_over(&mut self, record: &Record<'_>, offset: u32) -> Result<(), AppendError> {
        let fit = self.measure(record, offset);
        self.encodable(record, fit.size)?;
        let size = self.size() as u64 + fit.size;
        if size > MAX_BATCH_LEN as u64 {
            return Err(AppendError::TooLong { size });
        }
        self.prepare(record.key, fit);
        self.write(record, fit);
        Ok(())
    }

    pub(super) fn append_all<T>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        mut append: impl FnMut(&mut Self, T) -> Result<Append, AppendError>,
    ) -> Result<Vec<RecordMetadata>, ExtendError> {
        let mut taken = Vec::new();
        for (position, item) in items.into_iter().enumerate() {
            match append(self, item) {
                Ok(Append::Taken(metadata)) => taken.push(metadata),
                Ok(Append::Full(full)) => {
                    return Err(ExtendError::Overflow(BatchOverflow { position, full, taken }));
                }
                Err(error) => return Err(ExtendError::Failed { position, error, taken }),
            }
        }
        Ok(taken)
    }

    pub(super) fn append_from<I: Iterator>(
        &mut self,
        items: &mut Peekable<I>,
        mut append: impl FnMut(&mut Self, &I::Item) -> Result<Append, AppendError>,
    ) -> Result<FillOutcome, ExtendError> {
        let mut taken = Vec::new();
        while let Some(item) = items.peek() {
            match append(self, item) {
                Ok(Append::Taken(metadata)) => taken.push(metadata),
                Ok(Append::Full(full)) => return Ok(FillOutcome { taken, full: Some(full) }),
                Err(error) => return Err(ExtendError::Failed { position: taken.len(), error, taken }),
            }
            items.next();
        }
        Ok(FillOutcome { taken, full: None })
    }

    pub(super) fn all_or_nothing<T>(
        &mut self,
        fill: impl FnOnce(&mut Self) -> Result<T, ExtendError>,
    ) -> Result<T, ExtendError> {
        // No mark of the caller's can point behind this place, so going back to it disturbs none.
        let before = self.progress;
        fill(self).map_err(|mut error| {
            self.truncate(before);
            match &mut error {
                ExtendError::Overflow(BatchOverflow { taken, .. }) | ExtendError::Failed { taken, .. } => taken.clear(),
            }
            error
        })
    }

    /// What the record would be here, whether or not it can be.
    #[inline(always)]
    fn measure(&self, record: &Record<'_>, offset: u32) -> Fit {
        let timestamp = record.timestamp.unwrap_or(self.now);
        match self.magic {
            Magic::V2 => {
                let prefix = self.prefix(timestamp, offset);
                let body_len = v2::body_len(record, prefix);
                let size = v2::with_length_field(body_len);
                Fit { offset, timestamp, encoding: Encoding::V2 { prefix, body_len }, size }
            }
            magic @ (Magic::V0 | Magic::V1) => {
                let timestamp = if magic.has_timestamps() { timestamp } else { Timestamp::NO_TIMESTAMP };
                Fit { offset, timestamp, encoding: Encoding::Message, size: legacy::message_len(record, magic) }
            }
        }
    }

    /// Whether nothing stands against this record: a few comparisons, with which nearly every append is through.
    #[inline(always)]
    fn far_from_limits(&self, record: &Record<'_>, fit: &Fit) -> bool {
        let far = self.progress.len as u64 + fit.size <= self.free_of_limits;
        far && fit.offset < self.options.max_records
            && !self.closed
            && (self.magic.has_headers() || record.headers.is_empty())
    }

    /// Why the batch does not take this record, if it does not.
    #[cold]
    #[inline(never)]
    fn refusal(&self, record: Record<'_>, fit: Fit) -> Result<Option<Full>, AppendError> {
        let size = self.encodable(&record, fit.size)?;
        let reason = if self.closed { Some(FullReason::Closed) } else { self.limit_met(&record, fit, size)? };
        Ok(reason.map(|reason| Full { needed: size, available: self.room(), reason }))
    }

    /// The record's size, if a batch like this one can have the record at all.
    fn encodable(&self, record: &Record<'_>, size: u64) -> Result<usize, AppendError> {
        self.route(record.key)?;
        if !self.magic.has_headers() && !record.headers.is_empty() {
            return Err(AppendError::Headers { magic: self.magic, headers: record.headers.len() });
        }
        match usize::try_from(size) {
            Ok(bytes) if bytes <= MAX_BATCH_LEN - v2::HEADER_LEN => Ok(bytes),
            _ => Err(AppendError::TooLong { size }),
        }
    }

    fn limit_met(&self, record: &Record<'_>, fit: Fit, size: usize) -> Result<Option<FullReason>, AppendError> {
        let options = &self.options;
        if !self.is_compressed() && self.size() + size > options.max_message_bytes {
            let limit = options.max_message_bytes;
            let alone = self.header_len() + self.size_alone(record, fit);
            if alone > limit {
                return Err(AppendError::TooLarge { size: alone, limit });
            }
            // Also in an empty batch, where the record would fit at a smaller offset than it was given.
            return Ok(Some(FullReason::MaxMessageBytes { limit }));
        }
        let first = match options.boundary {
            Boundary::Inclusive => self.is_empty(),
            Boundary::Aiokafka => fit.offset == 0,
        };
        if first {
            return Ok(None); // the first record goes in whatever its size
        }
        let counted = match options.size_policy {
            SizePolicy::Uncompressed => self.size(),
            SizePolicy::Estimated(_) => self.counted_size(),
        };
        Ok(if counted.saturating_add(size) > self.soft_limit() {
            Some(FullReason::BatchSize { limit: options.batch_size })
        } else if self.progress.count >= options.max_records {
            Some(FullReason::MaxRecords { limit: options.max_records })
        } else if self.size() + size > MAX_BATCH_LEN || fit.offset >= MAX_RECORDS {
            Some(FullReason::Format { limit: MAX_BATCH_LEN })
        } else {
            None
        })
    }

    /// The record's size as the first of a batch with these settings.
    fn size_alone(&self, record: &Record<'_>, fit: Fit) -> usize {
        match self.magic {
            Magic::V0 | Magic::V1 => fit.size as usize,
            Magic::V2 => {
                // Counted from itself, so by 0, unless there is a delete horizon to be counted from.
                let base = self.options.delete_horizon.unwrap_or(fit.timestamp);
                let timestamp_delta = fit.timestamp.millis().wrapping_sub(base.millis());
                let first = v2::RecordPrefix::new(timestamp_delta, 0);
                v2::with_length_field(v2::body_len(record, first)) as usize
            }
        }
    }

    fn route(&self, key: Option<&[u8]>) -> Result<Option<i32>, AppendError> {
        let (Some(partitions), Some(key)) = (self.options.partitions, key) else {
            return Ok(self.progress.partition);
        };
        let key = partition_for_key(key, partitions);
        match self.progress.partition {
            Some(batch) if batch != key => Err(AppendError::RoutesElsewhere { key, batch }),
            _ => Ok(Some(key)),
        }
    }

    #[inline(always)]
    fn prefix(&self, timestamp: Timestamp, offset: u32) -> v2::RecordPrefix {
        // Wrapping, as Java counts: readers add the delta back the same way, so every pair of timestamps round-trips.
        let base = self.progress.base_timestamp.unwrap_or(timestamp);
        v2::RecordPrefix::new(timestamp.millis().wrapping_sub(base.millis()), offset)
    }

    fn prefix(&self, timestamp: Timestamp, offset: u32) -> legacy::MessagePrefix {
        legacy::MessagePrefix { magic: self.magic, offset: i64::from(offset), codec_id: 0, timestamp }
    }

    /// What most records find done: the memory taken that the batch will need (all at once, so that appending allocates
    /// no more), the time from which deltas are counted, the partition, and the limits in one number.
    #[cold]
    #[inline(never)]
    fn prepare(&mut self, key: Option<&[u8]>, fit: Fit) {
        const MOST_AT_ONCE: usize = (1 << 20) + 64;
        let size = fit.size as usize;
        if self.buffer.is_empty() {
            let records = self.options.capacity.unwrap_or(self.options.batch_size.min(MOST_AT_ONCE));
            let reserve = self.buffer_reserve();
            self.buffer.reserve_exact(reserve + records.max(size) + SLACK);
            self.buffer.resize(reserve, 0);
        }
        self.buffer.reserve(size + SLACK);
        self.progress.base_timestamp.get_or_insert(fit.timestamp);
        self.progress.partition = self.route(key).unwrap_or_default();
        self.free_of_limits = self.free_of_limits();
    }

    /// Bytes of records up to which there is no limit to be met, and no rule to be kept.
    fn free_of_limits(&self) -> u64 {
        match self.options.size_policy {
            SizePolicy::Uncompressed if self.options.partitions.is_none() => {
                let limit = if self.is_compressed() { MAX_BATCH_LEN } else { self.options.max_message_bytes.min(MAX_BATCH_LEN) };
                self.soft_limit().min(limit).saturating_sub(self.header_len()) as u64
            }
            _ => 0,
        }
    }

    #[inline(always)]
    fn write(&mut self, record: &Record<'_>, fit: Fit) -> RecordMetadata {
        let Fit { offset, timestamp, encoding, size } = fit;
        let crc = match encoding {
            Encoding::V2 { prefix, body_len } => {
                v2::write(&mut self.buffer, record, prefix, body_len);
                None
            }
            Encoding::Message => {
                let prefix = self.prefix(timestamp, offset);
                Some(legacy::write(&mut self.buffer, record.key, record.value, prefix, size))
            }
        };
        let size = size as usize;
        let progress = &mut self.progress;
        progress.len += size;
        progress.count += 1;
        progress.next_offset_delta = offset + 1;
        progress.timestamps.include(timestamp);
        debug_assert_eq!(self.buffer.len(), self.buffer_reserve() + self.progress.len, "counted as it was written");
        RecordMetadata { position: offset, size, timestamp, crc }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::BatchOptions;

    fn batch(options: BatchOptions) -> KafkaBatch {
        options.build(Timestamp::from_millis(1_000)).unwrap()
    }

    #[test]
    fn an_exact_fit_is_a_fit_and_one_byte_more_is_not() {
        let record = Record::new("0123456789");
        let cost = batch(BatchOptions::default()).cost(record).unwrap();
        for (limit, taken) in [(61 + 2 * cost, 2), (61 + 2 * cost - 1, 1)] {
            let mut batch = batch(BatchOptions::default().batch_size(limit));
            let fitting = (0..3).filter(|_| batch.append(record).unwrap().taken().is_some()).count();
            assert_eq!(fitting, taken, "limit {limit}");
        }
    }

    #[test]
    fn a_record_that_no_batch_can_hold_is_an_error_wherever_it_comes() {
        let mut batch = batch(BatchOptions::default().batch_size(1_000).max_message_bytes(200));
        let large = [0; 200];
        assert!(matches!(batch.append(Record::new(&large)), Err(AppendError::TooLarge { limit: 200, .. })));
        let _ = batch.append(Record::new("small")).unwrap();
        assert!(matches!(batch.append(Record::new(&large)), Err(AppendError::TooLarge { limit: 200, .. })));
        let full = batch.append(Record::new(&large[..130])).unwrap();
        assert!(matches!(full, Append::Full(Full { reason: FullReason::MaxMessageBytes { limit: 200 }, .. })));
    }

    #[test]
    fn full_and_closed_are_told_apart() {
        let mut batch = batch(BatchOptions::default().max_records(1));
        let _ = batch.append(Record::new("a")).unwrap();
        let reason = |append: Append| match append {
            Append::Full(full) => full.reason,
            Append::Taken(_) => panic!("taken"),
        };
        assert_eq!(reason(batch.append(Record::new("b")).unwrap()), FullReason::MaxRecords { limit: 1 });
        batch.close();
        assert_eq!(reason(batch.append(Record::new("b")).unwrap()), FullReason::Closed);
    }
}
