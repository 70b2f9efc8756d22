//! The machine's statistics, as a snapshot.

use super::Machine;
use crate::machine::stats::{BufferStats, Stats};
use crate::time::Instant;

impl Machine {
    /// Returns the statistics of this producer at this time. Takes time in proportion to the numbers of known topics, partitions
    /// and brokers.
    #[must_use]
    pub fn stats(&self, now: Instant) -> Stats {
        let now = self.now.max(now);
        let (topics, total) = self.accumulator.stats(now);
        let (limit, used) = (self.config.buffer_memory as u64, self.accumulator.bytes() as u64);
        let buffer = BufferStats {
            buffer_total_bytes: limit,
            buffer_available_bytes: limit.saturating_sub(used),
            batches_in_use: self.accumulator.unfinished() as u64,
            buffer_exhausted_total: self.buffer_exhausted,
            ..BufferStats::default()
        };
        let metadata_age = self.refresh.last_response().map(|last| now.since(last));
        Stats {
            at: now,
            total,
            topics,
            brokers: self.network.stats(now).collect(),
            buffer,
            metadata_age,
            client_instance_id: self.telemetry.as_ref().and_then(|telemetry| telemetry.client_instance_id()),
        }
    }
}
