//! Values that lie one after another in one buffer.

use core::fmt;
use core::iter::FusedIterator;

/// Values that lie one after another in one buffer, separated by offsets: those of an Arrow array of variable-size binary
/// or text.
///
/// An array of `n` values has `n + 1` offsets; value `i` is the bytes from `offsets[i]` to `offsets[i + 1]`. The offsets are
/// `i32` (Arrow's `Binary` and `Utf8`), `i64` (`LargeBinary` and `LargeUtf8`) or any other integers. Nulls are not among the
/// values: for an array with nulls, pass an iterator of [`Option`]s to [`KafkaBatch::bulk`](crate::KafkaBatch::bulk).
/// The offsets are compared as the numbers that they are converted to; the same offset must always be the same number.
///
/// # Examples
///
/// ```
/// use kafka_batch_core::batch::ContiguousValues;
/// use kafka_batch_core::{BatchOptions, Timestamp};
///
/// let (bytes, offsets) = (b"onetwothree", [0, 3, 6, 11]);
/// let values = ContiguousValues::new(bytes, &offsets)?;
/// assert_eq!(values.get(2), Some(&b"three"[..]));
///
/// let mut batch = BatchOptions::default().max_records(2).build(Timestamp::from_millis(0))?;
/// let mut values = values.into_iter().peekable();
/// while batch.bulk().key("numbers").fill_from(&mut values)?.full.is_some() {
///     let next = batch.next_batch();
///     let sealed = std::mem::replace(&mut batch, next).seal()?; // send it
///     assert_eq!(sealed.record_count(), 2);
/// }
/// assert_eq!(batch.record_count(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ContiguousValues<'a, O> {
    bytes: &'a [u8],
    offsets: &'a [O],
}

/// Why bytes and offsets are not [`ContiguousValues`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "offset {position} of the values is negative, less than the one before it, or beyond the buffer's end ({len} bytes)"
)]
#[non_exhaustive]
pub struct OffsetsError {
    /// The position of the first offset that is negative, less than the one before it, or beyond the end of the buffer.
    pub position: usize,
    /// The number of bytes in the buffer.
    pub len: usize,
}

impl<'a, O: Copy + TryInto<usize>> ContiguousValues<'a, O> {
    /// Creates the values. No offsets, or one, are no values.
    ///
    /// # Errors
    /// An offset is less than the one before it, negative, or beyond the end of the buffer.
    pub fn new(bytes: &'a [u8], offsets: &'a [O]) -> Result<Self, OffsetsError> {
        // As numbers, which are what is sliced with. `O` may have another order.
        let (mut least, mut is_in_order) = (0, true);
        for &offset in offsets {
            let offset = offset.try_into().ok();
            is_in_order &= offset.is_some_and(|offset: usize| least <= offset);
            least = offset.unwrap_or(usize::MAX);
        }
        // The last one is the largest, if they are in order.
        if offsets.is_empty() || is_in_order && least <= bytes.len() {
            return Ok(Self { bytes, offsets });
        }
        let mut least = 0;
        let misplaced = offsets.iter().position(|&offset| match offset.try_into() {
            Ok(offset) if (least..=bytes.len()).contains(&offset) => {
                least = offset;
                false
            }
            _ => true,
        });
        // `None` only if the conversion has changed its result.
        Err(OffsetsError { position: misplaced.unwrap_or_default(), len: bytes.len() })
    }

    /// Returns the number of values.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Returns `true` if there are no values.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the value at this position, or `None` beyond the end.
    #[must_use]
    #[inline]
    pub fn get(&self, position: usize) -> Option<&'a [u8]> {
        let (start, end) = (*self.offsets.get(position)?, *self.offsets.get(position + 1)?);
        self.bytes.get(start.try_into().ok()?..end.try_into().ok()?)
    }

    /// Returns the values in order.
    #[must_use]
    pub fn iter(&self) -> ContiguousIter<'a, O> {
        let (first, rest) = match self.offsets.split_first() {
            Some((&first, rest)) => (first.try_into().unwrap_or_default(), rest),
            None => (0, self.offsets),
        };
        ContiguousIter { bytes: self.bytes, start: first, ends: rest.iter() }
    }
}

impl<O> Clone for ContiguousValues<'_, O> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<O> Copy for ContiguousValues<'_, O> {}

impl<'a, O: Copy + TryInto<usize>> IntoIterator for ContiguousValues<'a, O> {
    type Item = &'a [u8];
    type IntoIter = ContiguousIter<'a, O>;

    fn into_iter(self) -> ContiguousIter<'a, O> {
        self.iter()
    }
}

/// An iterator over [`ContiguousValues`].
#[derive(Clone)]
pub struct ContiguousIter<'a, O> {
    bytes: &'a [u8],
    start: usize,
    ends: core::slice::Iter<'a, O>,
}

impl<'a, O: Copy + TryInto<usize>> Iterator for ContiguousIter<'a, O> {
    type Item = &'a [u8];

    #[inline(always)]
    fn next(&mut self) -> Option<&'a [u8]> {
        let end = *self.ends.next()?;
        // `new` has checked the offsets, so this is `None` only if the conversion has changed its result. Then nothing
        // tells where the values are, and the iterator ends.
        let value = end.try_into().ok().and_then(|end| Some((self.bytes.get(self.start..end)?, end)));
        let Some((value, end)) = value else {
            self.ends = [].iter();
            return None;
        };
        self.start = end;
        Some(value)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.ends.size_hint()
    }
}

impl<O: Copy + TryInto<usize>> ExactSizeIterator for ContiguousIter<'_, O> {}

impl<O: Copy + TryInto<usize>> FusedIterator for ContiguousIter<'_, O> {}

impl<O> fmt::Debug for ContiguousIter<'_, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContiguousIter").field("left", &self.ends.len()).finish_non_exhaustive()
    }
}
