//! Batches on their way to the machine, and their outcomes.

use kafka_batch_core::error::TransportError;
use kafka_batch_core::machine::{self as machine, MachineSendErrorKind, SendReason};
use kafka_batch_core::{DeliveryError, FailureReason, Fate, SealError, SealedBatch, TopicPartition};

use super::Driver;
use crate::accepted::BatchOutcome;
use crate::gathering::MessageBatch;
use crate::semaphore::Permits;
use crate::waiters::{UnfinishedBatch, Waiter};

impl Driver {
    /// Seals a batch of messages, and passes it to the machine.
    pub(super) fn send_messages(&mut self, gathered: MessageBatch, now: machine::Instant) {
        let MessageBatch { partition, to, batch, mut completer, reason, opened } = gathered;
        let opened = self.instant(opened);
        completer.share_wakers();
        let observation = self.queue.observers.before_seal(&to.topic, to.partition, &batch);
        let permits = Permits { records: batch.record_count(), bytes: batch.size() };
        let mut unfinished = UnfinishedBatch { waiter: Waiter::Messages(partition, completer), permits, observation };
        match batch.seal_with_pool(&*self.queue.buffers()) {
            Ok(sealed) => {
                // Memory was acquired for the batch before compression.
                let surplus = permits.bytes.saturating_sub(sealed.size());
                if surplus > 0 {
                    unfinished.permits.bytes -= surplus;
                    self.queue.release(Permits { records: 0, bytes: surplus });
                }
                self.send(sealed, to, (reason, opened), unfinished, now);
            }
            Err(SealError { reason, batch, .. }) => {
                let reason = FailureReason::Seal(Box::new(reason));
                self.machine.fail_transaction(&to, &reason, now); // the batch was accepted, so this is its outcome
                let error = DeliveryError::new(to, reason, Fate::NotWritten, *batch);
                self.complete(unfinished, Err(error));
            }
        }
    }

    /// Passes an accepted batch to the machine.
    pub(super) fn send(
        &mut self,
        batch: SealedBatch,
        to: TopicPartition,
        (reason, opened): (SendReason, machine::Instant),
        mut unfinished: UnfinishedBatch,
        now: machine::Instant,
    ) {
        match self.machine.send_gathered(batch, to, reason, opened, now) {
            Ok(id) => {
                if let Waiter::Messages(_, completer) = &mut unfinished.waiter {
                    completer.set_taken();
                }
                self.waiters.insert(id, unfinished);
            }
            Err(error) => {
                // The batch was accepted already, so this is its outcome. The machine has the limit `buffer.memory`, too, for
                // drivers that do not wait; here the queue's semaphore counts each batch from before to after the time in
                // the machine, so the machine's limit is not reached, and the only cause left is an invalid topic name.
                // With transactions, also that the transaction was aborted meanwhile.
                let reason = match error.kind {
                    MachineSendErrorKind::NoTransaction | MachineSendErrorKind::TransactionAborted => {
                        FailureReason::TransactionAborted
                    }
                    kind => {
                        let reason = FailureReason::Transport(TransportError::new(kind));
                        self.machine.fail_transaction(&error.to, &reason, now);
                        reason
                    }
                };
                let batch = error.batch.into_batch();
                self.complete(unfinished, Err(DeliveryError::new(error.to, reason, Fate::NotWritten, batch)));
            }
        }
    }

    /// Passes the outcome of a batch to its observers, and then to what waits for it. Memory is released before that, so that the
    /// receiver can use it for its next batch.
    pub(super) fn complete(&self, unfinished: UnfinishedBatch, outcome: BatchOutcome) {
        let UnfinishedBatch { waiter, permits, observation } = unfinished;
        observation.complete(&outcome);
        match waiter {
            Waiter::Batch(sender) => {
                self.queue.release(permits);
                sender.send(outcome);
            }
            Waiter::Channel(taken) => {
                self.queue.release(permits);
                taken.complete(outcome);
            }
            Waiter::Messages(partition, completer) => {
                self.queue.on_completed(partition, permits);
                completer.complete(outcome);
            }
        }
    }
}
