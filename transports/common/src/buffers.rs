//! The memory of delivered batches, and of those that were compressed, for new ones.

use std::mem;

use kafka_batch_core::batch::BufferPool;

use crate::sync::{Mutex, lock};

/// The largest sum of the buffers that are kept, in bytes.
const MAX_BYTES: usize = 4 << 20;

/// The part of `buffer.memory` that is kept at most.
const MAX_SHARE: usize = 4;

/// A smaller buffer, in bytes, is not worth keeping: a new batch would soon outgrow it.
const SMALLEST: usize = 1 << 10;

/// After this many returned buffers, those that were not needed since the last time are freed.
const PERIOD: u32 = 256;

/// Buffers of earlier batches that are not in use. The last one returned is the first one taken, because it is most
/// likely in the processor's caches.
#[derive(Debug)]
pub(crate) struct Buffers {
    max_bytes: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    buffers: Vec<Vec<u8>>,
    /// The sum of their capacities.
    bytes: usize,
    /// The smallest number of buffers since the last period began: these were not needed.
    unused: usize,
    /// Buffers that were returned in this period.
    returned: u32,
}

impl Buffers {
    /// Returns an empty pool for a producer with this `buffer.memory`.
    pub(crate) fn new(buffer_memory: usize) -> Self {
        Self { max_bytes: MAX_BYTES.min(buffer_memory / MAX_SHARE), kept: Mutex::default() }
    }

    /// Returns the memory for a new batch: of an earlier one, or none.
    pub(crate) fn take(&self) -> Vec<u8> {
        let mut kept = lock(&self.kept);
        let buffer = kept.buffers.pop().unwrap_or_default();
        kept.bytes -= buffer.capacity();
        kept.unused = kept.unused.min(kept.buffers.len());
        buffer
    }
}

impl BufferPool for Buffers {
    fn put(&self, buffer: Vec<u8>) {
        let size = buffer.capacity();
        if size < SMALLEST || size > self.max_bytes {
            return;
        }
        let mut freed = Vec::new();
        let mut guard = lock(&self.kept);
        let kept = &mut *guard;
        kept.returned += 1;
        if kept.returned == PERIOD {
            kept.returned = 0;
            freed.extend(kept.buffers.drain(..mem::take(&mut kept.unused)));
            kept.bytes -= freed.iter().map(Vec::capacity).sum::<usize>();
            kept.unused = kept.buffers.len();
        }
        if kept.bytes + size <= self.max_bytes {
            kept.bytes += size;
            kept.buffers.push(buffer);
        }
        drop(guard); // before memory is freed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer(size: usize) -> Vec<u8> {
        Vec::with_capacity(size)
    }

    fn kept(pool: &Buffers) -> (usize, usize) {
        let kept = lock(&pool.kept);
        assert_eq!(kept.bytes, kept.buffers.iter().map(Vec::capacity).sum::<usize>());
        (kept.buffers.len(), kept.bytes)
    }

    #[test]
    fn a_returned_buffer_is_taken_again() {
        let pool = Buffers::new(32 << 20);
        assert_eq!(pool.take().capacity(), 0);
        let buffer = buffer(16 << 10);
        let address = buffer.as_ptr();
        pool.put(buffer);
        let taken = pool.take();
        assert_eq!(taken.as_ptr(), address);
        assert_eq!((pool.take().capacity(), kept(&pool)), (0, (0, 0)));
    }

    #[test]
    fn no_more_than_the_limit_is_kept() {
        for (buffer_memory, limit) in [(32 << 20, MAX_BYTES), (1 << 20, 256 << 10), (0, 0)] {
            let pool = Buffers::new(buffer_memory);
            for size in (0..1_000).map(|at| if at % 3 == 0 { 1 << 20 } else { 3_000 + at }) {
                pool.put(buffer(size));
                assert!(kept(&pool).1 <= limit);
            }
            assert!(limit == 0 || kept(&pool).1 > limit - (4 << 10), "{limit} {:?}", kept(&pool));
            pool.put(buffer(SMALLEST - 1));
            pool.put(buffer(limit + 1));
        }
    }

    #[test]
    fn buffers_that_are_not_needed_are_freed() {
        let pool = Buffers::new(32 << 20);
        (0..20).for_each(|_| pool.put(buffer(100 << 10)));
        // From now on three are in use at a time, which are smaller.
        for _ in 0..PERIOD {
            let taken = [(); 3].map(|()| pool.take());
            taken.into_iter().for_each(|_| pool.put(buffer(2_000)));
        }
        let (count, bytes) = kept(&pool);
        assert!(count == 3 && bytes < 10_000, "{count} buffers of {bytes} bytes");
    }
}
