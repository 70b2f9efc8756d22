//! `max.block.ms`: how long a call may wait for metadata and for room in `buffer.memory`, together. Handles have no timers, so the
//! driver wakes the calls whose time is over.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use kafka_batch_core::SendErrorReason;
use kafka_batch_core::error::BlockedOn;

use super::{CommandQueue, State, unlock_and_wake};
use crate::sync::lock;

/// The end of a call's time, and a number that no other call has.
type Key = (Instant, u64);

/// The calls that wait, in the order in which their time ends.
#[derive(Debug, Default)]
pub(super) struct BlockedCalls {
    calls: BTreeMap<Key, Waker>,
    next: u64,
}

impl BlockedCalls {
    /// Returns when the time of a call ends next.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.calls.keys().next().map(|(at, _)| *at)
    }

    /// Removes the calls whose time is over. Returns their wakers: wake them.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<Waker> {
        let mut due = Vec::new();
        while let Some(first) = self.calls.first_entry().filter(|first| first.key().0 <= now) {
            due.push(first.remove());
        }
        due
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }
}

/// The time that one call may wait, in all its waits together, as in one call of `send` of Java's client. It passes only while the
/// call waits. Leaves the queue when it is dropped.
#[derive(Debug)]
pub(crate) struct BlockTimer<'a> {
    queue: &'a CommandQueue,
    /// How long the waits that have ended have taken.
    waited: Duration,
    /// The present wait.
    key: Option<Key>,
    /// A waker that is no longer needed, to be dropped without the lock.
    spent: Option<Waker>,
}

impl<'a> BlockTimer<'a> {
    pub(crate) const fn new(queue: &'a CommandQueue) -> Self {
        Self { queue, waited: Duration::ZERO, key: None, spent: None }
    }

    /// Polls the time of a call that has to wait. Ready with the error when it is over.
    pub(crate) fn poll(&mut self, on: BlockedOn, context: &Context<'_>) -> Poll<SendErrorReason> {
        let Some(limit) = self.queue.max_block else { return Poll::Pending };
        let now = self.queue.clock.now();
        let until = match self.key {
            Some((until, _)) => until,
            None => match now.checked_add(limit.saturating_sub(self.waited)) {
                Some(until) => until,
                None => return Poll::Pending, // it ends never
            },
        };
        if until <= now {
            return Poll::Ready(SendErrorReason::Blocked { limit, on });
        }
        self.spent = None; // of the wait before
        let mut state = lock(&self.queue.state);
        let key = *self.key.get_or_insert_with(|| {
            state.blocked.next += 1;
            (until, state.blocked.next)
        });
        self.spent = state.blocked.calls.insert(key, context.waker().clone());
        if state.blocked.next_deadline() == Some(until) {
            unlock_and_wake(state); // the driver's alarm may have to be set to an earlier time
        } else {
            drop(state);
        }
        self.spent = None;
        Poll::Pending
    }

    /// Ends a wait of a call that has got what it waited for, under the lock. The next one has the time that is left.
    pub(crate) fn stop(&mut self, state: &mut State) {
        let (Some(key), Some(limit)) = (self.key.take(), self.queue.max_block) else { return };
        self.waited = limit.saturating_sub(key.0.saturating_duration_since(self.queue.clock.now()));
        self.spent = state.blocked.calls.remove(&key);
    }

    /// As [`stop`](Self::stop), without the lock.
    fn pause(&mut self) {
        if self.key.is_some() {
            let mut state = lock(&self.queue.state);
            self.stop(&mut state);
        }
        self.spent = None;
    }

    /// Ends the present wait. The next one is that of another call, which has `waited` so long before.
    pub(crate) fn restart(&mut self, waited: Duration) {
        self.pause();
        self.waited = waited;
    }

    /// Returns `true` while the call waits.
    pub(crate) const fn is_running(&self) -> bool {
        self.key.is_some()
    }

    /// Returns how long the waits that have ended have taken, if they are bounded.
    pub(crate) const fn waited(&self) -> Duration {
        self.waited
    }

    /// Awaits a future for which the call may have to wait.
    ///
    /// # Errors
    /// The error of the future, or the call has waited for `max.block.ms`.
    pub(crate) async fn bound<T>(
        &mut self,
        on: BlockedOn,
        future: impl Future<Output = Result<T, SendErrorReason>>,
    ) -> Result<T, SendErrorReason> {
        let mut future = pin!(future);
        let result = poll_fn(|context| match future.as_mut().poll(context) {
            Poll::Pending => self.poll(on, context).map(Err),
            ready => ready,
        });
        let result = result.await;
        self.pause();
        result
    }
}

impl Drop for BlockTimer<'_> {
    fn drop(&mut self) {
        self.pause();
    }
}

impl CommandQueue {
    /// Sets how long a call may wait. `None`: as long as it takes.
    pub(crate) fn max_block(mut self, limit: Option<Duration>) -> Self {
        self.max_block = limit;
        self
    }
}
