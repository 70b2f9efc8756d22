//! What the machine reports of its own work, passed to the observers.

use std::collections::HashMap;

use kafka_batch_core::TopicPartition;
use kafka_batch_core::machine::{Change, Notice};
use kafka_batch_core::observer::Sent;

use super::Driver;

impl Driver {
    /// Passes a report of the machine to the observers of the batch that it is about, or of all.
    pub(super) fn on_notice(&mut self, notice: Notice) {
        match notice {
            Notice::Sent { id, connection, broker, attempt } => {
                self.report_changes(); // they came first
                let (host, port) = self.addresses.of(connection).unwrap_or_default();
                if let Some(batch) = self.waiters.get_mut(id) {
                    batch.observation.on_sent(&Sent::new(broker, host, port, attempt));
                }
            }
            Notice::Retry { id, retry } => {
                if let Some(batch) = self.waiters.get_mut(id) {
                    batch.observation.on_retry(&retry);
                }
            }
            Notice::Change(change) => {
                self.queue.observers.on_change(&change);
                self.changes.push(change);
            }
            _ => {}
        }
    }

    /// Passes the changes since the last call to the observers of the batches that they concern. All at once, so that the batches
    /// are searched once, however many leaders have changed.
    pub(super) fn report_changes(&mut self) {
        if self.changes.is_empty() {
            return;
        }
        let changes = std::mem::take(&mut self.changes);
        let mut leaders = HashMap::new();
        let mut others = Vec::new();
        for change in &changes {
            match change {
                // The last one, if there are several: then the others are over.
                Change::Leader { topic, partition, .. } => drop(leaders.insert((&**topic, *partition), change)),
                change => others.push(change),
            }
        }
        for observation in self.waiters.observations() {
            let Some(TopicPartition { topic, partition }) = observation.destination() else { continue };
            let new_leader = leaders.get(&(&**topic, *partition)).copied();
            let leader = self.machine.partition_leader(topic, *partition);
            for change in others.iter().copied().chain(new_leader) {
                let is_concerned = match change {
                    Change::Throttled { broker, .. } => broker.is_some() && *broker == leader,
                    _ => true,
                };
                if is_concerned {
                    observation.on_change(change);
                }
            }
        }
    }
}
