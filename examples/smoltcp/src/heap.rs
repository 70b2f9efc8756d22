//! The allocator: a fixed arena, which counts what is in use.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr::{self, NonNull};

use linked_list_allocator::Heap;

/// Far more than this program needs; its peak is printed.
const ARENA: usize = 1 << 20;

#[repr(align(64))]
struct Arena(UnsafeCell<[u8; ARENA]>);

// SAFETY: this program has one thread.
unsafe impl Sync for Arena {}

static MEMORY: Arena = Arena(UnsafeCell::new([0; ARENA]));

struct State {
    heap: Heap,
    is_initialized: bool,
    peak: usize,
}

pub struct CountingHeap(UnsafeCell<State>);

// SAFETY: this program has one thread.
unsafe impl Sync for CountingHeap {}

impl CountingHeap {
    pub const fn new() -> Self {
        Self(UnsafeCell::new(State { heap: Heap::empty(), is_initialized: false, peak: 0 }))
    }

    /// Returns the bytes in use, and the most that were ever in use.
    pub fn used(&self) -> (usize, usize) {
        // SAFETY: this program has one thread, and no reference to the state is kept.
        let state = unsafe { &*self.0.get() };
        (state.heap.used(), state.peak)
    }
}

// SAFETY: the heap is used by one thread, and its arena by nothing else.
unsafe impl GlobalAlloc for CountingHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: this program has one thread, and allocating does not allocate.
        let state = unsafe { &mut *self.0.get() };
        if !state.is_initialized {
            state.is_initialized = true;
            // SAFETY: the arena is static, and used here only.
            unsafe { state.heap.init(MEMORY.0.get().cast(), ARENA) };
        }
        let allocated = state.heap.allocate_first_fit(layout);
        state.peak = state.peak.max(state.heap.used());
        allocated.map_or(ptr::null_mut(), NonNull::as_ptr)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above; the pointer is one that `alloc` has returned.
        unsafe {
            if let Some(pointer) = NonNull::new(pointer) {
                (*self.0.get()).heap.deallocate(pointer, layout);
            }
        }
    }
}
