//! An executor for one future, as strict as the contract of `Future::poll` allows: each poll has a waker of its own, and those
//! of earlier polls wake nothing.

use std::future::{Future, poll_fn};
use std::panic::resume_unwind;
use std::pin::pin;
use std::sync::Arc;
// Not that of `shuttle`: what a waker does is one step.
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// The waker of one poll.
struct PollWaker {
    /// The number of this poll.
    poll: usize,
    /// The number of the last poll.
    last: Arc<AtomicUsize>,
    task: Waker,
}

impl Wake for PollWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.last.load(Ordering::Relaxed) == self.poll {
            self.task.wake_by_ref();
        }
    }
}

/// Polls a future until it is ready.
pub(super) fn block_on<F: Future>(future: F) -> F::Output {
    poll_at_most(usize::MAX, future).expect("it was polled until it was ready")
}

/// Polls a future whenever it is woken, and drops it after `polls` polls.
pub(super) fn poll_at_most<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    if polls == 0 {
        return None;
    }
    let mut future = pin!(future);
    let last = Arc::new(AtomicUsize::new(0));
    let output = poll_fn(|context| {
        let poll = last.fetch_add(1, Ordering::Relaxed) + 1;
        let waker = PollWaker { poll, last: Arc::clone(&last), task: context.waker().clone() };
        match future.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::new(waker)))) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if poll == polls => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    });
    shuttle::future::block_on(output)
}

/// Polls a future once, with a waker that panics.
pub(super) fn poll_with_panicking_waker<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(&Waker::from(Arc::new(Panicking))))
}

struct Panicking;

impl Wake for Panicking {
    fn wake(self: Arc<Self>) {
        resume_unwind(Box::new("a waker panics")); // without the panic hook, which reports a failed schedule
    }
}
