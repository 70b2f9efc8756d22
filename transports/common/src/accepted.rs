//! The outcomes for which futures of a producer wait: of an accepted batch, and of a flush. A sender that is dropped sends
//! one, too.

use kafka_batch_core::{
    Delivery, DeliveryError, FailureReason, Fate, FlushError, FlushErrorReason, SealedBatch, TopicPartition,
};

use crate::observers::Observation;
use crate::oneshot::{DropOutcome, Sender};

/// The outcome of a batch.
pub(crate) type BatchOutcome = Result<Delivery, DeliveryError>;
/// The outcome of a flush or close.
pub(crate) type Flushed = Result<(), FlushError>;

/// An accepted batch that the machine has not taken.
#[derive(Debug)]
pub(crate) struct QueuedBatch {
    pub(crate) to: TopicPartition,
    pub(crate) batch: SealedBatch,
    observation: Observation,
}

impl QueuedBatch {
    pub(crate) const fn new(batch: SealedBatch, to: TopicPartition, observation: Observation) -> Self {
        Self { to, batch, observation }
    }
}

/// A batch that is dropped before the machine has taken it was not written.
impl DropOutcome for QueuedBatch {
    type Outcome = BatchOutcome;

    fn drop_outcome(self) -> BatchOutcome {
        let error = DeliveryError::new(self.to, FailureReason::Stopped, Fate::NotWritten, self.batch.into_batch());
        let outcome = Err(error);
        self.observation.complete(&outcome);
        outcome
    }
}

/// A batch that the machine has taken.
#[derive(Debug)]
pub(crate) struct TakenBatch {
    to: TopicPartition,
    record_count: usize,
}

/// A batch that the machine has taken and not returned is lost, and its fate is unknown.
impl DropOutcome for TakenBatch {
    type Outcome = BatchOutcome;

    fn drop_outcome(self) -> BatchOutcome {
        Err(DeliveryError::without_batch(self.to, FailureReason::Stopped, Fate::Unknown, self.record_count))
    }
}

/// A flush or close, which waits for all batches that were accepted before.
#[derive(Debug)]
pub(crate) struct FlushOrClose;

/// A flush that is dropped has ended early.
impl DropOutcome for FlushOrClose {
    type Outcome = Flushed;

    fn drop_outcome(self) -> Flushed {
        Err(FlushError::new(0, FlushErrorReason::Stopped))
    }
}

impl Sender<QueuedBatch> {
    /// Takes the batch, its destination and what observes it out, to be passed to the machine.
    pub(crate) fn take_batch(self) -> (Sender<TakenBatch>, Option<(SealedBatch, TopicPartition, Observation)>) {
        self.advance(|QueuedBatch { to, batch, observation }| {
            (TakenBatch { to: to.clone(), record_count: batch.record_count() }, (batch, to, observation))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use kafka_batch_core::{KafkaBatch, Record};

    use super::*;
    use crate::oneshot::Receiver;

    fn taken<T>(receiver: &Receiver<T>) -> Poll<T> {
        receiver.poll_take(&Context::from_waker(Waker::noop()))
    }

    fn accepted() -> QueuedBatch {
        let mut batch = KafkaBatch::new(0);
        batch.extend([Record::new("x"), Record::new("y")]).unwrap();
        QueuedBatch::new(batch.seal().unwrap(), TopicPartition::new("t", 3), Observation::default())
    }

    #[test]
    fn a_dropped_sender_sends_that_the_driver_stopped() {
        for is_taken in [false, true] {
            let (sender, receiver) = Sender::new(accepted());
            assert!(taken(&receiver).is_pending());
            if is_taken {
                let (sender, batch) = sender.take_batch();
                assert!(batch.is_some());
                drop(sender);
            } else {
                drop(sender);
            }
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
