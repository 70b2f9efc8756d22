//! A value that one thread will have later, and that a future of any runtime waits for.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Locks, and goes on where a thread panicked with the lock held: every critical section of this crate leaves what it
/// guards whole at each of its steps.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Wakes a task. A waker is foreign code, and may panic: then others are woken all the same, and the panic hook has told of it.
pub(crate) fn wake(waker: Waker) {
    drop(catch_unwind(AssertUnwindSafe(|| waker.wake())));
}

/// Where the value is put, once, and where one future waits for it.
#[derive(Debug)]
pub struct Slot<T>(Mutex<Inside<T>>);

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[derive(Debug)]
struct Inside<T> {
    value: Option<T>,
    /// The last one that the future was polled with: the only one that has to be woken.
    waiting: Option<Waker>,
}

impl<T> Slot<T> {
    /// Nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(Mutex::new(Inside { value: None, waiting: None }))
    }

    /// Puts the value there, and wakes who waits: without the lock, because a waker is foreign code.
    pub fn fill(&self, value: T) {
        let mut inside = lock(&self.0);
        inside.value = Some(value);
        let waiting = inside.waiting.take();
        drop(inside);
        waiting.into_iter().for_each(wake);
    }

    /// Takes the value out.
    pub fn poll_take(&self, context: &Context<'_>) -> Poll<T> {
        let mut inside = lock(&self.0);
        if let Some(value) = inside.value.take() {
            return Poll::Ready(value);
        }
        match &mut inside.waiting {
            Some(waiting) => waiting.clone_from(context.waker()),
            waiting @ None => *waiting = Some(context.waker().clone()),
        }
        Poll::Pending
    }
}
