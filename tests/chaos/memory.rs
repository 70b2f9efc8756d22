//! The memory of this process: allocated bytes, counted, and resident bytes, from the kernel.

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The system's allocator, which counts the allocated bytes.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static COUNTING: Counting = Counting;

fn grown(bytes: usize) {
    let live = LIVE.fetch_add(bytes, Relaxed) + bytes;
    PEAK.fetch_max(live, Relaxed);
}

// SAFETY: it forwards to the system's allocator, and only counts besides.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        // SAFETY: the caller upholds the same contract, here and below.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        grown(size);
        LIVE.fetch_sub(layout.size(), Relaxed);
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(memory, layout) }
    }
}

/// Returns the bytes of the heap in use, without those of librdkafka, which is C.
pub(crate) fn live() -> usize {
    LIVE.load(Relaxed)
}

/// Returns the maximum in use since [`forget_peak`].
pub(crate) fn peak() -> usize {
    PEAK.load(Relaxed)
}

pub(crate) fn forget_peak() {
    PEAK.store(live(), Relaxed);
}

/// Returns the resident bytes, as the kernel counts them: they may include freed ones, and librdkafka's.
pub(crate) fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("this test needs Linux's /proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    let kibibytes: usize = line.trim().trim_end_matches(" kB").parse().expect("a number of kB");
    kibibytes * 1024
}

#[test]
fn both_counts_include_an_allocation() {
    const BYTES: usize = 256 << 20; // so large that allocations of other tests do not matter
    let before = live();
    let mut used = vec![0_u8; BYTES];
    used.fill(1);
    assert!(live() >= before + BYTES - (32 << 20) && peak() >= BYTES && resident() >= BYTES);
    drop(used);
    assert!(live() < before + BYTES / 2);
}
