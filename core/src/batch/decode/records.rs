//! The records of a batch, one after another.

use alloc::borrow::Cow;
use core::fmt;

use super::cursor::Fault;
use super::error::{DecodeError, DecodeErrorKind, Region};
use super::{legacy, v2};
use crate::batch::KafkaBatch;
use crate::magic::Magic;
use crate::record::RecordView;
use crate::time::Timestamp;

/// The records of a batch, decompressed and not yet looked at one by one.
#[derive(Clone)]
pub struct Records<'a> {
    pub(super) payload: Cow<'a, [u8]>,
    pub(super) place: Place,
    pub(super) layout: Layout,
}

/// What the positions of errors are counted from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) batch_at: usize,
    pub(super) start: usize,
    pub(super) region: Region,
}

impl Place {
    #[cold]
    pub(super) fn error(self, record: Option<u32>, fault: Fault) -> DecodeError {
        let Self { batch_at, start, region } = self;
        DecodeError { batch_at, at: start + fault.at, region, record, kind: fault.kind }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Layout {
    V2(v2::Sequence),
    Legacy(legacy::Messages),
}

impl Records<'_> {
    /// The records, in order. What is wrong with one comes up when it is reached, and ends the iteration.
    #[must_use]
    pub fn iter(&self) -> RecordIter<'_> {
        RecordIter { payload: &self.payload, position: 0, number: 0, place: self.place, layout: Some(self.layout) }
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

impl<'r> Iterator for RecordIter<'r> {
    type Item = Result<RecordView<'r>, DecodeError>;

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        let left = self.payload.len() - self.position;
        let read = match self.layout.as_mut()? {
            Layout::V2(sequence) if sequence.remaining == 0 => {
                self.layout = None;
                if left == 0 {
                    return None;
                }
                Err(Fault { at: self.position, kind: DecodeErrorKind::LeftOver { count: left } })
            }
            Layout::V2(sequence) => sequence.read(self.payload, &mut self.position),
            Layout::Legacy(_) if left == 0 => {
                self.layout = None;
                return None;
            }
            Layout::Legacy(messages) => messages.read(self.payload, &mut self.position),
        };
        let number = self.number;
        self.number = number.wrapping_add(1);
        Some(read.map_err(|fault| {
            let in_a_record = self.layout.take().map(|_| number);
            self.place.error(in_a_record, fault)
        }))
    }
}

impl core::iter::FusedIterator for RecordIter<'_> {}

/// The records of a batch that this process wrote itself.
pub(in crate::batch) fn own_records(batch: &KafkaBatch) -> impl Iterator<Item = RecordView<'_>> + '_ {
    let progress = &batch.progress;
    let layout = match batch.magic {
        Magic::V2 => Layout::V2(v2::Sequence {
            base_offset: 0,
            base_timestamp: progress.base_timestamp.unwrap_or(Timestamp::NO_TIMESTAMP).millis(),
            append_time: None,
            next_delta: 0,
            last_delta: i32::MAX,
            remaining: progress.count,
        }),
        magic @ (Magic::V0 | Magic::V1) => {
            Layout::Legacy(legacy::Messages { magic, base_offset: 0, append_time: None, unchecked: false })
        }
    };
    let place = Place { batch_at: 0, start: 0, region: Region::Buffer };
    RecordIter { payload: batch.payload(), position: 0, number: 0, place, layout: Some(layout) }
        .map(|record| record.expect("this batch's own encoder wrote these bytes"))
}
