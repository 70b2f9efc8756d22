//! The machine under test, reduced to the interface that the world needs: only this file depends on its API.

use kafka_batch_core::machine::{
    BatchId, Clock, CloseMode, ConnectionId, FlushId, Input, Instant, MachineConfig, MachineSendErrorKind, Output,
};
use kafka_batch_core::{SealedBatch, Timestamp, TopicPartition};

use crate::Moment;

/// The machine.
pub struct Machine(kafka_batch_core::machine::Machine);

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Machine")
    }
}

const fn instant(now: Moment) -> Instant {
    Instant::from_start(now)
}

impl Machine {
    /// Creates a machine that starts now.
    #[must_use]
    pub fn new(config: MachineConfig, now: Moment, seed: u64) -> Self {
        let wall = Timestamp::from_millis(1_700_000_000_000 + now.as_millis() as i64);
        Self(kafka_batch_core::machine::Machine::new(config, Clock { now: instant(now), wall }, seed))
    }

    /// Passes a batch to the machine.
    pub fn send(
        &mut self,
        batch: SealedBatch,
        to: TopicPartition,
        now: Moment,
    ) -> Result<BatchId, MachineSendErrorKind> {
        self.0.send(batch, to, instant(now)).map_err(|error| error.kind)
    }

    /// Requests an event after the completion of all batches.
    pub fn flush(&mut self, now: Moment) -> FlushId {
        self.0.flush(instant(now))
    }

    /// Closes the machine.
    pub fn close(&mut self, mode: CloseMode, now: Moment) {
        self.0.close(mode, instant(now));
    }

    /// Looks up a topic.
    pub fn lookup_topic(&mut self, topic: &str, now: Moment) {
        self.0.lookup_topic(topic, instant(now));
    }

    /// Passes an input to the machine.
    pub fn handle_input(&mut self, input: Input<'_>, now: Moment) {
        self.0.handle_input(input, instant(now));
    }

    /// Returns the next output.
    pub fn poll_output(&mut self, now: Moment) -> Output {
        self.0.poll_output(instant(now))
    }

    /// Passes received bytes to the machine.
    pub fn received(&mut self, connection: ConnectionId, bytes: &[u8], now: Moment) {
        self.handle_input(Input::Received(connection, bytes), now);
    }
}
