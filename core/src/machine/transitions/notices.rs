//! Reports of what the machine does and finds out, if [`MachineConfig::notices`] is set.
//!
//! [`MachineConfig::notices`]: crate::machine::MachineConfig::notices

use super::Machine;
use super::produce::BatchToSend;
use crate::machine::event::{Event, Notice};
use crate::machine::index::PartitionIndex;
use crate::machine::io::{ConnectionId, Output};
use crate::machine::notice::Change;
use crate::time::Instant;

impl Machine {
    pub(super) fn notice(&mut self, notice: Notice) {
        self.outputs.push_back(Output::Event(Event::Notice(notice)));
    }

    /// Reports the batches of a request that is sent on this connection.
    pub(super) fn report_sent(&mut self, batches: &[BatchToSend], connection: ConnectionId, broker: i32) {
        for &BatchToSend { partition, at, .. } in batches {
            if let Some((id, failures)) = self.accumulator.partition(partition).failures(at) {
                self.notice(Notice::Sent { id, connection, broker, attempt: failures.saturating_add(1) });
            }
        }
    }

    pub(super) fn report_leader(&mut self, index: PartitionIndex, previous: i32, leader: i32) {
        let partition = self.accumulator.partition(index);
        let (topic, partition) = (partition.shared_topic(), partition.number());
        self.notice(Notice::Change(Change::Leader { topic, partition, previous, leader }));
    }

    /// Reports that nothing is sent on this connection until then.
    pub(super) fn report_throttling(&mut self, id: ConnectionId, until: Instant) {
        let broker = self.network.broker(id);
        let Some(connection) = self.network.connections.get(&id) else { return };
        let (host, port) = (connection.address.host.clone(), connection.address.port);
        let time = until.since(self.now);
        self.notice(Notice::Change(Change::Throttled { broker, host, port, time }));
    }

    /// Reports the current identity, if it is not the one that was reported last.
    pub(super) fn report_identity(&mut self) {
        let current = self.identities.current();
        if current == self.reported_identity {
            return;
        }
        let previous = core::mem::replace(&mut self.reported_identity, current);
        if let Some(current) = current {
            let previous = previous.map(Into::into);
            self.notice(Notice::Change(Change::ProducerId { previous, current: current.into() }));
        }
    }
}
