//! Code of others that is called from here, and may panic: the thread for delivery reports is everyone's, and goes on.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

/// Runs it to its end, or to its panic, which the panic hook has told of by then. Nothing of ours may be half done in it.
pub(crate) fn catch_panic(callback: impl FnOnce()) {
    drop(catch_unwind(AssertUnwindSafe(callback)));
}

/// Wakes a task whose runtime may not have it.
pub(crate) fn wake(waker: Waker) {
    catch_panic(|| waker.wake());
}
