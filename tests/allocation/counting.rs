//! An allocator that counts.
//!
//! It is written here because it has to count per thread: tests run in parallel, and the existing crates count for the whole
//! process.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;

struct Counting;

thread_local! {
    static TAKEN: Cell<Taken> = const { Cell::new(Taken { times: 0, bytes: 0 }) };
}

/// The allocations of a piece of code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) times: usize,
    pub(crate) bytes: usize,
}

fn count(bytes: usize) {
    // A thread that is ending has no counter.
    let _ = TAKEN.try_with(|taken| {
        let before = taken.get();
        taken.set(Taken { times: before.times + 1, bytes: before.bytes + bytes });
    });
}

// SAFETY: every call is forwarded to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller upholds the same contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        // SAFETY: as above.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Returns the result of `run`, and its allocations.
pub(crate) fn counted<T>(run: impl FnOnce() -> T) -> (T, Taken) {
    let before = TAKEN.get();
    let result = black_box(run());
    let after = TAKEN.get();
    (result, Taken { times: after.times - before.times, bytes: after.bytes - before.bytes })
}
