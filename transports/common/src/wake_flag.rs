//! Wakers that record which socket they were called for, so that a task with many sockets polls only those with events.

use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, lock};

/// The current waker of the driver's task, shared by all flags.
#[derive(Clone, Debug)]
pub(crate) struct TaskWaker(Arc<Mutex<Waker>>);

impl TaskWaker {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Waker::noop().clone())))
    }

    /// Registers the waker of the current poll. Call it before any flag is taken: a flag that is set while the previous
    /// waker was registered is then seen in this poll, and one that is set later wakes this waker.
    pub(crate) fn register(&self, waker: &Waker) {
        lock(&self.0).clone_from(waker);
    }
}

/// The flag of one direction of one connection. It is initially set, because the direction has not been polled yet.
#[derive(Debug)]
pub(crate) struct WakeFlag {
    shared: Arc<Shared>,
    waker: Waker,
}

#[derive(Debug)]
struct Shared {
    is_set: AtomicBool,
    task: TaskWaker,
}

impl WakeFlag {
    pub(crate) fn new(task: &TaskWaker) -> Self {
        let shared = Arc::new(Shared { is_set: AtomicBool::new(true), task: task.clone() });
        Self { waker: Waker::from(Arc::clone(&shared)), shared }
    }

    /// Sets the flag without waking the task. For use on the task itself.
    pub(crate) fn set(&self) {
        self.shared.is_set.store(true, Ordering::Release);
    }

    /// Clears the flag. Returns whether it was set.
    pub(crate) fn take(&self) -> bool {
        self.shared.is_set.swap(false, Ordering::AcqRel)
    }

    /// Returns a context whose waker sets the flag and wakes the task.
    pub(crate) fn context(&self) -> Context<'_> {
        Context::from_waker(&self.waker)
    }
}

impl Wake for Shared {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_set.store(true, Ordering::Release);
        let task = lock(&self.task.0).clone();
        task.wake();
    }
}
