//! The driver's side of a slot: whoever waits there is answered, whatever becomes of the driver.

use std::sync::Arc;

use kafka_batch_core::{DeliveryError, FailureReason, Fate, FlushError, KafkaBatch, TopicPartition};

use crate::desk::{Answer, Flushed};
use crate::error::Stopped;
use crate::slot::Slot;

/// What a promise is about, and what is answered when nobody keeps it.
pub(crate) trait Matter {
    type Answer;

    fn broken(self) -> Self::Answer;
}

/// A batch: nothing is known of it, not even its records.
impl Matter for TopicPartition {
    type Answer = Answer;

    fn broken(self) -> Answer {
        let reason = FailureReason::Transport(Box::new(Stopped));
        Err(DeliveryError::new(self, reason, Fate::Unknown, KafkaBatch::new(0)))
    }
}

/// All that was accepted before: a flush, or the closing.
#[derive(Debug)]
pub(crate) struct Everything;

impl Matter for Everything {
    type Answer = Flushed;

    fn broken(self) -> Flushed {
        Err(FlushError::new(0, Stopped))
    }
}

/// To fill a slot. One that is dropped before says that the driver stopped.
#[derive(Debug)]
pub(crate) struct Promise<M: Matter>(Option<(Arc<Slot<M::Answer>>, M)>);

impl<M: Matter> Promise<M> {
    /// The promise, and where it will be kept.
    pub(crate) fn new(matter: M) -> (Self, Arc<Slot<M::Answer>>) {
        let slot = Arc::new(Slot::new());
        (Self(Some((Arc::clone(&slot), matter))), slot)
    }

    pub(crate) fn keep(mut self, answer: M::Answer) {
        if let Some((slot, _)) = self.0.take() {
            slot.fill(answer);
        }
    }
}

impl Promise<TopicPartition> {
    /// Where the batch is to go.
    pub(crate) fn to(&self) -> TopicPartition {
        self.0.as_ref().expect("keeping it takes it").1.clone()
    }
}

impl<M: Matter> Drop for Promise<M> {
    fn drop(&mut self) {
        if let Some((slot, matter)) = self.0.take() {
            slot.fill(matter.broken());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn taken<T>(slot: &Slot<T>) -> Poll<T> {
        slot.poll_take(&Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_promise_that_is_dropped_says_that_the_driver_stopped() {
        let (promise, slot) = Promise::new(TopicPartition::new("t", 3));
        assert!(taken(&slot).is_pending());
        drop(promise);
        let Poll::Ready(Err(error)) = taken(&slot) else { panic!("it is answered") };
        assert_eq!((&error.to, error.fate()), (&TopicPartition::new("t", 3), Some(Fate::Unknown)));
        assert!(matches!(error.reason, FailureReason::Transport(why) if why.is::<Stopped>()));
        let (promise, slot) = Promise::new(Everything);
        drop(promise);
        assert!(matches!(taken(&slot), Poll::Ready(Err(error)) if error.reason.is::<Stopped>()));
    }

    #[test]
    fn a_promise_that_was_kept_says_nothing_more() {
        let (promise, slot) = Promise::new(Everything);
        promise.keep(Ok(()));
        assert!(matches!(taken(&slot), Poll::Ready(Ok(()))));
        assert!(taken(&slot).is_pending());
    }
}
