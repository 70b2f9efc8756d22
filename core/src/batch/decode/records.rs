//! The records of a batch, one after another.

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

/// The records of a batch, decompressed and not yet looked at one by one.
#[derive(Clone)]
pub struct Records<'a> {
    pub(super) payload: Cow<'a, [u8]>,
    pub(super) place: Place,
    pub(super) layout: Layout,
    /// As the header says it, in magic 2.
    pub(super) last_delta: Option<i32>,
}

/// What the positions of errors are counted from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) batch_at: usize,
    pub(super) batch_end: usize,
    pub(super) start: usize,
    pub(super) region: Region,
}

impl Place {
    /// The error for a fault by which the batch is lost, or what is left of it.
    #[cold]
    #[inline(never)]
    pub(super) fn of_batch(self, fault: Fault) -> DecodeError {
        self.error(None, DecodeErrorScope::Batch { end: self.batch_end }, fault)
    }

    /// The error for a fault in the record from `start` to `end` in the payload. They are the same if the end is not
    /// known, and then what is left of the batch is lost.
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
    /// The records, in order. What is wrong with one comes up when it is reached, and ends the iteration only if it is not
    /// known where the next one begins ([`DecodeError::scope`]).
    ///
    /// Offsets are what the batch's base offset and each record's delta give, as in Java's reader: they need not follow one
    /// another, be different, or stay within what the batch's header says. [`validate`](Self::validate) looks at that.
    #[must_use]
    pub fn iter(&self) -> RecordIter<'_> {
        RecordIter { payload: &self.payload, position: 0, number: 0, place: self.place, layout: Some(self.layout) }
    }

    /// The same records, and those too that Java's reader takes and [`iter`](Self::iter) does not, each of which may be
    /// damage. These are no errors here:
    ///
    /// - In magic 2, the name of a header that is not UTF-8 (names are bytes in what this returns), and a length below −1
    ///   of a key, value or header's value, which is null then.
    /// - In magic 0 and 1, the same length of a key or value, bytes of a message behind its value, and a message of magic 0
    ///   inside a compressed one of magic 1, or the other way around.
    ///
    /// ```
    /// # use kafka_batch_core::{Header, KafkaBatch, Record, RecordBatches, Timestamp, DEFAULT_MAX_DECOMPRESSED};
    /// # let mut batch = KafkaBatch::new(Timestamp::from_millis(7));
    /// # let _ = batch.append(Record::new("hello").headers(&[Header::new("source", "sensor-7")]))?;
    /// # let stamped = batch.seal()?.without_producer_id();
    /// # let batch = RecordBatches::new(stamped.bytes()).next().unwrap()?;
    /// for record in batch.records(DEFAULT_MAX_DECOMPRESSED)?.iter_lenient() {
    ///     for header in record?.headers {
    ///         // As in Java's consumer, what is not UTF-8 is U+FFFD.
    ///         assert_eq!(header.name_lossy(), "source");
    ///     }
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn iter_lenient(&self) -> LenientRecordIter<'_> {
        LenientRecordIter(self.iter())
    }

    /// Checks every record, and also what iteration lets pass: that in magic 2 each offset is behind the one before, and
    /// none outside of what the batch's header says. The gaps that compaction leaves are sound.
    ///
    /// # Errors
    /// The first fault.
    pub fn validate(&self) -> Result<(), DecodeError> {
        let mut records = self.iter();
        let mut least = 0;
        loop {
            let (start, number) = (records.position, records.number);
            let Some(record) = records.next() else { return Ok(()) };
            let record = record?;
            let (Layout::V2(sequence), Some(last)) = (self.layout, self.last_delta) else { continue };
            // It is the delta that was added, an `i32`: so this does not wrap.
            let found = record.offset - sequence.base_offset;
            if found < least || found > i64::from(last) {
                let fault = Fault { at: start, kind: DecodeErrorKind::OffsetDelta { found, least, last } };
                return Err(self.place.of_record(number, start, records.position, fault));
            }
            least = found + 1;
        }
    }

    /// Bytes of the records, after decompression.
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

/// The records of a batch, one after another, as views into its bytes.
#[derive(Clone)]
pub struct RecordIter<'r> {
    payload: &'r [u8],
    position: usize,
    number: u32,
    place: Place,
    /// `None` once it has ended.
    layout: Option<Layout>,
}

/// Without the bytes, which are an application's data, and many.
impl fmt::Debug for Records<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records").field("size", &self.size()).field("layout", &self.layout).finish_non_exhaustive()
    }
}

/// Without the bytes.
impl fmt::Debug for RecordIter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("RecordIter");
        text.field("position", &self.position).field("number", &self.number).finish_non_exhaustive()
    }
}

impl<'r> RecordIter<'r> {
    /// Reads the next record. With `LENIENT` the names of its headers may be no text, so that the view must not be handed
    /// out as it is.
    #[inline(always)]
    fn step<const LENIENT: bool>(&mut self) -> Option<Result<RecordView<'r>, DecodeError>> {
        // A local one, since what is called out of line below must not keep the iterator itself out of registers.
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
            Layout::V2(sequence) => sequence.read::<LENIENT>(self.payload, &mut position),
            Layout::Legacy(_) if left == 0 => {
                self.layout = None;
                return None;
            }
            Layout::Legacy(messages) => messages.read::<LENIENT>(self.payload, &mut position),
        };
        self.position = position;
        let number = self.number;
        self.number = number.wrapping_add(1);
        match read {
            Ok(view) => Some(Ok(view)),
            Err(fault) => {
                if position == start {
                    self.layout = None;
                }
                Some(Err(self.place.of_record(number, start, position, fault)))
            }
        }
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

/// The records of a batch, one after another, as leniently as Java reads them ([`Records::iter_lenient`]).
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

/// The records of a batch that this process wrote itself.
pub(in crate::batch) fn own_records(batch: &KafkaBatch) -> impl Iterator<Item = RecordView<'_>> + '_ {
    let progress = &batch.progress;
    let layout = match batch.magic {
        Magic::V2 => Layout::V2(v2::Sequence {
            base_offset: 0,
            base_timestamp: progress.base_timestamp.unwrap_or(Timestamp::NO_TIMESTAMP).millis(),
            append_time: None,
            remaining: progress.count,
        }),
        magic @ (Magic::V0 | Magic::V1) => {
            Layout::Legacy(legacy::Messages { magic, base_offset: 0, append_time: None, unchecked: false })
        }
    };
    let place = Place { batch_at: 0, batch_end: batch.payload().len(), start: 0, region: Region::Buffer };
    RecordIter { payload: batch.payload(), position: 0, number: 0, place, layout: Some(layout) }
        .map(|record| record.expect("this batch's own encoder wrote these bytes"))
}
