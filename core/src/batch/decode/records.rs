//! The records of a batch and their iterators.

use alloc::borrow::Cow;
use core::fmt;

use super::cursor::Fault;
use super::error::{DecodeError, DecodeErrorKind, DecodeErrorScope, Region};
use super::{legacy, v2};
use crate::batch::KafkaBatch;
use crate::headers::RawHeaderList;
use crate::magic::Magic;
use crate::record::{RawRecordView, RecordView};
use crate::time::Timestamp;

/// The records of a batch, decompressed but not decoded yet.
#[derive(Clone)]
pub struct Records<'a> {
    pub(super) payload: Cow<'a, [u8]>,
    pub(super) place: Place,
    pub(super) layout: Layout,
    /// The header's last offset delta, in magic 2.
    pub(super) last_delta: Option<i32>,
}

/// The batch and region that error positions refer to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) batch_at: usize,
    pub(super) batch_end: usize,
    pub(super) start: usize,
    pub(super) region: Region,
}

impl Place {
    /// Returns the error for a fault that makes the batch, or the rest of it, unreadable.
    #[cold]
    #[inline(never)]
    pub(super) fn of_batch(self, fault: Fault) -> DecodeError {
        self.error(None, DecodeErrorScope::Batch { end: self.batch_end }, fault)
    }

    /// Returns the error for a fault in the record from `start` to `end` in the payload. `start` equals `end` if the end
    /// is unknown; the rest of the batch is then unreadable.
    #[cold]
    #[inline(never)]
    fn of_record(self, number: u32, start: usize, end: usize, fault: Fault) -> DecodeError {
        let scope = if end > start {
            DecodeErrorScope::Record { start: self.start + start, end: self.start + end }
        } else {
            DecodeErrorScope::Batch { end: self.batch_end }
        };
        self.error(Some(number), scope, fault)
    }

    fn error(self, record: Option<u32>, scope: DecodeErrorScope, fault: Fault) -> DecodeError {
        let Self { batch_at, start, region, .. } = self;
        DecodeError { batch_at, at: start + fault.at, region, record, scope, kind: fault.kind }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Layout {
    V2(v2::Sequence),
    Legacy(legacy::Messages),
}

impl Records<'_> {
    /// Returns an iterator over the records, in order. An invalid record is an error when iteration reaches it; it ends
    /// the iteration only if the start of the next record is unknown ([`DecodeError::scope`]).
    ///
    /// Offsets are the sum of the batch's base offset and each record's delta, as in Java's reader: they need not
    /// increase, be distinct, or lie within the header's range. [`validate`](Self::validate) checks that.
    #[must_use]
    pub fn iter(&self) -> RecordIter<'_> {
        RecordIter { payload: &self.payload, position: 0, number: 0, place: self.place, layout: Some(self.layout) }
    }

    /// Returns an iterator that also accepts records which Java's reader accepts and [`iter`](Self::iter) does not. Each
    /// of these may be a sign of damage, but is no error here:
    ///
    /// - In magic 2, a header name that is not UTF-8 (this iterator returns names as bytes), and a length below −1 of a
    ///   key, value or header value, which is read as null.
    /// - In magic 0 and 1, a length below −1 of a key or value, bytes after the value of a message, and a message of magic
    ///   0 inside a compressed one of magic 1, or the reverse.
    ///
    /// ```
    /// # use kafka_batch_core::decode::{DEFAULT_MAX_DECOMPRESSED, RecordBatches};
    /// # use kafka_batch_core::{Header, KafkaBatch, Record, Timestamp};
    /// # let mut batch = KafkaBatch::new(Timestamp::from_millis(7));
    /// # let _ = batch.append(Record::new("hello").headers(&[Header::new("source", "sensor-7")]))?;
    /// # let stamped = batch.seal()?.without_producer_id();
    /// # let batch = RecordBatches::new(stamped.bytes()).next().unwrap()?;
    /// for record in batch.records(DEFAULT_MAX_DECOMPRESSED)?.iter_lenient() {
    ///     for header in record?.headers {
    ///         // As in Java's consumer, invalid UTF-8 is replaced by U+FFFD.
    ///         assert_eq!(header.name_lossy(), "source");
    ///     }
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn iter_lenient(&self) -> LenientRecordIter<'_> {
        LenientRecordIter(self.iter())
    }

    /// Decodes every record, and checks what iteration does not: that in magic 2 offsets increase and lie within the range
    /// of the batch's header. Gaps left by compaction are valid.
    ///
    /// # Errors
    /// Returns the first error found.
    pub fn validate(&self) -> Result<(), DecodeError> {
        let mut records = self.iter();
        let mut least = 0;
        loop {
            let (start, number) = (records.position, records.number);
            let Some(record) = records.next() else { return Ok(()) };
            let record = record?;
            let (Layout::V2(sequence), Some(last)) = (self.layout, self.last_delta) else { continue };
            // Cannot wrap: the offset is the base plus an `i32` delta.
            let found = record.offset - sequence.base_offset;
            if found < least || found > i64::from(last) {
                let fault = Fault { at: start, kind: DecodeErrorKind::OffsetDelta { found, least, last } };
                return Err(self.place.of_record(number, start, records.position, fault));
            }
            least = found + 1;
        }
    }

    /// Returns the size of the records after decompression, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.payload.len()
    }
}

