//! Decides at run time which mutant is active, and records which mutants each test reaches.
//!
//! `MUTANT` is the number of the active mutant. If `MUTANT_REACHED` names a file instead, no mutant is active, and each thread
//! appends one line to it when it ends: its name, which is that of the test; how long it ran, in µs; and the numbers of the
//! mutants whose code it reached.
//!
//! Built with `RUSTC_BOOTSTRAP` (see `../rustc`), because only an intrinsic lets a `const fn` differ at run time.
#![feature(const_eval_select, core_intrinsics)]
#![allow(internal_features)]

use std::cell::Cell;
use std::ffi::{CStr, c_char};
use std::fs::File;
use std::io::Write;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Instant;

/// The numbers of mutants are below this.
const LIMIT: u32 = 64 * 64;
const NONE: u32 = LIMIT;
const RECORDING: u32 = LIMIT + 1;
const UNKNOWN: u32 = LIMIT + 2;

static ACTIVE: AtomicU32 = AtomicU32::new(UNKNOWN);

unsafe extern "C" {
    fn getenv(name: *const c_char) -> *const c_char;
}

/// Returns an environment variable without an allocation, which the suite `allocation` would count.
fn variable(name: &CStr) -> Option<&'static str> {
    // SAFETY: the name ends with a zero, and no test changes the environment while another one runs.
    let value = unsafe { getenv(name.as_ptr()) };
    if value.is_null() {
        return None;
    }
    // SAFETY: what `getenv` returns ends with a zero.
    unsafe { CStr::from_ptr(value) }.to_str().ok()
}

struct Reached {
    bits: [Cell<u64>; 64],
    begun: Instant,
}

impl Drop for Reached {
    fn drop(&mut self) {
        let thread = std::thread::current();
        let mut line = format!("{}\t{}\t", thread.name().unwrap_or(""), self.begun.elapsed().as_micros());
        for mutant in 0..LIMIT {
            if self.bits[mutant as usize / 64].get() >> (mutant % 64) & 1 == 1 {
                line += &format!("{mutant} ");
            }
        }
        line.push('\n');
        let path = variable(c"MUTANT_REACHED").expect("set, since this thread records");
        let mut file = File::options().append(true).create(true).open(path).expect("the file for what is reached");
        file.write_all(line.as_bytes()).expect("the file for what is reached");
    }
}

thread_local! {
    static REACHED: Reached = Reached { bits: [const { Cell::new(0) }; 64], begun: Instant::now() };
}

/// Returns true if this mutant is active, which at compile time none is.
pub const fn active(mutant: u32) -> bool {
    core::intrinsics::const_eval_select((mutant,), never, at_run_time)
}

const fn never(_: u32) -> bool {
    false
}

#[inline]
fn at_run_time(mutant: u32) -> bool {
    let active = ACTIVE.load(Relaxed);
    active == mutant || active > NONE && first_or_recorded(mutant)
}

#[cold]
fn first_or_recorded(mutant: u32) -> bool {
    if ACTIVE.load(Relaxed) == UNKNOWN {
        let active = match variable(c"MUTANT_REACHED") {
            Some(_) => RECORDING,
            None => variable(c"MUTANT").map_or(NONE, |number| number.parse().expect("MUTANT is a number")),
        };
        ACTIVE.store(active, Relaxed);
    }
    let active = ACTIVE.load(Relaxed);
    if active == RECORDING {
        // Fails in the destructors of other thread-local variables.
        let _ = REACHED.try_with(|reached| {
            let word = &reached.bits[mutant as usize / 64];
            word.set(word.get() | 1 << (mutant % 64));
        });
    }
    active == mutant
}
