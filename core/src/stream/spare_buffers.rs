//! The memory of earlier batches, for new ones.

use alloc::vec::Vec;

/// Buffers that are not in use, by size class: there are four classes for each power of two, so a buffer is at most a quarter
/// larger than asked for, and one of a class serves all batches of that class.
#[derive(Clone, Debug, Default)]
pub(super) struct SpareBuffers {
    /// By class: each buffer has at least the capacity of its class. The last one returned is the first one taken.
    classes: Vec<Vec<Vec<u8>>>,
    /// The capacity of all buffers together.
    capacity: usize,
}

/// The classes of each power of two, as a power of two.
const CLASS_BITS: u32 = 2;

/// Returns the class of the smallest capacity that is at least `bytes`, and that capacity.
const fn class_for(bytes: usize) -> (usize, usize) {
    let step = class_step(bytes.saturating_sub(1));
    let capacity = bytes.saturating_add(step - 1) / step * step;
    (class_of(capacity), capacity)
}

/// Returns the class with the largest capacity that is at most `capacity`.
const fn class_of(capacity: usize) -> usize {
    let step = class_step(capacity);
    (step.trailing_zeros() as usize) * (1 << CLASS_BITS) + capacity / step
}

/// Returns by how many bytes the capacities of the classes around this one differ.
const fn class_step(bytes: usize) -> usize {
    match bytes.checked_ilog2() {
        Some(log) if log > CLASS_BITS => 1 << (log - CLASS_BITS),
        _ => 1,
    }
}

impl SpareBuffers {
    /// Takes a buffer for this many bytes, of which a batch can use no more than `max`. Returns it, without memory if there is none
    /// of that class, and the capacity that it should get.
    pub(super) fn take(&mut self, bytes: usize, max: usize) -> (Vec<u8>, usize) {
        let (class, capacity) = match class_for(bytes) {
            (_, capacity) if capacity > max => (class_of(max), max), // the class of full batches
            of_bytes => of_bytes,
        };
        let buffer = self.classes.get_mut(class).and_then(Vec::pop).unwrap_or_default();
        self.capacity -= buffer.capacity();
        (buffer, capacity)
    }

    /// Keeps a buffer, unless all together then had more than `max` bytes. Those of other classes are freed before.
    pub(super) fn put(&mut self, buffer: Vec<u8>, max: usize) {
        let size = buffer.capacity();
        if size == 0 || size > max {
            return;
        }
        let class = class_of(size);
        if self.classes.len() <= class {
            self.classes.resize_with(class + 1, Vec::new);
        }
        let mut others = (0..self.classes.len()).rev().filter(|&other| other != class).peekable();
        while self.capacity + size > max {
            let Some(&other) = others.peek() else { return };
            let Some(freed) = self.classes[other].pop() else {
                others.next();
                continue;
            };
            self.capacity -= freed.capacity();
        }
        self.capacity += size;
        self.classes[class].push(buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_at_most_a_quarter_larger_and_holds_what_is_asked_of_it() {
        for bytes in
            (0..20_000).chain((15..40).flat_map(|log| [(1 << log) - 1, 1 << log, (1 << log) + 1, 3 << (log - 1)]))
        {
            let (class, capacity) = class_for(bytes);
            assert!(capacity >= bytes && capacity - bytes <= bytes / 4, "{bytes}: {capacity}");
            assert_eq!((class_of(capacity), class_for(capacity)), (class, (class, capacity)), "{bytes}");
            assert!(class_of(bytes) <= class && class - class_of(bytes) <= 1, "{bytes}");
            assert!(bytes == 0 || class_for(bytes - 1).0 <= class, "{bytes}");
        }
    }

    #[test]
    fn a_buffer_serves_every_batch_of_its_class_and_no_other() {
        let mut spare = SpareBuffers::default();
        let (buffer, capacity) = spare.take(1_000, usize::MAX);
        assert_eq!((buffer.capacity(), capacity), (0, 1_024));
        spare.put(Vec::with_capacity(1_024), 10_000);
        assert_eq!(spare.take(1_025, usize::MAX).0.capacity(), 0);
        assert_eq!(spare.take(896, usize::MAX).0.capacity(), 0);
        assert_eq!(spare.take(897, usize::MAX).0.capacity(), 1_024);
        assert_eq!((spare.take(1_000, usize::MAX).0.capacity(), spare.capacity), (0, 0));
        spare.put(Vec::with_capacity(1_000), 10_000);
        assert_eq!(spare.take(1_000, usize::MAX).0.capacity(), 0);
        assert_eq!(spare.take(1_000, 1_000).0.capacity(), 1_000, "no batch needs more");
    }

    #[test]
    fn buffers_of_other_classes_make_room() {
        let mut spare = SpareBuffers::default();
        for capacity in [1_000, 2_000, 2_000, 3_000, 20_000, 0] {
            spare.put(Vec::with_capacity(capacity), 8_000);
        }
        assert_eq!(spare.capacity, 8_000);
        spare.put(Vec::with_capacity(1_000), 8_000);
        assert_eq!(spare.capacity, 6_000, "the largest was freed");
        for _ in 0..20 {
            spare.put(Vec::with_capacity(1_000), 8_000);
        }
        assert_eq!((spare.capacity, spare.classes[class_of(1_000)].len()), (8_000, 8));
        spare.put(Vec::with_capacity(4_000), 8_000);
        assert_eq!((spare.capacity, spare.classes[class_of(1_000)].len()), (8_000, 4), "several of a class are freed");
    }
}
