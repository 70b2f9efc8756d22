//! Fills a batch, seals it and reads it back, in a program that does not link `std`: it has its own allocator and panic
//! handler, and uses only the C library, which calls `main`.
//!
//! If `std` were linked, by core or by a dependency of core, its panic handler would conflict with the one
//! below, and this program would not compile (E0152; try `--features kafka-batch-core/std`). The exit status is 0 if
//! the records read equal the records written.
#![no_std]
#![no_main]

use core::alloc::{GlobalAlloc, Layout};
use core::ffi::c_int;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicUsize, Ordering};

use kafka_batch_core::batch::Stamp;
use kafka_batch_core::decode::{DEFAULT_MAX_DECOMPRESSED, RecordBatches};
use kafka_batch_core::{Append, Header, KafkaBatch, Magic, Record, Timestamp};

#[link(name = "c")]
unsafe extern "C" {
    fn abort() -> !;
}

/// Allocates consecutive pieces of a fixed arena, and frees none.
struct Arena;

const ARENA_LEN: usize = 1 << 20;

#[repr(align(64))]
struct Memory(core::cell::UnsafeCell<[u8; ARENA_LEN]>);

// SAFETY: every byte is allocated at most once, by the atomic counter below.
unsafe impl Sync for Memory {}

static MEMORY: Memory = Memory(core::cell::UnsafeCell::new([0; ARENA_LEN]));
static USED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: pieces do not overlap, lie within the arena, and are aligned as requested (the arena is aligned to 64).
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let room = layout.size() + layout.align();
        let start = USED.fetch_add(room, Ordering::Relaxed);
        if layout.align() > 64 || start + room > ARENA_LEN {
            return core::ptr::null_mut();
        }
        let aligned = start.next_multiple_of(layout.align());
        // SAFETY: `aligned + size` is at most `start + room`, which is within the arena.
        unsafe { MEMORY.0.get().cast::<u8>().add(aligned) }
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static ALLOCATOR: Arena = Arena;

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    // SAFETY: the C library's own; it does not return.
    unsafe { abort() }
}

/// The compiled `alloc` refers to the unwinding routine of `std`. Nothing unwinds here, so it is never called.
#[unsafe(no_mangle)]
const extern "C" fn rust_eh_personality() {}

#[unsafe(no_mangle)]
extern "C" fn main(_argc: c_int, _argv: *const *const u8) -> c_int {
    match round_trip() {
        Some(()) => 0,
        None => 1,
    }
}

/// Returns `None` if anything is not as expected.
fn round_trip() -> Option<()> {
    let headers = [Header::new("unit", "celsius"), Header::null("unit")];
    let record = Record::new("21.5").key("sensor-7").headers(&headers);
    let mut batch = KafkaBatch::new(Timestamp::from_millis(1_700_000_000_000));
    for _ in 0..100 {
        let Ok(Append::Appended(_)) = batch.append(record) else { return None };
    }
    let stamped = batch.seal().ok()?.stamp(Stamp::default().producer(4711, 1, 0)).ok()?;

    let mut batches = RecordBatches::new(stamped.bytes());
    let batch = batches.next()?.ok()?;
    let records = batch.records(DEFAULT_MAX_DECOMPRESSED).ok()?;
    let same = records.iter().filter(|read| {
        read.as_ref()
            .is_ok_and(|read| (read.key, read.value) == (record.key, record.value) && read.headers == record.headers)
    });
    (batch.magic() == Magic::V2 && same.count() == 100 && batches.next().is_none()).then_some(())
}
