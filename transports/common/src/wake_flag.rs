//! Wakes the task of a driver, and remembers what for: so that a task with many sockets touches only those that have news.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};

use crate::slot::lock;

/// The waker of the task, which its bells share.
#[derive(Clone, Debug)]
pub(crate) struct Task(Arc<Mutex<Waker>>);

impl Task {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Waker::noop().clone())))
    }

    /// It is polled with this waker now. To be said before any bell is answered: what rang for the waker before is seen
    /// then.
    pub(crate) fn is_polled_with(&self, waker: &Waker) {
        lock(&self.0).clone_from(waker);
    }
}

/// The bell of one side of one connection. It has rung when it is made: nobody has looked there yet.
#[derive(Debug)]
pub(crate) struct WakeFlag {
    inside: Arc<Inside>,
    waker: Waker,
}

#[derive(Debug)]
struct Inside {
    rung: AtomicBool,
    task: Task,
}

impl WakeFlag {
    pub(crate) fn new(task: &Task) -> Self {
        let inside = Arc::new(Inside { rung: AtomicBool::new(true), task: task.clone() });
        Self { waker: Waker::from(Arc::clone(&inside)), inside }
    }

    /// There is something to do here, and the task is awake.
    pub(crate) fn ring(&self) {
        self.inside.rung.store(true, Ordering::Release);
    }

    /// Whether it has rung since it was answered last.
    pub(crate) fn answer(&self) -> bool {
        self.inside.rung.swap(false, Ordering::AcqRel)
    }

    /// What it rings for is waited for with this.
    pub(crate) fn context(&self) -> Context<'_> {
        Context::from_waker(&self.waker)
    }
}

impl Wake for Inside {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        let task = lock(&self.task.0).clone();
        task.wake();
    }
}
