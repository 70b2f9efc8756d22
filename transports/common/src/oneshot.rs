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
pub(crate) type Receiver<T> = Arc<Slot<T>>;

/// The subject of a channel. Determines the value that is sent if the sender is dropped.
pub(crate) trait OnDrop {
    type Outcome;

    /// Returns the value to send when the sender is dropped unused.
    fn on_drop(self) -> Self::Outcome;
}

/// The sending side. If it is dropped without sending, the receiver gets the value of [`OnDrop`].
#[derive(Debug)]
pub(crate) struct Sender<S: OnDrop>(Option<(Arc<Slot<S::Outcome>>, S)>);

impl<S: OnDrop> Sender<S> {
    /// Makes a channel.
    pub(crate) fn new(subject: S) -> (Self, Receiver<S::Outcome>) {
        let slot = Arc::new(Slot::new());
        (Self(Some((Arc::clone(&slot), subject))), slot)
    }

    /// Replaces the subject. Returns what is left of the previous one.
    pub(crate) fn advance<N, R>(mut self, advance: impl FnOnce(S) -> (N, R)) -> (Sender<N>, Option<R>)
    where
        N: OnDrop<Outcome = S::Outcome>,
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

impl<S: OnDrop> Drop for Sender<S> {
    fn drop(&mut self) {
        if let Some((slot, subject)) = self.0.take() {
            slot.fill(subject.on_drop());
        }
    }
}
