//! Requests for statistics, which the driver answers.

use kafka_batch_core::machine::{BufferStats, Stats};

use super::{Command, CommandQueue, unlock_and_wake};
use crate::oneshot::{DropOutcome, Receiver, Sender};
use crate::sync::lock;

/// Why a producer has no statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StatsError {
    /// The producer's task has ended before it was closed, and without leaving its statistics: it has panicked.
    #[error("the producer has no statistics, because its task has panicked: make another producer")]
    Stopped,
}

/// A request for the statistics.
#[derive(Debug)]
pub(crate) struct StatsRequest;

impl DropOutcome for StatsRequest {
    type Outcome = Result<Box<Stats>, StatsError>;

    fn drop_outcome(self) -> Self::Outcome {
        Err(StatsError::Stopped)
    }
}

impl CommandQueue {
    /// Requests the statistics. Returns the receiver of the response.
    ///
    /// # Errors
    /// The driver has ended. The error has what it has left.
    pub(crate) fn request_stats(
        &self,
    ) -> Result<Receiver<<StatsRequest as DropOutcome>::Outcome>, <StatsRequest as DropOutcome>::Outcome> {
        let mut state = lock(&self.state);
        if state.has_ended() {
            return Err(state.last_stats.clone().ok_or(StatsError::Stopped));
        }
        let (sender, receiver) = Sender::new(StatsRequest);
        state.commands.push(Command::Stats(sender));
        unlock_and_wake(state);
        Ok(receiver)
    }

    /// Adds what handles know about the use of `buffer.memory`.
    pub(crate) fn add_to_stats(&self, buffer: &mut BufferStats) {
        let state = lock(&self.state);
        buffer.buffer_available_bytes =
            buffer.buffer_total_bytes.saturating_sub(state.semaphore.acquired().bytes as u64);
        buffer.waiting = state.semaphore.waiting() as u64;
        buffer.bufferpool_wait_time = state.waits.timing();
    }

    /// Keeps the statistics for requests after the end of the driver.
    pub(crate) fn set_last_stats(&self, stats: Stats) {
        lock(&self.state).last_stats = Some(Box::new(stats));
    }
}
