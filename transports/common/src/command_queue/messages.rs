//! Single messages: appended to the open batch of their partition, under the lock of the queue.

use std::future::poll_fn;
use std::mem;
use std::num::NonZeroU32;
use std::task::Waker;

use kafka_batch_core::error::BlockedOn;
use kafka_batch_core::machine::SendReason;
use kafka_batch_core::record::EncodedHeaders;
use kafka_batch_core::{BatchOptions, Destination, EnqueueErrorReason, Record, SendErrorReason};

use super::{BlockTimer, CommandQueue, MemoryAcquisition, new_batch, unlock_and_wake};
use crate::completion::PendingRecord;
use crate::gathering::GatherOutcome;
use crate::semaphore::Permits;
use crate::sync::{lock, wake};

/// The outcome of [`CommandQueue::enqueue_message`], if there was no error.
#[derive(Debug)]
pub(crate) enum EnqueueOutcome {
    Accepted(PendingRecord),
    /// The topic's number of partitions has to be looked up.
    UnknownTopic,
    /// `buffer.memory` is full.
    NoMemory,
}

/// What a message that had to wait has got so far.
#[derive(Debug, Default)]
pub(crate) struct EnqueueState<'a> {
    /// The topic's number of partitions, if it was just looked up.
    pub(crate) partition_count: Option<NonZeroU32>,
    /// Memory, if it was acquired before.
    pub(crate) held: Option<HeldPermits<'a>>,
    /// The headers that were added to the message at its first attempt, if there is a function that adds some.
    pub(crate) injected: Option<Box<EncodedHeaders>>,
}

/// Memory that was acquired for a message. Released when it is dropped.
#[derive(Debug)]
pub(crate) struct HeldPermits<'a> {
    queue: &'a CommandQueue,
    permits: Permits,
}

impl Drop for HeldPermits<'_> {
    fn drop(&mut self) {
        if self.permits != Permits::default() {
            self.queue.release(self.permits);
        }
    }
}

impl CommandQueue {
    /// Appends a message to the open batch of its partition, and accepts it. `needed` is the memory that it needs at most.
    /// `waker` is called once the outcome is known, if the message is accepted.
    ///
    /// # Errors
    /// No batch can hold the record, or the producer is closed or has stopped.
    pub(crate) fn enqueue_message(
        &self,
        to: Destination<'_>,
        record: &Record<'_>,
        needed: usize,
        enqueue_state: &mut EnqueueState<'_>,
        mut waker: Option<Waker>,
        options: &BatchOptions,
    ) -> Result<EnqueueOutcome, EnqueueErrorReason> {
        // The clock is read for each record: its timestamp is the time of the call, to the millisecond.
        let now = self.clock.system_time();
        let mut guard = lock(&self.state);
        let state = &mut *guard;
        if let Some(reason) = state.queue_state.refusal() {
            return Err(reason.into());
        }
        let EnqueueState { partition_count, held, .. } = enqueue_state;
        let partition_count = || partition_count.or_else(|| self.topics.fresh_partition_count(to.topic));
        let pick = |partitions| self.topics.pick(to.topic, partitions);
        let Some(mut partition) = state.gathering.route(to, record.key, partition_count, pick) else {
            return Ok(EnqueueOutcome::UnknownTopic);
        };
        let needed = Permits { records: 1, bytes: needed };
        // Memory that was acquired before, or none.
        let acquired = match held {
            Some(held) if held.permits == needed => mem::take(&mut held.permits),
            _ if state.semaphore.is_available(needed) => Permits::default(),
            _ => {
                // Open batches hold memory, too.
                let gathered = state.gathering.take_all(SendReason::Memory);
                gathered.into_iter().for_each(|gathered| self.push_messages(state, gathered));
                state.gathering.forget_if_unused(partition);
                unlock_and_wake(guard);
                return Ok(EnqueueOutcome::NoMemory);
            }
        };
        let produce_version = state.produce_version;
        let open_batch = || (new_batch(options, produce_version, now, self.buffers.take()), self.clock.now());
        let mut is_command = false;
        let appended = loop {
            match state.gathering.append(partition, record, now.into(), &mut waker, open_batch) {
                Ok(GatherOutcome::Appended { pending, bytes, wakes }) => break Ok((pending, bytes, wakes)),
                Ok(GatherOutcome::Full(gathered)) => {
                    self.push_messages(state, *gathered);
                    is_command = true;
                    // Without a key, the next batch is one of another partition.
                    match state.gathering.route(to, record.key, partition_count, pick) {
                        Some(next) => partition = next,
                        None => break Err(None),
                    }
                }
                Err(error) => break Err(Some(error)),
            }
        };
        state.has_accepted |= appended.is_ok();
        let used = appended.as_ref().map_or(Permits::default(), |(_, bytes, _)| Permits { records: 1, bytes: *bytes });
        let granted = if acquired == Permits::default() {
            state.semaphore.acquire_available(used);
            Vec::new()
        } else {
            let mut surplus = acquired;
            surplus -= used;
            state.semaphore.release(surplus)
        };
        let mut wakes = is_command || appended.as_ref().is_ok_and(|(.., wakes)| *wakes);
        if state.semaphore.has_waiters() {
            // This message acquired its memory before them, and must not linger while they wait for it.
            wakes |= state.gathering.set_due(partition);
        }
        if wakes {
            unlock_and_wake(guard);
        } else {
            drop(guard);
        }
        granted.into_iter().for_each(wake);
        match appended {
            Ok((pending, ..)) => Ok(EnqueueOutcome::Accepted(pending)),
            Err(None) => Ok(EnqueueOutcome::UnknownTopic),
            Err(Some(error)) => Err(error.into()),
        }
    }

    /// Waits for memory for one message, in the order of the calls.
    ///
    /// # Errors
    /// The producer is closed or has stopped, or the call has waited for `max.block.ms`.
    pub(crate) async fn acquire(
        &self,
        bytes: usize,
        timer: &mut BlockTimer<'_>,
    ) -> Result<HeldPermits<'_>, SendErrorReason> {
        let permits = Permits { records: 1, bytes };
        let mut acquisition = MemoryAcquisition::new(self);
        let acquired = poll_fn(|context| {
            let acquired = self.poll_acquire(&mut acquisition, permits, context);
            acquired.map_ok(|_guard| ()) // which is released here
        });
        timer.bound(BlockedOn::BufferMemory, acquired).await?;
        Ok(HeldPermits { queue: self, permits })
    }
}
