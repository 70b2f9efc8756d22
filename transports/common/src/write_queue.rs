//! The frames that are still to be written on one connection. A frame is a list of shared segments, which are not copied.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

/// The maximum number of segments in one vectored write. A request has about three.
const MAX_SEGMENTS: usize = 64;

#[derive(Debug, Default)]
pub(crate) struct WriteQueue {
    /// Each segment, and whether it is the last of its frame.
    segments: VecDeque<(Bytes, bool)>,
}

impl WriteQueue {
    /// Appends a frame.
    pub(crate) fn push(&mut self, frame: Vec<Bytes>) {
        let last = frame.len().saturating_sub(1);
        self.segments.extend(frame.into_iter().enumerate().map(|(at, segment)| (segment, at == last)));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Calls `write` with the next segments, as slices for one vectored write.
    pub(crate) fn with_slices<R>(&self, write: impl FnOnce(&[IoSlice<'_>]) -> R) -> R {
        let mut slices = [IoSlice::new(&[]); MAX_SEGMENTS];
        let mut count = 0;
        let filled = self.segments.iter().filter(|(segment, _)| !segment.is_empty());
        for (slice, (segment, _)) in slices.iter_mut().zip(filled) {
            *slice = IoSlice::new(segment);
            count += 1;
        }
        write(&slices[..count])
    }

    /// Removes this many bytes. Returns the number of frames that were completed.
    pub(crate) fn advance(&mut self, mut count: usize) -> usize {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(segments: &[&'static str]) -> Vec<Bytes> {
        segments.iter().map(|segment| Bytes::from_static(segment.as_bytes())).collect()
    }

    fn left(write_queue: &WriteQueue) -> String {
        write_queue.with_slices(|slices| slices.iter().map(|slice| str::from_utf8(slice).unwrap().to_owned()).collect())
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
        (0..100).for_each(|_| write_queue.push(frame(&["x"])));
        assert_eq!(left(&write_queue).len(), MAX_SEGMENTS);
        assert_eq!(write_queue.advance(MAX_SEGMENTS), MAX_SEGMENTS);
        assert_eq!(left(&write_queue).len(), 100 - MAX_SEGMENTS);
    }
}
