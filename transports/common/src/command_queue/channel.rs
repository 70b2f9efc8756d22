//! Batches of a channel: as many as there is memory for are accepted under one lock.

use std::collections::VecDeque;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use kafka_batch_core::SendErrorReason;
use kafka_batch_core::error::BlockedOn;

use super::{BlockTimer, Command, CommandQueue, MemoryAcquisition, permits, unlock_and_wake};
use crate::channel_batch::SealedChannelBatch;
use crate::semaphore::Permits;

/// Accepts the batches of a channel.
#[derive(Debug)]
pub(crate) struct Acceptance<'a> {
    queue: &'a CommandQueue,
    acquisition: MemoryAcquisition<'a>,
    timer: BlockTimer<'a>,
    /// The partitions of the batches that were accepted in one call.
    partitions: Vec<i32>,
}

impl<'a> Acceptance<'a> {
    pub(crate) fn new(queue: &'a CommandQueue) -> Self {
        let (acquisition, timer) = (MemoryAcquisition::new(queue), BlockTimer::new(queue));
        Self { queue, acquisition, timer, partitions: Vec::new() }
    }

    /// Removes batches from the front and accepts them, up to `limit`. Pending while there is no memory for the next one, in
    /// the order of the calls; it must stay the first one then.
    ///
    /// # Errors
    /// The producer is closed or has stopped, or the first batch has waited for `max.block.ms`.
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
            let acquired = match acquired {
                Poll::Pending => {
                    if !self.timer.is_running() {
                        self.timer.restart(first.waited());
                    }
                    ready!(self.timer.poll(BlockedOn::BufferMemory, context).map(Err))
                }
                Poll::Ready(acquired) => acquired,
            };
            let mut state = match acquired {
                Ok(state) => state,
                Err(reason) => {
                    // The next batch needs other permits, and has its own time.
                    self.acquisition = MemoryAcquisition::new(self.queue);
                    self.timer.restart(Duration::ZERO);
                    return Poll::Ready(Err(reason));
                }
            };
            self.timer.stop(&mut state);
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
