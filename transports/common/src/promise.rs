//! The driver's side of a slot: whoever waits there is answered, whatever becomes of the driver.

use std::sync::Arc;

use kafka_batch_core::{DeliveryError, FailureReason, Fate, FlushError, SealedBatch, TopicPartition};

use crate::command_queue::{Answer, Flushed};
use crate::error::Stopped;
use crate::slot::Slot;

/// What a promise is about, and what is answered when nobody keeps it.
pub(crate) trait Matter {
    type Answer;

    fn broken(self) -> Self::Answer;
}

/// A batch that was accepted. It stays here until the machine takes it.
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

/// What the machine never had is not written. Of what it had, and has not given back, nothing is known.
impl Matter for Accepted {
    type Answer = Answer;

    fn broken(self) -> Answer {
        let reason = FailureReason::Transport(Box::new(Stopped));
        let Self { to, record_count, batch } = self;
        Err(match batch {
            Some(batch) => DeliveryError::new(to, reason, Fate::NotWritten, batch.into_batch()),
            None => DeliveryError::without_batch(to, reason, Fate::Unknown, record_count),
        })
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

impl Promise<Accepted> {
    /// Takes the batch out, once, and where it is to go.
    pub(crate) fn take_batch(&mut self) -> Option<(SealedBatch, TopicPartition)> {
        let (_, accepted) = self.0.as_mut()?;
        Some((accepted.batch.take()?, accepted.to.clone()))
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
    fn a_promise_that_is_dropped_says_that_the_driver_stopped() {
        for is_taken in [false, true] {
            let (mut promise, slot) = Promise::new(accepted());
            assert!(taken(&slot).is_pending());
            if is_taken {
                assert!(promise.take_batch().is_some() && promise.take_batch().is_none());
            }
            drop(promise);
            let Poll::Ready(Err(error)) = taken(&slot) else { panic!("it is answered") };
            let fate = if is_taken { Fate::Unknown } else { Fate::NotWritten };
            assert_eq!((&error.to, error.fate()), (&TopicPartition::new("t", 3), Some(fate)));
            assert_eq!((error.record_count(), error.batch.is_none()), (2, is_taken), "what is not there is not empty");
            assert_eq!(error.good_remainder().is_err(), is_taken);
            assert!(matches!(error.reason, FailureReason::Transport(why) if why.is::<Stopped>()));
        }
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
