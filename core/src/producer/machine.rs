use super::*;
use crate::batch::SealedBatch;
use crate::record::TopicPartition;

/// A producer.
#[derive(Debug)]
pub struct Producer {
    config: ProducerConfig,
}

impl Producer {
    /// A producer that has done nothing yet.
    #[must_use]
    pub fn new(config: ProducerConfig, clock: Clock, seed: u64) -> Self {
        let _ = (clock, seed);
        Self { config }
    }

    /// Accepts a batch.
    ///
    /// # Errors
    /// It was not accepted.
    pub fn send(&mut self, batch: SealedBatch, to: TopicPartition, now: Instant) -> Result<BatchId, SendError> {
        let _ = now;
        Err(SendError { to, reason: Refusal::Closed, batch: alloc::boxed::Box::new(batch) })
    }

    /// Flushes.
    pub fn flush(&mut self, now: Instant) -> FlushId {
        let _ = now;
        FlushId(0)
    }

    /// Closes.
    pub fn close(&mut self, mode: CloseMode, now: Instant) {
        let _ = (mode, now);
    }

    /// Room.
    #[must_use]
    pub fn has_room(&self) -> bool {
        false
    }

    /// Input.
    pub fn handle_input(&mut self, input: Input<'_>, now: Instant) {
        let _ = (input, now);
    }

    /// Output.
    pub fn poll_output(&mut self, now: Instant) -> Output {
        let _ = now;
        Output::Wait(None)
    }
}
