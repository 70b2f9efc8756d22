//! What the futures of a producer wait for: the outcome of an accepted batch, and the end of a flush.

use kafka_batch_core::{
    Delivery, DeliveryError, FailureReason, Fate, FlushError, FlushErrorReason, SealedBatch, TopicPartition,
};

use crate::oneshot::{OnDrop, Sender};

/// The outcome of a batch.
pub(crate) type BatchOutcome = Result<Delivery, DeliveryError>;
/// The outcome of a flush or close.
pub(crate) type Flushed = Result<(), FlushError>;

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
    type Outcome = BatchOutcome;

    fn on_drop(self) -> BatchOutcome {
        let reason = FailureReason::Stopped;
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
    type Outcome = Flushed;

    fn on_drop(self) -> Flushed {
        Err(FlushError::new(0, FlushErrorReason::Stopped))
    }
}

impl Sender<Accepted> {
    /// Takes the batch and its destination out. `None` after the first call.
    pub(crate) fn take_batch(&mut self) -> Option<(SealedBatch, TopicPartition)> {
        let accepted = self.subject_mut()?;
        Some((accepted.batch.take()?, accepted.to.clone()))
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use kafka_batch_core::{KafkaBatch, Record};

    use super::*;
    use crate::oneshot::Slot;

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
            assert_eq!(error.remainder().is_err(), is_taken);
            assert!(matches!(error.reason, FailureReason::Stopped));
        }
        let (sender, receiver) = Sender::new(FlushOrClose);
        drop(sender);
        assert!(
            matches!(taken(&receiver), Poll::Ready(Err(error)) if matches!(error.reason, FlushErrorReason::Stopped))
        );
    }

    #[test]
    fn a_sender_that_has_sent_sends_nothing_on_drop() {
        let (sender, receiver) = Sender::new(FlushOrClose);
        sender.send(Ok(()));
        assert!(matches!(taken(&receiver), Poll::Ready(Ok(()))));
        assert!(taken(&receiver).is_pending());
    }
}