impl<'r> IntoIterator for &'r Records<'_> {
    type Item = Result<RecordView<'r>, DecodeError>;
    type IntoIter = RecordIter<'r>;

    fn into_iter(self) -> RecordIter<'r> {
        self.iter()
    }
}

/// An iterator over the records of a batch, as views of its bytes ([`Records::iter`]).
#[derive(Clone)]
pub struct RecordIter<'r> {
    payload: &'r [u8],
    position: usize,
    number: u32,
    place: Place,
    /// `None` once the iteration has ended.
    layout: Option<Layout>,
}

/// Omits the bytes: they are application data and can be large.
impl fmt::Debug for Records<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records").field("size", &self.size()).field("layout", &self.layout).finish_non_exhaustive()
    }
}

/// Omits the bytes.
impl fmt::Debug for RecordIter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("RecordIter");
        text.field("position", &self.position).field("number", &self.number).finish_non_exhaustive()
    }
}

impl<'r> RecordIter<'r> {
    /// Decodes the next record. With `LENIENT`, header names may not be UTF-8, and the view must be converted to a
    /// [`RawRecordView`] before it is returned to the user.
    #[inline(always)]
    fn step<const LENIENT: bool>(&mut self) -> Option<Result<RecordView<'r>, DecodeError>> {
        // A local `position`: a reference to the field, passed to a call that is not inlined, would force the iterator's
        // state into memory.
        let (start, mut position) = (self.position, self.position);
        let left = self.payload.len() - start;
        let read = match self.layout.as_mut()? {
            Layout::V2(sequence) if sequence.remaining == 0 => {
                self.layout = None;
                if left == 0 {
                    return None;
                }
                let fault = Fault { at: start, kind: DecodeErrorKind::LeftOver { count: left } };
                return Some(Err(self.place.of_batch(fault)));
            }
            Layout::V2(sequence) => match sequence.read::<LENIENT>(self.payload, &mut position) {
                Ok(record) => {
                    self.position = position;
                    self.number = self.number.wrapping_add(1);
                    return Some(Ok(record));
                }
                Err(fault) => Err(fault),
            },
            Layout::Legacy(_) if left == 0 => {
                self.layout = None;
                return None;
            }
            Layout::Legacy(messages) => {
                if let Some((record, len)) = messages.next_verified(self.payload, start) {
                    self.position = start + len;
                    self.number = self.number.wrapping_add(1);
                    return Some(Ok(record));
                }
                messages.read_and_check::<LENIENT>(self.payload, &mut position)
            }
        };
        self.position = position;
        let number = self.number;
        self.number = number.wrapping_add(1);
        Some(read.map_err(|fault| {
            if position == start {
                self.layout = None;
            }
            self.place.of_record(number, start, position, fault)
        }))
    }
}

impl<'r> Iterator for RecordIter<'r> {
    type Item = Result<RecordView<'r>, DecodeError>;

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        self.step::<false>()
    }
}

impl core::iter::FusedIterator for RecordIter<'_> {}

/// An iterator over the records of a batch, as lenient as Java's reader ([`Records::iter_lenient`]).
#[derive(Clone, Debug)]
pub struct LenientRecordIter<'r>(RecordIter<'r>);

impl<'r> Iterator for LenientRecordIter<'r> {
    type Item = Result<RawRecordView<'r>, DecodeError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.0.step::<true>().map(|read| {
            read.map(|RecordView { offset, timestamp, key, value, headers }| {
                let headers = RawHeaderList::unchecked(headers);
                RawRecordView { offset, timestamp, key, value, headers }
            })
        })
    }
}

impl core::iter::FusedIterator for LenientRecordIter<'_> {}

/// Returns the records of a batch that this process encoded itself.
pub(in crate::batch) fn own_records(batch: &KafkaBatch) -> impl Iterator<Item = RecordView<'_>> + '_ {
    let stats = &batch.stats;
    let layout = match batch.magic {
        Magic::V2 => Layout::V2(v2::Sequence {
            base_offset: 0,
            base_timestamp: stats.base_timestamp.unwrap_or(Timestamp::NO_TIMESTAMP).millis(),
            append_time: None,
            remaining: stats.count,
        }),
        magic @ (Magic::V0 | Magic::V1) => {
            Layout::Legacy(legacy::Messages { magic, base_offset: 0, append_time: None, unchecked: false })
        }
    };
    let place = Place { batch_at: 0, batch_end: batch.payload().len(), start: 0, region: Region::Buffer };
    RecordIter { payload: batch.payload(), position: 0, number: 0, place, layout: Some(layout) }
        .map(|record| record.expect("this batch's own encoder wrote these bytes"))
}
