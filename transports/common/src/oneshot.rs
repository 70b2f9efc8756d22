//! A oneshot channel: the driver sends one value, and a future of any runtime receives it.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::sync::{Mutex, lock, wake};

/// The shared state of a oneshot channel: holds one value, and the waker of the one future that waits for it.
#[derive(Debug)]
pub struct Slot<T>(Mutex<Inner<T>>);

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[derive(Debug)]
struct Inner<T> {
    value: Option<T>,
    /// The waker of the last poll, which is the only one that has to be woken.
    waker: Option<Waker>,
}

impl<T> Slot<T> {
    /// Returns an empty slot.
    #[must_use]
    pub const fn new() -> Self {
        Self(Mutex::new(Inner { value: None, waker: None }))
    }

    /// Stores the value, and wakes the waiting task, after the lock is released because a waker is foreign code.
    pub fn fill(&self, value: T) {
        let mut inner = lock(&self.0);
        inner.value = Some(value);
        let waker = inner.waker.take();
        drop(inner);
        waker.into_iter().for_each(wake);
    }

    /// Takes the value out. Pending while there is none.
    pub fn poll_take(&self, context: &Context<'_>) -> Poll<T> {
        let mut inner = lock(&self.0);
        if let Some(value) = inner.value.take() {
            return Poll::Ready(value);
        }
        match &mut inner.waker {
            Some(waker) => waker.clone_from(context.waker()),
            waker @ None => *waker = Some(context.waker().clone()),
        }
        Poll::Pending
    }
}

/// The receiving side.
#[derive(Debug)]
pub(crate) struct Receiver<T>(Arc<Slot<T>>);

impl<T> Receiver<T> {
    /// Returns the value that was sent. Pending until then.
    pub(crate) fn poll_take(&self, context: &Context<'_>) -> Poll<T> {
        self.0.poll_take(context)
    }

    #[cfg(all(test, kafka_batch_shuttle))]
    pub(crate) fn slot(&self) -> std::sync::Weak<Slot<T>> {
        Arc::downgrade(&self.0)
    }
}

/// What a sender owns until it sends, such as a batch. Determines the value that is sent if the sender is dropped.
pub(crate) trait DropOutcome {
    type Outcome;

    /// Returns the value to send when the sender is dropped unused.
    fn drop_outcome(self) -> Self::Outcome;
}

/// The sending side. If it is dropped without sending, the receiver gets the value of [`DropOutcome`].
#[derive(Debug)]
pub(crate) struct Sender<S: DropOutcome>(Option<(Arc<Slot<S::Outcome>>, S)>);

impl<S: DropOutcome> Sender<S> {
    /// Creates a channel. The sender owns `subject` until it sends.
    pub(crate) fn new(subject: S) -> (Self, Receiver<S::Outcome>) {
        let slot = Arc::new(Slot::new());
        (Self(Some((Arc::clone(&slot), subject))), Receiver(slot))
    }

    /// Replaces what the sender owns. Returns what is left of it.
    pub(crate) fn advance<N, R>(mut self, advance: impl FnOnce(S) -> (N, R)) -> (Sender<N>, Option<R>)
    where
        N: DropOutcome<Outcome = S::Outcome>,
    {
        match self.0.take() {
            Some((slot, subject)) => {
                let (next, rest) = advance(subject);
                (Sender(Some((slot, next))), Some(rest))
            }
            None => (Sender(None), None),
        }
    }

    pub(crate) fn send(mut self, outcome: S::Outcome) {
        if let Some((slot, _)) = self.0.take() {
            slot.fill(outcome);
        }
    }
}

impl<S: DropOutcome> Drop for Sender<S> {
    fn drop(&mut self) {
        if let Some((slot, subject)) = self.0.take() {
            slot.fill(subject.drop_outcome());
        }
    }
}
