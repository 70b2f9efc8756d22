//! Batches of a channel: as many as there is memory for are accepted under one lock.

use std::collections::VecDeque;
use std::task::{Context, Poll, ready};

use kafka_batch_core::SendErrorReason;

use super::{Command, CommandQueue, MemoryAcquisition, permits, unlock_and_wake};
use crate::channel_batch::SealedChannelBatch;
use crate::semaphore::Permits;

/// Accepts the batches of a channel.
#[derive(Debug)]
pub(crate) struct Acceptance<'a> {
    queue: &'a CommandQueue,
    acquisition: MemoryAcquisition<'a>,
    /// The partitions of the batches that were accepted in one call.
    partitions: Vec<i32>,
}

impl<'a> Acceptance<'a> {
    pub(crate) const fn new(queue: &'a CommandQueue) -> Self {
        Self { queue, acquisition: MemoryAcquisition::new(queue), partitions: Vec::new() }
    }

    /// Removes batches from the front and accepts them, up to `limit`. Pending while there is no memory for the next one, in
    /// the order of the calls; it must stay the first one then.
    ///
    /// # Errors
    /// The producer is closed or has stopped.
    pub(crate) fn poll(
        &mut self,
        batches: &mut VecDeque<SealedChannelBatch>,
        limit: usize,
        topic: &str,
        context: &Context<'_>,
    ) -> Poll<Result<(), SendErrorReason>> {
        let needed = |batch: &SealedChannelBatch| batch.batch().map_or(Permits::default(), permits);
        let mut accepted = 0;
        while let Some(first) = batches.front().filter(|_| accepted < limit) {
            let acquired = self.queue.poll_acquire(&mut self.acquisition, needed(first), context);
            let mut state = ready!(acquired)?;
            // Batches that fit are accepted without examining the waiters, of which there are none.
            loop {
                let Some(batch) = batches.pop_front() else { break };
                accepted += 1;
                self.partitions.push(batch.partition());
                self.queue.push_messages_before(&mut state, topic, batch.partition());
                state.push_accepted(Command::SendFromChannel(batch));
                match batches.front() {
                    Some(next) if accepted < limit && state.semaphore.try_acquire(needed(next)) => {}
                    _ => break,
                }
            }
            unlock_and_wake(state);
            self.queue.topics.on_batches_accepted(topic, self.partitions.drain(..));
        }
        Poll::Ready(Ok(()))
    }
}
