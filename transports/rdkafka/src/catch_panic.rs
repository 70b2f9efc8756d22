//! Calls to foreign code, such as wakers and loggers, that may panic. A panic must not end the delivery report thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

/// Calls `callback` and discards a panic, which the panic hook has reported by then. Our own state must be consistent before.
pub(crate) fn catch_panic(callback: impl FnOnce()) {
    drop(catch_unwind(AssertUnwindSafe(callback)));
}

/// Wakes a task; the waker may panic.
pub(crate) fn wake(waker: Waker) {
    catch_panic(|| waker.wake());
}
