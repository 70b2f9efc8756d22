//! Waiting for buffer memory, and how long calls have waited.

use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use kafka_batch_core::SendErrorReason;
use kafka_batch_core::machine::Timing;

use super::{CommandQueue, State};
use crate::semaphore::{Acquisition, Permits};
use crate::sync::{MutexGuard, lock};

/// How long calls have waited for memory. Those that did not have to are not counted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Waits {
    count: u64,
    total: Duration,
    max: Duration,
}

impl Waits {
    fn record(&mut self, time: Duration) {
        self.count += 1;
        self.total = self.total.saturating_add(time);
        self.max = self.max.max(time);
    }

    pub(super) const fn timing(&self) -> Timing {
        Timing::new(self.count, self.total, self.max)
    }
}

/// Acquires memory: what a future polls. Leaves the queue of waiters when it is dropped.
#[derive(Debug)]
pub(crate) struct MemoryAcquisition<'a> {
    queue: &'a CommandQueue,
    acquisition: Acquisition<'a, State>,
    /// Since when it waits.
    since: Option<Instant>,
}

impl<'a> MemoryAcquisition<'a> {
    /// Returns a waiter that is not in the queue yet.
    pub(super) const fn new(queue: &'a CommandQueue) -> Self {
        Self { queue, acquisition: Acquisition::new(&queue.state), since: None }
    }

    /// As [`Acquisition::poll`].
    pub(super) fn poll(
        &mut self,
        permits: Permits,
        waker: &Waker,
    ) -> Poll<Result<MutexGuard<'a, State>, SendErrorReason>> {
        let polled = self.acquisition.poll(permits, waker, |state| state.queue_state.refusal());
        match polled {
            Poll::Pending => {
                self.since.get_or_insert_with(|| self.queue.clock.now());
                Poll::Pending
            }
            Poll::Ready(Ok(mut state)) => {
                if let Some(since) = self.since.take() {
                    state.waits.record(self.queue.clock.now().saturating_duration_since(since));
                }
                Poll::Ready(Ok(state))
            }
            Poll::Ready(Err(reason)) => Poll::Ready(Err(reason)), // the wait is recorded when this is dropped
        }
    }
}

/// A wait that ends without memory counts, too.
impl Drop for MemoryAcquisition<'_> {
    fn drop(&mut self) {
        if let Some(since) = self.since {
            let time = self.queue.clock.now().saturating_duration_since(since);
            lock(&self.queue.state).waits.record(time);
        }
    }
}
