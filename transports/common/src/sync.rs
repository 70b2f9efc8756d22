//! The locks and atomics of producer handles, and the calls of wakers. Locks and atomics are those of `std`; where the
//! explorations are built, those of `shuttle`, which decides at each use of one which thread continues.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::PoisonError;
use std::task::Waker;

#[cfg(not(all(test, kafka_batch_shuttle)))]
pub(crate) use std::sync::{Mutex, MutexGuard, OnceLock, atomic};

#[cfg(all(test, kafka_batch_shuttle))]
pub(crate) use shuttle::sync::{Mutex, MutexGuard, atomic};

#[cfg(all(test, kafka_batch_shuttle))]
pub(crate) use crate::exploration::once_lock::OnceLock;

/// Locks a mutex, and ignores that it is poisoned: every critical section of this crate keeps the guarded value consistent
/// at each of its steps, so it is usable after a panic.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Wakes a task. A waker is foreign code and may panic; the panic is caught, so that other tasks are still woken, and has
/// been reported by the panic hook.
pub fn wake(waker: Waker) {
    drop(catch_unwind(AssertUnwindSafe(|| waker.wake())));
}

/// Wakes several tasks, as [`wake`] does with each.
pub(crate) fn wake_all(wakers: impl IntoIterator<Item = Waker>) {
    let mut left = wakers.into_iter();
    // A panic ends the call in which it occurs, and the next call continues after it.
    while catch_unwind(AssertUnwindSafe(|| left.by_ref().for_each(Waker::wake))).is_err() {}
}
