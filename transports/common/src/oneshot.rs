//! A oneshot channel: the driver sends one value, and a future of any runtime receives it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use kafka_batch_core::{DeliveryError, FailureReason, Fate, FlushError, SealedBatch, TopicPartition};

use crate::command_queue::{Answer, Flushed};
use crate::error::Stopped;

/// Locks a mutex, and ignores that it is poisoned: every critical section of this crate keeps the guarded value consistent
/// at each of its steps, so it is usable after a panic.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Wakes a task. A waker is foreign code and may panic; the panic is caught, so that other tasks are still woken, and has
/// been reported by the panic hook.
pub(crate) fn wake(waker: Waker) {
    drop(catch_unwind(AssertUnwindSafe(|| waker.wake())));
}

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
    type Answer;

    /// Returns the value to send when the sender is dropped unused.
    fn on_drop(self) -> Self::Answer;
}

/// An accepted batch. Holds the batch until the machine takes it.
#[derive(Debug)]
pub(crate) struct Accepted {
    to: TopicPartition,
    record_count: usize,
    batch: Option<SealedBatch>,
}

impl Accepted {
    pub(crate) fn new(batch: SealedBatch, to: TopicPartition) -> Self {
        Self { to, record_count: batch.record_count(), batch: Some(batch) }
    }
}

/// A batch that the machine has not taken is not written. The fate of one that it has taken and not returned is unknown.
impl OnDrop for Accepted {
    type Answer = Answer;

    fn on_drop(self) -> Answer {
        let reason = FailureReason::Transport(Box::new(Stopped));
        let Self { to, record_count, batch } = self;
        Err(match batch {
            Some(batch) => DeliveryError::new(to, reason, Fate::NotWritten, batch.into_batch()),
            None => DeliveryError::without_batch(to, reason, Fate::Unknown, record_count),
        })
    }
}

/// A flush or close, which waits for all batches that were accepted before.
#[derive(Debug)]
pub(crate) struct FlushOrClose;

impl OnDrop for FlushOrClose {
    type Answer = Flushed;

    fn on_drop(self) -> Flushed {
        Err(FlushError::new(0, Stopped))
    }
}

/// The sending side. If it is dropped without sending, the receiver gets the error that the driver has stopped.
#[derive(Debug)]
pub(crate) struct Sender<S: OnDrop>(Option<(Arc<Slot<S::Answer>>, S)>);

impl<S: OnDrop> Sender<S> {
    /// Makes a channel.
    pub(crate) fn new(subject: S) -> (Self, Receiver<S::Answer>) {
        let slot = Arc::new(Slot::new());
        (Self(Some((Arc::clone(&slot), subject))), slot)
    }

    pub(crate) fn send(mut self, answer: S::Answer) {
        if let Some((slot, _)) = self.0.take() {
            slot.fill(answer);
        }
    }
}

impl Sender<Accepted> {
    /// Takes the batch and its destination out. `None` after the first call.
    pub(crate) fn take_batch(&mut self) -> Option<(SealedBatch, TopicPartition)> {
        let (_, accepted) = self.0.as_mut()?;
        Some((accepted.batch.take()?, accepted.to.clone()))
    }
}

impl<S: OnDrop> Drop for Sender<S> {
    fn drop(&mut self) {
        if let Some((slot, subject)) = self.0.take() {
            slot.fill(subject.on_drop());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_batch_core::{KafkaBatch, Record};

    fn taken<T>(slot: &Slot<T>) -> Poll<T> {
        slot.poll_take(&Context::from_waker(Waker::noop()))
    }

    fn accepted() -> Accepted {
        let mut batch = KafkaBatch::new(0);
        batch.extend([Record::new("x"), Record::new("y")]).unwrap();
        Accepted::new(batch.seal().unwrap(), TopicPartition::new("t", 3))
    }

    #[test]
    fn a_dropped_sender_sends_that_the_driver_stopped() {
        for is_taken in [false, true] {
            let (mut sender, receiver) = Sender::new(accepted());
            assert!(taken(&receiver).is_pending());
            if is_taken {
                assert!(sender.take_batch().is_some() && sender.take_batch().is_none());
            }
            drop(sender);
            let Poll::Ready(Err(error)) = taken(&receiver) else { panic!("nothing was sent on drop") };
            let fate = if is_taken { Fate::Unknown } else { Fate::NotWritten };
            assert_eq!((&error.to, error.fate()), (&TopicPartition::new("t", 3), Some(fate)));
            assert_eq!((error.record_count(), error.batch.is_none()), (2, is_taken), "a lost batch is not empty");
            assert_eq!(error.good_remainder().is_err(), is_taken);
            assert!(matches!(error.reason, FailureReason::Transport(why) if why.is::<Stopped>()));
        }
        let (sender, receiver) = Sender::new(FlushOrClose);
        drop(sender);
        assert!(matches!(taken(&receiver), Poll::Ready(Err(error)) if error.reason.is::<Stopped>()));
    }

    #[test]
    fn a_sender_that_has_sent_sends_nothing_on_drop() {
        let (sender, receiver) = Sender::new(FlushOrClose);
        sender.send(Ok(()));
        assert!(matches!(taken(&receiver), Poll::Ready(Ok(()))));
        assert!(taken(&receiver).is_pending());
    }
}
