//! The frames that are still to be written on one connection. A frame is a list of shared segments, which are not copied.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::fmt;
#[cfg(feature = "std")]
use std::io::IoSlice;

use bytes::{Buf, Bytes};

/// The maximum number of segments in one vectored write: two for each batch of a request with many of them. Linux and macOS take
/// 1,024.
#[cfg(feature = "std")]
const MAX_SEGMENTS: usize = 256;

/// Up to this many segments, the list of slices is small. A request of one batch has two or three.
#[cfg(feature = "std")]
const FEW_SEGMENTS: usize = 16;

/// The frames of [`Output::Transmit`](super::Output::Transmit) that are still to be written on one connection, for drivers
/// whose writes can be partial. The segments are not copied.
///
/// It is unbounded, and needs no bound: the machine limits the requests in flight.
///
/// ```
/// use bytes::Bytes;
/// use kafka_batch_core::machine::WriteQueue;
///
/// let mut queue = WriteQueue::new();
/// queue.push(vec![Bytes::from_static(b"envelope, "), Bytes::from_static(b"batch")]);
/// assert_eq!(queue.chunk(), b"envelope, ");
/// assert_eq!(queue.advance(12), 0); // a write ended within the second segment
/// assert_eq!(queue.chunk(), b"tch");
/// assert_eq!(queue.advance(3), 1); // one frame is complete: report one `Input::Transmitted`
/// assert!(queue.is_empty());
/// ```
#[derive(Default)]
pub struct WriteQueue {
    /// Each segment, and whether it is the last of its frame.
    segments: VecDeque<(Bytes, bool)>,
}

impl WriteQueue {
    /// Returns an empty queue.
    #[must_use]
    pub const fn new() -> Self {
        Self { segments: VecDeque::new() }
    }

    /// Appends a frame.
    pub fn push(&mut self, frame: Vec<Bytes>) {
        let last = frame.len().saturating_sub(1);
        self.segments.extend(frame.into_iter().enumerate().map(|(at, segment)| (segment, at == last)));
    }

    /// Returns `true` if nothing is left to be written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Returns the next bytes, up to the end of their segment; empty only if nothing is left to be written.
    #[must_use]
    pub fn chunk(&self) -> &[u8] {
        self.segments.iter().map(|(segment, _)| &segment[..]).find(|segment| !segment.is_empty()).unwrap_or_default()
    }

    /// Calls `write` with the next segments, at most 256, as slices for one vectored write.
    #[cfg(feature = "std")]
    pub fn with_slices<R>(&self, write: impl FnOnce(&[IoSlice<'_>]) -> R) -> R {
        if self.segments.len() <= FEW_SEGMENTS {
            self.with_up_to::<FEW_SEGMENTS, R>(write)
        } else {
            self.with_up_to::<MAX_SEGMENTS, R>(write)
        }
    }

    #[cfg(feature = "std")]
    fn with_up_to<const N: usize, R>(&self, write: impl FnOnce(&[IoSlice<'_>]) -> R) -> R {
        let mut slices = [IoSlice::new(&[]); N];
        let mut count = 0;
        let filled = self.segments.iter().filter(|(segment, _)| !segment.is_empty());
        for (slice, (segment, _)) in slices.iter_mut().zip(filled) {
            *slice = IoSlice::new(segment);
            count += 1;
        }
        write(&slices[..count])
    }

    /// Removes this many bytes, which were written. Returns the number of frames that were completed by that: so many
    /// [`Input::Transmitted`](super::Input::Transmitted) are to be reported, once the bytes are flushed.
    pub fn advance(&mut self, mut count: usize) -> usize {
        let mut frames = 0;
        while let Some((segment, ends_frame)) = self.segments.front_mut() {
            if segment.len() > count {
                segment.advance(count);
                break;
            }
            count -= segment.len();
            frames += usize::from(*ends_frame);
            self.segments.pop_front();
        }
        frames
    }
}

/// Shows no bytes, since they can contain a password.
impl fmt::Debug for WriteQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes: usize = self.segments.iter().map(|(segment, _)| segment.len()).sum();
        f.debug_struct("WriteQueue").field("bytes", &bytes).finish()
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use alloc::borrow::ToOwned;
    use alloc::format;
    use alloc::string::String;
    use alloc::vec;

    use super::*;

    fn frame(segments: &[&'static str]) -> Vec<Bytes> {
        segments.iter().map(|segment| Bytes::from_static(segment.as_bytes())).collect()
    }

    fn left(write_queue: &WriteQueue) -> String {
        write_queue
            .with_slices(|slices| slices.iter().map(|slice| core::str::from_utf8(slice).unwrap().to_owned()).collect())
    }

    #[test]
    fn a_partial_write_continues_where_it_stopped() {
        for step in 1..=10 {
            let mut write_queue = WriteQueue::default();
            write_queue.push(frame(&["ab", "", "cde"]));
            write_queue.push(frame(&["f", ""]));
            write_queue.push(frame(&["ghij"]));
            let (mut sent, mut ends) = (String::new(), Vec::new());
            while !write_queue.is_empty() {
                let next: String = left(&write_queue).chars().take(step).collect();
                sent.push_str(&next);
                for _ in 0..write_queue.advance(next.len()) {
                    ends.push(sent.len());
                }
            }
            assert_eq!(sent, "abcdefghij");
            assert_eq!(ends.len(), 3, "by {step}");
            assert!(ends.iter().zip([5, 6, 10]).all(|(end, at_least)| *end >= at_least), "{ends:?} by {step}");
        }
    }

    #[test]
    fn segments_are_not_copied() {
        let batch = Bytes::from(vec![7; 100]);
        let mut write_queue = WriteQueue::default();
        write_queue.push(vec![Bytes::from_static(b"envelope"), batch.clone()]);
        write_queue.with_slices(|slices| assert_eq!(slices[1].as_ptr(), batch.as_ptr()));
        assert_eq!(write_queue.advance(10), 0);
        write_queue.with_slices(|slices| assert_eq!(slices[0].as_ptr(), batch[2..].as_ptr()));
    }

    #[test]
    fn many_segments_take_several_writes() {
        let mut write_queue = WriteQueue::default();
        (0..300).for_each(|_| write_queue.push(frame(&["x"])));
        for expected in [MAX_SEGMENTS, 300 - MAX_SEGMENTS] {
            assert_eq!(left(&write_queue).len(), expected);
            assert_eq!(write_queue.advance(expected), expected);
        }
        (0..FEW_SEGMENTS).for_each(|_| write_queue.push(frame(&["x"])));
        assert_eq!(left(&write_queue).len(), FEW_SEGMENTS);
    }

    #[test]
    fn chunks_are_what_vectored_writes_write() {
        let mut write_queue = WriteQueue::new();
        write_queue.push(frame(&["", "ab", "", "cde", ""]));
        write_queue.push(frame(&["f"]));
        let (mut chunks, mut frames) = (Vec::new(), 0);
        while !write_queue.is_empty() {
            let chunk = write_queue.chunk().to_vec();
            frames += write_queue.advance(chunk.len());
            chunks.push(String::from_utf8(chunk).unwrap());
        }
        assert_eq!((chunks, frames), (vec!["ab".to_owned(), "cde".to_owned(), "f".to_owned()], 2));
        assert_eq!(write_queue.chunk(), b"");
    }

    #[test]
    fn debug_shows_no_bytes() {
        let mut write_queue = WriteQueue::new();
        write_queue.push(frame(&["hunter2"]));
        assert_eq!(format!("{write_queue:?}"), "WriteQueue { bytes: 7 }");
    }
}
