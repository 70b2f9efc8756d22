//! A `OnceLock` before whose operations the schedule can change threads. `shuttle` has none.

use super::super::sync::atomic::{AtomicBool, Ordering};

/// As [`std::sync::OnceLock`].
#[derive(Debug)]
pub(crate) struct OnceLock<T> {
    value: std::sync::OnceLock<T>,
    /// Loaded only so that another thread can continue.
    point: AtomicBool,
}

impl<T> OnceLock<T> {
    pub(crate) const fn new() -> Self {
        Self { value: std::sync::OnceLock::new(), point: AtomicBool::new(false) }
    }

    pub(crate) fn get(&self) -> Option<&T> {
        self.point.load(Ordering::SeqCst);
        self.value.get()
    }

    pub(crate) fn set(&self, value: T) -> Result<(), T> {
        self.point.load(Ordering::SeqCst);
        self.value.set(value)
    }
}
