//! Calls to foreign code, such as loggers, that may panic. A panic must not end the delivery report thread.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Calls `callback` and discards a panic, which the panic hook has reported by then. Our own state must be consistent before.
pub(crate) fn catch_panic(callback: impl FnOnce()) {
    drop(catch_unwind(AssertUnwindSafe(callback)));
}
